//! Search in fifteen languages. First the queries of the corpus `multilingual`, whose answers were made
//! by plain matching over the texts; then words and pieces of texts that nobody chose: each must lead
//! back to the text that it was taken from.

use std::collections::BTreeSet;

use serde_json::Value;
use teamchat_archive::sandbox::corpus;

use crate::cli::flows::{corpus_folder, corpus_lines};
use crate::cli::harness::{aloud, list, string};
use crate::served::{Desk, Dice, address, crawled};
use crate::support::canonical;

/// Of 1,000 hits, fewer than this many may be neither required nor allowed by the ground truth.
const WRONG_PER_MILLE: usize = 5;

fn ids(query: &Value, names: &[&str]) -> BTreeSet<String> {
    let all = names.iter().flat_map(|name| query[*name].as_array().unwrap());
    all.map(|id| {
        let (channel, ts) = id.as_str().unwrap().split_once(':').unwrap();
        format!("{}:{ts}", canonical(channel))
    })
    .collect()
}

/// What is found, and how it compares with the ground truth.
#[derive(Default)]
struct Judged {
    hits: usize,
    required: usize,
    missed: Vec<String>,
    wrong: Vec<String>,
}

impl Judged {
    fn add(&mut self, query: &Value, typed: &str, found: &BTreeSet<String>) {
        let must = ids(query, &["must", "must_if_normalized"]);
        let known = ids(query, &["must", "must_if_normalized", "may"]);
        self.required += must.len();
        self.hits += found.len();
        let name = |address: &String| format!("{} {} {typed}: {address}", query["id"], query["lang"]);
        self.missed.extend(must.difference(found).map(name));
        self.wrong.extend(found.difference(&known).map(name));
    }
}

#[test]
fn every_query_of_the_multilingual_corpus_finds_what_it_must_and_little_else() {
    let Some(folder) = corpus_folder("multilingual") else { return };
    let (_server, place) = crawled(corpus::load(&folder).unwrap());
    let desk = Desk::open(&place);
    let queries = corpus_lines(&folder, "queries");
    assert_eq!(queries.len(), 518, "the corpus is another one");
    let find = |typed: &str| -> BTreeSet<String> { desk.messages(typed).iter().map(address).collect() };
    let (mut as_meant, mut as_typed) = (Judged::default(), Judged::default());
    let mut uneven = Vec::new();
    for query in &queries {
        // The ground truth means the text as it stands, and so do quotation marks.
        let text = string(query, "/query");
        let words: Vec<&str> = text.split_whitespace().collect();
        let meant = if query["type"] == "phrase" || words.len() > 1 { format!("\"{text}\"") } else { text.clone() };
        as_meant.add(query, &meant, &find(&meant));
        if query["type"] != "phrase" {
            let found = find(&text);
            as_typed.add(query, &text, &found);
            // Words without quotation marks are found wherever each of them stands.
            let each = words.iter().map(|word| find(word)).reduce(|a, b| a.intersection(&b).cloned().collect());
            if each.as_ref() != Some(&found) {
                uneven.push(format!("{} {text}: {} hits, {:?} by its words", query["id"], found.len(), each));
            }
        }
    }
    desk.close();
    for (name, judged) in [("as meant", &as_meant), ("as typed", &as_typed)] {
        aloud(&format!(
            "{name}: {} hits, {} of {} required ones missed, {} neither required nor allowed\n{}",
            judged.hits,
            judged.missed.len(),
            judged.required,
            judged.wrong.len(),
            judged.wrong.join("\n")
        ));
        assert!(judged.required > 900, "{name}: only {} hits are required: the corpus is another one", judged.required);
        assert!(judged.missed.is_empty(), "{name}: {} missed:\n{}", judged.missed.len(), judged.missed.join("\n"));
    }
    let (wrong, hits) = (as_meant.wrong.len(), as_meant.hits);
    assert!(wrong * 1000 < hits * WRONG_PER_MILLE, "{wrong} of {hits} hits are wrong");
    assert!(uneven.is_empty(), "{}:\n{}", uneven.len(), uneven.join("\n"));
}

/// Characters that mean something in a query or are written otherwise by the server: a person has to
/// type them differently.
fn is_special(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '*' | '?' | '\\' | '&' | '<' | '>' | '\u{e000}' | '\u{e001}')
        || c.is_control()
}

/// Scripts that are written without spaces, as far as the corpora have them.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x0e01..=0x0e3a | 0x0e40..=0x0e4e | 0x3041..=0x3096 | 0x30a1..=0x30fa | 0x3400..=0x9fff | 0xac00..=0xd7a3)
}

/// Written over, under or after the character before it, and one with it: Thai vowels and tones, and the
/// sound marks of kana written apart.
fn is_joined(c: char) -> bool {
    matches!(u32::from(c), 0x0e31 | 0x0e33..=0x0e3a | 0x0e47..=0x0e4e | 0x3099 | 0x309a)
}

