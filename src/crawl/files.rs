//! Files: their facts, their bytes, their comments.
//!
//! A version of a file is (id, time stamp, size, edit counter). Its ticket is fetched right before
//! the download; an error page never becomes a file (protocol notes 1.1 and 6.12).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;

use super::Error;
use super::disk::{self, Receiving, Stop};
use super::pass::{ChannelTask, Pass};
use crate::api::wire::{Comment, File};
use crate::api::{self, DownloadError, Item, Page, Transfer};
use crate::history::item;
use crate::model::{ChannelId, Digest, UtcTime, rfc3339};
use crate::record::{Kind, Origin, Record, change_digest, redact};
use crate::store::{Batch, Change, FileRow, NewRecord, StateChange, VersionRow, WalkResult};

/// Files a page of `files.list`, and comments a page of `files.info`.
pub(super) const PAGE: u32 = 1000;
/// Pages of comments read of one file; more is owed.
const MAX_COMMENT_PAGES: u32 = 100;
/// Tries of one download, each with a fresh ticket, that bring it no further: as many as a call
/// has. Between two of them `files.info` is asked, which waits for a server that is away.
const DOWNLOAD_TRIES: u32 = 8;
/// A try that brings a download no further than this many bytes is as good as none: a server that
/// gives a byte at a time would be asked for ever.
const PROGRESS_BYTES: u64 = 16 * 1024;
/// How often a file is looked at that is replaced while it is fetched.
const LOOKS: u32 = 4;

/// What a message or a list shows of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct FileSight {
    pub(super) timestamp: i64,
    pub(super) edit_counter: u64,
    pub(super) comments: i64,
    pub(super) channels: BTreeSet<ChannelId>,
    /// Something was said about it: its comments are read again whatever their number.
    pub(super) is_talked_about: bool,
}

impl FileSight {
    pub(super) fn of(file: &File, channel: &ChannelId) -> Self {
        Self {
            timestamp: file.timestamp,
            edit_counter: file.edit_counter(),
            comments: file.comments_count,
            channels: [channel.clone()].into(),
            is_talked_about: false,
        }
    }

    /// Puts a later sight of the same file over this one.
    pub(super) fn update(&mut self, mut later: Self) {
        later.channels.append(&mut self.channels);
        later.is_talked_about |= self.is_talked_about;
        *self = later;
    }
}

/// How many pages of `files.list` so many files take. Each but the first begins with the oldest file
/// of the one before.
pub(super) fn pages(files: u64) -> u64 {
    1 + files.saturating_sub(PAGE.into()).div_ceil(u64::from(PAGE) - 1)
}

/// How many pages of `files.info` so many comments take.
pub(super) fn comment_pages(comments: u64) -> u64 {
    comments.div_ceil(PAGE.into()).clamp(1, MAX_COMMENT_PAGES.into())
}

/// The files of a channel by `files.list`, paged by time of creation, so that nothing is skipped
/// while files come and go; and whether the listing was whole.
pub(super) async fn listed(pass: &Pass<'_>, task: &ChannelTask) -> Result<(BTreeMap<String, FileSight>, bool), Error> {
    let mut found = BTreeMap::new();
    let mut to: Option<i64> = None;
    loop {
        let (page, paging) = pass.reader.files_list(&task.api_id, to, PAGE, 1).await?;
        let mut oldest: Option<i64> = None;
        let mut fresh = 0;
        let mut in_bounds = true;
        for item in &page.items {
            let Some(file) = item.view.as_ref().filter(|file| !file.id.is_empty()) else {
                pass.find("unreadable_item", task, "a file in files.list has no id that can be read");
                continue;
            };
            fresh += usize::from(found.insert(file.id.clone(), FileSight::of(file, &task.id)).is_none());
            in_bounds &= to.is_none_or(|to| file.created <= to);
            oldest = Some(oldest.map_or(file.created, |oldest| oldest.min(file.created)));
        }
        if !page.is_whole || !in_bounds {
            return Ok((found, false));
        }
        // Servers cap pages as they like, so a short page proves nothing: the total does, or a
        // page that brings nothing new.
        let all = i64::try_from(page.items.len()).is_ok_and(|count| count >= paging.total && paging.total > 0);
        let Some(oldest) = oldest.filter(|_| !all) else { return Ok((found, true)) };
        to = match to {
            // A page full of files of one second would hide older ones: step below it.
            Some(before) if fresh == 0 && before == oldest => Some(oldest - 1),
            Some(_) if fresh == 0 => return Ok((found, true)),
            _ => Some(oldest),
        };
    }
}

