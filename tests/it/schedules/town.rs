//! A small workspace with whispers, private channels and conversations, two accounts that see
//! different parts of it, and one archive; and what that archive is held against after each pass.
//!
//! Truth is what the sandbox kept. What an archive may say follows from the protocol notes: nothing
//! that never was, no deletion of what stands, two witnesses for each, no earlier record changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use teamchat_archive::api::{self, Connection, Patience, ServerOptions};
use teamchat_archive::crawl::{self, Account, Options, Summary};
use teamchat_archive::record::{Kind, Record, State};
use teamchat_archive::sandbox::ids::{IdClock, Ts, item_id};
use teamchat_archive::sandbox::seed::{Content, Seed, SeedChannel, SeedComment, SeedFile, SeedMessage, SeedUser};
use teamchat_archive::sandbox::workspace::TruthItem;
use teamchat_archive::sandbox::{self, Running, Settings, Workspace};
use teamchat_archive::store::WalkResult;

use crate::support::{Fold, TestArchive, World, account_of, canonical, fold, quick, side_differences_from};

/// The sandbox's own account. Nothing is crawled with it.
pub(crate) const ROOT: &str = "root@harbour.example";
/// Crawled: not in the attic.
pub(crate) const ANN: &str = "ann@harbour.example";
/// Never crawled.
pub(crate) const BOB: &str = "bob@harbour.example";
/// Crawled: not in the cellar.
pub(crate) const EVA: &str = "eva@harbour.example";

/// Channels that are no direct conversations.
pub(crate) const ROOMS: [&str; 4] = ["quay", "dock", "attic", "cellar"];
/// Conversations.
pub(crate) const TALKS: [&str; 3] = ["ann-bob", "ann-eva", "eva-bob"];

fn person(email: &str) -> SeedUser {
    SeedUser {
        email: email.to_owned(),
        name: email.split('@').next().unwrap().to_owned(),
        real_name: format!("Person {}", &email[..3]),
        is_admin: email == ROOT,
        tz: "Europe/Prague".to_owned(),
        ..SeedUser::default()
    }
}

/// Four channels, three conversations, two files, whispers to be made; `messages` in the quay.
pub(crate) fn seed(messages: usize) -> Seed {
    let place = |key: &str, is_im: bool, members: &[&str]| SeedChannel {
        key: key.to_owned(),
        name: if is_im { String::new() } else { key.to_owned() },
        created: 1_490_000_000,
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        is_im,
        ..SeedChannel::default()
    };
    let line = |channel: &str, user: &str, number: usize| SeedMessage {
        channel: channel.to_owned(),
        user: user.to_owned(),
        at: 1_490_000_100 + i64::try_from(number).unwrap() / 3,
        text: format!("{channel} line {number}"),
        label: format!("{channel}-{number}"),
        ..SeedMessage::default()
    };
    let file = |key: &str, channel: &str, bytes: &[u8]| SeedFile {
        key: key.to_owned(),
        name: format!("{key}.txt"),
        user: BOB.to_owned(),
        channels: vec![channel.to_owned()],
        created: 1_490_000_050,
        content: Content::Bytes(bytes.to_vec()),
        ..SeedFile::default()
    };
    let share = |channel: &str, key: &str| SeedMessage {
        subtype: "file_share".to_owned(),
        files: vec![key.to_owned()],
        at: 1_490_000_050,
        text: String::new(),
        label: String::new(),
        ..line(channel, BOB, 0)
    };
    let mut all: Vec<SeedMessage> =
        (0..messages).map(|number| line("quay", [BOB, ANN, EVA][number % 3], number)).collect();
    for (channel, people) in [
        ("dock", [ANN, EVA]),
        ("attic", [EVA, BOB]),
        ("cellar", [ANN, BOB]),
        ("ann-bob", [ANN, BOB]),
        ("ann-eva", [ANN, EVA]),
        ("eva-bob", [EVA, BOB]),
    ] {
        all.extend((0..4).map(|number| line(channel, people[number % 2], number)));
    }
    all.push(share("dock", "plan"));
    all.push(share("quay", "list"));
    let mut plan = file("plan", "dock", b"0123456789");
    plan.comments = vec![SeedComment { user: ANN.to_owned(), text: "good".to_owned(), created: 1_490_000_060 }];
    Seed {
        domain: "harbour.example".to_owned(),
        account: ROOT.to_owned(),
        users: [ROOT, ANN, BOB, EVA].map(person).to_vec(),
        channels: vec![
            place("quay", false, &[ANN, BOB, EVA]),
            place("dock", false, &[ANN, EVA, BOB]),
            place("attic", false, &[EVA, BOB]),
            place("cellar", false, &[ANN, BOB]),
            place("ann-bob", true, &[ANN, BOB]),
            place("ann-eva", true, &[ANN, EVA]),
            place("eva-bob", true, &[EVA, BOB]),
        ],
        messages: all,
        files: vec![plan, file("list", "quay", b"a,b,c")],
        ..Seed::default()
    }
}

