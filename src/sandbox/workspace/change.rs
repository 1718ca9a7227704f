//! How a workspace changes. Each change leaves its real-time events behind.

use serde_json::{Value, json};

use super::build;
use super::state::{Audience, Channel, Comment, Message, More, Parent, Remark, State};
use super::{Outcome, Refusal, now};
use crate::sandbox::faults::{Fault, Faults};
use crate::sandbox::ids::{self, Ts};
use crate::sandbox::seed::SeedMessage;

/// The highest number of a second.
const LAST_COUNTER: u32 = u16::MAX as u32;

/// How many items one second takes after its counter has wrapped.
const MAX_WRAPPED: u32 = 50;

impl State {
    /// A fresh time stamp: higher than any the server minted before.
    pub(in crate::sandbox) fn mint(&mut self) -> Ts {
        let (counter, wrapped) = self.counter.overflowing_add(1);
        self.counter = counter;
        let seconds = now().max(self.last.seconds) + i64::from(wrapped);
        self.last = Ts { seconds, fraction: u32::from(counter) };
        self.last
    }

    /// A time stamp for a new item of a channel, with the oddities that faults ask for.
    fn mint_for(&mut self, channel: usize, faults: &Faults) -> Ts {
        let newest = self.channels[channel].messages.last().map(|last| last.ts);
        if faults.hits(Fault::CounterWrap) {
            let ts = self.wrapped(channel, newest);
            self.last.seconds = self.last.seconds.max(ts.seconds);
            return ts;
        }
        let mut ts = self.mint();
        if let Some(newest) = newest {
            if faults.hits(Fault::TsTie) {
                return newest;
            }
            if faults.hits(Fault::DstRepeat) {
                // The clock was put back: at most an hour, whatever the newest says.
                let back = i64::try_from(faults.below(3600)).expect("an hour is short") + 1;
                return Ts { seconds: newest.seconds - back, ..ts };
            }
            if ts <= newest {
                ts.seconds = newest.seconds + 1;
                self.last = ts;
            }
        }
        ts
    }

    /// A time stamp of a second that is over, free in its channel.
    pub(super) fn mint_at(&mut self, channel: usize, at: i64) -> Ts {
        let mut ts = Ts { seconds: at, fraction: self.mint().fraction };
        while self.channels[channel].find(ts).is_some() {
            ts.fraction = (ts.fraction + 1) % (LAST_COUNTER + 1);
        }
        ts
    }

    /// The last number of a second, then the first numbers of the same second, some of them.
    fn wrapped(&self, channel: usize, newest: Option<Ts>) -> Ts {
        let stream = &self.channels[channel].messages;
        let mut seconds = now();
        if let Some(newest) = newest {
            let start = stream.partition_point(|message| message.ts.seconds < newest.seconds);
            let below = u32::try_from(stream.len() - start - 1).unwrap_or(MAX_WRAPPED);
            if newest.fraction == LAST_COUNTER && below < MAX_WRAPPED {
                let mut ts = Ts { seconds: newest.seconds, fraction: below };
                // Another item of that second may have the number already.
                while self.channels[channel].find(ts).is_some() {
                    ts.fraction += 1;
                }
                return ts;
            }
            seconds = seconds.max(newest.seconds + 1);
        }
        Ts { seconds, fraction: LAST_COUNTER }
    }

    /// Puts an item into the stream of a channel.
    pub(in crate::sandbox) fn append(&mut self, channel: usize, mut message: Message, faults: &Faults) -> Ts {
        if message.ts == Ts::default() {
            message.ts = self.mint_for(channel, faults);
        }
        let ts = message.ts;
        let user = message.user;
        if is_lengthened(&message) && faults.lengthens(&self.channels[channel].id, ts) {
            message.more_mut().is_long = true;
        }
        let stream = &mut self.channels[channel].messages;
        let at = stream.partition_point(|known| known.ts <= ts);
        stream.insert(at, message);
        let audience = self.audience_of(channel, at);
        let mut body = self.message_json(channel, &self.channels[channel].messages[at], None);
        body["channel"] = json!(self.channels[channel].id);
        body["event_ts"] = json!(ts.to_string());
        self.push_event(audience, &body);
        self.users[user].last_activity = now();
        ts
    }

    pub(in crate::sandbox) fn post(
        &mut self,
        channel: usize,
        user: usize,
        text: &str,
        subtype: &str,
        faults: &Faults,
    ) -> Ts {
        let message = Message { user, text: text.to_owned(), subtype: subtype.to_owned(), ..Message::default() };
        self.append(channel, message, faults)
    }

