//! Random documents and queries that have enough in common to meet.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::compare::{Ask, Order};
use super::document::{Document, Kind, Part, Property, State, Text};
use super::sought::{Expression, Piece, Sought, Wording};

/// What texts are made of; those at the front are the most frequent.
const FRAGMENTS: [&str; 84] = [
    "ship",
    "contract",
    "don't",
    "Müller",
    "東京都",
    "12,500",
    "report",
    "žluťoučký",
    "don’t",
    "京都",
    "shipped",
    "100",
    "Mueller",
    "kůň",
    "dont",
    "👍",
    "well-known",
    "ışık",
    "Straße",
    "price",
    "150",
    "ตากลมโต",
    "john.doe@acme.cz",
    "contracts",
    "12500",
    "計約書",
    "계약서를",
    "İstanbul",
    "colour",
    "Muller",
    "acme",
    "250",
    "Q3-report_final.pdf",
    "京",
    "wellknown",
    "strasse",
    "color",
    "12,500.00",
    "ガラス",
    "Ørsted",
    "shipment",
    "kun",
    "👏👍",
    "12.500,00",
    "known",
    "南京市长江大桥",
    "isik",
    "1\u{a0}200",
    "Århus",
    "e-mail",
    "contact",
    "กลม",
    "7",
    "do-nt",
    "příliš",
    "Köln",
    "2026-03-04",
    "東京2026年3月",
    "email",
    "aarhus",
    "KONTRAKT",
    "ｶﾞﾗｽ",
    "https://example.com/price",
    "oersted",
    "Kůň",
    "abc東京",
    "007",
    "Größe",
    "market",
    "1200",
    "marked",
    "koeln",
    "市长",
    "l'été",
    "ete",
    "letter",
    "Übersee",
    "groesse",
    "güneş",
    "東",
    "1,234,567",
    "1234567",
    "shop",
    "😀",
];

/// What queries look for besides: parts of runs, and other ways to write the same.
const SOUGHT: [&str; 25] = [
    "東京",
    "都",
    "市长",
    "大桥",
    "約書",
    "契約",
    "계약",
    "서를",
    "กล",
    "โต",
    "ラス",
    "2026年",
    "istanbul",
    "MÜLLER",
    "dont",
    "acme.cz",
    "john",
    "final",
    "500",
    "ZLUTOUCKY",
    "江",
    "report_final",
    "doe@acme",
    "prilis",
    "👏",
];

/// Latin words that patterns, fuzzy words and expressions are made of.
const WORDS: [&str; 16] = [
    "ship",
    "shipped",
    "shipment",
    "contract",
    "contracts",
    "contact",
    "colour",
    "report",
    "Müller",
    "mueller",
    "price",
    "market",
    "letter",
    "žluťoučký",
    "Straße",
    "wellknown",
];

const SEPARATORS: [&str; 16] = [" ", " ", " ", " ", " ", " ", " ", " ", ", ", " - ", "\n", ". ", "", "-", ".", "'"];

const AUTHORS: [&str; 4] = ["UANN", "UBOB", "UEVA", "UJAN"];
pub(super) const CHANNELS: [&str; 4] = ["CQUAY", "CDOCK", "CYARD", "DANNBOB"];
const NAMES: [&str; 7] =
    ["Q3-report_final.pdf", "contract.docx", "ship price.pdf", "東京都.txt", "Müller.pdf", "don't.docx", "12,500.txt"];
const EXTENSIONS: [&str; 4] = ["pdf", "docx", "txt", "png"];
/// The first day on which something is written: 2026-03-01.
const FIRST_DAY: i64 = 20_513;
const DAYS: i64 = 8;
/// When the first thing is observed, in milliseconds.
const FIRST_OBSERVED: i64 = 1_790_000_000_000;
const SECOND: i64 = 1_000;

/// Mostly one from the front.
fn fragment() -> impl Strategy<Value = String> + Clone {
    (0..FRAGMENTS.len(), 0..FRAGMENTS.len()).prop_map(|(x, y)| FRAGMENTS[x.min(y)].to_owned())
}

fn text(longest: usize) -> impl Strategy<Value = String> {
    vec((fragment(), select(&SEPARATORS[..])), 1..longest).prop_map(|pieces| {
        let mut out: String = pieces.iter().flat_map(|(fragment, separator)| [fragment.as_str(), separator]).collect();
        out.truncate(out.trim_end().len());
        out
    })
}

#[derive(Debug, Clone)]
struct Version {
    body: Vec<String>,
    title: Option<String>,
    name: &'static str,
    content: Option<String>,
    has_reaction: bool,
    size: u64,
}

