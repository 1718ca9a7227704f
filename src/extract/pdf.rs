//! PDF: the text of each page, what is written beside it, and the pictures of pages that have no text.
//!
//! `pdf_oxide` reads the pages. Whatever follows references on its own (bookmarks, fields, attachments) is walked by
//! [`super::pdf_walk`], because the crate's own walks have no bound: a bookmark that is its own successor never ends, and a
//! field that is its own child overflows the stack, which no `catch_unwind` catches.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_oxide::extractors::warnings::WarningCategory;
use pdf_oxide::layout::TextChar;
use pdf_oxide::{Error, PdfDocument, PdfFilter, PdfImageHandle};

use super::output::{Output, Trouble};
use super::{pdf_walk, picture};

/// A page with fewer letters than this and a picture on it is taken for a scan.
const FEW_LETTERS: usize = 20;
/// Pictures narrower or lower than this are lines, logos and bullets.
const LEAST_SIDE: u32 = 64;
/// The pixels of one picture of a page.
const PICTURE_PIXELS: u64 = 100 << 20;
/// The pixels that are decoded over all pages: the child's time is short, and past it the whole text would be lost.
const ALL_PIXELS: u64 = 1 << 30;
/// The pictures of one page: scans come in strips, but not in more than this.
const PICTURES_OF_PAGE: usize = 64;
/// Pages that fail one after the other before the rest is given up: the number of pages is only what the file says.
const FAILURES_IN_A_ROW: u32 = 100;

/// Reads a PDF.
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let document =
        guarded(|| open(bytes)).unwrap_or_else(|| Err(Trouble::Damaged("its structure can't be read".to_owned())))?;
    if guarded(|| pdf_walk::about(&document, out)).is_none() {
        out.partial("what the file says about itself can't be read");
    }
    let mut is_scan = Vec::new();
    // What stands beside the pages is read even when there are too many of them.
    let pages = read_pages(&document, out, &mut is_scan);
    if guarded(|| pdf_walk::bookmarks(&document, out)).is_none() {
        out.partial("the bookmarks can't be read");
    }
    if guarded(|| pdf_walk::fields(&document, out)).is_none() {
        out.partial("the form's fields can't be read");
    }
    read_scans(&document, &is_scan, out);
    // Last, since what is embedded may reach any limit.
    let attached = guarded(|| pdf_walk::attachments(&document, out)).unwrap_or_else(|| {
        out.partial("the attachments can't be read");
        Vec::new()
    });
    for (name, bytes) in attached {
        out.entry()?;
        super::embedded(&name, &bytes, out, depth);
    }
    pages
}

/// Runs what may panic inside `pdf_oxide`; `None` when it did. The document stays usable: its locks recover.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn open(bytes: &[u8]) -> Result<PdfDocument, Trouble> {
    let document = PdfDocument::from_bytes(bytes.to_vec()).map_err(|error| trouble(&error))?;
    // A file that only restricts what may be done with it opens with the empty password.
    if document.is_encrypted() && !matches!(document.authenticate(b""), Ok(true)) {
        return Err(Trouble::Encrypted("a password is needed to open it".to_owned()));
    }
    // The crate takes the hash of the password for the key where revision 5 only wraps the key with it: it opens such files, and
    // what it reads are random letters (0.3.78, revisions 2 to 4 and 6 are right).
    if document.is_encrypted() && pdf_walk::encryption_revision(&document) == Some(5) {
        return Err(Trouble::Unsupported("no reader here knows its encryption (AES-256, revision 5)".to_owned()));
    }
    Ok(document)
}

fn trouble(error: &Error) -> Trouble {
    match error {
        Error::EncryptedPdf => Trouble::Encrypted("a password is needed to open it".to_owned()),
        Error::Unsupported(what) => Trouble::Unsupported(what.clone()),
        _ => Trouble::Damaged(error.to_string()),
    }
}

