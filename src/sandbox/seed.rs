//! What a workspace is made from: plain data, with no behaviour of a server in it.
//!
//! Three sources make a [`Seed`]: the built-in story ([`super::story`]), the generator
//! ([`super::generate`]) and a corpus directory ([`super::corpus`]). [`super::workspace`] turns
//! one into a living server. A seed says what exists; ids and time stamps that the server would
//! mint are minted there when a seed leaves them out.

/// Everything a workspace starts with.
#[derive(Debug, Clone, Default)]
pub struct Seed {
    /// The mail domain of the server, for example `harbour.example`.
    pub domain: String,
    /// The account of the ready line: its mail address. It is a member of each channel.
    pub account: String,
    /// True when the account is the archiver's own and must not be counted among members, in
    /// `users.list` or in messages (the corpus rule); false when it is one of `users`.
    pub account_is_hidden: bool,
    /// The people (and bots).
    pub users: Vec<SeedUser>,
    /// Channels and direct conversations.
    pub channels: Vec<SeedChannel>,
    /// Files, each shared by messages that name it.
    pub files: Vec<SeedFile>,
    /// Messages in any order; the workspace sorts them by channel and time stamp.
    pub messages: Vec<SeedMessage>,
    /// What happens after the workspace has opened, in this order: the demo plays these between
    /// two crawls, so that an archive holds versions and deletions that the server no longer has.
    pub later: Vec<Action>,
    /// Lines that the living sandbox posts, edits and deletes in turn while it runs.
    pub chatter: Vec<SeedMessage>,
}

/// A person or a bot.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own in the API")]
pub struct SeedUser {
    /// The mail address, which is the user id.
    pub email: String,
    /// Short name (`sara`).
    pub name: String,
    /// Display name (`Sara Nasser`).
    pub real_name: String,
    /// Bots post without being people.
    pub is_bot: bool,
    /// May edit and delete what others wrote.
    pub is_admin: bool,
    /// A guest or an external person.
    pub is_restricted: bool,
    /// The account was closed: it stays in `users.list` with `deleted:true`.
    pub deleted: bool,
    /// An IANA zone name.
    pub tz: String,
    /// The id as the server gives it; empty: the mail address. Only a corpus sets it.
    pub id: String,
    /// No account is shown this person: `users.list` leaves them out.
    pub is_hidden: bool,
}

/// A channel or a direct conversation.
#[derive(Debug, Clone, Default)]
pub struct SeedChannel {
    /// How messages, files and actions of the seed name this channel. A corpus uses the real id.
    pub key: String,
    /// The id as the server gives it; empty: the workspace mints an IceWarp-shaped one.
    pub id: String,
    /// The name (for a direct conversation: empty).
    pub name: String,
    /// The topic, if any.
    pub topic: String,
    /// The purpose, if any.
    pub purpose: String,
    /// Creation time, Unix seconds.
    pub created: i64,
    /// Mail address of the group account that owns the folder.
    pub creator: String,
    /// Members, by mail address.
    pub members: Vec<String>,
    /// True for a direct conversation between exactly the two `members`.
    pub is_im: bool,
    /// True for an archived channel.
    pub is_archived: bool,
    /// The account of the ready line is no member, unless it is among `members`; to all who are
    /// none the channel does not exist.
    pub is_hidden: bool,
}

/// A file with its bytes.
#[derive(Debug, Clone, Default)]
pub struct SeedFile {
    /// How messages of the seed name it. A corpus uses the real id.
    pub key: String,
    /// The id as the server gives it; empty: minted.
    pub id: String,
    /// File name, possibly hostile.
    pub name: String,
    /// Title, when it differs from the name; empty: the name.
    pub title: String,
    /// Who uploaded it, by mail address.
    pub user: String,
    /// Keys of the channels it is shared in.
    pub channels: Vec<String>,
    /// Creation time, Unix seconds; 0: that of the first message that shares it.
    pub created: i64,
    /// The bytes.
    pub content: Content,
    /// Comments on it, oldest first.
    pub comments: Vec<SeedComment>,
}

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file of a corpus.
    Path(std::path::PathBuf),
    /// Nowhere: made while they are sent, the same for the same numbers. For files too large to hold.
    Generated {
        /// How many bytes.
        size: u64,
        /// Which bytes.
        seed: u64,
    },
}

