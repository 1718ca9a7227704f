//! What can go wrong on purpose, how often, and the small seeded generator that decides.
//!
//! The same seed and the same order of requests give the same faults. The list is the one place
//! where a fault has its name.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::bail;

use super::ids::Ts;

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// One way in which the sandbox misbehaves.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as `--faults` takes it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

faults! {
    /// HTTP 429 with `Retry-After: 1`.
    RateLimit = "rate-limit",
    /// HTTP 429 with a header that is no number and a body that is no JSON.
    RateLimitBadHeader = "rate-limit-bad-header",
    /// HTTP 500 with an HTML page.
    Error500 = "error-500",
    /// No answer at all.
    Timeout = "timeout",
    /// The connection is cut before the body.
    Reset = "reset",
    /// The connection is cut in the middle of the body.
    ResetMidBody = "reset-mid-body",
    /// The answer comes late.
    Slow = "slow",
    /// The body comes in small pieces with pauses.
    SlowTrickle = "slow-trickle",
    /// The body ends in the middle of the JSON, at its announced length.
    TruncatedJson = "truncated-json",
    /// The body is no JSON.
    BrokenJson = "broken-json",
    /// Good tickets are refused as expired.
    TicketExpiry = "ticket-expiry",
    /// An error is sent with status 200 and type `text/html`.
    ErrorAsHtml = "error-as-html",
    /// Between two pages a message appears and another goes.
    PageDrift = "page-drift",
    /// `has_more` says false although there is more.
    SilentHasMore = "silent-has-more",
    /// A page comes in no order.
    Unordered = "unordered",
    /// A new message gets the time stamp of the one before.
    TsTie = "ts-tie",
    /// A new message gets a time stamp up to one hour below the newest of its channel.
    DstRepeat = "dst-repeat",
    /// The counter starts again inside one second, so a later message sorts lower.
    CounterWrap = "counter-wrap",
    /// A real-time event is not sent.
    LostEvent = "lost-event",
    /// A real-time event is sent twice.
    DuplicateEvent = "duplicate-event",
    /// After some events a socket is cut without a goodbye.
    RtmCut = "rtm-cut",
    /// The caller is no member of this share of the channels.
    MembershipLoss = "membership-loss",
    /// This share of the oldest messages goes at once (1: half).
    RetentionSweep = "retention-sweep",
    /// This share of the messages is between two others and not shown.
    Whisper = "whisper",
    /// A text holds a byte that is no UTF-8.
    InvalidUtf8 = "invalid-utf8",
    /// A token is revoked at the moment it is used, for good.
    TokenRevoked = "token-revoked",
    /// A text holds half a surrogate pair.
    LoneSurrogate = "lone-surrogate",
    /// A text holds U+0000.
    NulInText = "nul-in-text",
    /// An object holds an integer of thirty digits.
    HugeIntegers = "huge-integers",
    /// An object holds arrays in arrays, a thousand levels deep.
    DeepNesting = "deep-nesting",
    /// An object holds a key twice.
    DuplicateKeys = "duplicate-keys",
    /// The texts of this share of the messages are 1 MiB long, and stay so.
    HugeText = "huge-text",
    /// This share of the files has a name that leads astray, and keeps it.
    PathTricks = "path-tricks",
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|fault| fault.name() == name);
        let Some(fault) = found else {
            bail!("there is no fault named `{name}`");
        };
        Ok(*fault)
    }
}

/// Names of files that lead out of a directory, end too early, or look like another; the empty one
/// stands for 300 letters of two bytes.
const PATH_TRICKS: &[&str] = &[
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "..\\..\\x.txt",
    "a/b",
    "..",
    "nul\0inside.txt",
    "two\nlines\r\nX-Header: 1.txt",
    "\u{202e}fdp.exe",
    "CON.txt",
    "",
];

/// Reads `NAME[=RATE],…`.
pub fn parse_list(text: &str) -> anyhow::Result<Vec<(Fault, f64)>> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let (name, rate) = entry.split_once('=').unwrap_or((entry, "1"));
            Ok((name.trim().parse()?, parse_rate(rate.trim())?))
        })
        .collect()
}

fn parse_rate(text: &str) -> anyhow::Result<f64> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => bail!("a fault's rate is a number from 0 to 1, not `{text}`"),
    }
}

/// A small generator (splitmix64): the sandbox's only source of chance that must repeat.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 inclusive to 1 exclusive.
    pub(super) fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).expect("32 bits are left");
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// A number below `limit`; 0 for a limit of 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("usize has at most 64 bits");
        usize::try_from(self.next() % limit).expect("below a usize")
    }
}

/// The rates of all faults, and chance.
#[derive(Debug)]
pub(super) struct Faults {
    inner: Mutex<Inner>,
    seed: u64,
}

