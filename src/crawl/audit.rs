//! The audit: history of any age is looked at again, a page at a time, oldest-due first, so that
//! late edits and deletions are found within a stated time (protocol notes (b), step 7).

use std::collections::HashSet;

use super::Error;
use super::absence;
use super::page::{keep, read_page};
use super::pass::{ChannelTask, Pass};
use super::walk::Walked;
use crate::model::{MessageTs, UtcTime};
use crate::store::{Audit, Batch, Standing, StateChange};

/// A stretch of history with the time after which it is due again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    /// How far below the pin it reaches, in seconds; `None`: to the beginning.
    reach_seconds: Option<u64>,
    /// In hours.
    due_hours: i64,
    of: fn(&mut Standing) -> &mut Audit,
}

/// The rings, nearest first.
const RINGS: [Ring; 2] = [
    Ring { reach_seconds: Some(30 * 24 * 60 * 60), due_hours: 24, of: |standing| &mut standing.month },
    Ring { reach_seconds: None, due_hours: 7 * 24, of: |standing| &mut standing.all },
];

/// One request of the audit for so many of the pass's own.
const SHARE: u64 = 10;

/// How many pages a pass that sent so many requests may look at again.
pub(super) fn granted(requests: u64) -> u64 {
    1 + requests / SHARE
}

impl Ring {
    /// The floor of the stretch, and how far down its present round came.
    pub(super) fn left(self, pin: MessageTs, standing: &mut Standing) -> (MessageTs, MessageTs) {
        let floor = self.reach_seconds.map_or(MessageTs::MIN, |seconds| pin.minus_seconds(seconds));
        (floor, (self.of)(standing).position.map_or(pin, MessageTs::from_micros))
    }
}

/// The rings of a channel that are due, with when each was last done.
pub(super) fn due(standing: &mut Standing, now: UtcTime) -> Vec<(Option<UtcTime>, Ring)> {
    let mut out = Vec::new();
    for ring in RINGS {
        let audit = (ring.of)(standing);
        let waited = audit.done_at.map_or(chrono::TimeDelta::MAX, |at| now - at);
        if audit.position.is_some() || waited >= chrono::TimeDelta::hours(ring.due_hours) {
            out.push((audit.done_at, ring));
        }
    }
    out
}

/// Looks again at what has waited longest. The first page is granted whatever the budget, or a
/// standing limit stalls the audit for ever (6.10).
pub(super) async fn slice(pass: &Pass<'_>, tasks: &[ChannelTask], out: &mut Walked) -> Result<(), Error> {
    let now = pass.options.clock.now();
    let mut all = Vec::new();
    for task in tasks {
        let Some(row) = pass.store.walk(pass.account, pass.source, &task.id)? else { continue };
        let Some(pin) = row.pin.filter(|_| row.result == crate::store::WalkResult::Complete) else { continue };
        let mut standing = row.standing;
        all.extend(due(&mut standing, now).into_iter().map(|(done_at, ring)| (done_at, ring, task, pin)));
    }
    all.sort_by_key(|(done_at, ring, ..)| (*done_at, ring.due_hours));
    let mut granted = granted(pass.requests());
    for (_, ring, task, pin) in all {
        while granted > 0 {
            if !pass.first_audit.swap(false, std::sync::atomic::Ordering::Relaxed) && pass.is_over() {
                return Ok(());
            }
            granted -= 1;
            if unit(pass, task, ring, pin, now, out).await? {
                break;
            }
        }
    }
    Ok(())
}

/// One page of a ring. Whether the ring's round is at its end.
async fn unit(
    pass: &Pass<'_>,
    task: &ChannelTask,
    ring: Ring,
    pin: MessageTs,
    now: UtcTime,
    out: &mut Walked,
) -> Result<bool, Error> {
    let Some(mut row) = pass.store.walk(pass.account, pass.source, &task.id)? else { return Ok(true) };
    let (floor, top) = ring.left(pin, &mut row.standing);
    let audit = (ring.of)(&mut row.standing);
    let began = audit.began_at.filter(|_| audit.position.is_some()).unwrap_or(now);
    let page = read_page(pass, task, floor, top, None).await?;
    let last = page.lowest(floor, top);
    let ended = page.is_end(None, last) || last.is_none();
    let bottom = if ended { floor } else { last.unwrap_or(floor) };
    keep(pass, task, &page, out).await?;
    if !page.disordered {
        let seen: HashSet<MessageTs> = page.stamps.iter().copied().collect();
        if !absence::settle(pass, task, bottom, top, &seen, out).await? {
            return Ok(true);
        }
    }
    let audit = (ring.of)(&mut row.standing);
    if ended {
        *audit = Audit { position: None, began_at: None, done_at: Some(began) };
    } else {
        let next = last.filter(|last| *last < top).unwrap_or_else(|| bottom.before());
        *audit = Audit { position: Some(next.micros()), began_at: Some(began), done_at: audit.done_at };
    }
    pass.append(Batch { records: Vec::new(), changes: vec![StateChange::Walk(row)] }).await?;
    Ok(ended)
}
