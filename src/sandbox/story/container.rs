//! Wraps bytes: zlib streams, checksums, ZIP archives and the office formats that are ZIP archives.
//!
//! The same arguments give the same bytes: no clock is read.

use std::fmt::Write as _;
use std::io::{Cursor, Read as _, Write as _};

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime, ZipArchive};

/// Why writing into memory can't fail.
pub(super) const IN_MEMORY: &str = "memory takes what is written to it";

/// The CRC-32 of PNG and ZIP.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut check = u32::MAX;
    for &byte in bytes {
        check ^= u32::from(byte);
        for _ in 0..8 {
            let mask = (check & 1).wrapping_neg();
            check = (check >> 1) ^ (0xedb8_8320 & mask);
        }
    }
    !check
}

/// The Adler-32 that ends a zlib stream.
fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for &byte in bytes {
        low = (low + u32::from(byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    high << 16 | low
}

/// A zlib stream of the bytes. The deflate data is that of a ZIP entry, taken out again.
pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let archive = zip(&[("data", bytes)]);
    let mut reader = ZipArchive::new(Cursor::new(archive)).expect(IN_MEMORY);
    let mut stream = vec![0x78, 0x9c];
    let mut entry = reader.by_index_raw(0).expect(IN_MEMORY);
    entry.read_to_end(&mut stream).expect(IN_MEMORY);
    stream.extend_from_slice(&adler32(bytes).to_be_bytes());
    stream
}

/// A ZIP archive of named entries, each dated 1 June 2026.
pub(super) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let date = DateTime::from_date_and_time(2026, 6, 1, 12, 0, 0).expect("that day exists");
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(date)
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, options).expect(IN_MEMORY);
        writer.write_all(bytes).expect(IN_MEMORY);
    }
    writer.finish().expect(IN_MEMORY).into_inner()
}

/// A text made safe for XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const XML: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;
const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const SHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const FORMATS: &str = "application/vnd.openxmlformats-officedocument";

/// The two parts that tell a reader where the main part is.
fn package(part: &str, kind: &str, more: &str) -> (String, String) {
    let types = format!(
        "{XML}<Types xmlns=\"{TYPES}\"><Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"/{part}\" ContentType=\"{FORMATS}.{kind}.main+xml\"/>{more}</Types>"
    );
    let relations = format!(
        "{XML}<Relationships xmlns=\"{RELATIONS}\"><Relationship Id=\"rId1\" \
         Type=\"{OFFICE}/officeDocument\" Target=\"{part}\"/></Relationships>"
    );
    (types, relations)
}

/// A word-processor document. A line that starts with `#` is a heading; others are paragraphs.
pub(super) fn docx(text: &str) -> Vec<u8> {
    let mut body = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (look, words) = match line.strip_prefix("# ") {
            Some(heading) => ("<w:rPr><w:b/><w:sz w:val=\"32\"/></w:rPr>", heading),
            None => ("", line),
        };
        let words = escape(words);
        body.push_str("<w:p><w:r>");
        body.push_str(look);
        body.push_str("<w:t xml:space=\"preserve\">");
        body.push_str(&words);
        body.push_str("</w:t></w:r></w:p>");
    }
    let (types, relations) = package("word/document.xml", "wordprocessingml.document", "");
    let document = format!("{XML}<w:document xmlns:w=\"{WORD}\"><w:body>{body}</w:body></w:document>");
    zip(&[
        ("[Content_Types].xml", types.as_bytes()),
        ("_rels/.rels", relations.as_bytes()),
        ("word/document.xml", document.as_bytes()),
    ])
}

