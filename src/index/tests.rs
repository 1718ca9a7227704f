use std::collections::BTreeSet;

use chrono::DateTime;

use super::*;
use crate::history::{Directory, ItemState};
use crate::model::{ChannelId, Clock, Scope, UtcTime, Zone};
use crate::query::{self, Context, Query};
use crate::record::Kind;
use crate::store::tests::{Bench, bench, message, writer};
use crate::store::{Batch, Change, Derived, DerivedReader, NewRecord, NewResult, Reader, Writer};

/// How something is asked for, where it is not as usual.
#[derive(Clone)]
struct Asked {
    scope: Scope,
    states: Vec<ItemState>,
    as_of: Option<UtcTime>,
    order: Order,
    paging: Paging,
    facets: Option<FacetPlan>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            scope: Scope::All,
            states: Vec::new(),
            as_of: None,
            order: Order::Oldest,
            paging: Paging::Page { offset: 0, limit: 1000 },
            facets: None,
        }
    }
}

/// An archive with its index and writer.
struct Shelf {
    bench: Bench,
    writer: Writer,
    indexer: Indexer,
    searcher: Searcher,
}

impl Shelf {
    fn new() -> Self {
        let bench = bench();
        let writer = writer(&bench);
        let indexer = Indexer::open(&bench.layout).unwrap();
        let searcher = Searcher::new(&bench.layout);
        Self { bench, writer, indexer, searcher }
    }

    fn of(texts: &[&str]) -> Self {
        let mut shelf = Self::new();
        shelf.add(texts.iter().zip(100..).map(|(text, second)| message("C1", second, 1, Change::New, text)).collect());
        shelf
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.bench.layout).unwrap()
    }

    fn derived(&self) -> Option<DerivedReader> {
        DerivedReader::open(&self.bench.layout).unwrap()
    }

    fn add(&mut self, records: Vec<NewRecord>) {
        self.writer.append(Batch { records, changes: Vec::new() }).unwrap();
        self.index();
    }

    fn index(&mut self) {
        let (reader, derived) = (self.reader(), self.derived());
        self.indexer.catch_up(&reader, derived.as_ref(), &mut |_| {}).unwrap();
    }

    fn answer(&self, text: &str, asked: &Asked) -> Result<Answer, Error> {
        let context = Context { zone: Zone::UTC, now: DateTime::UNIX_EPOCH };
        let parsed = query::parse(text, &context).unwrap_or_else(|error| panic!("{text}: {error}"));
        self.searcher.search(&Request {
            query: &parsed.query,
            scope: &asked.scope,
            directory: &Directory::default(),
            kinds: &[],
            states: &asked.states,
            as_of: asked.as_of,
            order: asked.order,
            paging: asked.paging.clone(),
            facets: asked.facets.clone(),
        })
    }

    /// The records that are found, oldest first.
    fn finds(&self, text: &str) -> Vec<u64> {
        let answer = self.answer(text, &Asked::default()).unwrap();
        assert_eq!(answer.total, answer.hits.len() as u64, "{text}");
        answer.hits.iter().map(|hit| hit.seq.0).collect()
    }

    /// Ends every test: the index is whole.
    fn check(&self) -> Completeness {
        let found = completeness(&self.searcher, &self.reader(), self.derived().as_ref(), &mut |_| {}).unwrap();
        assert!(found.is_whole(), "{found:?}");
        assert_eq!(found.compared, found.documents);
        found
    }
}

fn at(mut record: NewRecord, millis: i64) -> NewRecord {
    record.observed_at = DateTime::from_timestamp_millis(millis).unwrap();
    record
}

fn channel(id: &str) -> ChannelId {
    ChannelId::parse(id).unwrap()
}