    pub(super) fn post_seed(&mut self, seed: SeedMessage, faults: &Faults) -> Outcome<()> {
        let channel = self.channel_by_name(&seed.channel).ok_or(Refusal("channel_not_found"))?;
        let ts = if !seed.ts.is_empty() {
            Ts::parse(&seed.ts).ok_or(Refusal("bad_timestamp"))?
        } else if seed.at != 0 {
            self.mint_at(channel, seed.at)
        } else {
            self.mint_for(channel, faults)
        };
        let label = seed.label.clone();
        let message =
            build::message_from_seed(self, channel, seed, ts).map_err(|_unknown| Refusal("user_not_found"))?;
        let files = message.files().to_vec();
        for file in &files {
            self.trick_name(*file, faults);
        }
        self.append(channel, message, faults);
        for file in files {
            self.file_event("file_shared", file);
        }
        if !label.is_empty() {
            self.labels.insert(label, (channel, ts));
        }
        Ok(())
    }

    fn audience_of(&self, channel: usize, at: usize) -> Audience {
        let message = &self.channels[channel].messages[at];
        let whisper_to = message.more.as_deref().and_then(|more| more.whisper_to);
        Audience::Item { channel, ts: message.ts, author: message.user, whisper_to }
    }

    /// Who hears of a channel as a whole.
    pub(super) fn listeners(&self, channel: usize) -> Vec<usize> {
        let mut listeners = self.channels[channel].members.clone();
        // The archiver's account of a corpus is no counted member.
        if self.is_member(channel, self.account) && !listeners.contains(&self.account) {
            listeners.push(self.account);
        }
        listeners
    }

    /// The event that tells a change of one message.
    fn hidden_event(&mut self, channel: usize, at: usize, subtype: &str, rest: (&str, Value)) {
        let ts = self.mint().to_string();
        let mut body = json!({
            "type": "message",
            "subtype": subtype,
            "hidden": true,
            "channel": self.channels[channel].id,
            "ts": ts,
            "event_ts": ts,
        });
        body[rest.0] = rest.1;
        let audience = self.audience_of(channel, at);
        self.push_event(audience, &body);
    }

    pub(in crate::sandbox) fn edit(&mut self, channel: usize, ts: Ts, user: Option<usize>, text: &str) -> Outcome<()> {
        let at = self.alive(channel, ts)?;
        let edited_at = self.mint();
        let message = &mut self.channels[channel].messages[at];
        let editor = user.unwrap_or(message.user);
        let old = message.shown_text().into_owned();
        text.clone_into(&mut message.text);
        let more = message.more_mut();
        more.older.push(old);
        more.edited = Some((editor, edited_at));
        let body = self.message_json(channel, &self.channels[channel].messages[at], None);
        self.hidden_event(channel, at, "message_changed", ("message", body));
        let message = &self.channels[channel].messages[at];
        if let Some(Parent::File(file)) = message.comment().map(|comment| comment.parent) {
            let body = json!({
                "type": "file_comment_edited",
                "file": self.file_json(file, super::view::FileView::Stream(channel), self.account),
                "comment": self.comment_json(channel, message, true),
            });
            self.push_event(Audience::Channel(channel), &body);
        }
        Ok(())
    }

    pub(in crate::sandbox) fn delete(&mut self, channel: usize, ts: Ts, user: Option<usize>) -> Outcome<()> {
        let at = self.alive(channel, ts)?;
        let deleted_at = self.mint();
        let message = &mut self.channels[channel].messages[at];
        message.is_deleted = true;
        let by = user.unwrap_or(message.user);
        message.more_mut().deleted_by = Some((by, deleted_at));
        let deleted_ts = json!(ts.to_string());
        self.hidden_event(channel, at, "message_deleted", ("deleted_ts", deleted_ts));
        let message = &self.channels[channel].messages[at];
        if let Some(comment) = message.comment()
            && let Parent::File(file) = comment.parent
        {
            let body = json!({
                "type": "file_comment_deleted",
                "file": self.file_json(file, super::view::FileView::Stream(channel), self.account),
                "comment": comment.id,
            });
            self.push_event(Audience::Channel(channel), &body);
        }
        Ok(())
    }

    pub(in crate::sandbox) fn restore(&mut self, channel: usize, ts: Ts) -> Outcome<()> {
        let at = self.channels[channel].find(ts).ok_or(Refusal("message_not_found"))?;
        let message = &mut self.channels[channel].messages[at];
        message.is_deleted = false;
        message.more_mut().deleted_by = None;
        self.history_changed(channel, ts);
        Ok(())
    }

