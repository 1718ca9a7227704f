use std::borrow::Cow;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::atom::AtomFeed;
use super::error::Error;
use super::page::{Item, Page, Reply};
use super::transport::Connection;
use super::wire::{Channel, Comment, File, Identity, Im, Message, Paging, Presence, Reaction, SearchAnswer, User};
use crate::model::{Digest, MessageTs};

/// Which part of a channel's history is asked for. Both bounds always travel, so that the rule for
/// a request with one bound, which is not proved for IceWarp, cannot matter (protocol notes 2.2).
#[derive(Debug, Clone, Copy)]
pub struct HistoryWindow {
    /// Oldest, inclusive.
    pub oldest: MessageTs,
    /// Latest, inclusive.
    pub latest: MessageTs,
    /// How many at most.
    pub count: u32,
}

/// An account that can only read. Clones share it.
#[derive(Debug, Clone)]
pub struct Reader {
    connection: Arc<Connection>,
    token: SecretString,
}

#[expect(clippy::needless_pass_by_value, reason = "numbers, texts and references are given alike")]
fn p(name: &'static str, value: impl ToString) -> (&'static str, String) {
    (name, value.to_string())
}

impl Reader {
    /// Reads with the account that `token` opens.
    pub fn new(connection: Arc<Connection>, token: SecretString) -> Self {
        Self { connection, token }
    }

