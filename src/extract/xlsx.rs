//! Workbooks since 2007: every sheet, hidden ones too.
//!
//! Numbers stand as the file holds them. A string that many cells share is kept once, and writing ends with the
//! limit on text, so that a small file can't ask for gigabytes.

use super::drawing;
use super::output::{Output, Trouble};
use super::package::{Package, is_xml};
use super::xml::{Event, walk};

/// Reads a `.xlsx` or one of its kin (`.xlsm`, `.xltx`).
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut package = Package::open(bytes, out)?;
    let names = package.names();
    if names.iter().any(|name| name == "xl/workbook.bin") {
        return Err(Trouble::Unsupported("a workbook of the binary kind (xlsb)".to_owned()));
    }
    let main = package.relations("", out).into_iter().find(|relation| relation.kind == "officeDocument");
    let main = main.map(|relation| relation.target).filter(|target| names.contains(target));
    let main = main.unwrap_or_else(|| "xl/workbook.xml".to_owned());
    drawing::properties(&mut package, out);

    let relations = package.relations(&main, out);
    let book = match package.optional_xml(&main, out) {
        Some(text) => workbook(&main, &text, out),
        None => Book::default(),
    };
    let shared = relations.iter().find(|relation| relation.kind == "sharedStrings");
    let shared = shared.map_or("xl/sharedStrings.xml", |relation| &relation.target);
    let strings = match package.optional_xml(shared, out) {
        Some(text) => Strings::read(shared, &text, out),
        None => Strings::default(),
    };

    let mut read_parts = Vec::new();
    for sheet in &book.sheets {
        let Some(relation) = relations.iter().find(|relation| relation.id == sheet.relation) else { continue };
        if sheet.is_hidden {
            out.note(format!("sheet {} is hidden", sheet.name));
        }
        read_parts.push(relation.target.clone());
        one_sheet(&mut package, &sheet.name, &relation.target, &strings, out);
    }
    // A sheet that the workbook does not name, or cannot any more.
    let left = |name: &str| name.starts_with("xl/worksheets/sheet") && !read_parts.iter().any(|part| part == name);
    for name in package.numbered(left) {
        out.note(format!("{name} is not listed in the workbook"));
        one_sheet(&mut package, "", &name, &strings, out);
    }
    drawing::lines("defined names", &book.defined, out);

    for name in package.numbered(|name| name.starts_with("xl/") && is_xml(name)) {
        if out.is_full() {
            break;
        }
        let file = name.rsplit('/').next().unwrap_or_default();
        if drawing::is_figure(&name) {
            drawing::read(&mut package, &name, "figure", out);
        } else if file.starts_with("comments") || file.starts_with("threadedComment") || file.starts_with("person") {
            let found = values(&mut package, &name, &["author", "t", "text"], &[("person", "displayName")], out);
            drawing::lines("comments", &found, out);
        } else if file.starts_with("pivotCache") || file.starts_with("externalLink") {
            // Kept values of a source that may not be in the file any more.
            let found = values(&mut package, &name, &["v"], &[("s", "v"), ("n", "v"), ("cacheField", "name")], out);
            drawing::lines("kept values", &found, out);
        }
    }
    let inside = package.numbered(|name| name.contains("/embeddings/"));
    drawing::embedded_parts(&mut package, &inside, out, depth);
    Ok(())
}

#[derive(Default)]
struct Book {
    sheets: Vec<Sheet>,
    defined: Vec<String>,
}

struct Sheet {
    name: String,
    relation: String,
    is_hidden: bool,
}

fn workbook(part: &str, text: &str, out: &mut Output) -> Book {
    let mut book = Book::default();
    let mut defined: Option<String> = None;
    walk(part, text, out, |event, _| {
        match event {
            Event::Start(tag) => match tag.name() {
                "sheet" => book.sheets.push(Sheet {
                    name: tag.plain("name").unwrap_or_default(),
                    relation: tag.prefixed("id").unwrap_or_default(),
                    is_hidden: tag.plain("state").is_some_and(|state| state != "visible"),
                }),
                "definedName" => defined = Some(format!("{}\t", tag.plain("name").unwrap_or_default())),
                _ => {}
            },
            Event::Text(text) => {
                if let Some(defined) = &mut defined {
                    defined.push_str(text);
                }
            }
            Event::End("definedName") => book.defined.extend(defined.take()),
            Event::End(_) => {}
        }
        Ok(())
    });
    book
}