/// Looks at every file that was seen and is new or different, and at those that are owed.
pub(super) async fn files(pass: &Pass<'_>, seen: BTreeMap<String, FileSight>) -> Result<(), Error> {
    let known = &pass.known_files;
    let mut wanted: BTreeMap<String, FileSight> =
        seen.into_iter().filter(|(id, sight)| pass.options.full || is_due(known.get(id), sight)).collect();
    // What an earlier pass had seen when it was cut off.
    for (id, channel) in pass.store.files_wanted(pass.source)? {
        wanted.entry(id).or_default().channels.insert(channel);
    }
    for debt in pass.store.debts()?.into_iter().filter(|debt| debt.kind == "file") {
        wanted.entry(debt.key).or_default();
    }
    look_at(pass, wanted).await
}

/// Looks at these files and no others.
pub(super) async fn look_at(pass: &Pass<'_>, wanted: BTreeMap<String, FileSight>) -> Result<(), Error> {
    let known = &pass.known_files;
    let total = wanted.len();
    pass.say(&format!("{total} files to look at"));
    let results = futures_util::stream::iter(wanted)
        .map(|(id, sight)| async move {
            if !pass.first_file.swap(false, Ordering::Relaxed) && pass.is_over() {
                return owe(pass, &id, "the budget ran out").await;
            }
            match file(pass, &id, known.get(&id), sight).await {
                Err(Error::Server(error)) if !matches!(error, api::Error::Auth { .. }) => {
                    owe(pass, &id, &error.to_string()).await
                }
                other => other,
            }
        })
        .buffer_unordered(pass.options.connections.max(1));
    let results: Vec<Result<(), Error>> = results.collect().await;
    results.into_iter().collect()
}

/// The state changes that keep files from being forgotten: for each that is new or different, where
/// it was seen.
pub(super) fn remember(pass: &Pass<'_>, seen: &BTreeMap<String, FileSight>) -> Vec<StateChange> {
    let due = seen.iter().filter(|(id, sight)| is_due(pass.known_files.get(*id), sight));
    due.flat_map(|(id, sight)| {
        sight.channels.iter().map(|channel| StateChange::FileWanted {
            source: pass.source,
            id: id.clone(),
            channel: channel.clone(),
        })
    })
    .collect()
}

/// Whether what was seen of a file differs from what was fetched. Lists give size 0, so the time
/// stamp, the edit counter and the number of comments decide (row 14).
pub(super) fn is_due(known: Option<&FileRow>, sight: &FileSight) -> bool {
    let Some(FileRow { mark, comments, channels }) = known else { return true };
    let parts: Vec<&str> = mark.split('/').collect();
    let same_version = parts.first().and_then(|text| text.parse().ok()) == Some(sight.timestamp)
        && parts.get(2).and_then(|text| text.parse().ok()) == Some(sight.edit_counter);
    sight.is_talked_about
        || !same_version
        || i64::try_from(*comments).ok() != Some(sight.comments)
        || sight.channels.iter().any(|channel| !channels.contains(channel))
}

async fn owe(pass: &Pass<'_>, id: &str, reason: &str) -> Result<(), Error> {
    pass.count(|summary| summary.files.failed += 1);
    pass.find_in("file_not_fetched", "", &format!("file {id}: {reason}"));
    let debt =
        StateChange::Owed { kind: "file", key: id.to_owned(), reason: reason.to_owned(), at: pass.options.clock.now() };
    pass.append(Batch { records: Vec::new(), changes: vec![debt] }).await?;
    Ok(())
}

/// A file's facts, bytes and comments: of the version that is there at the end, if it is replaced
/// meanwhile.
async fn file(pass: &Pass<'_>, id: &str, known: Option<&FileRow>, sight: FileSight) -> Result<(), Error> {
    for _ in 0..LOOKS {
        if look(pass, id, known, sight.clone()).await? {
            return Ok(());
        }
    }
    owe(pass, id, "it was replaced on the server again and again while it was fetched").await
}

