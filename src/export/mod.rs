//! Sets for other people: a scope, in one format, inside a bag with its proofs, its custody and an honest list
//! of what is not in it.
//!
//! One path for every format: what is asked ([`Request`]) decides what is in scope (`selection`); a count of
//! the records in scope is taken from the log (`census`); a stream of units goes through the conversations
//! (`walk`); a format writes them (`formats`) and says of each record what became of it (`accounts`); the
//! bag is closed over certificate, coverage, reconciliation, exceptions and proofs. Only records that a signed
//! checkpoint covers are in a set, whatever a crawl adds meanwhile. A single page that proves itself (`exhibit`)
//! shares the checkers with them.

mod accounts;
mod bag;
mod census;
mod certificate;
mod error;
mod exhibit;
mod facts;
mod formats;
mod journal;
mod markup;
mod names;
mod out;
mod paths;
mod proofs;
mod reach;
mod reconciliation;
mod request;
mod run;
mod scan;
mod selection;
mod supplied;
mod table;
mod unit;
mod walk;
mod withhold;

pub use bag::{file_digest, read_from_zip};
pub use error::Error;
pub use exhibit::{Sheet, sheet};
pub use formats::FormatName;
pub use request::{Bates, CustodianRole, DateForm, Hiding, Request, Versions, Withheld, parse_size};
pub use run::{CHECKER, CHECKER_PAGE, Handed, Progress, Report, Sources, handed_out, run};
pub use supplied::{NativeSet, Supplied};
pub use withhold::read_list;
