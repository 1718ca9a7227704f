//! `teamchat-archive`: archives an `IceWarp TeamChat` server.
//!
//! ```text
//! bytes ─api─▶ Page ─crawl─▶ Record ─store─▶ Block + Tree ─┬─index──▶ tantivy ──▶ search
//!                                                          ├─history─▶ the state of anything at any time
//!                                                          ├─export─▶ a bag: files + proofs
//!                                                          ├─verify─▶ findings
//!                                                          └─web────▶ pages, TeamChat API
//! ```
//!
//! The archive is a log of immutable records, numbered by [`model::RecordSeq`]; the number is also
//! the leaf's index in the Merkle tree. Everything right of [`store`] can be deleted and rebuilt
//! from it; nothing left of it keeps state.
//!
//! # Where things live
//!
//! Bottom to top; a room imports only what the list says, and `tests/it/rooms.rs` fails when it
//! reaches further.
//!
//! | room | what it is for | may import |
//! |---|---|---|
//! | [`model`] | identifiers, times, digests, scopes; JSON as bytes | – |
//! | [`ledger`] | RFC 6962 hashing, proofs, salted commitments, signed notes, checkpoints; pure | model |
//! | [`record`] | what is on disk: headers, blocks, the change digest, what is taken out before hashing; pure | ledger, model |
//! | [`query`] | the query language; pure | model |
//! | [`config`] | file, environment and flags; the only reader of the environment | model |
//! | [`api`] | the TeamChat client; `Reader` cannot write | model |
//! | [`store`] | SQLite, blocks, tree, blobs, crawl state, accounts, keys; the only SQL | record, ledger, model |
//! | [`anchor`] | where checkpoints go: a second folder, a witness, a time-stamping authority | ledger, store, model |
//! | [`history`] | the fold over records: items, versions, timelines, names | store, record, model |
//! | [`crawl`] | from a server's replies to records | api, history, store, record, model |
//! | [`extract`] | text out of files, in confined children | model |
//! | [`index`] | documents, indexer, searcher, what they found | history, store, query, record, model |
//! | [`verify`] | what is stored, held against ledger, checkpoints and itself | index, history, anchor, store, record, ledger, model |
//! | [`export`] | sets for other people: scope, formats, bag, proofs | index, history, store, query, record, ledger, model |
//! | [`web`] | pages and the read-only API | verify, index, history, store, query, record, ledger, model |
//! | [`sandbox`] | a simulated server for tests and the demo; shares no wire types with api | model |
//! | [`app`] | opens the parts together | all of these |
//! | [`cli`] | one file a command; the only printer | all of these |
//!
//! # What holds everywhere
//!
//! - A record's body is what the server sent, but for the values of tickets in the URL fields of
//!   file objects, which [`record::redact`] replaces and the header counts.
//! - Records, tree and crawl state change in one transaction ([`store::Writer::append`]); a cursor
//!   never points past stored data. Recovery is the ordinary pass run again.
//! - An edit, a deletion, a lost channel is a new record. A pass that changes nothing adds none. No
//!   code removes a record.
//! - A deletion needs two witnesses; an error, a time-out or a lost membership is none.
//! - No reply of a server stops the capture of what comes after it.
//! - The index holds nothing that cannot be rebuilt; its commit says how many records it has reached.
//!
//! # Three walks through the house
//!
//! **A message is archived.** `api::Reader::channels_history` reads a page and cuts it into items
//! at byte level. `crawl::walk` compares each with what `history::known_between` knows, makes
//! records of what is new or different, and sends them with the cursor to `store::Appender`. The
//! writer numbers them, computes their leaves, writes blocks, nodes and tables, and commits once.
//!
//! **A message is found.** `index::Indexer` reads records in order and writes a document for each
//! reading. `query::parse` makes a tree of what was typed, `index::Searcher` runs it inside a
//! `model::Scope`, and each hit is a record number that `history` turns into an item with all its
//! versions.
//!
//! **A message is proved.** `store::Reader::inclusion` computes the audit path from stored nodes and
//! the leaves of one span; with the leaf entry and the signed checkpoint it is a tlog-proof file that
//! needs nothing of ours to be checked.

pub mod anchor;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod crawl;
pub mod export;
pub mod extract;
pub mod history;
pub mod index;
pub mod ledger;
pub mod model;
pub mod query;
pub mod record;
pub mod sandbox;
pub mod store;
pub mod verify;
pub mod web;
