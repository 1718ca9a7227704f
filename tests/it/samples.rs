//! Each literal reply of the reference, read by the client: all 55 methods are called against a
//! server that answers with the reference's own text, and every field that a sample shows and a
//! view has must come out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use teamchat_archive::api::wire::{Channel, Comment, File, Matches, Paging, User};
use teamchat_archive::api::{
    Connection, Credentials, Download, Error, HistoryWindow, Operator, Reader, Sink, Target, Transfer,
};
use teamchat_archive::model::MessageTs;

use crate::reference;
use crate::stub::Stub;
use crate::support::quick;

const CHANNEL: &str = "cHVibGljLWZvbGRlcnMlNDB0LmNvbSZUZWFtQ2hhdCU1QzRhNmE4MjE4MDAxNg==";
const NONCE: &str = "c05999c2a652f836750e7d45ca3b8ed2ad11ec752f381e0ff414ba5c5456ba61";
const TOKEN: &str = "xoxp-44e14e77c260e58b4c5174e79ee05c7cfa5fffb4174e55cf46390e41f2dad209";
/// What the four methods answer that give no JSON; the reference shows no sample of them.
const ATOM: &str = r#"<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>t</title><updated>2017-03-20T10:12:40Z</updated><entry><id>tag:t.com,2017:teamchat:x:1490004760.000165</id><title>a</title><updated>2017-03-20T10:12:40Z</updated><author><name>M</name><email>member@icewarp.com</email></author><content>text</content></entry></feed>"#;
const BYTES: &[u8] = b"\x89PNG bytes";

/// A server of samples, a client of it, and the methods that were called.
struct Literal {
    stub: Stub,
    connection: Arc<Connection>,
    called: Arc<Mutex<BTreeSet<String>>>,
}

impl Literal {
    /// `broken_login`: the plain login misses its comma, as printed.
    async fn start(broken_login: bool) -> Self {
        let samples = reference::samples();
        let broken = fs_err::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/schemas/api/samples/iwauthentication.login.plain.literal.txt"
        ))
        .unwrap();
        let called: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let log = Arc::clone(&called);
        let stub = Stub::start(move |method, parameters| {
            log.lock().unwrap().insert(method.to_owned());
            // The second reply of the digest answers what the first one asked for.
            let number = usize::from(parameters.contains_key("response"));
            match method {
                "channels.atom.history" => ATOM.as_bytes().to_vec(),
                "files.avatar" | "files.empty" | "files.download" => BYTES.to_vec(),
                "files.stopedit" => br#"{"ok":true}"#.to_vec(),
                "iwauthentication.login.plain" if broken_login => broken.clone(),
                _ => {
                    let mut of_method = samples.iter().filter(|sample| sample.method == method);
                    of_method.nth(number).map_or_else(Vec::new, |sample| sample.text.clone().into_bytes())
                }
            }
        })
        .await;
        let connection = Arc::new(Connection::new(&stub.url, &quick()).unwrap());
        Self { stub, connection, called }
    }

    fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.connection), TOKEN.to_owned().into())
    }

    fn operator(&self) -> Operator {
        Operator::new(Arc::clone(&self.connection), TOKEN.to_owned().into())
    }
}

fn sample(file: &str) -> Value {
    let samples = reference::samples();
    serde_json::from_str(&samples.iter().find(|sample| sample.file == file).unwrap().text).unwrap()
}

/// Holds a view against the JSON it was read from, field by field. A field that the sample shows
/// and the view names must not have gone into `rest`.
macro_rules! same {
    ($what:literal, $view:expr, $json:expr, $($field:ident),* $(; rest = $rest:expr)?) => {{
        let named = [$(stringify!($field)),*];
        $(assert_eq!(json!($view.$field), $json[stringify!($field)], "{}: {}", $what, stringify!($field));)*
        assert!(named.iter().all(|name| $json.get(name).is_some()), "{}: the sample shows each", $what);
        $(for (name, value) in &$rest {
            assert_eq!(value, &$json[name], "{}: {name}", $what);
            assert!(!named.contains(&name.as_str()), "{}: {name}", $what);
        })?
    }};
}

fn channel_is(what: &str, view: &Channel, json: &Value) {
    same!("channel", view, json, id, name, created, creator, is_archived, is_member, num_members, members; rest = view.rest);
    assert!(!view.id.is_empty() && view.is_member == Some(true) && !view.roster_is_cut(), "{what}");
}

fn file_is(what: &str, view: &File, json: &Value) {
    same!("file", view, json, id, name, title, created, timestamp, size, user, filetype, url_private, url_private_download, comments_count, channels, is_external; rest = view.rest);
    assert_eq!(view.rest["initial_comment"], json["initial_comment"], "{what}");
    assert_eq!(view.rest["pretty_type"], json["pretty_type"], "{what}");
    assert_eq!(view.edit_counter(), 0, "{what}");
}

