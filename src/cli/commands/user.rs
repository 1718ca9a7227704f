use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::output::read_secret;
use crate::cli::{CliError, Context, Exit};
use crate::model::{ChannelId, Role, Scope};
use crate::store::access::{Access, User, scope_for};

/// Accounts for the web interface
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add one
    Add {
        /// Sign-in name
        name: String,
        #[command(flatten)]
        rights: Rights,
        /// File with the password; `-` is standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Name them
    List,
    /// Refuse one from now on
    Disable {
        /// Sign-in name
        name: String,
    },
    /// Give one another role
    SetRole {
        /// Sign-in name
        name: String,
        #[command(flatten)]
        rights: Rights,
    },
}

/// What an account or token may do and see.
#[derive(Debug, clap::Args)]
pub(super) struct Rights {
    /// admin manages accounts; auditor reads everything; reviewer reads the channels it is given;
    /// verifier sees verification and coverage only
    #[arg(long, value_name = "ROLE", default_value = "reviewer", value_parser = parse_role)]
    role: Role,
    /// A channel it may read (may be repeated), or `all`
    #[arg(long, value_name = "ID")]
    channel: Vec<String>,
}

fn parse_role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "a role is admin, auditor, reviewer or verifier".to_owned())
}

impl Rights {
    pub(super) fn granted(&self) -> Result<(Role, Scope), CliError> {
        let is_all = self.channel.iter().any(|channel| channel == "all");
        if self.role == Role::Auditor && !self.channel.is_empty() && !is_all {
            return Err(CliError::usage("an auditor reads everything, and channels are named")
                .hint("a reviewer reads the channels it is given: `--role reviewer`"));
        }
        if self.channel.iter().any(|channel| channel == "*") {
            return Err(CliError::usage("`*` is no channel").hint("`--channel all` means every one"));
        }
        let scope = match self.channel.as_slice() {
            [] => None,
            channels if channels.iter().any(|channel| channel == "all") => Some(Scope::All),
            channels => Some(Scope::Channels(channels.iter().filter_map(|id| ChannelId::parse(id)).collect())),
        };
        Ok((self.role, scope_for(self.role, scope)?))
    }
}

pub(super) fn scope_json(scope: &Scope) -> Value {
    match scope {
        Scope::All => json!("all"),
        Scope::Channels(channels) => json!(channels.iter().map(ChannelId::as_str).collect::<Vec<_>>()),
    }
}

fn user_json(user: &User) -> Value {
    json!({"name": user.name, "role": user.role.as_str(), "channels": scope_json(&user.scope), "disabled": user.disabled, "created": user.created})
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let access = Access::open(&archive.layout, context.clock.clone())?;
    let user = match &args.verb {
        Verb::List => {
            let users = access.users()?;
            if context.output.json {
                context.output.json(&users.iter().map(user_json).collect::<Vec<_>>())?;
            } else {
                for user in users {
                    let disabled = if user.disabled { "  disabled" } else { "" };
                    context.output.data(&format!("{}  {}{disabled}", user.name, user.role.as_str()))?;
                }
            }
            return Ok(Exit::Done);
        }
        Verb::Add { name, rights, password_file } => {
            let (role, scope) = rights.granted()?;
            let password = read_secret(password_file.as_deref(), "password for the new account: ")?;
            access.add_user(name, role, &scope, &password)?
        }
        Verb::Disable { name } => access.disable_user(name)?,
        Verb::SetRole { name, rights } => {
            let (role, scope) = rights.granted()?;
            access.set_role(name, role, &scope)?
        }
    };
    if context.output.json {
        context.output.json(&user_json(&user))?;
    } else {
        context.output.data(&format!(
            "{} is {}{}",
            user.name,
            user.role.as_str(),
            if user.disabled { ", disabled" } else { "" }
        ))?;
    }
    Ok(Exit::Done)
}
