//! Presentations of 1997 to 2003 (`.ppt`): a tree of records in one stream.
//!
//! The tree is read in the order of the file, which keeps older versions of a slide too when it was saved quickly.
//! The titles and lists of all slides stand together before them, in an outline.

use std::path::Path;

use flate2::read::ZlibDecoder;

use super::drawing;
use super::embedded;
use super::ole::{Ole, long, short, wide};
use super::output::{Output, Trouble};

const SLIDE: u16 = 0x03EE;
const NOTES: u16 = 0x03F0;
const SLIDE_INFO: u16 = 0x03F9;
const MASTER: u16 = 0x03F8;
const TEXT_WIDE: u16 = 0x0FA0;
const TEXT_NARROW: u16 = 0x0FA8;
const STRING: u16 = 0x0FBA;
const TEXT_LIST: u16 = 0x0FF0;
const EMBEDDED: u16 = 0x1011;
const COMMENT: u16 = 0x2EE0;
const HEADER_FOOTER: u16 = 0x0FD9;
const LINK: u16 = 0x0FD7;
const PLACEHOLDER: u16 = 0x0BC3;
const SHAPE: u16 = 0xF004;

/// What the stream of the last user begins with when the presentation is encrypted.
const ENCRYPTED: u32 = 0xF3D1_C4DF;
/// Records within records.
const MAX_DEPTH: usize = 100;

/// Reads a `.ppt`.
pub(super) fn read_storage(ole: &mut Ole<'_>, storage: &Path, out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let user = ole.stream(storage, "Current User", out).unwrap_or_default();
    if long(&user, 12) == Some(ENCRYPTED) {
        return Err(Trouble::Encrypted("it is locked with a password".to_owned()));
    }
    let bytes = ole.stream(storage, "PowerPoint Document", out).unwrap_or_default();
    let found = walk(&bytes, out)?;
    drawing::lines("outline", &found.outline, out);
    for (place, slide) in found.slides.iter().enumerate() {
        drawing::lines(&format!("slide {}", place + 1), slide, out);
    }
    for (title, lines) in [
        ("notes", &found.notes),
        ("comments", &found.comments),
        ("headers and footers", &found.margins),
        ("links", &found.links),
        ("master", &found.masters),
    ] {
        drawing::lines(title, lines, out);
    }
    for object in found.embedded {
        match object {
            Object::Plain(bytes) => embedded("object", bytes, out, depth),
            Object::Packed(bytes) => match out.inflate(ZlibDecoder::new(bytes)) {
                Ok(bytes) => embedded("object", &bytes, out, depth),
                Err(trouble) => out.partial(format!("an object within could not be read: {}", trouble.what())),
            },
        }
    }
    Ok(())
}

/// What a presentation says, by where it says it.
#[derive(Default)]
struct Found<'a> {
    outline: Vec<String>,
    slides: Vec<Vec<String>>,
    notes: Vec<String>,
    comments: Vec<String>,
    margins: Vec<String>,
    links: Vec<String>,
    masters: Vec<String>,
    embedded: Vec<Object<'a>>,
    /// Whether the shape that is being told is there to be filled in.
    is_placeholder: bool,
}

/// A compound file within the stream.
enum Object<'a> {
    Plain(&'a [u8]),
    Packed(&'a [u8]),
}

/// Goes through the records. The ends of those that hold others are kept in a list, innermost last.
fn walk<'a>(bytes: &'a [u8], out: &mut Output) -> Result<Found<'a>, Trouble> {
    let mut found = Found::default();
    let mut open: Vec<(u16, u16, usize)> = Vec::new();
    let mut at = 0;
    while let (Some(version), Some(kind), Some(length)) = (short(bytes, at), short(bytes, at + 2), long(bytes, at + 4))
    {
        while open.last().is_some_and(|(_, _, end)| at >= *end) {
            open.pop();
        }
        let start = at + 8;
        let end = start.saturating_add(length as usize);
        if end > bytes.len() {
            out.partial("the presentation ends in the middle of a record");
        }
        let end = end.min(bytes.len());
        let body = &bytes[start..end];
        match kind {
            SLIDE => {
                if let Err(trouble) = out.page() {
                    out.partial(trouble.what());
                    break;
                }
                found.slides.push(Vec::new());
            }
            SLIDE_INFO if short(body, 10).is_some_and(|flags| flags & 4 != 0) => {
                out.note(format!("slide {} is hidden", found.slides.len()));
            }
            SHAPE => found.is_placeholder = false,
            PLACEHOLDER => found.is_placeholder = true,
            TEXT_WIDE | STRING => found.text(&open, kind, &wide(body)),
            TEXT_NARROW => {
                let text: String = body.iter().map(|byte| char::from(*byte)).collect();
                found.text(&open, kind, &text);
            }
            EMBEDDED if version >> 4 == 0 => {
                out.entry()?;
                found.embedded.push(Object::Plain(body));
            }
            // Its size stands before it.
            EMBEDDED => {
                out.entry()?;
                found.embedded.push(Object::Packed(body.get(4..).unwrap_or_default()));
            }
            _ => {}
        }
        let is_container = version & 0xF == 0xF;
        if is_container && open.len() < MAX_DEPTH {
            open.push((kind, version >> 4, end));
            at = start;
        } else {
            at = end;
        }
    }
    Ok(found)
}

