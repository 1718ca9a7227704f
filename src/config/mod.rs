//! Settings: `archive.toml`, then the environment, then flags, merged once. The only reader of the
//! environment.
//!
//! Nothing here is a secret. Unknown keys are errors that name them; each setting `section.key`
//! has the environment form `TEAMCHAT_ARCHIVE_SECTION__KEY`.

mod web;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

pub use web::WebSection;

use crate::model::{Digest, Zone, parse_duration};

/// The prefix of our variables.
const PREFIX: &str = "TEAMCHAT_ARCHIVE_";

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It does not parse, or names something unknown.
    #[error("{origin}: {detail}")]
    Malformed {
        /// The file, or the variable.
        origin: String,
        /// What is wrong, with its place.
        detail: String,
    },
}

/// `archive.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where keys and tokens lie; see [`Environment::keys_folder`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_dir: Option<PathBuf>,
    /// The zone in which days begin: an IANA name.
    pub timezone: String,
    /// The server that is archived.
    pub server: ServerSection,
    /// How hard it may be asked, and how much is taken.
    pub limits: LimitsSection,
    /// The web interface.
    pub web: WebSection,
    /// What should be there.
    pub coverage: CoverageSection,
    /// How the text of files is read.
    pub extract: ExtractSection,
    /// Where checkpoints go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub anchor: Vec<Anchor>,
    /// What is never fetched, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Exclude>,
}

/// `[server]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    /// Base URL of the API.
    pub url: String,
    /// `sha256:` and the hexadecimal SHA-256 of its public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// A PEM file of certificates to trust besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// `http://host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Requests a second; 0 is without limit.
    pub requests_per_second: f64,
    /// Requests under way at once.
    pub connections: usize,
    /// Larger files are not fetched, and are owed.
    pub max_file_bytes: u64,
    /// Per cent of the disk that file contents leave free for texts; 0 is nothing.
    pub disk_reserve_percent: u8,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self { requests_per_second: 10.0, connections: 4, max_file_bytes: 4 << 30, disk_reserve_percent: 5 }
    }
}

/// `[extract]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtractSection {
    /// Whether the text of files is read at all.
    pub enabled: bool,
    /// Whether pictures and scanned pages are read by tesseract, when it is there.
    pub recognize: bool,
    /// The program: a path, or a name that is looked for on the usual path.
    pub tesseract: PathBuf,
    /// Seconds for one file.
    pub seconds: u64,
}

impl Default for ExtractSection {
    fn default() -> Self {
        Self { enabled: true, recognize: true, tesseract: PathBuf::from("tesseract"), seconds: 60 }
    }
}

/// `[coverage]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoverageSection {
    /// An inventory of accounts and rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<PathBuf>,
}

/// `[[anchor]]`: a keeper of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// What it is.
    pub kind: AnchorKind,
    /// What people call it, and what its answers are kept under: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// A folder's place, from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A witness's submission prefix; where a time-stamping authority takes requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The key that a witness signs with, as a `vkey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The least time between two checkpoints that it is given: `1d`. Each one, unless it is a
    /// time-stamping authority, which is asked once a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// `http://host:port` of a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// The kinds of keepers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnchorKind {
    /// A second folder.
    Folder,
    /// A C2SP witness.
    Witness,
    /// An RFC 3161 time-stamping authority.
    Timestamp,
}

impl Anchor {
    /// The least time between two checkpoints that it is given.
    pub fn every(&self) -> Duration {
        let usual = if self.kind == AnchorKind::Timestamp { Duration::from_hours(24) } else { Duration::ZERO };
        self.every.as_deref().map_or(Some(usual), parse_duration).unwrap_or(usual)
    }

