use md5::{Digest as _, Md5};
use secrecy::{ExposeSecret as _, SecretString};

use super::error::Error;
use super::page::Reply;
use super::transport::Connection;
use super::wire::{Identity, SignIn};

/// How an account is opened.
pub enum Credentials {
    /// By its password, which never travels (protocol notes 1.4).
    Digest {
        /// Sign-in name.
        username: String,
        /// Its password.
        password: SecretString,
    },
    /// By its password in clear: only over TLS.
    Plain {
        /// Sign-in name.
        username: String,
        /// Its password.
        password: SecretString,
    },
    /// By a token that was made elsewhere.
    Token(SecretString),
}

/// An opened account.
#[derive(Debug)]
pub struct LoggedIn {
    /// Its token.
    pub token: SecretString,
    /// Who the server says it is.
    pub user_id: String,
}

fn md5_hex(parts: &[&str]) -> String {
    let mut hash = Md5::new();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            hash.update(b":");
        }
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The response of a digest sign-in, MD5-Sess with the inner hash as hexadecimal text (RFC 7616
/// section 3.4.2; protocol notes 1.4).
pub fn digest_response(
    username: &str,
    password: &SecretString,
    challenge: &SignIn,
    nonce_count: &str,
    client_nonce: &str,
    uri: &str,
) -> String {
    let inner = md5_hex(&[username, &challenge.realm, password.expose_secret()]);
    let first = md5_hex(&[&inner, &challenge.nonce, client_nonce]);
    let second = md5_hex(&[&challenge.method, uri]);
    md5_hex(&[&first, &challenge.nonce, nonce_count, client_nonce, &challenge.qop, &second])
}

impl Connection {
    /// Opens an account and asks who it is.
    pub async fn sign_in(&self, credentials: &Credentials) -> Result<LoggedIn, Error> {
        let token = match credentials {
            Credentials::Token(token) => token.clone(),
            Credentials::Plain { .. } if !self.is_private() => {
                let detail = "the password would travel in clear: use the digest, or an https address";
                return Err(Error::Settings(detail.to_owned()));
            }
            Credentials::Plain { username, password } => {
                let parameters = [("username", username.clone()), ("password", password.expose_secret().to_owned())];
                let reply = self.call("iwauthentication.login.plain", &parameters, None).await?;
                granted(answer("iwauthentication.login.plain", &reply)?)?
            }
            Credentials::Digest { username, password } => self.sign_in_by_digest(username, password).await?,
        };
        let identity: Identity = self.call("auth.test", &[], Some(&token)).await?.whole();
        Ok(LoggedIn { token, user_id: if identity.user_id.is_empty() { identity.user } else { identity.user_id } })
    }

    async fn sign_in_by_digest(&self, username: &str, password: &SecretString) -> Result<SecretString, Error> {
        const METHOD: &str = "iwauthentication.login.digest";
        let challenge: SignIn = self.call(METHOD, &[("username", username.to_owned())], None).await?.whole();
        if challenge.nonce.is_empty() {
            return Err(Error::Broken { method: METHOD.to_owned(), detail: "it gave no challenge".to_owned() });
        }
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|error| Error::Settings(format!("no random numbers: {error}")))?;
        let client_nonce: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let nonce_count = "00000001";
        let uri = format!("{}{METHOD}", self.base().path());
        let response = digest_response(username, password, &challenge, nonce_count, &client_nonce, &uri);
        let parameters = [
            ("username", username.to_owned()),
            ("realm", challenge.realm),
            ("nonce", challenge.nonce),
            ("qop", challenge.qop),
            ("algorithm", challenge.algorithm),
            ("method", challenge.method),
            ("nc", nonce_count.to_owned()),
            ("cnonce", client_nonce),
            ("uri", uri),
            ("response", response),
        ];
        granted(answer(METHOD, &self.call(METHOD, &parameters, None).await?)?)
    }
}

/// A sign-in's answer. One that is no JSON is a broken reply and not a refusal of the account.
fn answer(method: &str, reply: &Reply) -> Result<SignIn, Error> {
    // What serde says may quote the reply, and with it the token.
    serde_json::from_slice(&reply.bytes)
        .map_err(|_| Error::Broken { method: method.to_owned(), detail: "it is no JSON".to_owned() })
}

fn granted(answer: SignIn) -> Result<SecretString, Error> {
    if answer.token.is_empty() {
        Err(Error::Auth { code: "not_authorized".to_owned() })
    } else {
        Ok(answer.token.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_vector_comes_out() {
        let challenge = SignIn {
            realm: "realm".to_owned(),
            nonce: "c05999c2a652f836750e7d45ca3b8ed2ad11ec752f381e0ff414ba5c5456ba61".to_owned(),
            qop: "auth".to_owned(),
            method: "authenticate".to_owned(),
            ..SignIn::default()
        };
        let response = digest_response(
            "admin@icewarp.com",
            &"secret".to_owned().into(),
            &challenge,
            "00000001",
            "0a4f113b",
            "/teamchatapi/iwauthentication.login.digest",
        );
        assert_eq!(response, "3bc6ba83f19ffb45bec88ba2283f2267");
    }
}
