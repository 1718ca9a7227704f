//! What the pages of accounts and tokens share: how rights are typed in, and how they are told.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::view::called;
use crate::history::Directory;
use crate::model::{ChannelId, Role, Scope};
use crate::store::access::{AccessError, Grant, MAX_PASSWORD, MIN_PASSWORD};
use crate::web::desk::Desk;
use crate::web::error::WebError;
use crate::web::markup::visible;
use crate::web::words::Words;

/// Channels that are listed beside a form; more are named by their ids.
const LISTED: usize = 300;
/// Channels that are named in a row.
const NAMED: usize = 4;

/// The fields of rights, as they are typed in.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) channels: String,
    #[serde(default)]
    pub(crate) all: String,
    #[serde(default)]
    pub(crate) export: String,
}

impl Asked {
    /// Those of an account that is there.
    pub(crate) fn of(role: Role, scope: &Scope, may_export: bool) -> Self {
        let flag = |is_set: bool| if is_set { "yes".to_owned() } else { String::new() };
        let channels = match scope {
            Scope::All => String::new(),
            Scope::Channels(channels) => channels.iter().map(ChannelId::as_str).collect::<Vec<_>>().join("\n"),
        };
        Self { role: role.as_str().to_owned(), channels, all: flag(*scope == Scope::All), export: flag(may_export) }
    }

    /// A new form.
    pub(crate) fn fresh() -> Self {
        Self::of(Role::Reviewer, &Scope::nothing(), false)
    }

    /// What is asked for, or what is wrong with it.
    pub(crate) fn grant(&self, w: &Words, names: &Directory) -> Result<Grant, String> {
        let role = Role::parse(&self.role).ok_or_else(|| w.say("grant-no-role"))?;
        let channels = if self.all.is_empty() { named(w, &self.channels, names)? } else { Some(Scope::All) };
        if role == Role::Auditor && matches!(channels, Some(Scope::Channels(_))) {
            return Err(w.say("grant-auditor-channels"));
        }
        let grant = Grant::new(role, channels).map_err(|_| w.say("grant-no-channels"))?;
        Ok(Grant { may_export: !self.export.is_empty(), ..grant })
    }
}

/// The channels of a text, one a line, by id or by name.
fn named(w: &Words, text: &str, names: &Directory) -> Result<Option<Scope>, String> {
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let is_called = |facts: &crate::history::ChannelFacts, name: &str| {
            !facts.is_im && facts.name.to_lowercase() == name.to_lowercase()
        };
        let by_id = names.channels.iter().find(|(id, facts)| id.as_str() == line || facts.api_id == line);
        if let Some((id, _)) = by_id {
            found.insert(id.clone());
            continue;
        }
        let name = line.strip_prefix('#').unwrap_or(line);
        let called: Vec<&ChannelId> =
            names.channels.iter().filter(|(_, facts)| is_called(facts, name)).map(|(id, _)| id).collect();
        match called.as_slice() {
            [] => return Err(w.with("grant-unknown-channel", visible(line))),
            [id] => drop(found.insert((*id).clone())),
            several => {
                let ids: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
                return Err(w.with_two("grant-several-channels", visible(line), ids.join(", ")));
            }
        }
    }
    Ok((!found.is_empty()).then_some(Scope::Channels(found)))
}