    fn check(&self) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.name.is_empty() || !self.name.chars().all(is_name) {
            return Err(format!("anchor.name: `{}` is not letters, digits, `.`, `_` and `-`", self.name));
        }
        let wrong = |key: &str, detail: &str| Err(format!("anchor `{}`, {key}: {detail}", self.name));
        if self.every.as_deref().is_some_and(|text| parse_duration(text).is_none()) {
            return wrong("every", "a time looks like 90s, 30m, 2h or 1d");
        }
        let is_folder = self.kind == AnchorKind::Folder;
        match (&self.path, is_folder) {
            (None, true) => return wrong("path", "a folder needs one"),
            (Some(path), true) if !path.is_absolute() => {
                return wrong("path", "it begins at the root, such as /mnt/keeper/chat");
            }
            (Some(_), false) => return wrong("path", "only a folder has one"),
            (Some(_), true) | (None, false) => {}
        }
        match (&self.url, is_folder) {
            (None, false) => return wrong("url", "it needs one"),
            (Some(_), true) => return wrong("url", "a folder has none"),
            (Some(url), false) => {
                if let Err(detail) = parse_address(url) {
                    return wrong("url", detail);
                }
            }
            (None, true) => {}
        }
        match (&self.key, self.kind) {
            (None, AnchorKind::Witness) => {
                wrong("key", "a witness needs the key that it signs with, as its operator gives it")
            }
            (Some(_), AnchorKind::Folder | AnchorKind::Timestamp) => wrong("key", "only a witness has one"),
            _ => match &self.proxy {
                Some(_) if is_folder => wrong("proxy", "a folder has none"),
                Some(proxy) => parse_address(proxy).map_or_else(|detail| wrong("proxy", detail), |_| Ok(())),
                None => Ok(()),
            },
        }
    }
}

/// An address of a keeper. It holds no name or password: settings hold no secrets.
pub fn parse_address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is no URL such as https://witness.example.com/")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it is no URL such as https://witness.example.com/");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no name or password in it: archive.toml holds no secrets");
    }
    if url.fragment().is_some() {
        return Err("it ends before the `#`");
    }
    Ok(url)
}

/// `[[exclude]]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exclude {
    /// A channel's id or name; `*` stands for any text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// A person's id: direct conversations with them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub by: String,
    /// Since when.
    pub since: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keys_dir: None,
            timezone: "UTC".to_owned(),
            server: ServerSection::default(),
            limits: LimitsSection::default(),
            web: WebSection::default(),
            coverage: CoverageSection::default(),
            extract: ExtractSection::default(),
            anchor: Vec::new(),
            exclude: Vec::new(),
        }
    }
}

/// The variables of the environment that are ours, read once at the start.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `TEAMCHAT_ARCHIVE_…` without the prefix.
    ours: BTreeMap<String, String>,
    home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    /// Where systemd puts credentials.
    pub credentials: Option<PathBuf>,
    /// Where a supervisor listens (`sd_notify(3)`).
    pub notify_socket: Option<OsString>,
    /// How often it wants to hear from this process.
    pub watchdog: Option<Duration>,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let ours = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?.strip_prefix(PREFIX)?.to_owned(), value.into_string().ok()?))
            })
            .collect();
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // It may have been meant for another process that handed its environment on.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        Self {
            ours,
            home: path("HOME"),
            config_home: path("XDG_CONFIG_HOME"),
            credentials: path("CREDENTIALS_DIRECTORY"),
            notify_socket: path("NOTIFY_SOCKET").map(PathBuf::into_os_string),
            watchdog: number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0).map(Duration::from_micros),
        }
    }

    /// The same without anybody's settings and credentials: for what must not touch them.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self { home: self.home.clone(), config_home: self.config_home.clone(), ..Self::default() }
    }

    /// Where the keys of an archive lie, unless its settings say otherwise.
    pub fn keys_folder(&self, config: &Config, archive_id: &str) -> PathBuf {
        if let Some(folder) = &config.keys_dir {
            return folder.clone();
        }
        let base = self
            .config_home
            .clone()
            .or_else(|| self.home.as_ref().map(|home| home.join(".config")))
            .unwrap_or_else(|| PathBuf::from("."));
        base.join("teamchat-archive").join(archive_id)
    }

    /// Settings named in the environment, as a table like the file's.
    fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        for (name, text) in &self.ours {
            // `TEAMCHAT_ARCHIVE_KEYS_DIR` and `…_TIMEZONE` are settings without a section; other
            // names without `__` belong to flags and to the tests.
            let parts: Vec<String> = name.to_ascii_lowercase().split("__").map(str::to_owned).collect();
            let is_setting = parts.len() == 2 || matches!(parts[0].as_str(), "keys_dir" | "timezone");
            if !is_setting {
                continue;
            }
            let value = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut parsed| parsed.remove("v"));
            let value = value.filter(|value| !value.is_datetime()).unwrap_or_else(|| toml::Value::String(text.clone()));
            match parts.as_slice() {
                [key] => drop(table.insert(key.clone(), value)),
                [section, key, ..] => {
                    let section =
                        table.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
                    if let Some(section) = section.as_table_mut() {
                        section.insert(key.clone(), value);
                    }
                }
                [] => {}
            }
        }
        table
    }
}

