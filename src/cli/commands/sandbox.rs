use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use super::serve::stopped;
use crate::cli::{CliError, Context, Exit};
use crate::sandbox::seed::Seed;
use crate::sandbox::{Fault, Options, corpus, faults, generate, start, story};

/// The simulated TeamChat server alone
///
/// A stateful model of a server for trying things out and for tests: a built-in company, a corpus
/// of real chat, or a synthetic workspace of any size. It never leaves this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Serve the chat in this directory
    #[arg(long, value_name = "DIR", conflicts_with = "generate")]
    corpus: Option<PathBuf>,
    /// Serve a synthetic workspace of so many messages
    #[arg(long, value_name = "N")]
    generate: Option<usize>,
    /// Seed of the synthetic workspace and of the faults
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// What goes wrong: NAME[=RATE],… (RATE 0 to 1, default 1; the names stand below)
    #[arg(long, value_name = "NAME[=RATE],…")]
    faults: Option<String>,
    /// Serve /_control/ too, with which tests change the workspace
    #[arg(long)]
    control: bool,
}

/// Examples, and every fault by its name.
fn after_help() -> String {
    let mut text = "Examples:\n  teamchat-archive sandbox\n  teamchat-archive sandbox --corpus DIR --json\n  \
        teamchat-archive sandbox --generate 100000 --faults error-500=0.1,reset=0.05\n\nFaults:"
        .to_owned();
    let mut width = usize::MAX;
    for fault in Fault::ALL {
        let name = fault.name();
        if width.saturating_add(name.len()) > 90 {
            text.push_str("\n ");
            width = 1;
        }
        text.push(' ');
        text.push_str(name);
        width += name.len() + 1;
    }
    text
}

/// The workspace that the flags ask for.
pub(super) fn workspace(
    corpus_dir: Option<&std::path::Path>,
    generated: Option<usize>,
    seed: u64,
) -> Result<Seed, CliError> {
    Ok(match (corpus_dir, generated) {
        (Some(dir), _) => corpus::load(dir).map_err(|error| CliError::other(format!("{error:#}")))?,
        (None, Some(messages)) => generate::seed(messages, seed),
        (None, None) => story::seed(),
    })
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    if !args.listen.ip().is_loopback() {
        return Err(
            CliError::usage("the sandbox listens on this machine only").hint("use an address such as 127.0.0.1:0")
        );
    }
    let faults = match &args.faults {
        Some(text) => faults::parse_list(text).map_err(|error| CliError::usage(error.to_string()))?,
        None => Vec::new(),
    };
    let seed = workspace(args.corpus.as_deref(), args.generate, args.seed)?;
    context.block_on(async {
        let options = Options { listen: args.listen, faults, control: args.control, seed: args.seed, ..Options::default() };
        let running = start(seed, options).await.map_err(|error| CliError::other(format!("{error:#}")))?;
        let stopped = stopped();
        if context.output.json {
            context.output.json_line(&json!({"url": running.url, "username": running.username, "password": running.password, "token": running.token}))?;
        } else {
            context.output.data(&format!("sandbox on {}\nusername  {}\npassword  {}\ntoken     {}", running.url, running.username, running.password, running.token))?;
            context.output.say("Ctrl-C ends it");
        }
        stopped.await;
        running.stop().await;
        Ok::<_, CliError>(())
    })??;
    Ok(Exit::Done)
}
