//! One file a page. A page is a struct with everything its template needs.

pub(super) mod access;
mod captured;
pub(super) mod channels;
pub(super) mod coverage;
pub(super) mod crawl;
pub(super) mod day;
pub(super) mod exhibits;
pub(super) mod exports;
pub(super) mod factor;
pub(super) mod files;
mod grants;
pub(super) mod health;
mod heat;
mod lacking;
pub(super) mod look;
mod matches;
mod months;
pub(super) mod out;
pub(super) mod overview;
mod pair;
pub(super) mod people;
pub(super) mod person;
mod provenance;
pub(super) mod record;
pub(super) mod saved;
pub(super) mod search;
pub(super) mod sessions;
pub(super) mod setup;
pub(super) mod timeline;
pub(super) mod tokens;
mod transcript;
pub(super) mod users;
pub(super) mod verify;
pub(super) mod version;
mod view;
mod way;

use super::assets;
use super::desk::{Desk, ZONE};
use super::rights::Need;
use super::visits::ENTRY;
use super::words::Words;

/// Zones that are offered by name; any other may be typed.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/London",
    "Europe/Prague",
    "Europe/Athens",
    "Africa/Cairo",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Tokyo",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
];

/// A place of the navigation.
pub(super) struct Place {
    pub(super) href: &'static str,
    pub(super) name: String,
    pub(super) is_here: bool,
}

/// What every page has around it.
pub(super) struct Shell {
    pub(super) w: &'static Words,
    pub(super) title: String,
    pub(super) css: String,
    pub(super) icons: String,
    pub(super) script: String,
    /// Single keys do what links do.
    pub(super) keys: bool,
    pub(super) user: String,
    pub(super) role: &'static str,
    /// `light`, `dark`, or nothing: as the system is.
    pub(super) theme: &'static str,
    pub(super) places: Vec<Place>,
    pub(super) archive: String,
    pub(super) server: String,
    pub(super) zone: &'static str,
    pub(super) zones: [&'static str; 12],
    pub(super) checkpoint: String,
    /// Where to come back to.
    pub(super) back: String,
    /// The address that shows the same to whoever may see it, in this zone.
    pub(super) permalink: String,
    /// The same in UTC, or back in the zone of the reader, with its name; nothing when these are one.
    pub(super) other_zone: Option<(String, String)>,
    /// Stands for the number of this view in the access log, which is not known yet.
    pub(super) entry: &'static str,
}

impl Shell {
    /// Around a page of that section of the navigation.
    pub(super) fn new(desk: &Desk, section: &'static str, title: impl Into<String>) -> Self {
        let w = desk.w;
        let row = desk.web().about();
        let checkpoint = match desk.web().checkpoint() {
            Ok(Some((checkpoint, at))) => {
                let at = view::Moment::parse(&at, desk.zone).full;
                w.with_two("checkpoint-of", super::words::grouped(checkpoint.size), at)
            }
            Ok(None) => w.say("checkpoint-none"),
            Err(error) => error.to_string(),
        };
        let places = [
            ("search", "/search", Need::Contents, w.say("nav-search")),
            ("channels", "/c", Need::Contents, w.say("nav-channels")),
            ("people", "/people", Need::Contents, w.say("nav-people")),
            ("files", "/f", Need::Contents, w.say("nav-files")),
            ("exhibits", "/exhibits", Need::Contents, w.say("nav-exhibits")),
            ("exports", "/exports", Need::Export, w.say("nav-exports")),
            ("coverage", "/crawl/coverage", Need::Coverage, w.say("coverage")),
            ("verify", "/verify", Need::Verification, w.say("nav-verify")),
            ("access", "/access", Need::AccessLog, w.say("access")),
            ("users", "/admin/users", Need::Accounts, w.say("nav-users")),
        ];
        // What a reader may not open is not offered.
        let places = places.into_iter().filter(|(_, _, need, _)| desk.viewer.may(*need));
        let places = places.map(|(name, href, _, shown)| Place { href, name: shown, is_here: name == section });
        Self {
            w,
            title: title.into(),
            css: assets::css_url(),
            icons: assets::icons_url(),
            script: assets::script_url(),
            keys: desk.keys,
            user: desk.viewer.name.clone(),
            role: desk.viewer.role.as_str(),
            theme: desk.theme,
            places: places.collect(),
            archive: row.id.to_string()[..8].to_owned(),
            server: row.server.clone(),
            zone: desk.zone.name(),
            zones: ZONES,
            checkpoint,
            back: desk.asked.clone(),
            permalink: permalink(&desk.asked, desk.zone.name()),
            other_zone: other_zone(&desk.asked, desk.zone.name()).map(|href| {
                if has_zone(&desk.asked) { (href, w.say("foot-own-zone")) } else { (href, w.say("foot-utc")) }
            }),
            entry: ENTRY.as_str(),
        }
    }
}

fn has_zone(asked: &str) -> bool {
    asked.split_once('?').is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with("tz=")))
}

fn other_zone(asked: &str, zone: &str) -> Option<String> {
    match (has_zone(asked), zone) {
        (true, _) => Some(look::without_zone(asked)),
        (false, "UTC") => None,
        (false, _) => Some(permalink(asked, "UTC")),
    }
}

/// An address with the zone in it.
fn permalink(asked: &str, zone: &str) -> String {
    if has_zone(asked) {
        return asked.to_owned();
    }
    let sign = if asked.contains('?') { '&' } else { '?' };
    format!("{asked}{sign}{ZONE}={}", super::markup::encode(zone))
}
