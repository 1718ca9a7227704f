//! The second factor: six digits that an app makes of the time and of a secret (RFC 6238), each of them good once.
//!
//! The secret is made of a key that lies among the keys and of a salt that lies here. Neither tells it alone: who has a
//! copy of the database, or of the archive's directory, signs nobody in.

use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::{Connection, OptionalExtension as _, params};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use totp_rs::{Builder, Totp};

use super::sessions::visited;
use super::{Access, AccessError, USER, User, random, user_row};
use crate::record::{Action, Visit};

/// Seconds within which an app must be told the secret and give a code.
const BEGUN_SECONDS: i64 = 15 * 60;
/// Bytes of a secret: those of the hash that codes are made with (RFC 4226, section 4).
const SECRET: usize = 20;

/// What the secrets of all apps are made with. It lies among the keys.
#[derive(Debug, Clone)]
pub struct FactorKey(SecretString);

/// What an app is told, once.
#[derive(Debug)]
pub struct AppSecret {
    /// In letters and digits, to type.
    pub letters: SecretString,
    /// As the address that apps read (`otpauth:`).
    pub address: SecretString,
}

impl FactorKey {
    /// Of the text that lies among the keys.
    pub fn new(text: SecretString) -> Self {
        Self(text)
    }

    /// What makes the codes of an account. `issuer` is how an app calls what it is for.
    fn codes(&self, user: &str, salt: &[u8], issuer: &str) -> Result<Totp, AccessError> {
        let wrong = |error: &dyn std::fmt::Display| AccessError::Hash(error.to_string());
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()).map_err(|error| wrong(&error))?;
        mac.update(b"teamchat-archive second factor\n");
        mac.update(salt);
        mac.update(user.as_bytes());
        let secret = mac.finalize().into_bytes()[..SECRET].to_vec();
        // Apps take what stands before a colon for another name.
        let plain = |name: &str| name.replace(':', " ");
        let codes = Builder::new().with_secret(secret).with_account_name(plain(user)).with_issuer(Some(plain(issuer)));
        codes.build().map_err(|error| wrong(&error))
    }
}

/// The step of time of which a code is, if it is one of about now.
fn step(codes: &Totp, code: &str, now: i64) -> Option<i64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    i64::try_from(codes.check(&digits, now.cast_unsigned())?).ok()
}