/// The same of one version; false when it was replaced before its bytes were here, so that there is
/// another to look at.
async fn look(pass: &Pass<'_>, id: &str, known: Option<&FileRow>, sight: FileSight) -> Result<bool, Error> {
    let newest = pass.store.versions(Kind::File, pass.source, None, id)?.last().copied();
    let (item, comments, _) = match pass.reader.files_info(id, PAGE, 1).await {
        Err(api::Error::Refused { code, .. }) if matches!(code.as_str(), "file_not_found" | "file_deleted") => {
            return gone(pass, id, newest, &code).await.map(|()| true);
        }
        other => other?,
    };
    let Some((item, view)) = item.and_then(|item| item.view.clone().map(|view| (item, view))) else {
        return owe(pass, id, "files.info gave no file").await.map(|()| true);
    };
    let received_at = comments.received_at;
    let all_comments = all_comments(pass, id, &view, comments).await?;
    let mark = version_mark(&view);
    let (body, tickets) = redact(Kind::File, &item.bytes);
    let previous = match &newest {
        Some(row) => latest_reading(pass, Kind::File, id, row)?,
        None => None,
    };
    let has_bytes = previous.as_ref().is_some_and(|record| !record.header.attachments.is_empty());
    let same_version = known.is_some_and(|row| row.mark == mark) && has_bytes;
    let before: Vec<ChannelId> =
        previous.iter().flat_map(|record| &record.header.shared_in).filter_map(|id| ChannelId::parse(id)).collect();
    let mut shared_in = before.clone();
    let named = view.channels.iter().filter_map(|id| ChannelId::parse(id));
    for channel in named.chain(sight.channels) {
        if !shared_in.contains(&channel) {
            shared_in.push(channel);
        }
    }

    let mut changes = Vec::new();
    let mut attachments: Vec<Digest> = Vec::new();
    let mut failure = None;
    let mut has_room = true;
    let mut is_replaced = false;
    if same_version {
        attachments = previous.as_ref().map(|record| record.header.attachment_digests()).unwrap_or_default();
    } else if view.is_external {
        // What lies on another host is not this server's to give; the facts are kept.
    } else if !pass.options.files {
        failure = Some("not fetched: the crawl was told to leave file contents out".to_owned());
    } else {
        match fetch(pass, id, &view).await? {
            Fetched::Kept(digest, size) => {
                attachments.push(digest);
                changes.push(StateChange::Blob { digest, size });
                pass.count(|summary| {
                    summary.files.versions += 1;
                    summary.files.bytes += size;
                });
            }
            Fetched::Failed(reason) => failure = Some(reason),
            Fetched::NoRoom(reason) => {
                disk::say(pass, &reason);
                has_room = false;
                failure = Some(reason);
            }
            // What was seen of this version is kept, without the bytes that are no more.
            Fetched::Replaced => is_replaced = true,
        }
    }

    let mut records = Vec::new();
    let reads_same = previous
        .as_ref()
        .is_some_and(|record| change_digest(Kind::File, &record.body) == change_digest(Kind::File, &body));
    let is_same =
        reads_same && previous.as_ref().is_some_and(|record| record.header.attachment_digests() == attachments);
    let is_back = newest.is_some_and(|row| row.change == Change::Gone);
    if !is_same || is_back || shared_in != before {
        let change = match (&previous, is_back) {
            (None, _) => Change::New,
            (Some(_), false) if is_same => Change::Shared,
            (Some(record), false) if reads_same && record.header.attachments.is_empty() => Change::Fetched,
            (Some(_), true) if is_same => Change::Back,
            (Some(_), true) => Change::BackChanged,
            (Some(_), false) => Change::Changed,
        };
        if change == Change::New {
            pass.count(|summary| summary.files.new += 1);
        }
        records.push(NewRecord {
            kind: Kind::File,
            source: pass.source,
            channel: None,
            key: id.to_owned(),
            version: newest.map_or(1, |row| row.version + 1),
            change,
            origin: Origin::Observed,
            via: "files.info",
            account: pass.account.to_owned(),
            run: pass.run,
            observed_at: received_at,
            tickets,
            attachments,
            shared_in: shared_in.clone(),
            body: body.into_owned(),
        });
    }
    comment_records(pass, id, &all_comments, &mut records).await?;
    match failure {
        None if is_replaced => {}
        None if all_comments.is_read => {
            let comments = u64::try_from(view.comments_count).unwrap_or(0);
            changes.push(StateChange::File {
                source: pass.source,
                id: id.to_owned(),
                mark,
                comments,
                channels: shared_in,
            });
            changes.push(StateChange::Paid { kind: "file", key: id.to_owned() });
        }
        failure => {
            let reason = failure.unwrap_or_else(|| "its comments could not be read to the end".to_owned());
            pass.count(|summary| summary.files.failed += 1);
            if has_room {
                pass.find_in("file_not_fetched", "", &format!("file {id}: {reason}"));
            }
            changes.push(StateChange::Owed { kind: "file", key: id.to_owned(), reason, at: pass.options.clock.now() });
        }
    }
    // The contents are durable under blobs/ before the record that names them.
    pass.append(Batch { records, changes }).await?;
    Ok(!is_replaced)
}

