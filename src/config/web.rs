//! `[web]`: how people reach the web interface.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::model::Network;

/// `[web]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebSection {
    /// The address under which people reach it, when that is not the one it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Where sets that are asked for from a page are made and kept; else `exports` in the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exports_dir: Option<PathBuf>,
    /// A PEM file: the certificate that it shows, then those that lead to an authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// A PEM file with the key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// The proxies through which people reach it: what they say of whom they ask for is believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Network>,
    /// The header in which a trusted proxy names the account that it has signed in. None: nobody is
    /// signed in by a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_user_header: Option<String>,
    /// The header in which it shows the secret that it shares with us (`proxy.secret` among the keys).
    #[serde(skip_serializing_if = "is_usual_header")]
    pub proxy_secret_header: String,
    /// The OIDC provider at which people sign in: its name, as it stands in its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_issuer: Option<String>,
    /// What the provider calls this archive. The secret that goes with it is `oidc.secret` among the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_client_id: Option<String>,
    /// The claim that names the account when somebody comes from there for the first time.
    #[serde(skip_serializing_if = "is_usual_claim")]
    pub oidc_claim: String,
    /// Ways of signing in there, of which one must have been used (`acr`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oidc_acr: Vec<String>,
    /// What must have been signed in with there (`amr`), all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oidc_amr: Vec<String>,
}

impl Default for WebSection {
    fn default() -> Self {
        Self {
            public_url: None,
            exports_dir: None,
            tls_certificate: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            proxy_user_header: None,
            proxy_secret_header: SECRET_HEADER.to_owned(),
            oidc_issuer: None,
            oidc_client_id: None,
            oidc_claim: CLAIM.to_owned(),
            oidc_acr: Vec::new(),
            oidc_amr: Vec::new(),
        }
    }
}

/// The header of the secret, unless the settings name another.
const SECRET_HEADER: &str = "X-Archive-Proxy-Secret";

fn is_usual_header(name: &str) -> bool {
    name == SECRET_HEADER
}

/// The claim that names the account, unless the settings name another: the only one that never changes.
const CLAIM: &str = "sub";

fn is_usual_claim(name: &str) -> bool {
    name == CLAIM
}

/// Headers that say something else already.
const TAKEN: [&str; 9] = [
    "authorization",
    "cookie",
    "host",
    "origin",
    "forwarded",
    "x-forwarded-for",
    "user-agent",
    "sec-fetch-site",
    "content-type",
];

fn check_header(key: &str, name: &str) -> Result<(), String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(is_token) {
        return Err(format!("web.{key}: `{name}` is no name of a header; it looks like X-Archive-User"));
    }
    if TAKEN.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("web.{key}: `{name}` says something else already"));
    }
    Ok(())
}

impl WebSection {
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(url) = &self.public_url {
            let wrong = |detail: &str| Err(format!("web.public_url: `{url}` {detail}"));
            match super::parse_address(url) {
                Err(_) => return wrong("is no address such as https://archive.example.com/"),
                Ok(parsed) if parsed.path() != "/" || parsed.query().is_some() => {
                    return wrong(
                        "names a path; it is served at the root of a name such as https://archive.example.com/",
                    );
                }
                Ok(_) => {}
            }
        }
        if let Some(folder) = self.exports_dir.as_ref().filter(|folder| !folder.is_absolute()) {
            let folder = folder.display();
            return Err(format!("web.exports_dir: `{folder}` begins at the root, such as /srv/exports"));
        }
        match (&self.tls_certificate, &self.tls_key) {
            (Some(_), None) => return Err("web.tls_key: the certificate needs its key".to_owned()),
            (None, Some(_)) => return Err("web.tls_certificate: the key needs its certificate".to_owned()),
            _ => {}
        }
        check_header("proxy_secret_header", &self.proxy_secret_header)?;
        if let Some(name) = &self.proxy_user_header {
            check_header("proxy_user_header", name)?;
            if name.eq_ignore_ascii_case(&self.proxy_secret_header) {
                return Err("web.proxy_user_header: the secret has that header".to_owned());
            }
            if self.trusted_proxies.is_empty() {
                return Err("web.proxy_user_header: only trusted_proxies are believed, and none is named".to_owned());
            }
        }
        self.check_provider()
    }

    fn check_provider(&self) -> Result<(), String> {
        let Some(issuer) = &self.oidc_issuer else {
            let is_usual = self.oidc_client_id.is_none()
                && is_usual_claim(&self.oidc_claim)
                && self.oidc_acr.is_empty()
                && self.oidc_amr.is_empty();
            return if is_usual {
                Ok(())
            } else {
                Err("web.oidc_issuer: the other settings of `oidc_` need it".to_owned())
            };
        };
        if !cfg!(feature = "oidc") {
            return Err(
                "web.oidc_issuer: this program was built without OpenID Connect; `cargo build --features oidc` \
                        makes one that has it"
                    .to_owned(),
            );
        }
        let wrong = |detail: &str| Err(format!("web.oidc_issuer: `{issuer}` {detail}"));
        match super::parse_address(issuer) {
            Ok(url) if url.query().is_some() || url.fragment().is_some() => return wrong("has more than a path"),
            Ok(url) if url.scheme() != "https" && !is_here(&url) => {
                return wrong("is not encrypted: what it says could be anybody's");
            }
            Ok(_) => {}
            Err(_) => return wrong("is no address such as https://login.example.com/realms/office"),
        }
        if self.oidc_client_id.as_ref().is_none_or(|id| id.trim().is_empty()) {
            return Err("web.oidc_client_id: the provider knows this archive under a name".to_owned());
        }
        if self.public_url.is_none() {
            return Err("web.public_url: the provider sends people back to it".to_owned());
        }
        match self.oidc_claim.as_str() {
            "" => Err("web.oidc_claim: a claim has a name, such as sub or preferred_username".to_owned()),
            "email" => Err("web.oidc_claim: an address is given to another person one day; sub never is".to_owned()),
            _ => Ok(()),
        }
    }

    /// The address that people use, if it was told.
    pub fn public_url(&self) -> Option<Url> {
        self.public_url.as_deref().and_then(|url| super::parse_address(url).ok())
    }
}

