//! The built-in workspace: eight months at Orlava Cranes, a maker of harbour cranes.
//!
//! It promises a believable small company that is the same at each start: people on three
//! continents, channels and conversations in a dozen languages, files of many kinds, and a plot
//! worth searching for (a change order, a rejected lot of steel, a broken gearbox, a delivery
//! date that somebody wants to be another one). What is said lies in `chat/*.chat`, a line per
//! message; the `script` module reads it. It must not read a clock, a disk or the network.

mod container;
mod files;
mod later;
mod people;
mod picture;
mod routine;
mod script;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::dice;
use super::seed::{Seed, SeedMessage};

/// The scripts of channels: key and text.
const SCRIPTS: &[(&str, &str)] = &[
    ("project", include_str!("chat/project.chat")),
    ("legal", include_str!("chat/legal.chat")),
    ("purchasing", include_str!("chat/purchasing.chat")),
    ("engineering", include_str!("chat/engineering.chat")),
    ("panel", include_str!("chat/panel.chat")),
    ("general", include_str!("chat/general.chat")),
    ("random", include_str!("chat/random.chat")),
    ("fair", include_str!("chat/fair.chat")),
];

/// The script of direct conversations; `@@ key` starts one.
const CONVERSATIONS: &str = include_str!("chat/direct.chat");

/// The built-in workspace.
pub fn seed() -> Seed {
    let mut messages = written();
    messages.extend(routine::messages());
    give_seconds(&mut messages);
    let mut files = files::files();
    for file in &mut files {
        for message in messages.iter().filter(|message| message.files.contains(&file.key)) {
            if !file.channels.contains(&message.channel) {
                file.channels.push(message.channel.clone());
            }
        }
    }
    Seed {
        domain: people::DOMAIN.to_owned(),
        account: people::ACCOUNT.to_owned(),
        account_is_hidden: false,
        users: people::users(),
        channels: people::channels(),
        files,
        messages,
        later: later::actions(),
        chatter: later::chatter(),
    }
}

/// Key and text of each channel and each conversation.
fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
    let conversations = CONVERSATIONS.split("@@ ").skip(1);
    SCRIPTS.iter().copied().chain(conversations.filter_map(|part| part.split_once('\n')))
}

/// The messages of the scripts.
fn written() -> Vec<SeedMessage> {
    let mut messages = Vec::new();
    for (channel, text) in scripts() {
        messages.extend(script::parse(channel, text).expect("each script is read by a test"));
    }
    for message in &mut messages {
        if !message.files.is_empty() && message.subtype.is_empty() {
            "file_share".clone_into(&mut message.subtype);
        }
    }
    messages
}

/// Sorts by time and moves each message to a second of its own within its channel.
fn give_seconds(messages: &mut [SeedMessage]) {
    messages.sort_by_key(|message| message.at);
    let mut newest: HashMap<String, i64> = HashMap::new();
    for (message, number) in messages.iter_mut().zip(0_u64..) {
        let second = i64::try_from(dice::mix(number) % 50).unwrap_or(0);
        let last = newest.entry(message.channel.clone()).or_default();
        message.at = (message.at + second).max(*last + 2);
        *last = message.at;
    }
}