impl Found<'_> {
    fn text(&mut self, open: &[(u16, u16, usize)], kind: u16, text: &str) {
        let instance = |wanted: u16| open.iter().find(|(kind, _, _)| *kind == wanted).map(|(_, instance, _)| *instance);
        let is_within = |wanted: u16| instance(wanted).is_some();
        // Names that programs give to their additions, and placeholders of date and number.
        if text.starts_with("___PPT") || matches!(text.trim(), "" | "*") {
            return;
        }
        let list = if is_within(COMMENT) {
            &mut self.comments
        } else if is_within(HEADER_FOOTER) {
            &mut self.margins
        } else if is_within(LINK) {
            &mut self.links
        } else if is_within(NOTES) || instance(TEXT_LIST) == Some(2) {
            &mut self.notes
        } else if is_within(MASTER) || instance(TEXT_LIST) == Some(1) {
            if kind != STRING && (self.is_placeholder || !is_within(SHAPE)) {
                return;
            }
            &mut self.masters
        } else if is_within(TEXT_LIST) {
            &mut self.outline
        } else {
            match self.slides.last_mut().filter(|_| is_within(SLIDE)) {
                Some(slide) => slide,
                None if kind == STRING => &mut self.margins,
                None => &mut self.outline,
            }
        };
        if list.last().is_none_or(|last| last != text) {
            list.push(text.replace('\u{B}', "\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::super::ole::read;
    use super::super::ole::tests::{compound, wide_bytes};
    use super::super::output::Limits;
    use super::super::package::tests::{found, survives};
    use super::*;

    fn record(kind: u16, version: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = version.to_le_bytes().to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        bytes.extend(body);
        bytes
    }

    /// A record that holds others.
    fn holder(kind: u16, instance: u16, inside: &[Vec<u8>]) -> Vec<u8> {
        record(kind, (instance << 4) | 0xF, &inside.concat())
    }

    fn words(text: &str) -> Vec<u8> {
        record(TEXT_WIDE, 0, &wide_bytes(text))
    }

    fn show() -> Vec<u8> {
        let shape = |is_placeholder: bool, text: &str| {
            let place = if is_placeholder { record(PLACEHOLDER, 0, &[0; 8]) } else { Vec::new() };
            holder(SHAPE, 0, &[place, words(text)])
        };
        [
            holder(TEXT_LIST, 0, &[record(TEXT_NARROW, 0, b"Caf\xE9 title")]),
            holder(MASTER, 0, &[shape(true, "Click to edit"), shape(false, "Confidential")]),
            holder(SLIDE, 0, &[shape(false, "first\rline"), record(STRING, 0, &wide_bytes("___PPT10"))]),
            holder(
                SLIDE,
                0,
                &[record(SLIDE_INFO, 0, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0]), words("second")],
            ),
            holder(NOTES, 0, &[words("say this")]),
            holder(COMMENT, 0, &[record(STRING, 0, &wide_bytes("Eve")), record(STRING, 0, &wide_bytes("really?"))]),
        ]
        .concat()
    }

    #[test]
    fn slides_come_first_and_masters_last() {
        let (text, notes) = found(read, &compound(&[("PowerPoint Document", &show())]));
        assert_eq!(
            text,
            "outline/Café title|slide 1/first/line|slide 2/second|notes/say this|comments/Eve/really?|master/Confidential"
        );
        assert_eq!(notes, ["slide 2 is hidden"]);
    }

    #[test]
    fn documents_within_are_read_packed_or_not() {
        let inner = compound(&[("PowerPoint Document", &words("within"))]);
        let mut packer = ZlibEncoder::new(vec![0, 0, 0, 0], Compression::default());
        packer.write_all(&inner).unwrap();
        let packed = packer.finish().unwrap();
        for object in [record(EMBEDDED, 0, &inner), record(EMBEDDED, 1 << 4, &packed)] {
            let (text, notes) = found(read, &compound(&[("PowerPoint Document", &object)]));
            assert!(text.ends_with("within"), "{text} {notes:?}");
        }
    }

    #[test]
    fn a_locked_presentation_says_so() {
        let mut user = vec![0; 12];
        user.extend(ENCRYPTED.to_le_bytes());
        let bytes = compound(&[("Current User", &user), ("PowerPoint Document", b"x")]);
        let mut out = Output::new(Limits::default());
        assert!(matches!(read(&bytes, &mut out, 0), Err(Trouble::Encrypted(_))));
    }

    #[test]
    fn damage_never_ends_the_reading_of_what_is_there() {
        survives(read, &compound(&[("PowerPoint Document", &show())]));
    }
}
