//! Word documents since 2007, hidden text included.
//!
//! The text is written as it stands now: with tracked insertions, without tracked deletions. Paragraphs with a
//! deletion follow once more in a part of their own, as they read before, so that a phrase is found in both.

use super::drawing;
use super::output::{Output, Trouble};
use super::package::Package;
use super::xml::{Event, Tag, walk};

/// Field codes that say nothing but where something is.
const PLAIN_FIELDS: [&str; 8] =
    ["PAGE", "NUMPAGES", "TOC", "PAGEREF", "SEQ", "STYLEREF", "SECTIONPAGES", "HYPERLINK \\l"];

/// Authors that are told apart.
const MAX_PEOPLE: usize = 1_000;

/// Reads a `.docx` or one of its kin (`.docm`, `.dotx`).
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut package = Package::open(bytes, out)?;
    let main = package.relations("", out).into_iter().find(|relation| relation.kind == "officeDocument");
    let names = package.names();
    let main = main.map(|relation| relation.target).filter(|target| names.contains(target));
    let main = main.or_else(|| names.iter().find(|name| is_numbered(name, "word/document")).cloned());
    let Some(main) = main else {
        return Err(Trouble::Damaged("it has no main part".to_owned()));
    };
    drawing::properties(&mut package, out);

    let mut after = After::default();
    let text = package.read_xml(&main, out)?;
    out.part("");
    story(&main, &text.unwrap_or_default(), out, &mut after);
    after.links(&mut package, &main, out);
    for (prefix, title) in [
        ("word/header", "header"),
        ("word/footer", "footer"),
        ("word/footnotes", "footnotes"),
        ("word/endnotes", "endnotes"),
        ("word/comments", "comments"),
    ] {
        for name in package.numbered(|name| is_numbered(name, prefix)) {
            if let Some(text) = package.optional_xml(&name, out) {
                out.part(title);
                story(&name, &text, out, &mut after);
                after.links(&mut package, &name, out);
            }
        }
    }
    for name in package.numbered(|name| name.starts_with("word/") && drawing::is_figure(name)) {
        drawing::read(&mut package, &name, "figure", out);
    }
    after.write(out);

    let chunks = package.relations(&main, out).into_iter().filter(|relation| relation.kind == "aFChunk");
    let mut inside = package.numbered(|name| name.contains("/embeddings/"));
    inside.extend(chunks.map(|chunk| chunk.target));
    drawing::embedded_parts(&mut package, &inside, out, depth);
    Ok(())
}

/// `word/header2.xml` of `word/header`, and not `word/headers/x.xml`.
fn is_numbered(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".xml"));
    rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What is written behind the text, so that no phrase of the text is cut by it.
#[derive(Default)]
struct After {
    before: Vec<String>,
    codes: Vec<String>,
    pictures: Vec<String>,
    people: Vec<String>,
}

impl After {
    fn add(list: &mut Vec<String>, text: &str) {
        let text = text.trim();
        if !text.is_empty() && list.last().is_none_or(|last| last != text) {
            list.push(text.to_owned());
        }
    }

    fn links(&mut self, package: &mut Package<'_>, name: &str, out: &mut Output) {
        for relation in package.relations(name, out) {
            if relation.is_external && relation.kind == "hyperlink" {
                Self::add(&mut self.codes, &relation.target);
            }
        }
    }

    fn write(self, out: &mut Output) {
        if !self.before.is_empty() {
            out.note("it has tracked deletions, whose text is kept");
        }
        for (title, lines) in [
            ("before tracked changes", self.before),
            ("authors of changes and comments", self.people),
            ("links and fields", self.codes),
            ("pictures", self.pictures),
        ] {
            drawing::lines(title, &lines, out);
        }
    }
}

/// A paragraph as it stands and as it stood.
#[derive(Default)]
struct Paragraph {
    now: String,
    before: String,
    has_deletion: bool,
}

