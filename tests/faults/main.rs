//! What a process that dies leaves behind, at every moment at which that matters, and what the next
//! one makes of it. Only with the feature `failpoints`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::pedantic, clippy::type_complexity, reason = "a flow is read from top to bottom, and is no interface")]
#![allow(clippy::disallowed_methods, reason = "tests look at files as a stranger does")]

mod compaction;
mod content;
mod deaths;
mod exporting;
#[path = "../it/cli/flows.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod flows;
#[path = "../it/cli/harness.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod harness;
mod indexing;
mod init;
mod strace;
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
#[path = "../it/support.rs"]
mod support;
