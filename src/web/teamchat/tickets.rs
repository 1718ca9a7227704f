use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::{Digest, UtcTime};
use crate::store::Error;

/// How long a ticket opens its file.
const LASTS: i64 = 15 * 60;

/// What a ticket opens, and for whom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) content: Digest,
    pub(super) name: String,
    /// SHA-256 of the secret of the token that it was minted for.
    pub(super) holder: Digest,
}

/// Makes and checks download tickets: the content they open, when they end, and a seal. Minted
/// for one token; the key lives and ends with the process.
pub(in crate::web) struct Tickets {
    key: [u8; 32],
}

impl Tickets {
    pub(in crate::web) fn new() -> Result<Self, Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| Error::Io(std::io::Error::other(error.to_string())))?;
        Ok(Self { key })
    }

    fn seal(&self, text: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes()[..16].to_vec()
    }

    /// A ticket for a content under a file name, for the token with this secret.
    pub(super) fn mint(&self, content: &Digest, name: &str, secret: &str, now: UtcTime) -> String {
        let holder = Digest::of(secret.as_bytes());
        let text = format!("{content}|{}|{holder}|{name}", now.timestamp() + LASTS);
        format!("{}.{}", BASE64.encode(&text), BASE64.encode(self.seal(&text)))
    }

    /// What a ticket opens; `None` when it is forged, `Err` when it has ended.
    pub(super) fn open(&self, ticket: &str, now: UtcTime) -> Result<Option<Opened>, ()> {
        let Some((text, seal)) = ticket.split_once('.') else { return Ok(None) };
        let decoded = BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let (Some(text), Ok(seal)) = (decoded, BASE64.decode(seal)) else { return Ok(None) };
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        if mac.verify_truncated_left(&seal).is_err() || seal.len() != 16 {
            return Ok(None);
        }
        let mut parts = text.splitn(4, '|');
        let (Some(content), Some(ends), Some(holder), Some(name)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Ok(None);
        };
        match (content.parse(), ends.parse::<i64>(), holder.parse()) {
            (Ok(content), Ok(ends), Ok(holder)) if ends > now.timestamp() => {
                Ok(Some(Opened { content, name: name.to_owned(), holder }))
            }
            (Ok(_), Ok(_), Ok(_)) => Err(()),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_its_content_until_it_ends() {
        let tickets = Tickets::new().unwrap();
        let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        let content = Digest::of(b"x");
        let ticket = tickets.mint(&content, "a|b.txt", "arc_secret", at(1000));
        let opened = Opened { content, name: "a|b.txt".to_owned(), holder: Digest::of(b"arc_secret") };
        assert_eq!(tickets.open(&ticket, at(1500)), Ok(Some(opened)));
        assert_eq!(tickets.open(&ticket, at(1000 + LASTS)), Err(()));
        assert!(!ticket.contains("secret"));
        let forged = format!("A{}", &ticket[1..]);
        assert_eq!(tickets.open(&forged, at(1500)), Ok(None));
        assert_eq!(Tickets::new().unwrap().open(&ticket, at(1500)), Ok(None), "another process's key");
        let short = &ticket[..ticket.len() - 8];
        assert_eq!(tickets.open(short, at(1500)), Ok(None));
    }
}
