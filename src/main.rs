//! The binary: everything is in the library's `cli`, so that tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    teamchat_archive::cli::main()
}
