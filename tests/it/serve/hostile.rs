//! Texts and names made to run in a reader's browser: they are shown, and stay text.

use axum::http::header;
use teamchat_archive::history::messages_between;
use teamchat_archive::model::{ChannelId, MessageTs};
use teamchat_archive::store::FIRST_SOURCE;

use super::{Desk, Part, Tag, encode, parts, tags, text_of};

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

/// The tags that our templates write.
const TAGS: &[&str] = &[
    "!doctype", "html", "head", "meta", "title", "link", "body", "a", "header", "span", "nav", "form", "label",
    "input", "button", "small", "main", "footer", "p", "code", "bdi", "h1", "h2", "h3", "section", "div", "dl", "dt",
    "dd", "table", "caption", "meter", "thead", "tbody", "tr", "th", "td", "time", "ul", "li", "ol", "article",
    "details", "summary", "del", "ins", "mark", "pre", "strong", "select", "option", "br", "img",
];

const ATTRIBUTES: &[&str] = &[
    "html",
    "lang",
    "dir",
    "charset",
    "name",
    "content",
    "rel",
    "href",
    "type",
    "class",
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "aria-current",
    "action",
    "role",
    "for",
    "id",
    "value",
    "placeholder",
    "autocomplete",
    "autocapitalize",
    "required",
    "autofocus",
    "method",
    "tabindex",
    "scope",
    "datetime",
    "title",
    "src",
    "alt",
    "start",
    "selected",
    "min",
    "max",
];

fn is_harmless(tag: &Tag, path: &str, problems: &mut Vec<String>) {
    let name = tag.name.trim_start_matches('/');
    if !TAGS.contains(&name) {
        problems.push(format!("{path}: <{}>", tag.name));
    }
    for (attribute, value) in &tag.attributes {
        if !ATTRIBUTES.contains(&attribute.as_str()) {
            problems.push(format!("{path}: <{name} {attribute}={value:?}>"));
        }
        let leads = match attribute.as_str() {
            "action" | "src" => value.starts_with('/') && !value.starts_with("//"),
            "href" if tag.attribute("class") == "out" => value.starts_with("https://") || value.starts_with("http://"),
            "href" => value.starts_with('#') || value.starts_with('/') && !value.starts_with("//"),
            _ => true,
        };
        if !leads {
            problems.push(format!("{path}: <{name} {attribute}={value:?}>"));
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

fn has_bidi(text: &str) -> bool {
    text.contains(|c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}'))
}

#[tokio::test]
async fn what_is_hostile_stays_text() {
    let me = "klara.zemanova@orlava.example";
    let mut channel = String::new();
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        channel = legal.clone();
        let mut files = Vec::new();
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
        workspace.rename_user("viktor.sokol@orlava.example", &format!("{}{BIDI}", ATTACKS[2])).unwrap();
        workspace.set_topic(&legal, me, &format!("{}{BIDI}", ATTACKS[1])).unwrap();
        workspace.rename_channel(&legal, &format!("{}{BIDI}", ATTACKS[4])).unwrap();
    })
    .await;
    let cookie = desk.auditor();
    let id = ChannelId::parse(&channel).unwrap();
    let mut paths = vec!["/".to_owned(), "/c".to_owned(), "/f".to_owned(), format!("/c/{}", encode(&channel))];
    let newest = messages_between(&desk.archive.reader(), FIRST_SOURCE, &id, MessageTs::MIN, MessageTs::MAX).unwrap();
    for item in newest.iter().rev().take(70) {
        paths.extend(item.versions.iter().map(|version| format!("/r/{}", version.seq)));
    }
    for file in desk.running.workspace().file_truth().unwrap().iter().rev().take(ATTACKS.len() + 1) {
        paths.push(format!("/f/{}", encode(&file.file)));
    }
    for place in ["", "after ", "comment "] {
        for attack in ATTACKS.iter().copied().chain([BIDI]) {
            let query = encode(&format!("{place}{attack}"));
            paths.push(format!("/search?q={query}"));
            paths.push(format!("/search?q=alert&sort={query}&state={query}&kind={query}"));
        }
    }
    for query in ["alert", "onerror", "click", "after", "comment", "invoice", "gpj", "in:script"] {
        paths.push(format!("/search?q={query}"));
    }
    for attack in ATTACKS {
        paths.push(format!("/login?next={}", encode(attack)));
        paths.push(format!("/c/{}", encode(attack)));
        paths.push(format!("/c/{}?at={}", encode(&channel), encode(attack)));
        paths.push(format!("/c/{}?date={}", encode(&channel), encode(attack)));
        paths.push(format!("/f/{}", encode(attack)));
        paths.push(format!("/r/{}", encode(attack)));
    }
    let mut problems = Vec::new();
    let mut shown = String::new();
    for path in &paths {
        let answer = desk.page(&cookie, path).await;
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.status);
        if !answer.header(header::CONTENT_TYPE).starts_with("text/html") {
            continue;
        }
        let html = answer.text();
        if html.to_ascii_lowercase().contains("<script") {
            problems.push(format!("{path}: a script"));
        }
        for tag in tags(&html) {
            is_harmless(&tag, path, &mut problems);
        }
        if !path.starts_with("/search?q=") && has_bidi(&guarded_text(&html)) && !html.contains("class=\"versions\"") {
            problems.push(format!("{path}: a character that turns text around"));
        }
        shown.push_str(&text_of(&html));
    }
    problems.dedup();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
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
            let due = if is_picture && !query.is_empty() { "inline;" } else { "attachment;" };
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
