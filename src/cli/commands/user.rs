use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::output::{read_secret, visible};
use crate::cli::{CliError, Context, Exit};
use crate::model::{ChannelId, Role, Scope};
use crate::store::access::{Access, Grant, User, scope_for};

/// Accounts for the web interface
///
/// An admin manages accounts and tokens and reads nothing unless channels are given to it; an auditor reads everything;
/// a reviewer reads the channels that it is given; a verifier sees verification and coverage only. Whoever tries
/// passwords waits longer and longer, and nobody is ever locked out: there is nothing to unlock.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive user add ada --role auditor --export yes\n  teamchat-archive user add bo --channel C0123 --channel C0456 --password-file -\n  teamchat-archive user set-role bo --channel all"
)]
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
        #[command(flatten)]
        exporting: Exporting,
        /// File with the password; `-` is standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Name them
    List,
    /// Refuse one from now on, and end its sessions
    Disable {
        /// Sign-in name
        name: String,
    },
    /// Let one in again that was refused
    Enable {
        /// Sign-in name
        name: String,
    },
    /// Give one another role, other channels and the right to export, and end its sessions
    SetRole {
        /// Sign-in name
        name: String,
        #[command(flatten)]
        rights: Rights,
        #[command(flatten)]
        exporting: Exporting,
    },
    /// Ask one for no second factor any more: whoever holds it lost what makes the codes
    ResetFactor {
        /// Sign-in name
        name: String,
    },
    /// Give one another password, and end its sessions
    SetPassword {
        /// Sign-in name
        name: String,
        /// File with the password; `-` is standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

/// Whether an account may take sets away: a right of its own, which no role has by itself.
#[derive(Debug, clap::Args)]
struct Exporting {
    /// Whether it may export what it reads; auditors need it, too
    #[arg(long, value_name = "YES|NO", default_value = "no")]
    export: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Answer {
    Yes,
    No,
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
    json!({"name": user.name, "role": user.role.as_str(), "channels": scope_json(&user.scope), "may_export": user.may_export, "second_factor": user.has_factor, "disabled": user.disabled, "created": user.created})
}

/// An account in a line.
fn line(user: &User) -> String {
    let exports = if user.may_export { "  may export" } else { "" };
    let factor = if user.has_factor { "  second factor" } else { "" };
    let disabled = if user.disabled { "  disabled" } else { "" };
    format!("{}  {}{exports}{factor}{disabled}", visible(&user.name), user.role.as_str())
}

fn granted(rights: &Rights, exporting: &Exporting) -> Result<Grant, CliError> {
    let (role, scope) = rights.granted()?;
    Ok(Grant { role, scope, may_export: exporting.export == Answer::Yes })
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
                    context.output.data(&line(&user))?;
                }
            }
            return Ok(Exit::Done);
        }
        Verb::Add { name, rights, exporting, password_file } => {
            let grant = granted(rights, exporting)?;
            let password = read_secret(password_file.as_deref(), "password for the new account: ")?;
            let user = access.add_user(name, &grant, &password)?;
            // It makes no account any more, wherever it still lies.
            if let Err(error) = archive.keys.remove_setup_token() {
                context
                    .output
                    .say(&format!("the set-up token, which opens nothing any more, can't be removed: {error}"));
            }
            user
        }
        Verb::Disable { name } => access.disable_user(name)?,
        Verb::Enable { name } => access.enable_user(name)?,
        Verb::ResetFactor { name } => access.turn_factor_off(name)?,
        Verb::SetRole { name, rights, exporting } => access.set_role(name, &granted(rights, exporting)?)?,
        Verb::SetPassword { name, password_file } => {
            let password = read_secret(password_file.as_deref(), "new password: ")?;
            access.set_password(name, &password)?
        }
    };
    if context.output.json {
        context.output.json(&user_json(&user))?;
    } else {
        context.output.data(&line(&user))?;
    }
    Ok(Exit::Done)
}
