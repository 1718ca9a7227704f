//! The methods of the reference: one function each, from parameters to a JSON answer.
//!
//! [`answer`] is the list; a method is one line here and one function in the file of its family.

mod auth;
mod channels;
mod chat;
mod files;
pub(super) mod history;
mod im;
mod items;
mod login;
mod pins;
mod reactions;
mod search;
mod users;

use serde_json::{Value, json};

use super::Sandbox;
use super::faults::{Fault, Faults};
use super::ids::Ts;
use super::params::Params;
use super::workspace::state::{Message, State};
use super::workspace::{Refusal, Workspace};

/// What a method gives back; the envelope is added by [`answer`].
pub(super) type Answer = Result<Value, Refusal>;

/// One call by an authenticated account.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) params: &'a Params,
    pub(super) token: &'a str,
    pub(super) caller: usize,
}

/// Answers one method with its envelope. The name is in lower case.
pub(super) fn answer(sandbox: &Sandbox, method: &str, params: &Params) -> Value {
    match route(sandbox, method, params) {
        Ok(mut body) => {
            // Two methods spell it as a string.
            if body.get("ok").is_none() {
                body["ok"] = json!(true);
            }
            body
        }
        Err(Refusal(code)) => json!({ "ok": false, "error": code }),
    }
}

fn route(sandbox: &Sandbox, method: &str, params: &Params) -> Answer {
    match method {
        "api.test" => return Ok(auth::test_api(params)),
        "iwauthentication.login.plain" => return login::plain(sandbox, params),
        "iwauthentication.login.digest" => return login::digest(sandbox, params),
        _ => {}
    }
    if !is_known(method) {
        return Err(Refusal("unknown_method"));
    }
    let (caller, token) = authenticate(sandbox, params)?;
    let call = Call { sandbox, params, token, caller };
    match method {
        "auth.revoke" => Ok(auth::revoke(call)),
        "auth.test" => Ok(auth::test(call)),
        "iwauthentication.logout" => Ok(auth::logout(call)),
        "channels.create" => channels::create(call),
        "channels.history" | "im.history" => history::history(call),
        "channel.info" | "channels.info" => channels::info(call),
        "channels.invite" => channels::invite(call),
        "channels.join" => channels::join(call),
        "channels.kick" => channels::kick(call),
        "channels.leave" => channels::leave(call),
        "channels.list" => Ok(channels::list(call)),
        "channels.rename" => channels::rename(call),
        "channels.setpurpose" => channels::set_remark(call, "purpose"),
        "channels.settopic" => channels::set_remark(call, "topic"),
        "chat.delete" => chat::delete(call),
        "chat.postmessage" => chat::post(call),
        "chat.update" => chat::update(call),
        "files.comments.add" => files::add_comment(call),
        "files.comments.delete" => files::delete_comment(call),
        "files.comments.edit" => files::edit_comment(call),
        "files.delete" => files::delete(call),
        "files.edit" => files::edit(call),
        "files.info" => files::info(call),
        "files.list" => files::list(call),
        "files.seteditingpermission" | "files.seteditingproperties" => files::editing(call),
        "files.stopedit" => files::stop_edit(call),
        "files.upload" => files::upload(call),
        "im.close" => im::close(call),
        "im.list" => Ok(im::list(call)),
        "im.open" => im::open(call),
        "items.info" => items::info(call),
        "pins.add" => pins::add(call),
        "pins.list" => pins::list(call),
        "pins.remove" => pins::remove(call),
        "reactions.add" => reactions::add(call),
        "reactions.get" => reactions::get(call),
        "reactions.list" => reactions::list(call),
        "reactions.remove" => reactions::remove(call),
        "rtm.start" | "rtm.connect" => auth::start_rtm(call),
        "search.all" => search::search(call, true, true),
        "search.files" => search::search(call, false, true),
        "search.messages" => search::search(call, true, false),
        "users.getpresence" => Ok(users::get_presence(call)),
        "users.identity" => Ok(users::identity(call)),
        "users.info" => users::info(call),
        "users.list" => users::list(call),
        "users.setactive" => Ok(users::set_active(call)),
        "users.setpresence" => users::set_presence(call),
        _ => Err(Refusal("unknown_method")),
    }
}

/// Unknown methods are refused before the token is looked at.
fn is_known(method: &str) -> bool {
    const FAMILIES: &[&str] = &[
        "auth.",
        "channel.",
        "channels.",
        "chat.",
        "files.",
        "im.",
        "items.",
        "iwauthentication.",
        "pins.",
        "reactions.",
        "rtm.",
        "search.",
        "users.",
    ];
    FAMILIES.iter().any(|family| method.starts_with(family))
}

/// The account behind the token of a call.
pub(super) fn authenticate<'a>(sandbox: &Sandbox, params: &'a Params) -> Result<(usize, &'a str), Refusal> {
    let token = params.need("token", "not_authed")?;
    let state = sandbox.workspace.read();
    let known = state.tokens.get(token).ok_or(Refusal("invalid_auth"))?;
    if state.users[known.user].deleted {
        return Err(Refusal("account_inactive"));
    }
    if known.is_revoked {
        return Err(Refusal("token_revoked"));
    }
    let user = known.user;
    drop(state);
    if sandbox.workspace.faults().hits(Fault::TokenRevoked) {
        sandbox.workspace.revoke(token);
        return Err(Refusal("token_revoked"));
    }
    Ok((user, token))
}

