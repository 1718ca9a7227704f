use std::collections::BTreeSet;

use super::ChannelId;

/// What an account of the web UI or a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Manages accounts; reads nothing unless given channels.
    Admin,
    /// Reads everything.
    Auditor,
    /// Reads the listed channels.
    Reviewer,
    /// Sees verification and coverage only.
    Verifier,
}

impl Role {
    /// All roles, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Auditor, Self::Reviewer, Self::Verifier];

    /// The word used on the command line and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Reviewer => "reviewer",
            Self::Verifier => "verifier",
        }
    }

    /// The role of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// The channels whose contents a reader may see. Every look-up of content asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every channel of the archive.
    All,
    /// These and no others.
    Channels(BTreeSet<ChannelId>),
}

impl Scope {
    /// A scope in which nothing can be seen.
    pub fn nothing() -> Self {
        Self::Channels(BTreeSet::new())
    }

    /// Whether contents of `channel` may be seen.
    pub fn allows(&self, channel: &ChannelId) -> bool {
        match self {
            Self::All => true,
            Self::Channels(channels) => channels.contains(channel),
        }
    }

    /// Whether something that belongs to all of `channels` may be seen: one allowed channel is
    /// enough; what belongs to none is seen only by those who see all.
    pub fn allows_any<'a>(&self, channels: impl IntoIterator<Item = &'a ChannelId>) -> bool {
        match self {
            Self::All => true,
            Self::Channels(_) => channels.into_iter().any(|channel| self.allows(channel)),
        }
    }
}
