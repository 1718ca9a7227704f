//! A simulated `TeamChat` server: a model of a workspace, not canned replies.

pub mod seed;
