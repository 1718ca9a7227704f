//! What the pages say. Each language is one file of `web/words`, in the syntax of Project Fluent, with the
//! plural rules of that language.

use std::fmt::Display;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

const ENGLISH: &str = include_str!("../../web/words/en.ftl");

/// The texts of one language. Values are put in as they are: templates escape what comes out.
pub(crate) struct Words {
    bundle: FluentBundle<FluentResource>,
    /// What `<html lang>` says.
    pub(crate) language: &'static str,
}

static EN: LazyLock<Words> = LazyLock::new(|| Words::read("en", ENGLISH));

/// The language of every page so far.
pub(crate) fn words() -> &'static Words {
    &EN
}

impl Words {
    fn read(language: &'static str, text: &str) -> Self {
        let id = language.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![id]);
        // Pages isolate names with <bdi>; marks in the text would be seen by who copies it.
        bundle.set_use_isolating(false);
        // A line that cannot be read is left out; a test holds every key to be there.
        let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(resource, _)| resource);
        if bundle.add_resource(resource).is_err() {
            tracing::error!(language, "a text stands twice in the file of a language");
        }
        Self { bundle, language }
    }

    fn format(&self, key: &str, values: Option<&FluentArgs<'_>>) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            tracing::error!(key, "a page has no text for what it should say");
            return key.to_owned();
        };
        let mut errors = Vec::new();
        self.bundle.format_pattern(pattern, values, &mut errors).into_owned()
    }

    /// A text without values.
    pub(crate) fn say(&self, key: &str) -> String {
        self.format(key, None)
    }

    /// A text about a number: `$count` chooses the form, `$shown` is the number with its digits in groups.
    pub(crate) fn count(&self, key: &str, count: impl Display) -> String {
        let count: u64 = count.to_string().parse().unwrap_or(u64::MAX);
        let mut values = FluentArgs::new();
        values.set("count", FluentValue::from(count));
        values.set("shown", grouped(count));
        self.format(key, Some(&values))
    }

    /// A text with one value, `$a`.
    pub(crate) fn with(&self, key: &str, a: impl Display) -> String {
        let mut values = FluentArgs::new();
        values.set("a", a.to_string());
        self.format(key, Some(&values))
    }

    /// A text with two values, `$a` and `$b`.
    pub(crate) fn with_two(&self, key: &str, a: impl Display, b: impl Display) -> String {
        let mut values = FluentArgs::new();
        values.set("a", a.to_string());
        values.set("b", b.to_string());
        self.format(key, Some(&values))
    }

    /// A text with three values, `$a`, `$b` and `$c`.
    pub(crate) fn with_three(&self, key: &str, a: impl Display, b: impl Display, c: impl Display) -> String {
        let mut values = FluentArgs::new();
        values.set("a", a.to_string());
        values.set("b", b.to_string());
        values.set("c", c.to_string());
        self.format(key, Some(&values))
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spoken {
    pub(crate) text: String,
    /// It is what somebody types, or typed, as it stands.
    pub(crate) is_typed: bool,
}

/// The parts of a text: what stands between two back-quotes is typed. One without another stands for itself.
pub(crate) fn spoken(text: impl AsRef<str>) -> Vec<Spoken> {
    let mut rest = text.as_ref();
    let mut out = Vec::new();
    let mut add = |text: &str, is_typed| {
        if !text.is_empty() {
            out.push(Spoken { text: text.to_owned(), is_typed });
        }
    };
    while let Some((before, after)) = rest.split_once('`')
        && let Some((typed, left)) = after.split_once('`')
    {
        add(before, false);
        add(typed, true);
        rest = left;
    }
    add(rest, false);
    out
}

/// A number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use regex::Regex;

    use super::*;

    fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
        let mut out = Vec::new();
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                out.extend(files(&path, ending));
            } else if path.extension().is_some_and(|found| found == ending) {
                out.push(path);
            }
        }
        out
    }

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn every_text_that_a_page_asks_for_is_there_and_no_other() {
        let asked =
            Regex::new(r#"(?:\bw|words\(\)|\.words)\s*\.(?:say|count|with|with_two|with_three)\(\s*"([a-z0-9-]+)""#)
                .unwrap();
        let mut wanted = BTreeSet::new();
        for path in files(&root().join("src/web"), "rs").into_iter().chain(files(&root().join("web/templates"), "html"))
        {
            let text = fs_err::read_to_string(&path).unwrap();
            wanted.extend(asked.captures_iter(&text).map(|found| found[1].to_owned()));
        }
        let named = Regex::new("(?m)^([a-z0-9-]+) =").unwrap();
        let there: BTreeSet<String> = named.captures_iter(ENGLISH).map(|found| found[1].to_owned()).collect();
        let missing: Vec<_> = wanted.difference(&there).collect();
        let unused: Vec<_> = there.difference(&wanted).collect();
        assert_eq!((missing, unused), (Vec::new(), Vec::new()));
        for key in &there {
            let found = EN.bundle.get_message(key).and_then(|message| message.value());
            assert!(found.is_some(), "{key} can't be read");
        }
    }

    #[test]
    fn templates_have_no_words_of_their_own() {
        // What is left of a template without its tags' insides, expressions and statements, and without the names
        // of keys, which are the same in every language.
        let code = Regex::new(r"(?s)\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<kbd>[^<]</kbd>").unwrap();
        let spoken = Regex::new(r#"(?:title|alt|aria-label|placeholder|label)="([^"]*)""#).unwrap();
        let tags = Regex::new(r"(?s)<[^>]*>").unwrap();
        for path in files(&root().join("web/templates"), "html") {
            let text = fs_err::read_to_string(&path).unwrap();
            let text = code.replace_all(&text, "");
            let said: Vec<String> = spoken.captures_iter(&text).map(|found| found[1].to_owned()).collect();
            let between = tags.replace_all(&text, " ");
            let words: Vec<&str> = said.iter().map(String::as_str).chain([&*between]).collect();
            let letters: String = words.join(" ").chars().filter(|c| c.is_alphabetic() || *c == ' ').collect();
            assert_eq!(letters.trim(), "", "{}", path.display());
        }
    }

    #[test]
    fn what_is_typed_stands_between_back_quotes() {
        let check = |text: &str, due: &[(&str, bool)]| {
            let found: Vec<_> = spoken(text).into_iter().map(|part| (part.text, part.is_typed)).collect();
            let due: Vec<_> = due.iter().map(|(text, is_typed)| ((*text).to_owned(), *is_typed)).collect();
            assert_eq!(found, due, "{text}");
        };
        check("no such `zone`.", &[("no such ", false), ("zone", true), (".", false)]);
        check("`a` or `b`", &[("a", true), (" or ", false), ("b", true)]);
        check("one ` alone", &[("one ` alone", false)]);
        check("`<b>` and `", &[("<b>", true), (" and `", false)]);
        check("", &[]);
    }

    #[test]
    fn numbers_are_in_groups_and_choose_their_form() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        let words = Words::read("en", "rooms = { $count ->\n    [one] one room\n   *[other] { $shown } rooms\n }\n");
        assert_eq!(words.count("rooms", 1_u64), "one room");
        assert_eq!(words.count("rooms", 1_200_u64), "1,200 rooms");
    }
}
