//! What is searched, as the definition has it: one document for each version of each message,
//! comment and file.

use std::collections::BTreeSet;

use teamchat_archive::query::{Token, tokens};

/// The last token of a part and the first of the next are this many positions apart.
const PART: u32 = 1_001;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Message,
    Comment,
    File,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Message, Self::Comment, Self::File];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Comment => "comment",
            Self::File => "file",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Current,
    Edited,
    Deleted,
}

impl State {
    pub(super) const ALL: [Self; 3] = [Self::Current, Self::Edited, Self::Deleted];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
        }
    }
}

/// What stands after `has:` and `is:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Property {
    Link,
    File,
    Reaction,
    Edited,
    Deleted,
    Current,
    Superseded,
    Im,
    Bot,
    Comment,
}

impl Property {
    pub(super) const ALL: [Self; 10] = [
        Self::Link,
        Self::File,
        Self::Reaction,
        Self::Edited,
        Self::Deleted,
        Self::Current,
        Self::Superseded,
        Self::Im,
        Self::Bot,
        Self::Comment,
    ];

    /// With its field.
    pub(super) fn written(self) -> &'static str {
        match self {
            Self::Link => "has:link",
            Self::File => "has:file",
            Self::Reaction => "has:reaction",
            Self::Edited => "is:edited",
            Self::Deleted => "is:deleted",
            Self::Current => "is:current",
            Self::Superseded => "is:superseded",
            Self::Im => "is:im",
            Self::Bot => "is:bot",
            Self::Comment => "is:comment",
        }
    }
}

/// Which of a document's three texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Body,
    Title,
    Content,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Body, Self::Title, Self::Content];
}

/// A text of several parts, with its tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Text {
    pub(super) parts: Vec<String>,
    pub(super) tokens: Vec<Token>,
}

impl Text {
    pub(super) fn new(parts: Vec<String>) -> Self {
        let mut all: Vec<Token> = Vec::new();
        for part in &parts {
            let first = all.iter().map(|token| token.position).max().map_or(0, |last| last + PART);
            all.extend(tokens(part).into_iter().map(|token| Token { position: token.position + first, ..token }));
        }
        Self { parts, tokens: all }
    }
}

/// What is known of one version of something. Times of observation are in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) kind: Kind,
    /// Which message, comment or file, among all of the archive.
    pub(super) subject: usize,
    /// 1 for how it was first seen.
    pub(super) version: u32,
    /// The channel of a message; those in which a file, or the file that a comment is on, was seen.
    pub(super) channels: Vec<String>,
    pub(super) author: String,
    /// When it was written, in microseconds.
    pub(super) ts: i64,
    pub(super) body: Text,
    pub(super) title: Text,
    pub(super) content: Text,
    pub(super) has_reaction: bool,
    pub(super) is_bot: bool,
    /// Of a comment, the subject of its file; of a message, when it is a comment in the stream.
    pub(super) on_file: Option<usize>,
    pub(super) extension: String,
    pub(super) size: u64,
    pub(super) observed: i64,
    /// When a later version was observed.
    pub(super) superseded: Option<i64>,
    /// When the subject was found to be gone, for good.
    pub(super) gone: Option<i64>,
}

impl Document {
    pub(super) fn text(&self, part: Part) -> &Text {
        match part {
            Part::Body => &self.body,
            Part::Title => &self.title,
            Part::Content => &self.content,
        }
    }

    /// How it stood at a moment; `None` before it was observed.
    pub(super) fn state(&self, at: i64) -> Option<State> {
        let is_past = |time: Option<i64>| time.is_some_and(|time| time <= at);
        if self.observed > at {
            None
        } else if is_past(self.superseded) {
            Some(State::Edited)
        } else if is_past(self.gone) {
            Some(State::Deleted)
        } else {
            Some(State::Current)
        }
    }

    pub(super) fn has(&self, property: Property, at: i64) -> bool {
        let state = self.state(at);
        match property {
            Property::Link => self.body.parts.iter().any(|part| part.contains("://")),
            Property::File => self.kind == Kind::File || !self.title.parts.is_empty(),
            Property::Reaction => self.has_reaction,
            Property::Edited => self.version > 1 || state == Some(State::Edited),
            Property::Deleted => state == Some(State::Deleted),
            Property::Current => state == Some(State::Current),
            Property::Superseded => state == Some(State::Edited),
            Property::Im => self.channels.iter().any(|channel| channel.starts_with('D')),
            Property::Bot => self.is_bot,
            Property::Comment => self.on_file.is_some(),
        }
    }

    /// To someone who may not see a channel there is none of that name, though a document stands in it.
    pub(super) fn as_seen_by(&self, scope: Option<&BTreeSet<String>>) -> Self {
        let mut seen = self.clone();
        seen.channels.retain(|channel| scope.is_none_or(|scope| scope.contains(channel)));
        seen
    }

    pub(super) fn is_seen_by(&self, scope: Option<&BTreeSet<String>>) -> bool {
        scope.is_none_or(|scope| self.channels.iter().any(|channel| scope.contains(channel)))
    }
}
