//! An exhibit as it is shown: messages by conversation and time, what lies between them, every reading with its
//! hashes. The page and the file that is handed over are made of the same.

use super::gather::{Along, Gathered, Taken, files_of, gather};
use super::item::{Covered, FileView, ItemView, Maker, RecordView};
use super::texts::{Named, plain};
use crate::history::{Directory, Item};
use crate::ledger::VerifierKey;
use crate::model::{ChannelId, MessageTs, Scope, Zone, json};
use crate::record::Kind;
use crate::store::access::Exhibit;
use crate::web::desk::Desk;
use crate::web::error::WebError;
use crate::web::pages::captured::Captured;
use crate::web::pages::view::{Moment, called};
use crate::web::words::grouped;

/// Something between the headings of an exhibit.
pub(crate) enum Part {
    /// A day begins.
    Day(String),
    /// Messages of the conversation that are not in the exhibit.
    Left(String),
    Item(Box<ItemView>),
}

/// What is shown of one conversation, or of one file.
pub(crate) struct Stretch {
    pub(crate) name: String,
    /// The id of the conversation or file.
    pub(crate) id: String,
    pub(crate) href: String,
    /// What is known of how well the stretch was captured.
    pub(crate) notes: Vec<String>,
    /// Something in it was not captured.
    pub(crate) has_gap: bool,
    pub(crate) parts: Vec<Part>,
}

/// The whole exhibit.
pub(crate) struct Document {
    pub(crate) number: i64,
    pub(crate) title: String,
    /// What is said of it as a whole: names and values.
    pub(crate) facts: Vec<(String, String)>,
    /// How many of its records no checkpoint covers yet; empty: none.
    pub(crate) unproved: String,
    /// What is not in it, and why.
    pub(crate) remarks: Vec<String>,
    pub(crate) stretches: Vec<Stretch>,
    /// Files that messages in it name.
    pub(crate) files: Vec<FileView>,
    /// Names by id.
    pub(crate) names: Vec<(String, String)>,
    pub(crate) items: usize,
    /// Proofs by record; none on a page.
    pub(crate) proofs: Vec<(u64, String)>,
    pub(crate) vkey: String,
}

/// Which parts are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For the page.
    Page,
    /// For the file, with proofs.
    File,
}

/// Makes an exhibit of what its maker may see now.
pub(crate) fn document(desk: &Desk, exhibit: &Exhibit, form: Form) -> Result<Document, WebError> {
    let gathered = gather(desk, &exhibit.records)?;
    let directory = desk.directory()?;
    let covered = Covered::now(desk)?;
    let mut maker = Maker { desk, directory: &directory, covered: &covered, named: Named::default() };
    let coverage = desk.coverage()?;
    let mut stretches = Vec::new();
    let mut files: Vec<String> = Vec::new();
    for (channel, messages) in &gathered.messages {
        for taken in messages.values() {
            files.extend(files_of(&taken.item));
        }
        let found = coverage.channels.iter().find(|found| found.channel == channel.as_str()).cloned();
        let captured = found.map(|found| Captured::read(desk, found)).unwrap_or_default();
        let stamps: Vec<MessageTs> = messages.keys().copied().collect();
        let (notes, has_gap) = coverage_notes(desk, &captured, &stamps);
        stretches.push(Stretch {
            name: channel_name(desk, &directory, channel),
            id: channel.to_string(),
            href: format!("/c/{}", crate::web::markup::encode(channel.as_str())),
            notes,
            has_gap,
            parts: message_parts(&mut maker, channel, messages)?,
        });
    }
    stretches.sort_by(|a, b| a.name.cmp(&b.name));
    for (file, subjects) in &gathered.files {
        stretches.push(file_stretch(&mut maker, file, subjects)?);
    }
    // A file that was chosen itself stands there with all that is known of it.
    files.retain(|id| !gathered.files.get(id).is_some_and(|subjects| subjects.contains_key(id)));
    files.sort_unstable();
    files.dedup();
    let files = file_views(&mut maker, &files)?;
    let unproved = unproved(desk, &stretches, &files);
    let proofs = if form == Form::File { proofs(desk, &gathered, &files)? } else { Vec::new() };
    Ok(Document {
        number: exhibit.id,
        title: plain(&exhibit.title),
        facts: facts(desk, exhibit, &gathered, &covered),
        remarks: remarks(desk, &gathered, &unproved, &records(&stretches, &files)),
        unproved,
        items: gathered.items(),
        stretches,
        files: files.into_iter().map(|(view, _)| view).collect(),
        names: maker.named.0.into_iter().collect(),
        proofs,
        vkey: desk.web().key(),
    })
}

