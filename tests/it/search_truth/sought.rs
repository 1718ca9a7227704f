//! What is looked for, and how it is typed: every construct of the query language, in all its
//! spellings.

use super::document::{Kind, Part, Property};

/// What has spans in a text.
#[derive(Debug, Clone)]
pub(super) enum Wording {
    /// A word, or several that are linked, as typed.
    Word(String),
    /// Pieces in sequence, between quotation marks.
    Phrase(Vec<Piece>),
    /// With `*` or `?`.
    Pattern(String),
    Fuzzy(String, usize),
    Matching(Expression),
    /// A whole number from the first to the second.
    Numbers(u64, u64),
    /// Pieces in any order with at most so many other positions between them.
    Window(Vec<Piece>, u32),
    Near(Box<Self>, u32, Box<Self>),
    Before(Box<Self>, u32, Box<Self>),
    NotNear(Box<Self>, u32, Box<Self>),
    /// The spans of each.
    Either(Vec<Self>),
}

/// What stands between two spaces of a phrase.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Typed(String),
    Pattern(String),
}

impl Piece {
    fn written(&self) -> &str {
        match self {
            Self::Typed(text) | Self::Pattern(text) => text,
        }
    }
}

/// A regular expression.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    Letter(char),
    /// `.`
    Any,
    /// `[…]`
    OneOf(Vec<char>),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    /// Nothing, or it once.
    Maybe(Box<Self>),
    /// So many times or more often.
    Repeated(Box<Self>, usize),
}

impl Expression {
    pub(super) fn written(&self) -> String {
        match self {
            Self::Letter(letter) => letter.to_string(),
            Self::Any => ".".to_owned(),
            Self::OneOf(letters) => format!("[{}]", letters.iter().collect::<String>()),
            Self::Sequence(parts) => parts.iter().map(Self::written).collect(),
            Self::Either(parts) => format!("({})", parts.iter().map(Self::written).collect::<Vec<_>>().join("|")),
            Self::Maybe(inner) => format!("{}?", inner.atom()),
            Self::Repeated(inner, 0) => format!("{}*", inner.atom()),
            Self::Repeated(inner, _) => format!("{}+", inner.atom()),
        }
    }

    fn atom(&self) -> String {
        match self {
            Self::Letter(_) | Self::Any | Self::OneOf(_) | Self::Either(_) => self.written(),
            Self::Sequence(_) | Self::Maybe(_) | Self::Repeated(..) => format!("({})", self.written()),
        }
    }
}

/// A query. Days are counted from 1970 in UTC.
#[derive(Debug, Clone)]
pub(super) enum Sought {
    Wording(Wording),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Within(Part, Box<Self>),
    From(String),
    In(String),
    BeforeDay(i64),
    AfterDay(i64),
    OnDay(i64),
    Kind(Kind),
    Property(Property),
    Extension(String),
    /// At least so many bytes.
    SizeFrom(u64),
}

impl Sought {
    /// Tells each construct that is in it.
    pub(super) fn names(&self, each: &mut dyn FnMut(&'static str)) {
        match self {
            Self::Wording(wording) => wording.names(each),
            Self::And(all) | Self::Or(all) => {
                each(if matches!(self, Self::And(_)) { "and" } else { "or" });
                all.iter().for_each(|one| one.names(each));
            }
            Self::Not(inner) => {
                each("not");
                inner.names(each);
            }
            Self::Within(_, inner) => {
                each("within");
                inner.names(each);
            }
            _ => each("field"),
        }
    }
}

impl Wording {
    fn names(&self, each: &mut dyn FnMut(&'static str)) {
        match self {
            Self::Word(_) => each("word"),
            Self::Phrase(_) => each("phrase"),
            Self::Pattern(_) => each("pattern"),
            Self::Fuzzy(..) => each("fuzzy"),
            Self::Matching(_) => each("expression"),
            Self::Numbers(..) => each("numbers"),
            Self::Window(..) => each("window"),
            Self::Near(left, _, right) | Self::Before(left, _, right) | Self::NotNear(left, _, right) => {
                each(match self {
                    Self::Near(..) => "near",
                    Self::Before(..) => "before",
                    _ => "not near",
                });
                left.names(each);
                right.names(each);
            }
            Self::Either(all) => {
                each("either");
                all.iter().for_each(|one| one.names(each));
            }
        }
    }
}

/// Writes a query, choosing among the spellings that mean the same.
pub(super) struct Pen {
    dice: u64,
}

impl Pen {
    pub(super) fn new(dice: u64) -> Self {
        Self { dice }
    }

