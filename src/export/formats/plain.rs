//! What was written, as plain text that loses nothing: mentions by the name of the time, links with their
//! address, the three entities as the characters that they stand for. What is none of these stays as it is,
//! characters that are not seen, too: whoever shows it to people sees to those.

use serde_json::Value;

use crate::export::names::Names;
use crate::export::unit::Version;
use crate::model::{ChannelId, UtcTime};

/// Everything that a version says, as plain text: its text, and the cards that a machine put under it.
pub(super) fn said(version: &Version, names: &Names, time: UtcTime) -> String {
    let body = &version.body;
    if !body.is_object() {
        // What a server sent need not be JSON; it is shown as it came.
        return String::from_utf8_lossy(&version.record.body).into_owned();
    }
    let mut out = plain(version.text(), names, time);
    for card in body["attachments"].as_array().into_iter().flatten().map(card_text) {
        if !out.is_empty() && !card.is_empty() {
            out.push('\n');
        }
        out.push_str(&plain(&card, names, time));
    }
    out
}

/// The texts of a card, a line each. Its short form stands only where it says nothing else.
fn card_text(card: &Value) -> String {
    let text = |value: &Value, name: &str| value[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut lines: Vec<String> =
        ["pretext", "author_name", "title", "title_link", "text"].iter().filter_map(|name| text(card, name)).collect();
    for field in card["fields"].as_array().into_iter().flatten() {
        let pair: Vec<String> = [text(field, "title"), text(field, "value")].into_iter().flatten().collect();
        lines.extend((!pair.is_empty()).then(|| pair.join(": ")));
    }
    if lines.is_empty() {
        lines.extend(text(card, "fallback"));
    }
    lines.extend(["image_url", "footer"].iter().filter_map(|name| text(card, name)));
    lines.join("\n")
}

/// A text as plain text.
pub(super) fn plain(text: &str, names: &Names, time: UtcTime) -> String {
    let person = |id: &str| names.person(id, time).map(|person| person.name.clone());
    let channel = |id: &str| ChannelId::parse(id).map(|id| names.conversation(&id, time).name);
    rendered(text, &person, &channel)
}

type Named<'a> = &'a dyn Fn(&str) -> Option<String>;

fn rendered(text: &str, person: Named<'_>, channel: Named<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&entities(&rest[..at]));
        let inside = rest[at + 1..].find(['>', '\n', '<']).map(|end| (end, &rest[at + 1..at + 1 + end]));
        match inside {
            Some((end, inside)) if rest[at + 1 + end..].starts_with('>') => {
                match marked(inside, person, channel) {
                    Some(shown) => out.push_str(&shown),
                    None => out.push_str(&entities(&rest[at..at + end + 2])),
                }
                rest = &rest[at + end + 2..];
            }
            _ => {
                out.push('<');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(&entities(rest));
    out
}

/// What stands between angle brackets, when it is a mention or a link.
fn marked(inside: &str, person: Named<'_>, channel: Named<'_>) -> Option<String> {
    let (target, label) = inside.split_once('|').map_or((inside, None), |(target, label)| (target, Some(label)));
    let label = label.filter(|label| !label.is_empty()).map(entities);
    if let Some(id) = target.strip_prefix('@') {
        return Some(format!("@{}", person(id).or(label).unwrap_or_else(|| entities(id))));
    }
    if let Some(id) = target.strip_prefix('#') {
        return Some(format!("#{}", label.or_else(|| channel(id)).unwrap_or_else(|| entities(id))));
    }
    if let Some(command) = target.strip_prefix('!') {
        return Some(format!("@{}", label.unwrap_or_else(|| entities(command))));
    }
    let (scheme, _) = target.split_once(':')?;
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return None;
    }
    let address = entities(target);
    Some(match label {
        Some(label) if label != address => format!("{label} <{address}>"),
        _ => address,
    })
}

fn entities(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_become_what_people_read_and_the_rest_stays() {
        let person = |id: &str| (id == "ann").then(|| "Ann One".to_owned());
        let channel = |id: &str| (id == "C1").then(|| "dock".to_owned());
        for (given, expected) in [
            ("<@ann> and <@bob|Bob> and <@eve>", "@Ann One and @Bob and @eve"),
            ("<#C1> <#C2|yard> <#C3>", "#dock #yard #C3"),
            ("<!channel> <!subteam^S1|crew>", "@channel @crew"),
            ("<https://a.example/?x=1&amp;y=2|here>", "here <https://a.example/?x=1&y=2>"),
            (
                "<https://a.example|https://a.example> <mailto:a@b.example|a@b.example>",
                "https://a.example a@b.example <mailto:a@b.example>",
            ),
            ("1 &lt; 2 &amp;&amp; 3 &gt; 2 &amp;lt;", "1 < 2 && 3 > 2 &lt;"),
            ("a <b> c < d <", "a <b> c < d <"),
            ("<two\nlines> <<@ann>>", "<two\nlines> <@Ann One>"),
            ("", ""),
        ] {
            assert_eq!(rendered(given, &person, &channel), expected, "{given:?}");
        }
    }

    #[test]
    fn a_card_is_read_whole_and_its_short_form_only_alone() {
        let card =
            json!({"title": "No lifts", "text": "wind", "fallback": "x", "fields": [{"title": "m/s", "value": "17"}]});
        assert_eq!(card_text(&card), "No lifts\nwind\nm/s: 17");
        assert_eq!(card_text(&json!({"fallback": "x", "fields": [{}], "image_url": "u"})), "x\nu");
    }
}
