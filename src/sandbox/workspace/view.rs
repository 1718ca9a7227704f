//! How the workspace looks from outside: JSON in the shapes of the vendor's reference.

use chrono::Offset as _;
use chrono_tz::OffsetComponents as _;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};

use super::state::{Message, Parent, Remark, State};
use crate::sandbox::ids;
use crate::sandbox::ticket::Ticket;

/// A server cuts member lists here.
pub(in crate::sandbox) const MAX_MEMBERS: usize = 300;

/// Where a file object stands: the reference shows three forms of it.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) enum FileView {
    /// `files.info`: true size, mimetype `F`, no channel.
    Info,
    /// Lists and messages: size 0, mimetype empty, with the channels.
    Stream(usize),
    /// `files.upload` and events: true size, mimetype `F`, with the channels.
    Upload,
}

impl State {
    /// A boolean in the form of the reference: `"true"`, unless the server is strict.
    pub(in crate::sandbox) fn flag(&self, value: bool) -> Value {
        if self.settings.strict_bool { json!(value) } else { json!(if value { "true" } else { "false" }) }
    }

    /// A message; tickets in it are for `caller` (none: the ready account).
    pub(in crate::sandbox) fn message_json(&self, channel: usize, message: &Message, caller: Option<usize>) -> Value {
        let caller = caller.unwrap_or(self.account);
        let mut body = Map::new();
        body.insert("type".to_owned(), json!("message"));
        body.insert("user".to_owned(), json!(self.users[message.user].id));
        body.insert("text".to_owned(), json!(message.shown_text()));
        body.insert("ts".to_owned(), json!(message.ts.to_string()));
        body.insert("is_stared".to_owned(), json!(false));
        if !message.subtype.is_empty() {
            body.insert("subtype".to_owned(), json!(message.subtype));
        }
        let Some(more) = message.more.as_deref() else {
            return Value::Object(body);
        };
        for (key, value) in &more.extra {
            body.insert(key.clone(), value.clone());
        }
        if let Some((user, ts)) = more.edited {
            let edited = json!({ "user": self.users[user].id, "ts": ts.to_string() });
            body.insert("edited".to_owned(), edited);
        }
        let files: Vec<Value> = more
            .files
            .iter()
            .filter(|file| !self.files[**file].is_deleted)
            .map(|file| self.file_json(*file, FileView::Stream(channel), caller))
            .collect();
        if let Some(first) = files.first() {
            body.insert("file".to_owned(), first.clone());
        }
        if !files.is_empty() && (self.is_corpus || files.len() > 1) {
            body.insert("files".to_owned(), Value::Array(files));
        }
        if let Some(comment) = &more.comment {
            body.insert("comment".to_owned(), self.comment_json(channel, message, true));
            match comment.parent {
                Parent::File(file) if !self.files[file].is_deleted => {
                    let file = self.file_json(file, FileView::Stream(channel), caller);
                    body.insert("file".to_owned(), file);
                }
                Parent::File(_) => {}
                Parent::Message(ts) => {
                    let parent = json!({ "type": "message", "ts": ts.to_string() });
                    body.insert("message".to_owned(), parent);
                }
            }
        }
        if !more.reactions.is_empty() && !self.settings.bare_messages {
            body.insert("reactions".to_owned(), self.reactions_json(message));
        }
        Value::Object(body)
    }

    pub(in crate::sandbox) fn reactions_json(&self, message: &Message) -> Value {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        let reactions = message.more.as_deref().map_or(&[][..], |more| &more.reactions);
        for (name, user) in reactions {
            let id = self.users[*user].id.as_str();
            match groups.iter_mut().find(|(known, _)| known == name) {
                Some((_, users)) => users.push(id),
                None => groups.push((name, vec![id])),
            }
        }
        groups.into_iter().map(|(name, users)| json!({ "name": name, "count": users.len(), "users": users })).collect()
    }

