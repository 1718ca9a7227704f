use serde_json::{Value, json};

use super::{Call, Refusal};
use crate::model::json;
use crate::record::Kind;
use crate::web::desk::Web;

/// The first account whose view is archived.
fn first_account(web: &Web) -> Result<String, Refusal> {
    web.first_account()?.map(|row| row.user_id).ok_or(Refusal::Code("account_inactive"))
}

/// `auth.test`: the first archived account.
pub(super) fn auth_test(web: &Web) -> Result<Value, Refusal> {
    let user = first_account(web)?;
    Ok(json!({"ok": true, "user": user, "user_id": user, "url": "/teamchatapi/auth.test"}))
}

fn person(web: &Web, call: &Call, id: &str) -> Result<Value, Refusal> {
    let found = call.archive(web).item(Kind::User, None, id)?;
    let newest = found.as_ref().and_then(|item| item.versions.last());
    newest.and_then(|newest| json::parse(&newest.record.body)).ok_or(Refusal::Code("user_not_found"))
}

/// `users.identity`: the first archived account's person.
pub(super) fn identity(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let id = first_account(web)?;
    // An account that is in no list of people still has its id.
    let user = match person(web, call, &id) {
        Err(Refusal::Code(_)) => {
            json!({"id": id, "name": id.split('@').next().unwrap_or_default(), "deleted": false, "profile": {"email": id}})
        }
        other => other?,
    };
    Ok(json!({"ok": true, "user": user}))
}

/// `users.info`.
pub(super) fn info(web: &Web, call: &Call) -> Result<Value, Refusal> {
    Ok(json!({"ok": true, "user": person(web, call, call.text("user").unwrap_or_default())?}))
}

/// `users.list`: everyone, or the members of a channel as they were last seen.
pub(super) fn list(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let only = match call.text("channel") {
        None => None,
        Some(_) => call.directory.channels.get(&call.channel()?).map(|facts| facts.members.clone()),
    };
    let mut members = Vec::new();
    let mut at = 0;
    for (id, (_, record)) in call.archive(web).people()? {
        at = at.max(record.header.observed().timestamp());
        if only.as_ref().is_none_or(|only| only.contains(&id)) {
            members.extend(json::parse(&record.body));
        }
    }
    Ok(json!({"ok": true, "members": members, "cache_ts": format!("{at}.000000")}))
}