/// Patient for a moment only: the server is on the same machine.
pub(crate) fn brisk() -> ServerOptions {
    let quick = quick();
    ServerOptions {
        patience: Patience {
            first_wait: Duration::from_millis(2),
            longest_wait: Duration::from_millis(20),
            tries: 5,
            request: Duration::from_secs(2),
            unclear_pause: Duration::from_millis(20),
            ..quick.patience
        },
        ..quick
    }
}

pub(crate) fn full() -> Options {
    Options { full: true, ..Options::default() }
}

/// A message's place: canonical channel and time stamp.
pub(crate) type Place = (String, String);

/// What was true at one moment. A place holds several messages where stamps are tied.
pub(crate) struct Moment {
    pub(crate) items: BTreeMap<Place, Vec<TruthItem>>,
    /// Ids of comments on files, and whether they stand.
    comments: BTreeMap<String, bool>,
    /// Ids of files: whether they stand, and the digests of their versions.
    files: BTreeMap<String, (bool, Vec<String>)>,
}

impl Moment {
    pub(crate) fn of(workspace: &Workspace) -> Self {
        let mut spellings: BTreeMap<String, String> = BTreeMap::new();
        let mut items: BTreeMap<Place, Vec<TruthItem>> = BTreeMap::new();
        let mut comments = BTreeMap::new();
        for item in workspace.truth() {
            let channel = spellings.entry(item.channel.clone()).or_insert_with(|| canonical(&item.channel)).clone();
            if item.subtype == "file_comment" {
                let id = item_id(Ts::parse(&item.ts).unwrap(), IdClock::Unix);
                comments.insert(id, item.state == "current");
            }
            items.entry((channel, item.ts.clone())).or_default().push(item);
        }
        let files = workspace.file_truth().unwrap().into_iter();
        let files = files.map(|file| (file.file, (file.state == "current", file.versions))).collect();
        Self { items, comments, files }
    }
}

fn stands(item: &TruthItem) -> bool {
    item.state == "current"
}

/// Whether a person may be shown a message of a channel they are in.
pub(crate) fn is_for(item: &TruthItem, user: &str) -> bool {
    item.whisper_to.as_deref().is_none_or(|to| to == user || item.user == user)
}

fn text_of(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    value["text"].as_str().unwrap_or_default().to_owned()
}

/// The workspace, the archive, the accounts, and what is remembered of the passes so far.
pub(crate) struct Town {
    pub(crate) running: Running,
    pub(crate) archive: TestArchive,
    pub(crate) accounts: Vec<Account>,
    worlds: Vec<World>,
    /// A digest of each record, as first seen.
    seals: Vec<[u8; 32]>,
    contents: usize,
    /// What each account was shown for certain.
    shown: BTreeSet<(String, Place)>,
    /// Channels that were removed with all that was in them.
    pub(crate) removed: BTreeSet<String>,
    /// A fault altered texts: what was read is what was sent, and not what was written.
    pub(crate) is_spoilt: bool,
}

