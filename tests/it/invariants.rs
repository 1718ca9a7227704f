//! What the crawl promises whatever happens, each promise held against the sandbox's own truth.

mod accounts;