fn version() -> impl Strategy<Value = Version> {
    (
        (text(9), prop::option::weighted(0.2, text(4))),
        prop::option::weighted(0.4, text(4)),
        select(&NAMES[..]),
        prop::option::weighted(0.7, text(14)),
        prop::bool::weighted(0.2),
        0..4_u64,
    )
        .prop_map(|((body, more), title, name, content, has_reaction, size)| Version {
            body: [Some(body), more].into_iter().flatten().collect(),
            title,
            name,
            content,
            has_reaction,
            size: size * 1_000,
        })
}

/// Something with its versions, before its place in the archive is known.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// How it comes to its kind; see [`documents`].
    sort: u8,
    channel: usize,
    second_channel: usize,
    author: &'static str,
    day: i64,
    second: i64,
    slot: i64,
    is_gone: bool,
    is_bot: bool,
    carries: bool,
    on_file: Index,
    versions: Vec<Version>,
}

fn subject() -> impl Strategy<Value = Subject> {
    (
        (0..10_u8, 0..CHANNELS.len(), 0..2 * CHANNELS.len(), select(&AUTHORS[..])),
        (FIRST_DAY..FIRST_DAY + DAYS, select(vec![0_i64, 1, 43_200, 86_399]), 1..10_i64),
        (prop::bool::weighted(0.15), prop::bool::weighted(0.1), prop::bool::weighted(0.2), any::<Index>()),
        prop_oneof![5 => vec(version(), 1), 2 => vec(version(), 2), 1 => vec(version(), 3)],
    )
        .prop_map(
            |(
                (sort, channel, second_channel, author),
                (day, second, slot),
                (is_gone, is_bot, carries, on_file),
                versions,
            )| Subject {
                sort,
                channel,
                second_channel,
                author,
                day,
                second,
                slot,
                is_gone,
                is_bot,
                carries,
                on_file,
                versions,
            },
        )
}

pub(super) fn subjects(count: usize) -> impl Strategy<Value = Vec<Subject>> {
    vec(subject(), count)
}

/// The documents of some subjects, in the order in which they are observed. `first` is the number of the
/// first subject, and `later` how many seconds after the beginning of the archive they are seen.
pub(super) fn documents(subjects: &[Subject], first: usize, later: i64) -> Vec<Document> {
    let files: Vec<usize> = (0..subjects.len()).filter(|n| subjects[*n].sort < 2).collect();
    let channels_of = |subject: &Subject| {
        // What stands in two channels is a file, or on one.
        let two = [Some(subject.channel), Some(subject.second_channel).filter(|n| *n < CHANNELS.len())];
        let set: BTreeSet<usize> = two.into_iter().flatten().collect();
        set.into_iter().map(|n| CHANNELS[n].to_owned()).collect::<Vec<_>>()
    };
    let mut taken: BTreeSet<(String, i64)> = BTreeSet::new();
    let mut out = Vec::new();
    for (n, subject) in subjects.iter().enumerate() {
        let kind = match subject.sort {
            0 | 1 => Kind::File,
            2 if !files.is_empty() => Kind::Comment,
            _ => Kind::Message,
        };
        let is_in_stream = subject.sort == 3 && !files.is_empty();
        let file = (kind == Kind::Comment || is_in_stream).then(|| files[subject.on_file.index(files.len())]);
        let mut channels = channels_of(file.map_or(subject, |file| &subjects[file]));
        let mut ts = (subject.day * 86_400 + subject.second) * 1_000_000;
        if kind == Kind::Message {
            channels.truncate(1);
            // A channel has one message of one moment, over all calls.
            ts += 1_000 * i64::try_from(first).unwrap();
            while !taken.insert((channels[0].clone(), ts)) {
                ts += 1;
            }
        }
        let versions = if is_in_stream { &subject.versions[..1] } else { &subject.versions[..] };
        let start = FIRST_OBSERVED + later * SECOND;
        // A file is there before what is said of it.
        let slot = if kind == Kind::File { 0 } else { subject.slot };
        let observed = |version: usize| start + (slot + 10 * i64::try_from(version).unwrap()) * SECOND;
        for (index, version) in versions.iter().enumerate() {
            let is_message = kind == Kind::Message && !is_in_stream;
            let body = if is_message { version.body.clone() } else { version.body[..1].to_vec() };
            let names: Vec<String> =
                [Some(version.name.to_owned()), version.title.clone()].into_iter().flatten().collect();
            let has_title = kind == Kind::File || is_message && subject.carries;
            let content = version.content.iter().filter(|_| kind == Kind::File).cloned().collect();
            out.push(Document {
                kind,
                subject: first + n,
                version: u32::try_from(index).unwrap() + 1,
                channels: channels.clone(),
                author: subject.author.to_owned(),
                ts,
                body: Text::new(body),
                title: Text::new(if has_title { names } else { Vec::new() }),
                content: Text::new(content),
                has_reaction: is_message && version.has_reaction,
                is_bot: is_message && subject.is_bot,
                on_file: file.map(|file| first + file),
                extension: match version.name.rsplit_once('.') {
                    Some((_, extension)) if kind == Kind::File => extension.to_owned(),
                    _ => String::new(),
                },
                size: if kind == Kind::File { version.size } else { 0 },
                observed: observed(index),
                superseded: (index + 1 < versions.len()).then(|| observed(index + 1)),
                gone: (subject.is_gone && !is_in_stream).then(|| observed(versions.len() - 1) + 5 * SECOND),
            });
        }
    }
    out.sort_by_key(|document| (document.observed, document.subject));
    out
}

