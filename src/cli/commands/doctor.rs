use std::path::PathBuf;

use serde::Serialize;

use crate::api::{self, HistoryWindow, Patience};
use crate::app;
use crate::cli::{CliError, Context, Exit};
use crate::config::{Config, ServerSection};
use crate::model::{Clock, MessageTs};

/// Check this installation, and what is believed of a server
///
/// Without --server: the archive's directory, settings, keys, index. With it: asks the server, read-
/// only, and says of each assumption that the crawl rests on whether it is confirmed, contradicted
/// or not testable. The report names no person and holds no text: it can be sent to us.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive doctor\n  teamchat-archive doctor --server https://chat.example.com/teamchatapi/ --report doctor.json"
)]
pub(crate) struct Args {
    /// The server to ask; with an archive of it, its account is used
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Write the report here as well
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Confirmed,
    Contradicted,
    NotTestable,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
}

fn check(name: &'static str, holds: bool, detail: impl Into<String>) -> Check {
    Check { name, verdict: if holds { Verdict::Confirmed } else { Verdict::Contradicted }, detail: detail.into() }
}

fn untestable(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::NotTestable, detail: detail.into() }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let mut checks = Vec::new();
    match &args.server {
        None => installation(context, &mut checks),
        Some(server) => context.block_on(server_checks(context, server, &mut checks))??,
    }
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Contradicted).count();
    let value = serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "checks": checks});
    if let Some(path) = &args.report {
        let text = serde_json::to_string_pretty(&value).map_err(|error| CliError::other(error.to_string()))?;
        fs_err::write(path, text)?;
    }
    if context.output.json {
        context.output.json(&value)?;
    } else {
        for check in &checks {
            let word = match check.verdict {
                Verdict::Confirmed => "ok      ",
                Verdict::Contradicted => "PROBLEM ",
                Verdict::NotTestable => "unknown ",
            };
            context.output.data(&format!("{word} {}: {}", check.name, check.detail))?;
        }
    }
    Ok(if failed > 0 { Exit::Failure } else { Exit::Done })
}

/// What can be said of this machine's side.
fn installation(context: &Context, checks: &mut Vec<Check>) {
    let archive = match context.archive() {
        Ok(archive) => archive,
        Err(error) => {
            checks.push(check("archive", false, error.message()));
            return;
        }
    };
    checks.push(check("archive", true, format!("{} opens for reading", archive.layout.root().display())));
    match archive.key_state() {
        Ok(state) => {
            let detail = match state.ledger.private.as_str() {
                "kept" => format!("the key that the archive names, {}, is kept", state.ledger.key_id),
                other => format!("{}: {other}", state.ledger.path.display()),
            };
            checks.push(check("signing key", state.ledger.private == "kept", detail));
            if let Some(previous) = state.previous.filter(|previous| previous.may_be_destroyed) {
                let detail = format!(
                    "{} signs no more and may be destroyed: {}",
                    previous.place.key_id,
                    previous.place.path.display()
                );
                checks.push(untestable("retired key", detail));
            }
        }
        Err(error) => checks.push(check("signing key", false, CliError::from(error).message())),
    }
    let inside = std::path::absolute(archive.keys.folder())
        .ok()
        .zip(std::path::absolute(archive.layout.root()).ok())
        .is_some_and(|(keys, root)| keys.starts_with(root));
    checks.push(check("keys apart", !inside, "keys lie outside the archive's directory"));
    match archive.keys.account_names() {
        Ok(names) => checks.push(check("accounts", !names.is_empty(), format!("{} enrolled", names.len()))),
        Err(error) => checks.push(check("accounts", false, error.to_string())),
    }
    match archive.reader.newest_checkpoint() {
        Ok(Some((checkpoint, _, _))) => checks.push(check(
            "checkpoint",
            archive.reader.continues(&checkpoint).is_ok(),
            "the archive continues its newest checkpoint",
        )),
        Ok(None) => checks.push(untestable("checkpoint", "none was signed yet")),
        Err(error) => checks.push(check("checkpoint", false, error.to_string())),
    }
    match archive.reader.head() {
        Ok(head) => {
            let index = crate::index::status(&archive.layout, head);
            checks.push(check(
                "index",
                index.lag == 0,
                format!("reaches record {}, {} behind", index.record, index.lag),
            ));
        }
        Err(error) => checks.push(check("index", false, error.to_string())),
    }
    let writable = archive.layout.lock();
    checks.push(match writable {
        Ok(_) => check("writer", true, "nobody else writes"),
        Err(crate::store::Error::Locked { .. }) => untestable("writer", "a crawl is running"),
        Err(error) => check("writer", false, error.to_string()),
    });
}

