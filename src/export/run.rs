//! Makes a set, from what is asked to the bag with its name.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Error;
use super::accounts::Accounts;
use super::bag::Bag;
use super::census::Census;
use super::certificate::{self, Facts};
use super::formats::Format;
use super::journal::{self, Begun, Done, Mark, Start};
use super::names::Names;
use super::out::{EXCEPTIONS, Out, PRIVILEGE, Set};
use super::proofs;
use super::reconciliation::Reconciliation;
use super::request::Request;
use super::selection::{self, Selection};
use super::table::line;
use super::unit::{CLOSED, Entry, FileFamily, Subject, Unit};
use super::walk::{Position, Walk};
use super::withhold;
use crate::history::{Coverage, Directory};
use crate::index::Searcher;
use crate::ledger::{Checkpoint, Note};
use crate::model::{ChannelId, Clock, Digest, Scope, rfc3339};
use crate::record::Visit;
use crate::store::{Blobs, DerivedReader, Reader};

/// Checks proofs and bags with nothing but Python 3.8; goes with every set.
pub const CHECKER: &str = include_str!("../../schemas/verify/verify.py");
/// Checks a proof in a browser, from a file, without a network; goes with every set.
pub const CHECKER_PAGE: &str = include_str!("../../schemas/verify/verify.html");
/// How far a set was written is noted after so many units, or so many bytes of the payload.
const MARK_UNITS: u64 = 64;
const MARK_BYTES: u64 = 64 << 20;

/// Where a set is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The records.
    pub reader: &'a Reader,
    /// Their index, for a scope by query.
    pub searcher: &'a Searcher,
    /// Contents of files.
    pub blobs: &'a Blobs,
    /// What was read in files.
    pub derived: Option<&'a DerivedReader>,
    /// Names as they are now.
    pub directory: &'a Directory,
    /// What the archive covers now.
    pub coverage: &'a Coverage,
    /// Our clock.
    pub clock: &'a Clock,
    /// The checkpoint of the set that was handed out before: its size. To whom does not see all, of one of theirs.
    pub previous: Option<u64>,
}

/// Is told how far a set is.
pub trait Progress {
    /// So many of so many records are done.
    fn step(&self, what: &'static str, done: u64, of: u64);

    /// Whether it is still wanted; asked now and then. What is stopped can be taken up again.
    fn goes_on(&self) -> bool {
        true
    }
}

impl Progress for () {
    fn step(&self, _what: &'static str, _done: u64, _of: u64) {}
}

/// What is handed over, for the log, before it has its name.
#[derive(Debug, Clone)]
pub struct Handed {
    /// What was asked.
    pub scope: Value,
    /// Records that its checkpoint covers.
    pub checkpoint: u64,
    /// SHA-256 of its tag manifest, which lists everything else by its own.
    pub digest: Digest,
    /// The bag.
    pub bag: PathBuf,
    /// Records in it.
    pub records: u64,
}

impl Handed {
    /// The entry of the access log about it. `by` says who asked, and from where.
    pub fn told(&self, by: Visit) -> Visit {
        Visit {
            query: self.scope["query"].as_str().map(str::to_owned),
            hits: Some(self.records),
            content: Some(self.digest.to_string()),
            scope: Some(json!({"asked": self.scope, "checkpoint": self.checkpoint})),
            ..by
        }
    }
}

/// The checkpoint of the set that was handed out last, by the entry about it: its size.
pub fn handed_out(visit: &Visit) -> Option<u64> {
    visit.scope.as_ref()?["checkpoint"].as_u64()
}

/// What was made (contract, "`export`").
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The bag.
    pub bag: PathBuf,
    /// The format.
    pub format: String,
    /// Stretches of conversations.
    pub units: u64,
    /// Messages, however many versions each has.
    pub messages: u64,
    /// Files, once for each conversation in which they are given.
    pub files: u64,
    /// Rows of `EXCEPTIONS.csv`.
    pub exceptions: u64,
    /// Records for which a slip-sheet stands.
    pub withheld: u64,
    /// Records that were listed to be withheld and of which nothing is in the set.
    pub not_in_scope: Vec<u64>,
    /// In scope = produced + withheld + not carried + exceptions, in every line.
    pub balanced: bool,
    /// The archive has no gap and owes nothing in this scope.
    pub complete: bool,
    /// Records that the checkpoint of the set covers.
    pub checkpoint: u64,
    /// SHA-256 of the bag's tag manifest.
    pub sha256: String,
    /// Records in scope.
    pub records: u64,
}

/// What is counted while units pass.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    units: u64,
    messages: u64,
    files: u64,
}

