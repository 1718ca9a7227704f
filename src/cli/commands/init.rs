use std::path::PathBuf;

use serde_json::json;

use crate::app::{self, NewArchive};
use crate::cli::{CliError, Context, Exit};

/// Make an archive for one server
///
/// Asks the server whether it is TeamChat, then makes the directory, its databases and a signing
/// key. The key lies outside the archive: back it up apart from it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive init --server https://chat.example.com/teamchatapi/\n  teamchat-archive --archive /srv/chat init --server https://10.0.0.5/teamchatapi/ --pin sha256:ab12…"
)]
pub(crate) struct Args {
    /// Base URL of TeamChat's API
    #[arg(long, value_name = "URL")]
    server: String,
    /// Trust only a server with this public key (the way to trust a self-signed certificate)
    #[arg(long, value_name = "sha256:HEX", conflicts_with = "ca")]
    pin: Option<String>,
    /// Trust certificates signed by those in this PEM file, too
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the archive's keys go instead of the configuration folder
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let new = NewArchive {
        root: &context.global.archive,
        server: &args.server,
        pin: args.pin.clone(),
        ca: args.ca.clone(),
        keys_dir: args.keys_dir.clone(),
    };
    let (archive, fingerprint) = context.block_on(async {
        let archive = app::create(&new, &context.environment, &context.clock).await?;
        let connection = archive.connect(crate::api::Patience::brief(), None)?;
        Ok::<_, CliError>((archive, connection.fingerprint().await))
    })??;
    let row = archive.reader.archive();
    let key_id = archive.reader.own_key().map(|key| key.id()).unwrap_or_default();
    if context.output.json {
        context.output.json(&json!({
            "archive": archive.layout.root(),
            "archive_id": row.id.to_string(),
            "server": row.server,
            "key_id": key_id,
            "fingerprint": fingerprint.map(|digest| format!("sha256:{digest}")),
        }))?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "archive     {}\nid          {}\nserver      {}\nkey         {key_id}, in {}\n",
        archive.layout.root().display(),
        row.id,
        row.server,
        archive.keys.folder().display()
    );
    if let Some(fingerprint) = fingerprint {
        text.push_str(&format!("certificate sha256:{fingerprint}\n"));
    }
    context.output.data(&text)?;
    context.output.say("next: enrol an account whose view is archived: `teamchat-archive login --username NAME`");
    Ok(Exit::Done)
}