fn typed() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        6 => fragment(),
        2 => select(&SOUGHT[..]).prop_map(str::to_owned),
        1 => (fragment(), select(vec!["-", ".", "'", "/"]), fragment()).prop_map(|(x, link, y)| format!("{x}{link}{y}")),
        1 => fragment().prop_map(|text| text.to_uppercase()),
    ]
}

/// A word of which a stretch became `*` or a letter `?`.
fn pattern() -> impl Strategy<Value = String> + Clone {
    let latin = (select(&WORDS[..]), any::<Index>(), any::<Index>(), 0..6_u8).prop_map(|(word, x, y, sort)| {
        let letters: Vec<char> = word.chars().collect();
        let x = 1 + x.index(letters.len() - 2);
        let y = x + y.index(letters.len() - x);
        let (start, middle, end): (String, String, String) =
            (letters[..x].iter().collect(), letters[x..y].iter().collect(), letters[y..].iter().collect());
        match sort {
            0 | 1 => format!("{start}*"),
            2 => format!("*{end}"),
            3 => format!("{start}*{end}"),
            4 => format!("*{middle}{end}*"),
            _ => {
                let after: String = letters[x + 1..].iter().collect();
                format!("{start}?{after}")
            }
        }
    });
    let unspaced = (select(vec!["東京", "京", "กลม", "계약", "ガラ"]), select(vec![("", "*"), ("*", ""), ("*", "*")]))
        .prop_map(|(run, (before, after))| format!("{before}{run}{after}"));
    prop_oneof![6 => latin, 1 => unspaced]
}

/// A word with one or two letters changed.
fn fuzzy() -> impl Strategy<Value = Wording> + Clone {
    let edit = (any::<Index>(), 0..4_u8, select(vec!['a', 'e', 'o', 's', 't']));
    (select(&WORDS[..]), vec(edit, 0..3), 1..3_usize).prop_map(|(word, edits, distance)| {
        let mut letters: Vec<char> = word.chars().collect();
        for (at, sort, letter) in edits {
            let at = at.index(letters.len() - 1);
            match sort {
                0 => letters.insert(at, letter),
                1 => letters[at] = letter,
                2 => letters.swap(at, at + 1),
                _ => {
                    letters.remove(at);
                }
            }
        }
        Wording::Fuzzy(letters.into_iter().collect(), distance)
    })
}

fn expression() -> impl Strategy<Value = Expression> + Clone {
    let words = ["ship", "shipped", "shipment", "contract", "colour", "price", "report", "letter", "dont", "mueller"];
    let word = select(words.to_vec());
    (word.clone(), word, any::<Index>(), 0..8_u8, any::<bool>()).prop_map(|(word, other, at, sort, is_upper)| {
        let word = if is_upper { word.to_uppercase() } else { word.to_owned() };
        let all: Vec<Expression> = word.chars().map(Expression::Letter).collect();
        let other = Expression::Sequence(other.chars().map(Expression::Letter).collect());
        let at = 1 + at.index(all.len() - 1);
        let (start, end) = (all[..at].to_vec(), all[at..].to_vec());
        let letter = end[0].clone();
        let end_after = end[1..].to_vec();
        let with = |middle: Expression, end: Vec<Expression>| {
            Expression::Sequence([start.clone(), vec![middle], end].concat())
        };
        match sort {
            0 => with(Expression::Repeated(Box::new(Expression::Any), 0), Vec::new()),
            1 => with(Expression::Any, end_after),
            2 => Expression::Either(vec![Expression::Sequence(all), other]),
            3 => with(Expression::Maybe(Box::new(letter)), end_after),
            4 => with(Expression::Repeated(Box::new(letter), 1), end_after),
            5 => {
                let found = word.chars().nth(at).unwrap();
                with(Expression::OneOf(vec!['a', 'q', found]), end_after)
            }
            6 => with(
                Expression::Either(vec![Expression::Sequence(end), Expression::Sequence(vec![Expression::Any; 3])]),
                Vec::new(),
            ),
            _ => with(
                Expression::Maybe(Box::new(Expression::Sequence(end))),
                vec![Expression::Maybe(Box::new(Expression::Letter('s')))],
            ),
        }
    })
}

