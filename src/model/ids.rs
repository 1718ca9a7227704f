use std::fmt;

/// Which server (or import) a subject belongs to; one archive may come to hold several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// A record's number, dense from 0, which is also its leaf index in the Merkle tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RecordSeq(pub u64);

impl fmt::Display for RecordSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A channel's or direct conversation's id in canonical form.
///
/// `TeamChat` writes one id now with base64 padding, now without, now in the URL alphabet
/// (protocol notes 1.2), so ids are compared without `=` and with `-_` mapped to `+/`. What goes
/// back to the server is the form that its own list gave, kept in the channel's record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(String);

impl ChannelId {
    /// The canonical form of any spelling. `None` when nothing is left of it.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical: String = text
            .trim_end_matches('=')
            .chars()
            .map(|c| match c {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .collect();
        (!canonical.is_empty()).then_some(Self(canonical))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Any text but the empty one.
            pub fn parse(text: &str) -> Option<Self> {
                (!text.is_empty()).then(|| Self(text.to_owned()))
            }

            /// The text as the server gave it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_id! {
    /// A person's id, which is a mail address (protocol notes 1.2).
    UserId
}

text_id! {
    /// A file's id: twelve hexadecimal digits on `IceWarp`, anything elsewhere.
    FileId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_in_three_spellings_is_one_channel() {
        let padded = ChannelId::parse("cHVibGlj+Zm9/MTYw==");
        assert_eq!(padded, ChannelId::parse("cHVibGlj+Zm9/MTYw"));
        assert_eq!(padded, ChannelId::parse("cHVibGlj-Zm9_MTYw"));
        assert_eq!(ChannelId::parse("=="), None);
    }
}
