//! An archive in a temporary folder beside a sandbox, for tests, and what it is held against: the
//! sandbox's truth, and what the server says to a client that knows nothing but HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::Value;
use teamchat_archive::api::{self, Connection, Credentials, Event, Patience, Politeness, ServerOptions};
use teamchat_archive::crawl::{self, Account, Heard, Hints, Listener, Notice, Options, Summary};
use teamchat_archive::history::{self, Item};
use teamchat_archive::index::Indexer;
use teamchat_archive::ledger::{ArchiveId, SigningKey};
use teamchat_archive::model::{ChannelId, Clock, Exclusion, MessageTs, json};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::Running;
use teamchat_archive::store::{
    Appender, Compacted, DerivedReader, FIRST_SOURCE, Layout, Reader, SealLimits, Writer, WriterThread, compact, create,
};
use teamchat_archive::verify::{self, Depth};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An archive that a test crawls into.
pub(crate) struct TestArchive {
    /// Kept for as long as the archive is used.
    pub(crate) _folder: tempfile::TempDir,
    pub(crate) layout: Layout,
}

pub(crate) fn key() -> SigningKey {
    SigningKey::new("teamchat-archive/test", [7; 32]).unwrap()
}

/// A folder in memory, where the system has a place for that.
pub(crate) fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl TestArchive {
    pub(crate) fn new(server: &str) -> Self {
        Self::within(tempfile::tempdir().unwrap(), server)
    }

    /// In memory where the system has a place for that: for tests that make many, and that kill
    /// passes but no machine.
    pub(crate) fn in_memory(server: &str) -> Self {
        Self::within(in_memory(), server)
    }

    fn within(folder: tempfile::TempDir, server: &str) -> Self {
        let layout = Layout::new(folder.path().join("archive"));
        fs_err::create_dir_all(layout.root()).unwrap();
        create(
            &layout,
            ArchiveId([1; 16]),
            &key().verifier().to_text(),
            "teamchat-archive/test",
            server,
            &Clock::System,
        )
        .unwrap();
        Self { _folder: folder, layout }
    }

    /// The same archive once more, in memory, to go another way with.
    pub(crate) fn copy(&self) -> Self {
        let folder = in_memory();
        let layout = Layout::new(folder.path().join("archive"));
        copy_below(self.layout.root(), layout.root());
        Self { _folder: folder, layout }
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.layout).unwrap()
    }

    /// Its writer, as one command after the other has it.
    pub(crate) fn writer(&self) -> Writer {
        Writer::open(&self.layout, self.layout.lock().unwrap(), Some(key()), Clock::System).unwrap()
    }

    /// Seals what can be sealed.
    pub(crate) fn compact(&self, limits: SealLimits) -> Compacted {
        compact(&mut self.writer(), limits, &mut |_, _| {}).unwrap()
    }

    /// One pass with an account; the archive is closed again afterwards.
    pub(crate) async fn crawl(&self, account: &Account, options: &Options) -> Result<Summary, crawl::Error> {
        self.crawl_for(account, options, usize::MAX).await.expect("a pass that is not cut ends by itself")
    }

    /// One pass that dies when it was polled `polls` times, as at a `kill -9`: what the writer was
    /// given is written, all else is lost. `None` when it died, else what it gave.
    pub(crate) async fn crawl_for(
        &self,
        account: &Account,
        options: &Options,
        mut polls: usize,
    ) -> Option<Result<Summary, crawl::Error>> {
        let watch = || {
            polls = polls.saturating_sub(1);
            polls > 0
        };
        self.crawl_watched(std::slice::from_ref(account), options, watch).await
    }

    /// One pass with some accounts, watched: `watch` is called each time the pass has gone as far as
    /// it can, and before the world answers. It may change the world, and with `false` the pass dies, as at a `kill -9`.
    pub(crate) async fn crawl_watched(
        &self,
        accounts: &[Account],
        options: &Options,
        watch: impl FnMut() -> bool + Unpin,
    ) -> Option<Result<Summary, crawl::Error>> {
        let writer = Writer::open(&self.layout, self.layout.lock().unwrap(), Some(key()), Clock::System).unwrap();
        let (appender, thread) = Appender::start(writer);
        let reader = self.reader();
        let pass = crawl::run(accounts, &reader, &appender, options, &());
        let outcome = Mortal { life: Some(Box::pin(pass)), watch }.await;
        drop(appender);
        drop(thread.join().unwrap());
        outcome
    }

    /// Brings the index up and checks everything there is, as `verify --full` does.
    pub(crate) fn check(&self) {
        let derived = DerivedReader::open(&self.layout).unwrap();
        Indexer::open(&self.layout).unwrap().catch_up(&self.reader(), derived.as_ref(), &mut |_| {}).unwrap();
        self.check_records();
    }

    /// The same without an index, which takes most of the time.
    pub(crate) fn check_records(&self) {
        let reader = self.reader();
        let report = verify::check(&reader, Depth::Full, Some(&key().verifier()), &mut |_, _| {}).unwrap();
        assert!(report.ok, "verify found:\n{}", serde_json::to_string_pretty(&report.findings).unwrap());
    }

    /// The newest version of every subject of a kind whose versions are listed.
    pub(crate) fn newest(&self, kind: Kind) -> BTreeMap<String, Item> {
        let reader = self.reader();
        let mut out = BTreeMap::new();
        for (key, row) in reader.newest(kind).unwrap() {
            let channel = reader.record(row.seq).unwrap().header.channel_id();
            let item = history::item(&reader, kind, FIRST_SOURCE, channel.as_ref(), &key).unwrap();
            out.insert(key, item.unwrap());
        }
        out
    }
}

