//! The grammar from end to end: what is typed, and how it is said back or refused.

use super::{Context, Flag, Lookup, Parsed, Plan, Query, Within, explain, parse, plans};
use crate::model::Zone;

pub(super) fn context() -> Context {
    // A Wednesday.
    let now = chrono::DateTime::parse_from_rfc3339("2026-03-04T10:00:00Z").unwrap().to_utc();
    Context { zone: Zone::parse("Europe/Prague").unwrap(), now }
}

fn parsed(text: &str) -> Parsed {
    parse(text, &context()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check(text: &str, expected: &str) {
    assert_eq!(explain(&parsed(text).query, context().zone), expected, "{text}");
}

/// The plan of a query that is one stretch of text, and how it is written.
fn check_plan(text: &str, plan: Plan, written: &str) {
    let expected = Query::Text { within: Within::Any, plan, typed: written.to_owned() };
    assert_eq!(parsed(text).query, expected, "{text}");
}

fn check_error(text: &str, part: &str, at: &str) {
    let error = match parse(text, &context()) {
        Ok(parsed) => panic!("{text}: {}", explain(&parsed.query, context().zone)),
        Err(error) => error,
    };
    assert!(error.what.contains(part), "{text}: {error}");
    assert_eq!(&text[error.place.start..error.place.end], at, "{text}: {error}");
}

fn check_warning(text: &str, part: &str) {
    let warnings = parsed(text).warnings;
    assert!(warnings.iter().any(|warning| warning.contains(part)), "{text}: {warnings:?}");
}

fn check_no_warning(text: &str) {
    assert_eq!(parsed(text).warnings, Vec::<String>::new(), "{text}");
}

fn word(text: &str) -> Plan {
    Plan::Leaf(Lookup::Word(text.to_owned()), 1)
}

fn wild(text: &str) -> Plan {
    Plan::Leaf(Lookup::Wild(text.to_owned()), 1)
}

fn near(left: Plan, right: Plan, distance: u32, in_order: bool) -> Plan {
    Plan::Near { left: Box::new(left), right: Box::new(right), distance, in_order }
}

fn not_near(left: Plan, right: Plan, distance: u32) -> Plan {
    Plan::NotNear { left: Box::new(left), right: Box::new(right), distance }
}

#[test]
fn words_phrases_and_operators() {
    check("", "everything");
    check("  \n ", "everything");
    check("*", "everything");
    check("change order", "`change` AND `order`");
    check("change AND order", "`change` AND `order`");
    check("\"change order\" -draft", "\"change order\" AND NOT `draft`");
    check("a OR b c", "`a` OR (`b` AND `c`)");
    check("(a OR b) AND NOT c", "(`a` OR `b`) AND NOT `c`");
    check("a && !b || c", "(`a` AND NOT `b`) OR `c`");
    check("NOT (a b)", "NOT (`a` AND `b`)");
    check("a OR -\"b c\"", "`a` OR NOT \"b c\"");
    check("-(a OR b)", "NOT (`a` OR `b`)");
    check("* -from:sara", "everything AND NOT written by `sara`");
    check("well-known don't", "`well-known` AND `don't`");
    check("a-b !x -", "`a-b` AND NOT `x` AND `-`");
    check("a -> b --force !! != -.", "`a` AND `->` AND `b` AND `--force` AND `!!` AND `!=` AND `-.`");
}

#[test]
fn what_merely_looks_like_grammar_is_text() {
    check("https://a.example/x?y=1 10:30", "`https://a.example/x?y=1` AND `10:30`");
    check("C:\\reports\\q3 /usr/bin /usr/bin/ a/b", "`C:\\reports\\q3` AND `/usr/bin` AND `/usr/bin/` AND `a/b`");
    check("w/o and/or x=1 a>b :tada: ~5", "`w/o` AND `and/or` AND `x=1` AND `a>b` AND `:tada:` AND `~5`");
    check("to be or not to be", "`to` AND `be` AND `or` AND `not` AND `to` AND `be`");
    check("\"a OR (b\" \"from:x\" \"w/5\"", "\"a OR (b\" AND \"from:x\" AND \"w/5\"");
    check("100%cotton 50% a^b https://x.cz/a%b", "`100%cotton` AND `50%` AND `a^b` AND `https://x.cz/a%b`");
    check("1..2..3 v1.2 1.. ..2", "`1..2..3` AND `v1.2` AND `1..` AND `..2`");
    check("a&&b and ANDy", "`a&&b` AND `and` AND `ANDy`");
}

#[test]
fn quotation_marks_of_every_word_processor_quote() {
    for text in ["\"a b\"", "“a b”", "„a b“", "”a b”", "«a b»", "»a b«", "“a b\"", "＂a b＂"] {
        check(text, "\"a b\"");
    }
    check("file:“price list”", "\"price list\" in the name of a file");
    check("it’s 5’ long", "`it’s` AND `5’` AND `long`");
}

#[test]
fn patterns_and_words_spelled_alike() {
    check("ship*", "words beginning with `ship`");
    check("*ing", "words ending in `ing`");
    check("wom?n a*b *x*", "words like `wom?n` AND words like `a*b` AND words like `*x*`");
    check(
        "colour~ colour~1",
        "words at most 1 letter away from `colour` AND words at most 1 letter away from `colour`",
    );
    check("colour~2", "words at most 2 letters away from `colour`");
    check("apply~~", "forms of `apply`");
    check("100..250 OR 100~~250", "numbers from 100 to 250 OR numbers from 100 to 250");
    check("/ship(ped|ment)/", "words that fit `/ship(ped|ment)/`");
    check("(/a|b/ OR \"##c/d##\")", "words that fit `/a|b/` OR words that fit `/c/d/`");
    check("\"a b c\"~5", "the words of \"a b c\" in any order with at most 5 others among them");
    check("\"ship* contract\"", "\"ship* contract\"");
    check_plan("ship*", wild("ship*"), "ship*");
    check_plan("\"ship* contract\"", Plan::Sequence(vec![wild("ship*"), word("contract")]), "\"ship* contract\"");
    check_plan("colour~", Plan::Leaf(Lookup::Fuzzy("colour".to_owned(), 1), 1), "colour~1");
    check_plan("apply~~", Plan::Leaf(Lookup::Stem("apply".to_owned()), 1), "apply~~");
    check_plan("007~~250", Plan::Leaf(Lookup::Numbers(7, 250), 1), "7..250");
    check_plan("\"##[ab]c##\"", Plan::Leaf(Lookup::Regex("[ab]c".to_owned()), 1), "/[ab]c/");
    check_plan("\"a - b\"~5", Plan::Window(vec![word("a"), word("b")], 5), "\"a - b\"~5");
    check_plan("“a b c*”~0", Plan::Window(vec![word("a"), word("b"), wild("c*")], 0), "\"a b c*\"~0");
    check_plan("\"a\"~5", word("a"), "\"a\"~5");
}

#[test]
fn proximity_in_every_spelling() {
    for text in ["a w/5 b", "a W/5 b", "a NEAR/5 b", "a near/5 b", "a NEAR(5) b", "(a) w/5 (b)", "a w/005 b"] {
        check_plan(text, near(word("a"), word("b"), 5, false), "a w/5 b");
    }
    for text in ["a pre/5 b", "a PRE/5 b", "a ONEAR/5 b", "a ONEAR(5) b"] {
        check_plan(text, near(word("a"), word("b"), 5, true), "a pre/5 b");
    }
    for text in ["a not w/5 b", "a NOT w/5 b", "a NOT NEAR/5 b", "a NOT NEAR(5) b", "a Not near/5 b"] {
        check_plan(text, not_near(word("a"), word("b"), 5), "a not w/5 b");
    }
    check_plan("a /s b", near(word("a"), word("b"), 15, false), "a w/15 b");
    check_plan("a /P b", near(word("a"), word("b"), 50, false), "a w/50 b");
    check_plan("a not /s b", not_near(word("a"), word("b"), 15), "a not w/15 b");
    check("a w/1 b", "`a` within 1 word of `b`");
    check("a pre/3 \"b c\"", "`a` at most 3 words before \"b c\"");
    check("a not w/5 b*", "`a` not within 5 words of words beginning with `b`");
}

#[test]
fn proximities_nest_and_bind_closer_than_everything() {
    check_plan(
        "a w/3 b w/5 \"c d\"",
        near(near(word("a"), word("b"), 3, false), Plan::Sequence(vec![word("c"), word("d")]), 5, false),
        "a w/3 b w/5 \"c d\"",
    );
    check_plan(
        "a w/3 (b pre/5 c)",
        near(word("a"), near(word("b"), word("c"), 5, true), 3, false),
        "a w/3 (b pre/5 c)",
    );
    check_plan(
        "(a OR (b OR c*)) w/5 d~2",
        near(
            Plan::Any(vec![word("a"), Plan::Any(vec![word("b"), wild("c*")])]),
            Plan::Leaf(Lookup::Fuzzy("d".to_owned(), 2), 1),
            5,
            false,
        ),
        "(a OR (b OR c*)) w/5 d~2",
    );
    check("x a w/5 b OR y", "(`x` AND `a` within 5 words of `b`) OR `y`");
    check("NOT a w/5 b", "NOT `a` within 5 words of `b`");
    check("-a w/5 b", "NOT `a` within 5 words of `b`");
    check("(a OR b) w/5 1..9", "(`a` OR `b`) within 5 words of numbers from 1 to 9");
    check("a w/5 (b w/2 c)", "`a` within 5 words of (`b` within 2 words of `c`)");
}

#[test]
fn what_cannot_stand_beside_a_proximity_is_refused_where_it_stands() {
    check_error("x from:sara w/5 b", "a field cannot stand beside `w/5`", "from:sara");
    check_error("a w/5 body:b", "put the field around all of it", "body:b");
    check_error("a w/5 (b OR in:c)", "a field cannot", "(b OR in:c)");
    check_error("(a b) w/5 c", "AND cannot stand beside `w/5`", "(a b)");
    check_error("a pre/5 (b AND c)", "AND cannot stand beside `pre/5`", "(b AND c)");
    check_error("(NOT a) w/5 c", "NOT cannot", "(NOT a)");
    check_error("a w/5 NOT b", "`not w/5` finds", "NOT");
    check_error("a w/5 -b", "NOT cannot stand beside", "-");
    check_error("a w/5 *", "`*` alone cannot", "*");
    check_error("w/5 b", "missing before `w/5`", "w/5");
    check_error("a w/5", "missing here", "");
    check_error("a w/5 w/6 b", "missing before `w/6`", "w/6");
    check_error("a AND NOT w/5 b", "missing before `not w/5`", "NOT w/5");
    check_error("a not pre/5 b", "there is `not w/5`", "not pre/5");
    check_error("a w/0 b", "1 to 1000 apart, not 0", "w/0");
    check_error("a w/1001 b", "1 to 1000 apart, not 1001", "w/1001");
    check_error("a NEAR(99999999999) b", "1 to 1000 apart", "NEAR");
    check_error("a w/ 5 b", "`w/` needs a number", "w/");
    check_error("a PRE/ b", "`PRE/` needs a number", "PRE/");
    check_error("a NEAR b", "NEAR(5) or NEAR/5", "NEAR");
    check_error("a ONEAR(b)", "ONEAR(5)", "ONEAR");
    check_error("a NEAR() b", "needs a number", "NEAR");
}

#[test]
fn fields_of_people_and_places() {
    check("from:@sara in:#legal", "written by `sara` AND in `legal`");
    check("FROM:sara.novak@acme.cz", "written by `sara.novak@acme.cz`");
    check("author:\"Jan Novák\" channel:ops", "written by `Jan Novák` AND in `ops`");
    check("from:<jan@x.cz>", "written by `jan@x.cz`");
    check("with:@jan to:eva", "in a conversation with `jan` AND in a conversation with `eva`");
    check("mentions:@jan", "mentions `jan`");
    check("in:(legal sales)", "in `legal` OR in `sales`");
    check("from:(a OR \"b c\" OR @d)", "written by `a` OR written by `b c` OR written by `d`");
    check("x in:(#legal)", "`x` AND in `legal`");
    check("in:(legal, sales; \"a,b\" , x,y)", "in `legal` OR in `sales` OR in `a,b` OR in `x,y`");
    check("-in:(a b)", "NOT (in `a` OR in `b`)");
    check("in:AND in:-x in:w/5", "in `AND` AND in `-x` AND in `w/5`");
}

#[test]
fn fields_of_properties() {
    check("has:link has:FILE has:reaction has:pin", "has a link AND has a file AND has a reaction AND pinned");
    check("has::Tada: has::+1::skin-tone-2:", "has the reaction `:tada:` AND has the reaction `:+1::skin-tone-2:`");
    check("reaction:tada reaction::tada:", "has the reaction `:tada:` AND has the reaction `:tada:`");
    check("is:edited is:dm is:im", "edited AND in a direct conversation AND in a direct conversation");
    check("has:(:tada: link)", "has the reaction `:tada:` OR has a link");
    check("is:(bot thread)", "by a bot OR in a thread");
    check("is:comment is:pinned is:superseded", "is a comment AND pinned AND replaced by a later version");
    check(
        "is:unextracted is:truncated",
        "a file whose text could not be read in full AND a file with more text than is searched",
    );
    check("state:current state:deleted is:current", "current AND deleted AND current");
    assert_eq!(parsed("state:edited").query, Query::Flag(Flag::Superseded));
    assert_eq!(parsed("is:edited").query, Query::Flag(Flag::Edited));
    check("kind:file type:messages kind:Comment", "files AND messages AND comments");
    check("ext:.PDF filetype:docx", "extension `pdf` AND extension `docx`");
    check("mime:Image/PNG", "media type `image/png`");
    check("extraction:encrypted", "a file whose text was read with the outcome `encrypted`");
    check("extraction:too-big", "a file whose text was read with the outcome `too_big`");
    check("id:1490004760.000165 id:17", "id `1490004760.000165` AND id `17`");
}

#[test]
fn fields_of_numbers() {
    check("size>1mb", "of 1048577 bytes or more");
    check("size<=10k size:>=1", "of 10240 bytes or less AND of 1 bytes or more");
    check("size<10k size=10", "of 10239 bytes or less AND of 10 bytes");
    check("size:1mb..2mb", "of 1048576 to 2097152 bytes");
    check("size:1.5kb.. size:..3", "of 1536 bytes or more AND of 3 bytes or less");
    check(
        "record:100..200 record:7 record>=3 record<3",
        "records 100 to 200 AND record 7 AND records from 3 on AND records up to 2",
    );
    check_error("size>tiny", "`tiny` is no size", "size>tiny");
    check_error("size>", "`size:` is followed by", "size>");
    check_error("x size:2mb..1mb", "goes down", "size:2mb..1mb");
    check_error("size:..", "no size on either side", "size:..");
    check_error("size<0", "lies beyond", "size<0");
    check_error("size>(1 2)", "followed by", "size>");
    check_error("record>18446744073709551615", "lies beyond", "record>18446744073709551615");
    check_error("record:x", "is no number", "record:x");
    check_error("record:1..x", "`x` is no number", "record:1..x");
    check_error("record>1..2", "is no number", "record>1..2");
}

#[test]
fn dates_in_the_zone_of_the_asker() {
    check("before:2026-03-04", "written before 2026-03-04 00:00:00 +01:00");
    check("after:2026-03-28", "written from 2026-03-29 00:00:00 +01:00 on");
    check("on:yesterday", "written from 2026-03-03 00:00:00 +01:00 to 2026-03-04 00:00:00 +01:00");
    check("during:2026-03", "written from 2026-03-01 00:00:00 +01:00 to 2026-04-01 00:00:00 +02:00");
    check("during:july", "written from 2025-07-01 00:00:00 +02:00 to 2025-08-01 00:00:00 +02:00");
    check("during:\"july 2026\"", "written from 2026-07-01 00:00:00 +02:00 to 2026-08-01 00:00:00 +02:00");
    check("during:2026", "written from 2026-01-01 00:00:00 +01:00 to 2027-01-01 00:00:00 +01:00");
    check("before:2026", "written before 2026-01-01 00:00:00 +01:00");
    check("after:january", "written from 2026-02-01 00:00:00 +01:00 on");
    check("on:monday", "written from 2026-03-02 00:00:00 +01:00 to 2026-03-03 00:00:00 +01:00");
    check("sent:\"last week\"", "written from 2026-02-23 00:00:00 +01:00 to 2026-03-02 00:00:00 +01:00");
    check("date:\"last month\"", "written from 2026-02-01 00:00:00 +01:00 to 2026-03-01 00:00:00 +01:00");
    check("date:2026-01-01..2026-03-31", "written from 2026-01-01 00:00:00 +01:00 to 2026-04-01 00:00:00 +02:00");
    check("date=2026-01..2026-02", "written from 2026-01-01 00:00:00 +01:00 to 2026-03-01 00:00:00 +01:00");
    check("sent>=2026-01-01", "written from 2026-01-01 00:00:00 +01:00 on");
    check("sent>2026-01-01", "written from 2026-01-02 00:00:00 +01:00 on");
    check(
        "sent<2026-01-01 date:<=2026-01",
        "written before 2026-01-01 00:00:00 +01:00 AND written before 2026-02-01 00:00:00 +01:00",
    );
    check("date:..yesterday", "written before 2026-03-04 00:00:00 +01:00");
    check("date:2026-03..", "written from 2026-03-01 00:00:00 +01:00 on");
    check("on:9999-12-31", "written from 9999-12-31 00:00:00 +01:00 to +10000-01-01 00:00:00 +01:00");
    check_error("x on:never", "`never` is no day", "on:never");
    check_error("date:2026-03..2026-01", "ends before it begins", "date:2026-03..2026-01");
    check_error("date:..", "no day on either side", "date:..");
    check_error("before:10:30", "`10:30` is no day", "before:10:30");
    check_error("date>2026-01..2026-02", "is no day", "date>2026-01..2026-02");
}

#[test]
fn fields_of_text_take_words_phrases_and_whole_expressions() {
    check("body:ship*", "words beginning with `ship` in what was written");
    check("title:\"price list\"", "\"price list\" in the name of a file");
    check("file:a filename:b", "`a` in the name of a file AND `b` in the name of a file");
    check("content:/a|b/", "words that fit `/a|b/` in the text of a file");
    check("body:(a -b)", "`a` in what was written AND NOT `b` in what was written");
    check("content:(a w/5 (b OR c))", "`a` within 5 words of (`b` OR `c`) in the text of a file");
    check("body:(a) b", "`a` in what was written AND `b`");
    check(
        "body:-x body:AND body:a:b",
        "\"-x\" in what was written AND \"AND\" in what was written AND \"a:b\" in what was written",
    );
    check("body:\"a b\"~2", "the words of \"a b\" in any order with at most 2 others among them in what was written");
    check_error("body:(a from:b)", "`from:` cannot stand inside", "from:");
    check_error("body:(a title:b)", "`title:` cannot stand inside", "title:");
    check_error("body:*", "`*` alone stands for any word", "*");
    check_error("body:(a *)", "`*` alone stands for any word", "*");
    check_error("body:(a", "not closed", "body:");
    check_error("body:a w/5 b", "put the field around", "body:a");
    check_error("body:()", "missing here", ")");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    check_error("a \"b", "not closed", "\"b");
    check_error("(a", "parenthesis is not closed", "(");
    check_error("x (a (b)", "parenthesis is not closed", "(");
    check_error("a)", "without its opening", ")");
    check_error("a AND", "missing here", "");
    check_error("OR a", "missing here", "OR");
    check_error("a AND OR b", "missing here", "OR");
    check_error("()", "missing here", ")");
    check_error("NOT", "missing here", "");
    check_error("x foo:bar", "`foo:` is no field; there are from: author: in:", "foo:");
    check_error("Re: offer", "quote the text", "Re:");
    check_error("(a OR b)-c", "could mean NOT", "-");
    check_error("\"a\"!c", "could mean NOT", "!");
    check_error("from:", "`from:` is followed by a person's name", "from:");
    check_error("from: sara", "without a space", "from:");
    check_error("from:@", "followed by", "from:@");
    check_error("from:\"a b\"~2", "followed by", "from:");
    check_error("has:wings", "`has:wings` is not known; it is followed by link", "has:wings");
    check_error("has:::", "not known", "has:::");
    check_error("is:here", "edited, deleted", "is:here");
    check_error("state:gone", "current, edited", "state:gone");
    check_error("kind:letter", "message, comment or file", "kind:letter");
    check_error("extraction:maybe", "ok, partial, encrypted", "extraction:maybe");
    check_error("\"\"", "nothing between", "\"\"");
    check_error("a “ ”", "nothing between", "“ ”");
    check_error("in:(a AND b)", "stand values", "AND");
    check_error("in:(a -b)", "stand values", "-");
    check_error("in:(a (b))", "stand values", "(");
    check_error("in:(OR a)", "stand values", "OR");
    check_error("in:(a OR)", "a value is missing", ")");
    check_error("in:(a OR OR b)", "a value is missing", "OR");
    check_error("in:()", "stand values", ")");
    check_error("in:(, )", "stand values", ")");
    check_error("in:(a b", "not closed", "(");
    check_error("in:(a kind:b)", "stand values", "kind:");
    check_error("kind:(file letter)", "`kind:letter` is not known", "kind:(file letter");
}

#[test]
fn what_is_no_word_pattern_or_expression_is_refused() {
    check_error("colour~3", "1 or 2 letters away, not 3", "colour~3");
    check_error("colour~0", "not 0", "colour~0");
    check_error("col*~1", "use one of them", "col*~1");
    check_error("col?r~~", "use one of them", "col?r~~");
    check_error("apply~~2", "takes no number", "apply~~2");
    check_error("250..100", "write 100..250", "250..100");
    check_error("1..99999999999999999999", "too large", "1..99999999999999999999");
    check_error("big^2", "leave `^2` out", "big^2");
    check_error("ba%%nana", "are written `banana~`", "ba%%nana");
    check_error("\"big wol\"*", "change ord*", "*");
    check_error("\"a b\"~", "0 to 1000", "~");
    check_error("\"a b\"~x", "0 to 1000", "~x");
    check_error("\"a b\"~1001", "0 to 1000", "~1001");
    check_error("\"##a##\"~2", "cannot follow an expression", "~2");
    check_error("\"a * b\"", "write \"a b\"~1", "\"a * b\"");
    check_error("\"*\"", "cannot stand in a phrase", "\"*\"");
    check_error("\"a b c d e f g h i\"~3", "at most 8 words", "\"a b c d e f g h i\"~3");
    check_error(&"/a/ ".repeat(101), "more than 100 expressions", "/a/");
    let long = format!("x /{}/", "a".repeat(1_001));
    check_error(&long, "", &long[2..]);
    check_error("/a(b/", "", "/a(b/");
}

#[test]
fn the_place_is_told_in_characters() {
    let error = parse("příliš žluťoučký foo:x", &context()).unwrap_err();
    assert_eq!(error.character, 18);
    assert!(error.to_string().ends_with("(at character 18)"), "{error}");
}

#[test]
fn doubts_are_told() {
    check_warning("a b OR c", "AND was read first");
    check_warning("(x OR a b)", "AND was read first");
    check_warning("a /s b", "`/s` was read as `w/15`");
    check_warning("a /p b", "`/p` as `w/50`");
    check_warning("a and b w/5 c", "in capitals");
    check_warning("a w/5 b or c", "in capitals");
    check_warning("a not w/5 b Not c", "in capitals");
    check_warning("a !!", "`!!` has no letter or digit");
    check_warning("a \"--\"", "`\"--\"` has no letter or digit");
    check_warning("why?", "`?` stands for exactly one character");
    check_warning("\"is it signed?\"", "`?` stands for exactly one character");
    for text in [
        "(a b) OR c",
        "a OR b",
        "a and b or not c",
        "a w/5 b",
        "a not w/5 b",
        "wom?n",
        "\"a and b\" w/5 c",
        "https://x.cz/?a=1",
    ] {
        check_no_warning(text);
    }
    assert!(parsed(&"a! ?! ".repeat(1_000)).warnings.len() <= 23);
}

/// The first part of search.md 1.1: readings that lose records silently elsewhere.
#[test]
fn traps_of_other_parsers() {
    let big = || Query::Text { within: Within::Any, plan: word("big"), typed: "big".to_owned() };
    let wolf = || Query::Text { within: Within::Any, plan: word("wolf001"), typed: "wolf001".to_owned() };
    let without = Query::And(vec![big(), Query::Not(Box::new(wolf()))]);
    for text in ["big AND NOT wolf001", "big -wolf001", "big NOT wolf001", "big AND -wolf001", "big AND (NOT wolf001)"]
    {
        assert_eq!(parsed(text).query, without, "{text}");
    }
    for text in ["-big", "NOT big", "!big"] {
        assert_eq!(parsed(text).query, Query::Not(Box::new(big())), "{text}");
    }
    check_plan("wolf*", wild("wolf*"), "wolf*");
    check_plan("wol?001", wild("wol?001"), "wol?001");
    check_plan("wolf001~1", Plan::Leaf(Lookup::Fuzzy("wolf001".to_owned(), 1), 1), "wolf001~1");
    check_error("\"big wol\"*", "after a phrase", "*");
    check_error("wolf001~3", "1 or 2 letters", "wolf001~3");
    let long = "x".repeat(41);
    check_plan(&long, word(&long), &long);
}

#[test]
fn depth_length_and_number_have_limits() {
    let error = |text: &str| parse(text, &context()).unwrap_err().what;
    assert!(error(&"(".repeat(10_000)).contains("nested"));
    assert!(error(&"NOT ".repeat(10_000)).contains("nested"));
    assert!(error(&"body:(".repeat(2)).contains("cannot stand inside"));
    assert!(error(&"a ".repeat(6_000)).contains("parts"));
    assert!(error(&format!("\"{}\"", "a ".repeat(6_000))).contains("parts"));
    assert!(error(&format!("in:({})", "a ".repeat(6_000))).contains("parts"));
    assert!(error(&"a".repeat(70_000)).contains("bytes"));
    assert!(error(&"ž".repeat(40_000)).contains("bytes"));
    assert!(error(&format!("a{}", " w/5 a".repeat(65))).contains("proximities"));
    assert!(parse(&format!("a{}", " w/5 a".repeat(64)), &context()).is_ok());
    assert!(parse(&format!("{}a{}", "(".repeat(64), ")".repeat(64)), &context()).is_ok());
    assert!(parse(&"a ".repeat(5_000), &context()).is_ok());
}

#[test]
fn what_is_looked_for_is_listed_without_what_must_not_be_there() {
    let query = parsed("a (b OR body:c) -d from:e NOT (f g) title:h w").query;
    let found: Vec<(Within, &Plan)> = plans(&query);
    assert_eq!(
        found,
        [
            (Within::Any, &word("a")),
            (Within::Any, &word("b")),
            (Within::Body, &word("c")),
            (Within::Title, &word("h")),
            (Within::Any, &word("w")),
        ]
    );
    assert!(plans(&Query::All).is_empty());
}
