//! The judge itself, held against the rows of the definition by hand; the pen, against what a person
//! would type; the comparison, against engines that answer wrongly.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::compare::{Ask, Engine, Order, Page, compare, count};
use super::document::{Document, Kind, Part, Property, State, Text};
use super::judge::{finds, fits, is_within, spans};
use super::random::{ask, documents, subjects};
use super::sought::{Expression, Pen, Piece, Sought, Wording};

fn word(typed: &str) -> Wording {
    Wording::Word(typed.to_owned())
}

/// A piece with `*` or `?` is a pattern.
fn pieces(typed: &str) -> Vec<Piece> {
    let piece = |text: &str| {
        let text = text.to_owned();
        if text.contains(['*', '?']) { Piece::Pattern(text) } else { Piece::Typed(text) }
    };
    typed.split(' ').map(piece).collect()
}

fn phrase(typed: &str) -> Wording {
    Wording::Phrase(pieces(typed))
}

fn pattern(typed: &str) -> Wording {
    Wording::Pattern(typed.to_owned())
}

fn fuzzy(typed: &str, edits: usize) -> Wording {
    Wording::Fuzzy(typed.to_owned(), edits)
}

fn window(typed: &str, slop: u32) -> Wording {
    Wording::Window(pieces(typed), slop)
}

fn near(left: Wording, distance: u32, right: Wording) -> Wording {
    Wording::Near(Box::new(left), distance, Box::new(right))
}

fn before(left: Wording, distance: u32, right: Wording) -> Wording {
    Wording::Before(Box::new(left), distance, Box::new(right))
}

fn not_near(left: Wording, distance: u32, right: Wording) -> Wording {
    Wording::NotNear(Box::new(left), distance, Box::new(right))
}

fn check(text: &str, wording: &Wording, expected: &[(u32, u32)]) {
    check_parts(&[text], wording, expected);
}

fn check_parts(parts: &[&str], wording: &Wording, expected: &[(u32, u32)]) {
    let text = Text::new(parts.iter().map(|part| (*part).to_owned()).collect());
    let found: Vec<(u32, u32)> = spans(wording, &text.tokens).into_iter().collect();
    assert_eq!(found, expected, "{wording:?} in {parts:?}: {:?}", text.tokens);
}

#[test]
fn words_are_found_folded_and_whole() {
    check("We ship it. SHIP it!", &word("Ship"), &[(1, 2), (3, 4)]);
    check("we shipped it", &word("ship"), &[]);
    check("Žluťoučký kůň", &word("kun"), &[(1, 2)]);
    check("kun", &word("kůň"), &[(0, 1)]);
    check("Straße", &word("STRASSE"), &[(0, 1)]);
    check("anything", &word("!!"), &[]);
}

#[test]
fn umlauts_are_found_in_each_of_their_spellings() {
    for (text, typed, found) in [
        ("Müller", "mueller", true),
        ("Müller", "muller", true),
        ("Mueller", "Müller", true),
        ("Muller", "Müller", true),
        ("Mueller", "muller", false),
        ("Muller", "mueller", false),
        ("Ørsted", "oersted", true),
        ("Århus", "aarhus", true),
        ("Aarhus", "arhus", false),
    ] {
        check(text, &word(typed), if found { &[(0, 1)] } else { &[] });
    }
}

#[test]
fn linked_words_are_a_sequence_or_one_word() {
    check("we don't", &word("don't"), &[(1, 3)]);
    check("we dont", &word("don't"), &[(1, 2)]);
    check("we don’t", &word("dont"), &[(1, 3)]);
    check("we don t", &word("don't"), &[(1, 3)]);
    check("we don t", &word("dont"), &[]);
    check("do-nt", &word("don't"), &[(0, 2)]);
    check("we do", &word("don't"), &[]);
    check("it is well-known", &phrase("is wellknown"), &[(1, 4)]);
    check("a well-known report", &phrase("wellknown report"), &[(1, 4)]);
    check("a well-known old report", &phrase("wellknown report"), &[]);
    check("12,500", &word("12500"), &[(0, 2)]);
    check("12500", &word("12,500"), &[(0, 1)]);
    check("12 500", &word("12500"), &[]);
    check("12,500.00", &word("12500"), &[(0, 2)]);
    check("12,500", &word("12500.00"), &[]);
    check("ask john.doe@acme.cz", &word("acme"), &[(3, 4)]);
    check("ask john.doe@acme.cz", &phrase("johndoe acmecz"), &[(1, 5)]);
}

