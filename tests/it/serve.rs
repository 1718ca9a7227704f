//! The web side of an archive of the story, held against what the sandbox knows to be there.
//!
//! Each test has its own archive: the story crawled as it begins, then again after `play_later`, so
//! that there are versions and deletions to show. Most have a copy of one that is made once. Pages
//! are read as text and tags, never through the templates; replies as JSON, never through the
//! handlers' types.

mod access;
mod accounts;
mod address;
mod api;
mod asking;
mod called;
mod checks;
mod coverage;
mod day;
mod ending;
mod exhibit;
mod exporting;
mod factor;
mod files;
mod forms;
mod hashing;
mod headers;
mod hostile;
mod identity;
mod methods;
mod openapi;
mod overview;
mod paging;
mod people;
mod proof;
mod proxy;
mod records;
mod routes;
mod scope;
mod searching;
mod sessions;
mod sets;
mod setup;
mod signin;
mod staff;
mod then;
mod timeline;
mod told;
mod unaware;
mod visits;
mod wordings;
mod written;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use axum::Router;
use axum::body::Body;
use axum::http::header;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use teamchat_archive::model::{Clock, Role, Scope, UtcTime, Zone};
use teamchat_archive::record::Visit;
use teamchat_archive::sandbox::Running;
use teamchat_archive::sandbox::workspace::TruthItem;
use teamchat_archive::store::access::{Access, Arrival, Grant};
use teamchat_archive::web::{Web, router};

pub(crate) use self::asking::{Answer, PASSWORD, encode, filled, form, get, only, post, send};
use self::told::Told;
use crate::support::TestArchive;

/// An archive of the story behind its router.
pub(crate) struct Desk {
    pub(crate) running: Arc<Running>,
    pub(crate) archive: TestArchive,
    pub(crate) access: Access,
    pub(crate) router: Router,
    /// The time that the web side sees, in milliseconds; the crawl used the machine's.
    pub(crate) hand: Arc<AtomicI64>,
}

impl Desk {
    /// The story, told to its end, for a test that only reads: the sandbox is that of others, too.
    pub(crate) async fn open() -> Self {
        let told = tokio::task::spawn_blocking(Told::once).await.unwrap();
        Self::over(Arc::clone(&told.running), told.archive())
    }

    /// The same with a sandbox of its own, for a test that changes what is there and crawls again.
    pub(crate) async fn alone() -> Self {
        Self::after(|running| running.play_later().unwrap()).await
    }

    /// The story, and what `more` makes of it after the first crawl.
    pub(crate) async fn after(more: impl FnOnce(&Running)) -> Self {
        let (running, archive) = Told::tell(more).await;
        Self::over(Arc::new(running), archive)
    }

    /// Behind an archive that a test made.
    fn over(running: Arc<Running>, archive: TestArchive) -> Self {
        let hand = Arc::new(AtomicI64::new(Clock::System.now().timestamp_millis()));
        let clock = Clock::Set(Arc::clone(&hand));
        let access = Access::open(&archive.layout, clock.clone()).unwrap();
        let web = Web::new(archive.reader(), access.clone(), Zone::UTC, clock).unwrap();
        Self { running, archive, access, router: router(Arc::new(web)), hand }
    }

    pub(crate) fn now(&self) -> UtcTime {
        Clock::Set(Arc::clone(&self.hand)).now()
    }

    /// The web side of another process over the same archive.
    pub(crate) fn another(&self) -> Web {
        let clock = Clock::Set(Arc::clone(&self.hand));
        Web::new(self.archive.reader(), self.access.clone(), Zone::UTC, clock).unwrap()
    }

    /// Its router.
    pub(crate) fn another_router(&self) -> Router {
        router(Arc::new(self.another()))
    }

    /// A token that lasts a day.
    pub(crate) fn token(&self, name: &str, role: Role, scope: &Scope) -> String {
        let ends = self.now() + chrono::TimeDelta::days(1);
        self.access.create_token(name, role, scope, ends).unwrap().0.expose_secret().to_owned()
    }

