//! Where a record is from, in plain words.

use super::view::Moment;
use crate::history::Item;
use crate::model::{MessageTs, UtcTime};
use crate::record::{Kind, LIVE, Origin, Record};
use crate::web::desk::Desk;
use crate::web::markup::visible;
use crate::web::words::{Words, grouped};

/// The sentences about a record: who was shown it, how, when, and what we did to it.
pub(super) fn provenance(desk: &Desk, item: &Item, record: &Record) -> Vec<String> {
    let (w, header) = (desk.w, &record.header);
    let at = Moment::parse(&header.observed_at, desk.zone).full;
    let (account, via) = (visible(&header.account), visible(&header.via));
    let mut out = Vec::new();
    let (origin, is_supplied) = match &header.first {
        Some(first) => (first.origin, true),
        None => (header.origin, header.origin == Origin::Imported),
    };
    out.push(match origin {
        Origin::Noted if account.is_empty() => w.with("from-own-note", at),
        Origin::Noted => w.with_three("from-note", account, via, at),
        _ if header.via == LIVE => w.with_two("from-event", account, at),
        _ if account.is_empty() => w.with_two("from-reply", via, at),
        _ => w.with_three("from-reply-to", account, via, at),
    });
    if is_supplied {
        out.push(match &header.first {
            Some(first) => w.with_three("from-set", grouped(first.record), visible(&first.log), &first.bag),
            None => w.say("from-outside"),
        });
    }
    if header.kind == Kind::Message
        && header.version == 1
        && header.origin != Origin::Noted
        && let Some(ts) = MessageTs::parse(&item.key)
    {
        out.extend(delay(w, ts.time(), header.observed()).map(|delay| w.with("from-later", delay)));
    }
    // A note is our own text.
    if origin != Origin::Noted {
        out.push(match header.tickets {
            0 => w.say("from-as-received"),
            tickets => w.count("from-tickets", tickets),
        });
    }
    out
}

/// How long after the one the other was, in words; nothing when clocks contradict it.
fn delay(w: &Words, from: UtcTime, to: UtcTime) -> Option<String> {
    let seconds = (to - from).num_seconds();
    Some(match seconds {
        ..0 => return None,
        0..120 => w.count("delay-seconds", seconds),
        120..7200 => w.count("delay-minutes", seconds / 60),
        7200..172_800 => w.count("delay-hours", seconds / 3600),
        _ => w.count("delay-days", seconds / 86400),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::words;

    #[test]
    fn a_delay_is_told_in_the_measure_that_fits_it() {
        let at = |seconds| UtcTime::from_timestamp(seconds, 0).unwrap();
        for (seconds, due) in [
            (0, Some("0 seconds")),
            (1, Some("1 second")),
            (119, Some("119 seconds")),
            (120, Some("2 minutes")),
            (7199, Some("119 minutes")),
            (7200, Some("2 hours")),
            (200_000, Some("2 days")),
            (-1, None),
        ] {
            assert_eq!(delay(words(), at(1000), at(1000 + seconds)).as_deref(), due, "{seconds}");
        }
    }
}