/// Makes a set. `hand_over` is told what it is before it has its name; when that fails the set stays
/// unfinished.
pub fn run(
    request: &Request,
    sources: &Sources<'_>,
    hand_over: &mut dyn FnMut(&Handed) -> Result<(), Error>,
    progress: &dyn Progress,
) -> Result<Report, Error> {
    let reader = sources.reader;
    let (partial, done) = (Bag::partial(&request.output), Bag::done(&request.output));
    if std::fs::symlink_metadata(&request.output).is_ok() {
        return Err(Error::Exists(request.output.clone()));
    }
    request.format.refuse(request)?;
    let work = partial.join(super::bag::WORK);
    let begun = Begun {
        request: request.describe(),
        withheld: digest_of_list(request),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        archive: reader.archive().id.to_string(),
    };
    let mut lock = if partial.exists() { Some(Bag::take(&request.output)?) } else { None };
    if lock.is_some()
        && let Some(whole) = journal::handed_over(&done)?
    {
        if whole.begun != begun {
            return Err(Error::Unfinished { path: partial, difference: whole.begun.difference(&begun) });
        }
        let bag = Bag::whole(&request.output, take(&mut lock, request)?, &whole.report.sha256)?;
        return name(request, bag, whole.report);
    }
    let start = match journal::start(&work)? {
        Some(start) if start.begun == begun => start,
        Some(start) => {
            return Err(Error::Unfinished { path: partial, difference: start.begun.difference(&begun) });
        }
        // A run that was cut off before it noted anything wrote nothing.
        None if is_bare(&partial)? => {
            let (_, note, _) = reader.newest_checkpoint()?.ok_or(Error::NoCheckpoint)?;
            Start { begun, note, made_at: rfc3339(sources.clock.now()) }
        }
        None => {
            return Err(Error::Unfinished { path: partial, difference: "nothing says what it is".to_owned() });
        }
    };
    let checkpoint = read_note(&start.note)?;
    // What does not continue its own checkpoint is not handed out.
    reader.continues(&checkpoint)?;
    let size = checkpoint.size;
    let made_at =
        chrono::DateTime::parse_from_rfc3339(&start.made_at).map_or_else(|_| sources.clock.now(), |at| at.to_utc());

    progress.step("names", 0, size);
    let mut names = Names::read(reader, size, &request.scope, request.withheld.keys().copied())?;
    names.withhold(&withhold::topics(request, reader, size)?);
    progress.step("scope", 0, size);
    let kept = journal::hits(&work)?;
    let hits = match &kept {
        Some(_) => kept,
        None => selection::hits(request, sources.searcher, sources.directory, size)?,
    };
    let selection = Selection::new(request, reader, sources.directory, &names, hits.as_deref(), size)?;
    let census = Census::take(&selection, &mut |done| progress.step("count", done, size))?;
    if census.records == 0 {
        return Err(Error::Empty(request.in_words()));
    }
    let sizes: HashMap<Digest, u64> = reader.blobs()?.into_iter().collect();
    let set = Set {
        request,
        reader,
        names: &names,
        blobs: sources.blobs,
        derived: sources.derived,
        placement: &census.placement,
        size,
        made_at,
    };

    let last = journal::last(&work)?;
    let mut format = request.format.make(request);
    let lock = take(&mut lock, request)?;
    let bag = if let Some(mark) = &last {
        Bag::go_on(&request.output, lock, &mark.lengths)?
    } else {
        journal::begin(&work, &start, hits.as_deref())?;
        Bag::begin(&request.output, lock)?
    };
    drop(hits);
    let mut out = Out {
        set: &set,
        accounts: Accounts::open(&work, last.as_ref().map_or(0, |mark| mark.accounts))?,
        bag,
        volume: 0,
        volume_began_at: 0,
        volume_units: 0,
        exceptions: 0,
        withheld: 0,
    };
    let mut passed = Passed::default();
    if let Some(mark) = &last {
        format.resume(&mark.format);
        (out.volume, out.volume_began_at, out.volume_units) = (mark.volume, mark.volume_began_at, mark.volume_units);
        (out.exceptions, out.withheld) = (mark.exceptions, mark.withheld);
        passed = Passed { units: mark.units, messages: mark.messages, files: mark.files };
    } else {
        out.volume = u32::from(request.volume_bytes.or(format.volume_bytes()).is_some());
        let columns = ["class", "record", "kind", "conversation", "day", "custodian", "key", "detail"];
        out.list_header(EXCEPTIONS, &columns)?;
        let columns =
            ["record", "kind", "conversation", "day", "author", "author_name", "action", "reason", "slip_sheet"];
        out.list_header(PRIVILEGE, &columns)?;
        format.begin(&mut out)?;
    }
    let channels: BTreeSet<&ChannelId> = census.channels.iter().chain(names.conversations()).collect();
    let mut stream = Stream {
        format: format.as_mut(),
        out: &mut out,
        passed,
        after: last.map(|mark| mark.position),
        work: &work,
        since: 0,
        bytes: 0,
        census: &census,
        progress,
    };
    let mut walk = Walk {
        selection: &selection,
        placement: &census.placement,
        names: &names,
        sizes: &sizes,
        people: HashMap::new(),
    };
    for channel in channels {
        if stream.after.as_ref().is_some_and(|after| channel.as_str() < after.conversation.as_str()) {
            continue;
        }
        walk.conversation(channel, &mut |unit| stream.unit(unit))?;
    }
    let passed = stream.passed;
    for orphan in &census.orphans {
        let version = walk.orphan(orphan)?;
        // A set of records as they are archived holds whatever is in scope.
        let is_native = request.format.as_str() == "native";
        if is_native && version.is_closed {
            out.left_closed(&orphan.cell, &version)?;
        } else if is_native && version.record.header.attachments.is_empty() {
            out.produced(&orphan.cell, &version)?;
        } else {
            out.exception(&orphan.cell, &version, orphan.why)?;
        }
    }
    format.end(&mut out)?;
    close(request, sources, &selection, &census, &checkpoint, start, out, passed, hand_over, progress)
}

