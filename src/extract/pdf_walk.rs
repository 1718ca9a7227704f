//! What stands in a PDF beside the text of its pages: what it says about itself, bookmarks, remarks, form fields, attached files.
//!
//! Each walk follows references of the file, so each remembers where it was and ends after a named number of objects.

use std::collections::{HashMap, HashSet};

use pdf_oxide::PdfDocument;
use pdf_oxide::object::{Object, ObjectRef};

use super::output::Output;

/// Objects that one walk looks at.
const OBJECTS: usize = 100_000;
/// A reference may stand for a reference; after this many it leads nowhere.
const HOPS: usize = 8;
/// Attached files.
const ATTACHMENTS: usize = 10_000;

type Dictionary = HashMap<String, Object>;

/// One walk over a document's objects.
struct Walk<'a> {
    document: &'a PdfDocument,
    seen: HashSet<ObjectRef>,
    left: usize,
    /// Whether a node was met a second time: what is walked is no tree.
    is_tangled: bool,
}

impl<'a> Walk<'a> {
    fn new(document: &'a PdfDocument) -> Self {
        Self { document, seen: HashSet::new(), left: OBJECTS, is_tangled: false }
    }

    /// What an object or the reference to it stands for.
    fn resolve(&self, object: &Object) -> Object {
        let mut object = object.clone();
        for _ in 0..HOPS {
            let Some(reference) = object.as_reference() else { return object };
            object = self.document.load_object(reference).unwrap_or(Object::Null);
        }
        Object::Null
    }

    fn member(&self, dictionary: &Dictionary, key: &str) -> Object {
        dictionary.get(key).map_or(Object::Null, |object| self.resolve(object))
    }

    fn text(&self, dictionary: &Dictionary, key: &str) -> String {
        self.member(dictionary, key).as_string().map(text_string).unwrap_or_default()
    }

    fn list(&self, dictionary: &Dictionary, key: &str) -> Vec<Object> {
        self.member(dictionary, key).as_array().cloned().unwrap_or_default()
    }

