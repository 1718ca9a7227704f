use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::sandbox::workspace;
use super::serve::{open, stopped};
use crate::api::{Credentials, Patience};
use crate::app::{self, Archive, NewArchive, WatchEvent, WatchOptions, watch};
use crate::cli::{CliError, Context, Exit};
use crate::crawl::Summary;
use crate::model::{Role, Scope};
use crate::sandbox::{Options, Running, start};
use crate::store::access::{Access, Grant};
use crate::store::keys::AccountFile;
use crate::verify::{Depth, Trust, check_with};

/// How often the living workspace is crawled beside its live events, and how often somebody writes in
/// it.
const CRAWL_EVERY: Duration = Duration::from_secs(10);
const CHAT_EVERY: Duration = Duration::from_secs(4);

/// Everything at once: a simulated company, archived, verified and served
///
/// Starts the sandbox, makes an archive of it, lets people edit and delete, crawls again, verifies,
/// and serves the result, watching on while the sandbox lives. Needs nothing and leaves nothing
/// unless --dir says where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address to serve on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Keep everything under this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Archive the chat in this directory instead of the built-in company
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Stop before serving
    #[arg(long)]
    once: bool,
}

fn random_word() -> Result<String, CliError> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|error| CliError::other(error.to_string()))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

struct Demo<'a> {
    context: &'a Context,
    archive: Archive,
    running: Running,
    account: String,
}

impl Demo<'_> {
    fn step(&self, step: &str, detail: &str) -> Result<(), CliError> {
        say(self.context, step, detail)
    }

    async fn crawl(&self, full: bool) -> Result<Summary, CliError> {
        // The sandbox is our own server: no politeness is owed to it.
        let connection = self.archive.connect(Patience::default(), Some(0.0))?;
        let accounts = self.archive.accounts(std::slice::from_ref(&self.account), &connection)?;
        let options = crate::crawl::Options { full, ..self.archive.crawl_options()? };
        Ok(self.archive.crawl(&accounts, &options, &()).await?)
    }
}

fn say(context: &Context, step: &str, detail: &str) -> Result<(), CliError> {
    if context.output.json {
        context.output.json_line(&json!({"step": step, "detail": detail}))
    } else {
        context.output.data(&format!("{step:<9} {detail}"))
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let temporary = match &args.dir {
        Some(_) => None,
        None => Some(tempfile::tempdir()?),
    };
    let root = match (&args.dir, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(folder)) => folder.path().to_owned(),
        (None, None) => return Err(CliError::other("there is no directory to work in")),
    };
    fs_err::create_dir_all(&root)?;
    let seed = workspace(args.corpus.as_deref(), None, 1)?;
    context.block_on(demo(context, args, &root, seed))??;
    Ok(Exit::Done)
}