fn comment_is(view: &Comment, json: &Value) {
    same!("comment", view, json, id, user, comment, created, timestamp, is_intro; rest = view.rest);
}

fn user_is(view: &User, json: &Value) {
    same!("user", view, json, id, name, real_name, deleted, is_bot; rest = view.rest);
    assert_eq!(view.rest["profile"], json["profile"]);
    assert_eq!(view.rest["tz_offset"], 3600);
}

fn paging_is(view: &Paging, json: &Value) {
    same!("paging", view, json, count, total, page, pages);
}

fn matches_are(view: Option<&Matches>, json: &Value) {
    let view = view.unwrap();
    assert_eq!(json!(view.total), json["total"]);
    paging_is(view.paging.as_ref().unwrap(), &json["paging"]);
    assert_eq!(json!(view.matches), json["matches"]);
}

fn window() -> HistoryWindow {
    HistoryWindow { oldest: MessageTs::MIN, latest: MessageTs::MAX, count: 100 }
}

#[tokio::test]
async fn both_ways_to_sign_in_read_the_literal_replies() {
    let literal = Literal::start(false).await;
    let (username, password) = ("admin@icewarp.com".to_owned(), SecretString::from("secret".to_owned()));
    for credentials in [
        Credentials::Plain { username: username.clone(), password: password.clone() },
        Credentials::Digest { username, password },
        Credentials::Token(TOKEN.to_owned().into()),
    ] {
        let opened = literal.connection.sign_in(&credentials).await.unwrap();
        assert_eq!(opened.token.expose_secret(), TOKEN);
        assert_eq!(opened.user_id, "admin@icewarp.com");
        assert!(!format!("{opened:?}").contains(TOKEN), "a token was printed");
    }
}

#[tokio::test]
async fn the_challenge_of_the_reference_is_read_whole() {
    let text = sample("iwauthentication.login.digest.1.json").to_string();
    let challenge: teamchat_archive::api::wire::SignIn = serde_json::from_str(&text).unwrap();
    assert_eq!((challenge.realm.as_str(), challenge.qop.as_str()), ("realm", "auth"));
    assert_eq!(challenge.nonce, NONCE);
    assert_eq!((challenge.algorithm.as_str(), challenge.method.as_str()), ("MD5-Sess", "authenticate"));
    assert!(!challenge.authorized && challenge.token.is_empty());
    let granted: teamchat_archive::api::wire::SignIn =
        serde_json::from_str(&sample("iwauthentication.login.digest.2.json").to_string()).unwrap();
    assert!(granted.authorized && granted.token == TOKEN);
}

#[tokio::test]
async fn the_login_that_lacks_a_comma_is_an_error() {
    let literal = Literal::start(true).await;
    let credentials =
        Credentials::Plain { username: "admin@icewarp.com".to_owned(), password: "secret".to_owned().into() };
    let error = literal.connection.sign_in(&credentials).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(!error.to_string().contains("xoxp-"), "the error tells the token: {error}");
}