    /// A token that sees all.
    pub(crate) fn auditor_token(&self) -> String {
        self.token("auditor's", Role::Auditor, &Scope::All)
    }

    /// The cookie of a new account.
    pub(crate) fn cookie(&self, name: &str, role: Role, scope: &Scope) -> String {
        let grant = Grant::new(role, Some(scope.clone())).unwrap();
        self.access.add_user(name, &grant, &PASSWORD.to_owned().into()).unwrap();
        let cookie = self.access.start_session(name, &Visit::default(), Arrival::default()).unwrap();
        format!("__Host-sid={}", cookie.expose_secret())
    }

    /// The cookie of a new account that sees all.
    pub(crate) fn auditor(&self) -> String {
        self.cookie("ada", Role::Auditor, &Scope::All)
    }

    pub(crate) async fn page(&self, cookie: &str, path: &str) -> Answer {
        send(&self.router, get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await
    }

    /// The answer to a form that was filled in.
    pub(crate) async fn form(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        send(&self.router, form(path).header(header::COOKIE, cookie).body(filled(fields)).unwrap()).await
    }

    /// A page that is there.
    pub(crate) async fn html(&self, cookie: &str, path: &str) -> String {
        let answer = self.page(cookie, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    /// A call by GET with a bearer token.
    pub(crate) async fn call(&self, token: &str, method: &str, arguments: &[(&str, &str)]) -> Answer {
        let query: Vec<String> = arguments.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let path = format!("/teamchatapi/{method}?{}", query.join("&"));
        let request = get(&path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        send(&self.router, request.body(Body::empty()).unwrap()).await
    }

    /// The reply of a call that is answered.
    pub(crate) async fn reply(&self, token: &str, method: &str, arguments: &[(&str, &str)]) -> Value {
        let answer = self.call(token, method, arguments).await;
        let reply = answer.json();
        assert_eq!(reply["ok"], true, "{method} {arguments:?}: {reply}");
        reply
    }

    /// What stands or stood in each channel that the account sees, by its id as the server spells
    /// it; whispers between others are not seen.
    pub(crate) fn truth(&self) -> Vec<TruthItem> {
        let me = &self.running.username;
        let seen = |item: &TruthItem| item.whisper_to.as_ref().is_none_or(|to| to == me || item.user == *me);
        self.running.workspace().truth().into_iter().filter(seen).collect()
    }

    /// The living messages of each of these channels: text by time stamp.
    pub(crate) fn living(&self, channels: &BTreeSet<String>) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut out: BTreeMap<String, BTreeMap<String, String>> =
            channels.iter().map(|id| (id.clone(), BTreeMap::new())).collect();
        for item in self.truth() {
            if let Some(channel) = out.get_mut(&item.channel)
                && item.state == "current"
            {
                channel.insert(item.ts, item.text);
            }
        }
        out
    }

    /// Ids of what `channels.list` or `im.list` shows.
    pub(crate) async fn ids(&self, token: &str, method: &str, list: &str) -> BTreeSet<String> {
        let reply = self.reply(token, method, &[]).await;
        reply[list].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The id of a channel by its name.
    pub(crate) async fn channel(&self, token: &str, name: &str) -> String {
        let reply = self.reply(token, "channels.list", &[]).await;
        let found = reply["channels"].as_array().unwrap().iter().find(|channel| channel["name"] == name);
        found.unwrap_or_else(|| panic!("no channel {name}"))["id"].as_str().unwrap().to_owned()
    }

    /// Serves on loopback until the desk's test ends; the base address of the API.
    pub(crate) async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/teamchatapi/")
    }
}

/// A tag of a page: its name (`/p` for an end) and attributes, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: HashMap<String, String>,
}

impl Tag {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A page in pieces: text, decoded, and tags, as a browser cuts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Tag(Tag),
}

/// Character references, as far as pages have them.
pub(crate) fn decoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|&end| end < 10);
        let reference = end.and_then(|end| match &rest[1..end] {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            number => char::from_u32(number.strip_prefix('#')?.parse().ok()?),
        });
        match (reference, end) {
            (Some(c), Some(end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Cuts a page coarsely: `<` before a letter, `/`, `!` or `?` begins a tag, which ends at a `>`
/// outside quotes.
pub(crate) fn parts(html: &str) -> Vec<Part> {
    let mut out = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        let begins =
            |at: &usize| rest[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        let at = rest.match_indices('<').map(|(at, _)| at).find(begins).unwrap_or(rest.len());
        if at > 0 {
            out.push(Part::Text(decoded(&rest[..at])));
        }
        if at == rest.len() {
            break;
        }
        let (tag, used) = tag(&rest[at + 1..]);
        out.push(Part::Tag(tag));
        rest = &rest[at + 1 + used..];
    }
    out
}

/// The tag that `text` begins with, after its `<`, and its length with the `>`.
fn tag(text: &str) -> (Tag, usize) {
    let bytes = text.as_bytes();
    let end_of_name = text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    let mut tag = Tag { name: text[..end_of_name].to_ascii_lowercase(), attributes: HashMap::new() };
    let mut at = end_of_name;
    loop {
        while at < bytes.len() && (bytes[at].is_ascii_whitespace() || bytes[at] == b'/') {
            at += 1;
        }
        if at >= bytes.len() {
            return (tag, bytes.len());
        }
        if bytes[at] == b'>' {
            return (tag, at + 1);
        }
        let start = at;
        while at < bytes.len() && !bytes[at].is_ascii_whitespace() && !matches!(bytes[at], b'=' | b'>' | b'/') {
            at += 1;
        }
        // A stray `=` would be read for ever.
        at = at.max(start + 1);
        let name = text.get(start..at).unwrap_or("?").to_ascii_lowercase();
        let mut value = String::new();
        if bytes.get(at) == Some(&b'=') {
            at += 1;
            if let Some(quote) = bytes.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\'')) {
                let end = text[at + 1..].find(char::from(quote)).map_or(text.len(), |end| at + 1 + end);
                value = decoded(&text[at + 1..end]);
                at = (end + 1).min(text.len());
            } else {
                let end =
                    text[at..].find(|c: char| c.is_ascii_whitespace() || c == '>').map_or(text.len(), |end| at + end);
                value = decoded(&text[at..end]);
                at = end;
            }
        }
        tag.attributes.insert(name, value);
    }
}

/// The tags of a page.
pub(crate) fn tags(html: &str) -> Vec<Tag> {
    let tag = |part| if let Part::Tag(tag) = part { Some(tag) } else { None };
    parts(html).into_iter().filter_map(tag).collect()
}

/// The text of a page.
pub(crate) fn text_of(html: &str) -> String {
    let text = |part| if let Part::Text(text) = part { Some(text) } else { None };
    parts(html).into_iter().filter_map(text).collect()
}

/// The cookie of an answer, as a browser sends it back.
pub(crate) fn cookie_of(answer: &Answer) -> String {
    answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned()
}

/// Where the link with this relation leads.
pub(crate) fn link(html: &str, relation: &str) -> Option<String> {
    let tags = tags(html);
    let found = tags.iter().find(|tag| tag.name == "a" && tag.attribute("rel") == relation);
    found.map(|tag| tag.attribute("href").to_owned())
}

#[test]
fn pages_are_cut_as_a_browser_cuts_them() {
    let cut = parts(r#"a < b &#60;i&gt; <a href="/x?a&amp;b>" title='"'>l</a><img src=x onerror=y>"#);
    let text = |text: &str| Part::Text(text.to_owned());
    assert_eq!(cut[0], text("a < b <i> "));
    let Part::Tag(anchor) = &cut[1] else { panic!("{cut:?}") };
    assert_eq!((anchor.attribute("href"), anchor.attribute("title")), ("/x?a&b>", "\""));
    assert_eq!(cut[2], text("l"));
    let Part::Tag(image) = &cut[4] else { panic!("{cut:?}") };
    assert_eq!(image.attribute("onerror"), "y");
}
