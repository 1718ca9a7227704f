//! What is in scope: the one place that decides it, for the count of what should come out and for what
//! comes out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::Error;
use super::census::find;
use super::names::Names;
use super::reach::{self, Finding, Hidden, Key, Reach};
use super::request::{CustodianRole, Hiding, Request, Versions};
use super::scan::{Numbers, each_record};
use crate::history::{AsOf, Directory, Item, Version, author, comment_id, file_ids, item_at, versions_at};
use crate::index::{Order, Paging, Request as Search, Searcher};
use crate::model::{ChannelId, MessageTs, RecordSeq, Scope, TimeRange, UtcTime, json};
use crate::record::{Kind, Record};
use crate::store::Reader;

/// Hits read at once.
const PAGE: usize = 5_000;

/// What is in scope.
pub(super) struct Selection<'a> {
    pub(super) request: &'a Request,
    pub(super) reader: &'a Reader,
    /// Only records below this number: all that the checkpoint of the set covers.
    pub(super) size: u64,
    named: BTreeSet<ChannelId>,
    numbers: Numbers,
    families: Option<Families>,
    /// Files that a message shows at a time that is not in scope, with the channels in which it does.
    elsewhere: HashMap<String, HashSet<u32>>,
    /// The conversations of a custodian, and since when they were in each and since when not.
    members: Option<HashMap<ChannelId, Vec<(UtcTime, bool)>>>,
    reach: Reach,
}

/// The families of what a query or an author names: a message with its files, a file with its comments.
#[derive(Debug, Default)]
struct Families {
    messages: HashSet<Key>,
    files: HashSet<String>,
}

/// What a pass over the records finds before anything can be decided.
#[derive(Default)]
struct Found {
    /// Messages that show files or are comments: the files, the comment.
    links: Vec<(Key, Vec<String>, Option<String>)>,
    /// The file that each comment is on.
    comments: BTreeMap<String, String>,
    hits: Families,
}

/// The records that a request selects or its query finds among those below `size`, by number, in order; with both,
/// those that are selected and found; `None` where it asks for neither. Items may be among them that do not read so
/// at the checkpoint of the set.
pub(super) fn hits(
    request: &Request,
    searcher: &Searcher,
    directory: &Directory,
    size: u64,
) -> Result<Option<Vec<u64>>, Error> {
    let selected = request.records.as_ref().map(|records| records.iter().map(|seq| seq.0));
    let Some((_, query)) = &request.query else {
        return Ok(selected.map(|records| records.filter(|seq| *seq < size).collect()));
    };
    let scope = if request.channels.is_empty() {
        request.scope.clone()
    } else {
        Scope::Channels(request.channels.iter().cloned().collect())
    };
    let mut out = Vec::new();
    let mut paging = Paging::Page { offset: 0, limit: PAGE };
    loop {
        let answer = searcher.search(&Search {
            query,
            scope: &scope,
            directory,
            kinds: &[],
            // The index knows what stands now, not what stood at the checkpoint.
            states: &[],
            as_of: request.as_of,
            order: Order::Oldest,
            paging,
            facets: None,
        })?;
        if answer.searched_through < size {
            return Err(Error::IndexBehind { reached: answer.searched_through, size });
        }
        out.extend(answer.hits.iter().map(|hit| hit.seq.0).filter(|seq| *seq < size));
        match answer.next_cursor {
            Some(cursor) => paging = Paging::Cursor { cursor, limit: PAGE },
            None => break,
        }
    }
    if let Some(records) = &request.records {
        out.retain(|seq| records.contains(&RecordSeq(*seq)));
    }
    out.sort_unstable();
    Ok(Some(out))
}

