//! Why something is not here. The words of each (`Display`) are those of the command line and of its JSON; the pages say
//! them with their own.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

/// Why a stretch of history was not walked to its end, and what closes the gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GapReason {
    /// Nobody was there yet.
    NeverWalked,
    /// The account was there, and sees it no more.
    Lost,
    /// The last walk ended with an error.
    Failed,
    /// The last walk did not end.
    CutOff,
    /// The server refuses the account: what it says.
    NeedsLogin(Option<String>),
    /// The account is in another state in which nothing is crawled with it: which, and why.
    Account {
        /// The state.
        state: String,
        /// Why it is in it.
        why: Option<String>,
    },
    /// It came with a set of another archive: nobody here knows what is missing.
    Imported,
}

const NO_REASON: &str = "no reason was given";

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverWalked => f.write_str("it was never walked: the next `crawl` does"),
            Self::Lost => f.write_str(
                "the account can no longer see it: enrol somebody who can, or exclude it in archive.toml with a reason",
            ),
            Self::Failed => f.write_str("its last walk failed: the next `crawl` tries again"),
            Self::CutOff => f.write_str("its walk was cut off: the next `crawl` goes on"),
            Self::NeedsLogin(why) => {
                let why = why.as_deref().unwrap_or(NO_REASON);
                write!(f, "the server no longer accepts the account ({why}): `login` renews it")
            }
            Self::Account { state, why } => {
                let why = why.as_deref().unwrap_or(NO_REASON);
                write!(f, "the account is {state} ({why}) and no other one walks here")
            }
            Self::Imported => f.write_str(
                "it was imported and never walked by this archive: what it covers is said in COVERAGE.json of the set \
                 that was imported",
            ),
        }
    }
}

impl Serialize for GapReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What no crawl with these accounts can see. In JSON: `kind`, a word for it, and `detail`, what it means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Of so many people only some are enrolled.
    OneView {
        /// Those with whose view something is crawled.
        enrolled: usize,
        /// All that are known.
        people: usize,
    },
    /// What is addressed to somebody else.
    Whispers,
    /// What people keep for themselves.
    PrivatePins,
    /// What came and went while nobody looked.
    BetweenPasses,
    /// What is kept and not understood.
    Unrecognised,
    /// The server names only some members of a channel.
    RosterCut {
        /// Those that it names.
        named: u64,
        /// As many as it says there are.
        members: u64,
    },
}

impl Limit {
    /// A word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OneView { .. } => "one_view",
            Self::Whispers => "whispers",
            Self::PrivatePins => "private_pins",
            Self::BetweenPasses => "between_passes",
            Self::Unrecognised => "unrecognised",
            Self::RosterCut { .. } => "roster_cut",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneView { enrolled, people } => write!(
                f,
                "{enrolled} of {people} people are enrolled; rooms and direct conversations of which none of them is a \
                 member are not here"
            ),
            Self::Whispers => {
                f.write_str("messages in a channel that are addressed to somebody else are not shown to these accounts")
            }
            Self::PrivatePins => f.write_str("pins that people keep for themselves are shown to them alone"),
            Self::BetweenPasses => {
                f.write_str(
                    "what was edited or deleted before the archive first looked, or between two looks and not told by a live \
                     event, left no trace",
                )
            }
            Self::Unrecognised => f.write_str(
                "some items could not be recognised; they are kept as they came, and their edits and deletions are not \
                 followed",
            ),
            Self::RosterCut { named, members } => write!(f, "the server names {named} of {members} members"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Limit", 2)?;
        out.serialize_field("kind", self.kind())?;
        out.serialize_field("detail", &self.to_string())?;
        out.end()
    }
}
