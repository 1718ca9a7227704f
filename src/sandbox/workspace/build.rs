//! From a seed to a living state: resolves names, mints what the seed leaves out, sorts.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;

use super::Settings;
use super::state::{Channel, Comment, File, Message, More, Parent, Remark, State, Stored, User, Version};
use crate::sandbox::faults::{Fault, Faults};
use crate::sandbox::ids::{self, Ts};
use crate::sandbox::seed::{Action, Content, Seed, SeedChannel, SeedFile, SeedMessage, SeedUser};

/// An item whose time stamp is still to be minted.
enum Waiting {
    Message(Box<SeedMessage>),
    Comment { file: usize, index: usize },
}

pub(super) fn build(seed: Seed, settings: Settings, faults: &Faults) -> anyhow::Result<State> {
    let mut state = State {
        settings,
        domain: seed.domain.clone(),
        is_corpus: seed.account_is_hidden,
        counter: 0x00a0,
        ..State::default()
    };
    add_users(&mut state, seed.users, &seed.account, seed.account_is_hidden)?;
    for channel in seed.channels {
        add_channel(&mut state, channel)?;
    }
    let posted_later: HashSet<String> = seed
        .later
        .into_iter()
        .filter_map(|action| match action {
            Action::Post(message) => Some(message.files),
            _ => None,
        })
        .flatten()
        .collect();
    let posted_now: HashSet<&String> = seed.messages.iter().flat_map(|message| &message.files).collect();
    let mut seed_files = seed.files;
    for file in &mut seed_files {
        if posted_later.contains(&file.key) && !posted_now.contains(&file.key) {
            // Nobody sees it before it is posted.
            file.channels.clear();
        }
        add_file(&mut state, file)?;
    }
    add_stream(&mut state, seed.messages, &seed_files, faults)?;
    Ok(state)
}

fn add_users(state: &mut State, users: Vec<SeedUser>, account: &str, is_hidden: bool) -> anyhow::Result<()> {
    for user in users {
        let index = state.users.len();
        let id = if user.id.is_empty() { user.email.clone() } else { user.id };
        state.user_index.insert(user.email.to_lowercase(), index);
        state.user_index.insert(id.to_lowercase(), index);
        state.users.push(User {
            id,
            email: user.email,
            name: user.name,
            real_name: user.real_name,
            is_bot: user.is_bot,
            is_admin: user.is_admin,
            is_restricted: user.is_restricted,
            deleted: user.deleted,
            tz: user.tz,
            is_unlisted: user.is_hidden,
            is_away: true,
            last_activity: super::now(),
            ..User::default()
        });
    }
    if is_hidden {
        let index = state.users.len();
        let name = account.split('@').next().unwrap_or(account).to_owned();
        state.user_index.insert(account.to_lowercase(), index);
        state.users.push(User {
            id: account.to_owned(),
            email: account.to_owned(),
            real_name: name.clone(),
            name,
            is_admin: true,
            is_hidden: true,
            is_away: true,
            ..User::default()
        });
    }
    state.account =
        state.user_by_name(account).with_context(|| format!("the seed's account {account} is none of its users"))?;
    Ok(())
}

fn add_channel(state: &mut State, seed: SeedChannel) -> anyhow::Result<()> {
    let index = state.channels.len();
    let mut members = Vec::with_capacity(seed.members.len() + 1);
    for member in &seed.members {
        members.push(
            state
                .user_by_name(member)
                .with_context(|| format!("channel {} names an unknown member {member}", seed.key))?,
        );
    }
    if !seed.is_im && !state.is_corpus && !seed.is_hidden && !members.contains(&state.account) {
        members.push(state.account);
    }
    let creator = if seed.creator.is_empty() { format!("public-folders@{}", state.domain) } else { seed.creator };
    let mut folder = String::new();
    let id = if !seed.id.is_empty() {
        seed.id
    } else if seed.is_im {
        match members.as_slice() {
            [one, other] => ids::im_id(&state.users[*one].id, &state.users[*other].id),
            _ => anyhow::bail!("direct conversation {} has not two members", seed.key),
        }
    } else {
        folder = if seed.name == "TeamChat" {
            seed.name.clone()
        } else {
            let ts = mint(state, seed.created);
            ids::item_id(ts, state.settings.id_clock)
        };
        ids::channel_id(&creator, &folder)
    };
    let set_by = state.users[members.first().copied().unwrap_or(state.account)].id.clone();
    let remark = |value: String| Remark {
        last_set: if value.is_empty() { 0 } else { seed.created },
        creator: if value.is_empty() { String::new() } else { set_by.clone() },
        value,
    };
    state.channel_index.insert(ids::canonical(&id), index);
    state.channel_index.entry(seed.key).or_insert(index);
    state.channels.push(Channel {
        id,
        topic: remark(seed.topic),
        purpose: remark(seed.purpose),
        name: seed.name,
        created: seed.created,
        creator,
        folder,
        members,
        has_hidden_member: !seed.is_hidden,
        is_hidden: seed.is_hidden,
        is_im: seed.is_im,
        is_archived: seed.is_archived,
        ..Channel::default()
    });
    Ok(())
}

