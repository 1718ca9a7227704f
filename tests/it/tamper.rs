//! An attacker who can write every file of an archive, and what `verify` makes of it.
//!
//! What is outside, and why, is said beside `verify` itself (`src/verify/mod.rs`); the lists of
//! [`sweep`] and [`pages`] hold it to that.

mod base;
mod files;
mod forger;
mod live;
mod pages;
mod sweep;
mod wal;

use sweep::Depth;

#[test]
fn a_changed_cell_a_moved_row_and_a_missing_one_are_each_found_and_named() {
    sweep::every_cell_and_row(Depth::OneFlip);
}

#[test]
fn a_byte_changed_in_any_page_is_found_or_is_nothing_that_is_archived() {
    pages::every_page(Depth::OneFlip);
}

#[test]
fn a_changed_file_of_the_archive_or_of_its_keys_is_found_and_named() {
    files::every_file(Depth::OneFlip);
}
