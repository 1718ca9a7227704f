//! Decoders that take a value in any of the spellings that servers use and never fail: what fits
//! in none of them is absent (protocol notes, section 3, rows 5, 6, 9).

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

pub use crate::model::json::{as_bool, as_int, as_text};

macro_rules! decoder {
    ($(#[$doc:meta])* $name:ident, $option:ident, $type:ty, $read:expr) => {
        $(#[$doc])*
        pub fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            Ok($read(&Value::deserialize(deserializer)?).unwrap_or_default())
        }

        /// The same, `None` when it is absent or fits no spelling.
        pub fn $option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$type>, D::Error> {
            Ok($read(&Value::deserialize(deserializer)?))
        }
    };
}

decoder!(
    /// A boolean; anything else is false.
    boolean, optional_boolean, bool, as_bool
);
decoder!(
    /// An integer; anything else is 0.
    integer, optional_integer, i64, as_int
);
decoder!(
    /// A text; anything else is empty.
    text, optional_text, String, as_text
);

/// An object, or nothing when it is something else.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    // A struct would be read from an array too, which is no object of anybody's.
    let value = Some(Value::deserialize(deserializer)?).filter(Value::is_object);
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// The elements of an array that can be read; nothing when it is no array.
pub fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Array(values) => Ok(values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect()),
        _ => Ok(Vec::new()),
    }
}

/// The ids of the files that a message names.
pub fn files_named(message: &[u8]) -> Vec<String> {
    let view: Option<super::wire::Message> = serde_json::from_slice(message).ok();
    view.map(|view| view.all_files().into_iter().map(|file| file.id.clone()).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn booleans_come_in_many_spellings() {
        for (value, expected) in [
            (json!(true), Some(true)),
            (json!("true"), Some(true)),
            (json!("false"), Some(false)),
            (json!(1), Some(true)),
            (json!("0"), Some(false)),
            (json!(null), None),
            (json!("perhaps"), None),
        ] {
            assert_eq!(as_bool(&value), expected, "{value}");
        }
    }

    #[test]
    fn numbers_come_as_text() {
        assert_eq!(as_int(&json!("1489410868")), Some(1_489_410_868));
        assert_eq!(as_int(&json!("1489410868.000123")), Some(1_489_410_868));
        assert_eq!(as_int(&json!(12.9)), Some(12));
        assert_eq!(as_int(&json!([])), None);
        assert_eq!(as_text(&json!(5)), Some("5".to_owned()));
    }
}
