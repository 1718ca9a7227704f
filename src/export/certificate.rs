//! What is said of a set as a whole: who made it, out of what, how it can be checked, and what it does not
//! hold.

use serde_json::{Value, json};

use super::accounts::Counts;
use super::out::Set;
use crate::history::{Coverage, Gap};
use crate::ledger::Checkpoint;
use crate::model::{ChannelId, MessageTs, TimeRange, rfc3339};

/// What the certificate is made of, beside the set.
pub(super) struct Facts<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) note: &'a str,
    pub(super) key_id: &'a str,
    pub(super) previous: Option<u64>,
    pub(super) accounts: &'a [String],
    pub(super) in_scope: u64,
    pub(super) counts: Counts,
    pub(super) is_balanced: bool,
    pub(super) units: u64,
    pub(super) messages: u64,
    pub(super) files: u64,
    pub(super) volumes: u32,
}

/// `CUSTODY.json`.
pub(super) fn custody(set: &Set<'_>, facts: &Facts<'_>) -> Value {
    let [produced, withheld, not_carried, exceptions] = facts.counts;
    let archive = set.reader.archive();
    json!({
        "certificate": statement(set, facts),
        "made_at": rfc3339(set.made_at),
        "made_by": set.request.asked_by,
        "tool": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
        "scope": set.request.describe(),
        "source": {
            "server": archive.server,
            "accounts": facts.accounts,
            "archive": archive.id.to_string(),
            "log": archive.origin,
        },
        "checkpoint": {
            "size": facts.checkpoint.size,
            "root": facts.checkpoint.root.to_string(),
            "key_id": facts.key_id,
            "note": facts.note,
            "handed_out_before": facts.previous,
        },
        "counts": {
            "records_in_scope": facts.in_scope,
            "produced": produced,
            "withheld": withheld,
            "not_carried_by_the_format": not_carried,
            "exceptions": exceptions,
            "balanced": facts.is_balanced,
            "units": facts.units,
            "messages": facts.messages,
            "files": facts.files,
            "volumes": facts.volumes,
        },
    })
}

/// The text of the certificate: what whoever made the set can say of it, and no more.
fn statement(set: &Set<'_>, facts: &Facts<'_>) -> String {
    let archive = set.reader.archive();
    format!(
        "This set was made by {} version {} on {} from the archive {} of the server {}, which holds what the server \
         showed to the accounts named here. It holds the records in the scope stated here out of the first {} records of \
         that archive, as the log named {} was signed with the key {}. Each record is numbered, and its bytes can be \
         compared with the signed log by means of the files under proofs/. What the archive could not see is stated in \
         COVERAGE.json; what this format does not carry, or could not be included, is listed in EXCEPTIONS.csv.",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
        set.request.zone.full_text(set.made_at),
        archive.id,
        archive.server,
        facts.checkpoint.size,
        archive.origin,
        facts.key_id,
    )
}

/// `COVERAGE.json`: of the conversations in scope what was walked, gaps, debts, and what no crawl could see.
/// `is_given` says whether a file has a place in the set. To whom does not see all, what is owed of no channel in
/// scope and what an inventory names is not told.
pub(super) fn coverage(
    coverage: &Coverage,
    range: TimeRange,
    sees_all: bool,
    takes: impl Fn(&ChannelId) -> bool,
    is_given: impl Fn(&str) -> bool,
) -> Coverage {
    let mut of_scope = coverage.clone();
    let mut debts = std::mem::take(&mut of_scope.debts);
    for channel in &mut of_scope.channels {
        channel.gaps.retain(|gap| meets(gap, range));
    }
    of_scope.only(takes);
    // What is owed and belongs to no single channel may belong to this scope; a file that has no place in it does not.
    debts.retain(|debt| if debt.kind == "file" { is_given(&debt.key) } else { sees_all });
    if !sees_all {
        of_scope.expected = None;
    }
    of_scope.complete &= debts.is_empty();
    of_scope.debts = debts;
    of_scope
}

/// Whether anything of that range of time may be in a gap.
fn meets(gap: &Gap, range: TimeRange) -> bool {
    let time = |text: &Option<String>| text.as_deref().and_then(MessageTs::parse).map(MessageTs::time);
    let is_after = matches!((time(&gap.from), range.to), (Some(from), Some(to)) if from >= to);
    let is_before = matches!((time(&gap.to), range.from), (Some(to), Some(from)) if to < from);
    !is_after && !is_before
}

/// `README.txt`, for counsel.
pub(super) fn readme(set: &Set<'_>, facts: &Facts<'_>, is_complete: bool) -> String {
    let [produced, withheld, not_carried, exceptions] = facts.counts;
    let request = set.request;
    let zone = request.zone.name();
    let balance = if facts.is_balanced {
        "The counts agree: nothing in scope is unaccounted for."
    } else {
        "THE COUNTS DO NOT AGREE. RECONCILIATION.html says where."
    };
    let complete = if is_complete {
        "As far as the accounts could see, the archive has no gap and owes nothing in this scope. What they could not see is in COVERAGE.json under \"limits\"."
    } else {
        "THE ARCHIVE HAS GAPS OR OWES ITEMS IN THIS SCOPE: see \"gaps\" and \"debts\" in COVERAGE.json."
    };
    format!(
        "WHAT THIS IS\n\n\
         A set of messages, comments and files from the chat server\n{server}\n\
         in the format \"{format}\", made {made} by {asked} with {tool} {version}.\n\
         Scope: {scope}. Versions: {versions}. Days begin, and times are written, in the zone {zone}.\n\n\
         WHAT IS IN IT\n\n\
         {in_scope} records are in scope: {produced} are produced, {withheld} withheld or redacted, {not_carried} not carried by this\n\
         format, {exceptions} exceptions. {balance}\n{complete}\n\n\
         data/                what was asked for\n\
         CUSTODY.json         who made this set, when, from what, with what; the certificate\n\
         COVERAGE.json        what the archive covers of this scope, and what it cannot know\n\
         RECONCILIATION.*     in scope = produced + withheld + not carried + exceptions, for each custodian, conversation and day\n\
         EXCEPTIONS.csv       every record that this format does not carry, or that could not be included, and why\n\
         PRIVILEGE-LOG.csv    every record that is withheld or redacted, and why (only where there are any)\n\
         proofs/              the signed checkpoint, and what proves that each record is in it\n\
         ledger.vkey          the key of the signature. Compare its whole line with one that you got another way\n\
         verify.py            checks all of it: python3 verify.py THIS-DIRECTORY (Python 3.8 or newer, nothing else)\n\
         verify.html          checks single proofs in a browser, without a network\n\
         manifest-sha256.txt  SHA-256 of each file under data/ (BagIt, RFC 8493)\n\n\
         WHAT IT SHOWS, AND WHAT IT DOES NOT\n\n\
         Records are what the server showed to the accounts that read it. Times named \"observed\" are those of the archive's clock;\n\
         all others are the server's. When something was deleted, and by whom, is said where the server said so; else the\n\
         archive knows only when it last saw it and when it first missed it. The proofs show that records were not changed since\n\
         the checkpoint was signed. They do not show that what people wrote is true, or that the server showed everything.\n",
        server = set.reader.archive().server,
        format = request.format.as_str(),
        made = request.zone.full_text(set.made_at),
        asked = if request.asked_by.is_empty() { "the command line" } else { &request.asked_by },
        tool = env!("CARGO_PKG_NAME"),
        version = env!("CARGO_PKG_VERSION"),
        scope = request.in_words(),
        versions = request.versions.as_str(),
        in_scope = facts.in_scope,
    )
}