impl Config {
    /// Reads the file at `path` and puts the environment over it.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let text = fs_err::read_to_string(path)?;
        Self::parse(&text, &path.display().to_string(), environment)
    }

    /// Settings from a text; `origin` is named in errors.
    pub fn parse(text: &str, origin: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let malformed = |origin: &str, detail: String| ConfigError::Malformed {
            origin: origin.to_owned(),
            detail: detail.trim_end().to_owned(),
        };
        // The file alone first, so that an error has its line.
        let _checked: Self = toml::from_str(text).map_err(|error| malformed(origin, error.to_string()))?;
        let mut table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| malformed(origin, error.to_string()))?;
        for (key, value) in environment.table() {
            match (table.get_mut(&key), value) {
                (Some(toml::Value::Table(known)), toml::Value::Table(over)) => known.extend(over),
                (_, value) => drop(table.insert(key, value)),
            }
        }
        let config: Self =
            table.try_into().map_err(|error: toml::de::Error| malformed("the environment", error.to_string()))?;
        config.check().map_err(|detail| malformed(origin, detail))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if Zone::parse(&self.timezone).is_none() {
            return Err(format!("timezone: `{}` is no zone; it looks like Europe/Prague", self.timezone));
        }
        if let Some(pin) = &self.server.pin {
            parse_pin(pin).ok_or_else(|| format!("server.pin: `{pin}` is not sha256: and 64 hexadecimal digits"))?;
        }
        if !(self.limits.requests_per_second >= 0.0 && self.limits.requests_per_second.is_finite()) {
            return Err("limits.requests_per_second: a number of 0 or more; 0 is without limit".to_owned());
        }
        self.web.check()?;
        let mut names: Vec<&str> = Vec::new();
        for anchor in &self.anchor {
            anchor.check()?;
            if names.contains(&anchor.name.as_str()) {
                return Err(format!("anchor.name: two are called `{}`", anchor.name));
            }
            names.push(&anchor.name);
        }
        if self.limits.disk_reserve_percent > 100 {
            return Err("limits.disk_reserve_percent: a number from 0 to 100; 0 keeps nothing back".to_owned());
        }
        Ok(())
    }

    /// The zone in which days begin.
    pub fn zone(&self) -> Zone {
        Zone::parse(&self.timezone).unwrap_or(Zone::UTC)
    }

    /// The text of the file.
    pub fn to_text(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(self)
            .map_err(|error| ConfigError::Malformed { origin: "archive.toml".to_owned(), detail: error.to_string() })
    }
}

