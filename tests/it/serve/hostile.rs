//! Texts and names made to run in a reader's browser: they are shown, and stay text.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use axum::body::Body;
use axum::http::header;
use html5gum::{DefaultEmitter, Token, Tokenizer};
use image::{ImageFormat, RgbImage};
use teamchat_archive::export::{Sheet, sheet};
use teamchat_archive::history::messages_between;
use teamchat_archive::model::{ChannelId, MessageTs, Role, Scope};
use teamchat_archive::store::FIRST_SOURCE;

use super::routes::{addresses, routes};
use super::staff::{Staff, assert_all_were_shown};
use super::{Desk, Part, encode, only, parts, post, send, text_of};

const ATTACKS: [&str; 12] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)' x='",
    "</title><script>alert(1)</script>",
    "</textarea></pre></details><svg onload=alert(1)>",
    "<javascript:alert(1)|click me>",
    "<https://evil.example/\" onclick=\"alert(1)|click>",
    "<data:text/html,<script>alert(1)</script>|data>",
    "`<b onerror=x>code</b>` ```<i onload=y>block</i>```",
    "&lt;script&gt;alert(2)&lt;/script&gt; &amp;lt;b&amp;gt;",
    "<@nobody|<b onerror=z>> <#nowhere|<i>> <!here|\"onerror=\">",
];

/// Characters that turn text around, in a name that pretends to be a picture.
const BIDI: &str = "invoice\u{202e}gpj.exe\u{2066}\u{200f}";

/// What of HTML our templates write: whatever else stands in a page came from somebody.
struct Ours {
    tags: BTreeSet<String>,
    attributes: BTreeSet<String>,
}

/// The start tags of a page as a browser reads it, each with its attributes, and the texts of its scripts.
fn read(html: &str) -> (Vec<(String, BTreeMap<String, String>)>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut emitter = DefaultEmitter::<()>::default();
    // What stands in a script, a title or a field is no markup.
    emitter.naively_switch_states(true);
    let (mut tags, mut scripts, mut is_script) = (Vec::new(), String::new(), false);
    for token in Tokenizer::new_with_emitter(html, emitter) {
        match token.unwrap() {
            Token::StartTag(tag) => {
                is_script = tag.name.as_slice() == b"script";
                let pairs = tag.attributes.iter().map(|(name, value)| (text(name), text(value)));
                tags.push((text(&tag.name), pairs.collect()));
            }
            Token::EndTag(_) => is_script = false,
            Token::String(found) if is_script => scripts.push_str(&text(&found)),
            _ => {}
        }
    }
    (tags, scripts)
}

/// The templates, without what is put in.
fn templates() -> Vec<String> {
    let code = regex::Regex::new(r"(?s)\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}").unwrap();
    let mut out = Vec::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web/templates")];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                out.push(code.replace_all(&fs_err::read_to_string(path).unwrap(), "").into_owned());
            }
        }
    }
    out
}

impl Ours {
    fn load() -> Self {
        let (mut tags, mut attributes) = (BTreeSet::new(), BTreeSet::new());
        for template in templates() {
            for (name, pairs) in read(&template).0 {
                tags.insert(name);
                attributes.extend(pairs.into_keys());
            }
        }
        let found = Self { tags, attributes };
        for harmful in ["onerror", "onload", "style", "srcdoc", "http-equiv", "formaction"] {
            assert!(!found.attributes.contains(harmful), "a template has {harmful}");
        }
        for harmful in ["iframe", "object", "embed", "base", "style", "b", "i"] {
            assert!(!found.tags.contains(harmful), "a template has <{harmful}>");
        }
        found
    }

