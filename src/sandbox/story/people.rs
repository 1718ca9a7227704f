//! Who works at Orlava Cranes, and where they talk.
//!
//! Orlava Cranes builds ship-to-shore cranes: design and assembly in Prague, service in Beirut,
//! components and quality in Osaka. Everybody and everything here is invented.

use super::script;
use crate::sandbox::seed::{SeedChannel, SeedUser};

/// The mail domain of the company.
pub(super) const DOMAIN: &str = "orlava.example";

/// The compliance officer, whose account the archive uses.
pub(super) const ACCOUNT: &str = "klara.zemanova@orlava.example";

/// What a person is on the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Staff,
    Admin,
    Guest,
    Bot,
}

/// Short name, mail address, display name, kind, time zone.
const PEOPLE: &[(&str, &str, &str, Kind, &str)] = &[
    ("hana", "hana.vesela@orlava.example", "Hana Veselá", Kind::Admin, "Europe/Prague"),
    ("petr", "petr.malek@orlava.example", "Petr Málek", Kind::Staff, "Europe/Prague"),
    ("jana", "jana.rihova@orlava.example", "Jana Říhová", Kind::Staff, "Europe/Prague"),
    ("klara", ACCOUNT, "Klára Zemanová", Kind::Staff, "Europe/Prague"),
    ("tomas", "tomas.dusek@orlava.example", "Tomáš Dušek", Kind::Staff, "Europe/Prague"),
    ("lenka", "lenka.horka@orlava.example", "Lenka Horká", Kind::Staff, "Europe/Prague"),
    ("ondrej", "ondrej.kubat@orlava.example", "Ondřej Kubát", Kind::Admin, "Europe/Prague"),
    ("viktor", "viktor.sokol@orlava.example", "Viktor Sokol", Kind::Staff, "Europe/Prague"),
    ("priya", "priya.nair@orlava.example", "Priya Nair", Kind::Staff, "Europe/Prague"),
    ("noa", "noa.barak@orlava.example", "Noa Barak", Kind::Staff, "Europe/Prague"),
    ("sara", "sara.nasser@orlava.example", "Sara Nasser", Kind::Staff, "Asia/Beirut"),
    ("omar", "omar.khalil@orlava.example", "Omar Khalil", Kind::Staff, "Asia/Beirut"),
    ("kenji", "kenji.mori@orlava.example", "森 健司 (Kenji Mori)", Kind::Staff, "Asia/Tokyo"),
    ("yuki", "yuki.tanabe@orlava.example", "Yuki Tanabe", Kind::Staff, "Asia/Tokyo"),
    ("mei", "mei.lin@orlava.example", "林梅 (Mei Lin)", Kind::Staff, "Asia/Tokyo"),
    ("anong", "anong.srisai@orlava.example", "Anong Srisai", Kind::Staff, "Asia/Tokyo"),
    ("katrin", "k.vogel@vogel-getriebe.example", "Katrin Vogel", Kind::Guest, "Europe/Berlin"),
    ("camille", "c.roux@port-saint-aubin.example", "Camille Roux", Kind::Guest, "Europe/Paris"),
    ("dockhand", "dockhand@orlava.example", "Dockhand", Kind::Bot, "UTC"),
];

/// The staff, for channels that everybody is in.
const STAFF: &str = "hana petr jana klara tomas lenka ondrej viktor priya noa sara omar kenji yuki mei anong";

/// The staff and both guests.
const EVERYBODY: &str =
    "hana petr jana klara tomas lenka ondrej viktor priya noa sara omar kenji yuki mei anong katrin camille";

/// A row of the table of channels: key, name, topic, purpose, creation, owner, members.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