/// A channel that can be given.
pub(crate) struct Givable {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What can be given: rooms, then direct conversations, and how many are not listed.
pub(crate) fn givable(names: &Directory) -> (Vec<Givable>, Vec<Givable>, usize) {
    let mut all: Vec<(bool, String, &ChannelId)> =
        names.channels.iter().map(|(id, facts)| (facts.is_im, facts.name.to_lowercase(), id)).collect();
    all.sort();
    let rest = all.len().saturating_sub(LISTED);
    let listed = all.into_iter().take(LISTED).filter_map(|(is_im, _, id)| {
        let facts = names.channels.get(id)?;
        Some((is_im, Givable { id: id.as_str().to_owned(), name: visible(&facts.name) }))
    });
    let (ims, rooms): (Vec<_>, Vec<_>) = listed.partition(|(is_im, _)| *is_im);
    let bare = |list: Vec<(bool, Givable)>| list.into_iter().map(|(_, channel)| channel).collect();
    (bare(rooms), bare(ims), rest)
}

/// What an account or token may read, in words.
pub(crate) fn reading(w: &Words, role: Role, scope: &Scope, names: &Directory) -> String {
    let channels = match scope {
        _ if role == Role::Verifier => return w.say("reads-no-contents"),
        Scope::All => return w.say("reads-all"),
        Scope::Channels(channels) if channels.is_empty() => return w.say("reads-nothing"),
        Scope::Channels(channels) => channels,
    };
    let name = |id: &ChannelId| match names.channels.get(id) {
        Some(facts) => called(w, &visible(&facts.name), facts.is_im),
        None => visible(id.as_str()),
    };
    let mut said: Vec<String> = channels.iter().take(NAMED).map(name).collect();
    if channels.len() > NAMED {
        said.push(w.count("and-more", channels.len() - NAMED));
    }
    said.join(", ")
}

/// The roles with what each sees, in the order in which they are shown.
pub(crate) fn roles(w: &Words) -> [(&'static str, String); 4] {
    Role::ALL.map(|role| {
        let sees = match role {
            Role::Admin => w.say("role-admin"),
            Role::Auditor => w.say("role-auditor"),
            Role::Reviewer => w.say("role-reviewer"),
            Role::Verifier => w.say("role-verifier"),
        };
        (role.as_str(), sees)
    })
}

/// Why an account, token or session was not changed, for who asked for it. What is nobody's fault who
/// sits before the page is an error of the page.
pub(crate) fn refusal(w: &Words, error: &AccessError) -> Result<String, WebError> {
    Ok(match error {
        AccessError::Taken { name, .. } => w.with("refused-taken", visible(name)),
        AccessError::Unknown { name, .. } => w.with("refused-unknown", visible(name)),
        AccessError::BadName => w.say("refused-name"),
        AccessError::ShortPassword => w.count("refused-short", MIN_PASSWORD),
        AccessError::LongPassword => w.count("refused-long", MAX_PASSWORD),
        AccessError::CommonPassword => w.say("refused-common"),
        AccessError::NoChannels(_) => w.say("grant-no-channels"),
        AccessError::WrongCode => w.say("code-wrong"),
        AccessError::SetUp => w.say("setup-done"),
        AccessError::BadSetupToken => w.say("setup-bad-token"),
        AccessError::ExpiredSetupToken => w.say("setup-expired"),
        AccessError::Hash(detail) => return Err(WebError::Internal(detail.clone())),
        AccessError::Store(error) => return Err(WebError::Unlogged(error.to_string())),
    })
}

/// The page around an answer to a form: it is no view that is noted, and has no address of its own.
pub(crate) fn answering(desk: &Desk, section: &'static str, title: String, address: &str) -> super::Shell {
    let mut desk = desk.clone();
    address.clone_into(&mut desk.asked);
    let mut shell = super::Shell::new(&desk, section, title);
    shell.entry = "";
    shell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ChannelFacts;
    use crate::web::words::words;

    fn facts(api_id: &str, name: &str, is_im: bool) -> ChannelFacts {
        ChannelFacts { api_id: api_id.to_owned(), name: name.to_owned(), is_im, ..ChannelFacts::default() }
    }

    fn directory() -> Directory {
        let mut names = Directory::default();
        let all = [("C1", "legal", false), ("C2", "Ops", false), ("C3", "ops", false), ("D1", "legal", true)];
        for (id, name, is_im) in all {
            names.channels.insert(ChannelId::parse(id).unwrap(), facts(id, name, is_im));
        }
        names
    }

    fn asked(role: &str, channels: &str, all: &str) -> Result<Grant, String> {
        let asked = Asked { role: role.into(), channels: channels.into(), all: all.into(), export: String::new() };
        asked.grant(words(), &directory())
    }

    #[test]
    fn channels_are_given_by_id_or_by_name_and_never_by_guess() {
        let scope = |ids: &[&str]| Scope::Channels(ids.iter().map(|id| ChannelId::parse(id).unwrap()).collect());
        assert_eq!(asked("reviewer", " #Legal \n\nC3\nD1", "").unwrap().scope, scope(&["C1", "C3", "D1"]));
        assert_eq!(asked("reviewer", "nonsense", "yes").unwrap().scope, Scope::All);
        assert_eq!(asked("admin", "", "").unwrap().scope, Scope::nothing());
        assert_eq!(asked("auditor", "", "").unwrap().scope, Scope::All);
        for (role, channels, said) in [
            ("reviewer", "", "at least one channel"),
            ("reviewer", "#legal\n#nowhere", "#nowhere"),
            ("reviewer", "ops", "C2, C3"),
            ("auditor", "#legal", "auditor"),
            ("emperor", "#legal", "role"),
        ] {
            let error = asked(role, channels, "").unwrap_err();
            assert!(error.contains(said), "{role} {channels}: {error}");
        }
    }

    #[test]
    fn what_is_given_is_told_by_name_and_a_long_list_is_cut() {
        let (w, names) = (words(), directory());
        let of = |ids: &[&str]| Scope::Channels(ids.iter().map(|id| ChannelId::parse(id).unwrap()).collect());
        assert_eq!(reading(w, Role::Reviewer, &of(&["C1", "C9", "D1"]), &names), "#legal, C9, conversation with legal");
        assert!(reading(w, Role::Reviewer, &of(&["C1", "C2", "C3", "C4", "C5", "C6"]), &names).ends_with("and 2 more"));
        assert_eq!(reading(w, Role::Admin, &Scope::nothing(), &names), "nothing");
        assert_eq!(reading(w, Role::Auditor, &Scope::All, &names), "everything");
        assert!(reading(w, Role::Verifier, &Scope::All, &names).contains("no contents"));
    }
}
