//! What a search finds, computed twice: by the index, and by brute force from the definition
//! (`docs/SEARCH.md`). Random documents go through the whole road, from records to hits.

// Named by their paths, for the long form, which has this file under another roof.
#[path = "search_truth/archive.rs"]
mod archive;
#[path = "search_truth/cases.rs"]
mod cases;
#[path = "search_truth/compare.rs"]
mod compare;
#[path = "search_truth/document.rs"]
mod document;
#[path = "search_truth/judge.rs"]
mod judge;
#[path = "search_truth/random.rs"]
mod random;
#[path = "search_truth/sought.rs"]
mod sought;

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::TestRunner;

use archive::Archive;
use compare::{Ask, Engine as _, compare, pages};
use document::Document;

/// How many rounds are played here; the soak target plays more.
const ROUNDS: usize = 8;
/// Queries in a round.
const QUERIES: usize = 100;
/// Queries of a round whose pages are turned while records come.
const TURNED: usize = 5;
/// Messages, comments and files in a round, most with one version.
const SUBJECTS: usize = 120;
/// Those that come later.
const LATER: usize = 30;
/// Attempts to make a query that is answered wrongly smaller.
const ATTEMPTS: usize = 300;

/// The smallest query in the neighbourhood of a wrong answer that is answered wrongly, too, and what is
/// wrong with it.
fn smallest(
    engine: &Archive,
    documents: &[Document],
    tree: &mut impl ValueTree<Value = Ask>,
    mut complaint: String,
) -> String {
    let mut is_wrong = true;
    for _ in 0..ATTEMPTS {
        let has_moved = if is_wrong { tree.simplify() } else { tree.complicate() };
        if !has_moved {
            break;
        }
        match compare(engine, documents, &tree.current()) {
            Ok(_) => is_wrong = false,
            Err(said) => {
                is_wrong = true;
                complaint = said;
            }
        }
    }
    complaint
}

#[test]
fn the_index_finds_what_the_definition_says() {
    play(ROUNDS);
}

/// Plays so many rounds: the first of them are always the same.
pub(crate) fn play(rounds: usize) {
    let mut runner = TestRunner::deterministic();
    let asks = random::ask();
    let (mut asked, mut matched) = (0, 0);
    for round in 0..rounds {
        let subjects = random::subjects(SUBJECTS + LATER).new_tree(&mut runner).unwrap().current();
        let (first, later) = subjects.split_at(SUBJECTS);
        let mut documents = random::documents(first, 0, 0);
        let mut engine = Archive::new();
        engine.add(&documents);
        for _ in 0..QUERIES {
            let mut tree = asks.new_tree(&mut runner).unwrap();
            asked += 1;
            match compare(&engine, &documents, &tree.current()) {
                Ok(hits) => matched += usize::from(hits > 0),
                Err(complaint) => {
                    panic!("round {round}: {}", smallest(&engine, &documents, &mut tree, complaint))
                }
            }
        }
        let turned: Vec<_> = std::iter::repeat_with(|| asks.new_tree(&mut runner).unwrap().current())
            .take(TURNED)
            .map(|ask| {
                let whole = engine.search(&ask.query(), &ask, documents.len(), None).unwrap();
                let page = engine.search(&ask.query(), &ask, ask.limit, None).unwrap();
                (ask, whole, page)
            })
            .collect();
        let more = random::documents(later, SUBJECTS, 100);
        engine.add(&more);
        documents.extend(more);
        for (ask, whole, page) in turned {
            let mut hits = page.hits;
            if page.next.is_some() {
                let total = whole.hits.len();
                hits.extend(pages(&engine, &ask.query(), &ask, ask.limit, page.next, total).unwrap());
            }
            assert_eq!(hits, whole.hits, "records that came between two pages changed them: {ask:#?}");
            if let Err(complaint) = compare(&engine, &documents, &ask) {
                panic!("round {round}, after more records came: {complaint}");
            }
        }
    }
    assert!(matched * 3 >= asked, "only {matched} of {asked} queries match something");
}