/// What goes through a format, unit by unit.
struct Stream<'s, 'o> {
    format: &'s mut dyn Format,
    out: &'s mut Out<'o>,
    passed: Passed,
    /// Units up to here were written by a run that was cut off.
    after: Option<Position>,
    work: &'s Path,
    since: u64,
    bytes: u64,
    census: &'s Census,
    progress: &'s dyn Progress,
}

impl Stream<'_, '_> {
    fn unit(&mut self, mut unit: Unit) -> Result<(), Error> {
        let position = Position { conversation: unit.conversation.id.to_string(), number: unit.number };
        if self.after.as_ref().is_some_and(|after| position <= *after) {
            return Ok(());
        }
        if !self.progress.goes_on() {
            return Err(Error::Stopped);
        }
        if self.out.set.request.dedupe {
            self.drop_given_elsewhere(&mut unit)?;
            if unit.entries.is_empty() {
                return Ok(());
            }
        }
        self.make_room(&unit)?;
        self.passed.units += 1;
        for entry in &unit.entries {
            self.passed.messages += u64::from(entry.message.is_some());
            self.passed.files += entry.files.len() as u64;
            entry.files.iter().try_for_each(|family| unread(self.out, family))?;
            remarks(self.out, entry)?;
        }
        self.format.unit(&unit, self.out)?;
        self.too_large(&unit)?;
        self.since += 1;
        if self.since >= MARK_UNITS || self.out.bag.payload_bytes() >= self.bytes + MARK_BYTES {
            self.mark(position)?;
        }
        let done: u64 = self.out.accounts.totals_written();
        self.progress.step("write", done, self.census.records);
        Ok(())
    }

