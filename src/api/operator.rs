use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::error::Error;
use super::page::Reply;
use super::transport::Connection;
use super::wire::{Channel, Comment, EditSession, File, OpenedIm, Posted};

/// What a pin, an unpin or a reaction is about.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A message, by time stamp.
    Message(&'a str),
    /// A file, by id.
    File(&'a str),
    /// A comment, by id.
    Comment(&'a str),
}

impl Target<'_> {
    fn parameter(self) -> (&'static str, String) {
        match self {
            Self::Message(ts) => ("timestamp", ts.to_owned()),
            Self::File(id) => ("file", id.to_owned()),
            Self::Comment(id) => ("file_comment", id.to_owned()),
        }
    }
}

/// An account that writes: the documented methods that change something on the server. Tests seed
/// sandboxes with it. A crawl never holds one.
#[derive(Debug, Clone)]
pub struct Operator {
    connection: Arc<Connection>,
    token: SecretString,
}

#[expect(clippy::needless_pass_by_value, reason = "numbers, texts and references are given alike")]
fn p(name: &'static str, value: impl ToString) -> (&'static str, String) {
    (name, value.to_string())
}

/// The object that a reply must have.
fn must<T>(method: &str, found: Option<T>) -> Result<T, Error> {
    found.ok_or_else(|| Error::Broken {
        method: method.to_owned(),
        detail: "the object it returns is missing".to_owned(),
    })
}

impl Operator {
    /// Writes with the account that `token` opens.
    pub fn new(connection: Arc<Connection>, token: SecretString) -> Self {
        Self { connection, token }
    }

    async fn call(&self, method: &str, parameters: &[(&str, String)]) -> Result<Reply, Error> {
        self.connection.call(method, parameters, Some(&self.token)).await
    }

    async fn done(&self, method: &str, parameters: &[(&str, String)]) -> Result<(), Error> {
        self.call(method, parameters).await.map(drop)
    }

    /// `auth.revoke`: ends this token.
    pub async fn auth_revoke(&self) -> Result<bool, Error> {
        let reply = self.call("auth.revoke", &[]).await?;
        Ok(reply
            .view::<serde_json::Value>("revoked")
            .and_then(|value| super::tolerant::as_bool(&value))
            .unwrap_or(false))
    }

    /// `channels.create`.
    pub async fn channels_create(&self, name: &str) -> Result<Channel, Error> {
        must("channels.create", self.call("channels.create", &[p("name", name)]).await?.view("channel"))
    }

    /// `channels.join`.
    pub async fn channels_join(&self, channel: &str) -> Result<(), Error> {
        self.done("channels.join", &[p("channel", channel)]).await
    }

    /// `channels.kick`.
    pub async fn channels_kick(&self, channel: &str, user: &str) -> Result<(), Error> {
        self.done("channels.kick", &[p("channel", channel), p("user", user)]).await
    }

    /// `channels.leave`.
    pub async fn channels_leave(&self, channel: &str) -> Result<(), Error> {
        self.done("channels.leave", &[p("channel", channel)]).await
    }

    /// `channels.rename`.
    pub async fn channels_rename(&self, channel: &str, name: &str) -> Result<Channel, Error> {
        must(
            "channels.rename",
            self.call("channels.rename", &[p("channel", channel), p("name", name)]).await?.view("channel"),
        )
    }

    /// `channels.setpurpose`; the id travels under both names (row 3).
    pub async fn channels_setpurpose(&self, channel: &str, purpose: &str) -> Result<String, Error> {
        let parameters = [p("id", channel), p("channel", channel), p("purpose", purpose)];
        must("channels.setpurpose", self.call("channels.setpurpose", &parameters).await?.view("purpose"))
    }

    /// `channels.settopic`; the id travels under both names (row 3).
    pub async fn channels_settopic(&self, channel: &str, topic: &str) -> Result<String, Error> {
        let parameters = [p("id", channel), p("channel", channel), p("topic", topic)];
        must("channels.settopic", self.call("channels.settopic", &parameters).await?.view("topic"))
    }

    /// `chat.postMessage`.
    pub async fn chat_post_message(&self, channel: &str, text: &str) -> Result<Posted, Error> {
        Ok(self.call("chat.postMessage", &[p("channel", channel), p("text", text)]).await?.whole())
    }

    /// `chat.update`.
    pub async fn chat_update(&self, channel: &str, ts: &str, text: &str) -> Result<Posted, Error> {
        Ok(self.call("chat.update", &[p("channel", channel), p("ts", ts), p("text", text)]).await?.whole())
    }

    /// `chat.delete`.
    pub async fn chat_delete(&self, channel: &str, ts: &str) -> Result<Posted, Error> {
        Ok(self.call("chat.delete", &[p("channel", channel), p("ts", ts)]).await?.whole())
    }

    /// `files.comments.add`.
    pub async fn files_comments_add(&self, file: &str, comment: &str) -> Result<Comment, Error> {
        must(
            "files.comments.add",
            self.call("files.comments.add", &[p("file", file), p("comment", comment)]).await?.view("comment"),
        )
    }

    /// `files.comments.delete`.
    pub async fn files_comments_delete(&self, file: &str, id: &str) -> Result<(), Error> {
        self.done("files.comments.delete", &[p("file", file), p("id", id)]).await
    }

    /// `files.comments.edit`; the text travels under both spellings (row 4).
    pub async fn files_comments_edit(&self, file: &str, id: &str, comment: &str) -> Result<Comment, Error> {
        let parameters = [p("file", file), p("id", id), p("comment", comment), p("commant", comment)];
        must("files.comments.edit", self.call("files.comments.edit", &parameters).await?.view("comment"))
    }

    /// `files.delete`.
    pub async fn files_delete(&self, file: &str) -> Result<(), Error> {
        self.done("files.delete", &[p("file", file)]).await
    }

    /// `files.edit`.
    pub async fn files_edit(&self, id: &str, device: &str, mode: u8) -> Result<EditSession, Error> {
        Ok(self
            .call("files.edit", &[p("id", id), p("deviceid", device), p("mode", mode), p("fallback", 0)])
            .await?
            .whole())
    }

    /// `files.seteditingpermission`: 0 none, 1 read, 2 write, 3 administer.
    pub async fn files_set_editing_permission(&self, session: &str, user: &str, permission: u8) -> Result<(), Error> {
        self.done(
            "files.seteditingpermission",
            &[p("session_key", session), p("user", user), p("permission", permission)],
        )
        .await
    }

    /// `files.seteditingproperties`.
    pub async fn files_set_editing_properties(&self, session: &str, filename: &str) -> Result<(), Error> {
        self.done("files.seteditingproperties", &[p("session_key", session), p("filename", filename)]).await
    }

    /// `files.stopedit`.
    pub async fn files_stop_edit(&self, id: &str, device: &str) -> Result<(), Error> {
        self.done("files.stopedit", &[p("id", id), p("deviceid", device)]).await
    }

    /// `files.upload`, as multipart.
    pub async fn files_upload(&self, channels: &[&str], name: &str, content: &[u8]) -> Result<File, Error> {
        let make = || {
            let part = reqwest::multipart::Part::bytes(content.to_vec()).file_name(name.to_owned());
            reqwest::multipart::Form::new()
                .text("token", self.token.expose_secret().to_owned())
                .text("channels", channels.join(","))
                .text("filename", name.to_owned())
                .part("file", part)
        };
        must("files.upload", self.connection.call_multipart("files.upload", make).await?.view("file"))
    }

    /// `im.close`.
    pub async fn im_close(&self, channel: &str) -> Result<(), Error> {
        self.done("im.close", &[p("channel", channel)]).await
    }

    /// `im.open`.
    pub async fn im_open(&self, user: &str) -> Result<OpenedIm, Error> {
        Ok(self.call("im.open", &[p("user", user), p("return_im", 1)]).await?.whole())
    }

    /// `pins.add`, for all or for oneself.
    pub async fn pins_add(&self, channel: &str, target: Target<'_>, for_all: bool) -> Result<(), Error> {
        self.done("pins.add", &[p("channel", channel), target.parameter(), p("global", u8::from(for_all))]).await
    }

    /// `pins.remove`.
    pub async fn pins_remove(&self, channel: &str, target: Target<'_>) -> Result<(), Error> {
        self.done("pins.remove", &[p("channel", channel), target.parameter()]).await
    }

    /// `reactions.add`: replaces the account's earlier one.
    pub async fn reactions_add(&self, channel: &str, ts: &str, name: &str) -> Result<(), Error> {
        self.done("reactions.add", &[p("channel", channel), p("timestamp", ts), p("name", name)]).await
    }

    /// `reactions.remove`; the name travels for servers that want it (row 21).
    pub async fn reactions_remove(&self, channel: &str, ts: &str, name: &str) -> Result<(), Error> {
        self.done("reactions.remove", &[p("channel", channel), p("timestamp", ts), p("name", name)]).await
    }

    /// `users.setActive`.
    pub async fn users_set_active(&self, channel: Option<&str>) -> Result<(), Error> {
        let parameters: Vec<_> = channel.map(|channel| p("channel", channel)).into_iter().collect();
        self.done("users.setActive", &parameters).await
    }

    /// `users.setPresence`: `away` or `auto`.
    pub async fn users_set_presence(&self, presence: &str) -> Result<(), Error> {
        self.done("users.setPresence", &[p("presence", presence)]).await
    }
}
