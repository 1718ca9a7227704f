use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::Error;
use super::formats::FormatName;
use crate::model::{ChannelId, RecordSeq, Scope, TimeRange, UtcTime, Zone, rfc3339};
use crate::query::Query;

/// How a custodian belongs to what is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustodianRole {
    /// They wrote it, or it belongs to what they wrote.
    Author,
    /// They were a member of the conversation when it was written.
    Member,
}

impl CustodianRole {
    /// The word on the command line and in the certificate.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Member => "member",
        }
    }
}

/// Which versions are in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// What stands, and nothing that was replaced or is gone.
    Current,
    /// Every version, and every note that something is gone.
    All,
}

impl Versions {
    /// The word on the command line and in the certificate.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::All => "all",
        }
    }
}

/// What is done to a record that is not to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hiding {
    /// A slip-sheet stands in its place.
    Withhold,
    /// Its author and its time are shown, and what was written is not.
    Redact,
}

impl Hiding {
    /// The word in the list and in the privilege log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Withhold => "withhold",
            Self::Redact => "redact",
        }
    }
}

/// A line of the list of what is withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// Withheld or redacted.
    pub hiding: Hiding,
    /// Why, in the words of whoever decided it.
    pub reason: String,
}

/// How dates are written in load files, where the other side asked for a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateForm {
    /// `2026-03-04`.
    #[default]
    Iso,
    /// `03/04/2026`.
    Us,
    /// `04.03.2026`.
    European,
    /// `20260304`.
    Compact,
}

impl DateForm {
    /// All of them, with the word on the command line and the pattern.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Iso, "YYYY-MM-DD", "%Y-%m-%d"),
        (Self::Us, "MM/DD/YYYY", "%m/%d/%Y"),
        (Self::European, "DD.MM.YYYY", "%d.%m.%Y"),
        (Self::Compact, "YYYYMMDD", "%Y%m%d"),
    ];

    /// The form of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, word, _)| *word == text).map(|(form, _, _)| form)
    }

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(form, _, _)| *form == self).map_or("", |(_, word, _)| word)
    }

    /// The pattern for `chrono`.
    pub(super) fn pattern(self) -> &'static str {
        Self::ALL.into_iter().find(|(form, _, _)| *form == self).map_or("", |(_, _, pattern)| pattern)
    }
}

/// Numbers for pages of a production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bates {
    /// What each number begins with.
    pub prefix: String,
    /// The first number.
    pub start: u64,
}

impl Bates {
    /// The highest number that may be asked for as the first.
    const LAST_START: u64 = 999_999_999_999;

    /// Refuses numbers that could not be names of files on every system, or that would come to an end.
    pub fn check(&self) -> Result<(), Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let prefix = &self.prefix;
        if !prefix.chars().all(fits) || prefix.starts_with('.') || prefix.len() > 40 {
            return Err(Error::Usage(format!(
                "`{prefix}` can't begin a Bates number: up to 40 letters of English, digits, `-`, `_` and `.` can"
            )));
        }
        if self.start > Self::LAST_START {
            let detail = format!("Bates numbers can't begin with {}: {} is the highest", self.start, Self::LAST_START);
            return Err(Error::Usage(detail));
        }
        Ok(())
    }
}

/// What is to be exported, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// In which format.
    pub format: FormatName,
    /// Only what this query finds, with its families; the text as it was typed.
    pub query: Option<(String, Query)>,
    /// Only what these records are of, with its families: what somebody selected.
    pub records: Option<BTreeSet<RecordSeq>>,
    /// Only these channels; empty: all that may be seen.
    pub channels: Vec<ChannelId>,
    /// What whoever asks may see.
    pub scope: Scope,
    /// Only what belongs to this person.
    pub custodian: Option<(String, CustodianRole)>,
    /// Only what was written in this time.
    pub range: TimeRange,
    /// As everything stood at this moment; `None`: as it stands.
    pub as_of: Option<UtcTime>,
    /// Which versions.
    pub versions: Versions,
    /// The zone in which days begin and times are written.
    pub zone: Zone,
    /// How dates are written in load files.
    pub dates: DateForm,
    /// For a reader with rules of its own.
    pub everlaw: bool,
    /// A volume ends before it grows beyond this.
    pub volume_bytes: Option<u64>,
    /// Numbers for documents.
    pub bates: Option<Bates>,
    /// What is not shown, by record.
    pub withheld: BTreeMap<RecordSeq, Withheld>,
    /// A file that stands in several conversations is given once.
    pub dedupe: bool,
    /// The bag is packed into a zip.
    pub zip: bool,
    /// The bag is packed into a zip that opens with this password only.
    pub zip_password: Option<SecretString>,
    /// The directory of the bag, or the zip; it does not exist yet.
    pub output: PathBuf,
    /// Who asked for it, as the system knows them.
    pub asked_by: String,
}