    /// Takes out the files that are given in another conversation, and says so of each record.
    fn drop_given_elsewhere(&mut self, unit: &mut Unit) -> Result<(), Error> {
        for entry in &mut unit.entries {
            let (given, duplicates) = std::mem::take(&mut entry.files).into_iter().partition(|family| {
                self.census.placement.first_conversation(family.id()).is_none_or(|first| *first == unit.conversation.id)
            });
            entry.files = given;
            for family in duplicates {
                let Some(first) = self.census.placement.first_conversation(family.id()).cloned() else { continue };
                let why = format!("given once, in the conversation {first}");
                for subject in std::iter::once(&family.file).chain(&family.comments) {
                    for version in &subject.versions {
                        self.out.not_carried(&subject.cell, version, &why)?;
                    }
                }
                entry.given_elsewhere.push((family.file.key, first));
            }
        }
        unit.entries.retain(|entry| entry.message.is_some() || !entry.files.is_empty() || entry.pins.is_some());
        Ok(())
    }

    /// Begins another volume when the unit would not fit.
    fn make_room(&mut self, unit: &Unit) -> Result<(), Error> {
        let limits = [self.out.set.request.volume_bytes, self.format.volume_bytes()];
        let Some(limit) = limits.into_iter().flatten().min() else { return Ok(()) };
        let (text, content) = self.format.growth();
        let weight: u64 =
            unit.entries.iter().map(|entry| entry.weight() as u64 * text + entry.blob_bytes() * content).sum();
        let used = self.out.bag.payload_bytes() - self.out.volume_began_at + self.format.pending_bytes();
        // What a format begins a volume with is no reason to begin another.
        if self.out.volume_units > 0 && used + weight > limit {
            self.format.end(self.out)?;
            self.out.volume += 1;
            self.out.volume_units = 0;
            self.out.volume_began_at = self.out.bag.payload_bytes();
            self.format.begin(self.out)?;
        }
        self.out.volume_units += 1;
        Ok(())
    }

    /// Lists a unit that alone is more than a volume should hold: it is never torn apart for that.
    fn too_large(&mut self, unit: &Unit) -> Result<(), Error> {
        let Some(limit) = self.out.set.request.volume_bytes else { return Ok(()) };
        let used = self.out.bag.payload_bytes() - self.out.volume_began_at + self.format.pending_bytes();
        let Some(entry) = unit.entries.first().filter(|_| self.out.volume_units == 1 && used > limit) else {
            return Ok(());
        };
        let versions = entry.message.iter().chain(entry.files.iter().map(|family| &family.file)).map(Subject::latest);
        match versions.chain(&entry.pins).next() {
            Some(version) => {
                let what = format!("the day it is of is {used} bytes, more than the {limit} of a volume");
                self.out.remark("size", &entry.cell, version, &what)
            }
            None => Ok(()),
        }
    }

    fn mark(&mut self, position: Position) -> Result<(), Error> {
        (self.since, self.bytes) = (0, self.out.bag.payload_bytes());
        let accounts = self.out.accounts.flush()?;
        let mark = Mark {
            position,
            lengths: self.out.bag.lengths()?,
            accounts,
            format: self.format.state(),
            volume: self.out.volume,
            volume_began_at: self.out.volume_began_at,
            volume_units: self.out.volume_units,
            exceptions: self.out.exceptions,
            withheld: self.out.withheld,
            units: self.passed.units,
            messages: self.passed.messages,
            files: self.passed.files,
        };
        journal::mark(self.work, &mark)
    }
}

/// Lists what a reader of any format would not see: a reading that is later than the moment that was asked for,
/// what is left out of a record, and a file that is shown and not there.
fn remarks(out: &mut Out<'_>, entry: &Entry) -> Result<(), Error> {
    let families = entry.files.iter().flat_map(|family| std::iter::once(&family.file).chain(&family.comments));
    let all = entry.message.iter().chain(families.clone());
    let versions = all.flat_map(|subject| subject.versions.iter().map(|version| (&subject.cell, version)));
    let others = entry.reactions.iter().chain(&entry.pins).map(|version| (&entry.cell, version));
    for (cell, version) in versions.chain(others).filter(|(_, version)| version.is_closed && version.withheld.is_none())
    {
        out.remark("closed", cell, version, CLOSED)?;
    }
    for subject in entry.message.iter().chain(families).filter(|subject| subject.is_later) {
        let what = "how it read at that moment is not known: it was first seen so later";
        out.remark("later", &subject.cell, subject.latest(), what)?;
    }
    if let Some(message) = &entry.message {
        for id in &entry.not_given {
            let what = format!("it shows the file {id}, of which nothing is in scope or nothing in the archive");
            out.remark("not given", &message.cell, message.latest(), &what)?;
        }
    }
    Ok(())
}