/// What tells one version of a file from another, beside its id (protocol notes 6.12).
fn version_mark(view: &File) -> String {
    format!("{}/{}/{}", view.timestamp, view.size, view.edit_counter())
}

/// What came of fetching a version's bytes.
enum Fetched {
    /// They are durable under this digest; and how many they are.
    Kept(Digest, u64),
    /// They could not be had, for this reason.
    Failed(String),
    /// The disk's reserve begins before their end, in words for people.
    NoRoom(String),
    /// There is another version now.
    Replaced,
}

/// Streams a version's bytes into the blob store. A transfer that broke is taken up where it broke
/// off, with a fresh ticket, for as long as that brings it further.
async fn fetch(pass: &Pass<'_>, id: &str, first: &File) -> Result<Fetched, Error> {
    let connection = pass.reader.connection();
    let mut view = first.clone();
    let size = u64::try_from(view.size).unwrap_or(0);
    let mut incoming = match Receiving::begin(pass.blobs.receive()?, size, pass.options) {
        Ok(receiving) => receiving,
        Err(Stop::NoRoom(reason)) => return Ok(Fetched::NoRoom(reason)),
        Err(Stop::Store(error)) => return Err(error.into()),
    };
    let mut transfer = Transfer::default();
    let mut furthest = 0;
    let mut tries = 0;
    let mut paused = Duration::ZERO;
    loop {
        let given = if view.url_private_download.is_empty() { &view.url_private } else { &view.url_private_download };
        if given.is_empty() {
            return Ok(Fetched::Failed("the server gives no address for it".to_owned()));
        }
        let url = match connection.download_url(given) {
            Ok(url) => url,
            Err(error) => return Ok(Fetched::Failed(error.to_string())),
        };
        let outcome = connection.download(&url, pass.options.max_file_bytes, &mut transfer, &mut incoming).await;
        let reason = match outcome {
            Ok(done) if view.size > 0 && i64::try_from(done.size).ok() != Some(view.size) => {
                transfer.start_over();
                format!("{} bytes came where files.info says {}", done.size, view.size)
            }
            Ok(_) => {
                let (blobs, content) = (pass.blobs.clone(), incoming.finish());
                let kept = tokio::task::spawn_blocking(move || blobs.keep(content)).await;
                let (digest, size) = kept.map_err(|_| crate::store::Error::Stopped)??;
                return Ok(Fetched::Kept(digest, size));
            }
            Err(DownloadError::Sink(Stop::NoRoom(reason))) => return Ok(Fetched::NoRoom(reason)),
            Err(DownloadError::Sink(Stop::Store(error))) => return Err(error.into()),
            Err(error @ (DownloadError::Elsewhere(_) | DownloadError::TooLarge(_))) => {
                return Ok(Fetched::Failed(error.to_string()));
            }
            Err(error @ DownloadError::Pause(pause)) => {
                paused += pause;
                if paused > api::MAX_PAUSED {
                    return Ok(Fetched::Failed(format!("{error}, again and again")));
                }
                // The ticket may still be good; if it is not, that is a try.
                continue;
            }
            Err(error) => error.to_string(),
        };
        if transfer.received() >= furthest + PROGRESS_BYTES {
            tries = 0;
        } else {
            tries += 1;
        }
        furthest = furthest.max(transfer.received());
        tracing::debug!(file.id = id, tries, received_bytes = furthest, reason, "a download broke off");
        if tries == DOWNLOAD_TRIES {
            return Ok(Fetched::Failed(reason));
        }
        let (item, _, _) = pass.reader.files_info(id, 1, 1).await?;
        if let Some(fresh) = item.and_then(|item| item.view) {
            view = fresh;
        }
        if version_mark(&view) != version_mark(first) {
            return Ok(Fetched::Replaced);
        }
    }
}

/// What was read of a file's comments.
struct Comments {
    items: Vec<(Item<Comment>, UtcTime)>,
    /// Every page was whole: what came is recorded, and nothing is owed.
    is_read: bool,
    /// As many came as the file's own count says: only then can one be said to be absent.
    is_whole: bool,
}

