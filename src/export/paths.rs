//! Names that every system can hold: those that people gave, made safe, and never two that are one.

/// Longer names are cut; the ending stays.
const LONGEST: usize = 120;

/// Names that Windows keeps for devices.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A name as it can stand in a path: no separators, no characters that a system refuses or that turn the
/// direction of text, no leading or trailing dots and blanks, no device. Empty names become `_`.
pub(super) fn safe(name: &str) -> String {
    let is_refused = |c: char| {
        c.is_control()
            || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%' | '\u{7f}'..='\u{9f}')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    let cleaned: String = name.chars().map(|c| if is_refused(c) { '_' } else { c }).collect();
    let trimmed = cleaned.trim_matches(|c: char| c == '.' || c == ' ');
    let (stem, ending) = match trimmed.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && is_ending(ending) => (stem, Some(ending)),
        _ => (trimmed, None),
    };
    let room = LONGEST - ending.map_or(0, |ending| ending.len() + 1);
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem[..end].trim_end_matches(['.', ' ']);
    let stem = if RESERVED.contains(&stem.to_lowercase().as_str()) { format!("_{stem}") } else { stem.to_owned() };
    match (stem.is_empty(), ending) {
        (true, None) => "_".to_owned(),
        (true, Some(ending)) => format!("_.{ending}"),
        (false, None) => stem,
        (false, Some(ending)) => format!("{stem}.{ending}"),
    }
}

/// Whether what follows the last dot of a name looks like the ending of a file.
fn is_ending(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The ending of a name with its dot, lower case; empty when there is none that looks like one.
pub(super) fn ending(name: &str) -> String {
    match safe(name).rsplit_once('.') {
        Some((_, ending)) if is_ending(ending) => format!(".{}", ending.to_lowercase()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe_and_keep_their_ending() {
        for (given, expected) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("C:\\x\\nul", "C__x_nul"),
            ("NUL.txt", "_NUL.txt"),
            ("con", "_con"),
            (" .hidden. ", "hidden"),
            ("", "_"),
            ("...", "_"),
            ("a\u{202e}fdp.exe", "a_fdp.exe"),
            ("tabs\tand\nlines", "tabs_and_lines"),
            ("žluťoučký.docx", "žluťoučký.docx"),
            ("100%.txt", "100_.txt"),
        ] {
            assert_eq!(safe(given), expected, "{given:?}");
        }
        let long = format!("{}.pdf", "ů".repeat(300));
        assert!(safe(&long).len() <= LONGEST && safe(&long).ends_with("ů.pdf"));
        assert_eq!((ending("a.PDF"), ending("a"), ending("a.b c")), (".pdf".to_owned(), String::new(), String::new()));
    }
}