fn salt(
    connection: &Connection,
    user: &str,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Option<Vec<u8>>, AccessError> {
    let sql = format!("SELECT salt FROM second_factor WHERE user = ?1 AND {sql}");
    let mut all: Vec<&dyn rusqlite::ToSql> = vec![&user];
    all.extend(values);
    Ok(connection.prepare_cached(&sql)?.query_row(&*all, |row| row.get(0)).optional()?)
}

impl Access {
    /// Whether any account is asked for a second factor.
    pub fn has_factors(&self) -> Result<bool, AccessError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM second_factor WHERE is_on = 1)";
        self.with(|connection| Ok(connection.query_row(sql, [], |row| row.get(0))?))
    }

    /// Prepares a second factor for an account that has none: nothing is asked for until an app has given a code.
    pub fn begin_factor(&self, user: &str) -> Result<(), AccessError> {
        let salt = &random()?[..16];
        let now = self.clock.now().timestamp();
        self.with_mut(|connection| {
            connection.execute(
                "INSERT INTO second_factor (user, salt, begun) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user) DO UPDATE SET salt = ?2, begun = ?3 WHERE is_on = 0",
                params![user, salt, now],
            )?;
            Ok(())
        })
    }

    fn begun(&self, connection: &Connection, user: &str) -> Result<Option<Vec<u8>>, AccessError> {
        let since = self.clock.now().timestamp() - BEGUN_SECONDS;
        salt(connection, user, "is_on = 0 AND begun > ?2", &[&since])
    }

    /// What the app of an account is told, while that is prepared.
    pub fn app_secret(&self, user: &str, key: &FactorKey, issuer: &str) -> Result<Option<AppSecret>, AccessError> {
        let Some(salt) = self.with(|connection| self.begun(connection, user))? else { return Ok(None) };
        let codes = key.codes(user, &salt, issuer)?;
        let address = codes.to_url().map_err(|error| AccessError::Hash(error.to_string()))?;
        Ok(Some(AppSecret { letters: codes.secret().to_base32().into(), address: address.into() }))
    }

    /// Asks for a second factor from now on, when the app has given a code that shows that it knows the secret.
    pub fn turn_factor_on(&self, user: &User, key: &FactorKey, code: &str, visit: &Visit) -> Result<(), AccessError> {
        let now = self.clock.now().timestamp();
        self.change(|connection| {
            let salt = self.begun(connection, &user.name)?.ok_or(AccessError::WrongCode)?;
            let step = step(&key.codes(&user.name, &salt, "")?, code, now).ok_or(AccessError::WrongCode)?;
            connection.execute(
                "UPDATE second_factor SET is_on = 1, last_step = ?2 WHERE user = ?1",
                params![user.name, step],
            )?;
            Ok(((), Action::FactorOn, visited(visit, user)))
        })
    }

    /// Whether a code is right for an account; that code, and those before it, are not right again.
    pub fn check_code(&self, user: &str, key: &FactorKey, code: &str) -> Result<bool, AccessError> {
        let now = self.clock.now().timestamp();
        self.with_mut(|connection| {
            let Some(salt) = salt(connection, user, "is_on = 1", &[])? else { return Ok(false) };
            let Some(step) = step(&key.codes(user, &salt, "")?, code, now) else { return Ok(false) };
            // Of two who come with the same code at once, one is let in.
            let sql = "UPDATE second_factor SET last_step = ?2 WHERE user = ?1 AND is_on = 1 AND last_step < ?2";
            Ok(connection.execute(sql, params![user, step])? == 1)
        })
    }

    /// Asks an account for no second factor any more.
    pub fn turn_factor_off(&self, name: &str) -> Result<User, AccessError> {
        self.change(|connection| {
            let user = connection.query_row(&format!("{USER} WHERE name = ?1"), [name], user_row).optional()?;
            let user = user.ok_or_else(|| AccessError::Unknown { what: "user", name: name.to_owned() })?;
            connection.execute("DELETE FROM second_factor WHERE user = ?1", [name])?;
            let user = User { has_factor: false, ..user };
            let visit = self.granted_to(&user);
            Ok((user, Action::FactorOff, visit))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::model::{Clock, Role};
    use crate::store::access::Grant;
    use crate::store::tests::bench;

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Its appendix B, with the last six digits of the eight.
        let codes =
            Builder::new().with_secret(b"12345678901234567890".to_vec()).with_account_name("a").build().unwrap();
        for (second, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            assert_eq!(step(&codes, code, second), Some(second / 30), "{second}");
            assert_eq!(step(&codes, &format!(" {} {} ", &code[..3], &code[3..]), second + 30), Some(second / 30));
            assert_eq!(step(&codes, code, second + 61), None, "an old code");
        }
    }

    #[test]
    fn a_code_lets_in_once_and_only_its_own_account() {
        let bench = bench();
        let hand = Arc::new(AtomicI64::new(1_800_000_000_000));
        let access = Access::open(&bench.layout, Clock::Set(Arc::clone(&hand))).unwrap();
        let grant = Grant::new(Role::Auditor, None).unwrap();
        for name in ["ada", "bo: b"] {
            access.add_user(name, &grant, &"correct horse battery".to_owned().into()).unwrap();
        }
        let key = FactorKey::new("a key of the archive".to_owned().into());
        let user = || access.user("ada").unwrap().unwrap();
        let code = |name: &str| {
            let salt = access.with(|connection| salt(connection, name, "1", &[])).unwrap().unwrap();
            let now = hand.load(Ordering::Relaxed) / 1000;
            key.codes(name, &salt, "").unwrap().generate(now.cast_unsigned()).to_string()
        };
        let visit = Visit::default();
        assert!(access.app_secret("ada", &key, "archive").unwrap().is_none());
        access.begin_factor("ada").unwrap();
        let told = access.app_secret("ada", &key, "archive: two").unwrap().unwrap();
        assert_eq!(told.letters.expose_secret().len(), 32);
        assert!(told.address.expose_secret().starts_with("otpauth://totp/archive%20%20two:ada?secret="));
        assert!(
            !user().has_factor
                && !access.has_factors().unwrap()
                && !access.check_code("ada", &key, &code("ada")).unwrap()
        );
        assert!(matches!(access.turn_factor_on(&user(), &key, "000000", &visit), Err(AccessError::WrongCode)));
        access.turn_factor_on(&user(), &key, &code("ada"), &visit).unwrap();
        assert!(user().has_factor && access.has_factors().unwrap());
        assert!(access.app_secret("ada", &key, "archive").unwrap().is_none(), "it is told once");
        assert!(!access.check_code("ada", &key, &code("ada")).unwrap(), "the code that turned it on is used");
        hand.fetch_add(30_000, Ordering::Relaxed);
        let used = code("ada");
        assert!(access.check_code("ada", &key, &used).unwrap());
        assert!(!access.check_code("ada", &key, &used).unwrap());
        hand.fetch_add(30_000, Ordering::Relaxed);
        let other = FactorKey::new("another key".to_owned().into());
        assert!(!access.check_code("ada", &other, &code("ada")).unwrap());
        access.begin_factor("bo: b").unwrap();
        access.app_secret("bo: b", &key, "archive").unwrap().unwrap();
        assert!(!access.check_code("bo: b", &key, &code("ada")).unwrap());
        // What was prepared and not confirmed is over.
        hand.fetch_add(BEGUN_SECONDS * 1000, Ordering::Relaxed);
        assert!(access.app_secret("bo: b", &key, "archive").unwrap().is_none());
        let bo = access.user("bo: b").unwrap().unwrap();
        assert!(matches!(access.turn_factor_on(&bo, &key, &code("bo: b"), &visit), Err(AccessError::WrongCode)));
        // Who has one is given no other over it.
        access.begin_factor("ada").unwrap();
        assert!(access.check_code("ada", &key, &code("ada")).unwrap());
        assert!(!access.turn_factor_off("ada").unwrap().has_factor);
        assert!(!user().has_factor && !access.check_code("ada", &key, "123456").unwrap());
        assert!(matches!(access.turn_factor_off("eve"), Err(AccessError::Unknown { .. })));
        let entries = access.log().entries(0, 1000).unwrap();
        for action in ["factor_on", "factor_off"] {
            assert_eq!(entries.iter().filter(|entry| entry.header.contains(action)).count(), 1, "{action}");
        }
    }
}