    /// Removes the oldest share of each channel, as a server's own retention does: no events
    /// but one for each channel.
    pub(super) fn sweep(&mut self, share: f64) {
        for index in 0..self.channels.len() {
            let channel = &mut self.channels[index];
            let limit = (share * as_float(channel.messages.len())).floor();
            let mut latest = None;
            for (at, message) in channel.messages.iter_mut().enumerate() {
                if as_float(at) >= limit {
                    break;
                }
                if !message.is_deleted {
                    message.is_deleted = true;
                    latest = Some(message.ts);
                }
            }
            if let Some(latest) = latest {
                self.history_changed(index, latest);
            }
        }
    }

    /// Tells that much has changed up to `latest`.
    fn history_changed(&mut self, channel: usize, latest: Ts) {
        let body = json!({
            "type": "channel_history_changed",
            "channel": self.channels[channel].id,
            "latest": latest.to_string(),
            "ts": self.mint().to_string(),
        });
        self.push_event(Audience::Channel(channel), &body);
    }

    /// Makes the texts long that the fault has chosen. What was shown before is a version.
    pub(super) fn lengthen(&mut self, faults: &Faults, is_start: bool) {
        for index in 0..self.channels.len() {
            let Channel { id, messages, .. } = &mut self.channels[index];
            let mut latest = None;
            for message in messages {
                let is_long = message.more.as_deref().is_some_and(|more| more.is_long);
                if is_long || message.is_deleted || !is_lengthened(message) || !faults.lengthens(id, message.ts) {
                    continue;
                }
                let text = message.text.clone();
                let more = message.more_mut();
                more.is_long = true;
                if !is_start {
                    more.older.push(text);
                }
                latest = Some(message.ts);
            }
            if let Some(latest) = latest {
                self.history_changed(index, latest);
            }
        }
    }

    /// Gives the files their names that the fault has chosen.
    pub(super) fn trick_names(&mut self, faults: &Faults) {
        for file in 0..self.files.len() {
            // One without an id hasn't been shared yet.
            if !self.files[file].id.is_empty() && !self.files[file].is_deleted && self.trick_name(file, faults) {
                self.file_event("file_change", file);
            }
        }
    }

    /// Takes channels from their members, or gives them back, as the fault now says.
    pub(super) fn lose_channels(&mut self, faults: &Faults) {
        for channel in 0..self.channels.len() {
            let is_lost = self.is_lost(channel, faults);
            let was_lost = if is_lost { !self.lost.insert(channel) } else { self.lost.remove(&channel) };
            if is_lost == was_lost || self.channels[channel].is_im || self.channels[channel].is_removed {
                continue;
            }
            for user in self.listeners(channel) {
                if is_lost {
                    self.left_event(channel, user);
                } else {
                    self.channel_event("channel_joined", channel, user, Audience::Users(vec![user]));
                }
            }
        }
    }

    pub(in crate::sandbox) fn alive(&self, channel: usize, ts: Ts) -> Outcome<usize> {
        self.channels[channel].find_alive(ts).ok_or(Refusal("message_not_found"))
    }

    pub(in crate::sandbox) fn comment_id(&self, channel: usize, ts: Ts) -> String {
        let channel = &self.channels[channel];
        channel
            .find(ts)
            .and_then(|at| channel.messages[at].comment())
            .map(|comment| comment.id.clone())
            .unwrap_or_default()
    }

    fn comment_item(&mut self, user: usize, text: &str, ts: Ts, parent: Parent) -> Message {
        let subtype = match parent {
            Parent::File(_) => "file_comment",
            Parent::Message(_) => "message_comment",
        };
        Message {
            ts,
            user,
            text: text.to_owned(),
            subtype: subtype.to_owned(),
            more: Some(Box::new(More {
                comment: Some(Comment { id: ids::item_id(ts, self.settings.id_clock), parent }),
                ..More::default()
            })),
            ..Message::default()
        }
    }