/// The channels. Owners are group accounts, as the server has them.
#[rustfmt::skip]
const CHANNELS: &[Row] = &[
    ("general", "general", "Office closed 6 July (CZ)", "News for all three offices", "01-01 07:00", "public-folders", STAFF),
    ("project", "project-aubin", "Two STS cranes for Port Saint-Aubin, contract OR-2026-014", "Everything about order OR-2026-014", "01-05 08:10", "aubin-group", "hana petr jana klara tomas lenka viktor priya noa sara omar kenji yuki mei camille katrin"),
    ("legal", "legal", "HOLD LH-2026-02 in force: delete nothing about Saint-Aubin", "Contracts, claims, compliance", "01-05 09:00", "legal-group", "hana jana klara viktor priya petr lenka ondrej"),
    ("purchasing", "purchasing", "Plate, gearboxes, ropes, sensors", "Suppliers, quotes, prices", "01-02 08:00", "public-folders", "lenka mei klara priya petr viktor kenji katrin tomas noa yuki omar hana"),
    ("engineering", "engineering", "Boom 41 m: release C is the valid one", "Steel, drives, software", "01-02 08:05", "public-folders", "tomas noa petr yuki klara omar ondrej kenji anong sara hana jana lenka katrin"),
    ("panel", "panel-texts", "Ten languages, one small screen", "Texts of the operator panel", "01-12 09:00", "public-folders", "noa sara omar kenji yuki mei anong priya klara katrin camille lenka"),
    ("random", "random", "No cranes here", "Food, football, cats", "01-01 07:05", "public-folders", EVERYBODY),
    ("standup", "standup", "Mondays and Thursdays, three lines at most", "Who does what this week", "01-02 08:10", "public-folders", "tomas noa petr lenka yuki omar klara hana"),
    ("builds", "builds", "", "What the build machine has to say", "01-02 08:15", "public-folders", "noa ondrej tomas klara dockhand"),
    ("shifts", "shift-reports", "Hall 3", "One report a shift", "01-02 08:20", "public-folders", "petr tomas omar anong klara hana dockhand"),
    ("weather", "harbour-weather", "No lifts above 20 m/s", "Wind and sea at Saint-Aubin", "01-02 08:25", "public-folders", "omar petr sara klara dockhand"),
    ("fair", "trade-fair-osaka", "Hall C, stand 14", "Kansai Port Expo 2026", "01-08 03:00", "public-folders", "kenji yuki mei viktor hana klara anong"),
];

/// Direct conversations: key, creation, the two people.
const CONVERSATIONS: &[(&str, &str, &str)] = &[
    ("im-klara-jana", "01-13 08:00", "klara jana"),
    ("im-klara-hana", "02-03 09:00", "klara hana"),
    ("im-klara-viktor", "03-19 13:00", "klara viktor"),
    ("im-klara-ondrej", "01-20 10:00", "klara ondrej"),
    ("im-viktor-lenka", "02-24 15:00", "viktor lenka"),
    ("im-petr-sara", "01-15 07:30", "petr sara"),
    ("im-kenji-mei", "01-21 01:00", "kenji mei"),
];

/// The mail address behind a short name.
pub(super) fn email(short: &str) -> Option<&'static str> {
    PEOPLE.iter().find(|person| person.0 == short).map(|person| person.1)
}

/// The mail addresses behind short names parted by blanks; unknown names are left out.
fn emails(shorts: &str) -> Vec<String> {
    shorts.split(' ').filter_map(email).map(str::to_owned).collect()
}

/// Everybody, in the order of the table.
pub(super) fn users() -> Vec<SeedUser> {
    PEOPLE
        .iter()
        .map(|&(short, email, real_name, kind, tz)| SeedUser {
            email: email.to_owned(),
            name: short.to_owned(),
            real_name: real_name.to_owned(),
            is_bot: kind == Kind::Bot,
            is_admin: kind == Kind::Admin,
            is_restricted: kind == Kind::Guest,
            deleted: false,
            tz: tz.to_owned(),
            ..SeedUser::default()
        })
        .collect()
}

/// Channels first, then direct conversations.
pub(super) fn channels() -> Vec<SeedChannel> {
    let rooms = CHANNELS.iter().map(|&(key, name, topic, purpose, created, owner, members)| SeedChannel {
        key: key.to_owned(),
        name: name.to_owned(),
        topic: topic.to_owned(),
        purpose: purpose.to_owned(),
        created: script::moment_of(created).unwrap_or_default(),
        creator: format!("{owner}@{DOMAIN}"),
        members: emails(members),
        is_archived: key == "fair",
        ..SeedChannel::default()
    });
    let conversations = CONVERSATIONS.iter().map(|&(key, created, members)| SeedChannel {
        key: key.to_owned(),
        created: script::moment_of(created).unwrap_or_default(),
        members: emails(members),
        is_im: true,
        ..SeedChannel::default()
    });
    rooms.chain(conversations).collect()
}
