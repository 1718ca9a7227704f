//! One channel's walk: newest to oldest between a floor and a pin, page by page, each page and the
//! place it reached committed together (protocol notes (b), steps 2 and 6.1–6.6).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Error;
use super::absence;
use super::files::FileSight;
use super::live::HISTORY;
use super::page::{read_page, to_batch};
use super::pass::{ChannelTask, Pass};
use super::pins::unsaid_reactions;
use crate::api;
use crate::model::{MessageTs, UtcTime};
use crate::store::{Batch, InFlight, Standing, StateChange, WalkResult, WalkRow};

/// How far below the pin a walk goes (protocol notes (b), "Re-walk tiers").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Message stamps of servers that count local time can fall back by an hour (1.2).
    Margin,
    /// The newest day, hourly.
    Day,
    /// The newest week, daily.
    Week,
    /// All there is.
    Beginning,
}

impl Reach {
    /// What is due for a channel now.
    pub(super) fn due(is_full: bool, task: &ChannelTask, now: UtcTime) -> Self {
        let is_due = |last: Option<UtcTime>, every| last.is_none_or(|last| now - last >= every);
        if is_full || task.pin.is_none() || !task.is_trusted {
            Self::Beginning
        } else if is_due(task.standing.week_at, chrono::TimeDelta::days(1)) {
            Self::Week
        } else if is_due(task.standing.day_at, chrono::TimeDelta::hours(1)) {
            Self::Day
        } else {
            Self::Margin
        }
    }

    /// Where the walk ends. What disappeared at once is looked for again where it was missed:
    /// `tripped` are the floors of those stretches.
    pub(super) fn floor(self, pin: Option<MessageTs>, tripped: Option<&Vec<MessageTs>>) -> MessageTs {
        tripped.into_iter().flatten().copied().fold(self.nominal_floor(pin), MessageTs::min)
    }

    fn nominal_floor(self, pin: Option<MessageTs>) -> MessageTs {
        let seconds = match self {
            Self::Margin => 65 * 60,
            Self::Day => 24 * 60 * 60,
            Self::Week => 7 * 24 * 60 * 60,
            Self::Beginning => return MessageTs::MIN,
        };
        pin.map_or(MessageTs::MIN, |pin| pin.minus_seconds(seconds))
    }

    /// Notes that a walk of this reach, begun at `began`, saw all it should.
    pub(super) fn done(self, standing: &mut Standing, began: UtcTime) {
        if self >= Self::Day {
            standing.day_at = Some(began);
        }
        if self >= Self::Week {
            standing.week_at = Some(began);
        }
        if self == Self::Beginning {
            for audit in [&mut standing.month, &mut standing.all] {
                audit.position = None;
                audit.done_at = Some(began);
            }
        }
    }
}

/// What a walk gave.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Files that its messages name, with what was seen of each.
    pub(super) files: BTreeMap<String, FileSight>,
    /// Whether anything in the window was new or different.
    pub(super) changed: bool,
    /// The budget ran out before the end.
    pub(super) cut_off: bool,
    /// Messages that say nothing of the reactions on them, where the server has to be asked.
    pub(super) unsaid: BTreeSet<MessageTs>,
}

/// The walk that goes on where it was cut off: a first one. A later one is short and begins again,
/// because only a walk seen from pin to floor can say what was absent from it.
pub(super) fn resumed(is_full: bool, task: &ChannelTask) -> Option<&InFlight> {
    task.standing.in_flight.as_ref().filter(|_| !is_full && task.pin.is_none())
}

