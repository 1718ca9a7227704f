//! One binary of integration tests: they see the crate as a stranger does.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod reference;
mod sandbox_replies;
mod talk;
mod thirdparty;