    pub(in crate::sandbox) fn comment_on_file(
        &mut self,
        file: usize,
        user: usize,
        text: &str,
        faults: &Faults,
    ) -> Outcome<(usize, Ts)> {
        if self.files[file].is_deleted {
            return Err(Refusal("file_deleted"));
        }
        let channels = &self.files[file].channels;
        let channel = channels.iter().copied().find(|channel| !self.channels[*channel].is_removed);
        let channel = channel.ok_or(Refusal("channel_not_found"))?;
        let ts = self.mint();
        let item = self.comment_item(user, text, ts, Parent::File(file));
        self.comment_index.insert(ids::item_id(ts, self.settings.id_clock), (channel, ts));
        self.files[file].comments.push((channel, ts));
        self.append(channel, item, faults);
        let at = self.alive(channel, ts)?;
        let body = json!({
            "type": "file_comment_added",
            "file": self.file_json(file, super::view::FileView::Stream(channel), self.account),
            "comment": self.comment_json(channel, &self.channels[channel].messages[at], true),
        });
        self.push_event(Audience::Channel(channel), &body);
        Ok((channel, ts))
    }

    pub(in crate::sandbox) fn comment_on_message(
        &mut self,
        channel: usize,
        parent: Ts,
        user: usize,
        text: &str,
        faults: &Faults,
    ) -> Outcome<Ts> {
        let at = self.alive(channel, parent)?;
        let ts = self.mint();
        let item = self.comment_item(user, text, ts, Parent::Message(parent));
        self.comment_index.insert(ids::item_id(ts, self.settings.id_clock), (channel, ts));
        self.channels[channel].messages[at].more_mut().comments.push(ts);
        self.append(channel, item, faults);
        Ok(ts)
    }

    fn reaction_event(&mut self, kind: &str, channel: usize, at: usize, user: usize, name: &str) {
        let message = &self.channels[channel].messages[at];
        let body = json!({
            "type": kind,
            "user": self.users[user].id,
            "reaction": name,
            "item_user": self.users[message.user].id,
            "item": {
                "type": "message",
                "channel": self.channels[channel].id,
                "ts": message.ts.to_string(),
            },
            "event_ts": self.mint().to_string(),
        });
        let audience = self.audience_of(channel, at);
        self.push_event(audience, &body);
    }

    pub(in crate::sandbox) fn react(&mut self, channel: usize, ts: Ts, user: usize, name: &str) -> Outcome<()> {
        if name.is_empty() || name.chars().any(char::is_whitespace) {
            return Err(Refusal("invalid_name"));
        }
        let at = self.alive(channel, ts)?;
        let reactions = &mut self.channels[channel].messages[at].more_mut().reactions;
        let earlier = reactions.iter().position(|(_, who)| *who == user);
        if let Some(earlier) = earlier {
            if reactions[earlier].0 == name {
                return Err(Refusal("already_reacted"));
            }
            let (old, _) = reactions.remove(earlier);
            reactions.push((name.to_owned(), user));
            self.reaction_event("reaction_removed", channel, at, user, &old);
        } else {
            reactions.push((name.to_owned(), user));
        }
        self.reaction_event("reaction_added", channel, at, user, name);
        Ok(())
    }

    pub(in crate::sandbox) fn unreact(
        &mut self,
        channel: usize,
        ts: Ts,
        user: usize,
        name: Option<&str>,
    ) -> Outcome<()> {
        let at = self.alive(channel, ts)?;
        let reactions = &mut self.channels[channel].messages[at].more_mut().reactions;
        let found = reactions.iter().position(|(known, who)| *who == user && name.is_none_or(|name| name == known));
        let (old, _) = reactions.remove(found.ok_or(Refusal("no_reaction"))?);
        self.reaction_event("reaction_removed", channel, at, user, &old);
        Ok(())
    }

    fn pin_event(&mut self, kind: &str, channel: usize, at: usize, user: usize, is_global: bool) {
        let message = &self.channels[channel].messages[at];
        let item = json!({
            "type": "message",
            "channel": self.channels[channel].id,
            "message": self.message_json(channel, message, None),
        });
        let body = json!({
            "type": kind,
            "user": self.users[user].id,
            "channel_id": self.channels[channel].id,
            "item": item,
            "event_ts": self.mint().to_string(),
        });
        let audience = if is_global { self.audience_of(channel, at) } else { Audience::Users(vec![user]) };
        self.push_event(audience, &body);
    }

    pub(in crate::sandbox) fn pin(&mut self, channel: usize, ts: Ts, user: usize, is_global: bool) -> Outcome<()> {
        let at = self.alive(channel, ts)?;
        let more = self.channels[channel].messages[at].more_mut();
        let is_pinned = if is_global { more.pinned_by.is_some() } else { more.pinned_privately.contains(&user) };
        if is_pinned {
            return Err(Refusal("already_pinned"));
        }
        if is_global {
            more.pinned_by = Some(user);
        } else {
            more.pinned_privately.push(user);
        }
        self.pin_event("pin_added", channel, at, user, is_global);
        Ok(())
    }

