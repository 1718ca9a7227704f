use std::ops::Range;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::model::{UtcTime, json};

/// A reply with `ok:true`: its exact bytes and when they came.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The body.
    pub bytes: Bytes,
    /// When its last byte came.
    pub received_at: UtcTime,
}

/// An item as it was sent, and what could be made of it.
#[derive(Debug, Clone)]
pub struct Item<T> {
    /// The exact bytes.
    pub bytes: Bytes,
    /// The view; `None` when the bytes are no object that can be read.
    pub view: Option<T>,
}

/// A page of items, cut out of a reply at byte level.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items in the order in which they came.
    pub items: Vec<Item<T>>,
    /// Whether the list was whole: its end was there.
    pub is_whole: bool,
    /// `has_more`, where the method has it.
    pub has_more: Option<bool>,
    /// When the reply came.
    pub received_at: UtcTime,
    /// The whole reply.
    pub reply: Reply,
}

impl Reply {
    /// The bytes of a top-level member.
    pub fn member(&self, name: &str) -> Option<Bytes> {
        json::member(&self.bytes, name).map(|range| self.bytes.slice(range))
    }

    /// A top-level member, read tolerantly; `None` when it is absent or unreadable.
    pub fn view<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.member(name).and_then(|bytes| view(&bytes))
    }

    /// The whole reply, read tolerantly.
    pub fn whole<T: DeserializeOwned + Default>(&self) -> T {
        view(&self.bytes).unwrap_or_default()
    }

    /// The single object under `name`.
    pub fn item<T: DeserializeOwned>(&self, name: &str) -> Option<Item<T>> {
        self.member(name).map(item)
    }

    /// The items of the list under `name`. A reply without it is a page without items that is not
    /// whole, so that it is never taken for an empty channel.
    pub fn page<T: DeserializeOwned>(self, name: &str) -> Page<T> {
        let (ranges, is_whole) = match json::member(&self.bytes, name) {
            Some(range) => json::elements(&self.bytes, range),
            None => (Vec::<Range<usize>>::new(), false),
        };
        let items = ranges.into_iter().map(|range| item(self.bytes.slice(range))).collect();
        let has_more = json::member(&self.bytes, "has_more").and_then(|range| {
            let value = json::parse(&self.bytes[range])?;
            super::tolerant::as_bool(&value)
        });
        Page { items, is_whole, has_more, received_at: self.received_at, reply: self }
    }
}

fn item<T: DeserializeOwned>(bytes: Bytes) -> Item<T> {
    Item { view: view(&bytes), bytes }
}

/// Reads an object: straight, or, when that fails, after mending bad Unicode.
fn view<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match serde_json::from_slice(bytes) {
        Ok(view) => Some(view),
        Err(_) => {
            json::parse(bytes).filter(serde_json::Value::is_object).and_then(|value| serde_json::from_value(value).ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Message;
    use super::*;

    fn reply(text: &'static str) -> Reply {
        Reply { bytes: Bytes::from_static(text.as_bytes()), received_at: chrono::DateTime::UNIX_EPOCH }
    }

    #[test]
    fn one_broken_item_costs_only_itself() {
        let page: Page<Message> =
            reply(r#"{"ok":true,"messages":[{"ts":"2.000000","text":"\ud800"},{"ts":"3.000000",oops},7,{"ts":"1.000000"}],"has_more":"true"}"#).page("messages");
        assert!(page.is_whole);
        assert_eq!(page.has_more, Some(true));
        let seen: Vec<Option<&str>> =
            page.items.iter().map(|item| item.view.as_ref().map(|view| view.ts.as_str())).collect();
        assert_eq!(seen, [Some("2.000000"), None, None, Some("1.000000")]);
        assert_eq!(&page.items[1].bytes[..], br#"{"ts":"3.000000",oops}"#);
    }

    #[test]
    fn a_reply_without_its_list_is_not_an_empty_channel() {
        let page: Page<Message> = reply(r#"{"ok":true}"#).page("messages");
        assert!(page.items.is_empty() && !page.is_whole);
    }
}
