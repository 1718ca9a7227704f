//! `channels.history`: which messages a window and a count select.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::sandbox::faults::Fault;
use crate::sandbox::ids::Ts;
use crate::sandbox::params::Params;
use crate::sandbox::workspace::state::State;
use crate::sandbox::workspace::{Refusal, Workspace};

/// The bounds and the size that a call asks for.
pub(in crate::sandbox) struct Window {
    oldest: Option<Ts>,
    latest: Option<Ts>,
    is_inclusive: bool,
    count: usize,
}

/// What a window selects.
pub(in crate::sandbox) struct Selection {
    /// Positions in the channel, newest first.
    pub(in crate::sandbox) positions: Vec<usize>,
    pub(in crate::sandbox) has_more: bool,
}

fn bound(params: &Params, name: &str, error: &'static str) -> Result<Option<Ts>, Refusal> {
    let Some(text) = params.get(name) else {
        return Ok(None);
    };
    let ts = Ts::parse(text).ok_or(Refusal(error))?;
    Ok((ts != Ts::default()).then_some(ts))
}

impl Window {
    pub(in crate::sandbox) fn read(params: &Params) -> Result<Self, Refusal> {
        Ok(Self {
            oldest: bound(params, "oldest", "invalid_ts_oldest")?,
            latest: bound(params, "latest", "invalid_ts_latest")?,
            is_inclusive: params.flag("inclusive"),
            count: params.number("count", 100).clamp(1, 1000),
        })
    }

    fn range(&self, state: &State, channel: usize) -> Range<usize> {
        let messages = &state.channels[channel].messages;
        let start = self.oldest.map_or(0, |oldest| {
            messages.partition_point(|message| message.ts < oldest || (!self.is_inclusive && message.ts == oldest))
        });
        let end = self.latest.map_or(messages.len(), |latest| {
            messages.partition_point(|message| message.ts < latest || (self.is_inclusive && message.ts == latest))
        });
        start..end.max(start)
    }

    /// The page of a channel. With `oldest` alone it is the one closest to `oldest`, else the
    /// one closest to `latest`.
    pub(in crate::sandbox) fn select(&self, call: Call<'_>, state: &State, channel: usize) -> Selection {
        let messages = &state.channels[channel].messages;
        let shown = |at: &usize| call.shows(state, channel, &messages[*at]);
        let range = self.range(state, channel);
        let is_forward = self.oldest.is_some() && self.latest.is_none();
        let mut positions: Vec<usize> = if is_forward {
            range.filter(shown).take(self.count + 1).collect()
        } else {
            range.rev().filter(shown).take(self.count + 1).collect()
        };
        let has_more = positions.len() > self.count;
        positions.truncate(self.count);
        if is_forward {
            positions.reverse();
        }
        Selection { positions, has_more }
    }
}

fn echo(params: &Params, name: &str) -> Value {
    json!(params.get(name).unwrap_or("0.000000"))
}

pub(super) fn history(call: Call<'_>) -> Answer {
    let (mut body, drift) = {
        let state = call.workspace().read();
        let channel = call.readable_channel(&state)?;
        let window = Window::read(call.params)?;
        let mut selection = window.select(call, &state, channel);
        if call.faults().hits(Fault::Unordered) {
            shuffle(call, &mut selection.positions);
        }
        let messages: Vec<Value> = selection
            .positions
            .iter()
            .map(|at| {
                let message = &state.channels[channel].messages[*at];
                state.message_json(channel, message, Some(call.caller))
            })
            .collect();
        // Nobody posts in an archived channel.
        let can_drift = selection.has_more && !state.channels[channel].is_archived;
        let drift = (can_drift && call.faults().hits(Fault::PageDrift))
            .then(|| (channel, selection.positions.last().map(|at| state.channels[channel].messages[*at].ts)));
        let has_more = selection.has_more && !call.faults().hits(Fault::SilentHasMore);
        let body = json!({
            "messages": messages,
            "latest": echo(call.params, "latest"),
            "oldest": echo(call.params, "oldest"),
            "has_more": has_more,
        });
        (body, drift)
    };
    if call.params.flag("unreads") {
        body["unread_count_display"] = json!(0);
    }
    if let Some((channel, Some(last))) = drift {
        move_page(call.workspace(), channel, last);
    }
    Ok(body)
}

fn shuffle(call: Call<'_>, positions: &mut [usize]) {
    for at in (1..positions.len()).rev() {
        positions.swap(at, call.faults().below(at + 1));
    }
}

/// Between two pages somebody posts, and the message at the seam goes.
fn move_page(workspace: &Workspace, channel: usize, last: Ts) {
    workspace.change(|state| {
        // Gone already when another page drifted at the same seam: nothing to do then.
        let Some(at) = state.channels[channel].find_alive(last) else {
            return;
        };
        let user = state.channels[channel].messages[at].user;
        let _gone = state.delete(channel, last, None);
        state.post(channel, user, "posted between two pages", "", workspace.faults());
    });
}