/// A writer that stays open over several passes, and listeners beside it, as in a watch.
pub(crate) struct Session {
    appender: Appender,
    thread: WriterThread,
    reader: Reader,
    run: u64,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    hints: BTreeMap<String, Arc<Hints>>,
    /// What events made by hand are held against.
    pub(crate) exclude: Vec<Exclusion>,
    pub(crate) notices: mpsc::Receiver<Notice>,
    pub(crate) heard: Arc<Heard>,
}

impl TestArchive {
    /// Opens the archive for writing and listens with these accounts. Returns once each connection is
    /// open, or could not be opened.
    pub(crate) async fn session(&self, live: &[Account]) -> Session {
        let writer = Writer::open(&self.layout, self.layout.lock().unwrap(), Some(key()), Clock::System).unwrap();
        let (appender, thread) = Appender::start(writer);
        let run = appender.start_run("watch").await.unwrap();
        let (sender, mut notices) = mpsc::channel(1000);
        let (stop, heard) = (CancellationToken::new(), Arc::<Heard>::default());
        let mut hints: BTreeMap<String, Arc<Hints>> = BTreeMap::new();
        let mut tasks = Vec::new();
        for account in live {
            let listener = Listener {
                account: account.clone(),
                store: self.reader(),
                appender: appender.clone(),
                run,
                exclude: Vec::new(),
                hints: Arc::clone(hints.entry(account.name.clone()).or_default()),
                notices: sender.clone(),
                heard: Arc::clone(&heard),
            };
            tasks.push(tokio::spawn(listener.listen(stop.clone())));
        }
        for _ in live {
            notices.recv().await.unwrap();
        }
        let exclude = Vec::new();
        Session { appender, thread, reader: self.reader(), run, stop, tasks, hints, exclude, notices, heard }
    }
}

impl Session {
    /// A pass; see [`TestArchive::crawl_watched`].
    pub(crate) async fn pass(
        &self,
        accounts: &[Account],
        options: &Options,
        watch: impl FnMut() -> bool + Unpin,
    ) -> Option<Result<Summary, crawl::Error>> {
        let pass = crawl::run(accounts, &self.reader, &self.appender, options, &());
        Mortal { life: Some(Box::pin(pass)), watch }.await
    }

    /// Looks at what was told so far.
    pub(crate) async fn touch(&self, accounts: &[Account], options: &Options) -> Result<Vec<Summary>, crawl::Error> {
        let mut out = Vec::new();
        for account in accounts {
            if let Some(hints) = self.hints.get(&account.name) {
                let wanted = hints.take();
                out.push(crawl::touch(account, &wanted, &self.reader, &self.appender, options, self.run).await?);
            }
        }
        Ok(out)
    }

