//! Open documents: texts, spreadsheets and presentations as `LibreOffice` writes them.

use std::collections::HashSet;

use super::drawing;
use super::output::{Output, Trouble};
use super::package::Package;
use super::xml::{Event, Tag, walk};

/// Reads an `.odt`, `.ods`, `.odp` or a template of one.
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut package = Package::open(bytes, out)?;
    if is_encrypted(&mut package, out) {
        return Err(Trouble::Encrypted("it is locked with a password".to_owned()));
    }
    if !package.names().iter().any(|name| name == "content.xml") {
        return Err(Trouble::Damaged("it has no content".to_owned()));
    }
    if let Some(text) = package.optional_xml("meta.xml", out) {
        properties(&text, out);
    }
    let mut story = Story::default();
    let text = package.read_xml("content.xml", out)?.unwrap_or_default();
    out.part("");
    tell("content.xml", &text, &mut story, out);
    // Headers and footers, and what stands on every slide.
    if let Some(text) = package.optional_xml("styles.xml", out) {
        out.part("headers and footers");
        tell("styles.xml", &text, &mut story, out);
    }
    for name in package.numbered(|name| name != "content.xml" && name.ends_with("/content.xml")) {
        if let Some(text) = package.optional_xml(&name, out) {
            out.part("figure");
            tell(&name, &text, &mut story, out);
        }
    }
    if !story.deleted.is_empty() {
        out.note("it has tracked deletions, whose text is kept");
    }
    for (title, lines) in [
        ("deleted", story.deleted),
        ("authors of changes and comments", story.authors),
        ("pictures", story.pictures),
        ("links", story.links),
        ("hidden", story.hidden),
        ("defined names", story.defined),
    ] {
        drawing::lines(title, &lines, out);
    }
    let objects = package.numbered(|name| {
        let is_plain = !name.contains('/') && !name.contains('.');
        is_plain && name.starts_with("Object")
    });
    drawing::embedded_parts(&mut package, &objects, out, depth);
    Ok(())
}

fn is_encrypted(package: &mut Package<'_>, out: &mut Output) -> bool {
    let Some(text) = package.optional_xml("META-INF/manifest.xml", out) else { return false };
    let mut is_encrypted = false;
    walk("META-INF/manifest.xml", &text, out, |event, _| {
        if let Event::Start(tag) = event {
            is_encrypted |= tag.name() == "encryption-data";
        }
        Ok(())
    });
    is_encrypted
}

fn properties(text: &str, out: &mut Output) {
    let mut found = Vec::new();
    let mut value: Option<String> = None;
    walk("meta.xml", text, out, |event, _| {
        match event {
            Event::Start(tag) => {
                value = matches!(
                    tag.name(),
                    "title" | "subject" | "description" | "keyword" | "creator" | "initial-creator" | "user-defined"
                )
                .then(String::new);
            }
            Event::Text(text) => {
                if let Some(value) = &mut value {
                    value.push_str(text);
                }
            }
            Event::End(_) => found.extend(value.take().filter(|value| !value.trim().is_empty())),
        }
        Ok(())
    });
    drawing::lines("properties", &found, out);
}

/// Where in the document the events are, and what is written behind it.
#[derive(Default)]
struct Story {
    /// Paragraphs within paragraphs: a note hangs in one.
    open: Vec<String>,
    /// Within tracked changes that hold what was deleted.
    deletions: u32,
    /// Within cells: their paragraphs stand in one line.
    cells: u32,
    /// The author that is being told.
    author: Option<String>,
    authors: Vec<String>,
    is_alternative: bool,
    style: String,
    hidden_styles: HashSet<String>,
    deleted: Vec<String>,
    pictures: Vec<String>,
    links: Vec<String>,
    hidden: Vec<String>,
    defined: Vec<String>,
}

/// Spaces that one element may stand for: nobody can see more.
const MAX_SPACES: usize = 100;
/// Authors that are told apart.
const MAX_AUTHORS: usize = 1_000;

impl Story {
    fn write(&mut self, text: &str) {
        if let Some(author) = &mut self.author {
            author.push_str(text);
        } else if let Some(paragraph) = self.open.last_mut() {
            paragraph.push_str(text);
        }
    }