/// Lists a file whose text could not be read: whoever searches the set must know it.
fn unread(out: &mut Out<'_>, family: &FileFamily) -> Result<(), Error> {
    for version in family.file.readings() {
        let Some(blob) = &version.blob else { continue };
        if let Some(row) = out.set.reading(&blob.digest)?
            && row.status != "ok"
        {
            let what = format!("its text was not read, or not whole: {}", row.status);
            out.remark("text", &family.file.cell, version, &what)?;
        }
    }
    Ok(())
}

/// Closes a set: certificate, coverage, reconciliation, lists, proofs, checkers, manifests, its name.
#[expect(clippy::too_many_arguments, reason = "what a set is closed over")]
fn close(
    request: &Request,
    sources: &Sources<'_>,
    selection: &Selection<'_>,
    census: &Census,
    checkpoint: &Checkpoint,
    start: Start,
    mut out: Out<'_>,
    passed: Passed,
    hand_over: &mut dyn FnMut(&Handed) -> Result<(), Error>,
    progress: &dyn Progress,
) -> Result<Report, Error> {
    let set = out.set;
    progress.step("proofs", 0, census.records);
    out.accounts.flush()?;
    for name in [EXCEPTIONS, PRIVILEGE] {
        out.bag.grown(&format!("work/{name}"))?;
        if name == PRIVILEGE && out.withheld == 0 {
            continue;
        }
        // Copied, not moved: a run that is cut off from here on goes on from the lists as they were noted.
        let (from, to) = (out.list_path(name), out.bag.folder().join(name));
        fs_err::copy(&from, &to).map_err(Error::file("copy", to))?;
    }
    let Out { mut bag, accounts, volume, exceptions, withheld, .. } = out;
    let reconciliation = Reconciliation::new(census, &accounts);
    let is_balanced = reconciliation.is_balanced();
    let coverage = certificate::coverage(
        sources.coverage,
        request.range,
        request.scope == Scope::All,
        |channel| selection.takes_channel(channel),
        |file| census.placement.names(file),
    );
    let is_complete = coverage.complete;
    let vkey = &sources.reader.archive().vkey;
    let key_id = vkey.split('+').nth(1).unwrap_or_default();
    let accounts_read = accounts_read(request, sources)?;
    let facts = Facts {
        checkpoint,
        note: &start.note,
        key_id,
        previous: sources.previous,
        accounts: &accounts_read,
        in_scope: census.records,
        counts: accounts.totals(),
        is_balanced,
        units: passed.units,
        messages: passed.messages,
        files: passed.files,
        volumes: volume.max(1),
    };
    let title = format!("{} of {}: {}", request.format.as_str(), sources.reader.archive().server, request.in_words());
    bag.tag("CUSTODY.json", &pretty(&certificate::custody(set, &facts)))?;
    bag.tag("COVERAGE.json", &pretty(&json!(coverage)))?;
    bag.tag("RECONCILIATION.csv", reconciliation.csv(set.names, request.zone).as_bytes())?;
    bag.tag("RECONCILIATION.html", reconciliation.html(set.names, request.zone, &title).as_bytes())?;
    bag.tag("README.txt", certificate::readme(set, &facts, is_complete).as_bytes())?;
    bag.tag("ledger.vkey", format!("{vkey}\n").as_bytes())?;
    for (name, text) in [("verify.py", CHECKER), ("verify.html", CHECKER_PAGE)] {
        bag.tag(name, text.as_bytes())?;
    }
    proofs::write(&mut bag, sources.reader, selection, &accounts, checkpoint, &start.note, sources.previous)?;
    drop(reconciliation);
    let listed = request.withheld.keys().map(|seq| seq.0);
    let not_in_scope = listed.filter(|seq| !accounts.hidden.contains(*seq)).collect();
    drop(accounts);
    let info = [
        ("Source-Organization", sources.reader.archive().server.clone()),
        ("External-Description", title),
        ("External-Identifier", sources.reader.archive().id.to_string()),
        ("Bagging-Date", request.zone.date(set.made_at).to_string()),
        ("Bag-Software-Agent", format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))),
    ];
    let digest = bag.end(&info)?;
    let scope = request.describe();
    let handed =
        Handed { scope, checkpoint: checkpoint.size, digest, bag: request.output.clone(), records: census.records };
    let report = Report {
        bag: request.output.clone(),
        format: request.format.as_str().to_owned(),
        units: passed.units,
        messages: passed.messages,
        files: passed.files,
        exceptions,
        withheld,
        not_in_scope,
        balanced: is_balanced,
        complete: is_complete,
        checkpoint: checkpoint.size,
        sha256: digest.to_string(),
        records: census.records,
    };
    // It has no name until it is in the log, and is entered there once.
    hand_over(&handed)?;
    let whole = Done { begun: start.begun, report };
    journal::done(&Bag::done(&request.output), &whole)?;
    name(request, bag, whole.report)
}

