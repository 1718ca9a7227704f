//! The table of formats, and how one of them is read: alone, or inside another.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::output::{Output, Trouble};
use super::sniff::{Format, sniff};
use super::{Status, archive, docx, html, mail, msg, odf, ole, pdf, picture, plain, pptx, rtf, tape, xlsx, xml_text};

type Read = fn(&[u8], &mut Output, u32) -> Result<(), Trouble>;

/// Which function reads which format, and what it is called in results. A new format is a file and a line here.
const READERS: &[(Format, &str, Read)] = &[
    (Format::Text, "plain", plain::read),
    (Format::Html, "html5gum", html::read),
    (Format::Xml, "xml", xml_text::read),
    (Format::Rtf, "rtf", rtf::read),
    (Format::Mail, "mail-parser", mail::read),
    (Format::Msg, "msg", msg::read),
    (Format::Zip, "zip", archive::read_zip),
    (Format::Gzip, "gzip", archive::read_gzip),
    (Format::SevenZip, "7z", archive::read_seven_zip),
    (Format::Tar, "tar", tape::read),
    (Format::Pdf, "pdf_oxide 0.3.78", pdf::read),
    (Format::Docx, "docx", docx::read),
    (Format::Xlsx, "xlsx", xlsx::read),
    (Format::Pptx, "pptx", pptx::read),
    (Format::Odf, "odf", odf::read),
    (Format::Doc, "ole", ole::read),
    (Format::Xls, "ole", ole::read),
    (Format::Ppt, "ole", ole::read),
    (Format::Picture, "image", picture::read),
    (Format::LockedOffice, "office", locked),
];

/// How reading a file ended; the text is in the [`Output`].
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) engine: &'static str,
    pub(super) trouble: Option<Trouble>,
}

impl Ending {
    /// The status of the file, given whether text was found and parts of it could not be read.
    pub(super) fn status(&self, has_text: bool, is_partial: bool) -> Status {
        match &self.trouble {
            None if is_partial => Status::Partial,
            None => Status::Ok,
            Some(Trouble::Encrypted(_)) => Status::Encrypted,
            Some(Trouble::Unsupported(_)) => Status::Unsupported,
            Some(Trouble::TooBig(_)) => Status::TooBig,
            Some(Trouble::Damaged(_)) if has_text => Status::Partial,
            Some(Trouble::Damaged(_)) => Status::Failed,
        }
    }
}

/// Reads a file.
pub(super) fn read(name: &str, mime: &str, bytes: &[u8], out: &mut Output) -> Ending {
    run(sniff(bytes, name, mime), bytes, out, 0)
}

/// Reads a file that lies in another, one level deeper, as a part of its own. What is wrong with it is said and
/// the rest goes on.
pub(in crate::extract) fn embedded(name: &str, bytes: &[u8], out: &mut Output, depth: u32) {
    out.part(name);
    if depth >= out.limits().depth {
        out.partial(format!("files more than {} deep in others are not read", out.limits().depth));
        return;
    }
    if out.is_full() {
        return;
    }
    let ending = run(sniff(bytes, name, ""), bytes, out, depth + 1);
    if let Some(trouble) = ending.trouble {
        out.partial(format!("{name}: {}", trouble.what()));
    }
}

/// A fault of a reader is caught here, so that what it read before stays and what lies beside it is read.
fn run(format: Format, bytes: &[u8], out: &mut Output, depth: u32) -> Ending {
    let Some((_, engine, read)) = READERS.iter().find(|(reads, ..)| *reads == format) else {
        let trouble = Trouble::Unsupported(format!("nothing here reads it: {}", format.title()));
        return Ending { engine: "none", trouble: Some(trouble) };
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| read(bytes, out, depth)));
    let outcome = outcome.unwrap_or_else(|_| {
        let place = super::worker::last_fault().unwrap_or_default();
        Err(Trouble::Damaged(format!("the reader of {} failed on it {place}", format.title()).trim_end().to_owned()))
    });
    Ending { engine, trouble: outcome.err() }
}

fn locked(_: &[u8], _: &mut Output, _: u32) -> Result<(), Trouble> {
    Err(Trouble::Encrypted("it opens with a password".to_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::output::Limits;
    use super::*;

    /// Reads bytes as the child does: status and text.
    pub(in crate::extract) fn read_all(name: &str, bytes: &[u8]) -> (Status, String, Vec<String>) {
        read_within(name, bytes, Limits::default())
    }

    pub(in crate::extract) fn read_within(name: &str, bytes: &[u8], limits: Limits) -> (Status, String, Vec<String>) {
        let mut out = Output::new(limits);
        out.source_bytes(bytes.len() as u64);
        let ending = read(name, "", bytes, &mut out);
        let parts = out.into_parts();
        let mut notes = parts.notes;
        notes.extend(ending.trouble.as_ref().map(|trouble| trouble.what().to_owned()));
        (ending.status(!parts.text.is_empty(), parts.is_partial || parts.is_truncated), parts.text, notes)
    }

    #[test]
    fn what_nothing_reads_is_said() {
        let (status, text, notes) = read_all("film.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom");
        assert_eq!((status, text.as_str()), (Status::Unsupported, ""));
        assert!(notes[0].contains("video/mp4"), "{notes:?}");
    }

    #[test]
    fn what_was_read_before_a_fault_makes_it_partial() {
        let ending = Ending { engine: "x", trouble: Some(Trouble::Damaged("cut".to_owned())) };
        assert_eq!(ending.status(true, false), Status::Partial);
        assert_eq!(ending.status(false, false), Status::Failed);
    }

    #[test]
    fn a_file_too_deep_is_named_and_not_read() {
        let mut out = Output::new(Limits { depth: 1, ..Limits::default() });
        embedded("a.txt", b"read", &mut out, 0);
        embedded("b.txt", b"unread", &mut out, 1);
        assert_eq!(out.collected(), "a.txt\nread\u{1d}b.txt\n");
    }
}