#[test]
fn words_phrases_and_distances_are_found_where_they_stand() {
    let shelf = Shelf::of(&[
        "the old contract was shredded",
        "please shred the old lease contract now",
        "contract, then nothing for a very long time, and at last somebody shredding",
        "don't e-mail 12,500.00 to Müller",
        "東京都に行く",
        "to be or not to be",
    ]);
    for (text, expected) in [
        ("contract", &[0, 1, 2][..]),
        ("\"old contract\"", &[0]),
        ("contract w/3 shred*", &[0]),
        ("contract w/5 shred*", &[0, 1]),
        ("contract pre/4 shred*", &[0]),
        ("contract not w/5 shred*", &[2]),
        ("\"contract shred the\"~3", &[1]),
        ("(old OR lease) w/2 contract", &[0, 1]),
        ("dont", &[3]),
        ("email", &[3]),
        ("12500", &[3]),
        ("mueller", &[3]),
        ("MULLER", &[3]),
        ("\"dont e-mail\"", &[3]),
        ("京都", &[4]),
        ("\"to be or not to be\"", &[5]),
        ("-contract", &[3, 4, 5]),
        ("contract AND NOT shred*", &[]),
        ("contract -\"old contract\"", &[1, 2]),
        ("(contract AND (NOT old))", &[2]),
        ("shre?ded OR s*ding", &[0, 2]),
        ("contrakt~1", &[0, 1, 2]),
        ("shredded~~", &[0, 1, 2]),
        ("/shred(ded|ding)/", &[0, 2]),
        ("12000..13000", &[3]),
        ("title:contract", &[]),
        ("body:contract", &[0, 1, 2]),
    ] {
        assert_eq!(shelf.finds(text), expected, "{text}");
    }
    shelf.check();
}

#[test]
fn a_pattern_tells_what_it_stood_for_and_is_never_cut_short() {
    let shelf = Shelf::of(&["ship shipment shipping shop", "shipyard"]);
    let answer = shelf.answer("ship*", &Asked::default()).unwrap();
    assert_eq!(answer.expansions.len(), 1);
    assert_eq!(answer.expansions[0].written, "ship*");
    assert_eq!(answer.expansions[0].words, ["ship", "shipment", "shipping", "shipyard"]);
    let many: Vec<String> = (0..=MAX_EXPANSIONS).map(|n| format!("w{n}")).collect();
    let mut shelf = Shelf::new();
    let records =
        many.chunks(1000).zip(100..).map(|(words, second)| message("C1", second, 1, Change::New, &words.join(" ")));
    shelf.add(records.collect());
    assert!(shelf.answer("w*", &Asked::default()).unwrap_err().to_string().contains("50000"));
    assert_eq!(shelf.finds("w4999*").len(), 2, "in two of the records");
}

#[test]
fn an_edit_and_a_deletion_change_what_the_readings_are() {
    let mut shelf = Shelf::new();
    shelf.add(vec![at(message("C1", 100, 1, Change::New, "first"), 1_000)]);
    shelf.add(vec![at(message("C1", 100, 2, Change::Changed, "second"), 2_000)]);
    let mut gone = at(message("C1", 100, 3, Change::Gone, ""), 3_000);
    gone.body = b"{}".to_vec();
    shelf.add(vec![gone]);
    let by_state = |state| {
        let asked = Asked { states: vec![state], ..Asked::default() };
        shelf.answer("is:edited", &asked).unwrap().total
    };
    assert_eq!([ItemState::Edited, ItemState::Deleted, ItemState::Current].map(by_state), [1, 1, 0]);
    assert_eq!(shelf.finds("first OR second"), [0, 1]);
    let as_of = |millis, states: &[ItemState]| {
        let asked =
            Asked { as_of: DateTime::from_timestamp_millis(millis), states: states.to_vec(), ..Asked::default() };
        let answer = shelf.answer("first OR second", &asked);
        answer.unwrap().hits.iter().map(|hit| hit.seq.0).collect::<Vec<_>>()
    };
    assert_eq!(as_of(500, &[]), [0_u64; 0]);
    assert_eq!(as_of(1_500, &[ItemState::Current]), [0]);
    assert_eq!(as_of(2_500, &[ItemState::Current]), [1]);
    assert_eq!(as_of(2_500, &[ItemState::Edited]), [0]);
    assert_eq!(as_of(3_500, &[ItemState::Deleted]), [1]);
    assert_eq!(as_of(3_500, &[ItemState::Current]), [0_u64; 0]);
    assert_eq!(shelf.check().documents, 2);
}

