//! How often somebody may try a password.
//!
//! Five tries in a quarter of an hour under one name from one network, fifty under one name from anywhere, thirty from
//! one address; further ones wait, each longer than the one before, and one after the other however many come at once.
//! Nobody is ever locked out: who has the right password gets in after waiting, and who only comes from elsewhere than
//! those who guess need not wait for them. All of it is in memory: a restart forgets it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use crate::model::UtcTime;

/// Tries are remembered for so long.
const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Under one name from one network, under one name from anywhere, and from one address: what is free.
const FREE_BY_NAME: usize = 5;
const FREE_ANYWHERE: usize = 50;
const FREE_BY_ADDRESS: usize = 30;
/// Doublings of the wait under one name: 2 seconds, 4, 8, 16, 32.
const DOUBLINGS: usize = 5;
/// Between two tries from an address that has used up its own: as many again in the same time.
const BY_ADDRESS: TimeDelta = TimeDelta::seconds(30);
/// Whoever would wait longer is asked to come back.
const PATIENCE: TimeDelta = TimeDelta::seconds(70);
/// Names and addresses that are remembered; beyond it the oldest are forgotten.
const REMEMBERED: usize = 10_000;

/// What becomes of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is made after so long, which may be nothing.
    After(Duration),
    /// It is not made; another may be, after so long.
    ComeBack(Duration),
}

#[derive(Debug, Default)]
struct Tries {
    /// When they were, or are to be; in order.
    at: Vec<UtcTime>,
}

impl Tries {
    /// How many are remembered.
    fn within(&mut self, now: UtcTime) -> usize {
        self.at.retain(|at| now - *at < WINDOW);
        self.at.len()
    }

    /// When the next one may be made.
    fn next(&mut self, now: UtcTime, wait: impl Fn(usize) -> TimeDelta) -> UtcTime {
        self.within(now);
        // The queue stands behind whoever waits already.
        let last = self.at.last().copied().unwrap_or(now).max(now);
        last + wait(self.at.len())
    }
}

fn by_name(tries: usize) -> TimeDelta {
    after(tries, FREE_BY_NAME)
}

fn anywhere(tries: usize) -> TimeDelta {
    after(tries, FREE_ANYWHERE)
}

fn after(tries: usize, free: usize) -> TimeDelta {
    match tries.checked_sub(free) {
        None => TimeDelta::zero(),
        Some(over) => TimeDelta::seconds(2 << over.min(DOUBLINGS - 1)),
    }
}

fn by_address(tries: usize) -> TimeDelta {
    if tries < FREE_BY_ADDRESS { TimeDelta::zero() } else { BY_ADDRESS }
}

/// Addresses that one customer of a provider has are one.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<(String, Option<IpAddr>), Tries>,
    anywhere: HashMap<String, Tries>,
    addresses: HashMap<IpAddr, Tries>,
}

/// The tries of the last quarter of an hour.
#[derive(Debug, Default)]
pub(super) struct Limits {
    known: Mutex<Known>,
}

/// Forgets what is too old, and the oldest when there is too much.
fn tidy<K: Eq + Hash + Clone>(all: &mut HashMap<K, Tries>, now: UtcTime) {
    if all.len() < REMEMBERED {
        return;
    }
    let newest = |tries: &Tries| tries.at.last().copied();
    all.retain(|_, tries| newest(tries).is_some_and(|at| now - at < WINDOW));
    while all.len() >= REMEMBERED {
        let oldest = all.iter().min_by_key(|(_, tries)| newest(tries)).map(|(key, _)| key.clone());
        match oldest {
            Some(oldest) => drop(all.remove(&oldest)),
            None => break,
        }
    }
}

fn duration(time: TimeDelta) -> Duration {
    time.to_std().unwrap_or_default()
}

impl Limits {
    /// Asks for a try under a name, and counts it.
    pub(super) fn ask(&self, name: &str, address: Option<IpAddr>, now: UtcTime) -> Turn {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { names, anywhere: all, addresses } = &mut *known;
        tidy(names, now);
        tidy(all, now);
        tidy(addresses, now);
        let named = names.entry((name.to_owned(), address.map(neighbourhood))).or_default();
        let of_all = all.entry(name.to_owned()).or_default();
        let mut at = named.next(now, by_name);
        // Until there are very many nobody waits for those who come from elsewhere.
        if of_all.within(now) >= FREE_ANYWHERE {
            at = at.max(of_all.next(now, anywhere));
        }
        let mut from = address.map(|address| addresses.entry(neighbourhood(address)).or_default());
        if let Some(from) = &mut from {
            at = at.max(from.next(now, by_address));
        }
        let wait = at - now;
        if wait > PATIENCE {
            return Turn::ComeBack(duration(wait - PATIENCE).max(Duration::from_secs(1)));
        }
        named.at.push(at);
        of_all.at.push(at);
        of_all.at.sort_unstable();
        if let Some(from) = from {
            from.at.push(at);
            from.at.sort_unstable();
        }
        Turn::After(duration(wait))
    }

