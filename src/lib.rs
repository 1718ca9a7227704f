//! teamchat-archive
pub mod api;
pub mod config;
pub mod crawl;
pub mod history;
pub mod ledger;
pub mod model;
pub mod record;
pub mod sandbox;
pub mod store;
