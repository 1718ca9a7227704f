use std::collections::HashMap;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::api::{Credentials, Patience};
use crate::app::{self, Archive};
use crate::cli::output::read_secret;
use crate::cli::{CliError, Context, Exit};
use crate::model::rfc3339;
use crate::store::AccountRow;
use crate::store::keys::{AccountFile, KeyError, account_name};

/// The archived accounts: list, disable, enrol many
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Name them with their state, last success and reason
    List,
    /// Crawl no more with an account; what it saw stays
    Disable {
        /// Its name, as `account list` has it
        name: String,
        /// Why, for those who come later
        #[arg(long)]
        reason: Option<String>,
    },
    /// Enrol many from a CSV file: `username,password_file,token_file,live,reason`
    Import {
        /// The file, with a header line
        csv: PathBuf,
    },
}

#[derive(Debug, Serialize)]
struct Listed {
    account: String,
    user_id: String,
    state: String,
    last_success: Option<String>,
    live: bool,
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    match &args.verb {
        Verb::List => {}
        Verb::Disable { name, reason } => {
            let name = account_name(name);
            let mut file = match archive.keys.account(&name) {
                Err(KeyError::Absent { .. }) => return Err(app::Error::UnknownAccount(name).into()),
                other => other?,
            };
            file.disabled = true;
            file.reason.clone_from(reason);
            archive.keys.store_account(&name, &file)?;
        }
        Verb::Import { csv } => import(context, &archive, csv)?,
    }
    print(context, &archive)
}

/// The rows of a small CSV file: quotes as RFC 4180 has them, one header line.
fn rows(text: &str) -> Result<Vec<HashMap<String, String>>, CliError> {
    let mut lines = Vec::new();
    let mut line: Vec<String> = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quoted, c) {
            (true, '"') if chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            (true, '"') => quoted = false,
            (false, '"') if field.is_empty() => quoted = true,
            (false, ',') => line.push(std::mem::take(&mut field)),
            (false, '\n') => {
                line.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut line));
            }
            (false, '\r') => {}
            (_, other) => field.push(other),
        }
    }
    if quoted {
        return Err(CliError::usage("the CSV file ends inside a quoted field"));
    }
    if !field.is_empty() || !line.is_empty() {
        line.push(field);
        lines.push(line);
    }
    let mut lines = lines.into_iter();
    let header = lines.next().ok_or_else(|| CliError::usage("the CSV file is empty"))?;
    if !header.iter().any(|name| name.trim() == "username") {
        return Err(CliError::usage(
            "the CSV file's first line must name its columns: username,password_file,token_file,live,reason",
        ));
    }
    Ok(lines
        .filter(|line| line.iter().any(|field| !field.trim().is_empty()))
        .map(|line| {
            header
                .iter()
                .map(|name| name.trim().to_owned())
                .zip(line.into_iter().map(|field| field.trim().to_owned()))
                .collect()
        })
        .collect())
}

fn import(context: &Context, archive: &Archive, csv: &std::path::Path) -> Result<(), CliError> {
    let text = fs_err::read_to_string(csv).map_err(|error| CliError::other(error.to_string()))?;
    let mut failed = 0;
    for row in rows(&text)? {
        let get = |name: &str| row.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let Some(username) = get("username") else {
            return Err(CliError::usage("a line of the CSV file has no username"));
        };
        let file = AccountFile {
            username: String::new(),
            user_id: String::new(),
            token: String::new(),
            password: None,
            plain: false,
            live: get("live").is_some_and(|text| matches!(text, "true" | "1" | "yes")),
            disabled: false,
            reason: get("reason").map(str::to_owned),
        };
        let credentials = match (get("password_file"), get("token_file")) {
            (Some(path), _) => {
                Credentials::Digest { username: username.to_owned(), password: read_secret(Some(path.as_ref()), "")? }
            }
            (None, Some(path)) => Credentials::Token(read_secret(Some(path.as_ref()), "")?),
            (None, None) => {
                return Err(CliError::usage(format!(
                    "the line of {username} names neither a password file nor a token file"
                )));
            }
        };
        let outcome = context.block_on(async {
            let connection = archive.connect(Patience::brief(), None)?;
            archive.login(&connection, Some(username), &credentials, file).await
        })?;
        if let Err(error) = outcome {
            failed += 1;
            context.output.say(&format!("{username}: {error}"));
        }
    }
    if failed > 0 {
        Err(CliError::new(Exit::Refused, format!("{failed} accounts could not be enrolled; the others are")))
    } else {
        Ok(())
    }
}

fn print(context: &Context, archive: &Archive) -> Result<Exit, CliError> {
    let known: HashMap<String, AccountRow> =
        archive.reader.accounts()?.into_iter().map(|row| (row.name.clone(), row)).collect();
    let mut listed = Vec::new();
    for name in archive.keys.account_names()? {
        let file = archive.keys.account(&name)?;
        let row = known.get(&name);
        // What is wrong now goes before why it was enrolled.
        let trouble = row.filter(|row| !file.disabled && row.state != "ok").and_then(|row| row.reason.clone());
        listed.push(Listed {
            account: name,
            user_id: file.user_id,
            state: if file.disabled {
                "disabled".to_owned()
            } else {
                row.map_or_else(|| "ok".to_owned(), |row| row.state.clone())
            },
            last_success: row.and_then(|row| row.last_success).map(rfc3339),
            live: file.live,
            reason: trouble.or(file.reason).or_else(|| row.and_then(|row| row.reason.clone())),
        });
    }
    if context.output.json {
        context.output.json(&listed)?;
    } else if listed.is_empty() {
        context.output.say("no account is enrolled yet: `teamchat-archive login --username NAME`");
    } else {
        for account in &listed {
            let last = account.last_success.as_deref().unwrap_or("never crawled");
            let live = if account.live { ", live" } else { "" };
            let reason = account.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            context.output.data(&format!("{}  {}{live}  {last}{reason}", account.account, account.state))?;
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn quoted_fields_and_empty_lines() {
        let found = rows("username,reason\r\na@b.example,\"said \"\"yes\"\", then no\"\n\n").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["reason"], "said \"yes\", then no");
        assert!(rows("name,reason\nx,y\n").is_err());
        assert!(rows("username\n\"open").is_err());
    }
}