impl Town {
    /// A town that is crawled with these people's accounts.
    pub(crate) async fn new(messages: usize, people: &[&str]) -> Self {
        Self::from(seed(messages), people).await
    }

    pub(crate) async fn from(seed: Seed, people: &[&str]) -> Self {
        Self::with(seed, sandbox::Options::default().settings, people).await
    }

    /// The same on a server of another kind.
    pub(crate) async fn with(seed: Seed, settings: Settings, people: &[&str]) -> Self {
        Self::of(seed, settings, people, &brisk()).await
    }

    /// The same for a client that gives a request as long as this.
    pub(crate) async fn unhurried(messages: usize, people: &[&str], request: Duration) -> Self {
        let brisk = brisk();
        let patience = Patience { request, ..brisk.patience };
        let settings = sandbox::Options::default().settings;
        Self::of(seed(messages), settings, people, &ServerOptions { patience, ..brisk }).await
    }

    async fn of(seed: Seed, settings: Settings, people: &[&str], client: &ServerOptions) -> Self {
        let options = sandbox::Options { control: true, settings, ..sandbox::Options::default() };
        let running = sandbox::start(seed, options).await.unwrap();
        let archive = TestArchive::in_memory(&running.url);
        let connection = Arc::new(Connection::new(&running.url, client).unwrap());
        let accounts = people.iter().map(|user| account_of(&running, user, &connection)).collect();
        let world = World::of(&running);
        let worlds = people.iter().map(|user| world.as_seen_by(&running, user)).collect();
        Self {
            running,
            archive,
            accounts,
            worlds,
            seals: Vec::new(),
            contents: 0,
            shown: BTreeSet::new(),
            removed: BTreeSet::new(),
            is_spoilt: false,
        }
    }

    /// The id of a channel by its key in the seed, in canonical form.
    pub(crate) fn channel(&self, key: &str) -> String {
        canonical(&self.running.workspace().labelled(&format!("{key}-0")).unwrap().0)
    }

    /// Gives each account a new token: a fault may have revoked the old ones for good.
    pub(crate) fn sign_in_again(&mut self) {
        let world = World::of(&self.running);
        let renewed = |account: &Account| account_of(&self.running, &account.name, account.reader.connection());
        self.accounts = self.accounts.iter().map(renewed).collect();
        self.worlds = self.accounts.iter().map(|account| world.as_seen_by(&self.running, &account.name)).collect();
    }

    /// Whether each walk came to its end but for those of channels that were lost.
    pub(crate) fn lacks_only_what_was_lost(&self) -> bool {
        let walks = self.archive.reader().walks().unwrap();
        walks.iter().all(|walk| matches!(walk.result, WalkResult::Complete | WalkResult::Lost))
    }

    /// One undisturbed pass with all accounts.
    pub(crate) async fn crawl(&self, options: &Options) -> Result<Summary, crawl::Error> {
        self.archive.crawl_watched(&self.accounts, options, || true).await.unwrap()
    }

    /// One undisturbed pass with one account.
    pub(crate) async fn crawl_as(&self, user: &str, options: &Options) -> Result<Summary, crawl::Error> {
        let account = self.accounts.iter().find(|account| account.name == user).unwrap();
        self.archive.crawl(account, options).await
    }

