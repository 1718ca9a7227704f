use std::time::Duration;

/// How long a call is tried again before it is given up.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// First wait after a failure; doubled each time.
    pub first_wait: Duration,
    /// Longest wait between two tries.
    pub longest_wait: Duration,
    /// How often it is tried.
    pub tries: u32,
    /// When it is given up whatever the number of tries. Waits that the server asks for do not
    /// count.
    pub deadline: Duration,
    /// One request, from its start to the last byte of a JSON reply.
    pub request: Duration,
    /// The pause taken for a `Retry-After` that cannot be read (protocol notes (b) 15).
    pub unclear_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            tries: 8,
            deadline: Duration::from_mins(5),
            request: Duration::from_mins(1),
            unclear_pause: Duration::from_mins(1),
        }
    }
}

impl Patience {
    /// For a first look at a server: quick to say that it cannot be reached.
    pub fn brief() -> Self {
        Self {
            tries: 3,
            deadline: Duration::from_secs(20),
            request: Duration::from_secs(15),
            first_wait: Duration::from_millis(300),
            ..Self::default()
        }
    }

    /// The wait before try number `tries + 1`: doubled each time, capped, and spread by up to a
    /// quarter so that callers who failed together do not come back together.
    pub(super) fn wait(&self, tries: u32) -> Duration {
        let doubled = self.first_wait * 2_u32.saturating_pow(tries.saturating_sub(1).min(16));
        let capped = doubled.min(self.longest_wait);
        let mut byte = [0_u8];
        // Without randomness the waits are merely alike.
        let _filled = getrandom::fill(&mut byte);
        capped * 3 / 4 + capped * u32::from(byte[0]) / 1024
    }

    /// The pause that a `Retry-After` value asks for, in whole seconds, an hour at most. One of no
    /// seconds at all would be asked for without end.
    pub(super) fn pause(&self, header: Option<&str>) -> Duration {
        let seconds = header.and_then(|value| value.trim().parse::<u64>().ok());
        seconds.map_or(self.unclear_pause, |seconds| Duration::from_secs(seconds.clamp(1, 3600)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let patience = Patience::default();
        assert!(patience.wait(1) <= Duration::from_millis(500));
        assert!(patience.wait(4) >= Duration::from_secs(3));
        assert!(patience.wait(60) <= Duration::from_secs(30));
    }

    #[test]
    fn a_retry_after_is_honoured_and_an_unclear_one_means_a_minute() {
        let patience = Patience::default();
        assert_eq!(patience.pause(Some(" 7 ")), Duration::from_secs(7));
        assert_eq!(patience.pause(Some("0")), Duration::from_secs(1));
        assert_eq!(patience.pause(Some("soon")), Duration::from_mins(1));
        assert_eq!(patience.pause(Some("-1")), Duration::from_mins(1));
        assert_eq!(patience.pause(None), Duration::from_mins(1));
        assert_eq!(patience.pause(Some("999999999")), Duration::from_hours(1));
    }
}
