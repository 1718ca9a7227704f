//! The crawl: from a server's replies to records, completely, and without inventing anything.
//!
//! A pass reads who and what there is, walks each channel's history between a floor and a pin
//! fixed before the walk, then looks at files, comments, pins and reactions (protocol notes (b)).
//! What it writes goes through [`store::Appender`](crate::store::Appender) together with the state
//! that says how far it came, so that a pass cut off at any moment is taken up by the next one.
//!
//! A run (`run`) is one pass (`pass`) with each account in turn (`account`), through the rooms in this
//! order: `people` reads who and what there is; `walk`
//! goes through a channel page by page (`page`) and has `absence` look for what was missing;
//! `reconcile` holds it against its feed (`judge`); then `files`, as far as `disk` has room, `pins` and
//! `roster`; at last `audit` looks again at some older history. `plan` tells beforehand what all that
//! would ask.
//!
//! Between passes an account marked live is listened with (`live`): events are kept as they come,
//! what they show of messages too, and what they claim is looked at by a small pass (`touch`).
//!
//! It holds an [`api::Reader`](crate::api::Reader) and nothing else of the client, so it cannot
//! change anything on the server. A failure of the server is a finding, a debt or a gap, never a
//! deletion; a failure of the store ends the pass.

mod absence;
mod account;
mod audit;
mod disk;
mod files;
mod judge;
mod live;
mod odd;
mod page;
mod pass;
mod people;
mod pins;
mod plan;
mod reconcile;
mod roster;
mod run;
mod summary;
mod touch;
mod walk;

pub use live::{Heard, Hints, Listener, Notice, Wanted};
pub use pass::{Account, Options, Progress};
pub use plan::{Plan, plan};
pub use run::{Ended, run, run_to_end};
pub use summary::{Finding, ReconciledCounts, Reconciliation, Summary};
pub use touch::touch;

/// Why a pass ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive could not be read or written.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The server could not be used at all.
    #[error(transparent)]
    Server(#[from] crate::api::Error),
    /// A channel that was asked for is not among those the account sees.
    #[error("no account sees a channel {0}")]
    UnknownChannel(String),
    /// The token belongs to somebody else than the account it was stored for.
    #[error("the token of account {account} now belongs to {found}, not to {expected}")]
    OtherIdentity {
        /// The account's name here.
        account: String,
        /// Whose it was.
        expected: String,
        /// Whose it is.
        found: String,
    },
}