    /// The server.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// What the server sent without this account's own token, should it stand there: `sha256-` and the
    /// first 16 hexadecimal digits of its SHA-256 instead; and how often.
    pub fn without_token<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, [u8]>, u32) {
        let token = self.token.expose_secret().as_bytes();
        let is_here = |at: &usize| !token.is_empty() && bytes[*at..].starts_with(token);
        let Some(mut at) = (0..bytes.len()).find(is_here) else { return (Cow::Borrowed(bytes), 0) };
        let (mut out, mut copied, mut count) = (Vec::with_capacity(bytes.len()), 0, 0);
        loop {
            out.extend_from_slice(&bytes[copied..at]);
            out.extend_from_slice(format!("sha256-{}", Digest::of(token).short()).as_bytes());
            copied = at + token.len();
            count += 1;
            match (copied..bytes.len()).find(is_here) {
                Some(next) => at = next,
                None => break,
            }
        }
        out.extend_from_slice(&bytes[copied..]);
        (Cow::Owned(out), count)
    }

    async fn call(&self, method: &str, parameters: &[(&str, String)]) -> Result<Reply, Error> {
        self.connection.call(method, parameters, Some(&self.token)).await
    }

    /// `api.test`: whatever was sent comes back.
    pub async fn api_test(&self, arguments: &[(&str, String)]) -> Result<Reply, Error> {
        self.call("api.test", arguments).await
    }

    /// `auth.test`: who this account is, with the exact reply.
    pub async fn auth_test(&self) -> Result<(Identity, Reply), Error> {
        let reply = self.call("auth.test", &[]).await?;
        Ok((reply.whole(), reply))
    }

    /// `channels.list`: the channels of this account.
    pub async fn channels_list(&self) -> Result<Page<Channel>, Error> {
        Ok(self.call("channels.list", &[]).await?.page("channels"))
    }

    /// `channels.info`, or `channel.info` on a server that knows it by that name (row 2).
    pub async fn channels_info(&self, channel: &str) -> Result<Option<Item<Channel>>, Error> {
        let reply = match self.call("channels.info", &[p("channel", channel)]).await {
            Err(Error::Refused { code, .. }) if code == "unknown_method" => {
                self.call("channel.info", &[p("channel", channel)]).await?
            }
            other => other?,
        };
        Ok(reply.item("channel"))
    }

    /// `channels.history`, newest first, for channels and direct conversations alike.
    pub async fn channels_history(&self, channel: &str, window: HistoryWindow) -> Result<Page<Message>, Error> {
        let parameters = [
            p("channel", channel),
            p("oldest", window.oldest),
            p("latest", window.latest),
            p("inclusive", 1),
            p("count", window.count),
        ];
        Ok(self.call("channels.history", &parameters).await?.page("messages"))
    }

    /// `channels.atom.history`: the same as a feed, with the document as it came.
    pub async fn channels_atom_history(
        &self,
        channel: &str,
        window: HistoryWindow,
    ) -> Result<(AtomFeed, bytes::Bytes), Error> {
        let parameters = [
            p("channel", channel),
            p("oldest", window.oldest),
            p("latest", window.latest),
            p("inclusive", 1),
            p("count", window.count),
        ];
        let bytes = self.connection.call_for_document("channels.atom.history", &parameters, &self.token).await?;
        if !AtomFeed::is_feed(&bytes) {
            let detail = "it gives something else where a feed was asked for".to_owned();
            return Err(Error::NotTeamChat { url: self.connection.base().to_string(), detail });
        }
        Ok((AtomFeed::parse(&bytes)?, bytes))
    }

    /// `files.list`, newest first. `created_to` is inclusive, in Unix seconds: the way to page
    /// without skipping rows while files come and go (protocol notes 6.8).
    pub async fn files_list(
        &self,
        channel: &str,
        created_to: Option<i64>,
        count: u32,
        page: u32,
    ) -> Result<(Page<File>, Paging), Error> {
        let mut parameters = vec![p("channel", channel), p("count", count), p("page", page)];
        if let Some(to) = created_to {
            parameters.push(p("ts_to", to));
        }
        let reply = self.call("files.list", &parameters).await?;
        let paging = reply.view("paging").unwrap_or_default();
        Ok((reply.page("files"), paging))
    }

    /// `files.info`: a file with a fresh ticket, its true size, and a page of its comments.
    pub async fn files_info(
        &self,
        file: &str,
        count: u32,
        page: u32,
    ) -> Result<(Option<Item<File>>, Page<Comment>, Paging), Error> {
        let reply = self.call("files.info", &[p("file", file), p("count", count), p("page", page)]).await?;
        let (item, paging) = (reply.item("file"), reply.view("paging").unwrap_or_default());
        let had_comments = reply.member("comments").is_some();
        let mut comments = reply.page("comments");
        // A reply without `comments` is one without comments (row 15).
        comments.is_whole |= !had_comments;
        Ok((item, comments, paging))
    }

    /// `files.avatar`: a person's picture.
    pub async fn files_avatar(&self, email: &str) -> Result<bytes::Bytes, Error> {
        self.connection.call_for_document("files.avatar", &[p("email", email), p("internal", 1)], &self.token).await
    }

    /// `files.empty`: an empty document of a type.
    pub async fn files_empty(&self, filetype: &str) -> Result<bytes::Bytes, Error> {
        self.connection.call_for_document("files.empty", &[p("filetype", filetype)], &self.token).await
    }

    /// `im.list`: the open direct conversations of this account.
    pub async fn im_list(&self) -> Result<Page<Im>, Error> {
        Ok(self.call("im.list", &[]).await?.page("ims"))
    }

    /// `items.info`: one item of a stream.
    pub async fn items_info(&self, channel: &str, ts: &str) -> Result<Option<Item<Message>>, Error> {
        Ok(self.call("items.info", &[p("channel", channel), p("ts", ts)]).await?.item("message"))
    }

    /// `pins.list`: pins for everyone and this account's own.
    pub async fn pins_list(&self, channel: &str) -> Result<Page<Message>, Error> {
        Ok(self.call("pins.list", &[p("channel", channel)]).await?.page("items"))
    }

    /// `reactions.get`: the reactions on one message; at the top, or inside it (row 22).
    pub async fn reactions_get(&self, channel: &str, ts: &str) -> Result<Page<Reaction>, Error> {
        let reply = self.call("reactions.get", &[p("channel", channel), p("timestamp", ts), p("full", 1)]).await?;
        let nested = reply.member("message").or_else(|| reply.member("file"));
        Ok(match nested {
            Some(bytes) if reply.member("reactions").is_none() => {
                Reply { bytes, received_at: reply.received_at }.page("reactions")
            }
            _ => reply.page("reactions"),
        })
    }

    /// `reactions.list`: what a person reacted to in a channel.
    pub async fn reactions_list(
        &self,
        channel: &str,
        user: Option<&str>,
        count: u32,
        page: u32,
    ) -> Result<(Page<Message>, Paging), Error> {
        let mut parameters = vec![p("channel", channel), p("count", count), p("page", page)];
        if let Some(user) = user {
            parameters.push(p("user", user));
        }
        let reply = self.call("reactions.list", &parameters).await?;
        let paging = reply.view("paging").unwrap_or_default();
        Ok((reply.page("items"), paging))
    }

    /// `rtm.start`: where live events come from. The URL is a bearer secret, good for one use.
    pub async fn rtm_start(&self) -> Result<SecretString, Error> {
        let reply = self.call("rtm.start", &[]).await?;
        let url: Option<String> = reply.view("url");
        url.filter(|url| !url.is_empty())
            .map(SecretString::from)
            .ok_or_else(|| Error::Broken { method: "rtm.start".to_owned(), detail: "it gave no url".to_owned() })
    }

    async fn search(
        &self,
        method: &str,
        channel: &str,
        query: &str,
        count: u32,
        page: u32,
    ) -> Result<SearchAnswer, Error> {
        Ok(self
            .call(method, &[p("channel", channel), p("query", query), p("count", count), p("page", page)])
            .await?
            .whole())
    }

    /// `search.all` over one channel.
    pub async fn search_all(&self, channel: &str, query: &str, count: u32, page: u32) -> Result<SearchAnswer, Error> {
        self.search("search.all", channel, query, count, page).await
    }

    /// `search.files` over one channel.
    pub async fn search_files(&self, channel: &str, query: &str, count: u32, page: u32) -> Result<SearchAnswer, Error> {
        self.search("search.files", channel, query, count, page).await
    }

    /// `search.messages` over one channel.
    pub async fn search_messages(
        &self,
        channel: &str,
        query: &str,
        count: u32,
        page: u32,
    ) -> Result<SearchAnswer, Error> {
        self.search("search.messages", channel, query, count, page).await
    }

    /// `search.messages` over one channel, the newest match first and alone: for how many there are.
    pub async fn search_newest(&self, channel: &str, query: &str) -> Result<SearchAnswer, Error> {
        let parameters = [
            p("channel", channel),
            p("query", query),
            p("count", 1),
            p("page", 1),
            p("sort", "timestamp"),
            p("sort_dir", "desc"),
        ];
        Ok(self.call("search.messages", &parameters).await?.whole())
    }

    /// `users.identity`: this account's person.
    pub async fn users_identity(&self) -> Result<Option<Item<User>>, Error> {
        Ok(self.call("users.identity", &[]).await?.item("user"))
    }

    /// `users.info`: a person of the domain.
    pub async fn users_info(&self, user: &str) -> Result<Option<Item<User>>, Error> {
        Ok(self.call("users.info", &[p("user", user)]).await?.item("user"))
    }

    /// `users.list`: everyone, or the members of a channel.
    pub async fn users_list(&self, channel: Option<&str>) -> Result<Page<User>, Error> {
        let parameters: Vec<_> = channel.map(|channel| p("channel", channel)).into_iter().collect();
        Ok(self.call("users.list", &parameters).await?.page("members"))
    }

    /// `users.getPresence`: whether this account is online.
    pub async fn users_get_presence(&self, channel: Option<&str>) -> Result<Presence, Error> {
        let parameters: Vec<_> = channel.map(|channel| p("channel", channel)).into_iter().collect();
        Ok(self.call("users.getPresence", &parameters).await?.whole())
    }

    /// `iwauthentication.logout`: the token ends.
    pub async fn logout(self) -> Result<(), Error> {
        self.call("iwauthentication.logout", &[]).await.map(drop)
    }
}
