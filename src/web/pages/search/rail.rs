//! What the matches have in common, to choose from: between facets all must hold, within one any.

use super::asked::Asked;
use crate::history::Directory;
use crate::index::{Facet, FacetCounts};
use crate::model::ChannelId;
use crate::web::desk::Desk;
use crate::web::markup::visible;
use crate::web::pages::view::channel_name;
use crate::web::words::Words;

/// In which order facets are shown.
const ORDER: [Facet; 6] =
    [Facet::State, Facet::Channel, Facet::Author, Facet::Kind, Facet::Extension, Facet::Extraction];
/// Values of a facet that are seen at once; chosen ones always are.
const SEEN: usize = 6;
/// Values that unfold below them.
const UNFOLDED: usize = 24;
/// Values that are listed when a facet's own list is asked for.
const LISTED: usize = 500;

/// The values of a facet, with links that choose them or take the choice back.
pub(crate) struct FacetView {
    pub(crate) facet: Facet,
    pub(crate) name: String,
    pub(crate) seen: Vec<ValueView>,
    /// Those that unfold.
    pub(crate) rest: Vec<ValueView>,
    pub(crate) is_open: bool,
    /// Values that are in neither list.
    pub(crate) hidden: usize,
    /// There are so many that one would look for some by name.
    pub(crate) is_long: bool,
    pub(crate) like: String,
    /// What the form keeps that looks for some by name.
    pub(crate) kept: Vec<(&'static str, String)>,
}

pub(crate) struct ValueView {
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) href: String,
    pub(crate) is_chosen: bool,
}

/// Names of what facets have as values.
pub(crate) struct Names<'a> {
    w: &'static Words,
    directory: &'a Directory,
}

impl<'a> Names<'a> {
    pub(crate) fn new(desk: &Desk, directory: &'a Directory) -> Self {
        Self { w: desk.w, directory }
    }

    /// Of a channel or direct conversation.
    pub(crate) fn channel(&self, channel: &ChannelId) -> String {
        channel_name(self.w, channel, self.directory)
    }

    /// Of somebody, by an id in letters of any size: the index has ids of people in small letters, and there may
    /// be too many people to do the same with all of them for a page.
    pub(crate) fn person(&self, id: &str) -> String {
        if id.is_empty() {
            return self.w.say("nobody");
        }
        let people = &self.directory.people;
        let found = people
            .get(id)
            .or_else(|| people.get(&id.to_uppercase()))
            .or_else(|| people.iter().find(|(known, _)| known.eq_ignore_ascii_case(id)).map(|(_, facts)| facts));
        visible(found.map_or(id, |facts| facts.name.as_str()))
    }

    pub(crate) fn of(&self, facet: Facet, value: &str) -> String {
        let w = self.w;
        match (facet, value) {
            (Facet::Channel, value) => ChannelId::parse(value).map_or_else(|| visible(value), |id| self.channel(&id)),
            (Facet::Author, value) => self.person(value),
            (Facet::Kind, "message") => w.say("kind-messages"),
            (Facet::Kind, "comment") => w.say("kind-comments"),
            (Facet::Kind, "file") => w.say("kind-files"),
            (Facet::State, "current") => w.say("state-current"),
            (Facet::State, "edited") => w.say("state-edited"),
            (Facet::State, "deleted") => w.say("state-deleted"),
            (Facet::Extraction, "ok") => w.say("reading-ok"),
            (Facet::Extraction, "partial") => w.say("reading-partial"),
            (Facet::Extraction, "encrypted") => w.say("reading-encrypted"),
            (Facet::Extraction, "unsupported") => w.say("reading-unsupported"),
            (Facet::Extraction, "timeout") => w.say("reading-timeout"),
            (Facet::Extraction, "too_big") => w.say("reading-too-big"),
            (Facet::Extraction, "failed") => w.say("reading-failed"),
            (Facet::Extraction, "absent") => w.say("reading-absent"),
            (Facet::Extraction, "pending") => w.say("reading-pending"),
            (Facet::Kind | Facet::State | Facet::Extension | Facet::Extraction, other) => visible(other),
        }
    }
}

fn title(w: &Words, facet: Facet) -> String {
    match facet {
        Facet::Channel => w.say("facet-channel"),
        Facet::Author => w.say("facet-author"),
        Facet::Kind => w.say("facet-kind"),
        Facet::State => w.say("facet-state"),
        Facet::Extension => w.say("facet-extension"),
        Facet::Extraction => w.say("facet-extraction"),
    }
}

/// The facets that tell something: those with values, but for one that everything has as a matter of course.
pub(crate) fn rail(desk: &Desk, asked: &Asked, counts: &FacetCounts, names: &Names<'_>) -> Vec<FacetView> {
    ORDER.into_iter().filter_map(|facet| view(desk, asked, counts, names, facet)).collect()
}

fn view(desk: &Desk, asked: &Asked, counts: &FacetCounts, names: &Names<'_>, facet: Facet) -> Option<FacetView> {
    let mut counted: Vec<(&str, u64)> =
        counts.values.get(&facet).into_iter().flatten().map(|(value, count)| (value.as_str(), *count)).collect();
    // What was chosen can be taken back also where nothing has it.
    for (_, value) in asked.only.iter().filter(|(chosen, _)| *chosen == facet) {
        if !counted.iter().any(|(known, _)| known == value) {
            counted.push((value, 0));
        }
    }
    let is_chosen = |value: &str| asked.has(facet, value);
    let tells = match facet {
        Facet::Extension => counted.len() > 1,
        Facet::Extraction => counted.iter().any(|(value, _)| *value != "ok"),
        _ => !counted.is_empty(),
    };
    if !tells && !counted.iter().any(|(value, _)| is_chosen(value)) {
        return None;
    }
    counted.sort_by(|a, b| is_chosen(b.0).cmp(&is_chosen(a.0)).then(b.1.cmp(&a.1)).then(a.0.cmp(b.0)));
    let all = counted.len();
    let is_listed = asked.listed == Some(facet);
    let chosen = counted.iter().filter(|(value, _)| is_chosen(value)).count();
    let seen = SEEN.max(chosen).min(all);
    let show = |(value, count): &(&str, u64)| {
        let is_chosen = is_chosen(value);
        let other = if is_chosen { asked.without(facet, value) } else { asked.with(facet, value) };
        ValueView { name: names.of(facet, value), count: *count, href: other.href(), is_chosen }
    };
    let like = if is_listed { asked.like.trim().to_lowercase() } else { String::new() };
    let most = if is_listed { LISTED } else { UNFOLDED };
    let mut rest: Vec<ValueView> = Vec::new();
    let mut hidden = 0;
    for value in &counted[seen..] {
        if !like.is_empty() && !names.of(facet, value.0).to_lowercase().contains(&like) {
            continue;
        }
        if rest.len() < most {
            rest.push(show(value));
        } else {
            hidden += 1;
        }
    }
    Some(FacetView {
        facet,
        name: title(desk.w, facet),
        seen: counted[..seen].iter().map(show).collect(),
        is_open: is_listed,
        is_long: all > SEEN + 6,
        hidden,
        like: asked.like.clone(),
        kept: asked.listing(facet),
        rest,
    })
}
