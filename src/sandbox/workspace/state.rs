//! What a workspace holds. Fields are plain; the rules live in [`super::change`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use serde_json::Value;

use super::Settings;
use crate::sandbox::faults::{Fault, Faults};
use crate::sandbox::filler;
use crate::sandbox::ids::{self, Ts};

/// How many events are kept for sockets that have not read them yet.
const MAX_EVENTS: usize = 10_000;

/// How large they may be together.
const MAX_EVENT_BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
pub(in crate::sandbox) struct State {
    pub(in crate::sandbox) settings: Settings,
    pub(in crate::sandbox) domain: String,
    /// Scheme, host and port that the world sees, without a final slash.
    pub(in crate::sandbox) origin: String,
    pub(in crate::sandbox) users: Vec<User>,
    pub(in crate::sandbox) user_index: HashMap<String, usize>,
    pub(in crate::sandbox) channels: Vec<Channel>,
    pub(in crate::sandbox) channel_index: HashMap<String, usize>,
    pub(in crate::sandbox) files: Vec<File>,
    pub(in crate::sandbox) file_index: HashMap<String, usize>,
    pub(in crate::sandbox) comment_index: HashMap<String, (usize, Ts)>,
    pub(in crate::sandbox) labels: HashMap<String, (usize, Ts)>,
    /// The account of the ready line.
    pub(in crate::sandbox) account: usize,
    /// Replays a corpus: `files[]` beside `file`, nothing minted.
    pub(in crate::sandbox) is_corpus: bool,
    pub(in crate::sandbox) counter: u16,
    pub(in crate::sandbox) last: Ts,
    pub(in crate::sandbox) events: VecDeque<Event>,
    pub(in crate::sandbox) event_bytes: usize,
    pub(in crate::sandbox) next_event: u64,
    pub(in crate::sandbox) secret: [u8; 16],
    pub(in crate::sandbox) password: String,
    pub(in crate::sandbox) tokens: HashMap<String, Token>,
    pub(in crate::sandbox) bad_logins: HashMap<usize, u32>,
    pub(in crate::sandbox) nonces: HashMap<String, i64>,
    pub(in crate::sandbox) sockets: HashMap<String, SocketTicket>,
    /// Channels that a fault has taken from everybody.
    pub(in crate::sandbox) lost: HashSet<usize>,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own in the API")]
pub(in crate::sandbox) struct User {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) email: String,
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) real_name: String,
    pub(in crate::sandbox) is_bot: bool,
    pub(in crate::sandbox) is_admin: bool,
    pub(in crate::sandbox) is_restricted: bool,
    pub(in crate::sandbox) deleted: bool,
    pub(in crate::sandbox) tz: String,
    /// The archiver's own account of a corpus: nobody else sees it.
    pub(in crate::sandbox) is_hidden: bool,
    /// A person whom no account is shown.
    pub(in crate::sandbox) is_unlisted: bool,
    pub(in crate::sandbox) has_files: bool,
    pub(in crate::sandbox) is_away: bool,
    pub(in crate::sandbox) last_activity: i64,
    pub(in crate::sandbox) connections: usize,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(in crate::sandbox) struct Channel {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) topic: Remark,
    pub(in crate::sandbox) purpose: Remark,
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) creator: String,
    pub(in crate::sandbox) folder: String,
    pub(in crate::sandbox) members: Vec<usize>,
    /// Whether the hidden account of a corpus is in.
    pub(in crate::sandbox) has_hidden_member: bool,
    pub(in crate::sandbox) is_im: bool,
    pub(in crate::sandbox) is_archived: bool,
    /// Does not exist for those who are no members.
    pub(in crate::sandbox) is_hidden: bool,
    /// Nobody finds it again; it stays for the truth.
    pub(in crate::sandbox) is_removed: bool,
    pub(in crate::sandbox) closed_for: Vec<usize>,
    /// Sorted by time stamp; deleted ones stay, so that the truth can be told.
    pub(in crate::sandbox) messages: Vec<Message>,
    pub(in crate::sandbox) files: Vec<usize>,
}

/// A topic or a purpose.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Remark {
    pub(in crate::sandbox) value: String,
    pub(in crate::sandbox) creator: String,
    pub(in crate::sandbox) last_set: i64,
}

#[derive(Debug, Default)]
pub(in crate::sandbox) struct Message {
    pub(in crate::sandbox) ts: Ts,
    pub(in crate::sandbox) user: usize,
    pub(in crate::sandbox) text: String,
    pub(in crate::sandbox) subtype: String,
    pub(in crate::sandbox) is_deleted: bool,
    /// What most messages have not.
    pub(in crate::sandbox) more: Option<Box<More>>,
}