#[test]
fn a_cursor_is_shifted_neither_by_arrivals_nor_by_merges() {
    let texts: Vec<String> = (0..50).map(|n| format!("word {}", "word ".repeat(n % 5))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for order in [Order::Relevance, Order::Newest, Order::Oldest] {
        let mut shelf = Shelf::of(&texts);
        let whole = shelf.answer("word", &Asked { order, ..Asked::default() }).unwrap();
        assert_eq!(whole.total, 50);
        let mut seen = Vec::new();
        let mut paging = Paging::Page { offset: 0, limit: 7 };
        for page in 0.. {
            let answer = shelf.answer("word", &Asked { order, paging: paging.clone(), ..Asked::default() }).unwrap();
            assert_eq!(answer.total, 50, "{order:?}, page {page}");
            seen.extend(answer.hits.iter().map(|hit| hit.seq));
            let Some(cursor) = answer.next_cursor else { break };
            paging = Paging::Cursor { cursor, limit: 7 };
            // Newer and older than everything, and with the word more often.
            let second = 50 + page * 100;
            shelf.add(vec![message("C1", second, 1, Change::New, "word word word word word word word")]);
        }
        let expected: Vec<_> = whole.hits.iter().map(|hit| hit.seq).collect();
        assert_eq!(seen, expected, "{order:?}");
        shelf.check();
    }
}

#[test]
fn what_others_can_see_is_in_no_total_expansion_facet_or_score() {
    let here = ["secret plan", "plain plan"];
    let make = |with_others: bool| {
        let mut shelf = Shelf::of(&here);
        if with_others {
            let others = (0..40).map(|n| message("C2", 500 + n, 1, Change::New, "secret secretary planned plan"));
            shelf.add(others.collect());
        } else {
            // The same number of records, so that only what they say differs.
            let others = (0..40).map(|n| message("C2", 500 + n, 1, Change::New, "nothing of interest"));
            shelf.add(others.collect());
        }
        shelf
    };
    let mine = Scope::Channels(BTreeSet::from([channel("C1")]));
    let (with_others, without) = (make(true), make(false));
    for text in [
        "plan",
        "secret*",
        "secret plan",
        "plan OR secret",
        "sekret~1",
        "\"secret plan\"",
        "-secret",
        "plan w/3 secre*",
    ] {
        for order in [Order::Relevance, Order::Newest] {
            let ask = |shelf: &Shelf| {
                let facets =
                    FacetPlan { counts: true, histogram: Some((Stretch::Day, Zone::UTC)), ..FacetPlan::default() };
                let asked = Asked {
                    scope: mine.clone(),
                    order,
                    paging: Paging::Page { offset: 0, limit: 1 },
                    facets: Some(facets),
                    ..Asked::default()
                };
                let answer = shelf.answer(text, &asked).unwrap();
                (answer.total, answer.hits, answer.expansions, answer.notes, answer.facets, answer.next_cursor)
            };
            assert_eq!(ask(&with_others), ask(&without), "{text} {order:?}");
        }
    }
}

#[test]
fn a_facet_counts_without_its_own_selection() {
    let mut shelf = Shelf::of(&["plan a", "plan b"]);
    shelf.add((0..3).map(|n| message("C2", 86_400 * 40 + n, 1, Change::New, "plan c")).collect());
    let ask = |chosen: &[(Facet, &str)]| {
        let mut plan = FacetPlan { counts: true, histogram: Some((Stretch::Month, Zone::UTC)), ..FacetPlan::default() };
        for (facet, value) in chosen {
            plan.chosen.entry(*facet).or_default().insert((*value).to_owned());
        }
        shelf.answer("plan", &Asked { facets: Some(plan), ..Asked::default() }).unwrap()
    };
    let all = ask(&[]);
    assert_eq!(all.total, 5);
    assert_eq!(
        all.facets.values[&Facet::Channel].iter().map(|(id, n)| (id.as_str(), *n)).collect::<Vec<_>>(),
        [("C1", 2), ("C2", 3)]
    );
    assert_eq!(all.facets.histogram.values().copied().collect::<Vec<_>>(), [2, 3]);
    let one = ask(&[(Facet::Channel, "C1")]);
    assert_eq!((one.total, one.hits.len()), (2, 2));
    assert_eq!(one.facets.values[&Facet::Channel].values().sum::<u64>(), 5);
    assert_eq!(one.facets.values[&Facet::Kind]["message"], 2);
    assert_eq!(one.facets.histogram.values().sum::<u64>(), 2);
    let none = ask(&[(Facet::Channel, "C1"), (Facet::Kind, "file")]);
    assert_eq!((none.total, none.facets.values[&Facet::Kind]["message"]), (0, 2));
}

fn file(key: &str, version: u32, name: &str, digest: crate::model::Digest) -> NewRecord {
    let mut record = message("C1", 900, version, if version == 1 { Change::New } else { Change::Changed }, "");
    record.kind = Kind::File;
    record.channel = None;
    record.key = key.to_owned();
    record.attachments = vec![digest];
    record.shared_in = vec![channel("C1")];
    record.body = format!("{{\"id\":\"{key}\",\"name\":\"{name}\",\"created\":900,\"size\":5}}").into_bytes();
    record
}

#[test]
fn a_file_does_not_tell_where_else_it_stands() {
    let mut conversation = message("D1", 100, 1, Change::New, "");
    conversation.kind = Kind::Im;
    conversation.key = "D1".to_owned();
    let make = |elsewhere: &[&str]| {
        let mut shelf = Shelf::new();
        let mut records = vec![conversation.clone()];
        // All of one moment, so that only channels and records tell them apart.
        for key in ["F1", "F2", "F3"] {
            let mut record = file(key, 1, "plan.pdf", crate::model::Digest([7; 32]));
            record.shared_in = vec![channel("C1")];
            if key == "F2" {
                record.shared_in.splice(0..0, elsewhere.iter().map(|id| channel(id)));
            }
            records.push(record);
        }
        shelf.add(records);
        shelf
    };
    let alone = make(&[]);
    assert_eq!((alone.finds("plan"), alone.finds("is:im")), (vec![1, 2, 3], vec![]));
    let mine = Scope::Channels(BTreeSet::from([channel("C1")]));
    for elsewhere in ["D1", "B1", "B2", "E1"] {
        let shelf = make(&[elsewhere]);
        assert_eq!(shelf.finds("is:im"), if elsewhere == "D1" { vec![2] } else { vec![] });
        for (text, order) in ["plan", "is:im", "-is:im", "plan OR is:im", "in:D1", "-in:D1"]
            .into_iter()
            .flat_map(|text| [Order::Relevance, Order::Newest, Order::Oldest].map(|order| (text, order)))
        {
            let ask = |shelf: &Shelf| {
                let asked = Asked { scope: mine.clone(), order, ..Asked::default() };
                let whole = shelf.answer(text, &asked).unwrap();
                let paging = Paging::Page { offset: 0, limit: 2 };
                let page = shelf.answer(text, &Asked { paging, ..asked }).unwrap();
                (whole.total, whole.hits, whole.notes, page.hits, page.next_cursor)
            };
            assert_eq!(ask(&shelf), ask(&alone), "{text} {order:?} {elsewhere}");
        }
        shelf.check();
    }
}

#[test]
fn what_is_read_in_a_file_later_is_found_then() {
    let digest = crate::model::Digest([7; 32]);
    let mut shelf = Shelf::new();
    shelf.add(vec![file("F1", 1, "plan.pdf", digest)]);
    assert_eq!((shelf.finds("plan"), shelf.finds("needle")), (vec![0], vec![]));
    assert_eq!(shelf.finds("is:unextracted"), [0]);
    let mut derived = Derived::open(&shelf.bench.layout, &Clock::System).unwrap();
    let result = |status, text| NewResult {
        digest,
        status,
        engine: "test 1",
        version: 1,
        text,
        detail: None,
        charset: None,
        pages: None,
        is_truncated: false,
        thumbnail: None,
    };
    derived.put(&result("failed", "")).unwrap();
    shelf.index();
    assert_eq!(shelf.finds("extraction:failed"), [0]);
    derived.put(&result("ok", "a needle in it")).unwrap();
    shelf.index();
    assert_eq!(
        (shelf.finds("needle"), shelf.finds("content:needle"), shelf.finds("is:unextracted")),
        (vec![0], vec![0], vec![])
    );
    shelf.add(vec![file("F1", 2, "plan-2.pdf", digest)]);
    assert_eq!(shelf.finds("needle"), [0, 1]);
    shelf.check();
    // A new index takes the text from what was read.
    drop(shelf.indexer);
    shelf.indexer = Indexer::rebuild(&shelf.bench.layout).unwrap();
    shelf.index();
    assert_eq!(shelf.finds("needle"), [0, 1]);
    shelf.check();
}

/// Cargo.toml's exception for the engine is there for this: what is excluded stands further on than where it is asked.
#[test]
fn what_is_excluded_may_begin_later_and_hold_a_range() {
    let texts: Vec<String> =
        (0..40).map(|number| if number < 4 { "lease".to_owned() } else { "lease shredded".to_owned() }).collect();
    let shelf = Shelf::of(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    for (text, expected) in [
        ("lease -(shredded record:2..30)", (0..4).chain(31..40).collect::<Vec<u64>>()),
        ("lease (shredded record:2..30)", (4..31).collect()),
    ] {
        assert_eq!(shelf.finds(text), expected, "{text}");
    }
    shelf.check();
}

#[test]
fn an_index_that_lacks_changes_or_adds_a_document_is_found_out() {
    let texts: Vec<String> = (0..20).map(|n| format!("document number{n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let check = |shelf: &Shelf| completeness(&shelf.searcher, &shelf.reader(), None, &mut |_| {}).unwrap();
    let spoil = |change: &dyn Fn(&Indexer)| {
        let mut shelf = Shelf::of(&texts);
        assert!(check(&shelf).is_whole());
        change(&shelf.indexer);
        shelf.indexer.commit_for_test();
        check(&shelf)
    };
    assert_eq!(spoil(&|indexer| indexer.remove_for_test(7)).missing, [7]);
    assert_eq!(spoil(&|indexer| indexer.add_for_test(7, 3)).twice, [7]);
    assert_eq!(spoil(&|indexer| indexer.add_for_test(99, 3)).extra, [99]);
    let changed = spoil(&|indexer| {
        indexer.remove_for_test(7);
        indexer.add_for_test(7, 3);
    });
    assert_eq!((changed.different.as_slice(), changed.miscounted.is_some()), (&[7][..], true));
}

#[test]
fn a_rebuild_that_was_cut_off_is_gone_on_with() {
    let mut shelf = Shelf::of(&["one", "two"]);
    let mut begun = Indexer::rebuild(&shelf.bench.layout).unwrap();
    begun.commit_for_test();
    drop(begun);
    assert_eq!(shelf.finds("two"), [1]);
    drop(shelf.indexer);
    shelf.indexer = Indexer::rebuild(&shelf.bench.layout).unwrap();
    shelf.index();
    assert_eq!(shelf.finds("two"), [1]);
    assert_eq!(fs_err::read_dir(shelf.bench.layout.index()).unwrap().count(), 2, "CURRENT and one generation");
    shelf.check();
}

#[test]
fn a_report_counts_alone_together_and_with_families() {
    let mut shelf = Shelf::of(&["alpha beta", "alpha", "gamma"]);
    shelf.add(vec![message("C2", 300, 1, Change::New, "beta")]);
    let context = Context { zone: Zone::UTC, now: DateTime::UNIX_EPOCH };
    let parsed: Vec<Query> =
        ["alpha", "beta", "delta"].iter().map(|text| query::parse(text, &context).unwrap().query).collect();
    let queries: Vec<&Query> = parsed.iter().collect();
    let request = Request {
        query: &Query::All,
        scope: &Scope::All,
        directory: &Directory::default(),
        kinds: &[],
        states: &[],
        as_of: None,
        order: Order::Newest,
        paging: Paging::Page { offset: 0, limit: 0 },
        facets: None,
    };
    let found = report(&shelf.searcher, &queries, &request).unwrap();
    let counts: Vec<(u64, u64)> = found.lines.iter().map(|line| (line.hits, line.unique)).collect();
    assert_eq!(counts, [(2, 1), (2, 1), (0, 0)]);
    assert_eq!((found.hits, found.searched_through), (3, 4));
    assert_eq!(found.lines[1].channels.keys().map(String::as_str).collect::<Vec<_>>(), ["C1", "C2"]);
}