fn add_file(state: &mut State, seed: &mut SeedFile) -> anyhow::Result<()> {
    let index = state.files.len();
    let user = if seed.user.is_empty() {
        state.account
    } else {
        state
            .user_by_name(&seed.user)
            .with_context(|| format!("file {} names an unknown user {}", seed.key, seed.user))?
    };
    state.users[user].has_files = true;
    let version = Version::new(stored(std::mem::take(&mut seed.content)))?;
    let mut channels = Vec::new();
    for key in &seed.channels {
        let channel =
            state.channel_by_name(key).with_context(|| format!("file {} names an unknown channel {key}", seed.key))?;
        channels.push(channel);
        state.channels[channel].files.push(index);
    }
    if !seed.id.is_empty() {
        state.file_index.insert(seed.id.clone(), index);
    }
    state.file_index.insert(seed.key.clone(), index);
    state.files.push(File {
        id: seed.id.clone(),
        title: if seed.title.is_empty() { seed.name.clone() } else { seed.title.clone() },
        name: seed.name.clone(),
        user,
        created: seed.created,
        timestamp: seed.created,
        channels,
        versions: vec![version],
        ..File::default()
    });
    Ok(())
}

/// Where the server keeps a content.
pub(super) fn stored(content: Content) -> Stored {
    match content {
        Content::Bytes(bytes) => Stored::Bytes(bytes.into()),
        Content::Path(path) => Stored::Path(path),
        Content::Generated { size, seed } => Stored::Generated { size, seed },
    }
}

fn mint(state: &mut State, at: i64) -> Ts {
    state.counter = state.counter.wrapping_add(1);
    Ts { seconds: at, fraction: u32::from(state.counter) }
}

fn add_stream(
    state: &mut State,
    messages: Vec<SeedMessage>,
    seed_files: &[SeedFile],
    faults: &Faults,
) -> anyhow::Result<()> {
    let mut waiting = Vec::new();
    let mut is_shared = vec![false; state.files.len()];
    for message in messages {
        for key in &message.files {
            if let Some(file) = state.file_by_name(key) {
                is_shared[file] = true;
            }
        }
        if message.ts.is_empty() {
            waiting.push((message.at, Waiting::Message(Box::new(message))));
        } else {
            let ts = Ts::parse(&message.ts).with_context(|| format!("`{}` is no time stamp", message.ts))?;
            add_message(state, message, ts)?;
        }
    }
    for (file, seed) in seed_files.iter().enumerate() {
        if !is_shared[file] && !state.is_corpus {
            // Nobody shares it in words: the upload itself is the message.
            for channel in &seed.channels {
                let created = state.channels[find_channel(state, channel)?].created;
                let at = created.max(seed.created);
                let share = SeedMessage {
                    channel: channel.clone(),
                    user: state.users[state.files[file].user].email.clone(),
                    at,
                    files: vec![seed.key.clone()],
                    ..SeedMessage::default()
                };
                waiting.push((at, Waiting::Message(Box::new(share))));
            }
        }
        for (index, comment) in seed.comments.iter().enumerate() {
            waiting.push((comment.created, Waiting::Comment { file, index }));
        }
    }
    // Stable, so that what the seed lists first gets the lower counter.
    waiting.sort_by_key(|(at, item)| (*at, matches!(item, Waiting::Comment { .. })));
    let mut newest: HashMap<usize, Ts> = HashMap::new();
    for (at, item) in waiting {
        let mut ts = mint(state, at);
        match item {
            Waiting::Message(message) => {
                let channel = find_channel(state, &message.channel)?;
                // A file's id comes from its time stamp, so shares are never tied.
                if let Some(before) = newest.get(&channel)
                    && message.files.is_empty()
                    && faults.hits(Fault::TsTie)
                {
                    ts = *before;
                }
                newest.insert(channel, ts);
                add_message(state, *message, ts)?;
            }
            Waiting::Comment { file, index } => {
                let comment = &seed_files[file].comments[index];
                let user = find_user(state, &comment.user)?;
                let channel = state.files[file]
                    .channels
                    .first()
                    .copied()
                    .with_context(|| format!("file {} has comments but no channel", seed_files[file].key))?;
                let id = ids::item_id(ts, state.settings.id_clock);
                state.comment_index.insert(id.clone(), (channel, ts));
                state.files[file].comments.push((channel, ts));
                state.channels[channel].messages.push(Message {
                    ts,
                    user,
                    text: comment.text.clone(),
                    subtype: "file_comment".to_owned(),
                    more: Some(Box::new(More {
                        comment: Some(Comment { id, parent: Parent::File(file) }),
                        ..More::default()
                    })),
                    ..Message::default()
                });
            }
        }
    }
    for channel in &mut state.channels {
        channel.messages.sort_by_key(|message| message.ts);
    }
    Ok(())
}

