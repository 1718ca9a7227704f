//! The living workspace: a model of users, channels, items, files, pins and sessions.
//!
//! [`Workspace`] is the handle that tests, the control endpoints and the demo drive. Each change
//! goes through one write lock and leaves its events behind; reading never copies a channel.
//! Nothing here knows HTTP.

mod build;
mod change;
mod files;
pub(super) mod state;
#[cfg(test)]
mod tests;
mod truth;
pub(super) mod view;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch;

use self::state::State;
pub use self::truth::{InventoryItem, TruthItem};
use super::faults::{Fault, Faults};
use super::ids::{IdClock, Ts};
use super::seed::{Action, Content, Seed};

/// Variants of a server that the notes leave open.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Real booleans where the reference shows `"true"` and `"false"`.
    pub strict_bool: bool,
    /// `auth.test` tells a `bot_id`.
    pub bot_id: bool,
    /// `pins.list` wraps each message in `{type, message}`.
    pub wrapped_pins: bool,
    /// Messages do not show the reactions on them: only `reactions.get` does.
    pub bare_messages: bool,
    /// Tombstones and paging in the Atom feed.
    pub atom_extensions: bool,
    /// The plain login misses a comma, as printed in the reference.
    pub broken_login_json: bool,
    /// The clock inside item ids.
    pub id_clock: IdClock,
    /// Bad passwords until an account is locked; 0: never.
    pub lock_after: u32,
}

