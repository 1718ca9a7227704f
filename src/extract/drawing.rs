//! What the office formats of 2007 share: the text of shapes, charts and diagrams, document properties, and
//! documents within documents.

use super::embedded;
use super::output::Output;
use super::package::{Package, is_xml};
use super::xml::{Event, walk};

/// Whether a part holds a chart, a diagram or a drawing.
pub(super) fn is_figure(name: &str) -> bool {
    let is_held = |folder: &str, file: &str| {
        name.split_once(folder).is_some_and(|(_, rest)| rest.starts_with(file) && is_xml(rest))
    };
    is_held("/charts/", "chart") || is_held("/diagrams/", "data") || is_held("/drawings/", "drawing")
}

/// Writes the text of such a part, as a part of its own when there is any.
pub(super) fn read(package: &mut Package<'_>, name: &str, title: &str, out: &mut Output) {
    let Some(text) = package.optional_xml(name, out) else { return };
    let found = collect(name, &text, out, Shapes::All);
    lines(title, &found.lines, out);
    lines("pictures", &found.alternatives, out);
}

/// Which shapes are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shapes {
    /// All.
    All,
    /// Those of a master that are not there to be filled in.
    Fixed,
}

/// What a drawing says.
#[derive(Default)]
pub(super) struct Found {
    /// Its paragraphs and values.
    pub(super) lines: Vec<String>,
    /// Texts that stand for its pictures.
    pub(super) alternatives: Vec<String>,
    /// Whether the slide it is about is not shown.
    pub(super) is_hidden: bool,
}

/// Reads the paragraphs of shapes, the values of charts and the texts of comments.
pub(super) fn collect(part: &str, text: &str, out: &mut Output, shapes: Shapes) -> Found {
    let mut found = Found::default();
    let mut line = String::new();
    let mut is_text = false;
    // Paragraphs of the shape so far, and whether it is there to be filled in.
    let mut shape_start = 0;
    let mut is_placeholder = false;
    walk(part, text, out, |event, _| {
        match event {
            Event::Start(tag) => match tag.name() {
                "t" | "v" | "text" => is_text = true,
                "br" | "tab" => line.push(if tag.name() == "br" { '\n' } else { '\t' }),
                "sp" => {
                    shape_start = found.lines.len();
                    is_placeholder = false;
                }
                "ph" => is_placeholder = true,
                "sld" => found.is_hidden |= tag.plain("show").is_some_and(|show| show == "0" || show == "false"),
                "cNvPr" => {
                    for attribute in ["title", "descr"] {
                        let value = tag.plain(attribute).unwrap_or_default();
                        if !value.trim().is_empty() && found.alternatives.last() != Some(&value) {
                            found.alternatives.push(value);
                        }
                    }
                }
                _ => {}
            },
            Event::End(name) => {
                if matches!(name, "t" | "v" | "text") {
                    is_text = false;
                }
                if matches!(name, "p" | "v" | "text") && !line.trim().is_empty() {
                    found.lines.push(std::mem::take(&mut line));
                }
                if name == "sp" && is_placeholder && shapes == Shapes::Fixed {
                    found.lines.truncate(shape_start);
                }
            }
            Event::Text(text) if is_text => line.push_str(text),
            Event::Text(_) => {}
        }
        Ok(())
    });
    if !line.trim().is_empty() {
        found.lines.push(line);
    }
    found
}

/// Writes lines as a part of their own, if there are any.
pub(super) fn lines(title: &str, lines: &[String], out: &mut Output) {
    if lines.is_empty() {
        return;
    }
    out.part(title);
    for line in lines {
        out.text(line);
        out.line_break();
    }
}

/// Writes title, subject, authors and the like, and the properties that somebody made up.
pub(super) fn properties(package: &mut Package<'_>, out: &mut Output) {
    let mut found = Vec::new();
    for part in ["docProps/core.xml", "docProps/custom.xml", "docProps/app.xml"] {
        let Some(text) = package.optional_xml(part, out) else { continue };
        // In the last, words also stand for what every file has: names of fonts, titles of sheets.
        let is_made_up = part == "docProps/custom.xml";
        let mut name = None;
        let mut is_wanted = false;
        let mut value = String::new();
        walk(part, &text, out, |event, _| {
            match event {
                Event::Start(tag) => {
                    if tag.name() == "property" {
                        name = tag.plain("name");
                    }
                    is_wanted = is_property(tag.name()) || is_made_up && is_words(tag.name());
                    value.clear();
                }
                Event::Text(text) if is_wanted => value.push_str(text),
                Event::Text(_) => {}
                Event::End(_) => {
                    if is_wanted && !value.trim().is_empty() {
                        found.extend(name.take());
                        found.push(value.trim().to_owned());
                    }
                    is_wanted = false;
                }
            }
            Ok(())
        });
    }
    lines("properties", &found, out);
}

/// Whether a property is of words that a person wrote.
fn is_property(name: &str) -> bool {
    matches!(
        name,
        "title"
            | "subject"
            | "creator"
            | "keywords"
            | "description"
            | "lastModifiedBy"
            | "category"
            | "contentStatus"
            | "Manager"
            | "Company"
    )
}

/// Whether a made-up property's value of this type is words.
fn is_words(kind: &str) -> bool {
    matches!(kind, "lpwstr" | "lpstr" | "bstr")
}

/// Reads documents within the document.
pub(super) fn embedded_parts(package: &mut Package<'_>, names: &[String], out: &mut Output, depth: u32) {
    for name in names {
        match package.read(name, out) {
            Ok(Some(bytes)) => embedded(name.rsplit('/').next().unwrap_or(name), &bytes, out, depth),
            Ok(None) => {}
            Err(trouble) => out.partial(format!("{name} could not be read: {}", trouble.what())),
        }
    }
}