impl Default for Content {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

/// A comment on a file. It is an item of the channel's stream as well, with its own time stamp.
#[derive(Debug, Clone, Default)]
pub struct SeedComment {
    /// Author, by mail address.
    pub user: String,
    /// Text.
    pub text: String,
    /// Unix seconds.
    pub created: i64,
}

/// One message.
#[derive(Debug, Clone, Default)]
pub struct SeedMessage {
    /// Key of the channel.
    pub channel: String,
    /// Author, by mail address.
    pub user: String,
    /// The time stamp as the server gives it (`1490004760.000165`); empty: minted from `at`.
    pub ts: String,
    /// Unix seconds, used when `ts` is empty; 0 for what is posted later: when it is posted.
    pub at: i64,
    /// The text with Slack-like mark-up.
    pub text: String,
    /// Subtype (`channel_join`, `file_share`, `me_message` …); empty: none.
    pub subtype: String,
    /// Keys of files shared by this message.
    pub files: Vec<String>,
    /// Who edited it last and when (Unix seconds): the server keeps the mark, not the old text.
    pub edited: Option<(String, i64)>,
    /// Reactions: name and who set it. One per person.
    pub reactions: Vec<(String, String)>,
    /// Pinned: `Some(None)` for all, `Some(Some(user))` privately.
    pub pinned: Option<Option<String>>,
    /// `thread_ts`, `topic`, `reply_to` of a corpus, sent as they are.
    pub extra: Vec<(String, serde_json::Value)>,
    /// A name that `later` actions can refer to; empty: none.
    pub label: String,
}

/// Something that happens to a workspace. Messages are named by the `label` of the seed.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a seed holds a few dozen of them")]
pub enum Action {
    /// A new message.
    Post(SeedMessage),
    /// New text by `user`.
    Edit {
        /// Which message.
        label: String,
        /// Who edits.
        user: String,
        /// The new text.
        text: String,
    },
    /// Removal by `user`.
    Delete {
        /// Which message.
        label: String,
        /// Who removes.
        user: String,
    },
    /// A reaction set.
    React {
        /// Which message.
        label: String,
        /// Who reacts.
        user: String,
        /// Name of the reaction.
        name: String,
    },
    /// A global pin.
    Pin {
        /// Which message.
        label: String,
        /// Who pins.
        user: String,
    },
    /// A channel gets another name.
    RenameChannel {
        /// Key of the channel.
        channel: String,
        /// The new name.
        name: String,
    },
    /// A channel gets another topic.
    SetTopic {
        /// Key of the channel.
        channel: String,
        /// Who sets it.
        user: String,
        /// The new topic.
        topic: String,
    },
    /// Somebody leaves a channel.
    Leave {
        /// Key of the channel.
        channel: String,
        /// Who leaves.
        user: String,
    },
    /// An account is closed.
    CloseAccount {
        /// Whose.
        user: String,
    },
    /// A comment on a file.
    Comment {
        /// Key of the file.
        file: String,
        /// Who comments.
        user: String,
        /// What.
        text: String,
    },
    /// The newest comment of `user` on a file gets another text.
    EditComment {
        /// Key of the file.
        file: String,
        /// Whose comment.
        user: String,
        /// The new text.
        text: String,
    },
    /// The newest comment of `user` on a file goes.
    DeleteComment {
        /// Key of the file.
        file: String,
        /// Whose comment.
        user: String,
    },
    /// A new version of a file.
    ReplaceFile {
        /// Key of the file.
        file: String,
        /// The new bytes.
        content: Vec<u8>,
    },
}
