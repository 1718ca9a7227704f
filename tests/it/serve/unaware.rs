//! Who may see two channels cannot tell whether there are others that say the same.
//!
//! One archive is made of a small random town and copied. Then people go on elsewhere: other channels, conversations,
//! files, comments, reactions, pins, with the same words, the same bytes and the same people. The one archive is
//! crawled before that, the other after it, at the same moment by its clock, so that what was there before has the
//! same record numbers in both. A reviewer of two channels then asks both the same: every route of the router, every
//! method of the API, with what is theirs, what is elsewhere and what is nowhere. Status, headers and body must be the
//! same. How long an answer takes is not looked at.
//!
//! The people themselves are in both: the list of people is the server's, and shown to whoever signs in.

// Named by their paths, for the long form, which has this file under another roof.
#[path = "unaware/known.rs"]
mod known;
#[path = "unaware/side.rs"]
mod side;
#[path = "unaware/town.rs"]
mod town;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::{Method, header};
use teamchat_archive::model::{ChannelId, Clock, RecordSeq};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox;

use self::known::{Known, queries};
use self::side::{Asked, By, Side, crawl};
use self::town::{goes_on_elsewhere, goes_on_here, town};
use super::written::{addresses, routes};
use super::{filled, form, get, only, send};
use crate::schedules::play::Dice;
use crate::support::TestArchive;

/// Where two texts part.
fn parting(one: &str, other: &str) -> String {
    let at = one
        .char_indices()
        .zip(other.chars())
        .find(|((_, a), b)| a != b)
        .map_or(one.len().min(other.len()), |((at, _), _)| at);
    let around = |text: &str| {
        text.chars().skip(text[..at.min(text.len())].chars().count().saturating_sub(90)).take(230).collect::<String>()
    };
    format!("  narrow: {}\n  wide:   {}", around(one).replace('\n', "⏎"), around(other).replace('\n', "⏎"))
}

