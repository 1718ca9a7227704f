//! The text beside the zip: what reviewers search and print. It says nothing that the manifest does not.

use super::events::Event;
use crate::export::markup::is_hidden;
use crate::export::names::Names;
use crate::model::Zone;

/// What stands above the events.
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    pub(super) topic: &'a str,
    pub(super) day: String,
    pub(super) members: &'a [String],
    pub(super) unlisted: usize,
}

/// Members named at most; the manifest names all.
const NAMED: usize = 100;

/// The text of a file.
pub(super) fn of(head: &Head<'_>, events: &[Event], names: &Names, zone: Zone) -> String {
    let mut lines =
        vec![format!("Conversation: {} ({})", one_line(head.title), head.kind), format!("Id: {}", one_line(head.id))];
    if !head.topic.is_empty() {
        lines.push(format!("Topic: {}", one_line(head.topic)));
    }
    lines.push(format!("Day: {} ({})", head.day, zone.name()));
    if let Some(first) = events.first() {
        let named: Vec<String> =
            head.members.iter().take(NAMED).map(|id| one_line(&super::display(id, names, first.time))).collect();
        let more = head.members.len().saturating_sub(NAMED) + head.unlisted;
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        lines.push(format!("Members: {}{more}", named.join(", ")));
    }
    for event in events {
        lines.push(String::new());
        push(&mut lines, event, names, zone);
    }
    let mut text = lines.join("\r\n");
    text.push_str("\r\n");
    text
}

fn push(lines: &mut Vec<String>, event: &Event, names: &Names, zone: Zone) {
    let name = |id: &str| match super::display(id, names, event.time) {
        display if display == id => one_line(id),
        display => format!("{} ({})", one_line(&display), one_line(id)),
    };
    let who = match &event.actor[..] {
        super::events::NOT_STATED => super::events::NOT_STATED_DISPLAY.to_owned(),
        id => name(id),
    };
    let kind = if event.kind == "message" { String::new() } else { format!(" [{}]", event.kind) };
    let gone = if event.is_deleted { " [deleted]" } else { "" };
    let reply = if event.parent.is_some() { " [in a thread]" } else { "" };
    lines.push(format!("{} {who}{kind}{gone}{reply}:", zone.full_text(event.time)));
    block(lines, "  ", &event.body);
    for file in &event.attachments {
        lines.push(format!("    attachment: {} ({} bytes, {})", one_line(&file.display), file.blob.size, file.entry));
    }
    for edit in &event.edits {
        let by =
            if edit.actor == super::events::NOT_STATED { "who is not stated".to_owned() } else { name(&edit.actor) };
        let at = edit.time.map_or("at a time not stated".to_owned(), |time| zone.full_text(time));
        lines.push(format!("    edited {at} by {by}"));
        if let Some(previous) = &edit.previous {
            lines.push("    before:".to_owned());
            block(lines, "      ", previous);
        } else {
            lines.push("    how it read before is not in the archive".to_owned());
        }
    }
    for reaction in &event.reactions {
        let who: Vec<String> = reaction.actors.iter().map(|id| name(id)).collect();
        lines.push(format!("    reaction: {} ×{}: {}", one_line(&reaction.value), reaction.count, who.join(", ")));
    }
    for (name, value) in event.custom.iter().map(super::events::Pair::line) {
        lines.push(format!("    {name}: {}", one_line(value)));
    }
}

fn block(lines: &mut Vec<String>, margin: &str, text: &str) {
    lines.extend(visible(text).lines().map(|line| format!("{margin}{line}")));
}

fn one_line(text: &str) -> String {
    visible(text).replace('\n', " ")
}

/// A text in which what can't be seen, or turns the direction of what follows, is shown as what it is. The
/// manifest has it as it was.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.push_str(&format!("[U+{:04X}]", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_shown_as_its_number() {
        assert_eq!(visible("a\u{202e}b\0c\nd"), "a[U+202E]b[U+0000]c\nd");
    }
}