    /// Makes events durable as if an account had just heard them, in this order.
    pub(crate) async fn hear(&mut self, account: &Account, events: Vec<Event>) {
        let (sender, _notices) = mpsc::channel(1);
        let hints = Arc::clone(self.hints.entry(account.name.clone()).or_default());
        let listener = Listener {
            account: account.clone(),
            store: self.reader.clone(),
            appender: self.appender.clone(),
            run: self.run,
            exclude: self.exclude.clone(),
            hints,
            notices: sender,
            heard: Arc::clone(&self.heard),
        };
        listener.keep(events).await.unwrap();
    }

    /// Ends in order: what was heard is kept.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        drop(self.notices);
        for task in self.tasks {
            task.await.unwrap();
        }
        drop(self.appender);
        drop(self.thread.join().unwrap());
    }

    /// Ends as at a `kill -9`: what the writer was given is written, all else is lost.
    pub(crate) async fn die(self) {
        for task in self.tasks {
            task.abort();
            // An aborted task says so.
            drop(task.await);
        }
        drop(self.appender);
        drop(self.thread.join().unwrap());
    }
}

fn copy_below(from: &std::path::Path, to: &std::path::Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_below(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), &target).unwrap();
        }
    }
}

/// A future that is dropped as soon as `watch` says so.
struct Mortal<F, W> {
    life: Option<Pin<Box<F>>>,
    watch: W,
}

impl<F: Future, W: FnMut() -> bool + Unpin> Future for Mortal<F, W> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(life) = &mut self.life else { return Poll::Ready(None) };
        if let Poll::Ready(output) = life.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if (self.watch)() {
            return Poll::Pending;
        }
        self.life = None;
        Poll::Ready(None)
    }
}

/// As fast as it goes, and not patient with a server on the same machine.
pub(crate) fn quick() -> ServerOptions {
    ServerOptions {
        politeness: Politeness { requests_per_second: 0.0, connections: 4 },
        patience: Patience {
            first_wait: Duration::from_millis(10),
            longest_wait: Duration::from_millis(100),
            unclear_pause: Duration::from_millis(50),
            ..Patience::default()
        },
        ..ServerOptions::default()
    }
}

pub(crate) async fn account(running: &Running) -> Account {
    account_with(running, &quick()).await
}

pub(crate) async fn account_with(running: &Running, options: &ServerOptions) -> Account {
    let connection = Arc::new(Connection::new(&running.url, options).unwrap());
    let credentials =
        Credentials::Digest { username: running.username.clone(), password: running.password.clone().into() };
    let opened = connection.sign_in(&credentials).await.unwrap();
    Account {
        name: running.username.clone(),
        user_id: opened.user_id,
        reader: api::Reader::new(connection, opened.token),
    }
}

/// An account that signs in with nothing: the sandbox gives it a token.
pub(crate) fn account_of(running: &Running, user: &str, connection: &Arc<Connection>) -> Account {
    let token = running.workspace().token_for(user).unwrap();
    Account {
        name: user.to_owned(),
        user_id: user.to_owned(),
        reader: api::Reader::new(Arc::clone(connection), token.into()),
    }
}

/// What an archive says of one message.
#[derive(Debug)]
pub(crate) struct Folded {
    /// The newest record says that it is gone.
    pub(crate) is_gone: bool,
    /// How it last read.
    pub(crate) text: String,
    /// All its texts, oldest first; equal neighbours (another field changed) count once.
    pub(crate) versions: Vec<String>,
    /// The whole subject.
    pub(crate) item: Item,
}

/// Channel (canonical) → time stamp → message.
pub(crate) type Fold = BTreeMap<String, BTreeMap<String, Folded>>;

fn text_of(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let text = value.and_then(|value| Some(value.get("text")?.as_str()?.to_owned()));
    // A body that serde_json refuses (bad Unicode, deep nesting) still has a text to compare.
    text.or_else(|| json::member_text(body, "text")).unwrap_or_default()
}