    /// What stands in a page that is none of ours, or leads where nothing should.
    fn judge(&self, path: &str, html: &str, problems: &mut Vec<String>) {
        let (tags, scripts) = read(html);
        if !scripts.trim().is_empty() {
            problems.push(format!("{path}: a script: {scripts}"));
        }
        for (name, pairs) in tags {
            if !self.tags.contains(&name) {
                problems.push(format!("{path}: <{name}>"));
            }
            let is_out = pairs.get("class").is_some_and(|class| class == "out");
            let is_last_step =
                path.starts_with("/out?") && pairs.get("rel").is_some_and(|rel| rel.contains("noreferrer"));
            for (attribute, value) in &pairs {
                let is_ours = value.starts_with('/') && !value.starts_with("//") && !value.starts_with("/\\");
                let is_web = value.starts_with("https://") || value.starts_with("http://");
                let leads = match attribute.as_str() {
                    "action" | "src" => is_ours,
                    "href" if is_out => value.starts_with("/out?to=http"),
                    "href" if is_last_step => is_web,
                    "href" => is_ours || value.starts_with('#') || value.starts_with('?'),
                    "data-to" => is_web,
                    _ => true,
                };
                if !leads || !self.attributes.contains(attribute) {
                    problems.push(format!("{path}: <{name} {attribute}={value:?}>"));
                }
            }
        }
    }
}

/// An exhibit as a file is opened far from here, and has a style and a script of its own: those that every such file has.
struct Exhibited {
    ours: Ours,
    scripts: String,
}

impl Exhibited {
    fn load() -> Self {
        let mut ours = Ours::load();
        let (tags, scripts) = read(&sheet(&Sheet { language: "en", head: "<title>x</title>", body: "" }));
        for (name, pairs) in tags {
            ours.tags.insert(name);
            ours.attributes.extend(pairs.into_keys());
        }
        Self { ours, scripts }
    }

    fn judge(&self, path: &str, html: &str, problems: &mut Vec<String>) {
        let (tags, scripts) = read(html);
        if scripts != self.scripts {
            problems.push(format!("{path}: another script"));
        }
        for (name, pairs) in tags {
            let is_known =
                self.ours.tags.contains(&name) && pairs.keys().all(|name| self.ours.attributes.contains(name));
            let leads = ["href", "src", "action"].iter().any(|attribute| pairs.contains_key(*attribute));
            if !is_known || leads {
                problems.push(format!("{path}: <{name} {pairs:?}>"));
            }
        }
    }
}

/// The text of a page without what is meant to be shown as it came: records' bodies, files' texts,
/// versions side by side.
fn guarded_text(html: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for part in parts(html) {
        match part {
            Part::Tag(tag) if tag.name == "pre" => depth += 1,
            Part::Tag(tag) if tag.name == "/pre" => depth -= 1,
            Part::Tag(tag) => {
                // Addresses and names in attributes, but not what was typed.
                if tag.name != "input" {
                    out.extend(tag.attributes.values().map(String::as_str));
                }
            }
            Part::Text(text) if depth == 0 => out.push_str(&text),
            Part::Text(_) => {}
        }
    }
    out
}

/// The names under which pages are asked for something.
const ASKED: [&str; 18] = [
    "q", "name", "to", "at", "date", "after", "from", "in", "state", "sort", "kind", "tz", "asof", "page", "next", "v",
    "within", "rest",
];

fn has_bidi(text: &str) -> bool {
    text.contains(|c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}'))
}