#[tokio::test]
async fn what_is_read_comes_out_of_every_literal_reply() {
    let literal = Literal::start(false).await;
    let reader = literal.reader();

    let reply = reader.api_test(&[]).await.unwrap();
    assert_eq!(reply.view::<Value>("args").unwrap(), json!({}));
    let (identity, reply) = reader.auth_test().await.unwrap();
    same!("auth.test", identity, sample("auth.test.json"), user, user_id, url);
    assert_eq!(reply.bytes, reference::samples().iter().find(|sample| sample.method == "auth.test").unwrap().text);

    let list = sample("channels.list.json");
    let page = reader.channels_list().await.unwrap();
    assert!(page.is_whole && page.items.len() == 1);
    channel_is("channels.list", page.items[0].view.as_ref().unwrap(), &list["channels"][0]);
    let info = reader.channels_info(CHANNEL).await.unwrap().unwrap();
    channel_is("channels.info", &info.view.unwrap(), &sample("channels.info.json")["channel"]);
    let page = reader.channels_history(CHANNEL, window()).await.unwrap();
    assert!(page.is_whole && page.items.is_empty() && page.has_more == Some(false));
    let (feed, bytes) = reader.channels_atom_history(CHANNEL, window()).await.unwrap();
    assert_eq!(bytes, ATOM);
    assert_eq!(feed.entries[0].ts, MessageTs::parse("1490004760.000165"));
    assert_eq!((feed.entries[0].author.as_str(), feed.entries[0].text.as_str()), ("member@icewarp.com", "text"));

    let list = sample("files.list.json");
    let (page, paging) = reader.files_list(CHANNEL, None, 100, 1).await.unwrap();
    file_is("files.list", page.items[0].view.as_ref().unwrap(), &list["files"][0]);
    paging_is(&paging, &list["paging"]);
    let info = sample("files.info.json");
    let (file, comments, paging) = reader.files_info("4a6a875cae79", 100, 1).await.unwrap();
    file_is("files.info", &file.unwrap().view.unwrap(), &info["file"]);
    assert!(comments.items.is_empty() && comments.is_whole, "no `comments` is no comments");
    paging_is(&paging, &info["paging"]);
    assert_eq!(reader.files_avatar("admin@icewarp.com").await.unwrap(), BYTES);
    assert_eq!(reader.files_empty("text").await.unwrap(), BYTES);

    let page = reader.im_list().await.unwrap();
    let im = page.items[0].view.clone().unwrap();
    assert_eq!((im.id.as_str(), im.user.as_str()), ("DBWMGHFUSTVBC", "test@icewarp.com"));
    assert_eq!((im.created, im.is_user_deleted, &im.rest["is_im"]), (1_489_410_868, false, &json!("true")));
    let item = reader.items_info(CHANNEL, "1489417914.000079").await.unwrap().unwrap().view.unwrap();
    let shown = &sample("items.info.json")["message"];
    assert_eq!(item.kind, "message");
    same!("items.info", item, shown, user, text, ts, is_stared; rest = item.rest);
    assert_eq!(item.parsed_ts(), MessageTs::parse("1489417914.000079"));

    let page = reader.pins_list(CHANNEL).await.unwrap();
    let pin = page.items[0].view.clone().unwrap();
    let shown = &sample("pins.list.json")["items"][0];
    same!("pins.list", pin, shown, user, ts, is_stared, subtype; rest = pin.rest);
    file_is("pins.list", pin.file.as_ref().unwrap(), &shown["file"]);
    assert_eq!(pin.all_files().len(), 1);

    let page = reader.reactions_get(CHANNEL, "1.000000").await.unwrap();
    for (item, shown) in page.items.iter().zip(sample("reactions.get.json")["reactions"].as_array().unwrap()) {
        same!("reactions.get", item.view.as_ref().unwrap(), shown, name, count, users);
    }
    assert_eq!(page.items.len(), 2);
    let list = sample("reactions.list.json");
    let (page, paging) = reader.reactions_list(CHANNEL, None, 100, 2).await.unwrap();
    paging_is(&paging, &list["paging"]);
    let item = page.items[0].view.clone().unwrap();
    assert_eq!(item.kind, "message");
    assert_eq!(item.rest["channel"], list["items"][0]["channel"]);
    assert_eq!(item.rest["message"], list["items"][0]["message"]);

    let url = reader.rtm_start().await.unwrap();
    assert_eq!(json!(url.expose_secret()), sample("rtm.start.json")["url"]);

    let all = reader.search_all(CHANNEL, "test", 20, 1).await.unwrap();
    let shown = sample("search.all.json");
    assert_eq!(all.query, "test");
    matches_are(all.messages.as_ref(), &shown["messages"]);
    matches_are(all.files.as_ref(), &shown["files"]);
    let files = reader.search_files(CHANNEL, "test", 20, 1).await.unwrap();
    matches_are(files.files.as_ref(), &sample("search.files.json")["files"]);
    assert!(files.messages.is_none() && files.query == "test");
    let messages = reader.search_messages(CHANNEL, "test", 20, 1).await.unwrap();
    matches_are(messages.messages.as_ref(), &sample("search.messages.json")["messages"]);
    assert!(messages.files.is_none() && messages.query == "test");

    let user = reader.users_identity().await.unwrap().unwrap().view.unwrap();
    user_is(&user, &sample("users.identity.json")["user"]);
    let user = reader.users_info("admin@icewarp.com").await.unwrap().unwrap().view.unwrap();
    user_is(&user, &sample("users.info.json")["user"]);
    let page = reader.users_list(None).await.unwrap();
    assert!(page.is_whole && page.items.is_empty());
    let presence = reader.users_get_presence(None).await.unwrap();
    assert_eq!((presence.presence.as_str(), presence.last_activity), ("active", 1_489_410_930));
    assert!(presence.online && presence.connection_count == 1);

    let url = literal.connection.download_url("files.download?ticket=abc").unwrap();
    let mut kept = Kept::default();
    let done = literal.connection.download(&url, 1000, &mut Transfer::default(), &mut kept).await.unwrap();
    assert_eq!((done, kept.0.as_slice()), (Download { size: BYTES.len() as u64 }, BYTES));
    reader.logout().await.unwrap();

    called_are_all(&literal, &["iwauthentication.login.plain", "iwauthentication.login.digest"], false);
}