    /// Looks at what a pass left, with no fault on: what it appended must be true, and what stood
    /// before must stand unchanged.
    pub(crate) fn audit(&mut self, removed_before: &BTreeSet<String>) -> Vec<String> {
        let mut problems = Vec::new();
        let now = Moment::of(&self.running.workspace());
        let records = self.records();
        let sealed = self.seals.len();
        let seals: Vec<[u8; 32]> = records.iter().map(seal).collect();
        if seals.len() < sealed || seals[..sealed] != self.seals[..] {
            problems.push("an earlier record was changed or removed".to_owned());
        }
        for record in records.iter().skip(sealed) {
            problems.extend(self.judge(record, &now, removed_before));
        }
        self.seals = seals;
        let mut versions = BTreeSet::new();
        // Two accounts may hear one event in one moment.
        for header in records.iter().map(|record| &record.header).filter(|header| header.kind != Kind::Event) {
            let version = (header.kind, header.channel.as_deref(), &header.key, header.version);
            if !versions.insert(version) {
                problems.push(format!("{version:?} was recorded twice"));
            }
        }
        let truth: BTreeSet<&String> = now.files.values().flat_map(|(_, versions)| versions).collect();
        let blobs = self.archive.reader().blobs().unwrap();
        if blobs.len() != self.contents {
            self.contents = blobs.len();
            for (digest, size) in blobs {
                if !truth.contains(&digest.to_string()) {
                    problems.push(format!("a content of {size} bytes was stored that no file ever had"));
                }
            }
        }
        problems
    }

