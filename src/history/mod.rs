//! The fold over records: what a subject was, version by version, and what stood in a channel.
//!
//! Nothing here keeps state; every answer is read from the store again. What a later record says
//! never replaces an earlier one: a subject is the list of its versions.

mod as_of;
mod coverage;
mod item;
mod lacking;
mod members;
mod names;
mod neighbours;
mod parts;
mod passed;
mod reach;
mod reference;
mod scoped;
mod timeline;

pub use as_of::{AsOf, ItemAt, item_at, versions_at};
pub use coverage::{
    ChannelCoverage, Coverage, Debt, Excluded, Expected, ExpectedLine, Gap, INVENTORY, Interval, Missing, Seen,
    coverage, expected,
};
pub use item::{Item, ItemState, Told, Version, item};
pub use lacking::{GapReason, Limit};
pub use members::Membership;
pub use names::{ChannelFacts, Directory, PersonFacts, PersonKind, directory, directory_at, display_name};
pub use parts::{answers, author, comment_id, file_ids, leave_out_others, names_others, without_others};
pub use passed::Passed;
pub use reach::{Reach, Stand};
pub use reference::{Reference, resolve};
pub use scoped::Scoped;
pub use timeline::{
    Known, Messages, count_between, known_between, messages_after, messages_before, messages_between, spoken_in,
};
