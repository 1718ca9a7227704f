//! Addresses of a channel's pages, which keep what a reader chose: the moment, the search, the zone.

use crate::web::desk::{Desk, ZONE};
use crate::web::markup::encode;

/// The ways from one page of a channel to its others.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// The channel, as an address has it.
    id: String,
    base: String,
    keep: Vec<(&'static str, String)>,
}

impl Way {
    /// From a page of the channel with this id; `keep` is what goes along, where it says something.
    pub(crate) fn new(desk: &Desk, id: &str, keep: &[(&'static str, &str)]) -> Self {
        let mut keep: Vec<_> = keep.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        // A zone that stands in an address stays in those that follow it; one of a cookie needs no help.
        let query = desk.asked.split_once('?').map_or("", |(_, query)| query);
        if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == ZONE) {
            keep.push((ZONE, desk.zone.name().to_owned()));
        }
        keep.retain(|(_, value)| !value.is_empty());
        let id = encode(id);
        Self { base: format!("/c/{id}"), id, keep }
    }

    /// Where a form of the timeline leads.
    pub(crate) fn form(&self) -> &str {
        &self.base
    }

    /// What a form takes along, but for what it asks for itself.
    pub(crate) fn along(&self, but: &[&str]) -> Vec<(&'static str, String)> {
        self.keep.iter().filter(|(name, _)| !but.contains(name)).cloned().collect()
    }

    fn address(&self, path: &str, place: &[(&str, &str)], but: &[&str]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(place);
        query.extend_pairs(self.along(but));
        let query = query.finish();
        if query.is_empty() { format!("{}{path}", self.base) } else { format!("{}{path}?{query}", self.base) }
    }

    /// Another place of the timeline.
    pub(crate) fn to(&self, place: &[(&str, &str)]) -> String {
        self.address("", place, &[])
    }

    /// The same without something that went along.
    pub(crate) fn without(&self, but: &str, place: &[(&str, &str)]) -> String {
        self.address("", place, &[but])
    }

    /// Around a record, which has this anchor on the page.
    pub(crate) fn at(&self, record: u64, anchor: &str) -> String {
        format!("{}#{anchor}", self.to(&[("at", &record.to_string())]))
    }

    /// A page that is about something else in the archive, of the same moment.
    pub(crate) fn beside(&self, address: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(self.along(&["q", "n"])).finish();
        if query.is_empty() { address.to_owned() } else { format!("{address}?{query}") }
    }

    /// What is covered of the channel, week by week.
    pub(crate) fn coverage(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("by", "week").extend_pairs(self.along(&["q", "n", "asof"]));
        format!("/crawl/coverage?channel={}&{}", self.id, query.finish())
    }

    /// A day to print.
    pub(crate) fn day(&self, date: chrono::NaiveDate) -> String {
        self.address(&format!("/day/{date}"), &[], &["q", "n"])
    }

    /// A file that belongs to a day, or the same day from a time stamp on.
    pub(crate) fn of_day(&self, date: chrono::NaiveDate, file: &str, place: &[(&str, &str)]) -> String {
        self.address(&format!("/day/{date}{file}"), place, &["q", "n"])
    }
}
