//! Passwords: how long, which not, and how they are kept.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use rusqlite::OptionalExtension as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Access, AccessError, USER, User, user_row};

/// Shortest password accepted, in characters.
pub const MIN_PASSWORD: usize = 12;
/// Longest password accepted, in characters.
pub const MAX_PASSWORD: usize = 1024;

/// A hash that no password is known for, checked in place of one that does not exist.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9yIG5vIHBhc3N3b3JkIGF0IGFsbCwgMzIgYnl0ZXM";

/// Words that lists of stolen passwords begin with. Few of those passwords have twelve characters: the
/// ones that do are these, said twice or with digits and signs at an end.
const COMMON: &[&str] = &[
    "abc",
    "abcd",
    "abcdef",
    "admin",
    "administrator",
    "archive",
    "auditor",
    "azerty",
    "baseball",
    "basketball",
    "charlie",
    "chocolate",
    "computer",
    "dragon",
    "evidence",
    "football",
    "freedom",
    "hello",
    "iloveyou",
    "letmein",
    "liverpool",
    "login",
    "manchester",
    "manchesterunited",
    "master",
    "michael",
    "monkey",
    "pass",
    "passw0rd",
    "password",
    "princess",
    "qazwsx",
    "qazwsxedc",
    "qwer",
    "qwert",
    "qwerty",
    "qwertyuiop",
    "samsung",
    "secret",
    "shadow",
    "sunshine",
    "superman",
    "teamchat",
    "teamchat-archive",
    "teamchatarchive",
    "test",
    "trustno1",
    "unknown",
    "welcome",
    "whatever",
    "zaq12wsx",
    "zxcvbn",
    "zxcvbnm",
];

/// Whether a password is among the first that are guessed: a common word, the account's own name, one
/// pattern over and over, or keys in their order.
fn is_common(name: &str, password: &str) -> bool {
    let password = password.to_lowercase();
    let is_sign = |c: char| !c.is_alphabetic();
    // A word that ends in a digit stands in the list with it.
    let bare = [password.as_str(), password.trim_matches(is_sign)];
    let words = COMMON.iter().map(|word| (*word).to_owned()).chain([name.to_lowercase()]);
    let is_only = |bare: &str, word: &str| {
        !word.is_empty() && bare.contains(word) && bare.replace(word, "").trim_matches(is_sign).is_empty()
    };
    let is_word = words.into_iter().any(|word| bare.iter().any(|bare| is_only(bare, &word)));
    let letters: Vec<char> = password.chars().collect();
    let repeats =
        (1..=3).any(|step| letters.len() > step && letters.windows(step + 1).all(|part| part[0] == part[step]));
    let follow =
        |by: i64| letters.windows(2).all(|pair| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0])) == by);
    let rows = [
        "12345678901234567890",
        "98765432109876543210",
        "qwertyuiopasdfghjklzxcvbnm",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
        "1q2w3e4r5t6y7u8i9o0p",
    ];
    is_word || repeats || follow(1) || follow(-1) || rows.iter().any(|row| row.contains(password.as_str()))
}

/// What is kept of a password that is good for the account of that name. Slow by design.
pub(super) fn hash(name: &str, password: &SecretString) -> Result<String, AccessError> {
    let text = password.expose_secret();
    match text.chars().count() {
        length if length < MIN_PASSWORD => return Err(AccessError::ShortPassword),
        length if length > MAX_PASSWORD => return Err(AccessError::LongPassword),
        _ => {}
    }
    if is_common(name, text) {
        return Err(AccessError::CommonPassword);
    }
    // The crate's defaults are argon2id with 19,456 KiB, two passes, one lane.
    let hash = Argon2::default().hash_password(text.as_bytes());
    Ok(hash.map_err(|error| AccessError::Hash(error.to_string()))?.to_string())
}

impl Access {
    /// Checks a password. It takes the same time for a name that does not exist. Slow by design:
    /// call it off the async threads, two at a time at most.
    pub fn check_password(&self, name: &str, password: &SecretString) -> Result<Option<User>, AccessError> {
        let found: Option<(String, User)> = self.with(|connection| {
            Ok(connection
                .query_row(&format!("{USER} WHERE name = ?1"), [name], |row| Ok((row.get(6)?, user_row(row)?)))
                .optional()?)
        })?;
        let (hash, user) = match found {
            Some((hash, user)) => (hash, Some(user)),
            None => (DUMMY.to_owned(), None),
        };
        let parsed = PasswordHash::new(&hash).map_err(|error| AccessError::Hash(error.to_string()))?;
        let right = Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok();
        Ok(user.filter(|user| right && !user.disabled))
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;

    use super::{DUMMY, hash, is_common};

    /// A try costs what the hash says that it is checked against: its algorithm, memory, passes, lanes and length.
    #[test]
    fn a_name_that_is_nobodys_costs_what_any_other_does() {
        let fresh = hash("ada", &"correct horse battery".to_owned().into()).unwrap();
        let (fresh, dummy) = (PasswordHash::new(&fresh).unwrap(), PasswordHash::new(DUMMY).unwrap());
        assert_eq!((dummy.algorithm, dummy.version), (fresh.algorithm, fresh.version));
        assert_eq!(dummy.params, fresh.params);
        let lengths = |hash: &PasswordHash| {
            (hash.salt.as_ref().map(|salt| salt.len()), hash.hash.as_ref().map(argon2::password_hash::phc::Output::len))
        };
        assert_eq!(lengths(&dummy), lengths(&fresh));
        assert!(lengths(&dummy).0.is_some() && lengths(&dummy).1.is_some(), "without either nothing is computed");
    }

    #[test]
    fn what_is_guessed_first_is_refused_and_phrases_are_not() {
        for bad in [
            "password1234",
            "Password2026!",
            "passwordpassword",
            "aaaaaaaaaaaa",
            "123123123123",
            "abcabcabcabc",
            "123456789012",
            "987654321098",
            "abcdefghijkl",
            "qwertyuiop12",
            "QWERTYUIOPAS",
            "1qaz2wsx3edc",
            "teamchat-archive",
            "adalovelace1",
            "!!adalovelace!!",
            "iloveyou!!!!!!",
            "trustno1trustno1",
        ] {
            assert!(is_common("adalovelace", bad), "{bad}");
        }
        for good in [
            "correct horse battery",
            "wrong horse battery",
            "a long pass phrase",
            "Tr0ub4dor&3 again",
            "83749281640275",
            "my password is long",
        ] {
            assert!(!is_common("ada", good), "{good}");
        }
    }
}