/// The strings that cells refer to by number, end to end.
#[derive(Default)]
struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    fn read(part: &str, text: &str, out: &mut Output) -> Self {
        let mut strings = Self::default();
        let (mut is_text, mut is_reading) = (false, false);
        walk(part, text, out, |event, _| {
            match event {
                Event::Start(tag) => match tag.name() {
                    "t" => is_text = true,
                    // How a Japanese string is pronounced stands between its runs.
                    "rPh" => is_reading = true,
                    _ => {}
                },
                Event::Text(text) if is_text && !is_reading => strings.text.push_str(text),
                Event::Text(_) => {}
                Event::End(name) => match name {
                    "t" => is_text = false,
                    "rPh" => is_reading = false,
                    "si" => strings.ends.push(strings.text.len()),
                    _ => {}
                },
            }
            Ok(())
        });
        if strings.ends.last().is_none_or(|end| *end < strings.text.len()) {
            strings.ends.push(strings.text.len());
        }
        strings
    }

    fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    Value,
    Formula,
    Margin,
}

fn one_sheet(package: &mut Package<'_>, title: &str, part: &str, strings: &Strings, out: &mut Output) {
    if out.is_full() {
        return;
    }
    out.part(title);
    let relations = package.relations(part, out);
    let Some(text) = package.optional_xml(part, out) else { return };
    let mut kept = Kept::Nothing;
    let (mut kind, mut value, mut formula) = (String::new(), String::new(), String::new());
    let mut is_first_cell = true;
    let mut margins: Vec<String> = Vec::new();
    let mut formulas: Vec<String> = Vec::new();
    walk(part, &text, out, |event, out| {
        match event {
            Event::Start(tag) => match tag.name() {
                "row" => {
                    is_first_cell = true;
                    if tag.is_on("hidden") {
                        out.note(format!("sheet {title} has hidden rows"));
                    }
                }
                "col" if tag.is_on("hidden") => out.note(format!("sheet {title} has hidden columns")),
                "c" => {
                    kind = tag.plain("t").unwrap_or_default();
                    value.clear();
                }
                "v" | "t" => kept = Kept::Value,
                "rPh" => kept = Kept::Nothing,
                "f" => {
                    formula.clear();
                    kept = Kept::Formula;
                }
                "oddHeader" | "oddFooter" | "evenHeader" | "evenFooter" | "firstHeader" | "firstFooter" => {
                    margins.push(String::new());
                    kept = Kept::Margin;
                }
                _ => {}
            },
            Event::Text(text) => match kept {
                Kept::Nothing => {}
                Kept::Value => value.push_str(text),
                Kept::Formula => formula.push_str(text),
                Kept::Margin => {
                    if let Some(margin) = margins.last_mut() {
                        margin.push_str(text);
                    }
                }
            },
            Event::End(name) => {
                kept = Kept::Nothing;
                match name {
                    "c" => {
                        let written = match kind.as_str() {
                            "s" => value.trim().parse().ok().and_then(|number| strings.get(number)),
                            "b" => Some(if value.trim() == "1" { "TRUE" } else { "FALSE" }),
                            _ => Some(value.as_str()),
                        };
                        if let Some(written) = written.filter(|written| !written.is_empty()) {
                            if !is_first_cell {
                                out.text("\t");
                            }
                            is_first_cell = false;
                            out.text(written);
                        }
                    }
                    "row" => out.line_break(),
                    // A formula is searched for the words it holds, not for its arithmetic.
                    "f" if formula.contains('"') => formulas.push(std::mem::take(&mut formula)),
                    _ => {}
                }
            }
        }
        Ok(())
    });
    let margins: Vec<String> = margins.iter().map(|margin| without_codes(margin)).collect();
    drawing::lines("headers and footers", &margins, out);
    drawing::lines("formulas", &formulas, out);
    let links = relations.into_iter().filter(|relation| relation.is_external && relation.kind == "hyperlink");
    let links: Vec<String> = links.map(|relation| relation.target).collect();
    drawing::lines("links", &links, out);
}

/// A header without its codes for place, font, size, page and date: `&L&"Arial,Bold"&12Secret` is `Secret`.
pub(super) fn without_codes(margin: &str) -> String {
    let mut out = String::new();
    let mut letters = margin.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '&' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('&') => out.push('&'),
            Some('L' | 'C' | 'R') => out.push('\t'),
            Some('"') => while letters.next().is_some_and(|letter| letter != '"') {},
            Some('K') => {
                for _ in 0..6 {
                    letters.next();
                }
            }
            Some(digit) if digit.is_ascii_digit() => while letters.next_if(char::is_ascii_digit).is_some() {},
            _ => {}
        }
    }
    out.trim().to_owned()
}

