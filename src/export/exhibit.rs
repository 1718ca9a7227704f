//! A page that is handed over alone: it has its look and its checker in it, asks nobody, and is read without
//! script, too.
//!
//! What it shows of a record carries the record's number (`data-record`) and what it is (`data-is`); the checker in
//! it, and `verify.py`, hold that against the bytes that the proof of the record opens. The arithmetic is that of
//! `verify.html`, word for word.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use super::run::CHECKER_PAGE;

const STYLE: &str = include_str!("../../schemas/verify/exhibit.css");
const JUDGE: &str = include_str!("../../schemas/verify/exhibit.js");
/// Before this line the script of `verify.html` is what both pages compute with.
const OWN_PART: &str = "// --- The page ---";

/// The checker that goes into an exhibit.
static SCRIPT: LazyLock<String> = LazyLock::new(|| format!("{}{JUDGE}", arithmetic()));

fn arithmetic() -> &'static str {
    let script = CHECKER_PAGE.split_once("<script>").map_or("", |(_, script)| script);
    script.split_once(OWN_PART).map_or("", |(shared, _)| shared)
}

/// A whole page.
#[derive(Debug, Clone, Copy)]
pub struct Sheet<'a> {
    /// Of the language that it is in.
    pub language: &'a str,
    /// What stands in `<head>` beside what every such page has: the title, escaped.
    pub head: &'a str,
    /// What stands in `<body>`: markup, everything in it escaped.
    pub body: &'a str,
}

fn source(text: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(Sha256::digest(text.as_bytes())))
}

/// The page. Its own policy lets nothing run but the checker, and nothing be asked for.
pub fn sheet(sheet: &Sheet<'_>) -> String {
    let Sheet { language, head, body } = sheet;
    let (script, style) = (SCRIPT.as_str(), STYLE);
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'",
        source(script),
        source(style)
    );
    format!(
        "<!doctype html>\n<html lang=\"{language}\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n{head}\n<style>{style}</style>\n</head>\n\
         <body>\n{body}\n<script>{script}</script>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checker_of_an_exhibit_is_that_of_the_page_that_checks_proofs() {
        assert_eq!(CHECKER_PAGE.matches(OWN_PART).count(), 1);
        for needed in
            ["async function ed25519Verify", "async function readKey", "async function checkNote", "const hex ="]
        {
            assert!(arithmetic().contains(needed), "{needed}");
        }
        // Either would end it early.
        assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("<!--") && !STYLE.contains("</style"));
    }

    #[test]
    fn the_policy_names_what_is_in_the_page() {
        let page = sheet(&Sheet { language: "en", head: "<title>x</title>", body: "<p>y</p>" });
        let script = page.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
        assert!(page.contains(&source(script)), "the browser would not run it");
        assert!(page.contains(&source(STYLE)));
    }
}