impl<'a> Selection<'a> {
    /// Decides what is in scope of a request, of the records below `size`. `hits` are those of its query.
    pub(super) fn new(
        request: &'a Request,
        reader: &'a Reader,
        directory: &Directory,
        names: &Names,
        hits: Option<&[u64]>,
        size: u64,
    ) -> Result<Self, Error> {
        for channel in &request.channels {
            if !directory.channels.contains_key(channel) || !request.scope.allows(channel) {
                return Err(Error::UnknownChannel(channel.to_string()));
            }
        }
        if let Some((person, _)) = &request.custodian
            && !directory.people.contains_key(person)
        {
            return Err(Error::UnknownCustodian(person.clone()));
        }
        if let Some(unknown) = request.withheld.keys().find(|seq| seq.0 >= size) {
            return Err(Error::Usage(format!(
                "record {unknown} is to be withheld, and there is none in the set's checkpoint"
            )));
        }
        let mut selection = Self {
            request,
            reader,
            size,
            named: request.channels.iter().cloned().collect(),
            numbers: Numbers::default(),
            families: None,
            elsewhere: HashMap::new(),
            members: None,
            reach: Reach::default(),
        };
        let by_author = match &request.custodian {
            Some((person, CustodianRole::Author)) => Some(person.as_str()),
            Some((person, CustodianRole::Member)) => {
                selection.members = Some(names.memberships(person));
                None
            }
            None => None,
        };
        selection.look(hits, by_author)?;
        Ok(selection)
    }

    /// Reads all records once, where that is needed, for families, files out of time, and what must not be shown.
    fn look(&mut self, hits: Option<&[u64]>, by_author: Option<&str>) -> Result<(), Error> {
        let has_families = hits.is_some() || by_author.is_some();
        let has_times = self.request.range != TimeRange::default() || self.members.is_some();
        if !has_families && !has_times && self.request.withheld.is_empty() {
            return Ok(());
        }
        let mut found = Found::default();
        let mut finding = Finding::default();
        let mut numbers = std::mem::take(&mut self.numbers);
        each_record(self.reader, self.size, |seq, record| {
            let is_hit = hits.is_some_and(|hits| hits.binary_search(&seq.0).is_ok()) && self.finds(seq, &record)?;
            let needs_body = match record.header.kind {
                Kind::Message => by_author.is_some() || reach::may_quote(&record.body),
                Kind::File | Kind::Comment => by_author.is_some() || !self.request.withheld.is_empty(),
                _ => false,
            };
            let body = if needs_body { json::parse(&record.body) } else { None };
            found.add(&mut numbers, &record, body.as_ref(), is_hit, by_author);
            if self.request.withheld.is_empty() {
                return Ok(());
            }
            finding.meet(&mut numbers, seq, &record, body.as_ref(), self.request.withheld.get(&seq))
        })?;
        self.numbers = numbers;
        self.reach = finding.close(&found.comments);
        if has_families {
            found.close();
            self.families = Some(found.hits);
        }
        if has_times {
            self.find_elsewhere(&found.links)?;
        }
        Ok(())
    }

    /// Whether a record that the index finds finds its item: by any of its versions, but where only what stands
    /// is asked for, by that.
    fn finds(&self, seq: RecordSeq, record: &Record) -> Result<bool, Error> {
        if self.request.versions == Versions::All {
            return Ok(true);
        }
        let header = &record.header;
        let item = find(self, header.kind, header.channel_id().as_ref(), &header.key)?;
        Ok(item.is_some_and(|item| self.versions(&item).iter().any(|version| version.seq == seq)))
    }

    /// Notes the files that messages out of time show, of those versions that are in scope.
    fn find_elsewhere(&mut self, links: &[(Key, Vec<String>, Option<String>)]) -> Result<(), Error> {
        for ((number, ts), files, _) in links {
            let channel = self.numbers.channel(*number);
            if files.is_empty() || !self.takes_channel(channel) || self.takes_place(channel, ts.time()) {
                continue;
            }
            let mut shown: HashSet<String> = HashSet::new();
            if self.takes_all_versions() {
                shown.extend(files.iter().cloned());
            } else if let Some(item) = find(self, Kind::Message, Some(channel), &ts.to_string())? {
                for version in self.versions(&item) {
                    let body = json::parse(&version.record.body).unwrap_or_default();
                    shown.extend(file_ids(&body).into_iter().map(str::to_owned));
                }
            }
            for file in shown {
                self.elsewhere.entry(file).or_default().insert(*number);
            }
        }
        Ok(())
    }