/// A word of a text as a person would type it, or nothing when it has none that can be typed as it is.
fn a_word(text: &str, dice: &mut Dice) -> Option<String> {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric) && !word.chars().any(is_special))
        .collect();
    let word = *words.get(dice.below(words.len().max(1)))?;
    let is_plain = word.chars().all(char::is_alphanumeric) && !["AND", "OR", "NOT", "NEAR", "ONEAR"].contains(&word);
    Some(if is_plain && dice.below(2) == 0 { word.to_owned() } else { format!("\"{word}\"") })
}

/// A piece of one to six characters out of a run of an unspaced script, or nothing when a text has none.
fn a_piece(text: &str, dice: &mut Dice) -> Option<String> {
    let mut runs: Vec<Vec<String>> = vec![Vec::new()];
    for c in text.chars() {
        let run = runs.last_mut()?;
        if is_joined(c)
            && let Some(last) = run.last_mut()
        {
            last.push(c);
        } else if is_unspaced(c) && !is_joined(c) {
            run.push(c.to_string());
        } else if !run.is_empty() {
            runs.push(Vec::new());
        }
    }
    runs.retain(|run| !run.is_empty());
    let run = runs.get(dice.below(runs.len().max(1)))?;
    let from = dice.below(run.len());
    let to = (from + 1 + dice.below(6)).min(run.len());
    Some(run[from..to].concat())
}

/// Takes `count` words or pieces out of random messages of a corpus and looks for each. The query names
/// the message by its time stamp as well, so that of a frequent word not all hits have to be read.
fn each_leads_back(name: &str, count: usize, is_in_pieces: bool) {
    let Some(folder) = corpus_folder(name) else { return };
    let (_server, place) = crawled(corpus::load(&folder).unwrap());
    let desk = Desk::open(&place);
    let messages = corpus_lines(&folder, "messages");
    let mut dice = Dice(20_261_128);
    let (mut tried, mut pieces, mut lost) = (0, 0, Vec::new());
    let mut drawn = 0;
    while tried < count {
        drawn += 1;
        assert!(drawn < count * 100, "{name} has too few words: {tried} in {drawn} messages");
        let message = &messages[dice.below(messages.len())];
        let text = string(message, "/text");
        let piece = if is_in_pieces { a_piece(&text, &mut dice) } else { None };
        pieces += usize::from(piece.is_some());
        let Some(typed) = piece.or_else(|| a_word(&text, &mut dice)) else { continue };
        tried += 1;
        let (channel, ts) = (string(message, "/channel"), string(message, "/ts"));
        let query = format!("{typed} id:{ts}");
        let reply = desk.call("search.messages", &[("query", query.as_str()), ("channel", channel.as_str())]);
        let is_found = reply["ok"] == true && list(&reply, "/messages/matches").iter().any(|hit| hit["ts"] == *ts);
        if !is_found {
            lost.push(format!("{typed} of {channel}:{ts} {text:?}: {} {}", reply["messages"]["total"], reply["error"]));
        }
    }
    desk.close();
    aloud(&format!(
        "{name}: {tried} words looked for, {pieces} of them pieces of unspaced scripts, {} lost",
        lost.len()
    ));
    assert!(!is_in_pieces || pieces * 10 > count, "only {pieces} pieces of unspaced scripts");
    assert!(lost.is_empty(), "{} of {tried} lost:\n{}", lost.len(), lost.join("\n"));
}

#[test]
fn words_of_the_small_corpus_lead_back_to_their_messages() {
    each_leads_back("small", 1000, false);
}

#[test]
fn words_of_the_medium_corpus_lead_back_to_their_messages() {
    each_leads_back("medium", 1000, false);
}

#[test]
fn words_and_pieces_of_the_multilingual_corpus_lead_back_to_their_messages() {
    each_leads_back("multilingual", 1000, true);
}

#[test]
fn pieces_are_cut_between_characters_and_words_between_spaces() {
    let mut dice = Dice(1);
    for _ in 0..200 {
        let piece = a_piece("ab กำลังดี, 東京都 すへ\u{3099}て x", &mut dice).unwrap();
        assert!(!piece.starts_with(is_joined) && !piece.ends_with('へ'), "{piece:?}");
        assert!(["กำลังดี", "東京都", "すへ\u{3099}て"].iter().any(|run| run.contains(&piece)), "{piece:?}");
        let word = a_word("one <@U1> two?", &mut dice).unwrap();
        assert_eq!(word.trim_matches('"'), "one");
    }
    assert_eq!(a_piece("plain", &mut dice), None);
    assert_eq!(a_word("!! \"quoted\"", &mut dice), None);
}