    /// All records, oldest first.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.archive.reader().blocks(0, usize::MAX >> 1).unwrap().into_iter().flat_map(|block| block.records).collect()
    }

    fn judge(&mut self, record: &Record, now: &Moment, removed_before: &BTreeSet<String>) -> Vec<String> {
        let header = &record.header;
        let is_gone = header.state == State::Gone;
        let name = format!("{:?} {} {}", header.kind, header.channel.as_deref().unwrap_or_default(), header.key);
        let mut problems = Vec::new();
        match header.kind {
            Kind::Message => {
                let place = (header.channel.clone().unwrap(), header.key.clone());
                let items = now.items.get(&place).map(Vec::as_slice).unwrap_or_default();
                self.shown.insert((header.account.clone(), place.clone()));
                if is_gone {
                    if items.iter().all(stands) {
                        let note = String::from_utf8_lossy(&record.body);
                        problems
                            .push(format!("{name} is recorded as deleted by {} and stands: {note}", header.account));
                    }
                    if removed_before.contains(&place.0) {
                        problems.push(format!("{name} is recorded as deleted; its whole channel was removed"));
                    }
                } else {
                    let text = text_of(&record.body);
                    if !self.is_spoilt && !items.iter().any(|item| item.versions.contains(&text)) {
                        problems.push(format!("{name} never read {text:?}"));
                    }
                    if !items.iter().any(|item| is_for(item, &header.account)) {
                        problems.push(format!("{name} was never for {}", header.account));
                    }
                }
            }
            Kind::Comment if is_gone => {
                let (file, comment) = header.key.split_once('/').unwrap();
                let file_stands = now.files.get(file).is_some_and(|(stands, _)| *stands);
                if file_stands && now.comments.get(comment).copied().unwrap_or(true) {
                    problems.push(format!("{name} is recorded as deleted by {} and stands", header.account));
                }
            }
            Kind::File => {
                let (stands, versions) = now.files.get(&header.key).cloned().unwrap_or_default();
                if is_gone && stands {
                    problems.push(format!("{name} is recorded as deleted by {} and stands", header.account));
                }
                for digest in header.attachments.iter().filter(|digest| !versions.contains(digest)) {
                    problems.push(format!("{name} never had the content {digest}"));
                }
            }
            _ => {}
        }
        if is_gone && header.kind != Kind::Visibility {
            problems.extend(witness_problems(&name, &record.body));
        }
        problems
    }

    /// Notes that these accounts were shown all they can see: a whole walk, in which nothing moved,
    /// came to its end.
    pub(crate) async fn note_shown(&mut self, users: &[String]) {
        let now = Moment::of(&self.running.workspace());
        for (account, world) in self.accounts.iter().zip(&self.worlds) {
            if !users.contains(&account.name) {
                continue;
            }
            let visible = world.visible().await;
            for (place, items) in &now.items {
                let is_shown = items.iter().any(|item| stands(item) && is_for(item, &account.name));
                if is_shown && visible.contains(&place.0) {
                    self.shown.insert((account.name.clone(), place.clone()));
                }
            }
        }
    }

    /// Where the archive and the truth differ, as far as these accounts together can know.
    pub(crate) async fn differences(&self, users: &[String]) -> Vec<String> {
        let mut seeing: Vec<(&str, BTreeSet<String>)> = Vec::new();
        for (account, world) in self.accounts.iter().zip(&self.worlds) {
            if users.contains(&account.name) {
                seeing.push((&account.name, world.visible().await));
            }
        }
        let now = Moment::of(&self.running.workspace());
        let fold = fold(&self.archive.reader());
        let mut unknown: Option<BTreeSet<String>> = None;
        let mut problems = Vec::new();
        for (place, items) in &now.items {
            let found = fold.get(&place.0).and_then(|messages| messages.get(&place.1));
            let can_see = |item: &TruthItem| {
                seeing.iter().any(|(user, channels)| channels.contains(&place.0) && is_for(item, user))
            };
            if items.len() > 1 {
                // One stands at the place, the others as items of their own.
                let unknown = unknown.get_or_insert_with(|| self.unknown_texts());
                for item in items.iter().filter(|item| stands(item) && can_see(item)) {
                    let is_kept = found.is_some_and(|found| found.versions.contains(&item.text));
                    if !is_kept && !unknown.contains(&item.text) {
                        problems.push(format!("{place:?}, tied, {:?} is missing", item.text));
                    }
                }
                continue;
            }
            let item = &items[0];
            let name = format!("{place:?} {:?} of {}, whisper to {:?}", item.text, item.user, item.whisper_to);
            match found {
                None if stands(item) && can_see(item) => problems.push(format!("{name} is missing")),
                None => {}
                Some(found) if stands(item) && can_see(item) => {
                    if found.is_gone {
                        problems.push(format!("{name} is recorded as deleted and stands"));
                    } else if found.text != item.text {
                        problems.push(format!("{name} reads {:?} in the archive", found.text));
                    }
                    if !self.is_spoilt && !is_in_order(&found.versions, &item.versions) {
                        problems.push(format!("{name}: archived {:?}, true {:?}", found.versions, item.versions));
                    }
                }
                Some(found) if !stands(item) && !found.is_gone => {
                    let knows = |(user, channels): &(&str, BTreeSet<String>)| {
                        channels.contains(&place.0)
                            && is_for(item, user)
                            && self.shown.contains(&((*user).to_owned(), place.clone()))
                    };
                    if let Some((user, _)) = seeing.iter().find(|sight| knows(sight)) {
                        problems.push(format!("{name} is deleted, {user} was shown it, and it stands in the archive"));
                    }
                }
                Some(_) => {}
            }
        }
        problems.extend(strangers(&fold, &now));
        problems.extend(self.side_problems(users, &now, &seeing).await);
        problems
    }

    /// Files, comments, pins, reactions, people and channels, as each of the accounts sees them.
    async fn side_problems(&self, users: &[String], now: &Moment, seeing: &[(&str, BTreeSet<String>)]) -> Vec<String> {
        let mut problems: Vec<String> = Vec::new();
        for (account, world) in self.accounts.iter().zip(&self.worlds) {
            if users.contains(&account.name) {
                let found = side_differences_from(&self.archive, &self.running, world, &account.name).await;
                problems.extend(found.into_iter().map(|problem| format!("as {} sees it: {problem}", account.name)));
            }
        }
        // Which of two tied messages a reaction is on, nobody can say.
        let tied: Vec<String> = now
            .items
            .iter()
            .filter(|(_, items)| items.len() > 1)
            .map(|((channel, ts), _)| format!("reactions on {channel}/{ts}:"))
            .collect();
        problems.retain(|problem| !tied.iter().any(|tied| problem.contains(tied)));
        for (id, item) in self.archive.newest(Kind::File) {
            let is_deleted = now.files.get(&id).is_some_and(|(stands, _)| !stands);
            let can_tell = seeing.iter().any(|(user, channels)| {
                let was_shown = item.versions.iter().any(|version| version.record.header.account == *user);
                was_shown && item.shared_in().iter().any(|channel| channels.contains(channel.as_str()))
            });
            if is_deleted && can_tell && !item.is_gone() {
                problems.push(format!("file {id} is deleted and stands in the archive"));
            }
        }
        problems
    }

    /// What is owed, for people.
    pub(crate) fn owed(&self) -> Vec<String> {
        let debts = self.archive.reader().debts().unwrap().into_iter();
        debts.map(|debt| format!("owed: {} {}: {}", debt.kind, debt.key, debt.reason)).collect()
    }

    fn unknown_texts(&self) -> BTreeSet<String> {
        let items = self.archive.newest(Kind::Unknown).into_values();
        items.map(|item| text_of(&item.versions[0].record.body)).collect()
    }

    pub(crate) async fn stop(self) {
        drop(self.accounts);
        drop(self.worlds);
        self.running.stop().await;
    }
}