/// The texts of some elements and the values of some attributes of a part, in order.
fn values(
    package: &mut Package<'_>,
    part: &str,
    elements: &[&str],
    attributes: &[(&str, &str)],
    out: &mut Output,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let Some(text) = package.optional_xml(part, out) else { return found };
    let mut open = None;
    let limit = out.limits().text_bytes;
    let mut held = 0;
    walk(part, &text, out, |event, _| {
        match event {
            Event::Start(tag) => {
                let name = tag.name();
                if elements.contains(&name) {
                    open = Some(String::new());
                } else if matches!(name, "comment" | "si") {
                    found.push(String::new());
                }
                let attribute = attributes.iter().find(|(element, _)| *element == name);
                found.extend(attribute.and_then(|(_, attribute)| tag.plain(attribute)));
            }
            Event::Text(text) => {
                if let Some(open) = &mut open {
                    open.push_str(text);
                    held += text.len();
                }
            }
            Event::End("t") => {
                // The runs of one comment are one text.
                if let (Some(run), Some(comment)) = (open.take(), found.last_mut()) {
                    comment.push_str(&run);
                }
            }
            Event::End(_) => found.extend(open.take()),
        }
        if held > limit { Err(Trouble::TooBig("it holds more text than is kept".to_owned())) } else { Ok(()) }
    });
    found.retain(|line| !line.trim().is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::super::output::Limits;
    use super::super::package::tests::{found, packed, survives};
    use super::*;

    const BOOK: &str = "<workbook><sheets><sheet name='Plan' r:id='r1'/><sheet name='Secret' state='hidden' r:id='r2'/></sheets>\
        <definedNames><definedName name='Total'>Plan!$A$1</definedName></definedNames></workbook>";
    const RELATIONS: &str = "<R><Relationship Id='r1' Type='x/worksheet' Target='worksheets/sheet1.xml'/>\
        <Relationship Id='r2' Type='x/worksheet' Target='worksheets/sheet2.xml'/></R>";
    const STRINGS: &str =
        "<sst><si><t>shared</t></si><si><r><t>two </t></r><r><t>runs</t></r><rPh><t>no</t></rPh></si></sst>";

    fn book(first: &str, second: &str) -> Vec<u8> {
        packed(&[
            ("xl/workbook.xml", BOOK),
            ("xl/_rels/workbook.xml.rels", RELATIONS),
            ("xl/sharedStrings.xml", STRINGS),
            ("xl/worksheets/sheet1.xml", first),
            ("xl/worksheets/sheet2.xml", second),
            (
                "xl/comments1.xml",
                "<c><authors><author>Ann</author></authors><comment><text><r><t>why </t></r><r><t>so</t></r></text></comment></c>",
            ),
            (
                "xl/pivotCache/pivotCacheDefinition1.xml",
                "<p><cacheField name='Who'><s v='kept name'/></cacheField></p>",
            ),
        ])
    }

    #[test]
    fn cells_are_written_row_by_row() {
        let bytes = book(
            "<w><sheetData><row><c t='s'><v>0</v></c><c><v>12.50</v></c><c t='b'><v>1</v></c></row>\
             <row hidden='1'><c t='inlineStr'><is><t>inline</t></is></c><c t='str'><f>IF(A1,\"yes\")</f><v>yes</v></c></row>\
             <row><c t='s'><v>1</v></c><c t='s'><v>99</v></c></row></sheetData>\
             <headerFooter><oddHeader>&amp;L&amp;\"Arial,Bold\"&amp;12Private &amp;&amp; own</oddHeader></headerFooter></w>",
            "<w><row><c t='s'><v>0</v></c></row></w>",
        );
        let (text, notes) = found(read, &bytes);
        assert_eq!(
            text,
            "Plan/shared\t12.50\tTRUE/inline\tyes/two runs|headers and footers/Private & own|formulas/IF(A1,\"yes\")\
             |Secret/shared|defined names/Total\tPlan!$A$1|comments/Ann/why so|kept values/Who/kept name"
        );
        assert_eq!(notes, ["sheet Plan has hidden rows", "sheet Secret is hidden"]);
    }

    #[test]
    fn a_string_that_many_cells_share_ends_at_the_limit() {
        let strings = format!("<sst><si><t>{}</t></si></sst>", "word ".repeat(20_000));
        let sheet = format!("<w><row>{}</row></w>", "<c t='s'><v>0</v></c>".repeat(20_000));
        let bytes = packed(&[("xl/sharedStrings.xml", &strings), ("xl/worksheets/sheet1.xml", &sheet)]);
        let mut out = Output::new(Limits { text_bytes: 1 << 20, ..Limits::default() });
        read(&bytes, &mut out, 0).unwrap();
        assert!(out.is_full());
        assert!(out.collected().len() <= 1 << 20);
    }

    #[test]
    fn damage_never_ends_the_reading_of_what_is_there() {
        survives(read, &book("<w><row><c t='s'><v>1</v></c></row></w>", "<w/>"));
    }
}
