//! Flows over HTTP and through the library, in one binary: it sees the crate as a stranger does.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod crawl;
mod faults;
mod reference;
mod rooms;
mod samples;
mod sandbox;
mod sandbox_replies;
mod stub;
mod support;
mod talk;
mod thirdparty;
