//! One file a command: its flags, its help, what it prints.

pub(super) mod account;
pub(super) mod compact;
pub(super) mod completions;
pub(super) mod config;
pub(super) mod coverage;
pub(super) mod crawl;
pub(super) mod demo;
pub(super) mod doctor;
pub(super) mod export;
pub(super) mod extract_worker;
pub(super) mod index;
pub(super) mod init;
pub(super) mod key;
pub(super) mod login;
pub(super) mod man;
pub(super) mod recognize_worker;
pub(super) mod sandbox;
pub(super) mod search;
pub(super) mod serve;
pub(super) mod show;
pub(super) mod status;
mod term_report;
pub(super) mod token;
pub(super) mod user;
pub(super) mod verifier;
pub(super) mod verify;
pub(super) mod watch;