/// A pinned public key: `sha256:` and 64 hexadecimal digits, colons between them allowed.
pub fn parse_pin(text: &str) -> Option<Digest> {
    text.strip_prefix("sha256:")?.replace(':', "").to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let ours = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Environment { ours, home: Some("/home/a".into()), ..Environment::default() }
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let text = "timezone = \"Europe/Prague\"\n[server]\nurl = \"https://h/\"\n[limits]\nconnections = 2\n";
        let config = Config::parse(
            text,
            "t",
            &environment(&[("LIMITS__REQUESTS_PER_SECOND", "2.5"), ("TIMEZONE", "UTC"), ("TEST_PYTHON", "x")]),
        )
        .unwrap();
        assert_eq!((config.limits.requests_per_second, config.limits.connections), (2.5, 2));
        assert_eq!(config.timezone, "UTC");
    }

    #[test]
    fn unknown_keys_are_named() {
        let error =
            Config::parse("[server]\nurll = \"x\"\n", "archive.toml", &environment(&[])).unwrap_err().to_string();
        assert!(error.contains("urll") && error.contains("archive.toml"), "{error}");
        let error = Config::parse("", "t", &environment(&[("SERVER__PINN", "x")])).unwrap_err().to_string();
        assert!(error.contains("pinn") && error.contains("environment"), "{error}");
        assert!(Config::parse("timezone = \"Mars\"", "t", &environment(&[])).is_err());
        assert!(Config::parse("[server]\npin = \"md5:1\"", "t", &environment(&[])).is_err());
        assert!(Config::parse("[limits]\ndisk_reserve_percent = 101", "t", &environment(&[])).is_err());
    }

    #[test]
    fn keepers_of_checkpoints_are_checked() {
        let parse = |text: &str| Config::parse(text, "t", &environment(&[]));
        let folder = "[[anchor]]\nkind = \"folder\"\nname = \"disk\"\npath = \"/mnt/keeper\"\n";
        let witness = "[[anchor]]\nkind = \"witness\"\nname = \"w\"\nurl = \"https://w.example/\"\nkey = \"w+1+AA\"\n";
        let stamps = "[[anchor]]\nkind = \"timestamp\"\nname = \"tsa\"\nurl = \"http://tsa.example/x?y=z\"\n";
        let all = parse(&[folder, witness, stamps].concat()).unwrap();
        let every: Vec<u64> = all.anchor.iter().map(|anchor| anchor.every().as_secs()).collect();
        assert_eq!(every, [0, 0, 86400]);
        assert_eq!(parse(&format!("{stamps}every = \"7d\"")).unwrap().anchor[0].every(), Duration::from_hours(7 * 24));
        assert_eq!(parse(&all.to_text().unwrap()).unwrap(), all);
        for (text, words) in [
            (folder.replace("folder", "usb"), "usb"),
            (folder.replace("disk", ""), "anchor.name"),
            (folder.replace("disk", "a disk"), "anchor.name"),
            (folder.replace("/mnt/keeper", "keeper"), "root"),
            (folder.replace("path = \"/mnt/keeper\"\n", ""), "path"),
            (format!("{folder}key = \"x\""), "key"),
            (format!("{folder}url = \"http://a/\""), "url"),
            (format!("{folder}secret = \"x\""), "secret"),
            (format!("{folder}{folder}"), "two are called `disk`"),
            (witness.replace("key = \"w+1+AA\"\n", ""), "key"),
            (witness.replace("https://w.example/", "w.example"), "url"),
            (witness.replace("https://w.", "https://me:secret@w."), "no secrets"),
            (format!("{witness}every = \"often\""), "every"),
            (format!("{witness}proxy = \"proxy:3128\""), "proxy"),
            (stamps.replace("url", "path"), "path"),
            (format!("{stamps}key = \"x\""), "key"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_file_reads_back_as_it_was_written() {
        let config = Config {
            server: ServerSection { url: "https://h/".to_owned(), ..ServerSection::default() },
            ..Config::default()
        };
        assert_eq!(Config::parse(&config.to_text().unwrap(), "t", &environment(&[])).unwrap(), config);
    }

    #[test]
    fn keys_lie_outside_the_archive() {
        assert_eq!(
            environment(&[]).keys_folder(&Config::default(), "ab12"),
            PathBuf::from("/home/a/.config/teamchat-archive/ab12")
        );
    }
}