    /// A comment; its channel is empty where the reference leaves it so.
    pub(in crate::sandbox) fn comment_json(&self, channel: usize, message: &Message, with_channel: bool) -> Value {
        let created = message.ts.seconds;
        let edited = message.edited().map_or(created, |(_, ts)| ts.seconds);
        json!({
            "id": message.comment().map_or("", |comment| &comment.id),
            "created": created,
            "timestamp": edited,
            "user": self.users[message.user].id,
            "comment": message.shown_text(),
            "channel": if with_channel { ids::unpadded(&self.channels[channel].id) } else { "" },
            "is_intro": false,
        })
    }

    /// Living comments of a file, oldest first.
    pub(in crate::sandbox) fn file_comments(&self, file: usize) -> Vec<Value> {
        self.files[file]
            .comments
            .iter()
            .filter_map(|(channel, ts)| {
                let stream = &self.channels[*channel];
                let at = stream.find_comment(*ts)?;
                Some(self.comment_json(*channel, &stream.messages[at], false))
            })
            .collect()
    }

    fn comment_count(&self, file: usize) -> usize {
        let comments = &self.files[file].comments;
        comments.iter().filter(|(channel, ts)| self.channels[*channel].find_comment(*ts).is_some()).count()
    }

    /// The address of a file's bytes, with a ticket for `caller`.
    pub(in crate::sandbox) fn file_url(&self, file: usize, caller: usize) -> String {
        let entry = &self.files[file];
        let home = entry.channels.first().map(|channel| &self.channels[*channel]);
        let ticket = Ticket {
            group: home
                .map_or_else(String::new, |home| format!("{:08x}a5fc", u32::try_from(home.created).unwrap_or(0))),
            folder: home.map_or_else(String::new, |home| format!("TeamChat\\{}", home.folder)),
            subject: caller,
            item: entry.id.clone(),
            name: entry.name.clone(),
        };
        // A URL parser would walk up at a segment of dots, escaped or not.
        let name = match entry.name.as_str() {
            "" | "." | ".." => "_",
            name => name,
        };
        format!(
            "{}/teamchatapi/{}?override_method=files.download&ticket={}&editcounter={}",
            self.origin,
            ids::encode(name),
            ticket.seal(&self.secret),
            entry.edit_counter()
        )
    }

    pub(in crate::sandbox) fn file_json(&self, file: usize, view: FileView, caller: usize) -> Value {
        let entry = &self.files[file];
        let channels: Vec<&str> = match view {
            FileView::Info => vec![""],
            FileView::Stream(_) | FileView::Upload => {
                entry.channels.iter().map(|channel| ids::unpadded(&self.channels[*channel].id)).collect()
            }
        };
        let first = match view {
            FileView::Stream(channel) => ids::unpadded(&self.channels[channel].id),
            FileView::Info | FileView::Upload => channels.first().copied().unwrap_or(""),
        };
        let (mimetype, size) = match view {
            FileView::Stream(_) => ("", 0),
            FileView::Info | FileView::Upload => ("F", entry.newest().size),
        };
        let url = self.file_url(file, caller);
        let extension = extension(&entry.name);
        let user = &self.users[entry.user].id;
        json!({
            "id": entry.id,
            "name": entry.name,
            "created": entry.created,
            "timestamp": entry.timestamp,
            "title": entry.title,
            "mimetype": mimetype,
            "filetype": extension,
            "pretty_type": pretty_type(&extension),
            "user": user,
            "mode": "hosted",
            "editable": false,
            "is_external": false,
            "external_type": "",
            "username": "",
            "size": size,
            "url_private": url,
            "url_private_download": url,
            "permalink": url,
            "permalink_public": if matches!(view, FileView::Stream(_)) { "" } else { &url },
            "is_public": true,
            "public_url_shared": true,
            "display_as_bot": false,
            "comments_count": self.comment_count(file),
            "channels": channels,
            "initial_comment": {
                "id": format!("inicomid_{}", entry.id),
                "created": entry.created,
                "timestamp": entry.created,
                "user": user,
                "comment": "",
                "channel": first,
                "is_intro": true,
            },
        })
    }

