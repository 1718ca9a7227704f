//! The members of a channel whose list the server cuts in `channels.list` (protocol notes 1.1).

use serde_json::json;

use super::Error;
use super::pass::{ChannelTask, Pass};
use super::people::Sight;
use crate::api;
use crate::model::Digest;
use crate::record::Kind;

/// Reads the whole roster where the list of channels does not name all members. Another set of
/// members is a new version, and people who stand nowhere else are recorded like all others. What
/// cannot be had stays a limit of the coverage.
pub(super) async fn roster(pass: &Pass<'_>, task: &ChannelTask) -> Result<(), Error> {
    let Some(of) = task.cut_roster else { return Ok(()) };
    let page = match pass.reader.users_list(Some(&task.api_id)).await {
        Err(api::Error::Refused { code, .. }) => {
            tracing::debug!(channel.id = %task.id, code, "the roster was refused");
            return Ok(());
        }
        other => other?,
    };
    let members: Vec<&str> =
        page.items.iter().filter_map(|item| item.view.as_ref()).map(|user| user.id.as_str()).collect();
    // A server that does not look at the channel gives everyone it knows.
    let is_plausible = i64::try_from(members.len()).is_ok_and(|count| count <= of);
    if !page.is_whole || members.is_empty() || !is_plausible {
        tracing::debug!(channel.id = %task.id, of, named = members.len(), "the roster can't be used");
        return Ok(());
    }

    let mut listed = pass.listed_people.lock().await;
    let mut seen = Sight::new(pass, Kind::User, "users.list", page.received_at)?;
    for item in &page.items {
        let Some(user) = item.view.as_ref().filter(|user| !user.id.is_empty()) else { continue };
        if listed.insert(user.id.clone()) {
            let known = pass.store.versions(Kind::User, pass.source, None, &user.id)?.last().copied();
            seen.look(None, &user.id, known, &item.bytes)?;
        }
    }
    seen.keep().await?;
    drop(listed);

    let known = pass.store.versions(Kind::Roster, pass.source, Some(&task.id), task.id.as_str())?.last().copied();
    let mut seen = Sight::new(pass, Kind::Roster, "users.list", page.received_at)?;
    let reply = Digest::of(&page.reply.bytes).to_string();
    let note = json!({"roster": {"members": members, "of": of, "reply": reply}});
    seen.look(Some(&task.id), task.id.as_str(), known, note.to_string().as_bytes())?;
    seen.keep().await
}
