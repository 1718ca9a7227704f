use clap::Subcommand;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::user::{Rights, scope_json};
use crate::cli::{CliError, Context, Exit};
use crate::model::{Role, Scope, rfc3339};
use crate::store::access::{Access, Token};

/// API tokens for programs that read TeamChat
///
/// Whatever reads TeamChat's API can read the archive with one, over `serve`. The secret is
/// printed once, alone on stdout.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make one
    Create {
        /// What it is for
        name: String,
        #[command(flatten)]
        rights: Rights,
        /// When it ends: days from now, such as 90d, a year at most
        #[arg(long, value_name = "DAYS", default_value = "90d", value_parser = parse_days)]
        expires: i64,
    },
    /// Name them
    List,
    /// Withdraw one
    Revoke {
        /// Its name
        name: String,
    },
}

fn parse_days(text: &str) -> Result<i64, String> {
    let days: i64 = text.trim_end_matches('d').parse().map_err(|_| "days look like 90d".to_owned())?;
    if (1..=366).contains(&days) { Ok(days) } else { Err("a token lasts from 1 to 366 days".to_owned()) }
}

/// A token that would read nothing is not made: who uses it could not tell that from an archive without contents.
fn refuse_useless(role: Role, scope: &Scope) -> Result<(), CliError> {
    let refused = format!("a token of the role {} would read nothing", role.as_str());
    if role == Role::Verifier {
        return Err(CliError::usage(refused)
            .hint("`--role reviewer --channel ID` reads that channel, and `--role auditor` reads everything"));
    }
    if *scope == Scope::nothing() {
        return Err(CliError::usage(format!("{refused}: no channel is given"))
            .hint("name them with `--channel ID`, or say `--channel all`"));
    }
    Ok(())
}

fn describe(token: &Token) -> serde_json::Value {
    json!({"name": token.name, "role": token.role.as_str(), "channels": scope_json(&token.scope), "expires": rfc3339(token.expires), "revoked": token.revoked, "last_use": token.last_use.map(rfc3339)})
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let access = Access::open(&archive.layout, context.clock.clone())?;
    match &args.verb {
        Verb::Create { name, rights, expires } => {
            let (role, scope) = rights.granted()?;
            refuse_useless(role, &scope)?;
            let ends = context.clock.now() + chrono::TimeDelta::days(*expires);
            let (secret, token) = access.create_token(name, role, &scope, ends)?;
            if context.output.json {
                context.output.json(&json!({"token": secret.expose_secret(), "name": token.name, "role": token.role.as_str(), "expires": rfc3339(token.expires)}))?;
            } else {
                context.output.data(secret.expose_secret())?;
                context.output.say(&format!(
                    "{} may read as {} until {}; this is the only time its secret is shown",
                    token.name,
                    token.role.as_str(),
                    rfc3339(token.expires)
                ));
            }
        }
        Verb::List => {
            let tokens = access.tokens()?;
            if context.output.json {
                context.output.json(&tokens.iter().map(describe).collect::<Vec<_>>())?;
            } else {
                for token in tokens {
                    let revoked = if token.revoked { "  revoked" } else { "" };
                    context.output.data(&format!(
                        "{}  {}  until {}{revoked}",
                        token.name,
                        token.role.as_str(),
                        rfc3339(token.expires)
                    ))?;
                }
            }
        }
        Verb::Revoke { name } => {
            let token = access.revoke_token(name)?;
            if context.output.json {
                context.output.json(&describe(&token))?;
            } else {
                context.output.data(&format!("{} is revoked", token.name))?;
            }
        }
    }
    Ok(Exit::Done)
}