/// What can be said of a server: each belief of the protocol notes that reading can test.
async fn server_checks(context: &Context, server: &str, checks: &mut Vec<Check>) -> Result<(), CliError> {
    let archive = context.archive().ok();
    let mut config = if let Some(archive) = &archive {
        archive.config.clone()
    } else {
        let server = ServerSection { url: server.to_owned(), ..ServerSection::default() };
        let config = Config { server, ..Config::default() };
        Config::parse(&config.to_text()?, "the settings", &context.environment)?
    };
    server.clone_into(&mut config.server.url);
    let connection = app::connect(&config, Patience::brief(), None, &Clock::System)?;
    connection.probe().await?;
    checks.push(check("api.test", true, "the server answers as TeamChat does, under the base URL given"));
    match connection.fingerprint().await {
        Some(print) => checks.push(check("certificate", true, format!("its public key is sha256:{print}"))),
        None => checks.push(untestable("certificate", "the connection is not encrypted")),
    }
    let accounts = match &archive {
        Some(archive) if archive.reader.archive().server == connection.base().as_str() => {
            archive.accounts(&[], &connection).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let Some(account) = accounts.into_iter().next() else {
        checks.push(untestable("account", "there is no archive of this server with an account enrolled here; everything below needs one (`init`, `login`)"));
        return Ok(());
    };
    with_account(&account.reader, checks).await;
    Ok(())
}

/// Reports the outcome of a call that must work.
fn called<T>(
    name: &'static str,
    outcome: &Result<T, api::Error>,
    checks: &mut Vec<Check>,
    detail: impl FnOnce(&T) -> String,
) {
    match outcome {
        Ok(value) => checks.push(check(name, true, detail(value))),
        Err(error) => checks.push(check(
            name,
            false,
            error.code().map_or_else(|| "it did not answer".to_owned(), |code| format!("refused: {code}")),
        )),
    }
}

async fn with_account(reader: &api::Reader, checks: &mut Vec<Check>) {
    let identity = reader.auth_test().await;
    called("auth.test", &identity, checks, |_| "the token is good".to_owned());
    if let Ok((identity, _)) = &identity {
        checks.push(check("user id is a mail address", identity.user_id.contains('@'), "protocol notes 1.2"));
    }
    let channels = reader.channels_list().await;
    called("channels.list", &channels, checks, |page| format!("{} channels", page.items.len()));
    let ims = reader.im_list().await;
    called("im.list", &ims, checks, |page| format!("{} conversations", page.items.len()));
    called("users.list", &reader.users_list(None).await, checks, |page| {
        format!("{} people without naming a channel", page.items.len())
    });
    let Ok(channels) = channels else { return };
    let views: Vec<&api::wire::Channel> = channels.items.iter().filter_map(|item| item.view.as_ref()).collect();
    let cut = views.iter().filter(|channel| channel.roster_is_cut()).count();
    checks.push(check("rosters are whole", cut == 0, format!("{cut} channels list fewer members than they have")));
    let mut tested = None;
    for channel in &views {
        let window = HistoryWindow { oldest: MessageTs::MIN, latest: MessageTs::MAX, count: 3 };
        if let Ok(page) = reader.channels_history(&channel.id, window).await
            && page.items.len() == 3
        {
            tested = Some((channel.id.clone(), page));
            break;
        }
    }
    let Some((channel, page)) = tested else {
        checks.push(untestable("history", "no channel has three messages to test with"));
        return;
    };
    let stamps: Vec<Option<MessageTs>> =
        page.items.iter().map(|item| item.view.as_ref().and_then(api::wire::Message::parsed_ts)).collect();
    checks.push(check("time stamps", stamps.iter().all(Option::is_some), "seconds, a point, six digits"));
    let stamps: Vec<MessageTs> = stamps.into_iter().flatten().collect();
    checks.push(check(
        "newest first",
        stamps.windows(2).all(|pair| pair[0] >= pair[1]),
        "channels.history gives the newest first",
    ));
    checks.push(check("has_more", page.has_more.is_some(), "channels.history says whether there is more"));
    if let [_, middle, last] = stamps.as_slice() {
        let bounded =
            reader.channels_history(&channel, HistoryWindow { oldest: *last, latest: *middle, count: 10 }).await;
        let inclusive = bounded.as_ref().is_ok_and(|page| {
            let found: Vec<MessageTs> = page
                .items
                .iter()
                .filter_map(|item| item.view.as_ref().and_then(api::wire::Message::parsed_ts))
                .collect();
            found.contains(middle) && found.contains(last) && found.iter().all(|ts| (*last..=*middle).contains(ts))
        });
        checks.push(check(
            "bounds are inclusive",
            inclusive,
            "inclusive=1 with both bounds gives both ends and nothing outside",
        ));
        let item = reader.items_info(&channel, &last.to_string()).await;
        called("items.info", &item, checks, |_| "one message by its time stamp".to_owned());
        let absent = reader.items_info(&channel, "1000000000.000001").await;
        checks.push(check(
            "message_not_found",
            absent.as_ref().err().and_then(api::Error::code) == Some("message_not_found"),
            "the code for a message that is not there, which deletions rest on",
        ));
        called(
            "channels.atom.history",
            &reader
                .channels_atom_history(&channel, HistoryWindow { oldest: *last, latest: MessageTs::MAX, count: 3 })
                .await,
            checks,
            |(feed, _)| format!("{} entries", feed.entries.len()),
        );
    }
    let reacts = page.items.iter().any(|item| item.view.as_ref().is_some_and(|view| view.reactions.is_some()));
    checks.push(if reacts {
        check("reactions in history", true, "messages carry them")
    } else {
        untestable("reactions in history", "none of the messages looked at has any")
    });
    let files = reader.files_list(&channel, None, 1, 1).await;
    called("files.list", &files, checks, |(page, _)| format!("{} files on the first page of one", page.items.len()));
    called("pins.list", &reader.pins_list(&channel).await, checks, |page| format!("{} pins", page.items.len()));
    checks.push(untestable(
        "what this account cannot see",
        "private messages between others, rooms it is not in, whispers to others",
    ));
}
