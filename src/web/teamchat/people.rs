use serde_json::{Value, json};

use super::{Call, Refusal};
use crate::model::json;
use crate::record::Kind;
use crate::web::Web;

/// The first account whose view is archived.
fn first_account(web: &Web) -> Result<String, Refusal> {
    let accounts = web.reader.accounts()?;
    accounts.into_iter().next().map(|row| row.user_id).ok_or(Refusal::Code("account_inactive"))
}

/// `auth.test`: the first archived account.
pub(super) fn auth_test(web: &Web) -> Result<Value, Refusal> {
    let user = first_account(web)?;
    Ok(json!({"ok": true, "user": user, "user_id": user, "url": "/teamchatapi/auth.test"}))
}

fn person(web: &Web, id: &str) -> Result<Value, Refusal> {
    let rows = web.reader.versions(Kind::User, crate::store::FIRST_SOURCE, None, id)?;
    let row = rows.last().ok_or(Refusal::Code("user_not_found"))?;
    json::parse(&web.reader.record(row.seq)?.body).ok_or(Refusal::Code("user_not_found"))
}

/// `users.identity`: the first archived account's person.
pub(super) fn identity(web: &Web) -> Result<Value, Refusal> {
    let id = first_account(web)?;
    // An account that is in no list of people still has its id.
    let user = match person(web, &id) {
        Err(Refusal::Code(_)) => {
            json!({"id": id, "name": id.split('@').next().unwrap_or_default(), "deleted": false, "profile": {"email": id}})
        }
        other => other?,
    };
    Ok(json!({"ok": true, "user": user}))
}

/// `users.info`.
pub(super) fn info(web: &Web, call: &Call) -> Result<Value, Refusal> {
    Ok(json!({"ok": true, "user": person(web, call.text("user").unwrap_or_default())?}))
}

/// `users.list`: everyone, or the members of a channel as they were last seen.
pub(super) fn list(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let only = match call.text("channel") {
        None => None,
        Some(_) => call.directory.channels.get(&call.channel()?).map(|facts| facts.members.clone()),
    };
    let mut members = Vec::new();
    let mut newest = crate::model::RecordSeq(0);
    for (id, row) in web.reader.newest(Kind::User)? {
        newest = newest.max(row.seq);
        if only.as_ref().is_none_or(|only| only.contains(&id)) {
            members.extend(json::parse(&web.reader.record(row.seq)?.body));
        }
    }
    let at = web.reader.record(newest).map_or(0, |record| record.header.observed().timestamp());
    Ok(json!({"ok": true, "members": members, "cache_ts": format!("{at}.000000")}))
}