/// The most marks of footnotes that are looked for on a page, and the most letters of the word before one.
const MARKS_OF_PAGE: usize = 500;
const LETTERS_OF_WORD: usize = 40;

/// Puts a space between a word and the small digit of its footnote, which the library writes as one.
/// Behind fewer than three small letters a small digit may be a square or part of a formula: it stays.
fn with_marks_apart(mut text: String, characters: &[TextChar]) -> String {
    let Some(usual) = usual_size(characters) else { return text };
    let is_mark = |character: &&TextChar| character.char.is_ascii_digit() && character.font_size * 1.3 < usual;
    for mark in characters.iter().filter(is_mark).take(MARKS_OF_PAGE) {
        let word = word_before(mark, characters);
        let is_word = word.chars().filter(|letter| letter.is_lowercase()).count() >= 3;
        let glued = format!("{word}{}", mark.char);
        if is_word && let Some(at) = text.find(&glued) {
            text.insert(at + word.len(), ' ');
        }
    }
    text
}

/// The size of most characters.
fn usual_size(characters: &[TextChar]) -> Option<f32> {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for character in characters {
        *counts.entry(character.font_size.to_bits()).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(bits, count)| (*count, *bits)).map(|(bits, _)| f32::from_bits(bits))
}

/// The letters that stand to the left of a raised character without a gap, in larger type.
fn word_before(mark: &TextChar, characters: &[TextChar]) -> String {
    let mut letters = Vec::new();
    let (mut left, mut line): (f32, Option<f32>) = (mark.bbox.x, None);
    loop {
        let ends_here = |character: &&TextChar| {
            let (size, end) = (character.font_size, character.bbox.x + character.bbox.width);
            let is_on_line = match line {
                Some(line) => (character.bbox.y - line).abs() < size / 10.0,
                None => (mark.bbox.y - character.bbox.y).abs() < size,
            };
            // Each step goes to the left, so that there is an end.
            is_on_line && size > mark.font_size && character.bbox.x < left && (end - left).abs() < size / 6.0
        };
        let Some(letter) = characters.iter().find(ends_here).filter(|letter| letter.char.is_alphabetic()) else {
            break;
        };
        letters.push(letter.char);
        (left, line) = (letter.bbox.x, Some(letter.bbox.y));
        if letters.len() == LETTERS_OF_WORD {
            break;
        }
    }
    letters.iter().rev().collect()
}

/// Puts a space where the library wrote the last word of one line and the first of the next as one: it
/// follows the structure that a file says it has, which need not say where lines end. `characters` are in
/// the order of the lines.
fn with_lines_apart(mut text: String, characters: &[TextChar]) -> String {
    let mut lines = vec![String::new()];
    let mut above: Option<&TextChar> = None;
    for character in characters {
        let is_new_line = above.is_some_and(|above| {
            (above.bbox.y - character.bbox.y).abs() > above.font_size.max(character.font_size).max(1.0) / 2.0
        });
        if is_new_line {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(character.char);
        }
        above = Some(character);
    }
    for pair in lines.windows(2) {
        let (line, next) = (pair[0].as_str(), pair[1].as_str());
        let last = &line[line.trim_end_matches(char::is_alphanumeric).len()..];
        let first = &next[..next.len() - next.trim_start_matches(char::is_alphanumeric).len()];
        if !last.is_empty()
            && !first.is_empty()
            && let Some(at) = text.find(&format!("{last}{first}"))
        {
            text.insert(at + last.len(), ' ');
        }
    }
    text
}