    pub(in crate::sandbox) fn unpin(&mut self, channel: usize, ts: Ts, user: usize) -> Outcome<()> {
        let at = self.alive(channel, ts)?;
        let more = self.channels[channel].messages[at].more_mut();
        let is_private = more.pinned_privately.contains(&user);
        if is_private {
            more.pinned_privately.retain(|owner| *owner != user);
        } else if more.pinned_by.take().is_none() {
            return Err(Refusal("not_pinned"));
        }
        self.pin_event("pin_removed", channel, at, user, !is_private);
        Ok(())
    }

    /// An event with the channel as `caller` sees it.
    fn channel_event(&mut self, kind: &str, channel: usize, caller: usize, audience: Audience) {
        let body = json!({
            "type": kind,
            "channel": self.channel_json(channel, caller, false, true),
            "event_ts": self.mint().to_string(),
        });
        self.push_event(audience, &body);
    }

    /// A channel with `user` in it and, unless it is hidden, the account of the ready line.
    pub(in crate::sandbox) fn create_channel(&mut self, user: usize, name: &str, is_hidden: bool) -> usize {
        let index = self.channels.len();
        let ts = self.mint();
        let folder = ids::item_id(ts, self.settings.id_clock);
        let creator = format!("public-folders@{}", self.domain);
        let id = ids::channel_id(&creator, &folder);
        let mut members = vec![user];
        if !self.is_corpus && !is_hidden && user != self.account {
            members.push(self.account);
        }
        members.retain(|member| !self.users[*member].is_hidden);
        self.channel_index.insert(ids::canonical(&id), index);
        self.channels.push(Channel {
            id,
            name: name.to_owned(),
            created: ts.seconds,
            creator,
            folder,
            members,
            has_hidden_member: !is_hidden,
            is_hidden,
            ..Channel::default()
        });
        self.channel_event("channel_created", index, user, Audience::Channel(index));
        index
    }

    /// The direct conversation between two people, made when there is none.
    pub(in crate::sandbox) fn open_im(&mut self, user: usize, other: usize) -> (usize, bool) {
        let id = ids::im_id(&self.users[user].id, &self.users[other].id);
        if let Some(index) = self.channel_by_name(&id) {
            let closed_for = &mut self.channels[index].closed_for;
            let was_open = !closed_for.contains(&user);
            closed_for.retain(|owner| *owner != user);
            return (index, was_open);
        }
        let index = self.channels.len();
        self.channel_index.insert(ids::canonical(&id), index);
        self.channels.push(Channel {
            id,
            created: now(),
            creator: self.users[user].id.clone(),
            members: vec![user, other],
            is_im: true,
            ..Channel::default()
        });
        let body = json!({
            "type": "im_created",
            "user": self.users[user].id,
            "channel": self.im_json(index, user),
        });
        self.push_event(Audience::Users(vec![user, other]), &body);
        (index, false)
    }

    pub(in crate::sandbox) fn join(&mut self, channel: usize, user: usize, faults: &Faults) {
        if self.is_member(channel, user) {
            return;
        }
        if self.users[user].is_hidden {
            self.channels[channel].has_hidden_member = true;
        } else {
            self.channels[channel].members.push(user);
            let text = format!("<@{}> has joined the channel", self.users[user].id);
            self.post(channel, user, &text, "channel_join", faults);
            self.member_event("member_joined_channel", channel, user);
        }
        self.channel_event("channel_joined", channel, user, Audience::Users(vec![user]));
    }

    /// Tells the members who came or went.
    fn member_event(&mut self, kind: &str, channel: usize, user: usize) {
        let body = json!({
            "type": kind,
            "user": self.users[user].id,
            "channel": self.channels[channel].id,
            "event_ts": self.mint().to_string(),
        });
        self.push_event(Audience::Channel(channel), &body);
    }

    fn left_event(&mut self, channel: usize, user: usize) {
        let body = json!({ "type": "channel_left", "channel": self.channels[channel].id });
        self.push_event(Audience::Users(vec![user]), &body);
    }

    pub(in crate::sandbox) fn leave(&mut self, channel: usize, user: usize, faults: &Faults) -> Outcome<()> {
        self.part(channel, user, "has left the channel", faults)
    }