/// `700M` as bytes, by powers of 1,000 as media are sold.
pub fn parse_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().ok()?;
    let unit = match text[split..].trim_end_matches(['b', 'B']) {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0)
}

impl Request {
    /// Refuses what the format cannot do, before anything is read.
    pub fn check(&self) -> Result<(), Error> {
        self.bates.iter().try_for_each(Bates::check)?;
        self.format.refuse(self)
    }

    /// Everything that may be seen, every version, in UTC.
    pub fn new(format: FormatName, output: PathBuf) -> Self {
        Self {
            format,
            query: None,
            records: None,
            channels: Vec::new(),
            scope: Scope::All,
            custodian: None,
            range: TimeRange::default(),
            as_of: None,
            versions: Versions::All,
            zone: Zone::UTC,
            dates: DateForm::default(),
            everlaw: false,
            volume_bytes: None,
            bates: None,
            withheld: BTreeMap::new(),
            dedupe: false,
            zip: false,
            zip_password: None,
            output,
            asked_by: String::new(),
        }
    }

    /// What is asked, as the certificate has it.
    pub(super) fn describe(&self) -> Value {
        let channels: Vec<&str> = self.channels.iter().map(ChannelId::as_str).collect();
        let seen = match &self.scope {
            Scope::All => Value::Null,
            Scope::Channels(channels) => channels.iter().map(ChannelId::as_str).collect(),
        };
        json!({
            "format": self.format.as_str(),
            "query": self.query.as_ref().map(|(text, _)| text),
            "selected_records": self.records.as_ref().map(|records| records.iter().map(|seq| seq.0).collect::<Vec<_>>()),
            "channels": (!channels.is_empty()).then_some(channels),
            "channels_the_asker_may_see": seen,
            "custodian": self.custodian.as_ref().map(|(id, role)| json!({"id": id, "role": role.as_str()})),
            "from": self.range.from.map(rfc3339),
            "to": self.range.to.map(rfc3339),
            "as_of": self.as_of.map(rfc3339),
            "versions": self.versions.as_str(),
            "zone": self.zone.name(),
            "date_format": self.dates.as_str(),
            "profile": self.everlaw.then_some("everlaw"),
            "volume_bytes": self.volume_bytes,
            "bates": self.bates.as_ref().map(|bates| json!({"prefix": bates.prefix, "start": bates.start})),
            "withheld_records": self.withheld.len(),
            "dedupe": self.dedupe,
            "encrypted": self.zip_password.is_some(),
        })
    }

    /// In a few words, for a message to people.
    pub(super) fn in_words(&self) -> String {
        let mut parts = Vec::new();
        if let Some((text, _)) = &self.query {
            parts.push(format!("what `{text}` finds"));
        }
        if let Some(records) = &self.records {
            parts.push(format!("{} selected records", records.len()));
        }
        if !self.channels.is_empty() {
            parts.push(format!("{} named channels", self.channels.len()));
        }
        if let Some((id, role)) = &self.custodian {
            parts.push(format!("{id} as {}", role.as_str()));
        }
        if let Some(from) = self.range.from {
            parts.push(format!("from {}", self.zone.full_text(from)));
        }
        if let Some(to) = self.range.to {
            parts.push(format!("before {}", self.zone.full_text(to)));
        }
        if let Some(as_of) = self.as_of {
            parts.push(format!("as of {}", self.zone.full_text(as_of)));
        }
        if parts.is_empty() { "all channels and times".to_owned() } else { parts.join(", ") }
    }
}