    /// Whether anything of a channel may be in scope.
    pub(super) fn takes_channel(&self, channel: &ChannelId) -> bool {
        self.request.scope.allows(channel)
            && (self.named.is_empty() || self.named.contains(channel))
            && self.members.as_ref().is_none_or(|members| members.contains_key(channel))
    }

    /// Whether what stands in a channel at a time is in scope, as far as these two decide it.
    fn takes_place(&self, channel: &ChannelId, time: UtcTime) -> bool {
        self.takes_channel(channel)
            && self.request.range.from.is_none_or(|from| from <= time)
            && self.request.range.to.is_none_or(|to| time < to)
            && self.members.as_ref().is_none_or(|members| {
                let spells = members.get(channel).map_or(&[][..], Vec::as_slice);
                spells.iter().rev().find(|(since, _)| *since <= time).is_some_and(|(_, is_in)| *is_in)
            })
    }

    /// Whether a message is in scope.
    pub(super) fn takes_message(&self, channel: &ChannelId, ts: MessageTs) -> bool {
        self.takes_place(channel, ts.time())
            && self.families.as_ref().is_none_or(|families| {
                self.numbers.known(channel).is_some_and(|number| families.messages.contains(&(number, ts)))
            })
    }

    /// Whether a file, with what belongs to it, is in scope at a place: where a message in scope shows it, or
    /// where it stands on its own. It does not where a message brings it at a time that is not in scope.
    pub(super) fn takes_file(&self, channel: &ChannelId, time: UtcTime, id: &str, is_shown: bool) -> bool {
        let is_brought = || {
            let number = self.numbers.known(channel);
            self.elsewhere.get(id).zip(number).is_some_and(|(channels, number)| channels.contains(&number))
        };
        is_shown
            || self.takes_place(channel, time)
                && self.families.as_ref().is_none_or(|families| families.files.contains(id))
                && !is_brought()
    }

    /// Whether something that is neither is in scope: the pins of a channel.
    pub(super) fn takes_note(&self, channel: &ChannelId, time: UtcTime) -> bool {
        self.families.is_none()
            && self.takes_place(channel, time)
            && self.request.as_of.is_none_or(|as_of| time <= as_of)
    }

    /// The moment up to which versions count.
    pub(super) fn as_of(&self) -> AsOf {
        match self.request.as_of {
            Some(time) => AsOf::Time(time),
            None => AsOf::Now,
        }
    }

    /// The versions of an item that are in scope, oldest record first. The item holds no record beyond the
    /// checkpoint of the set.
    pub(super) fn versions<'i>(&self, item: &'i Item) -> Vec<&'i Version> {
        match self.request.versions {
            Versions::All => versions_at(item, self.as_of()),
            Versions::Current => {
                item_at(item, self.as_of()).filter(|at| at.gone.is_none()).map(|at| at.reading).into_iter().collect()
            }
        }
    }

    /// Whether every version of an item is in scope whatever it says: then records can be counted one by
    /// one.
    pub(super) fn takes_all_versions(&self) -> bool {
        self.request.versions == Versions::All && self.request.as_of.is_none()
    }

    /// Why a message is not shown, if it is not.
    pub(super) fn hides_message(&self, channel: &ChannelId, ts: MessageTs) -> Option<&Hidden> {
        self.reach.message((self.numbers.known(channel)?, ts))
    }

    /// Why a file is not shown.
    pub(super) fn hides_file(&self, id: &str) -> Option<&Hidden> {
        self.reach.file(id)
    }

    /// Why a comment is not shown. The key is that of its record: file, `/`, comment.
    pub(super) fn hides_comment(&self, key: &str) -> Option<&Hidden> {
        self.reach.comment(reach::own_id(key))
    }

    /// Why the pins of a channel are not shown: they are lists of whole messages and files.
    pub(super) fn hides_pins(&self, channel: &ChannelId) -> Option<Hidden> {
        self.reach.pins(self.numbers.known(channel)?)
    }

    /// Whether a record is listed and its author and time may be shown.
    pub(super) fn redacts(&self, seq: RecordSeq) -> bool {
        self.reach.redacts(seq)
    }

    /// Whom a record is counted under: its author, but nobody where not even that is shown.
    pub(super) fn custodian<'s>(hidden: Option<&Hidden>, author: &'s str) -> &'s str {
        if hidden.is_some_and(|hidden| hidden.hiding() == Hiding::Withhold) { "" } else { author }
    }

    /// Whether there may be records of this kind that only tell of channels which the asker may not see.
    pub(super) fn hides_shares(&self, kind: Kind) -> bool {
        kind == Kind::File && self.request.scope != Scope::All
    }

    /// Drops what is beyond the checkpoint of the set; `None` when nothing is left.
    pub(super) fn below(&self, mut item: Item) -> Option<Item> {
        item.versions.retain(|version| version.seq.0 < self.size);
        if self.hides_shares(item.kind) {
            item.forget_shares(&|channel| self.request.scope.allows(channel));
        }
        (!item.versions.is_empty()).then_some(item)
    }
}

