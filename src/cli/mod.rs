//! The command line: one file a command, and the only room that prints.
//!
//! stdout is data; everything else goes to stderr. With `--json`, stdout is one JSON document, or
//! one a line where the help says so. Exit codes are those of the contract.

mod commands;
mod error;
mod front;
mod output;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use error::{CliError, Exit};
use output::Output;

use crate::app::Archive;
use crate::config::Environment;
use crate::model::Clock;

/// Archives an IceWarp TeamChat server: every version kept, proved, searchable.
#[derive(Debug, Parser)]
#[command(name = "teamchat-archive", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// The archive's directory
    #[arg(long, global = true, value_name = "DIR", env = "TEAMCHAT_ARCHIVE", default_value = "./archive")]
    archive: PathBuf,
    /// Print JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Say more on stderr (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Draw no progress bars
    #[arg(long, global = true)]
    no_progress: bool,
    /// When to colour: auto, always, never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: clap::ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::Args),
    Init(commands::init::Args),
    Login(commands::login::Args),
    Account(commands::account::Args),
    Crawl(commands::crawl::Args),
    Watch(commands::watch::Args),
    Status(commands::status::Args),
    Coverage(commands::coverage::Args),
    Search(commands::search::Args),
    Show(commands::show::Args),
    Export(commands::export::Args),
    Import(commands::import::Args),
    Verify(commands::verify::Args),
    Verifier(commands::verifier::Args),
    User(commands::user::Args),
    Token(commands::token::Args),
    Serve(commands::serve::Args),
    Doctor(commands::doctor::Args),
    Index(commands::index::Args),
    Compact(commands::compact::Args),
    Key(commands::key::Args),
    Config(commands::config::Args),
    Sandbox(commands::sandbox::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
    #[command(hide = true)]
    ExtractWorker(commands::extract_worker::Args),
    #[command(hide = true)]
    RecognizeWorker(commands::recognize_worker::Args),
}

/// What a command is given: flags that all share, where to print, the environment, the clock.
pub struct Context {
    global: Global,
    output: Output,
    environment: Environment,
    clock: Clock,
}

impl Context {
    /// Opens the archive that the flags name, for reading.
    fn archive(&self) -> Result<Archive, CliError> {
        let archive = Archive::open(&self.global.archive, &self.environment, &self.clock)?;
        // Our own program reads files, as a child. Where it cannot be named, files are found by name.
        Ok(match std::env::current_exe() {
            Ok(program) => archive.with_worker(program),
            Err(_) => archive,
        })
    }

    /// Runs `work` on a runtime of its own.
    #[expect(clippy::unused_self, reason = "what runs belongs to a command, which has a context")]
    fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
        let runtime = runtime.map_err(|error| CliError::other(format!("can't start: {error}")))?;
        Ok(runtime.block_on(work))
    }
}

/// The whole program: reads the arguments and gives the exit code.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// The program with the arguments given, the first of which is its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are printed by clap to stdout with 0, faults to stderr with 2.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return if error.print().is_ok() { code.into() } else { Exit::Done.into() };
        }
    };
    let output = Output::new(&cli.global);
    output.start_logging(cli.global.verbose, cli.global.quiet);
    let context = Context { global: cli.global, output, environment: Environment::read(), clock: Clock::System };
    let outcome = match cli.command {
        Command::Demo(args) => commands::demo::run(&context, &args),
        Command::Init(args) => commands::init::run(&context, &args),
        Command::Login(args) => commands::login::run(&context, &args),
        Command::Account(args) => commands::account::run(&context, &args),
        Command::Crawl(args) => commands::crawl::run(&context, &args),
        Command::Watch(args) => commands::watch::run(&context, &args),
        Command::Status(args) => commands::status::run(&context, &args),
        Command::Coverage(args) => commands::coverage::run(&context, &args),
        Command::Search(args) => commands::search::run(&context, &args),
        Command::Show(args) => commands::show::run(&context, &args),
        Command::Export(args) => commands::export::run(&context, &args),
        Command::Import(args) => commands::import::run(&context, &args),
        Command::Verify(args) => commands::verify::run(&context, &args),
        Command::Verifier(args) => commands::verifier::run(&context, &args),
        Command::User(args) => commands::user::run(&context, &args),
        Command::Token(args) => commands::token::run(&context, &args),
        Command::Serve(args) => commands::serve::run(&context, &args),
        Command::Doctor(args) => commands::doctor::run(&context, &args),
        Command::Index(args) => commands::index::run(&context, &args),
        Command::Compact(args) => commands::compact::run(&context, &args),
        Command::Key(args) => commands::key::run(&context, &args),
        Command::Config(args) => commands::config::run(&context, &args),
        Command::Sandbox(args) => commands::sandbox::run(&context, &args),
        Command::Completions(args) => commands::completions::run(&context, &args),
        Command::Man(args) => commands::man::run(&context, &args),
        Command::ExtractWorker(args) => commands::extract_worker::run(&context, &args),
        Command::RecognizeWorker(args) => commands::recognize_worker::run(&args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) if error.is_broken_pipe() => Exit::Done.into(),
        Err(error) => {
            context.output.error(&error);
            error.exit().into()
        }
    }
}

/// The command line's own description, for completions, the manual and the tests.
pub fn description() -> clap::Command {
    Cli::command()
}