/// Writes the text of the pages, then what readers wrote on them. `is_scan` becomes the pages without text.
fn read_pages(document: &PdfDocument, out: &mut Output, is_scan: &mut Vec<usize>) -> Result<(), Trouble> {
    let count = match guarded(|| document.page_count()) {
        Some(Ok(count)) => count,
        Some(Err(error)) => return Err(trouble(&error)),
        None => return Err(Trouble::Damaged("its pages can't be counted".to_owned())),
    };
    if count == 0 {
        return Err(Trouble::Damaged("it has no page".to_owned()));
    }
    out.part("");
    let mut remarks = Vec::new();
    let (mut failed, mut unclear) = (Vec::new(), Vec::new());
    let mut failures_in_a_row = 0;
    let mut ended = Ok(());
    for page in 0..count {
        if out.is_full() {
            break;
        }
        ended = out.page();
        if ended.is_err() {
            break;
        }
        let text = match guarded(|| document.extract_text(page)) {
            Some(Ok(text)) => text,
            Some(Err(Error::EncryptedPdf)) => return Err(trouble(&Error::EncryptedPdf)),
            Some(Err(_)) | None => {
                failed.push(page);
                failures_in_a_row += 1;
                if failures_in_a_row == FAILURES_IN_A_ROW {
                    out.partial(format!("of its {count} pages, those after page {} were not tried", page + 1));
                    break;
                }
                continue;
            }
        };
        failures_in_a_row = 0;
        let warnings = document.take_structured_warnings();
        if warnings.iter().any(|warning| matches!(warning.category, WarningCategory::OperatorCapExceeded)) {
            failed.push(page);
        }
        let text = match guarded(|| document.extract_chars(page)) {
            Some(Ok(characters)) => with_marks_apart(with_lines_apart(text, &characters), &characters),
            _ => text,
        };
        // No part begins here: a sentence goes on over the page.
        out.line_break();
        out.text(&text);
        let letters = Letters::of(&text);
        if letters.is_unclear() {
            unclear.push(page);
        }
        if letters.all < FEW_LETTERS && guarded(|| has_picture(document, page)) == Some(true) {
            is_scan.push(page);
        }
        match guarded(|| pdf_walk::remarks(document, page, &text)) {
            Some(found) => remarks.extend(found),
            None => failed.push(page),
        }
    }
    for remark in remarks {
        out.part("");
        out.text(&remark);
    }
    failed.dedup();
    if !failed.is_empty() {
        out.partial(format!("can't read all of {}", named(&failed)));
    }
    if !unclear.is_empty() {
        out.partial(format!("which letters are meant is not said on {}", named(&unclear)));
    }
    // Nothing of a file whose every page fails was read.
    if failed.len() == count { Err(Trouble::Damaged("none of its pages can be read".to_owned())) } else { ended }
}

/// How much of a text is text.
struct Letters {
    all: usize,
    lost: usize,
}

impl Letters {
    fn of(text: &str) -> Self {
        let (mut all, mut lost) = (0, 0);
        for letter in text.chars().filter(|letter| !letter.is_whitespace()) {
            all += 1;
            // What a font without a table of its letters turns into.
            if matches!(letter, '\u{fffd}' | '\u{e000}'..='\u{f8ff}') || letter.is_control() {
                lost += 1;
            }
        }
        Self { all, lost }
    }

    fn is_unclear(&self) -> bool {
        self.all >= FEW_LETTERS && self.lost * 3 > self.all
    }
}

fn is_large(handle: &PdfImageHandle<'_>) -> bool {
    handle.width >= LEAST_SIDE && handle.height >= LEAST_SIDE
}

fn has_picture(document: &PdfDocument, page: usize) -> bool {
    document.page_image_handles(page).is_ok_and(|handles| handles.iter().any(is_large))
}

/// Hands the pictures of pages without text over for recognition.
fn read_scans(document: &PdfDocument, pages: &[usize], out: &mut Output) {
    if pages.is_empty() {
        return;
    }
    out.note(format!("pictures without text: {}", named(pages)));
    let mut left = ALL_PIXELS;
    let mut failed = Vec::new();
    for &page in pages {
        if guarded(|| read_scan(document, page, &mut left, out)) != Some(true) {
            failed.push(page);
        }
    }
    if !failed.is_empty() {
        out.partial(format!("can't read all pictures on {}", named(&failed)));
    }
}

