//! What a format writes to: files of the payload, and the account of every record that it was given.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::Error;
use super::accounts::{Accounts, Outcome};
use super::bag::{Bag, NewFile, Written};
use super::census::Placement;
use super::error::plain;
use super::names::Names;
use super::request::Request;
use super::unit::{Blob, Cell, Role, Subject, Version};
use super::withhold::slip;
use crate::ledger::ArchiveId;
use crate::model::{Digest, MessageTs, UtcTime};
use crate::store::{Blobs, DerivedReader, Reader, ResultRow};

/// What is known of a set as a whole, for those who write headers and certificates.
pub(super) struct Set<'a> {
    pub(super) request: &'a Request,
    pub(super) reader: &'a Reader,
    pub(super) names: &'a Names,
    pub(super) blobs: &'a Blobs,
    pub(super) derived: Option<&'a DerivedReader>,
    /// Where files stand.
    pub(super) placement: &'a Placement,
    /// Records that the checkpoint of the set covers.
    pub(super) size: u64,
    /// When the set was begun.
    pub(super) made_at: UtcTime,
}

impl Set<'_> {
    /// The archive's id.
    pub(super) fn archive(&self) -> ArchiveId {
        self.reader.archive().id
    }

    /// What was read in a file's content, and how that ended.
    pub(super) fn reading(&self, digest: &Digest) -> Result<Option<ResultRow>, Error> {
        Ok(match self.derived {
            Some(derived) => derived.newest(digest)?,
            None => None,
        })
    }
}

impl Set<'_> {
    /// Whether a content is in the archive, and what it should be.
    pub(super) fn check(&self, blob: &Blob) -> Result<(), NoContent> {
        let unreadable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => NoContent::Absent,
            _ => NoContent::Unreadable(plain(error).to_string()),
        };
        let mut file = fs_err::File::open(self.blobs.path(&blob.digest)).map_err(unreadable)?;
        let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut piece).map_err(unreadable)? {
                0 => break,
                read => hash.update(&piece[..read]),
            }
        }
        let found = Digest(hash.finalize().into());
        if found == blob.digest { Ok(()) } else { Err(NoContent::Damaged(found)) }
    }

    /// What became of the content of a file's version that is written later, in one piece with others: whether it
    /// will be there.
    pub(super) fn content(&self, version: &Version) -> Content {
        if version.role != Role::Reading || version.withheld.is_some() {
            return Content::NotDue;
        }
        let Some(blob) = &version.blob else { return Content::Missing(no_content(version).to_owned()) };
        match self.check(blob) {
            Ok(()) => Content::Written(Written { sha256: blob.digest, md5: None, size: blob.size }),
            Err(missing) => Content::Missing(missing.in_words()),
        }
    }
}

/// Why a content is not in the set.
pub(super) enum NoContent {
    /// It is not in the archive.
    Absent,
    /// What lies there is something else.
    Damaged(Digest),
    /// The system can't read what lies there.
    Unreadable(String),
}

impl NoContent {
    /// In words, for the list of exceptions.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Absent => "its content is not in the archive".to_owned(),
            Self::Damaged(found) => format!("its content in the archive is damaged: its SHA-256 is {found} now"),
            Self::Unreadable(why) => format!("its content in the archive can't be read: {why}"),
        }
    }
}

/// What became of the content of a file's version.
pub(super) enum Content {
    /// None is due: this version is withheld, or brings none of its own.
    NotDue,
    /// It is in the set.
    Written(Written),
    /// It is due and not there: why.
    Missing(String),
}

/// What a format writes to.
pub(super) struct Out<'a> {
    pub(super) set: &'a Set<'a>,
    pub(super) bag: Bag,
    pub(super) accounts: Accounts,
    /// 0: the set has no volumes.
    pub(super) volume: u32,
    /// Bytes of the payload when the volume began.
    pub(super) volume_began_at: u64,
    /// Units in it.
    pub(super) volume_units: u64,
    /// Rows of the list of exceptions.
    pub(super) exceptions: u64,
    pub(super) withheld: u64,
}