fn channel_name(desk: &Desk, directory: &Directory, channel: &ChannelId) -> String {
    let name = plain(directory.channel(channel));
    let is_im = directory.channels.get(channel).is_some_and(|facts| facts.is_im);
    called(desk.w, &name, is_im)
}

/// Messages in order, with the days, and with what lies between them and is not shown.
fn message_parts(
    maker: &mut Maker<'_>,
    channel: &ChannelId,
    messages: &std::collections::BTreeMap<MessageTs, Taken>,
) -> Result<Vec<Part>, WebError> {
    let desk = maker.desk;
    let (mut out, mut before, mut day) = (Vec::new(), None::<MessageTs>, None);
    for (ts, taken) in messages {
        if let Some(before) = before {
            let passed = desk.archive().passed_between(channel, before, *ts)?;
            let mut words = Vec::new();
            if passed.standing > 0 {
                words.push(desk.w.count("exhibit-left-out", passed.standing));
            }
            if passed.gone > 0 {
                words.push(desk.w.count("exhibit-left-out-gone", passed.gone));
            }
            if !words.is_empty() {
                out.push(Part::Left(words.join(" ")));
            }
        }
        before = Some(*ts);
        let date = desk.zone.date(ts.time());
        if day != Some(date) {
            day = Some(date);
            out.push(Part::Day(date.format("%A %-d %B %Y").to_string()));
        }
        out.push(Part::Item(Box::new(view(maker, taken)?)));
    }
    Ok(out)
}

fn view(maker: &mut Maker<'_>, taken: &Taken) -> Result<ItemView, WebError> {
    let mut view = maker.item(&taken.item)?;
    view.chosen.clone_from(&taken.chosen);
    view.along = match taken.along {
        Some(Along::Answered(by)) => maker.desk.w.with("exhibit-along-answered", by),
        Some(Along::Quoted(by)) => maker.desk.w.with("exhibit-along-quoted", by),
        None => String::new(),
    };
    Ok(view)
}

/// A file or comments on it that were chosen themselves.
fn file_stretch(
    maker: &mut Maker<'_>,
    id: &str,
    subjects: &std::collections::BTreeMap<String, Taken>,
) -> Result<Stretch, WebError> {
    let desk = maker.desk;
    let file = desk.archive().item(Kind::File, None, id)?;
    let body = file.as_ref().and_then(Item::latest).and_then(|latest| json::parse(&latest.record.body));
    let name = body.as_ref().and_then(|body| body["name"].as_str()).unwrap_or(id);
    let rooms: Vec<String> = file
        .iter()
        .flat_map(Item::shared_in)
        .filter(|channel| desk.archive().allows(channel))
        .map(|channel| channel_name(desk, maker.directory, &channel))
        .collect();
    let mut parts = Vec::new();
    for taken in subjects.values() {
        parts.push(Part::Item(Box::new(view(maker, taken)?)));
    }
    Ok(Stretch {
        name: desk.w.with("exhibit-file", plain(name)),
        id: plain(id),
        href: format!("/f/{}", crate::web::markup::encode(id)),
        notes: if rooms.is_empty() { Vec::new() } else { vec![desk.w.with("exhibit-shared-in", rooms.join(", "))] },
        has_gap: false,
        parts,
    })
}

/// What is known of how well a conversation was captured from the first of these messages to the last.
fn coverage_notes(desk: &Desk, captured: &Captured, stamps: &[MessageTs]) -> (Vec<String>, bool) {
    let w = desk.w;
    let (Some(first), Some(last)) = (stamps.first(), stamps.last()) else { return (Vec::new(), false) };
    let mut out = Vec::new();
    let mut has_gap = false;
    for gap in captured.between(first.before(), *last) {
        has_gap = true;
        out.push(gap.when(desk));
        out.extend(gap.reasons.iter().cloned());
    }
    match captured.until {
        Some(until) if !has_gap => out.push(w.with("exhibit-walked", Moment::new(until, desk.zone).full)),
        Some(_) => {}
        None => out.push(w.say("exhibit-never-walked")),
    }
    out.extend(captured.excluded.clone());
    out.extend(captured.notes.iter().cloned());
    (out, has_gap)
}

/// The files that messages name, with every content; and the items, for their proofs.
fn file_views(maker: &mut Maker<'_>, ids: &[String]) -> Result<Vec<(FileView, Option<Item>)>, WebError> {
    let mut out = Vec::new();
    for id in ids {
        let found = maker.desk.archive().item(Kind::File, None, id)?;
        out.push((maker.file(id, found.as_ref()), found));
    }
    Ok(out)
}