#[derive(Debug)]
struct Inner {
    rates: HashMap<Fault, f64>,
    rng: Rng,
}

impl Faults {
    pub(super) fn new(rates: &[(Fault, f64)], seed: u64) -> Self {
        Self { inner: Mutex::new(Inner { rates: rates.iter().copied().collect(), rng: Rng::new(seed) }), seed }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, fault: Fault, rate: f64) {
        self.lock().rates.insert(fault, rate);
    }

    pub(super) fn rate(&self, fault: Fault) -> f64 {
        self.lock().rates.get(&fault).copied().unwrap_or(0.0)
    }

    /// Throws the dice for one event.
    pub(super) fn hits(&self, fault: Fault) -> bool {
        let mut inner = self.lock();
        let rate = inner.rates.get(&fault).copied().unwrap_or(0.0);
        rate > 0.0 && inner.rng.unit() < rate
    }

    /// Whether `key` belongs to the share that a fault touches: the same answer each time.
    pub(super) fn chooses(&self, fault: Fault, key: &str) -> bool {
        let rate = self.rate(fault);
        if rate <= 0.0 {
            return false;
        }
        Rng::new(self.hash(key)).unit() < rate
    }

    /// A number that belongs to `key`: the same each time.
    fn hash(&self, key: &str) -> u64 {
        key.bytes().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Whether the whisper fault hides an item from all but its author.
    pub(super) fn hushes(&self, channel: &str, ts: Ts) -> bool {
        self.rate(Fault::Whisper) > 0.0 && self.chooses(Fault::Whisper, &format!("{channel}/{ts}"))
    }

    /// Whether the message at `ts` is one of those with a long text.
    pub(super) fn lengthens(&self, channel: &str, ts: Ts) -> bool {
        self.rate(Fault::HugeText) > 0.0 && self.chooses(Fault::HugeText, &format!("{channel}/{ts}"))
    }

    /// The name that leads astray of a file, if it is one of those that have one.
    pub(super) fn tricky_name(&self, file: &str) -> Option<String> {
        if !self.chooses(Fault::PathTricks, file) {
            return None;
        }
        // Another number than the one that chose it, or a low rate would know a few tricks only.
        let mut rng = Rng::new(self.hash(file).rotate_left(32));
        let trick = PATH_TRICKS[rng.below(PATH_TRICKS.len())];
        Some(if trick.is_empty() { "ů".repeat(300) } else { trick.to_owned() })
    }

    pub(super) fn below(&self, limit: usize) -> usize {
        self.lock().rng.below(limit)
    }

    /// Alters a JSON body: the faults that a JSON library would never write.
    pub(super) fn spoil(&self, body: String) -> Vec<u8> {
        let mut body = body;
        let mut put = |fault: Fault, marker: &str, replacement: &str| {
            if body.contains(marker) && self.hits(fault) {
                body = body.replacen(marker, replacement, 1);
            }
        };
        let text = "\"text\":\"";
        put(Fault::LoneSurrogate, text, "\"text\":\"\\ud83d ");
        put(Fault::NulInText, text, "\"text\":\"\\u0000");
        put(Fault::DuplicateKeys, text, "\"text\":\"first of two\",\"text\":\"");
        let ts = "\"ts\":\"";
        put(Fault::HugeIntegers, ts, "\"revision\":123456789012345678901234567890,\"ts\":\"");
        let nest = format!("\"nest\":{}{},\"ts\":\"", "[".repeat(1000), "]".repeat(1000));
        put(Fault::DeepNesting, ts, &nest);
        if self.hits(Fault::BrokenJson) {
            body = body.replacen(':', " ", 1);
        }
        let mut bytes = body.into_bytes();
        if self.hits(Fault::InvalidUtf8)
            && let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes())
        {
            bytes.insert(at + text.len(), 0xff);
        }
        if self.hits(Fault::TruncatedJson) {
            bytes.truncate(bytes.len() / 2);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_takes_names_and_rates() {
        let list = parse_list("slow, rate-limit=0.25,").unwrap();
        assert_eq!(list, [(Fault::Slow, 1.0), (Fault::RateLimit, 0.25)]);
        assert!(parse_list("nonsense").is_err());
        assert!(parse_list("slow=2").is_err());
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let throw = |seed| {
            let faults = Faults::new(&[(Fault::Slow, 0.5)], seed);
            (0..64).map(|_| faults.hits(Fault::Slow)).collect::<Vec<_>>()
        };
        assert_eq!(throw(1), throw(1));
        assert_ne!(throw(1), throw(2));
    }

    #[test]
    fn a_rate_of_one_always_hits() {
        let faults = Faults::new(&[(Fault::Slow, 1.0)], 3);
        assert!((0..1000).all(|_| faults.hits(Fault::Slow)));
        assert!(!faults.hits(Fault::Reset));
    }
}
