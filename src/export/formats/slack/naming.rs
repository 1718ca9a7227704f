//! Ids and folders that readers of Slack's exports take.

use std::collections::{HashMap, HashSet};

use crate::export::names::Names;
use crate::export::paths::safe;
use crate::model::{ChannelId, Digest, UtcTime};

/// An id of Slack's shape: the source's own where it has that shape, else a letter and a piece of its digest.
pub(super) fn slack_id(letter: char, id: &str) -> String {
    let is_one = (9..=16).contains(&id.len())
        && id.starts_with(letter)
        && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if is_one { id.to_owned() } else { format!("{letter}{}", piece(id).to_uppercase()) }
}

fn piece(id: &str) -> String {
    Digest::of(id.as_bytes()).to_string()[..12].to_owned()
}

/// The folder of each conversation.
#[derive(Debug)]
pub(super) struct Naming {
    folders: HashMap<ChannelId, String>,
    /// For conversations of which there is no observation.
    unknown: String,
}

impl Naming {
    /// Of all conversations, so that a folder is the same in each volume.
    pub(super) fn new(names: &Names, moment: UtcTime) -> Self {
        let ids: HashSet<&ChannelId> = names.conversations().collect();
        let mut wanted: Vec<(&ChannelId, String)> = ids
            .into_iter()
            .map(|id| {
                let conversation = names.conversation(id, moment);
                (id, if conversation.is_direct { slack_id('D', id.as_str()) } else { conversation.name })
            })
            .collect();
        wanted.sort();
        Self { folders: folders(&wanted), unknown: String::new() }
    }

    /// The folder of a conversation.
    pub(super) fn folder(&self, id: &ChannelId) -> &str {
        self.folders.get(id).unwrap_or(&self.unknown)
    }

    /// Gives one to a conversation of which nothing was observed.
    pub(super) fn meet(&mut self, id: &ChannelId) {
        self.folders.entry(id.clone()).or_insert_with(|| format!("conversation-{}", piece(id.as_str())));
    }
}

/// A name without what readers stumble over: they take some characters for patterns or formats, and a folder
/// for one of the lists.
fn plain(name: &str) -> String {
    let name: String = safe(name)
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ') { c } else { '_' })
        .collect();
    let mut end = name.len().min(60);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].trim().to_owned()
}

fn folders(wanted: &[(&ChannelId, String)]) -> HashMap<ChannelId, String> {
    let mut counts: HashMap<String, u32> = HashMap::new();
    for (_, name) in wanted {
        *counts.entry(plain(name).to_lowercase()).or_default() += 1;
    }
    let one = |(id, name): &(&ChannelId, String)| {
        let plain = plain(name);
        let is_good = plain == *name
            && !plain.is_empty()
            && counts.get(&plain.to_lowercase()) == Some(&1)
            && !plain.to_lowercase().ends_with(".json");
        let folder = if is_good { plain } else { format!("{plain}-{}", piece(id.as_str())) };
        ((*id).clone(), folder)
    };
    wanted.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_get_the_shape_of_slacks_and_stay_apart() {
        assert_eq!(slack_id('D', "DVZJEGLRXODLR"), "DVZJEGLRXODLR");
        let (ann, bob) = (slack_id('U', "ann@chat.example"), slack_id('U', "bob@chat.example"));
        assert!(ann != bob && ann.starts_with('U') && ann.len() == 13);
        assert!(ann.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
    }

    #[test]
    fn a_folder_is_the_name_where_that_is_safe_and_the_only_one() {
        let ids: Vec<ChannelId> = (0..8).filter_map(|n| ChannelId::parse(&format!("c{n}"))).collect();
        let names = ["general", "Twice", "twice", "../../x", "CON", "a[b]{c}", "users.json", "الميناء"];
        let wanted: Vec<(&ChannelId, String)> = ids.iter().zip(names.map(str::to_owned)).collect();
        let folders = folders(&wanted);
        let found: Vec<&str> = ids.iter().map(|id| folders[id].as_str()).collect();
        assert_eq!((found[0], found[7]), ("general", "الميناء"));
        for (folder, start) in
            found[1..7].iter().zip(["Twice-", "twice-", "_.._x-", "_CON-", "a_b__c_-", "users.json-"])
        {
            assert!(folder.starts_with(start) && folder.len() == start.len() + 12, "{folder}");
        }
        let apart: HashSet<String> = found.iter().map(|folder| folder.to_lowercase()).collect();
        assert_eq!(apart.len(), found.len());
    }
}