/// The proofs of all records that are shown.
fn proofs(
    desk: &Desk,
    gathered: &Gathered,
    files: &[(FileView, Option<Item>)],
) -> Result<Vec<(u64, String)>, WebError> {
    let messages = gathered.messages.values().flat_map(|messages| messages.values());
    let chosen = gathered.files.values().flat_map(|subjects| subjects.values());
    let items =
        messages.chain(chosen).map(|taken| &taken.item).chain(files.iter().filter_map(|(_, item)| item.as_ref()));
    let mut out = std::collections::BTreeMap::new();
    for item in items {
        for proof in desk.archive().proofs(item)? {
            out.insert(proof.seq.0, proof.to_text());
        }
    }
    Ok(out.into_iter().collect())
}

fn facts(desk: &Desk, exhibit: &Exhibit, gathered: &Gathered, covered: &Covered) -> Vec<(String, String)> {
    let w = desk.w;
    let about = desk.web().about();
    let moment = |text: &str| Moment::parse(text, desk.zone).full;
    let mut out = vec![
        (w.say("exhibit-fact-holds"), {
            let along = gathered.along();
            let [messages, files, comments] = gathered.counts();
            let counts = [
                (messages, w.count("exhibit-messages", messages)),
                (files, w.count("exhibit-files-count", files)),
                (comments, w.count("exhibit-comments", comments)),
            ];
            let all: Vec<String> = counts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
            let all = if all.is_empty() { w.say("exhibit-holds-nothing") } else { all.join(", ") };
            if along > 0 { format!("{all}; {}", w.count("exhibit-items-along", along)) } else { all }
        }),
        (w.say("exhibit-fact-maker"), w.with_two("exhibit-made-by", plain(&desk.viewer.name), moment(&exhibit.made))),
        (w.say("exhibit-fact-printed"), Moment::new(desk.web().now(), desk.zone).full),
        (w.say("exhibit-fact-zone"), format!("{} ({} {})", desk.zone.name(), w.say("exhibit-tzdb"), Zone::database())),
        (w.say("exhibit-fact-server"), plain(&about.server)),
        (w.say("exhibit-fact-archive"), about.id.to_string()),
        (w.say("exhibit-fact-log"), plain(&about.origin)),
    ];
    match &covered.checkpoint {
        Some((checkpoint, at)) => {
            let key = VerifierKey::parse(&desk.web().key()).map(|key| key.id().clone()).unwrap_or_default();
            out.push((
                w.say("exhibit-fact-checkpoint"),
                w.with_three("exhibit-checkpoint", grouped(checkpoint.size), moment(at), key),
            ));
            out.push((w.say("exhibit-fact-root"), checkpoint.root.to_string()));
        }
        None => out.push((w.say("exhibit-fact-checkpoint"), w.say("checkpoint-none"))),
    }
    if desk.viewer.scope != Scope::All {
        out.push((w.say("exhibit-fact-scope"), w.say("exhibit-scope-some")));
    }
    out
}

/// All records that are shown.
fn records<'v>(stretches: &'v [Stretch], files: &'v [(FileView, Option<Item>)]) -> Vec<&'v RecordView> {
    let parts = stretches.iter().flat_map(|stretch| &stretch.parts);
    let items = parts.filter_map(|part| if let Part::Item(item) = part { Some(item) } else { None });
    items.flat_map(|item| &item.records).chain(files.iter().flat_map(|(file, _)| &file.records)).collect()
}

/// How many records no checkpoint covers yet, in words; nothing where each is covered.
fn unproved(desk: &Desk, stretches: &[Stretch], files: &[(FileView, Option<Item>)]) -> String {
    match records(stretches, files).iter().filter(|record| !record.is_covered).count() {
        0 => String::new(),
        count => desk.w.count("exhibit-unproved", count),
    }
}

fn remarks(desk: &Desk, gathered: &Gathered, unproved: &str, records: &[&RecordView]) -> Vec<String> {
    let w = desk.w;
    let mut out = vec![w.say("exhibit-is-a-selection"), w.say("exhibit-no-reactions")];
    if gathered.missing > 0 {
        out.push(w.count("exhibit-missing", gathered.missing));
    }
    if gathered.odd > 0 {
        out.push(w.count("exhibit-odd", gathered.odd));
    }
    if gathered.is_cut {
        out.push(w.say("exhibit-along-cut"));
    }
    if !unproved.is_empty() {
        out.push(unproved.to_owned());
    }
    let closed = records.iter().filter(|record| record.is_closed).count();
    if closed > 0 {
        out.push(w.count("exhibit-closed", closed));
    }
    out
}