#[derive(Debug, Default)]
pub(in crate::sandbox) struct More {
    pub(in crate::sandbox) edited: Option<(usize, Ts)>,
    /// Earlier texts, oldest first: what the server no longer shows.
    pub(in crate::sandbox) older: Vec<String>,
    pub(in crate::sandbox) files: Vec<usize>,
    pub(in crate::sandbox) reactions: Vec<(String, usize)>,
    pub(in crate::sandbox) pinned_by: Option<usize>,
    pub(in crate::sandbox) pinned_privately: Vec<usize>,
    pub(in crate::sandbox) comment: Option<Comment>,
    pub(in crate::sandbox) whisper_to: Option<usize>,
    pub(in crate::sandbox) extra: Vec<(String, Value)>,
    /// Comments on this message.
    pub(in crate::sandbox) comments: Vec<Ts>,
    pub(in crate::sandbox) deleted_by: Option<(usize, Ts)>,
    /// The text is shown 1 MiB long.
    pub(in crate::sandbox) is_long: bool,
}

/// What makes a stream item a comment.
#[derive(Debug)]
pub(in crate::sandbox) struct Comment {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) parent: Parent,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) enum Parent {
    File(usize),
    Message(Ts),
}

#[derive(Debug, Default)]
pub(in crate::sandbox) struct File {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) title: String,
    pub(in crate::sandbox) user: usize,
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) timestamp: i64,
    pub(in crate::sandbox) channels: Vec<usize>,
    /// The newest is what the server serves; the index is the `editcounter`.
    pub(in crate::sandbox) versions: Vec<Version>,
    pub(in crate::sandbox) is_deleted: bool,
    /// The name leads astray, and headers give it as it is.
    pub(in crate::sandbox) is_tricky: bool,
    /// Stream items that comment on it, oldest first.
    pub(in crate::sandbox) comments: Vec<(usize, Ts)>,
}

impl File {
    pub(in crate::sandbox) fn newest(&self) -> &Version {
        self.versions.last().expect("a file has a version")
    }

    pub(in crate::sandbox) fn edit_counter(&self) -> usize {
        self.versions.len() - 1
    }
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Version {
    pub(in crate::sandbox) content: Stored,
    pub(in crate::sandbox) size: u64,
    /// Lower-case SHA-256, once somebody has asked for it.
    pub(in crate::sandbox) digest: Arc<OnceLock<String>>,
}

impl Version {
    pub(in crate::sandbox) fn new(content: Stored) -> std::io::Result<Self> {
        let size = match &content {
            Stored::Bytes(bytes) => u64::try_from(bytes.len()).expect("usize has at most 64 bits"),
            Stored::Path(path) => fs_err::metadata(path)?.len(),
            Stored::Generated { size, .. } => *size,
        };
        Ok(Self { content, size, digest: Arc::default() })
    }
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) enum Stored {
    Bytes(Bytes),
    Path(PathBuf),
    Generated { size: u64, seed: u64 },
}

#[derive(Debug)]
pub(in crate::sandbox) struct Token {
    pub(in crate::sandbox) user: usize,
    pub(in crate::sandbox) is_revoked: bool,
}

/// An answer of `rtm.start` that nobody has used yet.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct SocketTicket {
    pub(in crate::sandbox) token: String,
    pub(in crate::sandbox) user: usize,
    pub(in crate::sandbox) from_event: u64,
    pub(in crate::sandbox) expires: i64,
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Event {
    pub(in crate::sandbox) number: u64,
    pub(in crate::sandbox) audience: Audience,
    pub(in crate::sandbox) body: Utf8Bytes,
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) enum Audience {
    Everyone,
    /// The members.
    Channel(usize),
    /// Those of the members who are shown an item.
    Item {
        channel: usize,
        ts: Ts,
        author: usize,
        whisper_to: Option<usize>,
    },
    Users(Vec<usize>),
}

impl Message {
    pub(in crate::sandbox) fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    pub(in crate::sandbox) fn files(&self) -> &[usize] {
        self.more.as_deref().map_or(&[], |more| &more.files)
    }

    pub(in crate::sandbox) fn comment(&self) -> Option<&Comment> {
        self.more.as_deref()?.comment.as_ref()
    }

    pub(in crate::sandbox) fn edited(&self) -> Option<(usize, Ts)> {
        self.more.as_deref()?.edited
    }

    /// The text as the server shows it.
    pub(in crate::sandbox) fn shown_text(&self) -> Cow<'_, str> {
        if self.more.as_deref().is_some_and(|more| more.is_long) {
            Cow::Owned(filler::long_text(&self.text))
        } else {
            Cow::Borrowed(&self.text)
        }
    }
}