/// Walks a channel from the newest message down to the floor.
pub(super) async fn walk(pass: &Pass<'_>, task: &ChannelTask) -> Result<Walked, Error> {
    let began = pass.options.clock.now();
    let mut standing = task.standing.clone();
    standing.in_flight = None;
    let resumed = resumed(pass.options.full, task);
    let owed = pass.changed_history.get(&task.id);
    let reach = Reach::due(pass.options.full || owed.is_some(), task, began);
    let floor = match &resumed {
        Some(walk) => MessageTs::from_micros(walk.floor),
        None => reach.floor(task.pin, pass.tripped.get(&task.id)),
    };
    let mut pin = resumed.as_ref().and_then(|walk| walk.pin).map(MessageTs::from_micros);
    let mut cursor = resumed.as_ref().map_or(MessageTs::MAX, |walk| MessageTs::from_micros(walk.cursor));
    let mut seen: Option<HashSet<MessageTs>> = resumed.is_none().then(HashSet::new);
    let mut previous: Option<MessageTs> = resumed.as_ref().map(|_| cursor);
    // Live events tell of messages above the last walk's pin. What was archived before the first
    // page was asked for and is absent from it is missing, however new it is.
    let newest = pass.store.newest_message(pass.source, &task.id)?;
    let mut out = Walked::default();
    let mut order_proved = true;
    let mut without_progress = 0;
    let mut first_unit = true;
    loop {
        if !first_unit && pass.is_over() {
            out.cut_off = true;
            return Ok(out);
        }
        first_unit = false;
        let page = read_page(pass, task, floor, cursor, previous).await?;
        if page.seam {
            // The message the last page ended with is gone or moved; what is below it still comes.
            tracing::debug!(channel.id = %task.id, "the walk's seam does not match");
        }
        if page.disordered {
            order_proved = false;
            pass.find("disorder", task, "messages came outside the order or the bounds that were asked for; all were kept, and the whole channel is walked again by the next pass");
        }
        if pin.is_none() {
            pin = page.stamps.iter().max().copied();
        }
        if let Some(seen) = &mut seen {
            seen.extend(&page.stamps);
        }
        let last = page.lowest(floor, cursor);
        let ended = page.is_end(previous, last);
        let turn = pass.appender.turn(&task.id).await;
        let mut batch = to_batch(pass, task, &page, &mut out)?;
        if out.changed {
            // Files and pins are to be read again, whatever becomes of this pass.
            standing.sides_at = None;
        }
        // A walk that goes down to the beginning for a reason does so until it comes to its end.
        let under_way = if task.is_trusted { WalkResult::UnderWay } else { task.result };
        if ended {
            if out.changed {
                let mut now = standing.clone();
                now.in_flight = now.in_flight.or_else(|| task.standing.in_flight.clone());
                batch.changes.push(StateChange::Walk(row(pass, task, task.pin, &now, None, under_way)));
            }
            pass.append_in_turn(batch, turn).await?;
            unsaid_reactions(pass, task, &mut out).await?;
            break;
        }
        let next = match last {
            Some(last) if last < cursor => {
                without_progress = 0;
                last
            }
            // The whole page bears one time stamp, or the server repeats itself: step below it
            // rather than ask for the same page for ever.
            Some(last) => {
                without_progress += 1;
                order_proved = false;
                pass.find("tie_overflow", task, "more messages bear one time stamp than a page holds");
                last.before()
            }
            None => {
                without_progress += 2;
                cursor
            }
        };
        standing.in_flight =
            Some(InFlight { floor: floor.micros(), pin: pin.map(MessageTs::micros), cursor: next.micros() });
        batch.changes.push(StateChange::Walk(row(pass, task, task.pin, &standing, None, under_way)));
        // The commit point of a page: its records and the cursor below it, or neither.
        pass.append_in_turn(batch, turn).await?;
        unsaid_reactions(pass, task, &mut out).await?;
        if without_progress > 1 {
            let detail = "it gives the same messages, or none whose time stamp can be read, again and again";
            return Err(api::Error::Broken { method: "channels.history".to_owned(), detail: detail.to_owned() }.into());
        }
        previous = Some(next);
        cursor = next;
    }
    let pin = pin.max(task.pin);
    let compared_from = pass.store.head()?;
    if let (Some(seen), Some(top)) = (&seen, pin.max(newest)) {
        if !order_proved {
            absence::note_unseen(pass, task, floor, top, seen).await?;
        } else if !absence::settle(pass, task, floor, top, seen, &mut out).await? {
            out.cut_off = true;
            return Ok(out);
        }
    }
    standing.in_flight = None;
    if out.changed {
        standing.sides_at = None;
    }
    let result = if !order_proved {
        WalkResult::OrderNotProved
    } else if seen.is_none() && pass.has_others(&task.id) {
        WalkResult::InParts
    } else {
        WalkResult::Complete
    };
    // A walk in parts saw its first part who knows when: the audit looks at it soon.
    if order_proved && seen.is_some() {
        reach.done(&mut standing, began);
    }
    let now = pass.options.clock.now();
    let mut changes = vec![StateChange::Walk(row(pass, task, pin, &standing, Some(now), result))];
    changes.push(StateChange::Paid { kind: "channel", key: pass.debt_key(task) });
    if order_proved && seen.is_some() {
        let paid = owed.into_iter().flatten().map(|key| StateChange::Paid { kind: HISTORY, key: key.clone() });
        changes.extend(paid);
    }
    let order = pass.debt_key(task);
    changes.push(if order_proved {
        StateChange::Paid { kind: "order", key: order }
    } else {
        let reason = "its messages came out of order; the next pass walks it whole".to_owned();
        StateChange::Owed { kind: "order", key: order, reason, at: now }
    });
    let turn = pass.appender.turn(&task.id).await;
    if let Some(seen) = &seen {
        changes.extend(absence::added_meanwhile(pass, task, compared_from, pin, seen)?);
    }
    // The commit point of a walk: only here does the pin move, over a window walked to its end and
    // looked through for what was missing.
    pass.append_in_turn(Batch { records: Vec::new(), changes }, turn).await?;
    Ok(out)
}

fn row(
    pass: &Pass<'_>,
    task: &ChannelTask,
    pin: Option<MessageTs>,
    standing: &Standing,
    walked_until: Option<UtcTime>,
    result: WalkResult,
) -> WalkRow {
    WalkRow {
        account: pass.account.to_owned(),
        source: pass.source,
        channel: task.id.clone(),
        pin,
        standing: standing.clone(),
        walked_until: walked_until.or(task.walked_until),
        result,
        run: pass.run,
    }
}

/// The row of a channel that was never walked, so that it counts as a gap until it is.
pub(super) fn not_begun(pass: &Pass<'_>, task: &ChannelTask) -> StateChange {
    StateChange::Walk(row(pass, task, None, &Standing::default(), None, WalkResult::NotBegun))
}