/// Hands over the pictures of a page; whether all could be.
fn read_scan(document: &PdfDocument, page: usize, left: &mut u64, out: &mut Output) -> bool {
    let Ok(handles) = document.page_image_handles(page) else { return false };
    let turned = document.get_page_rotation(page).unwrap_or(0);
    let large: Vec<_> = handles.iter().filter(|handle| is_large(handle)).collect();
    let mut is_whole = large.len() <= PICTURES_OF_PAGE;
    for handle in large.into_iter().take(PICTURES_OF_PAGE) {
        let pixels = u64::from(handle.width) * u64::from(handle.height);
        let is_readable =
            !handle.filter_chain.iter().any(|filter| matches!(filter, PdfFilter::JBIG2Decode | PdfFilter::JPXDecode));
        if pixels > PICTURE_PIXELS || pixels > *left || !is_readable {
            is_whole = false;
            continue;
        }
        *left -= pixels;
        let decoded = handle.decode().and_then(|decoded| decoded.to_dynamic_image());
        let Some(png) = decoded.ok().and_then(|decoded| picture::for_recognition(decoded, turned)) else {
            is_whole = false;
            continue;
        };
        out.picture(png);
    }
    is_whole
}

/// Pages for people, numbered from 1: `3 pages: 1, 4-5`.
fn named(pages: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &page in pages {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == page => *last = page,
            _ => runs.push((page, page)),
        }
    }
    let runs: Vec<String> = runs
        .iter()
        .map(
            |(first, last)| if first == last { (first + 1).to_string() } else { format!("{}-{}", first + 1, last + 1) },
        )
        .collect();
    let noun = if pages.len() == 1 { "page" } else { "pages" };
    format!("{} {noun}: {}", pages.len(), runs.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::super::output::{Limits, Parts};
    use super::*;

    /// A file of these objects, numbered from 1; the first is the catalog.
    fn file(objects: &[&str], trailer: &str) -> Vec<u8> {
        let mut bytes = b"%PDF-1.7\n".to_vec();
        let mut places = Vec::new();
        for (number, object) in (1..).zip(objects) {
            places.push(bytes.len());
            bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
        }
        let table = bytes.len();
        bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
        for place in places {
            bytes.extend(format!("{place:010} 00000 n \n").bytes());
        }
        let size = objects.len() + 1;
        bytes.extend(format!("trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n").bytes());
        bytes
    }

    fn stream(dictionary: &str, data: &str) -> String {
        format!("<< {dictionary} /Length {} >>\nstream\n{data}\nendstream", data.len())
    }

    const PAGES: &str = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>";
    const FONT: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";

    fn page(more: &str) -> String {
        let resources = "/Resources << /Font << /F 5 0 R >> /XObject << /I 6 0 R >> >>";
        format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R {resources} {more} >>")
    }

    /// A file of one page with a text; object 6 is the first of those that follow.
    fn one_page(catalog: &str, more_of_page: &str, content: &str, others: &[&str], trailer: &str) -> Vec<u8> {
        let catalog = format!("<< /Type /Catalog /Pages 2 0 R {catalog} >>");
        let (page, content) = (page(more_of_page), stream("", content));
        file(&[&[catalog.as_str(), PAGES, &page, &content, FONT], others].concat(), trailer)
    }

    const WORDS: &str = "BT /F 24 Tf 72 700 Td (The contract was shredded) Tj ET";

    fn read_within(bytes: &[u8], limits: Limits) -> (Result<(), Trouble>, Parts) {
        let mut out = Output::new(limits);
        out.source_bytes(bytes.len() as u64);
        let outcome = read(bytes, &mut out, 0);
        (outcome, out.into_parts())
    }

    fn read_all(bytes: &[u8]) -> (Result<(), Trouble>, Parts) {
        read_within(bytes, Limits::default())
    }

    /// A file with something in every place that is looked at.
    fn full() -> Vec<u8> {
        let attached = stream("/Type /EmbeddedFile", "words of an attached file");
        one_page(
            "/Outlines 6 0 R /AcroForm << /Fields [9 0 R] >> /Names << /EmbeddedFiles << /Names [(a.txt) 11 0 R] >> >>",
            "/Annots [8 0 R 13 0 R]",
            WORDS,
            &[
                "<< /First 7 0 R >>",
                "<< /Title (First chapter) /First 14 0 R >>",
                "<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /T (Jana) /Contents (is this true?) >>",
                "<< /T (applicant) /FT /Tx /Kids [10 0 R] >>",
                "<< /T (name) /V <FEFF010D0065> >>",
                "<< /Type /Filespec /UF (a.txt) /EF << /F 12 0 R >> >>",
                &attached,
                "<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://example.org/deal) >> >>",
                "<< /Title (A section) >>",
                "<< /Title (Minutes of May) /Author (Petr) /Keywords (merger) >>",
            ],
            "/Info 15 0 R",
        )
    }

    #[test]
    fn everything_that_is_written_in_a_file_is_found() {
        let (outcome, parts) = read_all(&full());
        assert_eq!(outcome, Ok(()));
        for expected in [
            "The contract was shredded",
            "First chapter",
            "A section",
            "Jana\nis this true?",
            "https://example.org/deal",
            "name\nče",
            "a.txt",
            "words of an attached file",
            "Minutes of May",
            "Petr",
            "merger",
        ] {
            assert!(parts.text.contains(expected), "{expected:?} in {:?}", parts.text);
        }
        assert!(!parts.is_partial, "{:?}", parts.notes);
        assert_eq!(parts.pages, Some(1));
    }

    #[test]
    fn the_mark_of_a_footnote_is_no_part_of_the_word_before_it() {
        for (content, expected) in [
            ("/F 24 Tf 72 700 Td (appears here) Tj /F 12 Tf 10 Ts (1) Tj", "here 1"),
            ("/F 24 Tf 72 700 Td (form W2 of area in km) Tj /F 12 Tf 10 Ts (2) Tj", "km2"),
            ("/F 24 Tf 72 700 Td (version2) Tj", "version2"),
        ] {
            let (outcome, parts) = read_all(&one_page("", "", &format!("BT {content} ET"), &[], ""));
            assert_eq!(outcome, Ok(()));
            assert!(parts.text.contains(expected), "{expected:?} in {:?}", parts.text);
        }
    }

    #[test]
    fn what_leads_back_to_itself_ends() {
        for (catalog, node) in [
            ("/Outlines << /First 6 0 R >>", "<< /Title (once) /Next 6 0 R /First 6 0 R >>"),
            ("/AcroForm << /Fields [6 0 R] >>", "<< /T (once) /V (value) /Kids [6 0 R 6 0 R] >>"),
            ("/Names << /EmbeddedFiles 6 0 R >>", "<< /Kids [6 0 R 6 0 R] >>"),
        ] {
            let (outcome, parts) = read_all(&one_page(catalog, "", WORDS, &[node], ""));
            assert_eq!(outcome, Ok(()), "{catalog}");
            assert!(parts.text.contains("shredded"), "{catalog}");
            assert!(parts.text.matches("once").count() <= 1, "{catalog}: {}", parts.text);
        }
    }

    #[test]
    fn a_page_of_a_picture_alone_is_handed_over() {
        let dark = "0".repeat(100 * 80);
        let picture = stream(
            "/Type /XObject /Subtype /Image /Width 100 /Height 80 /ColorSpace /DeviceGray /BitsPerComponent 8",
            &dark,
        );
        let shown = "q 600 0 0 700 0 0 cm /I Do Q";
        let (outcome, parts) = read_all(&one_page("", "/Rotate 90", shown, &[&picture], ""));
        assert_eq!(outcome, Ok(()));
        assert_eq!(parts.notes, ["pictures without text: 1 page: 1"]);
        let sides: Vec<_> = parts.pictures.iter().filter_map(|png| image::load_from_memory(png).ok()).collect();
        assert_eq!(sides.iter().map(|picture| (picture.width(), picture.height())).collect::<Vec<_>>(), [(160, 200)]);
        let (_, parts) = read_all(&one_page("", "", &format!("{WORDS} {shown}"), &[&picture], ""));
        assert!(parts.pictures.is_empty() && parts.notes.is_empty(), "a page with text is no scan");
    }

    #[test]
    fn a_picture_that_cannot_be_decoded_is_said() {
        let form = "/Type /XObject /Subtype /Image /Width 100 /Height 80 /ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /JBIG2Decode";
        let (outcome, parts) = read_all(&one_page("", "", "q 600 0 0 700 0 0 cm /I Do Q", &[&stream(form, "no")], ""));
        assert_eq!(outcome, Ok(()));
        assert!(parts.is_partial && parts.pictures.is_empty(), "{parts:?}");
    }

    #[test]
    fn encryption_is_told_from_damage() {
        let unknown = "00".repeat(32);
        let locked = format!(
            "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{unknown}> /U <{unknown}> >> /ID [<00> <00>]"
        );
        let (outcome, _) = read_all(&one_page("", "", WORDS, &[], &locked));
        assert!(matches!(outcome, Err(Trouble::Encrypted(_))), "{outcome:?}");
        // A hash of the empty password, behind it the two salts.
        let user: String = Sha256::digest([1; 8]).iter().chain(&[1; 16]).map(|byte| format!("{byte:02x}")).collect();
        let wrapped = "/CF << /StdCF << /CFM /AESV3 /Length 32 >> >> /StmF /StdCF /StrF /StdCF";
        let fifth = format!(
            "/Encrypt << /Filter /Standard /V 5 /R 5 /Length 256 /P -4 /O <{}> /U <{user}> /OE <{unknown}> /UE <{unknown}> {wrapped} >>",
            "00".repeat(48),
        );
        let (outcome, _) = read_all(&one_page("", "", WORDS, &[], &fifth));
        assert!(matches!(outcome, Err(Trouble::Unsupported(_))), "{outcome:?}");
        for damaged in [&b"%PDF-1.7"[..], b"%PDF-1.7\nnothing", b""] {
            let (outcome, _) = read_all(damaged);
            assert!(matches!(outcome, Err(Trouble::Damaged(_))), "{outcome:?}");
        }
    }

    #[test]
    fn past_the_last_page_the_rest_is_still_read() {
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R /Outlines << >> /AcroForm << /Fields [6 0 R] >> >>",
            "<< /Type /Pages /Kids [3 0 R 7 0 R 8 0 R] /Count 3 >>",
            &page(""),
            &stream("", WORDS),
            FONT,
            "<< /T (a) /V (value of a field) >>",
            &page(""),
            &page(""),
        ];
        let (outcome, parts) = read_within(&file(&objects, ""), Limits { pages: 2, ..Limits::default() });
        assert!(matches!(outcome, Err(Trouble::TooBig(_))), "{outcome:?}");
        assert_eq!(parts.text.matches("shredded").count(), 2);
        assert!(parts.text.contains("value of a field"));
    }

    #[test]
    fn pages_are_named_in_runs() {
        for (pages, expected) in
            [(&[0][..], "1 page: 1"), (&[0, 1, 2], "3 pages: 1-3"), (&[1, 3, 4, 9], "4 pages: 2, 4-5, 10")]
        {
            assert_eq!(named(pages), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn no_damage_gets_past_the_reader(cut in 0_usize..4_000, flips in proptest::collection::vec((0_usize..4_000, any::<u8>()), 0..12)) {
            let mut bytes = full();
            let length = bytes.len();
            for (place, value) in flips {
                bytes[place % length] = value;
            }
            bytes.truncate(cut.min(length));
            let limits = Limits { text_bytes: 200, ..Limits::default() };
            let (_, parts) = read_within(&bytes, limits);
            prop_assert!(parts.text.len() <= 200);
        }
    }
}
