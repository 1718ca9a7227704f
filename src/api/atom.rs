use super::error::Error;
use crate::model::MessageTs;

/// A channel's history as an Atom feed.
#[derive(Debug, Clone, Default)]
pub struct AtomFeed {
    /// The entries, in document order, which means nothing (RFC 4287).
    pub entries: Vec<AtomEntry>,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct AtomEntry {
    /// Its id.
    pub id: String,
    /// The message's time stamp, from the extension or the end of the id.
    pub ts: Option<MessageTs>,
    /// Its author's mail address, where given.
    pub author: String,
    /// The text.
    pub text: String,
    /// When it was last changed.
    pub updated: chrono::DateTime<chrono::FixedOffset>,
}

impl AtomFeed {
    /// Reads a feed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let feed = atom_syndication::Feed::read_from(bytes)
            .map_err(|error| Error::Broken { method: "channels.atom.history".to_owned(), detail: error.to_string() })?;
        let entries = feed.entries().iter().map(|entry| {
            let from_extension = entry
                .extensions()
                .get("tc")
                .and_then(|map| map.get("ts"))
                .and_then(|values| values.first())
                .and_then(|value| value.value());
            let from_id = entry.id().rsplit(':').next();
            AtomEntry {
                id: entry.id().to_owned(),
                ts: [from_extension, from_id].into_iter().flatten().find_map(MessageTs::parse),
                author: entry
                    .authors()
                    .first()
                    .map(|author| author.email().unwrap_or(author.name()).to_owned())
                    .unwrap_or_default(),
                text: entry.content().and_then(|content| content.value()).unwrap_or_default().to_owned(),
                updated: *entry.updated(),
            }
        });
        Ok(Self { entries: entries.collect() })
    }
}