/// All messages of an archive.
pub(crate) fn fold(reader: &Reader) -> Fold {
    let mut channels: BTreeSet<ChannelId> = history::directory(reader).unwrap().channels.into_keys().collect();
    channels.extend(reader.walks().unwrap().into_iter().map(|walk| walk.channel));
    let mut out = Fold::new();
    for channel in channels {
        let items = history::messages_between(reader, FIRST_SOURCE, &channel, MessageTs::MIN, MessageTs::MAX).unwrap();
        let messages = out.entry(channel.as_str().to_owned()).or_default();
        for item in items {
            let mut versions: Vec<String> =
                item.readings().iter().map(|version| text_of(&version.record.body)).collect();
            versions.dedup();
            let text = item.latest().map(|version| text_of(&version.record.body)).unwrap_or_default();
            messages.insert(item.key.clone(), Folded { is_gone: item.is_gone(), text, versions, item });
        }
    }
    out
}

fn is_in_order(part: &[String], whole: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|text| rest.any(|known| known == text))
}

/// Where a fold and the sandbox's truth differ. In channels that the account sees all must be
/// equal; in others what is archived must be true as far as it goes. `versions` says whether each
/// archived text must have been a true one.
pub(crate) fn differences(fold: &Fold, running: &Running, visible: &BTreeSet<String>, versions: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut true_keys = BTreeSet::new();
    for item in running.workspace().truth() {
        let channel = ChannelId::parse(&item.channel).unwrap().as_str().to_owned();
        let found = fold.get(&channel).and_then(|messages| messages.get(&item.ts));
        let place = format!("{channel}/{} {:?}", item.ts, item.text);
        let is_visible = visible.contains(&channel) && item.whisper_to.is_none();
        true_keys.insert((channel, item.ts.clone()));
        let Some(found) = found else {
            if is_visible && item.state == "current" {
                problems.push(format!("{place} is missing"));
            }
            continue;
        };
        match (item.state, found.is_gone) {
            ("current", true) if item.whisper_to.is_none() => {
                problems.push(format!("{place} is recorded as deleted and was not"));
            }
            ("deleted", false) if is_visible => problems.push(format!("{place} is deleted and stands in the archive")),
            ("current", false) if is_visible && found.text != item.text => {
                problems.push(format!("{place} reads {:?} in the archive", found.text));
            }
            _ => {}
        }
        if versions && !is_in_order(&found.versions, &item.versions) {
            problems.push(format!("{place}: archived {:?}, true {:?}", found.versions, item.versions));
        }
        if found.is_gone {
            let witnesses = found.item.evidence().map(|body| body["gone"]["witnesses"].as_array().map_or(0, Vec::len));
            if witnesses.unwrap_or(0) < 2 {
                problems.push(format!("{place} is gone by {witnesses:?} witnesses"));
            }
        }
    }
    for (channel, messages) in fold {
        for ts in messages.keys() {
            if !true_keys.contains(&(channel.clone(), ts.clone())) {
                problems.push(format!("{channel}/{ts} never was"));
            }
        }
    }
    problems
}