/// Plays one town, and asks both archives of it everything.
pub(crate) async fn play(seed: u64) {
    let mut dice = Dice::new(seed);
    let running = sandbox::start(town(&mut dice), sandbox::Options::default()).await.unwrap();
    let hand = Arc::new(AtomicI64::new(Clock::System.now().timestamp_millis()));
    let narrow = TestArchive::in_memory(&running.url);
    crawl(&narrow, &running, &hand).await;
    goes_on_here(&running, &mut dice);
    hand.fetch_add(60_000, Ordering::Relaxed);
    crawl(&narrow, &running, &hand).await;
    let here = running.workspace().truth();
    let names = running.workspace().channels();
    let wide = narrow.copy();
    hand.fetch_add(60_000, Ordering::Relaxed);
    crawl(&narrow, &running, &hand).await;
    let places = goes_on_elsewhere(&running, &mut dice).await;
    crawl(&wide, &running, &hand).await;
    hand.fetch_add(60_000, Ordering::Relaxed);

    let of = |name: &str| names.iter().find(|(_, known)| known == name).unwrap().0.clone();
    let talk = here
        .iter()
        .map(|item| &item.channel)
        .find(|id| !names.iter().any(|(known, name)| known == *id && !name.is_empty()));
    let second = if seed.is_multiple_of(2) { of("dock") } else { talk.unwrap().clone() };
    let open = vec![of("quay"), second];
    let scope = only(&open.iter().map(String::as_str).collect::<Vec<_>>());
    let (before, records) = (narrow.reader().head().unwrap(), wide.reader().head().unwrap());
    assert!(records > before + 50, "only {} records are elsewhere", records - before);
    let truth = running.workspace().truth();
    let known = Known {
        places: places
            .iter()
            .cloned()
            .chain(names.iter().map(|(id, _)| id.clone()))
            .filter(|id| !open.contains(id))
            .collect(),
        records,
        times: truth.iter().map(|item| item.ts.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
        files: running.workspace().file_truth().unwrap().into_iter().map(|file| file.file).collect(),
        queries: queries(&mut dice),
        open,
    };
    let (narrow, wide) = (Side::open(narrow, &hand, &scope), Side::open(wide, &hand, &scope));
    // That the other archive holds more for who may see it, else nothing is shown here.
    let elsewhere: BTreeSet<ChannelId> = places.iter().map(|id| ChannelId::parse(id).unwrap()).collect();
    let reader = wide.archive.reader();
    let is_elsewhere = |seq: &u64| {
        let header = reader.record(RecordSeq(*seq)).unwrap().header;
        header.kind == Kind::Message && header.channel_id().is_some_and(|id| elsewhere.contains(&id))
    };
    let held = (before..records).filter(is_elsewhere).count();
    assert!(held > 30, "only {held} messages are elsewhere");

    let mut comparison = Comparison { narrow, wide, asked: 0, statuses: BTreeSet::new(), differences: Vec::new() };
    comparison.all(&known, &mut dice).await;
    let Comparison { asked, statuses, differences, .. } = comparison;
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut shown = Vec::new();
    for (pattern, text) in &differences {
        // Of the API each method by itself.
        let what = if pattern.starts_with("/teamchatapi") { text.split('?').next().unwrap() } else { pattern };
        let n = count.entry(what.to_owned()).or_default();
        *n += 1;
        if *n <= 4 {
            shown.push(text.clone());
        }
    }
    assert!(
        differences.is_empty(),
        "seed {seed}: {} of {asked} differ: {count:?}\n{}",
        differences.len(),
        shown.join("\n")
    );
    assert!(asked > 1000, "only {asked} were asked");
    for status in [200, 303, 400, 403, 404] {
        assert!(statuses.contains(&status), "no answer was {status}: {statuses:?}");
    }
    running.stop().await;
}

/// Both sides, and what they answered otherwise.
struct Comparison {
    narrow: Side,
    wide: Side,
    asked: usize,
    statuses: BTreeSet<u16>,
    differences: Vec<(String, String)>,
}

impl Comparison {
    async fn ask(&mut self, asked: &Asked) {
        let (one, other) = (self.narrow.ask(asked).await, self.wide.ask(asked).await);
        self.asked += 1;
        self.statuses.insert(one.status.as_u16());
        let one = self.narrow.settled(&asked.pattern, &one);
        let other = self.wide.settled(&asked.pattern, &other);
        if one != other {
            let what = if one.0 == other.0 && one.1 == other.1 {
                parting(&one.2, &other.2)
            } else {
                let only = |these: &[String], those: &[String]| {
                    these.iter().filter(|header| !those.contains(header)).cloned().collect::<Vec<_>>()
                };
                format!("  {} {:?}\n  {} {:?}", one.0, only(&one.1, &other.1), other.0, only(&other.1, &one.1))
            };
            let path = if asked.fields.is_some() { format!("POST {}", asked.path) } else { asked.path.clone() };
            self.differences.push((asked.pattern.clone(), format!("{path} {:?}\n{what}", asked.fields)));
        }
    }

    /// An auditor has both archives checked; what that found is told on the reviewer's pages, too.
    async fn check(&self) {
        let both = [&self.narrow, &self.wide];
        for side in both {
            let request = form("/verify").header(header::COOKIE, &side.auditor).body(filled(&[("depth", "quick")]));
            assert_eq!(send(&side.router, request.unwrap()).await.status, 303);
        }
        let waiting = async {
            let mut ended = 0;
            // Each is asked as often as the other, so that the entries of the access log have the same numbers.
            while ended < 2 {
                ended = 0;
                for side in both {
                    let request = get("/verify").header(header::COOKIE, &side.auditor).body(filled(&[])).unwrap();
                    let page = send(&side.router, request).await.text();
                    ended += usize::from(page.contains("The signed checkpoints are as they were signed"));
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
    }

    async fn send(&mut self, known: &Known, pattern: &str) {
        let forms = known.sent(pattern).unwrap_or_else(|| panic!("nobody thought of what is sent to {pattern}"));
        for address in addresses(pattern, &|section, name| known.values(pattern, section, name)) {
            for fields in &forms {
                let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                let (pattern, path) = (pattern.to_owned(), address.clone());
                self.ask(&Asked { pattern, by: By::Page, method: Method::POST, path, fields: Some(fields) }).await;
                for web in [&self.narrow.web, &self.wide.web] {
                    let web = Arc::clone(web);
                    tokio::task::spawn_blocking(move || web.wait_for_exports()).await.unwrap();
                }
            }
        }
    }

    async fn all(&mut self, known: &Known, dice: &mut Dice) {
        // First what makes something, so that there is something to look at; then what is looked at; at last
        // the rest, and signing out.
        const FIRST: [&str; 4] = ["/exhibits", "/exports", "/saved/keep", "/verify"];
        let routes = routes();
        self.check().await;
        for pattern in FIRST {
            self.send(known, pattern).await;
        }
        for route in routes.iter().filter(|route| route.gets && route.pattern != "/teamchatapi/{method}") {
            let pattern = &route.pattern;
            let queries =
                known.looked(pattern, dice).unwrap_or_else(|| panic!("nobody thought of what is asked of {pattern}"));
            for address in addresses(pattern, &|section, name| known.values(pattern, section, name)) {
                for query in &queries {
                    let path = format!("{address}{query}");
                    let (pattern, method) = (pattern.clone(), Method::GET);
                    self.ask(&Asked { pattern, by: By::Page, method, path, fields: None }).await;
                }
            }
        }
        for call in known.calls(dice) {
            self.ask(&call).await;
        }
        for route in routes.iter().filter(|route| route.posts && !FIRST.contains(&route.pattern.as_str())) {
            if !["/teamchatapi/{method}", "/logout"].contains(&route.pattern.as_str()) {
                self.send(known, &route.pattern).await;
            }
        }
        for path in ["/exhibits", "/exports", "/saved", "/access"] {
            let (pattern, method) = (path.to_owned(), Method::GET);
            self.ask(&Asked { pattern, by: By::Page, method, path: path.to_owned(), fields: None }).await;
        }
        self.send(known, "/logout").await;
    }
}

#[tokio::test]
async fn a_reviewer_of_two_channels_cannot_tell_whether_others_say_the_same() {
    play(0).await;
}

#[tokio::test]
async fn a_reviewer_of_a_channel_and_a_conversation_cannot_tell_either() {
    play(1).await;
}
