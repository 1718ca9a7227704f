use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::UtcTime;

/// Where the time comes from: the machine, or a test that sets it.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// Milliseconds since 1970 that the holder of the handle moves.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `ms` until it is moved.
    pub fn set(ms: i64) -> Self {
        Self::Set(Arc::new(AtomicI64::new(ms)))
    }

    /// The present moment, to the millisecond: finer digits would differ between a record's
    /// header and its printed form.
    pub fn now(&self) -> UtcTime {
        let ms = match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
            Self::System => chrono::Utc::now().timestamp_millis(),
            Self::Set(ms) => ms.load(Ordering::Relaxed),
        };
        chrono::DateTime::from_timestamp_millis(ms).unwrap_or(chrono::DateTime::UNIX_EPOCH)
    }
}