impl Channel {
    /// Where a time stamp is or would be.
    pub(in crate::sandbox) fn position(&self, ts: Ts) -> usize {
        self.messages.partition_point(|message| message.ts < ts)
    }

    /// The first item with this time stamp, deleted or not; a living one wins over a tie.
    pub(in crate::sandbox) fn find(&self, ts: Ts) -> Option<usize> {
        let start = self.position(ts);
        let ties = self.messages[start..].iter().take_while(|message| message.ts == ts).count();
        (start..start + ties).find(|at| !self.messages[*at].is_deleted).or((ties > 0).then_some(start))
    }

    pub(in crate::sandbox) fn find_alive(&self, ts: Ts) -> Option<usize> {
        self.find(ts).filter(|at| !self.messages[*at].is_deleted)
    }

    /// The living comment with this time stamp, whatever else shares it.
    pub(in crate::sandbox) fn find_comment(&self, ts: Ts) -> Option<usize> {
        let start = self.position(ts);
        let ties = self.messages[start..].iter().take_while(|message| message.ts == ts);
        let found = ties.enumerate().find(|(_, message)| !message.is_deleted && message.comment().is_some());
        found.map(|(offset, _)| start + offset)
    }
}

impl State {
    pub(in crate::sandbox) fn user_by_name(&self, name: &str) -> Option<usize> {
        self.user_index.get(&name.to_lowercase()).copied()
    }

    /// A channel by any spelling of its id, by its key in the seed, or by its name.
    pub(in crate::sandbox) fn channel_by_name(&self, name: &str) -> Option<usize> {
        self.channel_index.get(&ids::canonical(name)).or_else(|| self.channel_index.get(name)).copied().or_else(|| {
            let name = name.trim_start_matches('#');
            self.channels.iter().position(|channel| !channel.is_im && channel.name == name && !name.is_empty())
        })
    }

    /// A channel by its id alone, in any spelling.
    pub(in crate::sandbox) fn channel_by_id(&self, id: &str) -> Option<usize> {
        let id = ids::canonical(id);
        let channel = *self.channel_index.get(&id)?;
        (ids::canonical(&self.channels[channel].id) == id).then_some(channel)
    }

    /// A file by its id alone.
    pub(in crate::sandbox) fn file_by_id(&self, id: &str) -> Option<usize> {
        let file = *self.file_index.get(id)?;
        (self.files[file].id == id).then_some(file)
    }

    /// A file by its id or by its key in the seed.
    pub(in crate::sandbox) fn file_by_name(&self, name: &str) -> Option<usize> {
        self.file_index.get(name).copied()
    }

    pub(in crate::sandbox) fn is_member(&self, channel: usize, user: usize) -> bool {
        let channel = &self.channels[channel];
        if self.users[user].is_hidden {
            channel.has_hidden_member && !channel.is_im
        } else {
            channel.members.contains(&user)
        }
    }

    /// Whether an item of a channel is for the eyes of `user`: whispers are for two.
    pub(in crate::sandbox) fn is_for(message: &Message, user: usize) -> bool {
        message.more.as_deref().and_then(|more| more.whisper_to).is_none_or(|to| to == user || message.user == user)
    }

    /// Whether the caller has lost a channel through a fault.
    pub(in crate::sandbox) fn is_lost(&self, channel: usize, faults: &Faults) -> bool {
        faults.chooses(Fault::MembershipLoss, &self.channels[channel].id)
    }

    /// Leaves an event for the sockets. Written once, whoever hears it.
    pub(in crate::sandbox) fn push_event(&mut self, audience: Audience, body: &Value) {
        let body = Utf8Bytes::from(body.to_string());
        self.event_bytes += body.len();
        self.events.push_back(Event { number: self.next_event, audience, body });
        self.next_event += 1;
        while self.events.len() > MAX_EVENTS || (self.event_bytes > MAX_EVENT_BYTES && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.event_bytes -= oldest.body.len();
        }
    }

    pub(in crate::sandbox) fn hears(&self, audience: &Audience, user: usize, faults: &Faults) -> bool {
        let is_in = |channel: usize| self.is_member(channel, user) && !self.is_lost(channel, faults);
        match audience {
            Audience::Everyone => true,
            Audience::Channel(channel) => is_in(*channel),
            Audience::Item { channel, ts, author, whisper_to } => {
                is_in(*channel)
                    && (*author == user
                        || (whisper_to.is_none_or(|to| to == user) && !faults.hushes(&self.channels[*channel].id, *ts)))
            }
            Audience::Users(users) => users.contains(&user),
        }
    }
}