/// A client that knows nothing but HTTP, for loopback.
pub(crate) fn http_client() -> reqwest::Client {
    // Another test of this process may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

/// What the server says to a client that knows nothing but HTTP.
pub(crate) struct World {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl World {
    pub(crate) fn of(running: &Running) -> Self {
        Self { http: http_client(), url: running.url.clone(), token: running.token.clone() }
    }

    /// As another of its people sees it.
    pub(crate) fn as_seen_by(&self, running: &Running, user: &str) -> Self {
        let token = running.workspace().token_for(user).unwrap();
        Self { http: self.http.clone(), url: self.url.clone(), token }
    }

    /// The exact bytes of a reply.
    pub(crate) async fn bytes(&self, method: &str, arguments: &[(&str, &str)]) -> Vec<u8> {
        let mut form = arguments.to_vec();
        form.push(("token", &self.token));
        let request = self.http.post(format!("{}{method}", self.url)).form(&form);
        request.send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn ask(&self, method: &str, arguments: &[(&str, &str)]) -> Value {
        let reply: Value = serde_json::from_slice(&self.bytes(method, arguments).await).unwrap();
        assert!(reply["ok"] == true || reply["ok"] == "true", "{method} {arguments:?}: {reply}");
        reply
    }

    pub(crate) async fn channels(&self) -> Vec<Value> {
        self.ask("channels.list", &[]).await["channels"].as_array().unwrap().clone()
    }

    pub(crate) async fn ims(&self) -> Vec<Value> {
        self.ask("im.list", &[]).await["ims"].as_array().unwrap().clone()
    }

    /// Ids, as the server spells them, of what the account can read now.
    pub(crate) async fn readable(&self) -> Vec<String> {
        let all = [self.channels().await, self.ims().await].concat();
        all.iter().map(|channel| text(&channel["id"])).collect()
    }

    /// The same in canonical form.
    pub(crate) async fn visible(&self) -> BTreeSet<String> {
        self.readable().await.iter().map(|id| canonical(id)).collect()
    }

    /// All messages of a channel, newest first.
    pub(crate) async fn history(&self, channel: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        let mut latest = "9999999999.999999".to_owned();
        loop {
            let arguments = [("channel", channel), ("latest", latest.as_str()), ("count", "1000")];
            let page = self.ask("channels.history", &arguments).await;
            all.extend(page["messages"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return all;
            }
            latest = text(&all.last().unwrap()["ts"]);
        }
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn canonical(id: &str) -> String {
    ChannelId::parse(id).unwrap().as_str().to_owned()
}

fn reaction_names(list: &Value) -> BTreeSet<(String, String)> {
    let mut out = BTreeSet::new();
    for reaction in list.as_array().into_iter().flatten() {
        for user in reaction["users"].as_array().into_iter().flatten() {
            out.insert((text(&reaction["name"]), text(user)));
        }
    }
    out
}

fn body(item: &Item) -> Value {
    // A server's texts are not always UTF-8, nor whole pairs of surrogates.
    json::parse(&item.latest().unwrap().record.body).unwrap()
}

/// Where an archive and the server differ in all that is no message: files with the digests of
/// all versions in `file_truth`, comments, pins, reactions, people, channels.
pub(crate) async fn side_differences(archive: &TestArchive, running: &Running, account: &str) -> Vec<String> {
    side_differences_from(archive, running, &World::of(running), account).await
}

/// The same, held against what another of its people sees.
pub(crate) async fn side_differences_from(
    archive: &TestArchive,
    running: &Running,
    world: &World,
    account: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    let files = archive.newest(Kind::File);
    let comments = archive.newest(Kind::Comment);
    let pins = archive.newest(Kind::Pins);
    let users = archive.newest(Kind::User);
    let channels = archive.newest(Kind::Channel);
    let reader = archive.reader();
    let messages = fold(&reader);
    let mut listed = BTreeSet::new();

    for id in world.readable().await {
        let list = world.ask("files.list", &[("channel", &id), ("count", "1000")]).await;
        listed.extend(list["files"].as_array().unwrap().iter().map(|file| text(&file["id"])));
        let canonical = canonical(&id);

        let list = world.ask("pins.list", &[("channel", &id)]).await;
        let pinned: BTreeSet<String> = list["items"].as_array().unwrap().iter().map(|item| text(&item["ts"])).collect();
        // Read item by item: a spoilt one may be nested too deep to be parsed whole.
        let archived = pins.get(&format!("{canonical}/{account}")).map(|item| &item.latest().unwrap().record.body);
        let archived: BTreeSet<String> = archived
            .into_iter()
            .flat_map(|body| {
                let items = json::elements(body, 0..body.len()).0.into_iter();
                items.filter_map(|item| json::member_text(&body[item], "ts"))
            })
            .collect();
        if pinned != archived {
            problems.push(format!("pins of {canonical}: {archived:?}, true {pinned:?}"));
        }

        for message in world.history(&id).await {
            let ts = text(&message["ts"]);
            let Some(found) = messages.get(&canonical).and_then(|channel| channel.get(&ts)) else { continue };
            let record =
                history::item(&reader, Kind::Reactions, FIRST_SOURCE, found.item.channel.as_ref(), &ts).unwrap();
            let archived = match &record {
                Some(item) => reaction_names(&body(item)),
                None => reaction_names(&body(&found.item)["reactions"]),
            };
            let wanted = reaction_names(&message["reactions"]);
            if archived != wanted {
                problems.push(format!("reactions on {canonical}/{ts}: {archived:?}, true {wanted:?}"));
            }
        }
    }

    let truth: BTreeMap<String, Vec<String>> =
        running.workspace().file_truth().unwrap().into_iter().map(|file| (file.file, file.versions)).collect();
    for id in &listed {
        let Some(item) = files.get(id) else {
            problems.push(format!("file {id} is missing"));
            continue;
        };
        if item.is_gone() {
            problems.push(format!("file {id} is recorded as gone and is not"));
        }
        let mut digests: Vec<String> =
            item.readings().iter().flat_map(|version| version.record.header.attachments.clone()).collect();
        digests.dedup();
        if !is_in_order(&digests, &truth[id]) || digests.last() != truth[id].last() {
            problems.push(format!("contents of file {id}: {digests:?}, true {:?}", truth[id]));
        }
        let info = world.ask("files.info", &[("file", id), ("count", "1000")]).await;
        let wanted: BTreeMap<String, String> = info["comments"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|comment| (format!("{id}/{}", text(&comment["id"])), text(&comment["comment"])))
            .collect();
        let archived: BTreeMap<String, String> = comments
            .iter()
            .filter(|(key, item)| key.starts_with(&format!("{id}/")) && !item.is_gone())
            .map(|(key, item)| (key.clone(), text(&body(item)["comment"])))
            .collect();
        if wanted != archived {
            problems.push(format!("comments on {id}: {archived:?}, true {wanted:?}"));
        }
    }
    for (id, item) in &files {
        for digest in item.versions.iter().flat_map(|version| &version.record.header.attachments) {
            if truth.get(id).is_none_or(|versions| !versions.contains(digest)) {
                problems.push(format!("file {id} has a content that never was: {digest}"));
            }
        }
    }

    let list = world.ask("users.list", &[]).await;
    for user in list["members"].as_array().unwrap() {
        let archived = users.get(&text(&user["id"])).map(body).unwrap_or_default();
        for field in ["real_name", "deleted", "is_bot", "tz"] {
            if archived[field] != user[field] {
                problems.push(format!("{field} of {}: {}, true {}", user["id"], archived[field], user[field]));
            }
        }
    }
    for channel in world.channels().await {
        let archived = channels.get(&canonical(&text(&channel["id"]))).map(body).unwrap_or_default();
        if archived != channel {
            problems.push(format!("channel {}: {archived}", channel));
        }
    }
    problems
}

/// Holds everything against the truth, then checks the archive.
pub(crate) async fn assert_is_truth(archive: &TestArchive, running: &Running, account: &Account, context: &str) {
    let visible = World::of(running).visible().await;
    let mut problems = differences(&fold(&archive.reader()), running, &visible, true);
    problems.extend(side_differences(archive, running, &account.name).await);
    assert!(problems.is_empty(), "{context}: {} differences:\n{}", problems.len(), problems.join("\n"));
    archive.check();
}

/// What an archiver may call: the methods marked as read in the protocol notes' table, and the
/// log-ins. Made by hand from there.
const MAY_BE_CALLED: &[&str] = &[
    "api.test",
    "auth.test",
    "channel.info",
    "channels.atom.history",
    "channels.history",
    "channels.info",
    "channels.list",
    "files.avatar",
    "files.download",
    "files.info",
    "files.list",
    "im.list",
    "items.info",
    "iwauthentication.login.digest",
    "iwauthentication.login.plain",
    "iwauthentication.logout",
    "pins.list",
    "reactions.get",
    "reactions.list",
    "rtm.start",
    "search.all",
    "search.files",
    "search.messages",
    "users.identity",
    "users.info",
    "users.list",
];

/// The methods that a sandbox with controls was asked for, in order.
pub(crate) async fn requests(running: &Running) -> Vec<String> {
    let url = running.url.replace("/teamchatapi/", "/_control/requests");
    let log = http_client().get(url).send().await.unwrap().text().await.unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| text(&line["method"])).collect()
}

/// The same, each once.
pub(crate) async fn methods_called(running: &Running) -> BTreeSet<String> {
    requests(running).await.into_iter().collect()
}

/// None of these could have changed the server (invariant I7).
pub(crate) fn assert_are_reads(methods: &BTreeSet<String>) {
    let forbidden: Vec<&String> = methods.iter().filter(|method| !MAY_BE_CALLED.contains(&method.as_str())).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}