/// All comments of a file, page by page.
async fn all_comments(pass: &Pass<'_>, id: &str, view: &File, first: Page<Comment>) -> Result<Comments, Error> {
    let mut out = Comments { items: Vec::new(), is_read: false, is_whole: false };
    let mut ids = BTreeSet::new();
    let expected = usize::try_from(view.comments_count).unwrap_or(0);
    let mut page = first;
    for number in 2..=MAX_COMMENT_PAGES {
        if !page.is_whole {
            return Ok(out);
        }
        let mut fresh = 0;
        let received_at = page.received_at;
        for item in page.items {
            let Some(comment) = &item.view else {
                pass.find_in("unreadable_item", "", &format!("a comment of file {id} can't be read"));
                continue;
            };
            // The text that came with an upload is a comment only when there is one (row 17).
            if comment.is_intro && comment.comment.is_empty() {
                continue;
            }
            if ids.insert(comment.id.clone()) {
                fresh += 1;
                out.items.push((item, received_at));
            }
        }
        if fresh == 0 || out.items.len() >= expected {
            out.is_read = true;
            out.is_whole = out.items.len() == expected;
            return Ok(out);
        }
        page = pass.reader.files_info(id, PAGE, number).await?.1;
    }
    Ok(out)
}

/// Records for comments that are new, different or gone. A comment is gone when two whole listings
/// in a row lack it.
async fn comment_records(
    pass: &Pass<'_>,
    file: &str,
    comments: &Comments,
    records: &mut Vec<NewRecord>,
) -> Result<(), Error> {
    let prefix = format!("{file}/");
    let known: HashMap<String, VersionRow> =
        pass.store.newest_under(Kind::Comment, pass.source, None, &prefix)?.into_iter().collect();
    let mut listed = BTreeSet::new();
    for (item, received_at) in &comments.items {
        let Some(view) = item.view.as_ref().filter(|view| !view.id.is_empty()) else { continue };
        let key = format!("{prefix}{}", view.id);
        listed.insert(key.clone());
        let (version, change) = match known.get(&key) {
            None => (1, Change::New),
            Some(row) => {
                let before = latest_reading(pass, Kind::Comment, &key, row)?;
                let same = before.is_some_and(|record| {
                    change_digest(Kind::Comment, &record.body) == change_digest(Kind::Comment, &item.bytes)
                });
                match (same, row.change == Change::Gone) {
                    (true, false) => continue,
                    (true, true) => (row.version + 1, Change::Back),
                    (false, true) => (row.version + 1, Change::BackChanged),
                    (false, false) => (row.version + 1, Change::Changed),
                }
            }
        };
        pass.count(|summary| match change {
            Change::New => summary.comments.new += 1,
            _ => summary.comments.edited += 1,
        });
        records.push(NewRecord {
            kind: Kind::Comment,
            source: pass.source,
            channel: None,
            key,
            version,
            change,
            origin: Origin::Observed,
            via: "files.info",
            account: pass.account.to_owned(),
            run: pass.run,
            observed_at: *received_at,
            tickets: 0,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            body: item.bytes.to_vec(),
        });
    }
    let absent: Vec<(&String, &VersionRow)> =
        known.iter().filter(|(key, row)| row.change != Change::Gone && !listed.contains(*key)).collect();
    if absent.is_empty() {
        return Ok(());
    }
    if !comments.is_whole {
        pass.find_in(
            "unclear_absence",
            "",
            &format!("file {file} lists other comments than it counts; none is recorded as deleted"),
        );
        return Ok(());
    }
    let (item, page, _) = pass.reader.files_info(file, PAGE, 1).await?;
    let view = item.and_then(|item| item.view).unwrap_or_default();
    let again = all_comments(pass, file, &view, page).await?;
    if !again.is_whole {
        return Ok(());
    }
    let now = pass.options.clock.now();
    for (key, row) in absent {
        let id = key.strip_prefix(&prefix).unwrap_or(key);
        if again.items.iter().any(|(item, _)| item.view.as_ref().is_some_and(|view| view.id == id)) {
            continue;
        }
        pass.count(|summary| summary.comments.deleted += 1);
        let last_seen = pass.store.record(row.seq)?.header.observed_at;
        let witness = |said: &str| json!({"method": "files.info", "said": said});
        records.push(gone_record(
            pass,
            Kind::Comment,
            key,
            row.version + 1,
            &last_seen,
            now,
            &[witness("absent from the whole list of comments"), witness("absent from it when read again")],
        ));
    }
    Ok(())
}

