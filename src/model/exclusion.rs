/// A decision never to fetch some channels or conversations. In the patterns `*` stands for any
/// text, and an empty one names nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// A channel's id or name.
    pub channel: String,
    /// The other person of a direct conversation.
    pub user: String,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub by: String,
    /// Since when.
    pub since: String,
}

impl Exclusion {
    /// Whether it covers a channel, by id or name, or a conversation with `person`.
    pub fn covers(&self, id: &str, name: &str, person: Option<&str>) -> bool {
        let by_channel = !self.channel.is_empty() && (matches(&self.channel, id) || matches(&self.channel, name));
        let by_person = !self.user.is_empty() && person.is_some_and(|person| matches(&self.user, person));
        by_channel || by_person
    }
}

/// Whether `text` is of the form of `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    match last {
        None => rest.is_empty(),
        Some(part) => text.ends_with(part),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("hr-*", "hr-cases", true),
            ("hr-*", "the-hr-cases", false),
            ("*secret*", "a-secret-room", true),
            ("C1", "C1", true),
            ("C1", "C12", false),
            ("*", "", true),
            ("a*b", "ab", true),
            ("a*b", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