impl Found {
    fn add(
        &mut self,
        numbers: &mut Numbers,
        record: &Record,
        body: Option<&Value>,
        is_hit: bool,
        by_author: Option<&str>,
    ) {
        let header = &record.header;
        let is_theirs = body.is_some_and(|body| by_author.is_some_and(|person| author(body) == person));
        match header.kind {
            Kind::Message => {
                let (Some(channel), Some(ts)) = (header.channel_id(), MessageTs::parse(&header.key)) else { return };
                let key = (numbers.of(&channel), ts);
                if is_hit || is_theirs {
                    self.hits.messages.insert(key);
                }
                let Some(body) = body else { return };
                let files: Vec<String> = file_ids(body).into_iter().map(str::to_owned).collect();
                let comment = comment_id(body).map(str::to_owned);
                if !files.is_empty() || comment.is_some() {
                    self.links.push((key, files, comment));
                }
            }
            Kind::File | Kind::Comment => {
                let file = header.key.split('/').next().unwrap_or_default();
                if header.kind == Kind::Comment && header.version == 1 {
                    self.comments.insert(reach::own_id(&header.key).to_owned(), file.to_owned());
                }
                if is_hit || is_theirs {
                    self.hits.files.insert(file.to_owned());
                }
            }
            _ => {}
        }
    }

    /// Families whole: the messages that show a file, the files that a message shows, and the messages that
    /// show those.
    fn close(&mut self) {
        let (links, comments, hits) = (&self.links, &self.comments, &mut self.hits);
        loop {
            let before = (hits.messages.len(), hits.files.len());
            for (key, files, comment) in links {
                // Of a file that is gone a comment in the stream names nothing but itself.
                let on = comment.as_ref().and_then(|comment| comments.get(comment));
                let mut all = files.iter().chain(on);
                if hits.messages.contains(key) {
                    hits.files.extend(all.cloned());
                } else if all.any(|file| hits.files.contains(file)) {
                    hits.messages.insert(*key);
                }
            }
            if before == (hits.messages.len(), hits.files.len()) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_whole_however_many_messages_and_files_hang_together() {
        let key = |number: u32| (number, MessageTs::MIN);
        let link = |number: u32, files: &[&str], comment: Option<&str>| {
            (key(number), files.iter().map(|file| (*file).to_owned()).collect(), comment.map(str::to_owned))
        };
        let mut found = Found {
            links: vec![
                link(1, &["c"], None),
                link(2, &["b", "c"], None),
                link(3, &["a", "b"], None),
                link(4, &[], Some("on c")),
                link(5, &["d"], None),
            ],
            comments: BTreeMap::from([("on c".to_owned(), "c".to_owned())]),
            hits: Families::default(),
        };
        found.hits.files.insert("a".to_owned());
        found.close();
        let mut messages: Vec<u32> = found.hits.messages.iter().map(|(number, _)| *number).collect();
        messages.sort_unstable();
        assert_eq!(messages, [1, 2, 3, 4]);
        assert_eq!(found.hits.files, ["a", "b", "c"].map(str::to_owned).into());
    }
}
