//! Those whose password was right and who have yet to give the code of their second factor.
//!
//! Nothing of it is a session: a cookie of its own says who they are, for five minutes and five codes. All of it is in
//! memory; after a restart the password is asked for again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;

use super::error::WebError;
use crate::model::{Digest, UtcTime};

/// What a browser keeps meanwhile.
pub(super) const COOKIE: &str = "__Host-half";
/// For so long.
pub(super) const PATIENCE: TimeDelta = TimeDelta::minutes(5);
/// Codes that may be wrong before the password is asked for again.
const CODES: u32 = 5;
/// Who waits at once; beyond it those who came first begin again.
const REMEMBERED: usize = 1000;

#[derive(Debug)]
struct Half {
    user: String,
    until: UtcTime,
    codes: u32,
}

/// Who waits for a code, by the SHA-256 of their cookie.
#[derive(Debug, Default)]
pub(super) struct Halfway {
    known: Mutex<HashMap<Digest, Half>>,
}

impl Halfway {
    /// The password of `user` was right: the value of the cookie.
    pub(super) fn begin(&self, user: &str, now: UtcTime) -> Result<String, WebError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| WebError::Internal(error.to_string()))?;
        let secret = URL_SAFE_NO_PAD.encode(bytes);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, half| half.until > now);
        if known.len() >= REMEMBERED
            && let Some(first) = known.iter().min_by_key(|(_, half)| half.until).map(|(cookie, _)| *cookie)
        {
            known.remove(&first);
        }
        let half = Half { user: user.to_owned(), until: now + PATIENCE, codes: CODES };
        known.insert(Digest::of(secret.as_bytes()), half);
        Ok(secret)
    }

    /// Who gives a code, which counts as one of their tries; `None`: nobody, or too late, or too often.
    pub(super) fn try_code(&self, cookie: &str, now: UtcTime) -> Option<String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let half = known.get_mut(&Digest::of(cookie.as_bytes()))?;
        if half.until <= now || half.codes == 0 {
            return None;
        }
        half.codes -= 1;
        Some(half.user.clone())
    }

    /// They are in, or begin again.
    pub(super) fn end(&self, cookie: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&Digest::of(cookie.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UtcTime {
        chrono::DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_code_may_be_given_five_times_within_five_minutes() {
        let halfway = Halfway::default();
        let cookie = halfway.begin("ada", at(0)).unwrap();
        assert_eq!(halfway.try_code("a guess", at(0)), None);
        for _ in 0..5 {
            assert_eq!(halfway.try_code(&cookie, at(299)).as_deref(), Some("ada"));
        }
        assert_eq!(halfway.try_code(&cookie, at(299)), None);
        let cookie = halfway.begin("ada", at(0)).unwrap();
        assert_eq!(halfway.try_code(&cookie, at(300)), None);
        let cookie = halfway.begin("ada", at(0)).unwrap();
        halfway.end(&cookie);
        assert_eq!(halfway.try_code(&cookie, at(1)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let halfway = Halfway::default();
        let first = halfway.begin("ada", at(0)).unwrap();
        for n in 0..REMEMBERED {
            halfway.begin("bo", at(1 + i64::try_from(n).unwrap() / 10)).unwrap();
        }
        assert_eq!(halfway.known.lock().unwrap().len(), REMEMBERED);
        assert_eq!(halfway.try_code(&first, at(2)), None);
    }
}
