use std::path::PathBuf;

use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::api::{Credentials, Patience};
use crate::cli::output::read_secret;
use crate::cli::{CliError, Context, Exit};
use crate::store::keys::{AccountFile, account_name};

/// Enrol an account whose view is archived, or renew its token
///
/// The password is asked for, or read from a file; it does not travel (digest) unless --plain says
/// so, and is not kept unless --keep-password says so. An archive holds what its accounts can see:
/// enrol more than one to see more.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive login --username audit@example.com\n  teamchat-archive login --username audit@example.com --password-file - < password\n  teamchat-archive login --token-file token"
)]
pub(crate) struct Args {
    /// Sign-in name
    #[arg(long, value_name = "NAME", required_unless_present = "token_file")]
    username: Option<String>,
    /// File with the password; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    password_file: Option<PathBuf>,
    /// Send the password itself (over TLS) to a server that knows no digest
    #[arg(long, conflicts_with = "token_file")]
    plain: bool,
    /// File with a token made elsewhere; `-` is standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Follow this account's live events
    #[arg(long)]
    live: bool,
    /// Keep the password, so that `crawl` signs in again, once an hour at most, when the server no
    /// longer accepts the token
    #[arg(long, conflicts_with = "token_file")]
    keep_password: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let mut file = AccountFile {
        username: String::new(),
        user_id: String::new(),
        token: String::new(),
        password: None,
        plain: args.plain,
        live: args.live,
        disabled: false,
        reason: None,
    };
    // Renewing a token leaves what else was said of the account as it was.
    let known = args.username.as_deref().and_then(|name| archive.keys.account(&account_name(name)).ok());
    let keeps_password = args.keep_password || known.as_ref().is_some_and(|known| known.password.is_some());
    if let Some(known) = known {
        file.live |= known.live;
        file.reason = known.reason;
    }
    let credentials = match (&args.token_file, &args.username) {
        (Some(path), _) => Credentials::Token(read_secret(Some(path), "token: ")?),
        (None, Some(username)) => {
            let password = read_secret(args.password_file.as_deref(), "password: ")?;
            if keeps_password {
                file.password = Some(password.expose_secret().to_owned());
            }
            let username = username.clone();
            if args.plain {
                Credentials::Plain { username, password }
            } else {
                Credentials::Digest { username, password }
            }
        }
        (None, None) => return Err(CliError::usage("name the account with `--username NAME`")),
    };
    let (name, file) = context.block_on(async {
        let connection = archive.connect(Patience::brief(), None)?;
        Ok::<_, CliError>(archive.login(&connection, args.username.as_deref(), &credentials, file).await?)
    })??;
    let server = &archive.reader.archive().server;
    if context.output.json {
        context.output.json(&json!({"account": name, "user_id": file.user_id, "server": server}))?;
    } else {
        context.output.data(&format!("account {name} is {} on {server}", file.user_id))?;
        context.output.say("next: `teamchat-archive crawl`");
    }
    Ok(Exit::Done)
}
