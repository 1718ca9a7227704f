//! The words of the interface that are not in a template, in one place.

pub(super) const NOT_FOUND: &str = "Not found";
pub(super) const NOT_FOUND_DETAIL: &str = "There is no such page, or it is not among what you may see.";
pub(super) const NO_PROOF: &str = "No proof yet";
pub(super) const NO_PROOF_DETAIL: &str = "The next crawl signs a checkpoint that covers it";
pub(super) const BAD_REQUEST: &str = "This could not be read";
pub(super) const INTERNAL: &str = "The archive could not be read";
pub(super) const INTERNAL_DETAIL: &str =
    "The page could not be made. The operator's log says why; `teamchat-archive verify` checks the archive.";
pub(super) const UNLOGGED: &str = "Nothing can be shown now";
pub(super) const UNLOGGED_DETAIL: &str =
    "What is shown is noted in the access log first, and the log can't be written. The operator's log says why.";
pub(super) const SIGN_IN_REFUSED: &str = "Name or password is not right.";
pub(super) const GONE_BY_WHOM: &str = "who removed it: not given by the server";