/// How a file or comment last read, whatever was noted of it since: the record of a deletion holds
/// our evidence, not the item.
fn latest_reading(pass: &Pass<'_>, kind: Kind, key: &str, newest: &VersionRow) -> Result<Option<Record>, Error> {
    if newest.change != Change::Gone {
        return Ok(Some(pass.store.record(newest.seq)?));
    }
    let found = item(pass.store, kind, pass.source, None, key)?;
    Ok(found.and_then(|found| found.latest().map(|version| version.record.clone())))
}

fn gone_record(
    pass: &Pass<'_>,
    kind: Kind,
    key: &str,
    version: u32,
    last_seen: &str,
    now: UtcTime,
    witnesses: &[serde_json::Value],
) -> NewRecord {
    let body = json!({"gone": {"last_seen": last_seen, "first_missing": rfc3339(now), "cause": "unknown", "witnesses": witnesses}});
    NewRecord {
        kind,
        source: pass.source,
        channel: None,
        key: key.to_owned(),
        version,
        change: Change::Gone,
        origin: Origin::Noted,
        via: "files.info",
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at: now,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

/// A file that the server says is not there. It was archived before, and is recorded as gone when
/// its absence has a second witness: a listing without it, or the message that shared it gone.
async fn gone(pass: &Pass<'_>, id: &str, newest: Option<VersionRow>, code: &str) -> Result<(), Error> {
    let Some(row) = newest.filter(|row| row.change != Change::Gone) else {
        let paid = StateChange::Paid { kind: "file", key: id.to_owned() };
        pass.append(Batch { records: Vec::new(), changes: vec![paid] }).await?;
        return Ok(());
    };
    let known = pass.store.record(row.seq)?;
    let mut witnesses = vec![json!({"method": "files.info", "said": code})];
    for channel in &known.header.shared_in {
        let Some(task) = pass.channel(channel) else { continue };
        let (list, is_whole) = listed(pass, &task).await?;
        if list.contains_key(id) || !is_whole {
            pass.find("unclear_absence", &task, &format!("file {id} is listed but files.info says {code}"));
            return Ok(());
        }
        witnesses
            .push(json!({"method": "files.list", "channel": task.id.as_str(), "said": "absent from the whole list"}));
    }
    if witnesses.len() < 2 {
        pass.find_in(
            "unclear_absence",
            "",
            &format!("file {id}: files.info says {code}, and no list of files can confirm it"),
        );
        // Where its channels are out of sight, it is owed with them and not by itself.
        let mut is_lost = !known.header.shared_in.is_empty();
        for channel in known.header.shared_in.iter().filter_map(|id| ChannelId::parse(id)) {
            let walk = pass.store.walk(pass.account, pass.source, &channel)?;
            is_lost &= walk.is_some_and(|row| row.result == WalkResult::Lost);
        }
        if is_lost {
            let paid = StateChange::Paid { kind: "file", key: id.to_owned() };
            pass.append(Batch { records: Vec::new(), changes: vec![paid] }).await?;
        }
        return Ok(());
    }
    let now = pass.options.clock.now();
    let record = gone_record(pass, Kind::File, id, row.version + 1, &known.header.observed_at, now, &witnesses);
    let paid = StateChange::Paid { kind: "file", key: id.to_owned() };
    pass.append(Batch { records: vec![record], changes: vec![paid] }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_due_when_its_version_or_its_comments_changed() {
        let sight = |timestamp, edit_counter, comments| FileSight {
            timestamp,
            edit_counter,
            comments,
            channels: BTreeSet::new(),
            is_talked_about: false,
        };
        let channel = ChannelId::parse("C1").unwrap();
        let known = FileRow { mark: "100/2048/0".to_owned(), comments: 2, channels: vec![channel.clone()] };
        assert!(is_due(None, &sight(100, 0, 2)));
        assert!(!is_due(Some(&known), &sight(100, 0, 2)));
        assert!(is_due(Some(&known), &sight(101, 0, 2)));
        assert!(is_due(Some(&known), &sight(100, 1, 2)));
        assert!(is_due(Some(&known), &sight(100, 0, 3)));
        let placed =
            |channel: &str| FileSight { channels: [ChannelId::parse(channel).unwrap()].into(), ..sight(100, 0, 2) };
        assert!(!is_due(Some(&known), &placed("C1")));
        assert!(is_due(Some(&known), &placed("C2")), "seen in another channel");
    }
}
