//! The program as people and scripts run it: the real binary beside a sandbox, judged by its exit
//! codes and by what it prints, with the contract as the only source of what is right.

mod anchors;
mod compact;
mod coverage;
mod demo;
pub(crate) mod described;
mod ending;
mod factor;
mod first_run;
pub(crate) mod flows;
mod golden;
pub(crate) mod harness;
mod keys;
mod kill;
pub(crate) mod living;
mod refusals;
mod relogin;
mod road;
mod secrets;
pub(crate) mod small_disk;
pub(crate) mod tls;
mod tokens;
mod watch;
mod weight;
