//! Reads text out of files, in a confined child: our own binary again, which takes every right from itself
//! before it reads a byte.
//!
//! A file comes from a stranger, and a reader of its format can be wrong: [`Extractor`] starts a child for each file,
//! hands it the bytes over a pipe, and takes back text within limits. Whatever happens in the child — a fault, an
//! endless loop, memory or stack that run out — is a [`Status`] of that file and of no other. The child holds no open
//! file, no environment, no network, and nothing of the archive but the bytes that it reads.
//!
//! A format is one file here with one function `read`, and one line in `formats`. What is read holds hidden text,
//! too: what was deleted, commented, left on hidden sheets. This room does not touch the store: what was found is
//! kept by whoever asked, so that a new index reads no file again.

mod archive;
mod caption;
mod charset;
mod child;
mod confine;
mod doc;
mod docx;
mod drawing;
mod formats;
mod html;
mod mail;
mod msg;
mod odf;
mod ole;
pub mod output;
mod package;
mod pdf;
mod pdf_walk;
mod picture;
mod plain;
mod ppt;
mod pptx;
mod preview;
pub mod recognize;
mod rtf;
mod sniff;
mod tape;
mod thumbnail;
mod worker;
mod xls;
mod xlsx;
mod xml;
mod xml_text;

pub use child::{Bounds, Error, Extractor};
pub use confine::{Confinement, Refusal};
pub use preview::{Preview, Unshown, preview};
pub use recognize::Recognizer;
pub use worker::{serve, test_confinement};

pub(in crate::extract) use formats::embedded;

/// Version of the readers in this build. A higher one has every file read again, so it changes when what is found
/// in files changes.
pub const EXTRACTOR_VERSION: u32 = 1;

/// What became of reading a file. Every file has one, so that nothing is missing in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All that there is was read.
    Ok,
    /// Some was read; the detail says what was not.
    Partial,
    /// A password is needed.
    Encrypted,
    /// Nothing here reads this kind of file.
    Unsupported,
    /// It is damaged, or its reader failed.
    Failed,
    /// Reading took too long.
    Timeout,
    /// A limit was reached: bytes, entries, pages.
    TooBig,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Partial, Self::Encrypted, Self::Unsupported, Self::Failed, Self::Timeout, Self::TooBig];

    /// The word in every output and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Encrypted => "encrypted",
            Self::Unsupported => "unsupported",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::TooBig => "too_big",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// What was read in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// What became of it.
    pub status: Status,
    /// What read it.
    pub engine: String,
    /// Version of our readers: [`EXTRACTOR_VERSION`].
    pub version: u32,
    /// The text. [`output::PART`] stands between its parts.
    pub text: String,
    /// What should be known: why it failed, what was hidden.
    pub detail: Option<String>,
    /// There was more text than is kept.
    pub is_truncated: bool,
    /// Pages, where it has some.
    pub pages: Option<u32>,
    /// The character set it was taken to be in.
    pub charset: Option<String>,
    /// A small picture of it: PNG or JPEG.
    pub thumbnail: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_as_it_is_written() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_string(&status).ok(), Some(format!("\"{}\"", status.as_str())));
        }
        assert_eq!(Status::parse("OK"), None);
    }
}