impl<'a> Call<'a> {
    pub(super) fn workspace(&self) -> &'a Workspace {
        &self.sandbox.workspace
    }

    pub(super) fn faults(&self) -> &'a Faults {
        self.sandbox.workspace.faults()
    }

    /// Whether the caller has lost a channel through a fault.
    pub(super) fn has_lost(&self, state: &State, channel: usize) -> bool {
        state.is_lost(channel, self.faults())
    }

    pub(super) fn is_in(&self, state: &State, channel: usize) -> bool {
        state.is_member(channel, self.caller) && !self.has_lost(state, channel)
    }

    /// The channel that the call names, if the caller may know of it.
    pub(super) fn channel(&self, state: &State) -> Result<usize, Refusal> {
        let name = self.params.get("channel").or_else(|| self.params.get("id")).ok_or(Refusal("channel_not_found"))?;
        let channel = state.channel_by_id(name).ok_or(Refusal("channel_not_found"))?;
        let entry = &state.channels[channel];
        if (entry.is_im || entry.is_hidden) && !state.is_member(channel, self.caller) {
            return Err(Refusal("channel_not_found"));
        }
        Ok(channel)
    }

    /// The channel that the call names, if the caller may read it.
    pub(super) fn readable_channel(&self, state: &State) -> Result<usize, Refusal> {
        let channel = self.channel(state)?;
        if self.is_in(state, channel) { Ok(channel) } else { Err(Refusal("no_permission")) }
    }

    /// The channel that the call names, if the caller may write to it.
    pub(super) fn writable_channel(&self, state: &State) -> Result<usize, Refusal> {
        let channel = self.channel(state)?;
        if !self.is_in(state, channel) {
            return Err(Refusal("not_in_channel"));
        }
        if state.channels[channel].is_archived {
            return Err(Refusal("is_archived"));
        }
        Ok(channel)
    }

    /// A time stamp of the call.
    pub(super) fn ts(&self, name: &str) -> Result<Ts, Refusal> {
        self.params.get(name).and_then(Ts::parse).ok_or(Refusal("bad_timestamp"))
    }

    /// Whether an item is shown to the caller: alive, and no whisper between others.
    pub(super) fn shows(&self, state: &State, channel: usize, message: &Message) -> bool {
        !message.is_deleted
            && State::is_for(message, self.caller)
            && (message.user == self.caller || !self.faults().hushes(&state.channels[channel].id, message.ts))
    }

    /// Where a living item that the caller sees stands in its channel.
    pub(super) fn item(&self, state: &State, channel: usize, ts: Ts) -> Result<usize, Refusal> {
        let at = state.alive(channel, ts)?;
        if self.shows(state, channel, &state.channels[channel].messages[at]) {
            Ok(at)
        } else {
            Err(Refusal("message_not_found"))
        }
    }

    /// A file that the caller may see.
    pub(super) fn file(&self, state: &State, name: &str) -> Result<usize, Refusal> {
        let file = self.params.get(name).and_then(|id| state.file_by_id(id)).ok_or(Refusal("file_not_found"))?;
        let entry = &state.files[file];
        if entry.is_deleted {
            return Err(Refusal("file_deleted"));
        }
        if entry.channels.iter().any(|channel| self.is_in(state, *channel)) {
            Ok(file)
        } else {
            Err(Refusal("file_not_found"))
        }
    }

    /// May edit and delete what others wrote.
    pub(super) fn moderates(&self, state: &State) -> bool {
        state.users[self.caller].is_admin
    }
}

/// Which slice of a list a call asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) count: usize,
    pub(super) page: usize,
}

impl Page {
    pub(super) fn read(params: &Params, default: usize) -> Self {
        let page = params.number("page", 1).max(1);
        Self {
            count: params.number("count", default).clamp(1, 1000),
            // Beyond 100 pages a server of this kind starts again at the first.
            page: if page > 100 { 1 } else { page },
        }
    }

    pub(super) fn cut<T>(self, items: Vec<T>) -> Vec<T> {
        items.into_iter().skip((self.page - 1) * self.count).take(self.count).collect()
    }

    fn pages(self, total: usize) -> usize {
        total.div_ceil(self.count)
    }

    /// The `paging` object: `count` is the number of items on this page.
    pub(super) fn paging(self, shown: usize, total: usize) -> Value {
        json!({
            "count": shown,
            "total": total,
            "page": self.page,
            "pages": self.pages(total),
        })
    }

    /// The `pagination` object of `search.*`.
    pub(super) fn pagination(self, shown: usize, total: usize) -> Value {
        let before = (self.page - 1) * self.count;
        json!({
            "total_count": total,
            "page": self.page,
            "per_page": self.count,
            "page_count": self.pages(total),
            "first": if shown == 0 { 0 } else { before + 1 },
            "last": if shown == 0 { 0 } else { before + shown },
        })
    }
}