#[test]
fn runs_are_found_inside_longer_ones() {
    check("東京都", &word("京都"), &[(1, 3)]);
    check("東京都", &word("東京都"), &[(0, 3)]);
    check("東京都", &word("東都"), &[]);
    check("東京", &word("東京都"), &[]);
    check("東京都", &word("都"), &[(2, 3)]);
    check("東京都", &word("京"), &[(1, 2)]);
    check("กิน", &word("ก"), &[]);
    check("東京 京", &word("京"), &[(1, 2), (2, 3)]);
    check("東京 都", &word("京都"), &[]);
    check("東京 ship", &phrase("東京 ship"), &[(0, 3)]);
    check("東京都 ship", &phrase("東京 ship"), &[]);
    check("👏👍", &word("👍"), &[(1, 2)]);
}

#[test]
fn phrases_are_pieces_in_sequence() {
    check("the ship contract", &phrase("ship contract"), &[(1, 3)]);
    check("the contract ship", &phrase("ship contract"), &[]);
    check("ship, !! contract", &phrase("ship -- contract"), &[(0, 2)]);
    check("shipped contract", &phrase("ship* contract"), &[(0, 2)]);
    check("shipped the contract", &phrase("ship* contract"), &[]);
    check("ship a, ship b", &phrase("ship a"), &[(0, 2)]);
    check("anything", &phrase("!! --"), &[]);
}

#[test]
fn no_phrase_and_little_else_reaches_over_two_parts() {
    check_parts(&["the ship", "contract"], &phrase("ship contract"), &[]);
    check_parts(&["the ship", "contract"], &near(word("ship"), 999, word("contract")), &[]);
    check_parts(&["a ship", "a contract"], &phrase("a contract"), &[(1_002, 1_004)]);
}

#[test]
fn patterns_describe_whole_words() {
    for (text, typed, found) in [
        ("shipped", "ship*", true),
        ("ship", "ship*", true),
        ("a-ship", "ship*", true),
        ("worship", "ship*", false),
        ("woman", "wom?n", true),
        ("womn", "wom?n", false),
        ("wooman", "wom?n", false),
        ("shipping", "*ing", true),
        ("things", "*ing", false),
        ("contact", "co*ct", true),
        ("contacts", "co*ct", false),
        ("MÜLLER", "mül*", true),
        ("Müller", "mue*", true),
        ("Muller", "mue*", false),
    ] {
        let text = Text::new(vec![text.to_owned()]);
        assert_eq!(!spans(&pattern(typed), &text.tokens).is_empty(), found, "{typed} in {:?}", text.parts);
    }
    check("don't", &pattern("dont*"), &[(0, 2)]);
    check("東京都", &pattern("京*"), &[(1, 2)]);
    check("東京都", &pattern("*京都*"), &[(1, 3)]);
    check("東京都", &pattern("都京*"), &[]);
    assert!(!fits(&['a', '*', 'b'], &['a', 'b', 'c']));
}

#[test]
fn fuzzy_words_are_so_many_edits_away() {
    for (typed, found, edits) in [
        ("colour", "colour", 0),
        ("colour", "color", 1),
        ("color", "colour", 1),
        ("colour", "colous", 1),
        ("colour", "coluor", 1),
        ("colour", "colors", 2),
        ("colour", "oclour", 1),
        ("colour", "oclor", 2),
        // A transposition, and a letter between what it moved.
        ("ca", "abc", 3),
        ("colour", "dolor", 2),
        ("colour", "dolar", 3),
        ("kůň", "kun", 2),
    ] {
        for allowed in 1..=2 {
            assert_eq!(is_within(typed, found, allowed), edits <= allowed, "{typed} {found} {allowed}");
        }
    }
    check("the Color", &fuzzy("colour", 1), &[(1, 2)]);
    check("the dolor", &fuzzy("colour", 1), &[]);
    check("the dolor", &fuzzy("colour", 2), &[(1, 2)]);
    check("don't", &fuzzy("donx", 1), &[(0, 1), (0, 2)]);
}