    fn start(&mut self, tag: &Tag<'_>, out: &mut Output) {
        match tag.full_name() {
            "text:p" | "text:h" => self.open.push(String::new()),
            "text:s" => {
                let count = tag.any("c").and_then(|count| count.parse().ok()).unwrap_or(1);
                self.write(&" ".repeat(MAX_SPACES.min(count)));
            }
            "text:tab" => self.write("\t"),
            "text:line-break" => self.write("\n"),
            "text:deletion" => self.deletions += 1,
            "text:a" | "draw:a" => self.links.extend(tag.any("href").filter(|href| !href.starts_with('#'))),
            "text:hidden-text" | "text:conditional-text" => {
                out.note("it has text that is marked as hidden");
                for name in ["string-value", "string-value-if-true", "string-value-if-false"] {
                    self.hidden.extend(tag.any(name));
                }
            }
            "text:hidden-paragraph" => out.note("it has text that is marked as hidden"),
            "svg:title" | "svg:desc" => {
                self.is_alternative = true;
                self.pictures.push(String::new());
            }
            "dc:creator" => {
                // The author of a note or of a change.
                self.author = Some(String::new());
            }
            "table:table-cell" | "table:covered-table-cell" => self.cells += 1,
            "table:table" => {
                let name = tag.any("name").unwrap_or_default();
                if self.is_hidden(tag) {
                    out.note(format!("sheet {name} is hidden"));
                }
                if self.cells == 0 && self.open.is_empty() {
                    out.part(&name);
                }
            }
            "table:table-row" | "table:table-column"
                if tag.any("visibility").is_some_and(|visibility| visibility != "visible") =>
            {
                out.note("it has hidden rows or columns");
            }
            "table:named-range" | "table:named-expression" => self.defined.extend(tag.any("name")),
            "draw:page" => {
                let name = tag.prefixed("name").unwrap_or_default();
                if self.is_hidden(tag) {
                    out.note(format!("slide {name} is hidden"));
                }
                out.part(&name);
            }
            "presentation:notes" => out.part("notes"),
            "style:style" => self.style = tag.prefixed("name").unwrap_or_default(),
            "style:table-properties" if tag.any("display").is_some_and(|display| display == "false") => {
                self.hidden_styles.insert(self.style.clone());
            }
            "style:drawing-page-properties"
                if tag.any("visibility").is_some_and(|visibility| visibility == "hidden") =>
            {
                self.hidden_styles.insert(self.style.clone());
            }
            "style:text-properties" if tag.prefixed("display").is_some_and(|display| display == "none") => {
                out.note("it has text that is marked as hidden");
            }
            _ => {}
        }
    }

    fn is_hidden(&self, tag: &Tag<'_>) -> bool {
        tag.any("style-name").is_some_and(|style| self.hidden_styles.contains(&style))
    }

    fn end(&mut self, name: &str, out: &mut Output) {
        match name {
            "p" | "h" => self.end_paragraph(out),
            "creator" => {
                let author = self.author.take().filter(|author| !author.is_empty());
                if let Some(author) = author
                    && self.authors.len() < MAX_AUTHORS
                    && !self.authors.contains(&author)
                {
                    self.authors.push(author);
                }
            }
            "deletion" => self.deletions = self.deletions.saturating_sub(1),
            "title" | "desc" => self.is_alternative = false,
            "table-cell" | "covered-table-cell" => {
                self.cells = self.cells.saturating_sub(1);
            }
            "table-row" if self.cells == 0 => out.line_break(),
            _ => {}
        }
    }

    fn end_paragraph(&mut self, out: &mut Output) {
        let Some(paragraph) = self.open.pop() else { return };
        if self.deletions > 0 {
            if !paragraph.trim().is_empty() {
                self.deleted.push(paragraph);
            }
            return;
        }
        if paragraph.is_empty() {
            return;
        }
        out.text(&paragraph);
        if self.cells > 0 && self.open.is_empty() {
            out.text("\t");
        } else {
            out.line_break();
        }
    }
}

