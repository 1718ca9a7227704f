//! Flows over HTTP and through the library.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod sandbox;