#[test]
fn expressions_describe_whole_words() {
    let letters = |text: &str| Expression::Sequence(text.chars().map(Expression::Letter).collect());
    let shipped =
        Expression::Sequence(vec![letters("SHIP"), Expression::Either(vec![letters("ped"), letters("ment")])]);
    check("Shipped, shipment, ship, shipments", &Wording::Matching(shipped), &[(0, 1), (1, 2)]);
    let with = |inner: Expression| Wording::Matching(Expression::Sequence(vec![letters("sh"), inner, letters("p")]));
    check("ship shop shp shoop", &with(Expression::Any), &[(0, 1), (1, 2)]);
    check("ship shop shp shoop", &with(Expression::OneOf(vec!['o', 'e'])), &[(1, 2)]);
    let o = || Box::new(Expression::Letter('o'));
    check("ship shop shp shoop", &with(Expression::Maybe(o())), &[(1, 2), (2, 3)]);
    check("ship shop shp shoop", &with(Expression::Repeated(o(), 0)), &[(1, 2), (2, 3), (3, 4)]);
    check("ship shop shp shoop", &with(Expression::Repeated(o(), 1)), &[(1, 2), (3, 4)]);
}

#[test]
fn numbers_are_whole_and_in_a_range() {
    let range = Wording::Numbers(100, 250);
    check("99 100 250 251", &range, &[(1, 2), (2, 3)]);
    check("0150 a150 150a", &range, &[(0, 1)]);
    check("12,500", &Wording::Numbers(12_000, 13_000), &[(0, 2)]);
    check("12 500", &Wording::Numbers(12_000, 13_000), &[]);
    check("1 200 and 12,500.00", &Wording::Numbers(12_000, 13_000), &[(3, 5)]);
}

#[test]
fn windows_hold_pieces_in_any_order() {
    check("a x b x c", &window("c a b", 2), &[(0, 5)]);
    check("a x b x c", &window("c a b", 1), &[]);
    check("b a", &window("a b", 0), &[(0, 2)]);
    check("a b", &window("a a", 5), &[]);
    check("a x a", &window("a a", 1), &[(0, 3)]);
    check("well-known a", &window("a wellknown", 0), &[(0, 3)]);
    check("東京都 a", &window("a 京都", 0), &[(1, 4)]);
    check("shipped it a", &window("a ship*", 1), &[(0, 3)]);
}

#[test]
fn proximity_counts_from_end_to_beginning() {
    let (x, y) = (|| word("x"), || word("y"));
    check("x y", &near(x(), 1, y()), &[(0, 2)]);
    check("y a x", &near(x(), 2, y()), &[(0, 3)]);
    check("y a x", &near(x(), 1, y()), &[]);
    check("x", &near(x(), 5, x()), &[]);
    check("x a b y", &before(x(), 3, y()), &[(0, 4)]);
    check("x a b y", &before(x(), 2, y()), &[]);
    check("y a b x", &before(x(), 5, y()), &[]);
    check("y x a y", &before(x(), 5, y()), &[(1, 4)]);
    check("a b c y", &near(phrase("a b"), 2, y()), &[(0, 4)]);
    check("a b c d y", &near(phrase("a b"), 2, y()), &[]);
    check("x a y b c", &near(near(x(), 2, y()), 2, word("c")), &[(0, 5)]);
    check("c x a y", &near(near(x(), 2, y()), 1, word("c")), &[(0, 4)]);
    check("x a c y", &near(near(x(), 3, y()), 5, word("c")), &[]);
    check("well-known x", &near(word("wellknown"), 1, x()), &[(0, 3)]);
    check("b y", &near(Wording::Either(vec![x(), word("b")]), 1, y()), &[(0, 2)]);
    check("c y", &near(Wording::Either(vec![x(), word("b")]), 1, y()), &[]);
}