/// Whether an address is this machine's own.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Environment};

    #[test]
    fn settings_that_would_open_a_door_by_mistake_are_refused() {
        let parse = |text: &str| Config::parse(&format!("[web]\n{text}"), "t", &Environment::default());
        let whole = "public_url = \"https://archive.example.com\"\ntls_certificate = \"/c.pem\"\ntls_key = \"/k.pem\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nproxy_user_header = \"X-WEBAUTH-USER\"\n";
        let config = parse(whole).unwrap();
        assert_eq!(config.web.public_url().unwrap().as_str(), "https://archive.example.com/");
        assert!(config.web.trusted_proxies[0].contains([10, 2, 3, 4].into()));
        assert_eq!(Config::parse(&config.to_text().unwrap(), "t", &Environment::default()).unwrap(), config);
        for (text, words) in [
            ("exports_dir = \"exports\"", "begins at the root"),
            ("public_url = \"archive.example.com\"", "public_url"),
            ("public_url = \"https://archive.example.com/chat\"", "names a path"),
            ("public_url = \"https://me:secret@archive.example.com\"", "public_url"),
            ("tls_certificate = \"/c.pem\"", "tls_key"),
            ("tls_key = \"/k.pem\"", "tls_certificate"),
            ("trusted_proxies = [\"proxy.example.com\"]", "no network"),
            ("trusted_proxies = [\"10.0.0.1/8\"]", "no network"),
            ("proxy_user_header = \"X-User\"", "trusted_proxies"),
            ("trusted_proxies = [\"::1\"]\nproxy_user_header = \"Cookie\"", "something else"),
            ("trusted_proxies = [\"::1\"]\nproxy_user_header = \"X User\"", "no name of a header"),
            (
                "trusted_proxies = [\"::1\"]\nproxy_user_header = \"x-archive-proxy-secret\"",
                "the secret has that header",
            ),
            ("proxy_secret_header = \"\"", "no name of a header"),
            ("proxy_secret = \"x\"", "proxy_secret"),
            ("oidc_client_id = \"archive\"", "oidc_issuer"),
            ("oidc_claim = \"preferred_username\"", "oidc_issuer"),
            ("oidc_client_secret = \"x\"", "oidc_client_secret"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[cfg(not(feature = "oidc"))]
    #[test]
    fn a_provider_is_refused_by_a_program_that_cannot_ask_it() {
        let text = "[web]\npublic_url = \"https://archive.example.com\"\noidc_issuer = \"https://login.example.com\"\noidc_client_id = \"archive\"\n";
        let error = Config::parse(text, "t", &Environment::default()).unwrap_err().to_string();
        assert!(error.contains("--features oidc"), "{error}");
    }

    #[cfg(feature = "oidc")]
    #[test]
    fn a_provider_that_could_be_anybody_is_refused() {
        let parse = |text: &str| Config::parse(&format!("[web]\n{text}"), "t", &Environment::default());
        let reached = "public_url = \"https://archive.example.com\"\noidc_client_id = \"archive\"\n";
        for good in ["https://login.example.com/realms/office", "http://127.0.0.1:8081", "http://[::1]/x"] {
            let config = parse(&format!("{reached}oidc_issuer = \"{good}\"\noidc_amr = [\"otp\"]")).unwrap();
            assert_eq!(config.web.oidc_claim, "sub");
            assert_eq!(Config::parse(&config.to_text().unwrap(), "t", &Environment::default()).unwrap(), config);
        }
        let issuer = "oidc_issuer = \"https://login.example.com\"\n";
        for (text, words) in [
            (format!("{reached}oidc_issuer = \"http://login.example.com\""), "not encrypted"),
            (format!("{reached}oidc_issuer = \"http://127.0.0.1.example.com\""), "not encrypted"),
            (format!("{reached}oidc_issuer = \"login.example.com\""), "no address"),
            (format!("{reached}oidc_issuer = \"https://login.example.com/?a=b\""), "oidc_issuer"),
            (format!("{issuer}oidc_client_id = \"archive\""), "public_url"),
            (format!("public_url = \"https://archive.example.com\"\n{issuer}"), "oidc_client_id"),
            (format!("{reached}{issuer}oidc_claim = \"email\""), "another person"),
            (format!("{reached}{issuer}oidc_claim = \"\""), "oidc_claim"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn proxies_are_named_in_the_environment_too() {
        let ours = [("WEB__TRUSTED_PROXIES".to_owned(), "[\"127.0.0.1\"]".to_owned())].into();
        let config = Config::parse("", "t", &Environment { ours, ..Environment::default() }).unwrap();
        assert!(config.web.trusted_proxies[0].contains([127, 0, 0, 1].into()));
    }
}