/// The accounts whose view is archived; to whom does not see all, those that walked a channel that they see.
fn accounts_read(request: &Request, sources: &Sources<'_>) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = sources.reader.accounts()?.into_iter().map(|row| row.name).collect();
    if request.scope != Scope::All {
        let is_seen = |id: &str| ChannelId::parse(id).is_some_and(|id| request.scope.allows(&id));
        let seen = sources.coverage.channels.iter().filter(|channel| is_seen(&channel.channel));
        let walked: BTreeSet<&String> = seen.flat_map(|channel| &channel.accounts).collect();
        names.retain(|name| walked.contains(name));
    }
    Ok(names)
}

/// Gives a set that was handed over its name.
fn name(request: &Request, bag: Bag, report: Report) -> Result<Report, Error> {
    let bag = if request.zip || request.zip_password.is_some() {
        bag.pack(request.zip_password.as_ref())?
    } else {
        bag.name()?
    };
    let done = Bag::done(&request.output);
    fs_err::remove_file(&done).map_err(Error::file("remove", done))?;
    Ok(Report { bag, ..report })
}

/// The lock of a set, taken now where it was not taken before.
fn take(lock: &mut Option<File>, request: &Request) -> Result<File, Error> {
    lock.take().map_or_else(|| Bag::take(&request.output), Ok)
}

/// Whether nothing was written of a set yet.
fn is_bare(partial: &Path) -> Result<bool, Error> {
    if !partial.exists() {
        return Ok(true);
    }
    // What it is begun with is noted before anything of it is written.
    let is_note = |name: &String| name.starts_with("work/start.json") || name.starts_with("work/hits.json");
    Ok(super::bag::files_below(partial)?.iter().all(is_note) && !partial.join("data").exists())
}

impl Out<'_> {
    fn list_header(&mut self, name: &str, columns: &[&str]) -> Result<(), Error> {
        let file = self.bag.growing(&format!("work/{name}"))?;
        std::io::Write::write_all(file, line(columns).as_bytes()).map_err(file.error())
    }
}

fn read_note(note: &str) -> Result<Checkpoint, Error> {
    let parsed = Note::parse(note.as_bytes()).and_then(|parsed| Checkpoint::parse(parsed.text()));
    parsed.map_err(|error| {
        let detail = format!("the checkpoint of the set can't be read: {error}");
        crate::store::Error::Rollback { size: 0, detail }.into()
    })
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

/// What tells one list of withheld records from another.
fn digest_of_list(request: &Request) -> String {
    let text: String = request
        .withheld
        .iter()
        .map(|(seq, withheld)| format!("{seq} {} {}\n", withheld.hiding.as_str(), withheld.reason))
        .collect();
    Digest::of(text.as_bytes()).to_string()
}
