//! A simulated `TeamChat` server: a model of a workspace, not canned replies.

mod dice;
pub mod generate;
pub mod seed;
pub mod story;