#[tokio::test]
async fn what_is_written_reads_every_literal_reply() {
    let literal = Literal::start(false).await;
    let operator = literal.operator();
    assert!(operator.auth_revoke().await.unwrap());
    let channel = operator.channels_create("new channel").await.unwrap();
    channel_is("channels.create", &channel, &sample("channels.create.json")["channel"]);
    operator.channels_join(CHANNEL).await.unwrap();
    operator.channels_kick(CHANNEL, "test@icewarp.com").await.unwrap();
    operator.channels_leave(CHANNEL).await.unwrap();
    let channel = operator.channels_rename(CHANNEL, "new name").await.unwrap();
    channel_is("channels.rename", &channel, &sample("channels.rename.json")["channel"]);
    let purpose = operator.channels_setpurpose(CHANNEL, "p").await.unwrap();
    assert_eq!(purpose, "This is the purpose of this channel");
    assert_eq!(operator.channels_settopic(CHANNEL, "t").await.unwrap(), "This is the topic of this channel");

    let posted = operator.chat_post_message(CHANNEL, "message text").await.unwrap();
    let shown = sample("chat.postMessage.json");
    same!("chat.postMessage", posted, shown, ts, channel);
    let message = posted.message.unwrap();
    same!("chat.postMessage", message, shown["message"], user, text, ts, is_stared; rest = message.rest);
    let updated = operator.chat_update(CHANNEL, "1489314228.047812", "new text").await.unwrap();
    same!("chat.update", updated, sample("chat.update.json"), ts, channel, text);
    let deleted = operator.chat_delete(CHANNEL, "1489314228.047812").await.unwrap();
    same!("chat.delete", deleted, sample("chat.delete.json"), ts, channel);

    let comment = operator.files_comments_add("F", "comment on file").await.unwrap();
    comment_is(&comment, &sample("files.comments.add.json")["comment"]);
    let comment = operator.files_comments_edit("F", "4a6d737001e2", "comment on file edited").await.unwrap();
    comment_is(&comment, &sample("files.comments.edit.json")["comment"]);
    operator.files_comments_delete("F", "4a6d737001e2").await.unwrap();
    operator.files_delete("F").await.unwrap();
    let session = operator.files_edit("F", "device", 0).await.unwrap();
    same!("files.edit", session, sample("files.edit.json"), data, mode, key);
    operator.files_set_editing_permission("key", "test@icewarp.com", 2).await.unwrap();
    operator.files_set_editing_properties("key", "name").await.unwrap();
    operator.files_stop_edit("F", "device").await.unwrap();
    let file = operator.files_upload(&[CHANNEL], "test", b"twenty-one bytes here").await.unwrap();
    file_is("files.upload", &file, &sample("files.upload.json")["file"]);

    operator.im_close("DBWMGHFUSTVBC").await.unwrap();
    let opened = operator.im_open("test@icewarp.com").await.unwrap();
    assert_eq!((opened.id.as_str(), opened.already_open), ("DBWMGHFUSTVBC", true));
    channel_is("im.open", &opened.channel.unwrap(), &sample("im.open.json")["channel"]);
    operator.pins_add(CHANNEL, Target::Message("1.000000"), true).await.unwrap();
    operator.pins_remove(CHANNEL, Target::File("F")).await.unwrap();
    operator.reactions_add(CHANNEL, "1.000000", "thumbsup").await.unwrap();
    operator.reactions_remove(CHANNEL, "1.000000", "thumbsup").await.unwrap();
    operator.users_set_active(None).await.unwrap();
    operator.users_set_presence("away").await.unwrap();
    called_are_all(&literal, &[], true);
}

/// Methods that change something on the server; the others are the reader's.
const WRITES: &[&str] = &[
    "auth.revoke",
    "channels.create",
    "channels.join",
    "channels.kick",
    "channels.leave",
    "channels.rename",
    "channels.setpurpose",
    "channels.settopic",
    "chat.delete",
    "chat.postMessage",
    "chat.update",
    "files.comments.add",
    "files.comments.delete",
    "files.comments.edit",
    "files.delete",
    "files.edit",
    "files.seteditingpermission",
    "files.seteditingproperties",
    "files.stopedit",
    "files.upload",
    "im.close",
    "im.open",
    "pins.add",
    "pins.remove",
    "reactions.add",
    "reactions.remove",
    "users.setActive",
    "users.setPresence",
];

/// That one side called each method of its half of the reference, and none of the other's.
fn called_are_all(literal: &Literal, but: &[&str], writes: bool) {
    let due: BTreeSet<String> = reference::index()
        .into_keys()
        .filter(|method| WRITES.contains(&method.as_str()) == writes && !but.contains(&method.as_str()))
        .collect();
    assert_eq!(*literal.called.lock().unwrap(), due, "at {}", literal.stub.url);
}

#[derive(Debug, Default)]
struct Kept(Vec<u8>);

impl Sink for Kept {
    type Error = Error;

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.0.clear();
        Ok(())
    }
}