#[test]
fn what_is_not_near_has_nothing_of_it_on_either_side() {
    let (x, y) = (|| word("x"), || word("y"));
    check("x a y b b x", &not_near(x(), 2, y()), &[(5, 6)]);
    check("x a y b b x", &not_near(x(), 3, y()), &[]);
    check("y x", &not_near(x(), 1, y()), &[]);
    check("x", &not_near(x(), 1, y()), &[(0, 1)]);
    check("y", &not_near(x(), 1, y()), &[]);
    check("a x b", &not_near(phrase("a x b"), 1, x()), &[]);
    check("x a y", &near(not_near(x(), 1, y()), 2, y()), &[(0, 3)]);
}

fn document(body: &str, title: &str, content: &str) -> Document {
    let text = |text: &str| Text::new(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] });
    Document {
        kind: Kind::File,
        subject: 0,
        version: 1,
        channels: vec!["CQUAY".to_owned(), "CDOCK".to_owned()],
        author: "UANN".to_owned(),
        // 2026-03-04T23:59:59Z
        ts: 1_772_668_799_000_000,
        body: text(body),
        title: text(title),
        content: text(content),
        has_reaction: false,
        is_bot: false,
        on_file: None,
        extension: "pdf".to_owned(),
        size: 2_000,
        observed: 1_000,
        superseded: None,
        gone: None,
    }
}

fn of(typed: &str) -> Sought {
    Sought::Wording(word(typed))
}

fn within(part: Part, sought: Sought) -> Sought {
    Sought::Within(part, Box::new(sought))
}

fn not(sought: Sought) -> Sought {
    Sought::Not(Box::new(sought))
}

#[test]
fn booleans_are_about_documents_and_spans_about_one_text() {
    let document = document("ship it", "contract.pdf", "the report");
    let is_found = |sought: Sought| finds(&sought, &document, i64::MAX);
    assert!(is_found(Sought::And(vec![of("ship"), of("contract"), of("report")])));
    assert!(!is_found(Sought::And(vec![of("ship"), of("price")])));
    assert!(is_found(Sought::Or(vec![of("price"), of("report")])));
    assert!(!is_found(Sought::Or(vec![of("price"), of("market")])));
    assert!(is_found(not(of("price"))));
    assert!(!is_found(not(of("ship"))));
    assert!(is_found(not(of("!!"))));
    assert!(!is_found(Sought::Wording(near(word("it"), 1_000, word("contract")))));
    assert!(is_found(within(Part::Body, of("ship"))));
    assert!(!is_found(within(Part::Body, of("report"))));
    assert!(is_found(within(Part::Title, of("contract"))));
    assert!(!is_found(within(Part::Title, of("ship"))));
    assert!(is_found(within(Part::Content, of("report"))));
    assert!(!is_found(within(Part::Content, Sought::And(vec![of("report"), of("ship")]))));
    assert!(is_found(within(Part::Content, Sought::And(vec![of("report"), not(of("ship"))]))));
}

