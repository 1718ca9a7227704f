//! Placeholder: the built-in story is written elsewhere.

use super::seed::{Seed, SeedChannel, SeedUser};

/// The built-in workspace.
pub fn seed() -> Seed {
    Seed {
        domain: "harbour.example".to_owned(),
        account: "archive@harbour.example".to_owned(),
        users: vec![SeedUser {
            email: "archive@harbour.example".to_owned(),
            name: "archive".to_owned(),
            real_name: "Archive".to_owned(),
            ..SeedUser::default()
        }],
        channels: vec![SeedChannel {
            key: "general".to_owned(),
            name: "general".to_owned(),
            created: 1_700_000_000,
            members: vec!["archive@harbour.example".to_owned()],
            ..SeedChannel::default()
        }],
        ..Seed::default()
    }
}
