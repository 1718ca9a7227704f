//! teamchat-archive
pub mod api;
pub mod ledger;
pub mod model;
pub mod record;
pub mod sandbox;
pub mod store;