#[test]
fn fields_are_conditions_on_documents() {
    let mut document = document("see https://example.com/", "contract.pdf", "");
    // 2026-03-04 is day 20,516.
    for (sought, found) in [
        (Sought::From("UANN".to_owned()), true),
        (Sought::From("UBOB".to_owned()), false),
        (Sought::In("CDOCK".to_owned()), true),
        (Sought::In("CYARD".to_owned()), false),
        (Sought::BeforeDay(20_517), true),
        (Sought::BeforeDay(20_516), false),
        (Sought::AfterDay(20_515), true),
        (Sought::AfterDay(20_516), false),
        (Sought::OnDay(20_516), true),
        (Sought::OnDay(20_517), false),
        (Sought::Kind(Kind::File), true),
        (Sought::Kind(Kind::Message), false),
        (Sought::Property(Property::Link), true),
        (Sought::Property(Property::Reaction), false),
        (Sought::Property(Property::File), true),
        (Sought::Property(Property::Current), true),
        (Sought::Property(Property::Deleted), false),
        (Sought::Property(Property::Edited), false),
        (Sought::Property(Property::Im), false),
        (Sought::Extension("pdf".to_owned()), true),
        (Sought::Extension("docx".to_owned()), false),
        (Sought::SizeFrom(2_000), true),
        (Sought::SizeFrom(2_001), false),
    ] {
        assert_eq!(finds(&sought, &document, i64::MAX), found, "{sought:?}");
    }
    document.ts += 1_000_000;
    assert!(finds(&Sought::AfterDay(20_516), &document, i64::MAX), "midnight is the next day's");
    document.superseded = Some(5_000);
    assert!(finds(&Sought::Property(Property::Superseded), &document, 5_000));
    assert!(!finds(&Sought::Property(Property::Superseded), &document, 4_999));
}

fn everything() -> Ask {
    Ask {
        sought: of("ship"),
        dice: 0,
        scope: None,
        kinds: Vec::new(),
        states: Vec::new(),
        as_of: None,
        order: Order::Newest,
        limit: 1,
    }
}

#[test]
fn scope_kinds_states_and_time_say_which_documents_are_looked_at() {
    let mut document = document("ship", "", "");
    document.superseded = Some(2_000);
    document.gone = Some(3_000);
    let channels = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>());
    for (ask, is_answered) in [
        (everything(), true),
        (Ask { sought: of("price"), ..everything() }, false),
        (Ask { scope: channels(&["CDOCK", "CYARD"]), ..everything() }, true),
        (Ask { scope: channels(&["CYARD"]), ..everything() }, false),
        (Ask { kinds: vec![Kind::Message, Kind::File], ..everything() }, true),
        (Ask { kinds: vec![Kind::Message, Kind::Comment], ..everything() }, false),
        (Ask { states: vec![State::Edited], ..everything() }, true),
        (Ask { states: vec![State::Current, State::Deleted], ..everything() }, false),
        (Ask { as_of: Some(999), ..everything() }, false),
        (Ask { as_of: Some(1_000), states: vec![State::Current], ..everything() }, true),
        (Ask { as_of: Some(2_000), states: vec![State::Current], ..everything() }, false),
    ] {
        assert_eq!(ask.is_answered_by(&document), is_answered, "{ask:?}");
    }
    document.superseded = None;
    assert_eq!([999, 2_999, 3_000].map(|at| document.state(at)), [None, Some(State::Current), Some(State::Deleted)]);
}

/// All the ways in which the pen writes something.
fn written(sought: &Sought) -> BTreeSet<String> {
    (0..200).map(|dice| Pen::new(dice).write(sought)).collect()
}

