//! The methods of the API.

/// The methods: what each gives, what it must be told, what it may be told.
pub(crate) const METHODS: [(&str, &str, &[&str], &[&str]); 21] = [
    ("api.test", "Whether the API answers. Needs no token.", &[], &["error"]),
    ("auth.test", "Whose view is archived: the first account.", &[], &[]),
    ("channels.list", "The channels that the token may see.", &[], &["exclude_archived", "exclude_members"]),
    ("channels.info", "One channel.", &["channel"], &[]),
    (
        "channels.history",
        "Messages of a channel, newest first, as they stand.",
        &["channel"],
        &["latest", "oldest", "inclusive", "count", "unreads"],
    ),
    ("channels.atom.history", "The same as an Atom feed.", &["channel"], &["latest", "oldest", "inclusive", "count"]),
    ("im.list", "The direct conversations that the token may see.", &[], &[]),
    (
        "im.history",
        "Messages of a direct conversation.",
        &["channel"],
        &["latest", "oldest", "inclusive", "count", "unreads"],
    ),
    ("items.info", "One message.", &["channel", "ts"], &["timestamp"]),
    ("pins.list", "What is pinned in a channel.", &["channel"], &[]),
    ("reactions.get", "The reactions to one message.", &["channel", "ts"], &["timestamp"]),
    ("reactions.list", "Messages of a channel that somebody reacted to.", &["channel"], &["user", "count", "page"]),
    ("files.list", "Files, newest first.", &[], &["channel", "user", "ts_from", "ts_to", "count", "page"]),
    ("files.info", "One file and its comments.", &["file"], &["count", "page"]),
    ("files.download", "The content of a file. Its ticket is enough.", &["ticket"], &[]),
    ("search.all", "Messages and files that match.", &["query"], SEARCH),
    ("search.messages", "Messages that match.", &["query"], SEARCH),
    ("search.files", "Files that match.", &["query"], SEARCH),
    ("users.identity", "The person whose view is archived.", &[], &[]),
    ("users.info", "One person.", &["user"], &[]),
    ("users.list", "People: all, or the members of a channel.", &[], &["channel"]),
];

const SEARCH: &[&str] =
    &["channel", "states", "sort", "sort_dir", "as_of", "facets", "by", "highlight", "count", "page", "cursor"];
