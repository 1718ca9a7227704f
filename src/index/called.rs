//! Whom and what a name in a query means. A name may mean several.

use crate::history::{ChannelFacts, Directory};
use crate::model::ChannelId;
use crate::query::tokens;

/// What a person typed for a name.
struct Called {
    typed: String,
    folded: Vec<String>,
}

/// A name without what does not matter in any text: capitals and accents.
fn folded(name: &str) -> Vec<String> {
    tokens(name).into_iter().map(|token| token.text).collect()
}

impl Called {
    fn new(typed: &str) -> Self {
        Self { typed: typed.to_lowercase(), folded: folded(typed) }
    }

    /// Whether it is this id or name, or a word of the name.
    fn names(&self, id: &str, name: &str) -> bool {
        let typed = &self.typed;
        let (id, name) = (id.to_lowercase(), name.to_lowercase());
        let is_plain = id == *typed
            || name == *typed
            || id.split('@').next() == Some(typed.as_str())
            || name.split_whitespace().any(|word| word == typed);
        // Of names in plain letters there is nothing to fold.
        let may_differ = !self.folded.is_empty() && (!name.is_ascii() || !typed.is_ascii());
        is_plain
            || may_differ
                && (folded(&name) == self.folded || name.split_whitespace().any(|word| folded(word) == self.folded))
    }
}

/// Ids of the people that `from:` and `mentions:` mean, sorted, in small letters as the index has them.
pub fn people_called(directory: &Directory, who: &str) -> Vec<String> {
    let who = Called::new(who);
    let known = directory.people.iter().filter(|(id, facts)| who.names(id, &facts.name));
    let mut ids: Vec<String> = known.map(|(id, _)| id.to_lowercase()).collect();
    ids.sort();
    ids
}

/// The channels and direct conversations that `in:` means.
pub fn channels_called<'a>(directory: &'a Directory, called: &str) -> Vec<&'a ChannelId> {
    let typed = Called::new(called);
    let is_meant = |(id, facts): &(&ChannelId, &ChannelFacts)| {
        typed.names(id.as_str(), &facts.name)
            || facts.api_id == called
            || facts.earlier_names.iter().any(|name| name.eq_ignore_ascii_case(called))
            || facts.is_im && facts.members.iter().any(|member| typed.names(member, &facts.name))
    };
    directory.channels.iter().filter(is_meant).map(|(id, _)| id).collect()
}

fn direct(directory: &Directory) -> impl Iterator<Item = (&ChannelId, &ChannelFacts)> {
    directory.channels.iter().filter(|(_, facts)| facts.is_im)
}

/// The direct conversations that `is:im` means: all.
pub fn conversations(directory: &Directory) -> Vec<&ChannelId> {
    direct(directory).map(|(id, _)| id).collect()
}

/// The direct conversations that `with:` means: those in which somebody takes part.
pub fn conversations_with<'a>(directory: &'a Directory, who: &str) -> Vec<&'a ChannelId> {
    let who = Called::new(who);
    let is_who = |id: &str| who.names(id, directory.person(id));
    direct(directory)
        .filter(|(_, facts)| facts.members.iter().any(|member| is_who(member)) || who.names("", &facts.name))
        .map(|(id, _)| id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::PersonFacts;

    #[test]
    fn a_name_means_whoever_has_it_whole_or_as_a_word() {
        let mut directory = Directory::default();
        for (id, name) in [
            ("Jana@a.example", "Jana Novak"),
            ("jana.novak@a.example", "Other"),
            ("x", "Jan"),
            ("y", "Ján Říha"),
            ("z", "林梅 (Mei Lin)"),
        ] {
            directory.people.insert(id.to_owned(), PersonFacts { name: name.to_owned(), ..PersonFacts::default() });
        }
        let mut room = |id: &str, facts: ChannelFacts| {
            directory.channels.insert(ChannelId::parse(id).unwrap(), facts);
        };
        let named = |name: &str| ChannelFacts { name: name.to_owned(), ..ChannelFacts::default() };
        room("C1", ChannelFacts { earlier_names: vec!["law".to_owned()], ..named("legal") });
        room("D1", ChannelFacts { is_im: true, members: vec!["Jana@a.example".to_owned()], ..named("Jana Novak") });
        assert_eq!(people_called(&directory, "JANA"), ["jana@a.example"]);
        assert_eq!(people_called(&directory, "jana.novak"), ["jana.novak@a.example"]);
        assert_eq!(people_called(&directory, "riha"), ["y"]);
        assert_eq!(people_called(&directory, "jan"), ["x", "y"]);
        assert_eq!(people_called(&directory, "林梅"), ["z"]);
        assert_eq!(people_called(&directory, "..."), Vec::<String>::new());
        assert_eq!(people_called(&directory, "nobody"), Vec::<String>::new());
        let ids = |found: Vec<&ChannelId>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ids(channels_called(&directory, "Law")), ["C1"]);
        assert_eq!(ids(channels_called(&directory, "jana")), ["D1"]);
        assert_eq!(ids(conversations_with(&directory, "novak")), ["D1"]);
        assert_eq!(ids(conversations_with(&directory, "legal")), Vec::<String>::new());
    }
}