async fn demo(
    context: &Context,
    args: &Args,
    root: &std::path::Path,
    seed: crate::sandbox::seed::Seed,
) -> Result<(), CliError> {
    let has_story = args.corpus.is_none();
    let running = start(seed, Options::default()).await.map_err(|error| CliError::other(format!("{error:#}")))?;
    say(context, "sandbox", &format!("a simulated TeamChat server on {}", running.url))?;
    let new = NewArchive {
        root: &root.join("archive"),
        server: &running.url,
        pin: None,
        ca: None,
        keys_dir: Some(root.join("keys")),
    };
    // A keys folder that the environment names is that of a real archive.
    let mut archive = app::create(&new, &context.environment.bare(), &context.clock).await?;
    if let Ok(program) = std::env::current_exe() {
        archive = archive.with_worker(program);
    }
    say(context, "init", &format!("archive {} in {}", archive.reader.archive().id, archive.layout.root().display()))?;
    let connection = archive.connect(Patience::brief(), Some(0.0))?;
    let credentials =
        Credentials::Digest { username: running.username.clone(), password: running.password.clone().into() };
    let file = AccountFile {
        username: String::new(),
        user_id: String::new(),
        token: String::new(),
        password: None,
        plain: false,
        live: true,
        disabled: false,
        reason: Some("the demo's account".to_owned()),
    };
    let (account, _) = archive.login(&connection, Some(&running.username), &credentials, file).await?;
    let demo = Demo { context, archive, running, account };
    demo.step("login", &demo.running.username)?;
    let first = demo.crawl(false).await?;
    demo.step(
        "crawl",
        &format!(
            "{} messages, {} files, {} comments in {} ms",
            first.messages.new, first.files.new, first.comments.new, first.duration_ms
        ),
    )?;
    if has_story {
        demo.running.play_later().map_err(|error| CliError::other(format!("{error:?}")))?;
        let second = demo.crawl(true).await?;
        demo.step(
            "crawl",
            &format!(
                "after people went on: {} new, {} edited, {} deleted; the archive keeps what the server lost",
                second.messages.new, second.messages.edited, second.messages.deleted
            ),
        )?;
    }
    demo.step(
        "index",
        &format!("reaches record {}", crate::index::status(&demo.archive.layout, demo.archive.reader.head()?).record),
    )?;
    let trust = Trust { ledger: demo.archive.keys.ledger_vkey(), access: demo.archive.keys.access_vkey() };
    let report = check_with(&demo.archive.reader, Depth::Full, &trust, &mut |_, _| {})?;
    if !report.ok {
        let detail = report.findings.first().map(|finding| finding.detail.clone()).unwrap_or_default();
        return Err(CliError::new(Exit::Integrity, format!("the fresh archive does not verify: {detail}")));
    }
    demo.step(
        "verify",
        &format!(
            "{} records, {} tree nodes, {} files: nothing is amiss",
            report.checked.records, report.checked.nodes, report.checked.blobs
        ),
    )?;
    if args.once {
        demo.running.stop().await;
        return Ok(());
    }
    serve(&demo, args, has_story).await?;
    demo.running.stop().await;
    Ok(())
}

async fn serve(demo: &Demo<'_>, args: &Args, has_story: bool) -> Result<(), CliError> {
    let access = Access::open(&demo.archive.layout, demo.context.clock.clone())?;
    let (username, password) = ("auditor", random_word()?);
    // A directory that is used again has its auditor already; a new password is a new account.
    let username = if access.users()?.iter().any(|user| user.name == username) {
        format!("auditor-{}", random_word()?)
    } else {
        username.to_owned()
    };
    // The demo shows everything, exports included.
    let grant = Grant { may_export: true, ..Grant::new(Role::Auditor, None)? };
    access.add_user(&username, &grant, &password.clone().into())?;
    let ends = demo.context.clock.now() + chrono::TimeDelta::days(1);
    let (token, _) = access.create_token(&format!("demo-{}", random_word()?), Role::Auditor, &Scope::All, ends)?;
    let serving = open(&demo.archive, args.listen, &demo.context.output).await?;
    let stop = stopped();
    let ready = json!({"url": serving.url, "username": username, "password": password, "token": token.expose_secret()});
    if demo.context.output.json {
        demo.context.output.json_line(&ready)?;
    } else {
        demo.context.output.data(&format!(
            "\nopen      {}\nname      {username}\npassword  {password}\ntoken     {}\n",
            serving.url,
            token.expose_secret()
        ))?;
        demo.context.output.say("people go on chatting, and the archive follows at once; Ctrl-C ends it");
    }
    if has_story {
        demo.running.live(CHAT_EVERY);
    }
    let options = WatchOptions { interval: CRAWL_EVERY, rate: Some(0.0), ..WatchOptions::default() };
    let mut tell = |event: WatchEvent<'_>| {
        if let WatchEvent::Failed(error) = event {
            demo.context.output.say(&format!("a pass failed: {error}"));
        }
        true
    };
    let environment = demo.context.environment.bare();
    let watching = watch(&demo.archive, &environment, &options, &mut tell, stopped);
    // Both end when the process is asked to.
    let (served, watched) = tokio::join!(serving.until_stopped(stop), watching);
    watched?;
    served
}