/// Why the workspace refuses, as the API's error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the workspace refuses with `{0}`")]
pub struct Refusal(pub &'static str);

/// A result of the workspace.
pub type Outcome<T> = Result<T, Refusal>;

/// A handle on the living workspace; cheap calls from any thread.
#[derive(Debug)]
pub struct Workspace {
    state: RwLock<State>,
    /// Number of the next event, so that sockets wake up.
    changed: watch::Sender<u64>,
    /// Wakes the sockets to their end.
    cut: watch::Sender<()>,
    faults: Arc<Faults>,
}

/// The time of the server's clock, Unix seconds.
#[expect(clippy::disallowed_methods, reason = "the simulated server has a clock of its own")]
pub(super) fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

impl Workspace {
    /// Builds a workspace from a seed. Time stamps and ids that the seed leaves out are minted.
    pub(super) fn new(
        seed: Seed,
        settings: Settings,
        faults: Arc<Faults>,
        password: String,
        secret: [u8; 16],
    ) -> anyhow::Result<Self> {
        let mut state = build::build(seed, settings, &faults)?;
        state.password = password;
        state.secret = secret;
        let workspace =
            Self { state: RwLock::new(state), changed: watch::Sender::new(0), cut: watch::Sender::new(()), faults };
        workspace.apply_standing_faults(Fault::ALL, true);
        Ok(workspace)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one change under the write lock, then wakes the sockets.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, next) = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let result = change(&mut state);
            (result, state.next_event)
        };
        self.changed.send_replace(next);
        result
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Told when all sockets are cut.
    pub(super) fn cuts(&self) -> watch::Receiver<()> {
        self.cut.subscribe()
    }

    /// Cuts every open real-time socket, without a goodbye. Returns how many there were.
    pub fn cut_sockets(&self) -> usize {
        let count = self.cut.receiver_count();
        self.cut.send_replace(());
        count
    }

    /// How many real-time sockets are open.
    pub fn open_sockets(&self) -> usize {
        self.cut.receiver_count()
    }

    /// Sets how often faults happen, and does at once what some of them do once.
    pub(super) fn set_faults(&self, rates: &[(Fault, f64)]) {
        for (fault, rate) in rates {
            self.faults.set(*fault, *rate);
        }
        let set: Vec<Fault> = rates.iter().map(|(fault, _)| *fault).collect();
        self.apply_standing_faults(&set, false);
    }

    /// Applies what a fault does once, when it is set, rather than on each request. At the start
    /// nobody has seen what was before.
    fn apply_standing_faults(&self, set: &[Fault], is_start: bool) {
        let is_on = |fault| set.contains(&fault) && self.faults.rate(fault) > 0.0;
        if is_on(Fault::HugeText) {
            self.change(|state| state.lengthen(&self.faults, is_start));
        }
        if is_on(Fault::PathTricks) {
            self.change(|state| state.trick_names(&self.faults));
        }
        if set.contains(&Fault::MembershipLoss) {
            self.change(|state| state.lose_channels(&self.faults));
        }
        let share = self.faults.rate(Fault::RetentionSweep);
        if is_on(Fault::RetentionSweep) {
            let share = if share >= 1.0 { 0.5 } else { share };
            self.change(|state| state.sweep(share));
        }
    }

    fn user(state: &State, user: &str) -> Outcome<usize> {
        state.user_by_name(user).ok_or(Refusal("user_not_found"))
    }

    fn channel(state: &State, channel: &str) -> Outcome<usize> {
        state.channel_by_name(channel).ok_or(Refusal("channel_not_found"))
    }

    fn file(state: &State, file: &str) -> Outcome<usize> {
        state.file_by_name(file).ok_or(Refusal("file_not_found"))
    }

    fn version(content: Content) -> Outcome<state::Version> {
        state::Version::new(build::stored(content)).map_err(|_unreadable| Refusal("no_file_data"))
    }

    fn ts(ts: &str) -> Outcome<Ts> {
        Ts::parse(ts).ok_or(Refusal("bad_timestamp"))
    }

    /// Posts a message and returns its time stamp.
    pub fn post(&self, channel: &str, user: &str, text: &str) -> Outcome<String> {
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            let ts = state.post(channel, user, text, "", &self.faults);
            Ok(ts.to_string())
        })
    }

    /// Posts a message with a time stamp of a second in the past (Unix seconds), as a server does
    /// that takes in an old history; returns its time stamp.
    pub fn post_at(&self, channel: &str, user: &str, text: &str, at: i64) -> Outcome<String> {
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            let ts = state.mint_at(channel, at);
            let message = state::Message { ts, user, text: text.to_owned(), ..state::Message::default() };
            Ok(state.append(channel, message, &self.faults).to_string())
        })
    }

    /// Posts a message that only its author and `to` can see.
    pub fn whisper(&self, channel: &str, user: &str, to: &str, text: &str) -> Outcome<String> {
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            let to = Self::user(state, to)?;
            let message = state::Message {
                user,
                text: text.to_owned(),
                more: Some(Box::new(state::More { whisper_to: Some(to), ..state::More::default() })),
                ..state::Message::default()
            };
            Ok(state.append(channel, message, &self.faults).to_string())
        })
    }

    /// Gives a message (or a comment in the stream) another text; by its author unless told.
    pub fn edit(&self, channel: &str, ts: &str, user: Option<&str>, text: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = (Self::channel(state, channel)?, Self::ts(ts)?);
            let user = user.map(|user| Self::user(state, user)).transpose()?;
            state.edit(channel, ts, user, text)
        })
    }

    /// Removes a message; by its author unless told.
    pub fn delete(&self, channel: &str, ts: &str, user: Option<&str>) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = (Self::channel(state, channel)?, Self::ts(ts)?);
            let user = user.map(|user| Self::user(state, user)).transpose()?;
            state.delete(channel, ts, user)
        })
    }

    /// Brings a removed message back.
    pub fn restore(&self, channel: &str, ts: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = (Self::channel(state, channel)?, Self::ts(ts)?);
            state.restore(channel, ts)
        })
    }

    /// Uploads a file into a channel; returns its id and the time stamp of its message.
    pub fn upload(&self, channel: &str, user: &str, name: &str, bytes: Vec<u8>) -> Outcome<(String, String)> {
        self.upload_content(channel, user, name, Content::Bytes(bytes))
    }

    /// Uploads a file of any kind of content, for example one too large to hold.
    pub fn upload_content(&self, channel: &str, user: &str, name: &str, content: Content) -> Outcome<(String, String)> {
        let version = Self::version(content)?;
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            let (file, ts) = state.upload(&[channel], user, name, version, &self.faults);
            Ok((state.files[file].id.clone(), ts.to_string()))
        })
    }

    /// Shares a file that is there already in one more channel; returns the time stamp of its message.
    pub fn share(&self, file: &str, channel: &str, user: &str) -> Outcome<String> {
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            let file = Self::file(state, file)?;
            Ok(state.share(file, channel, user, &self.faults)?.to_string())
        })
    }

    /// Puts a new version of a file in the place of the old one.
    pub fn replace_file(&self, file: &str, bytes: Vec<u8>) -> Outcome<()> {
        self.replace_content(file, Content::Bytes(bytes))
    }

    /// The same with any kind of content.
    pub fn replace_content(&self, file: &str, content: Content) -> Outcome<()> {
        let version = Self::version(content)?;
        self.change(|state| {
            let file = Self::file(state, file)?;
            state.replace_file(file, version)
        })
    }

    /// Removes a file and its messages.
    pub fn delete_file(&self, file: &str) -> Outcome<()> {
        self.change(|state| {
            let file = Self::file(state, file)?;
            state.delete_file(file)
        })
    }

    /// Comments on a file; returns the id of the comment.
    pub fn comment(&self, file: &str, user: &str, text: &str) -> Outcome<String> {
        self.change(|state| {
            let (file, user) = (Self::file(state, file)?, Self::user(state, user)?);
            let (channel, ts) = state.comment_on_file(file, user, text, &self.faults)?;
            Ok(state.comment_id(channel, ts))
        })
    }

    /// Comments on a message; returns the time stamp of the comment in the stream.
    pub fn comment_message(&self, channel: &str, ts: &str, user: &str, text: &str) -> Outcome<String> {
        self.change(|state| {
            let (channel, ts) = (Self::channel(state, channel)?, Self::ts(ts)?);
            let user = Self::user(state, user)?;
            let ts = state.comment_on_message(channel, ts, user, text, &self.faults)?;
            Ok(ts.to_string())
        })
    }

    /// Gives a file comment another text, by its id.
    pub fn edit_comment(&self, comment: &str, text: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = *state.comment_index.get(comment).ok_or(Refusal("comment_not_found"))?;
            state.edit(channel, ts, None, text)
        })
    }

    /// Removes a file comment, by its id.
    pub fn delete_comment(&self, comment: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = *state.comment_index.get(comment).ok_or(Refusal("comment_not_found"))?;
            state.delete(channel, ts, None)
        })
    }

    /// Sets the one reaction of a person on an item.
    pub fn react(&self, channel: &str, ts: &str, user: &str, name: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = (Self::channel(state, channel)?, Self::ts(ts)?);
            let user = Self::user(state, user)?;
            state.react(channel, ts, user, name)
        })
    }

    /// Takes a person's reaction away.
    pub fn unreact(&self, channel: &str, ts: &str, user: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = (Self::channel(state, channel)?, Self::ts(ts)?);
            let user = Self::user(state, user)?;
            state.unreact(channel, ts, user, None)
        })
    }

    /// Pins an item, for everyone or for `user` alone.
    pub fn pin(&self, channel: &str, ts: &str, user: &str, is_global: bool) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = (Self::channel(state, channel)?, Self::ts(ts)?);
            let user = Self::user(state, user)?;
            state.pin(channel, ts, user, is_global)
        })
    }

    /// Takes a pin away.
    pub fn unpin(&self, channel: &str, ts: &str, user: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, ts) = (Self::channel(state, channel)?, Self::ts(ts)?);
            let user = Self::user(state, user)?;
            state.unpin(channel, ts, user)
        })
    }

    /// Somebody leaves a channel. The ready account can leave too.
    pub fn leave(&self, channel: &str, user: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            state.leave(channel, user, &self.faults)
        })
    }

    /// Somebody is made to leave a channel.
    pub fn kick(&self, channel: &str, user: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            state.kick(channel, user, &self.faults)
        })
    }

    /// Somebody joins a channel.
    pub fn join(&self, channel: &str, user: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            state.join(channel, user, &self.faults);
            Ok(())
        })
    }

    /// Gives a channel another name.
    pub fn rename_channel(&self, channel: &str, name: &str) -> Outcome<()> {
        self.change(|state| {
            let channel = Self::channel(state, channel)?;
            state.rename_channel(channel, name);
            Ok(())
        })
    }

    /// Makes a channel with `user` in it; returns its id.
    pub fn create_channel(&self, user: &str, name: &str) -> Outcome<String> {
        self.create(user, name, false)
    }

    /// Makes a channel with `user` alone in it that to all others does not exist; returns its id.
    pub fn create_hidden_channel(&self, user: &str, name: &str) -> Outcome<String> {
        self.create(user, name, true)
    }

    fn create(&self, user: &str, name: &str, is_hidden: bool) -> Outcome<String> {
        self.change(|state| {
            let user = Self::user(state, user)?;
            let channel = state.create_channel(user, name, is_hidden);
            Ok(state.channels[channel].id.clone())
        })
    }

    /// Archives a channel: it can be read and no longer written.
    pub fn archive_channel(&self, channel: &str) -> Outcome<()> {
        self.change(|state| {
            let channel = Self::channel(state, channel)?;
            state.set_archived(channel, true);
            Ok(())
        })
    }

    /// Takes a channel out of the archive again.
    pub fn unarchive_channel(&self, channel: &str) -> Outcome<()> {
        self.change(|state| {
            let channel = Self::channel(state, channel)?;
            state.set_archived(channel, false);
            Ok(())
        })
    }

    /// Removes a channel with all its messages.
    pub fn remove_channel(&self, channel: &str) -> Outcome<()> {
        self.change(|state| {
            let channel = Self::channel(state, channel)?;
            state.remove_channel(channel);
            Ok(())
        })
    }

    /// Gives a person another display name.
    pub fn rename_user(&self, user: &str, name: &str) -> Outcome<()> {
        self.change(|state| {
            let user = Self::user(state, user)?;
            state.rename_user(user, name);
            Ok(())
        })
    }

    /// Gives a channel another topic.
    pub fn set_topic(&self, channel: &str, user: &str, topic: &str) -> Outcome<()> {
        self.change(|state| {
            let (channel, user) = (Self::channel(state, channel)?, Self::user(state, user)?);
            state.set_remark(channel, user, "topic", topic, &self.faults);
            Ok(())
        })
    }

    /// Closes an account: it stays listed as deleted and its tokens die.
    pub fn close_account(&self, user: &str) -> Outcome<()> {
        self.change(|state| {
            let user = Self::user(state, user)?;
            state.close_account(user);
            Ok(())
        })
    }

    /// Makes a token for an account, as a login would.
    pub fn token_for(&self, user: &str) -> Outcome<String> {
        let token = super::new_token();
        self.change(|state| {
            let user = Self::user(state, user)?;
            state.tokens.insert(token.clone(), state::Token { user, is_revoked: false });
            Ok(token)
        })
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &str) {
        self.change(|state| {
            if let Some(known) = state.tokens.get_mut(token) {
                known.is_revoked = true;
            }
        });
    }

    /// Revokes every token of an account. A new login gives another.
    pub fn revoke_all(&self, user: &str) -> Outcome<()> {
        self.change(|state| {
            let user = Self::user(state, user)?;
            for token in state.tokens.values_mut().filter(|token| token.user == user) {
                token.is_revoked = true;
            }
            Ok(())
        })
    }

    /// Ids and names of all channels that are no direct conversations.
    pub fn channels(&self) -> Vec<(String, String)> {
        self.read()
            .channels
            .iter()
            .filter(|channel| !channel.is_im && !channel.is_removed)
            .map(|channel| (channel.id.clone(), channel.name.clone()))
            .collect()
    }

    /// A channel and one of its people, for chatter that names neither.
    pub(super) fn somewhere(&self) -> Option<(String, String)> {
        let state = self.read();
        let channel = state.channels.iter().find(|channel| {
            !channel.is_im && !channel.is_archived && !channel.is_hidden && !channel.members.is_empty()
        })?;
        let user = &state.users[*channel.members.first()?];
        Some((channel.id.clone(), user.email.clone()))
    }

    /// The time stamp of a message that the seed labelled, with the id of its channel.
    pub fn labelled(&self, label: &str) -> Option<(String, String)> {
        let state = self.read();
        let (channel, ts) = state.labels.get(label)?;
        Some((state.channels[*channel].id.clone(), ts.to_string()))
    }

    /// Does what a seed's action says.
    pub fn apply(&self, action: Action) -> Outcome<()> {
        let at = |label: &str| self.labelled(label).ok_or(Refusal("message_not_found"));
        match action {
            Action::Post(message) => self.change(|state| state.post_seed(message, &self.faults)),
            Action::Edit { label, user, text } => {
                let (channel, ts) = at(&label)?;
                self.edit(&channel, &ts, Some(&user), &text)
            }
            Action::Delete { label, user } => {
                let (channel, ts) = at(&label)?;
                self.delete(&channel, &ts, Some(&user))
            }
            Action::React { label, user, name } => {
                let (channel, ts) = at(&label)?;
                self.react(&channel, &ts, &user, &name)
            }
            Action::Pin { label, user } => {
                let (channel, ts) = at(&label)?;
                self.pin(&channel, &ts, &user, true)
            }
            Action::RenameChannel { channel, name } => self.rename_channel(&channel, &name),
            Action::SetTopic { channel, user, topic } => self.set_topic(&channel, &user, &topic),
            Action::Leave { channel, user } => self.leave(&channel, &user),
            Action::CloseAccount { user } => self.close_account(&user),
            Action::Comment { file, user, text } => self.comment(&file, &user, &text).map(|_comment| ()),
            Action::EditComment { file, user, text } => {
                let comment = self.newest_comment(&file, &user)?;
                self.edit_comment(&comment, &text)
            }
            Action::DeleteComment { file, user } => {
                let comment = self.newest_comment(&file, &user)?;
                self.delete_comment(&comment)
            }
            Action::ReplaceFile { file, content } => self.replace_file(&file, content),
        }
    }

    fn newest_comment(&self, file: &str, user: &str) -> Outcome<String> {
        let state = self.read();
        let (file, user) = (Self::file(&state, file)?, Self::user(&state, user)?);
        state.files[file]
            .comments
            .iter()
            .rev()
            .find(|(channel, ts)| {
                let channel = &state.channels[*channel];
                channel.find_comment(*ts).is_some_and(|at| channel.messages[at].user == user)
            })
            .map(|(channel, ts)| state.comment_id(*channel, *ts))
            .ok_or(Refusal("comment_not_found"))
    }

    /// All that ever was, deleted items included: what an archive is compared with.
    pub fn truth(&self) -> Vec<TruthItem> {
        truth::items(&self.read(), &self.faults)
    }

    /// The SHA-256 of each version of each file.
    pub fn file_truth(&self) -> anyhow::Result<Vec<truth::TruthFile>> {
        let files = truth::files(&self.read());
        truth::digested(files)
    }

    /// Every room and every person, the hidden ones too: what an administrator of the server knows.
    pub fn inventory(&self) -> Vec<InventoryItem> {
        truth::inventory(&self.read())
    }
}
