//! How files change: uploads, new versions, removal.

use serde_json::json;

use super::state::{Audience, File, Message, More, State, Version};
use super::view::FileView;
use super::{Outcome, Refusal, now};
use crate::sandbox::faults::Faults;
use crate::sandbox::ids::{self, Ts};

impl State {
    /// Stores a file and shares it in each of `channels` (at least one).
    pub(in crate::sandbox) fn upload(
        &mut self,
        channels: &[usize],
        user: usize,
        name: &str,
        version: Version,
        faults: &Faults,
    ) -> (usize, Ts) {
        let file = self.files.len();
        self.files.push(File {
            name: name.to_owned(),
            title: name.to_owned(),
            user,
            channels: channels.to_vec(),
            versions: vec![version],
            ..File::default()
        });
        self.users[user].has_files = true;
        let mut first = None;
        for channel in channels {
            self.channels[*channel].files.push(file);
            let ts = self.mint();
            // The id is that of the first share's item.
            if first.is_none() {
                let id = ids::item_id(ts, self.settings.id_clock);
                self.file_index.insert(id.clone(), file);
                let entry = &mut self.files[file];
                entry.id = id;
                entry.created = ts.seconds + i64::from(ts.fraction % 2);
                entry.timestamp = entry.created;
                first = Some(ts);
                self.trick_name(file, faults);
            }
            self.append(*channel, share_of(file, user, ts), faults);
        }
        self.file_event("file_created", file);
        self.file_event("file_shared", file);
        (file, first.unwrap_or_default())
    }

    /// Shares a file that is there already in one more channel.
    pub(in crate::sandbox) fn share(
        &mut self,
        file: usize,
        channel: usize,
        user: usize,
        faults: &Faults,
    ) -> Outcome<Ts> {
        let entry = &mut self.files[file];
        if entry.is_deleted {
            return Err(Refusal("file_deleted"));
        }
        if !entry.channels.contains(&channel) {
            entry.channels.push(channel);
            self.channels[channel].files.push(file);
        }
        let ts = self.mint();
        self.append(channel, share_of(file, user, ts), faults);
        self.file_event("file_shared", file);
        Ok(ts)
    }

    /// Tells everybody who can see a file.
    pub(super) fn file_event(&mut self, kind: &str, file: usize) {
        let mut listeners: Vec<usize> =
            self.files[file].channels.iter().flat_map(|channel| self.listeners(*channel)).collect();
        listeners.sort_unstable();
        listeners.dedup();
        let body = if kind == "file_deleted" {
            json!({ "type": kind, "file_id": self.files[file].id })
        } else {
            json!({ "type": kind, "file": self.file_json(file, FileView::Upload, self.account) })
        };
        self.push_event(Audience::Users(listeners), &body);
    }

    /// Gives a file the name that leads astray, if the fault has chosen it. True when it is new.
    pub(super) fn trick_name(&mut self, file: usize, faults: &Faults) -> bool {
        let entry = &mut self.files[file];
        if entry.is_tricky {
            return false;
        }
        let Some(name) = faults.tricky_name(&entry.id) else {
            return false;
        };
        if entry.title == entry.name {
            entry.title.clone_from(&name);
        }
        entry.name = name;
        entry.is_tricky = true;
        true
    }

    pub(in crate::sandbox) fn replace_file(&mut self, file: usize, version: Version) -> Outcome<()> {
        let entry = &mut self.files[file];
        if entry.is_deleted {
            return Err(Refusal("file_deleted"));
        }
        entry.versions.push(version);
        entry.timestamp = now().max(entry.timestamp + 1);
        self.file_event("file_change", file);
        Ok(())
    }

    pub(in crate::sandbox) fn delete_file(&mut self, file: usize) -> Outcome<()> {
        if self.files[file].is_deleted {
            return Err(Refusal("file_deleted"));
        }
        self.files[file].is_deleted = true;
        let mut shares = Vec::new();
        for channel in &self.files[file].channels {
            for message in &self.channels[*channel].messages {
                if !message.is_deleted && message.files() == [file] {
                    shares.push((*channel, message.ts));
                }
            }
        }
        for (channel, ts) in shares {
            self.delete(channel, ts, None)?;
        }
        self.file_event("file_deleted", file);
        Ok(())
    }
}

/// The message with which a file stands in a channel.
fn share_of(file: usize, user: usize, ts: Ts) -> Message {
    Message {
        ts,
        user,
        subtype: "file_share".to_owned(),
        more: Some(Box::new(More { files: vec![file], ..More::default() })),
        ..Message::default()
    }
}