    fn choose<'a>(&mut self, spellings: &[&'a str]) -> &'a str {
        // The constants are Knuth's (MMIX); the low bits of such a sequence are poor.
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        spellings[usize::try_from(self.dice >> 33).unwrap() % spellings.len()]
    }

    fn is_lucky(&mut self) -> bool {
        !self.choose(&["", "x"]).is_empty()
    }

    pub(super) fn write(&mut self, sought: &Sought) -> String {
        match sought {
            Sought::Wording(wording) => self.wording(wording),
            Sought::And(parts) => {
                let mut out = String::new();
                for part in parts {
                    if !out.is_empty() {
                        out.push_str(self.choose(&[" ", " ", " AND ", " && "]));
                    }
                    out.push_str(&match part {
                        Sought::And(_) | Sought::Or(_) => format!("({})", self.write(part)),
                        other => self.write(other),
                    });
                }
                out
            }
            Sought::Or(parts) => {
                let mut out = String::new();
                for part in parts {
                    if !out.is_empty() {
                        out.push_str(self.choose(&[" OR ", " OR ", " || "]));
                    }
                    let bare = match part {
                        Sought::Or(_) => false,
                        Sought::And(_) => self.is_lucky(),
                        _ => true,
                    };
                    let text = self.write(part);
                    out.push_str(&if bare { text } else { format!("({text})") });
                }
                out
            }
            Sought::Not(inner) => {
                let text = self.write(inner);
                let is_one = match inner.as_ref() {
                    Sought::Wording(Wording::Word(_) | Wording::Phrase(_)) | Sought::Within(..) => true,
                    Sought::Wording(_) | Sought::And(_) | Sought::Or(_) | Sought::Not(_) => false,
                    _ => true,
                };
                let text = if is_one { text } else { format!("({text})") };
                format!("{}{text}", self.choose(&["NOT ", "-", "!"]))
            }
            Sought::Within(part, inner) => {
                let field = match part {
                    Part::Body => "body:",
                    Part::Title => self.choose(&["title:", "file:"]),
                    Part::Content => "content:",
                };
                let text = self.write(inner);
                match inner.as_ref() {
                    Sought::Wording(Wording::Word(_) | Wording::Phrase(_)) if self.is_lucky() => {
                        format!("{field}{text}")
                    }
                    Sought::Wording(Wording::Either(_)) => format!("{field}{text}"),
                    _ => format!("{field}({text})"),
                }
            }
            Sought::From(id) => format!("{}{id}", self.choose(&["from:", "author:"])),
            Sought::In(id) => format!("{}{id}", self.choose(&["in:", "channel:"])),
            Sought::BeforeDay(day) => format!("before:{}", written_day(*day)),
            Sought::AfterDay(day) => format!("after:{}", written_day(*day)),
            Sought::OnDay(day) => format!("{}:{}", self.choose(&["on", "during"]), written_day(*day)),
            Sought::Kind(kind) => format!("{}{}", self.choose(&["kind:", "type:"]), kind.as_str()),
            Sought::Property(property) => property.written().to_owned(),
            Sought::Extension(extension) => format!("ext:{extension}"),
            Sought::SizeFrom(bytes) => format!("size>={bytes}"),
        }
    }

    fn wording(&mut self, wording: &Wording) -> String {
        match wording {
            Wording::Word(text) if is_plain(text) => text.clone(),
            Wording::Word(text) => format!("\"{text}\""),
            Wording::Phrase(pieces) => quoted(pieces),
            Wording::Pattern(text) => text.clone(),
            Wording::Fuzzy(text, 1) => format!("{text}{}", self.choose(&["~", "~1"])),
            Wording::Fuzzy(text, edits) => format!("{text}~{edits}"),
            Wording::Matching(expression) if self.is_lucky() => format!("\"##{}##\"", expression.written()),
            Wording::Matching(expression) => format!("/{}/", expression.written()),
            Wording::Numbers(from, to) => format!("{from}{}{to}", self.choose(&["..", "~~"])),
            Wording::Window(pieces, slop) => format!("{}~{slop}", quoted(pieces)),
            Wording::Near(left, distance, right) => {
                let operator = match self.choose(&["w", "w", "call", "slash"]) {
                    "w" => format!("w/{distance}"),
                    "call" => format!("NEAR({distance})"),
                    _ => format!("NEAR/{distance}"),
                };
                self.proximity(left, &operator, right)
            }
            Wording::Before(left, distance, right) => {
                let operator = match self.choose(&["pre", "call", "slash"]) {
                    "pre" => format!("pre/{distance}"),
                    "call" => format!("ONEAR({distance})"),
                    _ => format!("ONEAR/{distance}"),
                };
                self.proximity(left, &operator, right)
            }
            Wording::NotNear(left, distance, right) => self.proximity(left, &format!("not w/{distance}"), right),
            Wording::Either(parts) => {
                let texts: Vec<String> = parts.iter().map(|part| self.wording(part)).collect();
                format!("({})", texts.join(" OR "))
            }
        }
    }

    fn proximity(&mut self, left: &Wording, operator: &str, right: &Wording) -> String {
        // Such operators are read from the left, so that only what stands at the right needs parentheses.
        let left_text = self.wording(left);
        let left_text = if is_proximity(left) && self.is_lucky() { format!("({left_text})") } else { left_text };
        let right_text = self.wording(right);
        let right_text = if is_proximity(right) { format!("({right_text})") } else { right_text };
        format!("{left_text} {operator} {right_text}")
    }
}

fn is_proximity(wording: &Wording) -> bool {
    matches!(wording, Wording::Near(..) | Wording::Before(..) | Wording::NotNear(..))
}

fn quoted(pieces: &[Piece]) -> String {
    format!("\"{}\"", pieces.iter().map(Piece::written).collect::<Vec<_>>().join(" "))
}

/// Whether a text is one word of the language when it is typed without quotation marks.
fn is_plain(text: &str) -> bool {
    let is_inside = |c: char| !c.is_whitespace() && !"\"“”„()*?~:|&<>=!#".contains(c);
    text.chars().next().is_some_and(|c| !c.is_ascii_punctuation())
        && text.chars().all(is_inside)
        && !text.contains("..")
}

fn written_day(day: i64) -> String {
    chrono::DateTime::from_timestamp(day * 86_400, 0).unwrap().format("%Y-%m-%d").to_string()
}
