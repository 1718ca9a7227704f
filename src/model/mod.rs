//! The words everything else is said in: identifiers parsed at the edge, times, digests, and what
//! a reader may see.
//!
//! A value of one of these types is well formed; nothing further in checks it again. This room
//! does no I/O, and only [`Clock`] reads the clock, for those that are handed one.

mod clock;
mod digest;
mod exclusion;
mod ids;
pub mod json;
mod network;
mod scope;
mod time;
mod ts;

pub use clock::Clock;
pub use digest::Digest;
pub use exclusion::Exclusion;
pub use ids::{ChannelId, FileId, RecordSeq, SourceId, UserId};
pub use network::Network;
pub use scope::{Role, Scope};
pub use time::{TimeRange, Zone, parse_duration, parse_time, rfc3339};
pub use ts::MessageTs;

/// A point in time, UTC. What the archive itself noted (never what a server claimed).
pub type UtcTime = chrono::DateTime<chrono::Utc>;
