//! teamchat-archive
pub mod sandbox;