#[tokio::test]
async fn what_is_hostile_stays_text() {
    let me = "klara.zemanova@orlava.example";
    let (mut channel, mut picture, mut files) = (String::new(), String::new(), Vec::new());
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        channel = legal.clone();
        for attack in ATTACKS {
            workspace.post(&legal, me, attack).unwrap();
            let ts = workspace.post(&legal, me, "before").unwrap();
            workspace.edit(&legal, &ts, None, &format!("after {attack}")).unwrap();
            let (file, _) = workspace.upload(&legal, me, &format!("{attack}.txt"), attack.as_bytes().to_vec()).unwrap();
            workspace.comment(&file, me, &format!("comment {attack}")).unwrap();
            workspace.react(&legal, &ts, me, &attack.replace(char::is_whitespace, "/")).unwrap();
            files.push(file);
        }
        workspace.post(&legal, me, &format!("text {BIDI} <https://a.example/{BIDI}|{BIDI}> <@x|{BIDI}>")).unwrap();
        workspace.upload(&legal, me, BIDI, b"MZ".to_vec()).unwrap();
        let (name, mut bytes) = (format!("{}.png", ATTACKS[1]), Cursor::new(Vec::new()));
        RgbImage::new(4, 4).write_to(&mut bytes, ImageFormat::Png).unwrap();
        picture = workspace.upload(&legal, me, &name, bytes.into_inner()).unwrap().0;
        workspace.rename_user("viktor.sokol@orlava.example", &format!("{}{BIDI}", ATTACKS[2])).unwrap();
        workspace.set_topic(&legal, me, &format!("{}{BIDI}", ATTACKS[1])).unwrap();
        workspace.rename_channel(&legal, &format!("{}{BIDI}", ATTACKS[4])).unwrap();
    })
    .await;
    let id = ChannelId::parse(&channel).unwrap();
    let mut paths = Vec::new();
    let mut known = |pattern: &str, path: String| paths.push((pattern.to_owned(), path));
    for path in ["/", "/c", "/f"] {
        known(path, path.to_owned());
    }
    known("/c/{id}", format!("/c/{}", encode(&channel)));
    known("/out", format!("/out?to={}", encode("https://a.example/<script>")));
    let newest = messages_between(&desk.archive.reader(), FIRST_SOURCE, &id, MessageTs::MIN, MessageTs::MAX).unwrap();
    let records: Vec<u64> =
        newest.iter().rev().take(70).flat_map(|item| &item.versions).map(|version| version.seq.0).collect();
    for record in &records {
        known("/r/{record}", format!("/r/{record}"));
    }
    for file in desk.running.workspace().file_truth().unwrap().iter().rev().take(ATTACKS.len() + 2) {
        known("/f/{id}", format!("/f/{}", encode(&file.file)));
    }
    // An exhibit and a set of all that, under such names, kept by one account and given to another.
    let some: Vec<u64> = records.iter().copied().step_by(12).collect();
    let staff = Staff::hire(&desk, &some, ATTACKS[0]).await;
    let channels = only(&[&channel]);
    desk.cookie(ATTACKS[1], Role::Reviewer, &channels);
    desk.token(ATTACKS[2], Role::Reviewer, &channels);
    for (pattern, path, name) in [
        ("/exhibits", "/exhibits", ATTACKS[0]),
        ("/exhibits/{n}", "/exhibits/1", ATTACKS[0]),
        ("/exports", "/exports", ATTACKS[0]),
        ("/exports/{n}", "/exports/2", ATTACKS[0]),
        ("/saved", "/saved", ATTACKS[0]),
        ("/admin/users", "/admin/users", ATTACKS[1]),
        ("/admin/tokens", "/admin/tokens", ATTACKS[2]),
    ] {
        let page = text_of(&staff.page(&desk, pattern, path).await.text());
        assert!(page.contains(name), "{path} does not show {name}: {page}");
        known(pattern, path.to_owned());
    }
    for place in ["", "after ", "comment "] {
        for attack in ATTACKS.iter().copied().chain([BIDI]) {
            let query = encode(&format!("{place}{attack}"));
            known("/search", format!("/search?q={query}"));
            known("/search", format!("/search?q=alert&sort={query}&state={query}&kind={query}"));
        }
    }
    for query in ["alert", "onerror", "click", "after", "comment", "invoice", "gpj", "in:script"] {
        known("/search", format!("/search?q={query}"));
    }
    let file = files.last().unwrap();
    let every = format!("{} {BIDI}", ATTACKS.join(" "));
    for route in routes().iter().filter(|route| route.gets) {
        // Where something is, with an attack for each thing that is asked for beside it; and an attack in its place.
        let there = |section: &str, name: &str| match (section, name) {
            ("c", "id") => vec![encode(&channel)],
            // A text, and a picture: neither is shown by every page of a file.
            ("f", "id") => vec![encode(file), encode(&picture)],
            ("r", "record") => vec![records[0].to_string()],
            (_, "id") => vec![encode(me)],
            (_, "date") => vec!["2026-01-05".to_owned()],
            _ => vec!["1".to_owned()],
        };
        let pattern = route.pattern.as_str();
        let mut is_page = false;
        for address in addresses(pattern, &there) {
            let kind = staff.page(&desk, pattern, &address).await.header(header::CONTENT_TYPE).to_owned();
            is_page |= kind.starts_with("text/html") && !pattern.ends_with(".html");
            known(pattern, address);
        }
        // One thing alone, since what is wrong with another may be all that a page says: with all attacks in one text.
        // What is no page is asked for all things at once only.
        if is_page {
            for address in addresses(pattern, &there) {
                for name in ASKED {
                    known(pattern, format!("{address}?{name}={}", encode(&every)));
                }
            }
        }
        for attack in ATTACKS.iter().copied().chain([BIDI]) {
            let typed = encode(attack);
            for address in addresses(pattern, &there) {
                let pairs = ASKED.map(|name| format!("{name}={typed}")).join("&");
                known(pattern, format!("{address}?{pairs}"));
            }
            for address in addresses(pattern, &|_, _| vec![typed.clone()]) {
                known(pattern, address);
            }
        }
    }
    let (ours, exhibited) = (Ours::load(), Exhibited::load());
    let mut problems = Vec::new();
    let (mut shown, mut met) = (String::new(), BTreeSet::new());
    for (pattern, path) in &paths {
        let answer = staff.page(&desk, pattern, path).await;
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.status);
        if answer.status == 200 {
            met.insert(pattern.clone());
        }
        if !answer.header(header::CONTENT_TYPE).starts_with("text/html") || path.starts_with("/teamchatapi/") {
            continue;
        }
        let html = answer.text();
        if answer.status == 200 && pattern == "/exhibits/{n}/exhibit.html" {
            exhibited.judge(path, &html, &mut problems);
            continue;
        }
        ours.judge(path, &html, &mut problems);
        if !path.contains('?') && has_bidi(&guarded_text(&html)) {
            problems.push(format!("{path}: a character that turns text around"));
        }
        shown.push_str(&text_of(&html));
    }
    problems.dedup();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    assert_all_were_shown(&met, &[("/static/{hash}/{name}", "a file of ours, under no name that others give")]);
    // And it was all there to be seen.
    for attack in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)' x='",
        "<javascript:alert(1)|click me>",
    ] {
        for place in ["", "after ", "comment "] {
            assert!(shown.contains(&format!("{place}{attack}")), "{place}{attack} was not shown");
        }
        assert!(shown.contains(&format!("{attack}.txt")), "{attack}.txt was not shown");
    }
    for sign in ["U+202E", "U+2066", "U+200F"] {
        assert!(shown.contains(sign), "{sign} was not shown");
    }
}

