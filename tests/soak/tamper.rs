//! The long form of the sweep: every byte of every cell and file, and bytes all over the database.

#[path = "../it/tamper/base.rs"]
mod base;
#[path = "../it/tamper/files.rs"]
mod files;
#[path = "../it/tamper/pages.rs"]
mod pages;
#[path = "../it/tamper/sweep.rs"]
mod sweep;

use sweep::Depth;

#[test]
fn every_byte_of_every_cell_that_is_changed_is_found_and_named() {
    sweep::every_cell_and_row(Depth::EveryByte);
}

#[test]
fn bytes_changed_all_over_the_database_are_found_or_are_nothing_that_is_archived() {
    pages::every_page(Depth::EveryByte);
}

#[test]
fn every_byte_of_every_file_that_is_changed_is_found_and_named() {
    files::every_file(Depth::EveryByte);
}