/// Where in a story the events are.
#[derive(Default)]
struct Story {
    /// Paragraphs within paragraphs: a text box hangs in one.
    open: Vec<Paragraph>,
    deleted: u32,
    inserted: u32,
    /// Within properties, whose elements look like others.
    properties: u32,
    /// For each choice between renderings, whether the first was met; and how deep in one that is left out.
    choices: Vec<bool>,
    left_out: u32,
    is_text: bool,
    is_code: bool,
    code: String,
}

impl Story {
    fn write(&mut self, text: &str, is_deleted: bool) {
        if self.open.is_empty() {
            self.open.push(Paragraph::default());
        }
        let (deleted, inserted) = (is_deleted || self.deleted > 0, self.inserted > 0);
        if let Some(paragraph) = self.open.last_mut() {
            if !deleted {
                paragraph.now.push_str(text);
            }
            if deleted || !inserted {
                paragraph.before.push_str(text);
            }
            paragraph.has_deletion |= deleted;
        }
    }

    fn end_paragraph(&mut self, out: &mut Output, after: &mut After) {
        let Some(paragraph) = self.open.pop() else { return };
        out.text(&paragraph.now);
        out.line_break();
        if paragraph.has_deletion {
            After::add(&mut after.before, &paragraph.before);
        }
    }

    fn end_code(&mut self, after: &mut After) {
        let code = self.code.trim();
        let first = code.split_whitespace().next().unwrap_or_default();
        let is_plain = PLAIN_FIELDS.iter().any(|field| {
            field.split_whitespace().next() == Some(first) && code.starts_with(field)
                || first.eq_ignore_ascii_case(field)
        });
        if !is_plain {
            After::add(&mut after.codes, code);
        }
        self.code.clear();
    }