fn find_channel(state: &State, key: &str) -> anyhow::Result<usize> {
    state.channel_by_name(key).with_context(|| format!("a message names an unknown channel {key}"))
}

fn find_user(state: &State, name: &str) -> anyhow::Result<usize> {
    state.user_by_name(name).with_context(|| format!("a message names an unknown user {name}"))
}

fn add_message(state: &mut State, seed: SeedMessage, ts: Ts) -> anyhow::Result<()> {
    let channel = find_channel(state, &seed.channel)?;
    if !seed.label.is_empty() {
        state.labels.insert(seed.label.clone(), (channel, ts));
    }
    let message = message_from_seed(state, channel, seed, ts)?;
    state.channels[channel].messages.push(message);
    Ok(())
}

/// Turns a message of a seed into one of a channel; its files get their id from its time stamp.
pub(super) fn message_from_seed(
    state: &mut State,
    channel: usize,
    seed: SeedMessage,
    ts: Ts,
) -> anyhow::Result<Message> {
    let user = find_user(state, &seed.user)?;
    let mut more = More { extra: seed.extra, ..More::default() };
    for key in &seed.files {
        let file = state.file_by_name(key).with_context(|| format!("a message names an unknown file {key}"))?;
        more.files.push(file);
        share(state, file, channel, ts);
    }
    if let Some((editor, at)) = &seed.edited {
        more.edited = Some((find_user(state, editor)?, mint(state, *at)));
    }
    for (name, who) in seed.reactions {
        let who = find_user(state, &who)?;
        more.reactions.retain(|(_, earlier)| *earlier != who);
        more.reactions.push((name, who));
    }
    match &seed.pinned {
        Some(None) => more.pinned_by = Some(user),
        Some(Some(owner)) => more.pinned_privately.push(find_user(state, owner)?),
        None => {}
    }
    let is_plain = more.files.is_empty()
        && more.extra.is_empty()
        && more.edited.is_none()
        && more.reactions.is_empty()
        && seed.pinned.is_none();
    let subtype = if seed.subtype.is_empty() && !more.files.is_empty() && !state.is_corpus {
        "file_share".to_owned()
    } else {
        seed.subtype
    };
    Ok(Message { ts, user, text: seed.text, subtype, is_deleted: false, more: (!is_plain).then(|| Box::new(more)) })
}

/// Notes that a file is shared by the message at `ts`.
fn share(state: &mut State, file: usize, channel: usize, ts: Ts) {
    let clock = state.settings.id_clock;
    let is_corpus = state.is_corpus;
    if state.files[file].id.is_empty() {
        let mut id = ids::item_id(ts, clock);
        // The second file of one message has an id of its own.
        while state.file_index.contains_key(&id) {
            let own = mint(state, ts.seconds);
            id = ids::item_id(own, clock);
        }
        state.file_index.insert(id.clone(), file);
        state.files[file].id = id;
    }
    let entry = &mut state.files[file];
    if entry.created == 0 {
        // A live server was seen to be one second late now and then.
        let late = i64::from(!is_corpus && ts.fraction % 2 == 1);
        entry.created = ts.seconds + late;
        entry.timestamp = entry.created;
    }
    if !entry.channels.contains(&channel) {
        entry.channels.push(channel);
        state.channels[channel].files.push(file);
    }
}