    /// The password was right: the tries under that name from there are forgotten, as many of those from anywhere, and
    /// one of that address.
    pub(super) fn succeeded(&self, name: &str, address: Option<IpAddr>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = known.names.remove(&(name.to_owned(), address.map(neighbourhood))).unwrap_or_default().at;
        if let Some(all) = known.anywhere.get_mut(name) {
            for at in tries {
                if let Some(place) = all.at.iter().position(|other| *other == at) {
                    all.at.remove(place);
                }
            }
        }
        if let Some(tries) = address.and_then(|address| known.addresses.get_mut(&neighbourhood(address))) {
            tries.at.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UtcTime {
        chrono::DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn after(seconds: u64) -> Turn {
        Turn::After(Duration::from_secs(seconds))
    }

    #[test]
    fn the_sixth_try_under_a_name_waits_and_the_next_ones_longer() {
        let limits = Limits::default();
        let mut now = 0;
        for wait in [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 32, 32] {
            assert_eq!(limits.ask("ada", None, at(now)), after(wait), "at {now}");
            now += i64::try_from(wait).unwrap();
        }
        assert_eq!(limits.ask("bo", None, at(now)), after(0), "another name waits for nobody");
        limits.succeeded("ada", None);
        assert_eq!(limits.ask("ada", None, at(now)), after(0));
        // A quarter of an hour later all is forgotten.
        for _ in 0..7 {
            limits.ask("ada", None, at(now));
        }
        assert_eq!(limits.ask("ada", None, at(now + 15 * 60 + 10)), after(0));
    }

    #[test]
    fn tries_that_come_at_once_are_made_one_after_the_other() {
        let limits = Limits::default();
        let turns: Vec<Turn> = (0..11).map(|_| limits.ask("ada", None, at(0))).collect();
        assert_eq!(turns[..10], [0, 0, 0, 0, 0, 2, 6, 14, 30, 62].map(after));
        assert_eq!(turns[10], Turn::ComeBack(Duration::from_secs(94 - 70)), "nobody waits in a long queue");
        // Who was sent away is not counted: the queue ends.
        for _ in 0..1000 {
            assert!(matches!(limits.ask("ada", None, at(0)), Turn::ComeBack(_)));
        }
        assert_eq!(limits.ask("ada", None, at(62)), after(32));
    }

    #[test]
    fn who_comes_from_elsewhere_does_not_wait_for_those_who_guess() {
        let limits = Limits::default();
        let own: IpAddr = "192.0.2.1".parse().unwrap();
        let from = |n: u8| Some(IpAddr::from([203, 0, 113, n]));
        for _ in 0..100 {
            limits.ask("ada", from(1), at(0));
        }
        assert!(matches!(limits.ask("ada", from(1), at(0)), Turn::ComeBack(_)));
        assert_eq!(limits.ask("ada", Some(own), at(0)), after(0));
        // Many who guess from many places wait, too.
        let limits = Limits::default();
        for n in 0..50 {
            assert_eq!(limits.ask("ada", from(n), at(0)), after(0), "{n}");
        }
        assert_eq!(limits.ask("ada", from(99), at(0)), after(2));
        limits.succeeded("ada", from(99));
        assert_eq!(limits.ask("ada", from(98), at(2)), after(2));
    }

    #[test]
    fn an_address_has_thirty_tries_whatever_the_names_and_then_as_many_again() {
        let limits = Limits::default();
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        for n in 0..30 {
            assert_eq!(limits.ask(&format!("n{n}"), Some(one), at(0)), after(0), "{n}");
        }
        let neighbour: IpAddr = "2001:db8::ffff".parse().unwrap();
        assert_eq!(limits.ask("a", Some(neighbour), at(0)), after(30));
        assert_eq!(limits.ask("b", Some(one), at(0)), after(60));
        assert_eq!(limits.ask("c", Some(one), at(0)), Turn::ComeBack(Duration::from_secs(20)));
        assert_eq!(limits.ask("c", Some("2001:db8:0:1::1".parse().unwrap()), at(0)), after(0));
        // A house in which all get in is not slowed down.
        let limits = Limits::default();
        let office: IpAddr = "192.0.2.1".parse().unwrap();
        for n in 0..100 {
            let name = format!("n{n}");
            assert_eq!(limits.ask(&name, Some(office), at(0)), after(0), "{n}");
            limits.succeeded(&name, Some(office));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let limits = Limits::default();
        for n in 0..REMEMBERED + 50 {
            limits.ask(&format!("n{n}"), None, at(i64::try_from(n).unwrap() / 1000));
        }
        assert!(limits.known.lock().unwrap().names.len() <= REMEMBERED);
    }
}