    pub(in crate::sandbox) fn channel_json(
        &self,
        channel: usize,
        caller: usize,
        is_lost: bool,
        with_members: bool,
    ) -> Value {
        let entry = &self.channels[channel];
        let mut body = json!({
            "id": entry.id,
            "name": entry.name,
            "created": entry.created,
            "creator": entry.creator,
            "is_archived": entry.is_archived,
            "is_member": !is_lost && self.is_member(channel, caller),
            "num_members": entry.members.len(),
            "topic": remark_json(&entry.topic),
            "purpose": remark_json(&entry.purpose),
        });
        if with_members {
            body["members"] =
                entry.members.iter().take(MAX_MEMBERS).map(|member| json!(self.users[*member].id)).collect();
        }
        body
    }

    /// A direct conversation as one of its two people sees it.
    pub(in crate::sandbox) fn im_json(&self, channel: usize, caller: usize) -> Value {
        let entry = &self.channels[channel];
        let other = entry.members.iter().copied().find(|member| *member != caller).unwrap_or(caller);
        json!({
            "id": entry.id,
            "is_im": self.flag(true),
            "user": self.users[other].id,
            "is_user_deleted": self.flag(self.users[other].deleted),
            "created": entry.created,
        })
    }

    pub(in crate::sandbox) fn user_json(&self, user: usize) -> Value {
        let entry = &self.users[user];
        let digest = Md5::digest(entry.email.as_bytes());
        let hash = ids::hex(&Md5::digest([digest.as_slice(), b"avatar"].concat()));
        let image = |size: Option<u32>| {
            let mut url = format!(
                "{}/teamchatapi/files.avatar?avatarhash={}{}&email={}&internal=1",
                self.origin,
                hash,
                ids::hex(&digest[..4]),
                ids::encode(&entry.email)
            );
            if let Some(size) = size {
                url = format!("{url}&resize=1&width={size}&height={size}");
            }
            url
        };
        let (first_name, last_name) = entry.real_name.split_once(' ').unwrap_or((&entry.real_name, ""));
        let (tz, label, offset) = zone(&entry.tz);
        json!({
            "id": entry.id,
            "name": entry.name,
            "real_name": entry.real_name,
            "deleted": entry.deleted,
            "color": ids::hex(&digest[..3]),
            "is_admin": entry.is_admin,
            "is_owner": false,
            "is_primary_owner": false,
            "is_restricted": entry.is_restricted,
            "is_ultra_restricted": false,
            "has_files": entry.has_files,
            "is_bot": entry.is_bot,
            "tz": tz,
            "tz_label": label,
            "tz_offset": offset,
            "profile": {
                "first_name": first_name,
                "last_name": last_name,
                "real_name": entry.real_name,
                "real_name_normalized": entry.real_name,
                "email": entry.email,
                "image_24": image(Some(24)),
                "image_32": image(Some(32)),
                "image_48": image(Some(48)),
                "image_72": image(Some(72)),
                "image_192": image(Some(192)),
                "image_512": image(None),
                "avatar_hash": u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
                    .to_string(),
            },
        })
    }
}

fn remark_json(remark: &Remark) -> Value {
    json!({
        "value": remark.value,
        "creator": remark.creator,
        "last_set": remark.last_set,
    })
}

/// A zone's name, label and standard offset; the offset ignores summer time so that a user
/// object doesn't change twice a year.
fn zone(name: &str) -> (&str, String, i64) {
    let Ok(zone) = name.parse::<chrono_tz::Tz>() else {
        return ("UTC", "Coordinated Universal Time".to_owned(), 0);
    };
    let winter = chrono::NaiveDate::from_ymd_opt(2017, 1, 1)
        .and_then(|day| day.and_hms_opt(12, 0, 0))
        .expect("noon of a real day");
    let offset = chrono::TimeZone::offset_from_utc_datetime(&zone, &winter);
    let label = offset.fix().to_string();
    (name, format!("UTC{label}"), offset.base_utc_offset().num_seconds())
}

/// `.png`, or nothing when the name has no extension.
fn extension(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 10 => {
            format!(".{}", extension.to_lowercase())
        }
        _ => String::new(),
    }
}

fn pretty_type(extension: &str) -> String {
    match extension {
        ".png" => "Portable Network Graphics".to_owned(),
        "" => "file .".to_owned(),
        other => format!("file {other}"),
    }
}