/// A spreadsheet of one sheet. Rows are lines, cells are parted by `|`; what reads as a number is
/// one.
pub(super) fn xlsx(sheet_name: &str, table: &str) -> Vec<u8> {
    let mut rows = String::new();
    for (row, line) in table.lines().filter(|line| !line.is_empty()).enumerate() {
        let row = row + 1;
        rows.push_str("<row r=\"");
        rows.push_str(&row.to_string());
        rows.push_str("\">");
        for (cell, column) in line.split('|').zip('A'..='Z') {
            let cell = cell.trim();
            let part = if cell.parse::<f64>().is_ok() {
                format!("<c r=\"{column}{row}\"><v>{cell}</v></c>")
            } else {
                let cell = escape(cell);
                format!("<c r=\"{column}{row}\" t=\"inlineStr\"><is><t>{cell}</t></is></c>")
            };
            rows.push_str(&part);
        }
        rows.push_str("</row>");
    }
    let sheet = format!("{XML}<worksheet xmlns=\"{SHEET}\"><sheetData>{rows}</sheetData></worksheet>");
    let name = escape(sheet_name);
    let workbook = format!(
        "{XML}<workbook xmlns=\"{SHEET}\" xmlns:r=\"{OFFICE}\"><sheets>\
         <sheet name=\"{name}\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
    );
    let book_relations = format!(
        "{XML}<Relationships xmlns=\"{RELATIONS}\"><Relationship Id=\"rId1\" \
         Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
    );
    let more = format!(
        "<Override PartName=\"/xl/worksheets/sheet1.xml\" \
         ContentType=\"{FORMATS}.spreadsheetml.worksheet+xml\"/>"
    );
    let (types, relations) = package("xl/workbook.xml", "spreadsheetml.sheet", &more);
    zip(&[
        ("[Content_Types].xml", types.as_bytes()),
        ("_rels/.rels", relations.as_bytes()),
        ("xl/workbook.xml", workbook.as_bytes()),
        ("xl/_rels/workbook.xml.rels", book_relations.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

/// A PDF file of plain lines, 46 to a page. Letters outside Windows-1252 become `?`.
pub(super) fn pdf(text: &str) -> Vec<u8> {
    let lines: Vec<&str> = text.lines().collect();
    let pages: Vec<&[&str]> = lines.chunks(46).collect();
    // Objects: 1 catalogue, 2 page tree, 3 font, then a page and its contents in turn.
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + page * 2)).collect();
    let mut objects: Vec<Vec<u8>> = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), kids.len()).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    for (page, lines) in pages.iter().enumerate() {
        let contents = 5 + page * 2;
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] \
                 /Resources << /Font << /F1 3 0 R >> >> /Contents {contents} 0 R >>"
            )
            .into_bytes(),
        );
        let stream = zlib(&page_contents(lines));
        let mut object = format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", stream.len()).into_bytes();
        object.extend_from_slice(&stream);
        object.extend_from_slice(b"\nendstream");
        objects.push(object);
    }
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut places = String::new();
    for (index, object) in objects.iter().enumerate() {
        writeln!(places, "{:010} 00000 n ", file.len()).expect(IN_MEMORY);
        file.extend_from_slice(format!("{} 0 obj\n", index + 1).as_bytes());
        file.extend_from_slice(object);
        file.extend_from_slice(b"\nendobj\n");
    }
    let start = file.len();
    let size = objects.len() + 1;
    let end = format!(
        "xref\n0 {size}\n0000000000 65535 f \n{places}trailer\n<< /Size {size} /Root 1 0 R >>\n\
         startxref\n{start}\n%%EOF\n"
    );
    file.extend_from_slice(end.as_bytes());
    file
}

/// The drawing commands of a page: a line of eleven points each.
fn page_contents(lines: &[&str]) -> Vec<u8> {
    let mut contents = b"BT /F1 11 Tf 16 TL 56 790 Td\n".to_vec();
    for line in lines {
        contents.push(b'(');
        for letter in line.chars() {
            match letter {
                '(' | ')' | '\\' => contents.extend_from_slice(&[b'\\', letter as u8]),
                '€' => contents.push(0x80),
                '–' => contents.push(0x96),
                '’' => contents.push(0x92),
                _ => contents.push(u8::try_from(u32::from(letter)).unwrap_or(b'?')),
            }
        }
        contents.extend_from_slice(b") Tj T*\n");
    }
    contents.extend_from_slice(b"ET\n");
    contents
}