/// What is sent to a page is no safer than what is asked of it.
#[tokio::test]
async fn what_is_typed_into_forms_stays_text() {
    let desk = Desk::open().await;
    let staff = Staff::at_work(&desk).await;
    let ours = Ours::load();
    let mut problems = Vec::new();
    // One that is called like what is typed: the forms that ask for a name come to look at the rest.
    desk.cookie(ATTACKS[1], Role::Auditor, &Scope::All);
    desk.token(ATTACKS[1], Role::Auditor, &Scope::All);
    let mut closed = BTreeMap::new();
    let fields = fields();
    for route in routes().iter().filter(|route| route.posts && !route.pattern.starts_with("/teamchatapi")) {
        if matches!(route.pattern.as_str(), "/logout" | "/sessions/end") {
            continue;
        }
        let cookie = staff.of(&route.pattern).1;
        for (n, attack) in ATTACKS.iter().copied().chain([BIDI]).enumerate() {
            // More tries at one's own password wait.
            if n > 3 && route.pattern == "/sessions/password" {
                continue;
            }
            // There is no other exhibit, from which a set could be made.
            let typed = fields.iter().filter(|name| route.pattern != "/exports" || name.as_str() != "exhibit");
            let form: Vec<String> = typed.map(|name| format!("{name}={}", encode(attack))).collect();
            for address in addresses(&route.pattern, &|_, _| vec!["1".to_owned()]) {
                let request = post(&address)
                    .header(header::COOKIE, cookie)
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                let answer = send(&desk.router, request.body(Body::from(form.join("&"))).unwrap()).await;
                assert!(answer.status.as_u16() < 500, "{address}: {}", answer.status);
                let is_closed = closed.entry(route.pattern.clone()).or_insert(true);
                *is_closed &= matches!(answer.status.as_u16(), 403 | 404);
                let place = answer.header(header::LOCATION);
                assert!(place.is_empty() || place.starts_with('/') && !place.starts_with("//"), "{address}: {place}");
                if answer.header(header::CONTENT_TYPE).starts_with("text/html") {
                    ours.judge(&address, &answer.text(), &mut problems);
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    closed.retain(|pattern, is_closed| *is_closed && !CLOSED.iter().any(|(known, _)| known == pattern));
    assert!(closed.is_empty(), "these never came to look at what was typed: {:?}", closed.keys());
}

/// Routes that refuse whatever is typed here, and why.
const CLOSED: [(&str, &str); 7] = [
    ("/setup", "there are accounts already"),
    ("/exhibits/{n}/join", "there is no other exhibit"),
    ("/sessions/password", "the password that is asked for is another"),
    ("/sessions/factor/begin", "this archive has no key to make codes with"),
    ("/sessions/factor/on", "this archive has no key to make codes with"),
    ("/sessions/factor/off", "this archive has no key to make codes with"),
    ("/admin/users/factor", "nobody here has a second factor"),
];

/// The names of fields: those of all forms, and some that none has.
fn fields() -> BTreeSet<String> {
    let mut found: BTreeSet<String> = ["back", "id", "which"].map(str::to_owned).into();
    for template in templates() {
        let (tags, _) = read(&template);
        let fields = tags.into_iter().filter(|(name, _)| matches!(name.as_str(), "input" | "select" | "textarea"));
        found.extend(fields.filter_map(|(_, pairs)| pairs.get("name").cloned()).filter(|name| !name.is_empty()));
    }
    assert!(["username", "format", "current", "title"].iter().all(|name| found.contains(*name)), "{found:?}");
    found
}

#[tokio::test]
async fn hostile_files_are_saved_and_never_shown() {
    let me = "klara.zemanova@orlava.example";
    let mut ids = Vec::new();
    let picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89".to_vec();
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        for (name, bytes) in [
            ("page.html", b"<html><script>alert(1)</script>".to_vec()),
            ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec()),
            ("data.xml", b"<?xml version='1.0'?><x/>".to_vec()),
            ("really.png", b"<html><script>alert(1)</script>".to_vec()),
            ("a\"b\r\nX-Bad: 1;\\ň.txt", b"plain".to_vec()),
            ("picture.png", picture),
        ] {
            ids.push((name, workspace.upload(&legal, me, name, bytes).unwrap().0));
        }
    })
    .await;
    let cookie = desk.auditor();
    for (name, id) in ids {
        for query in ["", "?inline=1", "?v=1&inline=1"] {
            let answer = desk.page(&cookie, &format!("/f/{}/blob{query}", encode(&id))).await;
            assert_eq!(answer.status, 200, "{name}");
            let kind = answer.header(header::CONTENT_TYPE);
            let is_picture = name == "picture.png";
            assert_eq!(kind, if is_picture { "image/png" } else { "application/octet-stream" }, "{name}");
            let how = answer.header(header::CONTENT_DISPOSITION);
            let due = if is_picture && query.contains("inline=1") { "inline;" } else { "attachment;" };
            assert!(how.starts_with(due), "{name}{query}: {how}");
            assert!(
                answer.header(header::CONTENT_SECURITY_POLICY).starts_with("sandbox; default-src 'none'"),
                "{name}"
            );
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert!(!answer.headers.contains_key("x-bad"));
            assert_eq!(how.matches('"').count(), 2, "{how}");
        }
        assert_eq!(desk.page(&cookie, &format!("/f/{}/blob?v=2", encode(&id))).await.status, 404);
        assert_eq!(desk.page(&cookie, &format!("/f/{}/blob?v=0", encode(&id))).await.status, 404);
    }
}
