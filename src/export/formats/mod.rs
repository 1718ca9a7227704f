//! The formats: a file each, and a line each in the list below.

mod actiance;
mod atom;
mod csv;
mod dat;
mod eml;
mod html;
mod jsonl;
mod mbox;
pub(super) mod native;
mod pages;
mod plain;
mod rsmf;
mod slack;
mod xml;

use serde_json::Value;

use super::Error;
use super::out::Out;
use super::request::{DateForm, Request};
use super::unit::Unit;

/// What turns units into files of a set.
///
/// Units come conversation by conversation, oldest first. A format says of each record that it is given what
/// became of it ([`Out::produced`], [`Out::not_carried`], [`Out::exception`]): what it says nothing of is a
/// difference in the reconciliation.
pub(super) trait Format {
    /// A volume begins; a set has at least one.
    fn begin(&mut self, _out: &mut Out<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Writes a unit.
    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error>;

    /// A volume ends.
    fn end(&mut self, _out: &mut Out<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// What it has to remember where it is cut off.
    fn state(&self) -> Value {
        Value::Null
    }

    /// Goes on from what it remembered.
    fn resume(&mut self, _state: &Value) {}

    /// How much room it takes: bytes of the payload for each byte of a body, and for each byte of a content.
    fn growth(&self) -> (u64, u64) {
        (4, 1)
    }

    /// Bytes that the volume will get when it ends, beside those of the files that are written.
    fn pending_bytes(&self) -> u64 {
        0
    }

    /// How large its readers let a volume be; a request may ask for less.
    fn volume_bytes(&self) -> Option<u64> {
        None
    }
}

/// The name of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatName(usize);

struct Known {
    name: &'static str,
    what: &'static str,
    /// The flags that mean something to it and not to every format.
    flags: &'static [&'static str],
    make: fn(&Request) -> Box<dyn Format>,
}

/// Every format.
const FORMATS: &[Known] = &[
    Known {
        name: "rsmf",
        what: "Relativity short messages (RSMF 2.0.0), a file a conversation and day",
        flags: &[],
        make: |_| Box::new(rsmf::Rsmf),
    },
    Known {
        name: "dat",
        what: "a load file for review platforms (Concordance DAT, Opticon OPT), texts and natives",
        flags: &["--bates-prefix", "--date-format"],
        make: |request| Box::new(dat::Dat::new(request)),
    },
    Known {
        name: "eml",
        what: "a mail a conversation and day, with its files and its records attached",
        flags: &[],
        make: |_| Box::new(eml::Eml::default()),
    },
    Known {
        name: "html",
        what: "pages to read and print, a page a conversation and day, and the files",
        flags: &[],
        make: |_| Box::new(html::Html::default()),
    },
    Known {
        name: "native",
        what: "all records as they are archived, with the names that go with them; `import` makes an archive of it",
        flags: &[],
        make: |_| Box::new(native::Native),
    },
    Known {
        name: "csv",
        what: "a row a version, safe to open in a spreadsheet, and the files",
        flags: &["--date-format"],
        make: |_| Box::new(csv::Csv),
    },
    Known {
        name: "jsonl",
        what: "a line a version with the record as it was archived, and the files",
        flags: &[],
        make: |_| Box::new(jsonl::Jsonl::default()),
    },
    Known {
        name: "slack",
        what: "the zip of a Slack workspace's export, with the files; profile `everlaw`",
        flags: &["--profile"],
        make: |request| Box::new(slack::Slack::new(request.everlaw)),
    },
    Known {
        name: "mbox",
        what: "the mails of eml, a mailbox a conversation",
        flags: &[],
        make: |_| Box::new(mbox::Mbox::default()),
    },
    Known {
        name: "actiance",
        what: "XML for compliance archives, a file a conversation and day, and the files",
        flags: &[],
        make: |_| Box::new(actiance::Actiance),
    },
    Known {
        name: "atom",
        what: "an archived feed a conversation, with tombstones, and the files",
        flags: &[],
        make: |_| Box::new(atom::Atom::default()),
    },
];

impl FormatName {
    /// The format of that word.
    pub fn parse(text: &str) -> Option<Self> {
        FORMATS.iter().position(|known| known.name == text).map(Self)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        FORMATS[self.0].name
    }

    /// What it is, in a few words.
    pub fn what(self) -> &'static str {
        FORMATS[self.0].what
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..FORMATS.len()).map(Self)
    }

    /// Refuses what the format cannot do.
    pub(super) fn refuse(self, request: &Request) -> Result<(), Error> {
        let asked = [
            ("--bates-prefix", request.bates.is_some()),
            ("--profile", request.everlaw),
            ("--date-format", request.dates != DateForm::default()),
        ];
        let known = &FORMATS[self.0];
        if let Some((flag, _)) = asked.iter().find(|(flag, is_asked)| *is_asked && !known.flags.contains(flag)) {
            let others = FORMATS.iter().filter(|known| known.flags.contains(flag)).map(|known| known.name);
            let others = others.collect::<Vec<_>>().join(" and ");
            return Err(Error::Usage(format!("{flag} means nothing to the format {}: it is for {others}", known.name)));
        }
        match self.as_str() {
            "native" => native::refuse(request),
            _ => Ok(()),
        }
    }

    pub(super) fn make(self, request: &Request) -> Box<dyn Format> {
        (FORMATS[self.0].make)(request)
    }
}
