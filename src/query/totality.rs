//! Whatever is typed gives a tree or a refusal that points into it, for work in proportion to its length.

use proptest::prelude::*;

use super::parse::read;
use super::tests::context;
use super::{MAX_BYTES, Query, Within, explain, parse};

/// The most steps for each byte: copies of what is written are made once for each proximity around it.
const STEPS_FOR_A_BYTE: usize = 150;

fn check_steps(text: &str) {
    let mut steps = 0;
    let end = read(text, &context(), &mut steps).err().map(|refusal| refusal.what);
    let most = 100 + STEPS_FOR_A_BYTE * text.len();
    assert!(steps <= most, "{steps} for {} bytes of {:?}: {end:?}", text.len(), &text[..text.floor_char_boundary(40)]);
}

#[test]
fn hostile_queries_take_work_in_proportion_to_their_length() {
    for piece in [
        "a",
        "a ",
        "(",
        ")",
        "()",
        "\"",
        "\"\"",
        "\"a\" ",
        "-",
        "--",
        "-a ",
        "! ",
        "NOT ",
        "a OR ",
        "/",
        "/a",
        "(/",
        "/a/ ",
        "/\\",
        "(/\\/",
        "w/",
        "a w/5 ",
        "NEAR(",
        "NEAR(1",
        "a NEAR(5) ",
        "from:",
        "from:a ",
        "body:a:",
        "in:(a ",
        "~",
        "a~ ",
        "a~~",
        "*",
        "* ",
        "a*?",
        "?",
        "1..",
        "::",
        "a:",
        "\u{201c}",
        "«a» ",
        "東",
        "é ",
        "\u{0}",
        " ",
        "body:(a) ",
        "!!! ",
        "a? ",
        "\"a? \" ",
    ] {
        let text = piece.repeat(MAX_BYTES / piece.len());
        check_steps(&text);
        check_steps(&text[..text.floor_char_boundary(9_000)]);
    }
    for (left, inner, right, count) in [("(", "a", ")", 63), ("(a OR ", "b", ")", 63), ("body:(", "a", ")", 1)] {
        check_steps(&format!("{}{inner}{}", left.repeat(count), right.repeat(count)));
    }
    let wide = format!("({}b)", "abcdefghijkl OR ".repeat(4_000));
    check_steps(&format!("{wide}{}", " w/5 a".repeat(60)));
    let deep = format!("{}{}{}", "(a OR ".repeat(60), "abcdefgh".repeat(7_000), ")".repeat(60));
    check_steps(&format!("{deep}{}", " w/5 a".repeat(60)));
}

/// Every stretch of text that a query looks for, wherever.
fn texts(query: &Query) -> Vec<&Query> {
    match query {
        Query::Text { .. } => vec![query],
        Query::And(parts) | Query::Or(parts) => parts.iter().flat_map(texts).collect(),
        Query::Not(inner) => texts(inner),
        _ => Vec::new(),
    }
}

/// A tree or an error inside the text; what was typed reads again as the same; the steps are bounded.
fn check_totality(text: &str) -> Result<(), TestCaseError> {
    let mut steps = 0;
    let read = read(text, &context(), &mut steps);
    prop_assert!(steps <= 100 + STEPS_FOR_A_BYTE * text.len(), "{}: {}", text, steps);
    let parsed = match read {
        Ok(parsed) => parsed,
        Err(error) => {
            let place = error.place;
            prop_assert!(place.start <= place.end && place.end <= text.len(), "{}: {:?}", text, error);
            prop_assert!(text.is_char_boundary(place.start) && text.is_char_boundary(place.end), "{}", text);
            return Ok(());
        }
    };
    prop_assert_eq!(parsed.steps, steps);
    prop_assert!(!explain(&parsed.query, context().zone).is_empty(), "{}", text);
    for query in texts(&parsed.query) {
        let Query::Text { within, plan, typed } = query else { continue };
        let again = parse(typed, &context());
        let Ok(again) = again else { return Err(TestCaseError::fail(format!("{text}: {typed}: {again:?}"))) };
        let expected = Query::Text { within: Within::Any, plan: plan.clone(), typed: typed.clone() };
        prop_assert_eq!(again.query, expected, "{} in {:?}", text, within);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_gives_a_tree_or_an_error_inside_it(text in "\\PC{0,60}") {
        check_totality(&text)?;
    }

    #[test]
    fn any_mix_of_signs_gives_a_tree_or_an_error(text in "[ab1 ()\"“”~*?/\\\\:.<>=!&|#東é'-]{0,24}") {
        check_totality(&text)?;
    }

    #[test]
    fn any_mix_of_the_grammars_pieces_gives_a_tree_or_an_error(parts in proptest::collection::vec(prop_oneof![
        prop::sample::select(vec!["(", ")", "AND", "OR", "NOT", "not", "-", "!", "\"", "“", "”", "&&", "||"]),
        prop::sample::select(vec!["a", "b", "a*", "b?c", "a~", "b~2", "c~~", "1..9", "9~~1", "*", "/a|b/", "\"##a##\"", "\"a b\"", "\"a b\"~3", "~5", "!!"]),
        prop::sample::select(vec!["w/5", "pre/3", "NEAR(", "5)", "NEAR(5)", "ONEAR/2", "not w/5", "/s", "w/"]),
        prop::sample::select(vec!["from:", "in:", "body:", "title:(", "on:2026-01-01", "size>1", "has::x:", ":", "foo:", "record:1..2"]),
    ], 0..16), between in prop::sample::select(vec![" ", ""])) {
        check_totality(&parts.join(between))?;
    }

    #[test]
    fn well_formed_text_reads_again_as_it_was_written(parts in proptest::collection::vec(prop::sample::select(
        vec!["a", "B-c", "a*", "b?c", "a~", "b~2", "c~~", "1..9", "/a|b/", "\"##a/b##\"", "\"a b\"", "“a b”~3", "(a OR b)", "(a w/2 b)", "(a w/2 (b OR c))"],
    ), 1..8), near in prop::sample::select(vec![" w/5 ", " pre/3 ", " not w/7 ", " OR ", " "])) {
        let text = parts.join(near);
        prop_assert!(parse(&text, &context()).is_ok(), "{}", text);
        check_totality(&text)?;
        check_totality(&format!("body:({text})"))?;
    }
}