#[test]
fn queries_are_written_as_people_type_them() {
    let text = Sought::Wording;
    let a_or_b = Sought::Or(vec![of("a"), of("b")]);
    for (sought, expected) in [
        (text(word("1\u{a0}200")), vec!["\"1\u{a0}200\""]),
        (text(word("john.doe@acme.cz")), vec!["john.doe@acme.cz"]),
        (text(word("https://example.com/x")), vec!["\"https://example.com/x\""]),
        (text(phrase("ship* contract")), vec!["\"ship* contract\""]),
        (text(fuzzy("colour", 1)), vec!["colour~", "colour~1"]),
        (text(fuzzy("colour", 2)), vec!["colour~2"]),
        (text(Wording::Numbers(1, 20)), vec!["1..20", "1~~20"]),
        (text(window("a b", 5)), vec!["\"a b\"~5"]),
        (text(near(word("a"), 5, word("b"))), vec!["a NEAR(5) b", "a NEAR/5 b", "a w/5 b"]),
        (text(before(word("a"), 5, word("b"))), vec!["a ONEAR(5) b", "a ONEAR/5 b", "a pre/5 b"]),
        (text(not_near(word("a"), 5, word("b"))), vec!["a not w/5 b"]),
        (
            text(not_near(not_near(word("a"), 2, word("b")), 5, not_near(word("c"), 3, word("d")))),
            vec!["(a not w/2 b) not w/5 (c not w/3 d)", "a not w/2 b not w/5 (c not w/3 d)"],
        ),
        (text(not_near(Wording::Either(vec![word("a"), word("b")]), 5, word("c"))), vec!["(a OR b) not w/5 c"]),
        (a_or_b.clone(), vec!["a OR b", "a || b"]),
        (
            Sought::And(vec![a_or_b, of("c")]),
            vec!["(a OR b) && c", "(a OR b) AND c", "(a OR b) c", "(a || b) && c", "(a || b) AND c", "(a || b) c"],
        ),
        (not(of("a")), vec!["!a", "-a", "NOT a"]),
        (not(text(not_near(word("a"), 5, word("b")))), vec!["!(a not w/5 b)", "-(a not w/5 b)", "NOT (a not w/5 b)"]),
        (within(Part::Body, of("a")), vec!["body:(a)", "body:a"]),
        (within(Part::Title, text(fuzzy("a", 2))), vec!["file:(a~2)", "title:(a~2)"]),
        (Sought::OnDay(20_516), vec!["during:2026-03-04", "on:2026-03-04"]),
        (Sought::SizeFrom(10), vec!["size>=10"]),
    ] {
        assert_eq!(written(&sought), expected.into_iter().map(str::to_owned).collect(), "{sought:?}");
    }
    let expression = Expression::Sequence(vec![
        Expression::Letter('a'),
        Expression::Maybe(Box::new(Expression::Sequence(vec![Expression::Any, Expression::Letter('b')]))),
        Expression::Repeated(Box::new(Expression::OneOf(vec!['c', 'd'])), 1),
        Expression::Either(vec![Expression::Letter('e'), Expression::Repeated(Box::new(Expression::Any), 0)]),
    ]);
    let both = ["\"##a(.b)?[cd]+(e|.*)##\"", "/a(.b)?[cd]+(e|.*)/"];
    assert_eq!(written(&text(Wording::Matching(expression))), both.map(str::to_owned).into_iter().collect());
}

/// What an engine does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    MissesOne,
    FindsOneMore,
    FindsOneTwice,
    CountsOneMore,
    CountsWrongKinds,
    ForgetsTheOrder,
    RefusesTheQuery,
    SkipsOneBetweenPages,
    NeverEnds,
}

/// Answers by the judge, and then spoils the answer.
struct Spoiled {
    documents: Vec<Document>,
    fault: Fault,
    /// The last that was asked, and what matches.
    last: RefCell<(String, Vec<usize>)>,
}

impl Spoiled {
    fn new(fault: Fault) -> Self {
        Self { documents: Vec::new(), fault, last: RefCell::default() }
    }

    fn matching(&self, ask: &Ask) -> Vec<usize> {
        let mut last = self.last.borrow_mut();
        let asked = format!("{ask:?}");
        if last.0 != asked {
            let hits = (0..self.documents.len()).filter(|n| ask.is_answered_by(&self.documents[*n])).collect();
            *last = (asked, hits);
        }
        last.1.clone()
    }
}

impl Engine for Spoiled {
    fn add(&mut self, documents: &[Document]) {
        self.documents.extend_from_slice(documents);
    }

