//! From records to what is indexed: which documents a record makes, and how each stands among the
//! readings of its item. The indexer and the check of an index both go through here.

use std::collections::{HashMap, HashSet};

use super::Error;
use super::document::{Made, ReadText, Standing, content, public_key};
use crate::history::{Item, ItemState, item};
use crate::model::{ChannelId, Digest, RecordSeq, SourceId};
use crate::record::{Kind, Record, State};
use crate::store::{DerivedReader, FIRST_SOURCE, Reader};

/// The documents of a record's subject.
pub(super) struct Subject {
    /// Every record of the subject: whatever was indexed for one of them is out of date.
    pub(super) records: Vec<RecordSeq>,
    /// The documents as they are now.
    pub(super) made: Vec<Made>,
}

/// Makes documents. Reads the archive as it is, so that its head may be beyond the record asked for.
pub(super) struct Making<'a> {
    reader: &'a Reader,
    derived: Option<&'a DerivedReader>,
    conversations: HashSet<String>,
    file_channels: HashMap<String, Vec<ChannelId>>,
}

impl<'a> Making<'a> {
    pub(super) fn new(reader: &'a Reader, derived: Option<&'a DerivedReader>) -> Result<Self, Error> {
        let conversations = reader.newest(Kind::Im)?.into_iter().map(|(key, _)| key).collect();
        Ok(Self { reader, derived, conversations, file_channels: HashMap::new() })
    }

    /// What `record` makes: of a first version, itself; of a later one, all readings of its subject, since
    /// it changes what they are. `None` for kinds that are not searched.
    pub(super) fn of(&mut self, seq: RecordSeq, record: &Record) -> Result<Option<Subject>, Error> {
        let header = &record.header;
        if !matches!(header.kind, Kind::Message | Kind::Comment | Kind::File) {
            return Ok(None);
        }
        if header.version == 1 && header.state == State::Present {
            let standing = Standing {
                state: ItemState::Current,
                is_changed: false,
                is_later: false,
                is_im: false,
                observed: header.observed().timestamp_micros(),
                replaced: None,
                gone: Vec::new(),
            };
            let key = header.key.rsplit('/').next().unwrap_or(&header.key).to_owned();
            let made = self.made(seq, record, key, standing)?;
            return Ok(Some(Subject { records: Vec::new(), made: made.into_iter().collect() }));
        }
        let channel = header.channel_id();
        let found = item(self.reader, header.kind, SourceId(header.source), channel.as_ref(), &header.key)?;
        found.map(|item| self.all(&item)).transpose()
    }

    /// All readings of an item.
    pub(super) fn all(&mut self, item: &Item) -> Result<Subject, Error> {
        if item.kind == Kind::File {
            // It may be shared in more channels than before.
            self.file_channels.insert(item.key.clone(), item.shared_in());
        }
        let readings = item.readings();
        let mut made = Vec::with_capacity(readings.len());
        for (n, reading) in readings.iter().enumerate() {
            let record = &reading.record;
            let standing = Standing {
                state: item.state_of(reading.seq),
                is_changed: readings.len() > 1,
                is_later: n > 0,
                is_im: false,
                observed: record.header.observed().timestamp_micros(),
                replaced: readings.get(n + 1).map(|next| next.record.header.observed().timestamp_micros()),
                gone: item.comings_and_goings(reading.seq),
            };
            made.extend(self.made(reading.seq, record, public_key(item).to_owned(), standing)?);
        }
        Ok(Subject { records: item.versions.iter().map(|version| version.seq).collect(), made })
    }

    fn made(
        &mut self,
        seq: RecordSeq,
        record: &Record,
        key: String,
        mut standing: Standing,
    ) -> Result<Option<Made>, Error> {
        let header = &record.header;
        let file_channels = match (header.kind, header.key.split_once('/')) {
            (Kind::Comment, Some((file, _))) => self.channels_of(file)?,
            (Kind::File, _) => self.channels_of(&header.key)?,
            _ => Vec::new(),
        };
        let Some(content) = content(record, &file_channels) else { return Ok(None) };
        standing.is_im = content.channels.iter().any(|channel| self.conversations.contains(channel.as_str()));
        let read = match header.kind {
            Kind::File => self.read(content.blob.as_ref())?,
            _ => ReadText::default(),
        };
        Ok(Some(Made { seq, key, content, standing, read }))
    }

    /// What was read in a file.
    fn read(&self, blob: Option<&Digest>) -> Result<ReadText, Error> {
        // The bytes are not in the archive.
        let Some(blob) = blob else { return Ok(ReadText { status: "absent".to_owned(), ..ReadText::default() }) };
        let found = match self.derived {
            Some(derived) => derived.newest(blob)?,
            None => None,
        };
        Ok(match found {
            Some(row) => ReadText { status: row.status, text: row.text, is_truncated: row.is_truncated },
            None => ReadText { status: "pending".to_owned(), ..ReadText::default() },
        })
    }

    fn channels_of(&mut self, file: &str) -> Result<Vec<ChannelId>, Error> {
        if let Some(known) = self.file_channels.get(file) {
            return Ok(known.clone());
        }
        let found = item(self.reader, Kind::File, FIRST_SOURCE, None, file)?;
        let channels = found.as_ref().map(Item::shared_in).unwrap_or_default();
        self.file_channels.insert(file.to_owned(), channels.clone());
        Ok(channels)
    }
}