    fn start(&mut self, tag: &Tag<'_>, out: &mut Output, after: &mut After) {
        let name = tag.name();
        match name {
            "AlternateContent" => self.choices.push(false),
            "Choice" => {
                if let Some(met) = self.choices.last_mut() {
                    *met = true;
                }
            }
            // The same shape once more, for older readers.
            "Fallback" if self.left_out > 0 || self.choices.last() == Some(&true) => self.left_out += 1,
            _ => {}
        }
        if self.left_out > 0 {
            return;
        }
        if is_properties(name) {
            self.properties += 1;
        }
        if self.properties > 0 {
            match name {
                "vanish" | "webHidden" if tag.any("val").is_none_or(|value| value != "0" && value != "false") => {
                    out.note("it has text that is marked as hidden");
                }
                "tblCaption" | "tblDescription" => After::add(&mut after.pictures, &tag.any("val").unwrap_or_default()),
                _ => {}
            }
            return;
        }
        match name {
            "p" => self.open.push(Paragraph::default()),
            "t" | "delText" => self.is_text = true,
            "instrText" | "delInstrText" => self.is_code = true,
            "fldSimple" => {
                self.code = tag.any("instr").unwrap_or_default();
                self.end_code(after);
            }
            "fldChar" => self.end_code(after),
            "ins" | "moveTo" | "del" | "moveFrom" => {
                if matches!(name, "ins" | "moveTo") {
                    self.inserted += 1;
                } else {
                    self.deleted += 1;
                }
                let author = tag.any("author").unwrap_or_default();
                if after.people.len() < MAX_PEOPLE && !after.people.contains(&author) {
                    After::add(&mut after.people, &author);
                }
            }
            "tab" | "ptab" => self.write("\t", false),
            "br" | "cr" => self.write("\n", false),
            "noBreakHyphen" => self.write("-", false),
            "sym" => {
                let letter = tag.any("char").and_then(|hex| u32::from_str_radix(&hex, 16).ok());
                // Fonts of signs have their places in the private area: there is no letter to be found.
                let letter = letter.filter(|code| !(0xE000..0xF900).contains(code)).and_then(char::from_u32);
                if let Some(letter) = letter {
                    self.write(letter.encode_utf8(&mut [0; 4]), false);
                }
            }
            "docPr" | "cNvPr" => {
                for attribute in ["title", "descr"] {
                    After::add(&mut after.pictures, &tag.any(attribute).unwrap_or_default());
                }
            }
            "shape" | "rect" | "imagedata" => {
                for attribute in ["alt", "title"] {
                    After::add(&mut after.pictures, &tag.any(attribute).unwrap_or_default());
                }
            }
            "textpath" => After::add(&mut after.pictures, &tag.any("string").unwrap_or_default()),
            "comment" => {
                let author = tag.any("author").unwrap_or_default();
                out.line_break();
                out.text(&author);
                out.line_break();
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str, out: &mut Output, after: &mut After) {
        match name {
            "AlternateContent" => {
                self.choices.pop();
            }
            "Fallback" if self.left_out > 0 => {
                self.left_out -= 1;
                return;
            }
            _ => {}
        }
        if self.left_out > 0 {
            return;
        }
        if is_properties(name) {
            self.properties = self.properties.saturating_sub(1);
        }
        if self.properties > 0 {
            return;
        }
        match name {
            "p" => self.end_paragraph(out, after),
            "t" | "delText" => self.is_text = false,
            "instrText" | "delInstrText" => self.is_code = false,
            "ins" | "moveTo" => self.inserted = self.inserted.saturating_sub(1),
            "del" | "moveFrom" => self.deleted = self.deleted.saturating_sub(1),
            _ => {}
        }
    }
}

/// Elements that hold how something looks or is kept, with children named like others.
fn is_properties(name: &str) -> bool {
    matches!(name, "pPr" | "rPr" | "trPr" | "tcPr" | "tblPr" | "sectPr" | "sdtPr" | "numPr" | "ctrlPr")
}

fn story(part: &str, text: &str, out: &mut Output, after: &mut After) {
    let mut story = Story::default();
    let mut in_deleted_text = false;
    walk(part, text, out, |event, out| {
        match event {
            Event::Start(tag) => {
                in_deleted_text = tag.name() == "delText";
                story.start(&tag, out, after);
            }
            Event::End(name) => story.end(name, out, after),
            Event::Text(text) if story.left_out > 0 || story.properties > 0 || text.is_empty() => {}
            Event::Text(text) if story.is_text => story.write(text, in_deleted_text),
            Event::Text(text) if story.is_code => story.code.push_str(text),
            Event::Text(_) => {}
        }
        Ok(())
    });
    // A part that ends in the middle leaves paragraphs open.
    while !story.open.is_empty() {
        story.end_paragraph(out, after);
    }
}

#[cfg(test)]
mod tests {
    use super::super::package::tests::{found, packed, packed_bytes, survives};
    use super::*;

    fn body(body: &str) -> Vec<u8> {
        packed(&[("word/document.xml", &format!("<w:document><w:body>{body}</w:body></w:document>"))])
    }

    #[test]
    fn what_a_body_says() {
        for (xml, expected) in [
            (
                "<w:p><w:r><w:t>one </w:t></w:r><w:r><w:t>two</w:t></w:r></w:p><w:p><w:r><w:t>three</w:t></w:r></w:p>",
                "one two/three",
            ),
            (
                "<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:noBreakHyphen/></w:r></w:p>",
                "a\tb-",
            ),
            // A phrase is found as it stands, and as it stood.
            (
                "<w:p><w:r><w:t>We shall </w:t></w:r><w:del w:author='Ann'><w:r><w:delText>not </w:delText></w:r></w:del>\
                 <w:ins w:author='Bob'><w:r><w:t>gladly </w:t></w:r></w:ins><w:r><w:t>pay</w:t></w:r></w:p>",
                "We shall gladly pay|before tracked changes/We shall not pay|authors of changes and comments/Ann/Bob",
            ),
            (
                "<w:p><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom><w:r><w:t> rest</w:t></w:r></w:p>",
                "rest|before tracked changes/moved rest",
            ),
            // A mark of a deleted paragraph deletes no text.
            ("<w:p><w:pPr><w:rPr><w:del w:author='A'/></w:rPr></w:pPr><w:r><w:t>stays</w:t></w:r></w:p>", "stays"),
            (
                "<w:p><w:r><w:t>see </w:t><w:fldChar/><w:instrText>HYPERLINK \"http://x.example/\"</w:instrText>\
                 <w:fldChar/><w:t>here</w:t><w:fldChar/></w:r></w:p>",
                "see here|links and fields/HYPERLINK \"http://x.example/\"",
            ),
            ("<w:p><w:fldSimple w:instr=' PAGE '><w:r><w:t>7</w:t></w:r></w:fldSimple></w:p>", "7"),
            // A text box is kept in two renderings, and read once.
            (
                "<w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p>\
                 </w:txbxContent></mc:Choice><mc:Fallback><w:p><w:r><w:t>boxed</w:t></w:r></w:p></mc:Fallback>\
                 </mc:AlternateContent></w:r><w:r><w:t>outer</w:t></w:r></w:p>",
                "boxed/outer",
            ),
            ("<w:p><w:r><wp:docPr name='Picture 1' descr='A red ship'/></w:r></w:p>", "pictures/A red ship"),
            ("<w:p><w:r><w:sym w:font='X' w:char='F0A7'/><w:sym w:char='2192'/></w:r></w:p>", "→"),
        ] {
            let (text, _) = found(read, &body(xml));
            assert_eq!(text.trim_start_matches(['/', '|', ' ']), expected, "{xml}");
        }
    }

    #[test]
    fn every_part_is_read() {
        let p = |text: &str| format!("<w:x><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:x>");
        let bytes = packed(&[
            ("_rels/.rels", "<R><Relationship Id='1' Type='x/officeDocument' Target='word/document2.xml'/></R>"),
            ("word/document2.xml", &p("main")),
            (
                "word/_rels/document2.xml.rels",
                "<R><Relationship Id='1' Type='x/hyperlink' TargetMode='External' Target='https://y.example/'/></R>",
            ),
            ("word/header1.xml", &p("head")),
            ("word/footer1.xml", &p("foot")),
            ("word/footnotes.xml", &p("note")),
            ("word/endnotes.xml", &p("end")),
            (
                "word/comments.xml",
                "<w:c><w:comment w:author='Eve'><w:p><w:r><w:t>doubt</w:t></w:r></w:p></w:comment></w:c>",
            ),
            ("word/charts/chart1.xml", "<c><c:v>sales</c:v></c>"),
            (
                "docProps/core.xml",
                "<c><dc:title>Title</dc:title><cp:keywords>key</cp:keywords><dcterms:created>no</dcterms:created></c>",
            ),
            ("docProps/custom.xml", "<c><property name='Matter'><vt:lpwstr>12-B</vt:lpwstr></property></c>"),
        ]);
        let (text, notes) = found(read, &bytes);
        assert_eq!(
            text,
            "properties/Title/key/Matter/12-B|main|header/head|footer/foot|footnotes/note|endnotes/end\
             |comments/Eve/doubt|figure/sales|links and fields/https://y.example/"
        );
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn a_document_within_is_read() {
        let inner = body("<w:p><w:r><w:t>from within</w:t></w:r></w:p>");
        let bytes = packed_bytes(&[
            ("word/document.xml", b"<w:p><w:r><w:t>outer</w:t></w:r></w:p>"),
            ("word/embeddings/Microsoft_Word1.docx", &inner),
        ]);
        let (text, _) = found(read, &bytes);
        assert!(text.starts_with("outer|") && text.ends_with("from within"), "{text}");
    }

    #[test]
    fn deleted_and_hidden_text_is_noted() {
        let (_, notes) = found(
            read,
            &body(
                "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>x</w:t></w:r><w:del><w:r><w:delText>y</w:delText></w:r></w:del></w:p>",
            ),
        );
        assert_eq!(notes, ["it has text that is marked as hidden", "it has tracked deletions, whose text is kept"]);
    }

    #[test]
    fn damage_never_ends_the_reading_of_what_is_there() {
        survives(
            read,
            &body("<w:p><w:r><w:t>some words</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"),
        );
        let (text, _) = found(read, &body("<w:p><w:r><w:t>kept</w:t></w:r></w:p><w:p><w:r><w:t>also</w:wrong>"));
        assert_eq!(text, "kept/also");
    }
}
