//! Flows over HTTP and through the library, in one binary: it sees the crate as a stranger does.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::pedantic, clippy::type_complexity, reason = "a flow is read from top to bottom, and is no interface")]
#![allow(clippy::disallowed_methods, reason = "tests poll other processes, and look at files as a stranger does")]

mod anchors;
mod as_of;
mod cli;
mod compact;
mod crawl;
mod disk;
mod downloads;
mod events;
mod faults;
mod invariants;
mod keepers;
mod ledger;
mod live;
mod plan;
mod proof;
mod reading;
mod real;
mod reconcile;
mod reference;
mod relogin;
mod rooms;
mod roster;
mod rtm;
mod samples;
mod sandbox;
mod sandbox_replies;
mod sandbox_trouble;
mod schedules;
mod serve;
mod stub;
mod support;
mod talk;
mod tamper;
mod thirdparty;
