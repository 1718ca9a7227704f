//! teamchat-archive

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod crawl;
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