    fn search(&self, _: &str, ask: &Ask, limit: usize, cursor: Option<&str>) -> Result<Page, String> {
        let mut hits = self.matching(ask);
        let mut facets = count(&self.documents, &hits.iter().copied().collect(), ask);
        let mut total = hits.len() as u64;
        hits.sort_by_key(|n| {
            let seen = self.documents[*n].as_seen_by(ask.scope.as_ref());
            (seen.ts, seen.channels[0].clone(), *n)
        });
        if ask.order == Order::Newest {
            hits.reverse();
        }
        let mut offset: usize = cursor.map_or(0, |text| text.parse().unwrap());
        match self.fault {
            Fault::MissesOne => {
                hits.pop();
            }
            Fault::FindsOneMore => {
                let other = (0..self.documents.len()).find(|n| !hits.contains(n)).unwrap();
                hits.push(other);
            }
            Fault::FindsOneTwice => hits.push(hits[0]),
            Fault::CountsOneMore => total += 1,
            Fault::CountsWrongKinds => *facets.get_mut("kind").unwrap().values_mut().next().unwrap() += 1,
            Fault::ForgetsTheOrder => hits.reverse(),
            Fault::RefusesTheQuery => return Err("not understood".to_owned()),
            Fault::SkipsOneBetweenPages if offset > 0 => offset += 1,
            _ => {}
        }
        let end = hits.len().min(offset + limit);
        let next = if end < hits.len() || self.fault == Fault::NeverEnds && limit == ask.limit {
            Some(if self.fault == Fault::NeverEnds { 0 } else { end }.to_string())
        } else {
            None
        };
        Ok(Page { hits: hits.get(offset..end).unwrap_or_default().to_vec(), total, facets, next })
    }
}

#[test]
fn wrong_answers_are_noticed() {
    let mut some = Vec::new();
    for n in 0..6_i64 {
        let body = if n < 4 { "ship" } else { "price" };
        some.push(Document { ts: n * 1_000_000, subject: some.len(), ..document(body, "", "") });
    }
    for (fault, complaint) in [
        (Fault::None, ""),
        (Fault::MissesOne, "not found"),
        (Fault::FindsOneMore, "found though it does not match"),
        (Fault::FindsOneTwice, "found twice"),
        (Fault::CountsOneMore, "the total is 5 and not 4"),
        (Fault::CountsWrongKinds, "the facets are"),
        (Fault::ForgetsTheOrder, "stands before"),
        (Fault::RefusesTheQuery, "refused: not understood"),
        (Fault::SkipsOneBetweenPages, "pages of 1 show"),
        (Fault::NeverEnds, "more than 4 pages"),
    ] {
        let mut engine = Spoiled::new(fault);
        engine.add(&some);
        match compare(&engine, &some, &everything()) {
            Ok(matched) => assert_eq!((matched, complaint), (4, ""), "{fault:?} went unnoticed"),
            Err(said) => assert!(!complaint.is_empty() && said.contains(complaint), "{fault:?}: {said}"),
        }
    }
}

/// Queries that find nothing, or everything, would compare little. Each kind of thing that can be looked
/// for is found by some.
#[test]
fn random_queries_and_documents_meet() {
    let mut runner = TestRunner::deterministic();
    let (mut asked, mut matched, mut telling) = (0, 0, 0);
    let mut found: BTreeMap<&'static str, usize> = BTreeMap::new();
    let asks = ask();
    for _ in 0..3 {
        let subjects = subjects(100).new_tree(&mut runner).unwrap().current();
        let mut engine = Spoiled::new(Fault::None);
        engine.add(&documents(&subjects, 0, 0));
        for _ in 0..100 {
            let ask = asks.new_tree(&mut runner).unwrap().current();
            let hits = compare(&engine, &engine.documents, &ask).unwrap();
            asked += 1;
            matched += usize::from(hits > 0);
            telling += usize::from(hits > 0 && hits * 2 < engine.documents.len());
            if hits > 0 {
                ask.sought.names(&mut |name| *found.entry(name).or_default() += 1);
            }
        }
    }
    assert!(matched * 3 > asked && telling * 3 > asked, "{matched} of {asked} match, {telling} tell much");
    let constructs = [
        "word",
        "phrase",
        "pattern",
        "fuzzy",
        "expression",
        "numbers",
        "window",
        "near",
        "before",
        "not near",
        "either",
        "and",
        "or",
        "not",
        "within",
        "field",
    ];
    for name in constructs {
        assert!(found.get(name).copied().unwrap_or(0) > 4, "{name}: {found:?}");
    }
}