fn tell(part: &str, text: &str, story: &mut Story, out: &mut Output) {
    walk(part, text, out, |event, out| {
        match event {
            Event::Start(tag) => story.start(&tag, out),
            Event::End(name) => story.end(name, out),
            Event::Text(text) if story.is_alternative => {
                if let Some(picture) = story.pictures.last_mut() {
                    picture.push_str(text);
                }
            }
            Event::Text(text) => story.write(text),
        }
        Ok(())
    });
    // A part that ends in the middle leaves paragraphs open.
    while !story.open.is_empty() {
        story.end_paragraph(out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::Limits;
    use super::super::package::tests::{found, packed, survives};
    use super::*;

    fn content(body: &str) -> Vec<u8> {
        packed(&[("content.xml", &format!("<office:document-content>{body}</office:document-content>"))])
    }

    #[test]
    fn what_a_document_says() {
        for (xml, expected) in [
            (
                "<text:h>Head</text:h><text:p>a<text:s text:c='2'/>b<text:tab/><text:span>c</text:span></text:p>",
                "Head/a  b\tc",
            ),
            (
                "<text:p>body<text:note><text:note-body><text:p>below</text:p></text:note-body></text:note> goes on</text:p>",
                "below/body goes on",
            ),
            (
                "<text:tracked-changes><text:changed-region><text:deletion><dc:creator>Ann</dc:creator><text:p>gone</text:p>\
                 </text:deletion></text:changed-region></text:tracked-changes><text:p>here</text:p>",
                "here|deleted/gone|authors of changes and comments/Ann",
            ),
            (
                "<text:p>x<office:annotation><dc:creator>Eve</dc:creator><text:p>doubt</text:p></office:annotation></text:p>",
                "doubt/x|authors of changes and comments/Eve",
            ),
            (
                "<table:table table:name='Plan'><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>\
                 <table:table-cell table:number-columns-repeated='1000000'><text:p>b</text:p></table:table-cell></table:table-row>\
                 <table:table-row><table:table-cell><text:p>c</text:p></table:table-cell></table:table-row></table:table>",
                "Plan/a\tb\t/c",
            ),
            (
                "<draw:page draw:name='One'><text:p>t</text:p><presentation:notes><text:p>n</text:p></presentation:notes></draw:page>",
                "One/t|notes/n",
            ),
            (
                "<text:p><text:a xlink:href='http://w.example/'>link</text:a><draw:frame><svg:desc>A ship</svg:desc></draw:frame></text:p>",
                "link|pictures/A ship|links/http://w.example/",
            ),
            ("<text:p>s<text:hidden-text text:string-value='unseen'/></text:p>", "s|hidden/unseen"),
        ] {
            assert_eq!(found(read, &content(xml)).0.trim_end(), expected, "{xml}");
        }
    }

    #[test]
    fn hidden_sheets_and_slides_are_noted() {
        let styles = "<style:style style:name='t1'><style:table-properties table:display='false'/></style:style>";
        let (text, notes) = found(
            read,
            &content(&format!("{styles}<table:table table:name='S' table:style-name='t1'/><text:p>x</text:p>")),
        );
        assert_eq!((text.as_str(), notes), ("S/x", vec!["sheet S is hidden".to_owned()]));
    }

    #[test]
    fn headers_and_properties_are_read() {
        let bytes = packed(&[
            ("content.xml", "<o><text:p>body</text:p></o>"),
            ("styles.xml", "<o><style:header><text:p>head</text:p></style:header></o>"),
            (
                "meta.xml",
                "<o><dc:title>Title</dc:title><meta:keyword>key</meta:keyword><meta:editing-cycles>3</meta:editing-cycles></o>",
            ),
            ("Object 1/content.xml", "<o><text:p>chart</text:p></o>"),
        ]);
        assert_eq!(found(read, &bytes).0, "properties/Title/key|body|headers and footers/head|figure/chart");
    }

    #[test]
    fn a_locked_document_says_so() {
        let bytes = packed(&[
            ("META-INF/manifest.xml", "<m><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></m>"),
            ("content.xml", "noise"),
        ]);
        let mut out = Output::new(Limits::default());
        assert!(matches!(read(&bytes, &mut out, 0), Err(Trouble::Encrypted(_))));
    }

    #[test]
    fn damage_never_ends_the_reading_of_what_is_there() {
        survives(read, &content("<text:p>some<text:note><text:p>n</text:p></text:note></text:p>"));
    }
}
