//! A direct conversation by the names of both who talk in it.

use std::collections::BTreeSet;

use super::captured::Captured;
use crate::history::{ChannelFacts, Directory};
use crate::store::Error;
use crate::web::desk::Desk;
use crate::web::markup::visible;

/// Both who talk: the other, and whose account walked it. Nothing where that does not give two known people.
pub(crate) fn pair(
    desk: &Desk,
    names: &Directory,
    facts: &ChannelFacts,
    captured: &Captured,
) -> Result<Option<String>, Error> {
    if !facts.is_im {
        return Ok(None);
    }
    let mut people: BTreeSet<String> = facts.members.iter().cloned().collect();
    for account in desk.web().accounts()? {
        if captured.walks.iter().any(|(name, _)| *name == visible(&account.name)) {
            people.insert(account.user_id);
        }
    }
    let known: Vec<String> =
        people.iter().filter_map(|id| names.people.get(id)).map(|person| visible(&person.name)).collect();
    Ok(match known.as_slice() {
        [one, other] if people.len() == 2 => Some(desk.w.with_two("two-people", one, other)),
        _ => None,
    })
}