fn pieces(range: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Piece>> + Clone {
    // Dropped stars of unspaced scripts make a phrase of what would be a pattern.
    vec(prop_oneof![6 => typed().prop_map(Piece::Typed), 1 => pattern().prop_map(Piece::Pattern)], range)
}

fn distance() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![6 => 1..8_u32, 1 => select(vec![20, 999, 1_000])]
}

fn plain_wording() -> impl Strategy<Value = Wording> + Clone {
    prop_oneof![
        5 => typed().prop_map(Wording::Word),
        2 => pieces(1..3).prop_map(Wording::Phrase),
        2 => pattern().prop_map(Wording::Pattern),
    ]
}

fn wording() -> impl Strategy<Value = Wording> + Clone {
    let numbers = (select(vec![0, 7, 100, 101, 1_200]), select(vec![7, 100, 150, 250, 12_500, 2_000_000]))
        .prop_map(|(x, y): (u64, u64)| Wording::Numbers(x.min(y), x.max(y)));
    let leaf = prop_oneof![
        12 => plain_wording(),
        1 => Just(Wording::Phrase(vec![Piece::Typed("!!".to_owned())])),
        3 => fuzzy(),
        3 => expression().prop_map(Wording::Matching),
        2 => numbers,
        3 => (pieces(2..4), 0..6_u32).prop_map(|(pieces, slop)| Wording::Window(pieces, slop)),
        3 => vec(plain_wording(), 2..4).prop_map(Wording::Either),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), distance(), inner, 0..4_u8).prop_map(|(left, distance, right, sort)| {
            let (left, right) = (Box::new(left), Box::new(right));
            match sort {
                0 | 1 => Wording::Near(left, distance, right),
                2 => Wording::Before(left, distance, right),
                _ => Wording::NotNear(left, distance, right),
            }
        })
    })
}

fn field() -> impl Strategy<Value = Sought> + Clone {
    let day = FIRST_DAY - 1..FIRST_DAY + DAYS + 1;
    let files_with = |sought: Sought| Sought::And(vec![Sought::Kind(Kind::File), sought]);
    prop_oneof![
        select(&AUTHORS[..]).prop_map(|id| Sought::From(id.to_owned())),
        select(&CHANNELS[..]).prop_map(|id| Sought::In(id.to_owned())),
        day.clone().prop_map(Sought::BeforeDay),
        day.clone().prop_map(Sought::AfterDay),
        day.prop_map(Sought::OnDay),
        select(&Kind::ALL[..]).prop_map(Sought::Kind),
        select(&Property::ALL[..]).prop_map(Sought::Property),
        select(&EXTENSIONS[..]).prop_map(move |extension| files_with(Sought::Extension(extension.to_owned()))),
        (0..4_u64).prop_map(move |size| files_with(Sought::SizeFrom(size * 1_000))),
    ]
}

/// And, or, not over `leaf`.
fn combined(leaf: BoxedStrategy<Sought>, depth: u32) -> BoxedStrategy<Sought> {
    leaf.prop_recursive(depth, 8, 3, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 2..4).prop_map(Sought::And),
            3 => vec(inner.clone(), 2..4).prop_map(Sought::Or),
            1 => inner.prop_map(|inner| Sought::Not(Box::new(inner))),
        ]
    })
    .boxed()
}

pub(super) fn sought() -> BoxedStrategy<Sought> {
    let words = wording().prop_map(Sought::Wording).boxed();
    let within = (select(&Part::ALL[..]), combined(words.clone(), 1))
        .prop_map(|(part, inner)| Sought::Within(part, Box::new(inner)));
    combined(prop_oneof![10 => words, 2 => within, 3 => field()].boxed(), 3)
}

pub(super) fn ask() -> impl Strategy<Value = Ask> {
    let scope = prop::option::weighted(0.4, prop::collection::btree_set(select(&CHANNELS[..]), 1..3));
    let as_of = prop::option::weighted(0.2, (0..40_i64).prop_map(|seconds| FIRST_OBSERVED + seconds * SECOND));
    let order = select(vec![Order::Relevance, Order::Newest, Order::Oldest]);
    (
        (sought(), any::<u64>()),
        scope,
        prop_oneof![3 => Just(Vec::new()), 1 => prop::sample::subsequence(&Kind::ALL[..], 1..3)],
        prop_oneof![3 => Just(Vec::new()), 1 => prop::sample::subsequence(&State::ALL[..], 1..3)],
        as_of,
        (order, select(vec![1_usize, 3, 7, 20])),
    )
        .prop_map(|((sought, dice), scope, kinds, states, as_of, (order, limit))| Ask {
            sought,
            dice,
            scope: scope.map(|ids| ids.into_iter().map(str::to_owned).collect()),
            kinds,
            states,
            as_of,
            order,
            limit,
        })
}