    /// The dictionary that a node of a tree is, unless the walk was there already or has gone on too long.
    fn step(&mut self, node: &Object) -> Option<Dictionary> {
        if let Some(reference) = node.as_reference()
            && !self.seen.insert(reference)
        {
            self.is_tangled = true;
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.resolve(node).as_dict().cloned()
    }

    fn catalog(&self) -> Dictionary {
        self.document.catalog().ok().and_then(|catalog| catalog.as_dict().cloned()).unwrap_or_default()
    }
}

/// The revision of the standard encryption that a document names.
pub(super) fn encryption_revision(document: &PdfDocument) -> Option<i64> {
    let walk = Walk::new(document);
    let encryption = walk.member(document.trailer().as_dict()?, "Encrypt");
    walk.member(encryption.as_dict()?, "R").as_integer()
}

/// Writes a text of its own.
fn write(out: &mut Output, text: &str) {
    if !text.trim().is_empty() {
        out.part("");
        out.text(text.trim());
    }
}

/// Writes title, author, subject and keywords.
pub(super) fn about(document: &PdfDocument, out: &mut Output) {
    let walk = Walk::new(document);
    let Some(trailer) = document.trailer().as_dict() else { return };
    let info = walk.member(trailer, "Info");
    let Some(info) = info.as_dict() else { return };
    for key in ["Title", "Author", "Subject", "Keywords"] {
        write(out, &walk.text(info, key));
    }
}

/// Writes the titles of the bookmarks, in their order.
pub(super) fn bookmarks(document: &PdfDocument, out: &mut Output) {
    let mut walk = Walk::new(document);
    let outlines = walk.member(&walk.catalog(), "Outlines");
    let mut waiting: Vec<Object> = outlines.as_dict().and_then(|root| root.get("First").cloned()).into_iter().collect();
    while let Some(node) = waiting.pop() {
        let Some(bookmark) = walk.step(&node) else { continue };
        write(out, &walk.text(&bookmark, "Title"));
        // The last to be put down is the first to be taken up: children come before the next of the same level.
        waiting.extend(bookmark.get("Next").cloned());
        waiting.extend(bookmark.get("First").cloned());
    }
    if walk.left == 0 {
        out.partial("there are more bookmarks than are read");
    }
}

/// What readers wrote on a page, and where its links lead, but for what the page's text holds.
pub(super) fn remarks(document: &PdfDocument, page: usize, page_text: &str) -> Vec<String> {
    let mut walk = Walk::new(document);
    let Ok(page) = document.get_page(page) else { return Vec::new() };
    let Some(page) = page.as_dict() else { return Vec::new() };
    let mut found = Vec::new();
    for node in walk.list(page, "Annots") {
        let Some(remark) = walk.step(&node) else { continue };
        // A widget is the face of a field; a popup shows what another one holds.
        if matches!(walk.member(&remark, "Subtype").as_name(), Some("Widget" | "Popup")) {
            continue;
        }
        let action = walk.member(&remark, "A");
        let address = action.as_dict().map(|action| walk.text(action, "URI")).unwrap_or_default();
        let contents = walk.text(&remark, "Contents");
        let lines: Vec<String> = [walk.text(&remark, "Subj"), contents, address]
            .into_iter()
            .filter(|line| !line.trim().is_empty() && !page_text.contains(line.trim()))
            .collect();
        if !lines.is_empty() {
            // The author alone says nothing: most are set by the program that wrote the file.
            let author = Some(walk.text(&remark, "T")).filter(|author| !author.is_empty());
            found.push(author.into_iter().chain(lines).collect::<Vec<_>>().join("\n"));
        }
    }
    found
}

/// Writes the fields of the form: name and value. A value may be longer than what its page shows of it.
pub(super) fn fields(document: &PdfDocument, out: &mut Output) {
    let mut walk = Walk::new(document);
    let form = walk.member(&walk.catalog(), "AcroForm");
    let Some(form) = form.as_dict() else { return };
    if form.contains_key("XFA") {
        out.partial("it holds an XFA form, of which only the fields that other programs see are read");
    }
    let mut waiting: Vec<(Object, String)> =
        walk.list(form, "Fields").into_iter().rev().map(|node| (node, String::new())).collect();
    while let Some((node, above)) = waiting.pop() {
        let Some(field) = walk.step(&node) else { continue };
        let own = walk.text(&field, "T");
        let name = if own.is_empty() { above } else { own };
        let value = value_text(&walk, &walk.member(&field, "V"));
        if !value.trim().is_empty() {
            write(out, &format!("{name}\n{}", value.trim()));
        }
        waiting.extend(walk.list(&field, "Kids").into_iter().rev().map(|node| (node, name.clone())));
    }
    if walk.left == 0 {
        out.partial("there are more form fields than are read");
    }
}

fn value_text(walk: &Walk<'_>, value: &Object) -> String {
    match value {
        Object::String(bytes) => text_string(bytes),
        // The state of a box: `Off` is how an empty one is written.
        Object::Name(name) if name != "Off" => name.clone(),
        Object::Array(values) => {
            let texts = values.iter().take(OBJECTS).map(|value| walk.resolve(value));
            texts.filter_map(|value| value.as_string().map(text_string)).collect::<Vec<_>>().join("\n")
        }
        Object::Stream { .. } if !walk.document.is_encrypted() => {
            value.decode_stream_data().map(|bytes| text_string(&bytes)).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// The files that are attached to the document or to a place on a page: name and bytes.
pub(super) fn attachments(document: &PdfDocument, out: &mut Output) -> Vec<(String, Vec<u8>)> {
    let mut walk = Walk::new(document);
    let mut files = Vec::new();
    let catalog = walk.catalog();
    let mut waiting = Vec::new();
    if let Some(names) = walk.member(&catalog, "Names").as_dict() {
        waiting.extend(names.get("EmbeddedFiles").cloned());
    }
    while let Some(node) = waiting.pop() {
        let Some(node) = walk.step(&node) else { continue };
        // Pairs of a name for the tree and a file.
        files.extend(walk.list(&node, "Names").into_iter().skip(1).step_by(2));
        waiting.extend(walk.list(&node, "Kids").into_iter().rev());
    }
    let is_tree = !walk.is_tangled && walk.left > 0;
    files.extend(walk.list(&catalog, "AF"));
    for page in 0..document.page_count().unwrap_or(0).min(usize::try_from(out.limits().pages).unwrap_or(usize::MAX)) {
        let Ok(page) = document.get_page(page) else { continue };
        let Some(page) = page.as_dict() else { continue };
        for node in walk.list(page, "Annots") {
            if let Some(remark) = walk.step(&node)
                && walk.member(&remark, "Subtype").as_name() == Some("FileAttachment")
            {
                files.extend(remark.get("FS").cloned());
            }
        }
    }
    let mut contents = HashSet::new();
    let mut found = Vec::new();
    for file in files {
        let Some(file) = walk.resolve(&file).as_dict().cloned() else { continue };
        let embedded = walk.member(&file, "EF");
        let Some(embedded) = embedded.as_dict() else { continue };
        let name =
            Some(walk.text(&file, "UF")).filter(|name| !name.is_empty()).unwrap_or_else(|| walk.text(&file, "F"));
        let Some(place) = embedded.get("UF").or_else(|| embedded.get("F")).and_then(Object::as_reference) else {
            continue;
        };
        // One file may be attached in several places.
        if !contents.insert(place) {
            continue;
        }
        if contents.len() > ATTACHMENTS {
            out.partial(format!("it has more than {ATTACHMENTS} attached files"));
            break;
        }
        if document.is_encrypted() {
            found.push((name, None));
            continue;
        }
        let decoded = document.load_object(place).and_then(|stream| stream.decode_stream_data());
        match decoded.map(|bytes| out.inflate(bytes.as_slice())) {
            Ok(Ok(bytes)) => found.push((name, Some(bytes))),
            Ok(Err(trouble)) => {
                out.partial(format!("an attached file is left out: {}", trouble.what()));
                break;
            }
            Err(_) => out.partial("an attached file can't be read"),
        }
    }
    if found.iter().any(|(_, bytes)| bytes.is_none()) {
        let names: Vec<String> = found.into_iter().map(|(name, _)| name).collect();
        return decrypted(document, &names, is_tree, out);
    }
    found.into_iter().filter_map(|(name, bytes)| bytes.map(|bytes| (name, bytes))).collect()
}

/// The attached files of an encrypted document. Only the crate can decrypt a stream, and only all those in the tree of names
/// at once: a walk with a bound on its depth and none on its breadth, so that nothing but a tree may come to it.
fn decrypted(document: &PdfDocument, names: &[String], is_tree: bool, out: &mut Output) -> Vec<(String, Vec<u8>)> {
    let files = if is_tree { document.extract_embedded_files().unwrap_or_default() } else { Vec::new() };
    if files.len() < names.len() {
        out.partial("not all attached files can be decrypted");
    }
    let is_in_step = files.len() == names.len();
    let mut found = Vec::new();
    for (place, (name, bytes)) in files.into_iter().enumerate() {
        // The crate takes every name for UTF-8.
        let name = names.get(place).filter(|_| is_in_step).cloned().unwrap_or(name);
        match out.inflate(bytes.as_slice()) {
            Ok(bytes) => found.push((name, bytes)),
            Err(trouble) => {
                out.partial(format!("an attached file is left out: {}", trouble.what()));
                break;
            }
        }
    }
    found
}

/// Decodes a text of a PDF: UTF-16 or UTF-8 behind a byte order mark, else the encoding of its own (ISO 32000-2, annex D.2).
pub(super) fn text_string(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes.as_chunks::<2>();
        char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
            .map(|letter| letter.unwrap_or('\u{fffd}'))
            .collect::<String>()
    };
    match bytes {
        [0xfe, 0xff, rest @ ..] => without_languages(&wide(rest, u16::from_be_bytes)),
        // No standard knows this one; some programs write it.
        [0xff, 0xfe, rest @ ..] => without_languages(&wide(rest, u16::from_le_bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => bytes.iter().map(|byte| own_letter(*byte)).collect(),
    }
}

/// Takes out the marks that say which language follows: they stand between two escapes.
fn without_languages(text: &str) -> String {
    if text.matches('\u{1b}').count() < 2 {
        return text.to_owned();
    }
    text.split('\u{1b}').step_by(2).collect()
}

fn own_letter(byte: u8) -> char {
    const ACCENTS: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
    const SIGNS: [char; 33] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ', 'ﬂ', 'Ł',
        'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', '\u{fffd}', '€',
    ];
    match byte {
        0x18..=0x1f => ACCENTS[usize::from(byte - 0x18)],
        0x80..=0xa0 => SIGNS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_decoded_from_every_encoding_of_pdf() {
        for (bytes, expected) in [
            (&b"plain"[..], "plain"),
            (b"\xfe\xff\x01\x0d\x00e\x00s\x00k\x00y", "česky"),
            (b"\xff\xfe\x0d\x01e\x00", "če"),
            (b"\xef\xbb\xbf\xc4\x8desky", "česky"),
            (b"\x80 \x93 \xa0 \xe9", "• ﬁ € é"),
            (b"\xfe\xff\xd8\x3d\xde\x00", "😀"),
            (b"\xfe\xff\xd8\x3d", "\u{fffd}"),
            (b"\xfe\xff\x00\x1b\x00e\x00n\x00\x1b\x00a", "a"),
        ] {
            assert_eq!(text_string(bytes), expected, "{bytes:x?}");
        }
    }
}
