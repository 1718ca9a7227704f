//! Ways in which search engines lose records without a word. Each was seen in an engine's own query
//! parser or analyser; here each is asked of the program, over an archive made for it.

use serde_json::json;
use teamchat_archive::sandbox::seed::{Seed, SeedChannel, SeedMessage, SeedUser};

use crate::cli::harness::{DONE, FAILURE, Place, Server, USAGE, number, string};
use crate::served::{Desk, crawled};

const ANN: &str = "ann@harbour.example";
/// Messages that say "big wolf" and a number.
const WOLVES: u64 = 200;
/// A word of 41 bytes, one more than an engine's analyser keeps.
const FORTY_ONE: &str = "supercalifragilisticexpialidociousextreme";
/// As long as no engine takes a token to be.
const HUGE_BYTES: usize = 70_000;

/// A word that repeats nowhere, so that each part of it is another one; without digits, so that no pattern
/// of the wolves describes a part of it.
fn huge_word() -> String {
    let mut word = String::new();
    for number in 0.. {
        word.push('x');
        word.extend(format!("{number}").bytes().map(|digit| char::from(digit - b'0' + b'a')));
        if word.len() >= HUGE_BYTES {
            break;
        }
    }
    word.truncate(HUGE_BYTES);
    word
}

/// The messages that are no wolves: 14 of them.
fn others() -> Vec<String> {
    [
        "wolf001 big",
        "to be or not to be",
        "the wolf of the harbour",
        &format!("a long word {FORTY_ONE} stands here"),
        "東京都に行きました。東京都庁の展望台から富士山が見えました。東京都に行きましたとさ",
        "ตากลมโตและกำลังดีมากที่สุดในโลก",
        "Číňané přijeli do přístavu",
        "Ci\u{30c}n\u{30c}an decomposed",
        "हिन्दी में लिखा",
        "john.doe@acme.cz wrote Q3-report_final.pdf",
        "they don't pay 12,500",
        &format!("before {} after", huge_word()),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn seed() -> Seed {
    let message = |at: usize, text: String| SeedMessage {
        channel: "den".to_owned(),
        user: ANN.to_owned(),
        at: 1_490_000_000 + i64::try_from(at).unwrap(),
        text,
        ..SeedMessage::default()
    };
    let mut messages: Vec<SeedMessage> = (0..WOLVES).map(|number| message(0, format!("big wolf{number:03}"))).collect();
    messages.extend(others().into_iter().enumerate().map(|(n, text)| message(1000 + n, text)));
    // Texts of one message that do not follow each other.
    let attachments = json!([{"title": "alphaone betaone", "text": "gammaone deltaone", "fallback": "epsilonone"}]);
    messages.push(SeedMessage {
        extra: vec![("attachments".to_owned(), attachments)],
        ..message(2000, "zetaone etaone".to_owned())
    });
    for (n, message) in messages.iter_mut().enumerate() {
        message.at += i64::try_from(n).unwrap() * 60;
    }
    Seed {
        domain: "harbour.example".to_owned(),
        account: ANN.to_owned(),
        users: vec![SeedUser { email: ANN.to_owned(), name: "ann".to_owned(), ..SeedUser::default() }],
        channels: vec![SeedChannel {
            key: "den".to_owned(),
            name: "den".to_owned(),
            created: 1_489_000_000,
            members: vec![ANN.to_owned()],
            ..SeedChannel::default()
        }],
        messages,
        ..Seed::default()
    }
}

fn opened() -> (Server, Place, Desk) {
    let (server, place) = crawled(seed());
    let desk = Desk::open(&place);
    (server, place, desk)
}

/// Asks each query and holds the totals of all against what is due.
#[track_caller]
fn check(desk: &Desk, cases: &[(&str, u64)]) {
    let mut problems = Vec::new();
    for (query, due) in cases {
        let reply = desk.call("search.messages", &[("query", query), ("count", "1")]);
        if reply["messages"]["total"] != *due {
            let shown: String = query.chars().take(80).collect();
            problems.push(format!("{shown}: {} for {due} ({})", reply["messages"]["total"], reply["error"]));
        }
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), cases.len(), problems.join("\n"));
}

/// Refused with a sentence that says all of these words, on the command line and over HTTP.
#[track_caller]
fn check_refused(place: &Place, desk: &Desk, query: &str, words: &[&str]) {
    let reply = desk.call("search.messages", &[("query", query)]);
    assert_eq!((&reply["ok"], string(&reply, "/error")), (&json!(false), "invalid_query".to_owned()), "{query}");
    let outcome = place.run(&["search", query]).expect_error(USAGE, words);
    assert_eq!(outcome.text(), "", "{query}");
    assert_eq!(outcome.stderr.matches("error:").count(), 1, "one sentence, and nobody else's: {outcome}");
}

/// How many of the wolves are at most one insertion, deletion, replacement or transposition from one.
fn wolves_beside(word: &str) -> u64 {
    let is_beside = |other: &str| {
        let (a, b) = (word.as_bytes(), other.as_bytes());
        let different: Vec<usize> = (0..a.len()).filter(|&at| a[at] != b[at]).collect();
        match different[..] {
            [] | [_] => true,
            [first, second] => second == first + 1 && a[first] == b[second] && a[second] == b[first],
            _ => false,
        }
    };
    (0..WOLVES).filter(|number| is_beside(&format!("wolf{number:03}"))).count() as u64
}

#[test]
fn not_takes_out_what_it_names_and_nothing_else_wherever_it_stands() {
    let (_server, _place, desk) = opened();
    let all = WOLVES + others().len() as u64 + 1;
    // One more message says "big" beside the wolves: "wolf001 big", which NOT wolf001 takes out as well.
    check(
        &desk,
        &[
            ("*", all),
            ("big", WOLVES + 1),
            ("big AND NOT wolf001", WOLVES - 1),
            ("big NOT wolf001", WOLVES - 1),
            ("big -wolf001", WOLVES - 1),
            ("big !wolf001", WOLVES - 1),
            ("big AND -wolf001", WOLVES - 1),
            ("big AND (NOT wolf001)", WOLVES - 1),
            ("(-wolf001) big", WOLVES - 1),
            ("(big AND (wolf000 OR NOT wolf001))", WOLVES - 1),
            ("NOT (NOT big)", WOLVES + 1),
            ("NOT NOT wolf001", 2),
            ("-big", all - WOLVES - 1),
            ("NOT big", all - WOLVES - 1),
            ("NOT (big OR wolf)", all - WOLVES - 2),
            ("-big -wolf", all - WOLVES - 2),
            ("(-big) OR wolf001", all - WOLVES - 1 + 2),
            ("big -nowhere", WOLVES + 1),
            ("-nowhere", all),
        ],
    );
    desk.close();
}

#[test]
fn a_pattern_finds_all_words_that_it_describes() {
    let (_server, place, desk) = opened();
    check(
        &desk,
        &[
            // The harbour's wolf, and the one before "big".
            ("wolf*", WOLVES + 2),
            ("Wolf*", WOLVES + 2),
            ("w*", WOLVES + 4),
            ("wol?001", 2),
            ("wolf0??", 101),
            ("wolf??", 0),
            ("*001", 2),
            ("w*1", 21),
            ("wolf001~1", wolves_beside("wolf001") + 1),
            ("wolf001~", wolves_beside("wolf001") + 1),
            ("/wolf(001|002)/", 3),
            ("/wolf00/", 0),
            // An engine's phrase prefix stops at 50 words without a word.
            ("\"big wol*\"", WOLVES),
            ("\"big w*\"", WOLVES),
            ("\"b* wolf001\"", 1),
            ("big pre/1 wolf*", WOLVES),
            ("big w/1 wolf*", WOLVES + 1),
        ],
    );
    // A star behind the quotation mark finds all or is refused, and is never passed over.
    let reply = desk.call("search.messages", &[("query", "\"big wol\"*")]);
    assert!(reply["messages"]["total"] == WOLVES || reply["error"] == "invalid_query", "{reply}");
    for (query, words) in [
        ("wolf001~3", &["2 letters"][..]),
        ("/wolf(/", &["/wolf(/", "unclosed"]),
        ("\"big *\"", &["*"]),
        ("colour:red", &["colour", "from"]),
        ("big w/0 wolf001", &["1"]),
        ("(big", &["parenthesis"]),
        ("\"big", &["quot"]),
    ] {
        check_refused(&place, &desk, query, words);
    }
    desk.close();
}

#[test]
fn no_word_is_too_long_to_be_found() {
    let (_server, _place, desk) = opened();
    assert_eq!(FORTY_ONE.len(), 41);
    let huge = huge_word();
    // Pieces of 256 bytes: so many whole ones go into the longest query.
    let beginning = &huge[..256 * 200];
    check(
        &desk,
        &[
            (FORTY_ONE, 1),
            (&format!("\"{FORTY_ONE} stands\""), 1),
            ("supercalifragilistic*", 1),
            (&FORTY_ONE[..40], 0),
            // Thirteen characters of these scripts have 39 bytes.
            ("東京都に行きました。東京都庁の展望台から富士山が見えました", 1),
            ("東京都に行きましたとさ", 1),
            ("กำลังดีมากที่สุดในโลก", 1),
            // What stands around a word that no engine takes, and the word itself.
            (beginning, 1),
            (&huge[..256], 1),
            ("before after", 1),
        ],
    );
    desk.close();
}

#[test]
fn what_does_not_follow_each_other_is_no_phrase() {
    let (_server, _place, desk) = opened();
    check(
        &desk,
        &[
            ("\"alphaone betaone\"", 1),
            ("\"gammaone deltaone\"", 1),
            ("\"betaone gammaone\"", 0),
            ("\"betaone gammaone\"~1", 0),
            ("\"deltaone epsilonone\"", 0),
            ("\"etaone alphaone\"", 0),
            ("etaone w/100 alphaone", 0),
            ("betaone gammaone", 1),
            ("etaone epsilonone", 1),
            ("zetaone pre/1 etaone", 1),
            // Nor is what stands in two messages, or the other way round.
            ("\"wolf001 big\"", 1),
            ("\"big wolf001\"", 1),
            ("\"wolf001 big\"~0", 2),
            ("\"big big\"", 0),
        ],
    );
    desk.close();
}

#[test]
fn no_word_is_passed_over_because_it_is_frequent() {
    let (_server, _place, desk) = opened();
    check(
        &desk,
        &[
            ("\"to be or not to be\"", 1),
            ("\"to be or not to\"", 1),
            ("\"be or not\"", 1),
            ("\"to or be\"", 0),
            ("\"to not\"", 0),
            ("the", 1),
            ("\"the wolf of the harbour\"", 1),
            ("\"wolf the harbour\"", 0),
            ("be", 1),
            ("or", 1),
            ("a", 1),
            // Nor is one taken for another because it has the same stem.
            ("wolves", 0),
            ("harbours", 0),
        ],
    );
    desk.close();
}

#[test]
fn words_are_cut_and_folded_in_the_same_way_on_both_sides() {
    let (_server, _place, desk) = opened();
    check(
        &desk,
        &[
            ("京都", 1),
            ("東京", 1),
            ("庁", 1),
            ("京東", 0),
            ("กลม", 1),
            ("กำลัง", 1),
            ("हिन्दी", 1),
            ("cinane", 1),
            ("ČÍŇANÉ", 1),
            ("Čiňan", 1),
            ("C\u{30c}in\u{30c}an", 1),
            ("pristavu", 1),
            ("acme", 1),
            ("john.doe@acme.cz", 1),
            ("doe", 1),
            ("report", 1),
            ("Q3-report_final.pdf", 1),
            ("don't", 1),
            ("dont", 1),
            ("don’t", 1),
            ("12500", 1),
            ("12,500", 1),
        ],
    );
    desk.close();
}

#[test]
fn the_command_line_counts_as_the_server_does() {
    let (_server, place, desk) = opened();
    desk.close();
    for (query, due) in [("big AND NOT wolf001", WOLVES - 1), ("wolf*", WOLVES + 2), ("\"to be or not to be\"", 1)] {
        let reply = place.run(&["search", query, "--json"]).expect(DONE).json();
        assert_eq!(number(&reply, "/messages/total"), due, "{query}");
    }
    let nothing = place.run(&["search", "wolves", "--json"]).expect(FAILURE).json();
    assert_eq!(number(&nothing, "/messages/total"), 0);
    place.verified();
}