fn seal(record: &Record) -> [u8; 32] {
    let line = record.header.to_line();
    Sha256::new().chain_update(line).chain_update(b"\n").chain_update(&record.body).finalize().into()
}

fn is_in_order(part: &[String], whole: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|text| rest.any(|known| known == text))
}

fn strangers(fold: &Fold, now: &Moment) -> Vec<String> {
    let mut problems = Vec::new();
    for (channel, messages) in fold {
        for ts in messages.keys() {
            if !now.items.contains_key(&(channel.clone(), ts.clone())) {
                problems.push(format!("{channel}/{ts} never was"));
            }
        }
    }
    problems
}

/// A deletion has two witnesses: a whole window or list without the item, and a look-up that did not
/// find it (or the list read again, for a comment, which has no look-up of its own).
pub(crate) fn witness_problems(name: &str, body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let gone = &body["gone"];
    let witnesses = gone["witnesses"].as_array().cloned().unwrap_or_default();
    let distinct: BTreeSet<String> =
        witnesses.iter().map(|witness| format!("{} {}", witness["method"], witness["said"])).collect();
    let mut problems = Vec::new();
    if distinct.len() < 2 {
        problems.push(format!("{name} is gone by fewer than two witnesses: {body}"));
    }
    let time = |field: &str| chrono::DateTime::parse_from_rfc3339(gone[field].as_str().unwrap_or_default()).ok();
    match (time("last_seen"), time("first_missing")) {
        (Some(seen), Some(missing)) if seen <= missing => {}
        _ => problems.push(format!("{name} was seen last and missing first at odd times: {body}")),
    }
    problems
}

/// How a pass may end: it says what is missing, or is a failure that may pass.
pub(crate) fn outcome_problems(outcome: &Result<Summary, crawl::Error>, is_revoked: bool) -> Vec<String> {
    match outcome {
        Ok(summary) if summary.result == "complete" && summary.debts == 0 => Vec::new(),
        // Channels that the budget did not reach are told by the two counts.
        Ok(summary)
            if summary.result == "partial"
                && (!summary.findings.is_empty()
                    || summary.debts > 0
                    || summary.gaps > 0
                    || summary.channels.walked < summary.channels.seen) =>
        {
            Vec::new()
        }
        Ok(summary) => vec![format!("it says neither that it is complete nor why it is not: {summary:?}")],
        Err(crawl::Error::Server(api::Error::Auth { code })) if is_revoked && code == "token_revoked" => Vec::new(),
        Err(crawl::Error::Server(error)) if error.is_temporary() => Vec::new(),
        Err(error) => vec![format!("it failed for good: {error}")],
    }
}