/// The lists that are written while a set is made; they become tag files.
pub(super) const EXCEPTIONS: &str = "EXCEPTIONS.csv";
/// See [`EXCEPTIONS`]: the privilege log.
pub(super) const PRIVILEGE: &str = "PRIVILEGE-LOG.csv";

impl Out<'_> {
    /// A path of the payload, in the volume that is being written.
    pub(super) fn path(&self, relative: &str) -> String {
        match self.volume {
            0 => format!("data/{relative}"),
            volume => format!("data/VOL{volume:03}/{relative}"),
        }
    }

    /// The name of the volume; empty when the set has none.
    pub(super) fn volume_name(&self) -> String {
        if self.volume == 0 { String::new() } else { format!("VOL{:03}", self.volume) }
    }

    /// Writes a whole file.
    pub(super) fn write(&mut self, relative: &str, bytes: &[u8]) -> Result<Written, Error> {
        let path = self.path(relative);
        let mut file = self.bag.create(&path, true)?;
        file.write_all(bytes).map_err(file.error())?;
        self.bag.list(file)
    }

    /// Begins a file; [`Bag::list`] ends it.
    pub(super) fn create(&mut self, relative: &str) -> Result<NewFile, Error> {
        let path = self.path(relative);
        self.bag.create(&path, true)
    }

    /// A file that grows over the units of a volume.
    pub(super) fn growing(&mut self, relative: &str) -> Result<&mut NewFile, Error> {
        let path = self.path(relative);
        self.bag.growing(&path)
    }

    /// Adds to a file that grows.
    pub(super) fn append(&mut self, relative: &str, bytes: &[u8]) -> Result<(), Error> {
        let file = self.growing(relative)?;
        file.write_all(bytes).map_err(file.error())
    }

    /// Copies a content of the archive into the set, if it is there and what it should be.
    pub(super) fn copy(&mut self, relative: &str, blob: &Blob) -> Result<Result<Written, NoContent>, Error> {
        let source = self.set.blobs.path(&blob.digest);
        let mut content = match fs_err::File::open(&source) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Err(NoContent::Absent)),
            Err(error) => return Ok(Err(NoContent::Unreadable(plain(error).to_string()))),
        };
        let mut file = self.create(relative)?;
        let mut piece = vec![0; 1 << 16];
        let mut missing = None;
        loop {
            match content.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => file.write_all(&piece[..read]).map_err(file.error())?,
                // A bad sector is no reason to hand out nothing.
                Err(error) => {
                    missing = Some(NoContent::Unreadable(plain(error).to_string()));
                    break;
                }
            }
        }
        // Listed only when it is what the record names: another file under that name is none of the set.
        let written = file.check()?;
        if missing.is_none() && written != blob.digest {
            missing = Some(NoContent::Damaged(written));
        }
        let Some(missing) = missing else { return self.bag.list(file).map(Ok) };
        drop(file);
        let path = self.bag.folder().join(self.path(relative));
        fs_err::remove_file(&path).map_err(Error::file("remove", &path))?;
        Ok(Err(missing))
    }

    /// Copies the content of a file's version into the set.
    pub(super) fn copy_content(&mut self, relative: &str, version: &Version) -> Result<Content, Error> {
        if version.role != Role::Reading || version.withheld.is_some() {
            return Ok(Content::NotDue);
        }
        let Some(blob) = &version.blob else { return Ok(Content::Missing(no_content(version).to_owned())) };
        Ok(match self.copy(relative, blob)? {
            Ok(written) => Content::Written(written),
            Err(missing) => Content::Missing(missing.in_words()),
        })
    }

    /// Notes that a file's version is in the set; without the content that is due it is an exception.
    pub(super) fn produced_with(&mut self, cell: &Cell, version: &Version, content: &Content) -> Result<(), Error> {
        match content {
            Content::Missing(why) => self.exception(cell, version, why),
            _ => self.produced(cell, version),
        }
    }

    /// Notes that a record is in the set; of one that is withheld, that its slip-sheet is.
    pub(super) fn produced(&mut self, cell: &Cell, version: &Version) -> Result<(), Error> {
        let Some(withheld) = &version.withheld else {
            return self.accounts.add(Outcome::Produced, cell, version.seq, false);
        };
        self.withheld += 1;
        let text = |name: &str| version.body[name].as_str().unwrap_or_default();
        let author = text("user");
        let time = MessageTs::parse(&version.record.header.key).map_or_else(|| version.observed(), MessageTs::time);
        let name = if author.is_empty() { text("username") } else { self.set.names.name(author, time) };
        self.list(
            PRIVILEGE,
            &[
                &version.seq.to_string(),
                version.record.header.kind.as_str(),
                cell.conversation.as_str(),
                &cell.day.to_string(),
                author,
                name,
                withheld.hiding.as_str(),
                &withheld.reason,
                &slip(withheld),
            ],
        )?;
        self.accounts.add(Outcome::Withheld, cell, version.seq, true)
    }

    /// Notes every version of a subject: readings, and what the format shows of the rest.
    pub(super) fn produced_all(&mut self, subject: &Subject) -> Result<(), Error> {
        subject.versions.iter().try_for_each(|version| self.produced(&subject.cell, version))
    }

    /// Notes that the format has no room for a record.
    pub(super) fn not_carried(&mut self, cell: &Cell, version: &Version, why: &str) -> Result<(), Error> {
        self.list_record("not carried", cell, version, why)?;
        self.accounts.add(Outcome::NotCarried, cell, version.seq, version.withheld.is_some())
    }

    /// Notes that a record is left out because it, or another of its family, names conversations that whoever
    /// asked may not see. Its proof shows no more than that it is there.
    pub(super) fn left_closed(&mut self, cell: &Cell, version: &Version) -> Result<(), Error> {
        let why = if version.is_closed { LEFT_CLOSED } else { LEFT_WITH_OTHERS };
        self.list_record("not carried", cell, version, why)?;
        self.accounts.add(Outcome::NotCarried, cell, version.seq, true)
    }

    /// Notes that a record should be in the set and is not, or not whole.
    pub(super) fn exception(&mut self, cell: &Cell, version: &Version, why: &str) -> Result<(), Error> {
        self.list_record("exception", cell, version, why)?;
        self.accounts.add(Outcome::Exception, cell, version.seq, version.withheld.is_some())
    }

    /// Lists something that is worth knowing of a record that is in the set: characters that a format can't
    /// hold and what stands in their place, a text that could not be read.
    pub(super) fn remark(&mut self, class: &str, cell: &Cell, version: &Version, what: &str) -> Result<(), Error> {
        self.list_record(class, cell, version, what)
    }

    fn list_record(&mut self, class: &str, cell: &Cell, version: &Version, why: &str) -> Result<(), Error> {
        self.exceptions += 1;
        let header = &version.record.header;
        self.list(
            EXCEPTIONS,
            &[
                class,
                &version.seq.to_string(),
                header.kind.as_str(),
                cell.conversation.as_str(),
                &cell.day.to_string(),
                &cell.custodian,
                &header.key,
                why,
            ],
        )
    }

    fn list(&mut self, name: &str, fields: &[&str]) -> Result<(), Error> {
        let line = super::table::line(fields);
        let file = self.bag.growing(&format!("work/{name}"))?;
        file.write_all(line.as_bytes()).map_err(file.error())
    }

    /// Where the lists are while they grow.
    pub(super) fn list_path(&self, name: &str) -> PathBuf {
        self.bag.folder().join("work").join(name)
    }
}

/// Why a format that holds records as they were sent has not this one.
const LEFT_CLOSED: &str = "it names conversations that whoever asked may not see, and can't be given as it was sent";
const LEFT_WITH_OTHERS: &str = "it goes with a record that names conversations that whoever asked may not see";

/// Why a file's version has no content.
pub(super) fn no_content(version: &Version) -> &'static str {
    if version.record.header.attachments.is_empty() {
        "its content was never downloaded"
    } else {
        "its content is not in the archive"
    }
}