    /// Somebody is made to leave.
    pub(in crate::sandbox) fn kick(&mut self, channel: usize, user: usize, faults: &Faults) -> Outcome<()> {
        self.part(channel, user, "was removed from the channel", faults)
    }

    fn part(&mut self, channel: usize, user: usize, how: &str, faults: &Faults) -> Outcome<()> {
        if !self.is_member(channel, user) {
            return Err(Refusal("not_in_channel"));
        }
        if self.users[user].is_hidden {
            self.channels[channel].has_hidden_member = false;
        } else {
            self.channels[channel].members.retain(|member| *member != user);
            let text = format!("<@{}> {how}", self.users[user].id);
            self.post(channel, user, &text, "channel_leave", faults);
            self.member_event("member_left_channel", channel, user);
        }
        self.left_event(channel, user);
        Ok(())
    }

    pub(in crate::sandbox) fn rename_channel(&mut self, channel: usize, name: &str) {
        name.clone_into(&mut self.channels[channel].name);
        // Whoever hears it is a member.
        let member = self.listeners(channel).first().copied().unwrap_or(self.account);
        self.channel_event("channel_rename", channel, member, Audience::Channel(channel));
    }

    pub(super) fn set_archived(&mut self, channel: usize, is_archived: bool) {
        if self.channels[channel].is_archived == is_archived {
            return;
        }
        self.channels[channel].is_archived = is_archived;
        let kind = if is_archived { "channel_archive" } else { "channel_unarchive" };
        let body = json!({ "type": kind, "channel": self.channels[channel].id });
        self.push_event(Audience::Channel(channel), &body);
    }

    /// Removes a channel with all that is in it: nobody finds it again.
    pub(super) fn remove_channel(&mut self, channel: usize) {
        let listeners = self.listeners(channel);
        let body = json!({ "type": "channel_deleted", "channel": self.channels[channel].id });
        self.push_event(Audience::Users(listeners), &body);
        self.channel_index.retain(|_, index| *index != channel);
        let entry = &mut self.channels[channel];
        entry.is_removed = true;
        entry.name.clear();
        entry.members.clear();
        entry.has_hidden_member = false;
        for message in &mut entry.messages {
            message.is_deleted = true;
        }
    }

    pub(super) fn rename_user(&mut self, user: usize, name: &str) {
        name.clone_into(&mut self.users[user].real_name);
        self.user_event(user);
    }

    fn user_event(&mut self, user: usize) {
        let body = json!({ "type": "user_change", "user": self.user_json(user) });
        self.push_event(self.audience_of_user(user), &body);
    }

    /// Who hears of a person: nobody else when they are hidden.
    fn audience_of_user(&self, user: usize) -> Audience {
        let person = &self.users[user];
        if person.is_hidden || person.is_unlisted { Audience::Users(vec![user]) } else { Audience::Everyone }
    }

    /// Sets the topic or the purpose of a channel; a message says so.
    pub(in crate::sandbox) fn set_remark(
        &mut self,
        channel: usize,
        user: usize,
        kind: &'static str,
        value: &str,
        faults: &Faults,
    ) {
        let remark = Remark { value: value.to_owned(), creator: self.users[user].id.clone(), last_set: now() };
        let entry = &mut self.channels[channel];
        if kind == "topic" {
            entry.topic = remark;
        } else {
            entry.purpose = remark;
        }
        if self.users[user].is_hidden {
            return;
        }
        let message = Message {
            user,
            text: format!("<@{}> set the channel {kind}: {value}", self.users[user].id),
            subtype: format!("channel_{kind}"),
            more: Some(Box::new(More { extra: vec![(kind.to_owned(), json!(value))], ..More::default() })),
            ..Message::default()
        };
        self.append(channel, message, faults);
    }

    pub(super) fn close_account(&mut self, user: usize) {
        self.users[user].deleted = true;
        for token in self.tokens.values_mut() {
            if token.user == user {
                token.is_revoked = true;
            }
        }
        self.user_event(user);
    }

    pub(in crate::sandbox) fn set_presence(&mut self, user: usize, is_away: bool) {
        let person = &mut self.users[user];
        person.last_activity = now();
        if person.is_away == is_away {
            return;
        }
        person.is_away = is_away;
        let body = json!({
            "type": "presence_change",
            "user": person.id,
            "presence": if is_away { "away" } else { "active" },
        });
        self.push_event(self.audience_of_user(user), &body);
    }
}

/// Comments keep their length: they stand in two places.
fn is_lengthened(message: &Message) -> bool {
    message.comment().is_none() && !message.text.is_empty()
}

fn as_float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
