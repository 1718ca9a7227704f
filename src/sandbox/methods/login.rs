//! Logging in, plain and digest.

use md5::{Digest as _, Md5};
use serde_json::json;

use super::Answer;
use crate::sandbox::params::Params;
use crate::sandbox::workspace::state::{State, Token};
use crate::sandbox::workspace::{Refusal, now};
use crate::sandbox::{Sandbox, ids, new_token, random_hex};

/// A challenge is good for this long.
const NONCE_SECONDS: i64 = 60;

/// Unanswered challenges that are kept.
const MAX_NONCES: usize = 10_000;

pub(super) fn plain(sandbox: &Sandbox, params: &Params) -> Answer {
    let username = params.need("username", "invalid_auth")?;
    let password = params.need("password", "invalid_auth")?;
    sandbox.workspace.change(|state| {
        let is_right = password == state.password;
        enter(state, username, is_right)
    })
}

/// Lets an account in, or counts a bad attempt: after too many the account is locked.
fn enter(state: &mut State, username: &str, is_right: bool) -> Answer {
    let user = state.user_by_name(username).ok_or(Refusal("invalid_auth"))?;
    let bad = state.bad_logins.entry(user).or_default();
    let limit = state.settings.lock_after;
    if limit > 0 && *bad >= limit {
        return Err(Refusal("invalid_auth"));
    }
    if !is_right {
        *bad += 1;
        return Err(Refusal("invalid_auth"));
    }
    *bad = 0;
    if state.users[user].deleted {
        return Err(Refusal("account_inactive"));
    }
    let token = new_token();
    let session = Token { user, is_revoked: false };
    state.tokens.insert(token.clone(), session);
    Ok(json!({ "authorized": state.flag(true), "token": token }))
}

pub(super) fn digest(sandbox: &Sandbox, params: &Params) -> Answer {
    let username = params.need("username", "invalid_auth")?;
    let Some(response) = params.get("response") else {
        return sandbox.workspace.change(|state| {
            let now = now();
            state.nonces.retain(|_, expires| *expires >= now);
            if state.nonces.len() >= MAX_NONCES {
                return Err(Refusal("fatal_error"));
            }
            let nonce = random_hex::<32>();
            state.nonces.insert(nonce.clone(), now + NONCE_SECONDS);
            Ok(json!({
                "realm": "realm",
                "qop": "auth",
                "nonce": nonce,
                "algorithm": "MD5-Sess",
                "method": "authenticate",
                "authorized": state.flag(false),
            }))
        });
    };
    let nonce = params.need("nonce", "stale_nonce")?;
    sandbox.workspace.change(|state| {
        // A challenge is used up by its first answer, so the count can only be one.
        let expires = state.nonces.remove(nonce).ok_or(Refusal("stale_nonce"))?;
        if expires < now() {
            return Err(Refusal("stale_nonce"));
        }
        let get = |name| params.get(name).unwrap_or_default();
        let count = u32::from_str_radix(get("nc"), 16).unwrap_or(0);
        let expected = Answerer {
            username,
            realm: "realm",
            password: &state.password,
            nonce,
            client_nonce: get("cnonce"),
            count: get("nc"),
            qop: "auth",
            method: "authenticate",
            uri: get("uri"),
        }
        .response();
        let is_right = count == 1
            && !get("cnonce").is_empty()
            && get("method") == "authenticate"
            && expected.eq_ignore_ascii_case(response);
        enter(state, username, is_right)
    })
}

/// All that goes into the answer of a challenge (RFC 7616, `MD5-Sess`).
struct Answerer<'a> {
    username: &'a str,
    realm: &'a str,
    password: &'a str,
    nonce: &'a str,
    client_nonce: &'a str,
    count: &'a str,
    qop: &'a str,
    method: &'a str,
    uri: &'a str,
}

impl Answerer<'_> {
    fn response(&self) -> String {
        let md5 = |parts: &[&str]| ids::hex(&Md5::digest(parts.join(":")));
        let secret = md5(&[self.username, self.realm, self.password]);
        let first = md5(&[&secret, self.nonce, self.client_nonce]);
        let second = md5(&[self.method, self.uri]);
        md5(&[&first, self.nonce, self.count, self.client_nonce, self.qop, &second])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_vector_holds() {
        let response = Answerer {
            username: "admin@icewarp.com",
            realm: "realm",
            password: "secret",
            nonce: "c05999c2a652f836750e7d45ca3b8ed2ad11ec752f381e0ff414ba5c5456ba61",
            client_nonce: "0a4f113b",
            count: "00000001",
            qop: "auth",
            method: "authenticate",
            uri: "/teamchatapi/iwauthentication.login.digest",
        }
        .response();
        assert_eq!(response, "3bc6ba83f19ffb45bec88ba2283f2267");
    }
}
