//! Flows over HTTP and through the library, in one binary: it sees the crate as a stranger does.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::pedantic, clippy::type_complexity, reason = "a flow is read from top to bottom, and is no interface")]
#![allow(clippy::disallowed_methods, reason = "tests poll other processes, and look at files as a stranger does")]

mod anchors;
mod archive_of_archive;
mod as_of;
mod attachments;
mod cli;
mod compact;
mod crawl;
mod disk;
mod downloads;
mod events;
mod exports;
mod extract;
mod faults;
mod invariants;
mod keepers;
mod languages;
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
mod search_paging;
mod search_replies;
mod search_traps;
mod search_truth;
mod serve;
mod served;
mod stub;
mod support;
mod talk;
mod tamper;
mod thirdparty;
