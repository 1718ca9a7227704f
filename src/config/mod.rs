//! Settings: `archive.toml`, then the environment, then flags, merged once. The only reader of the
//! environment.
//!
//! Nothing here is a secret. Unknown keys are errors that name them; each setting `section.key`
//! has the environment form `TEAMCHAT_ARCHIVE_SECTION__KEY`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Digest, Zone};

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

/// `[web]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebSection {
    /// The address under which people reach it, when that is not the one it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
}

/// `[coverage]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoverageSection {
    /// An inventory of accounts and rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<PathBuf>,
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
