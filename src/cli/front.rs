//! How `serve` is reached, from the settings: who may listen where, with which certificate, behind
//! which proxies, and how the first account is made.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::HeaderName;
use base64::Engine as _;
use rustls::ServerConfig;
use secrecy::SecretString;

use super::output::Output;
use super::{CliError, Exit};
use crate::app::Archive;
use crate::config::WebSection;
use crate::store::access::{Access, FactorKey};
use crate::store::keys::KeyError;
use crate::web::{Encrypted, Front, TlsError, Vouching};

impl From<TlsError> for CliError {
    fn from(error: TlsError) -> Self {
        let hint = match &error {
            TlsError::Io(_) => "`web.tls_certificate` and `web.tls_key` of archive.toml name the files".to_owned(),
            TlsError::Malformed { .. } => {
                "both are PEM files: the certificate with those that lead to its authority, and its key without a password"
                    .to_owned()
            }
            TlsError::Exposed { path, .. } => {
                format!("run `chmod 600 {}`; if others could read it, have another one made", path.display())
            }
            TlsError::Unusable { .. } => "the first certificate of the file must be the one that the key is for".to_owned(),
        };
        Self::new(Exit::Usage, format!("can't listen with TLS: {error}")).hint(hint)
    }
}

/// The certificate that the settings name, if they name one.
pub(super) fn encryption(settings: &WebSection) -> Result<Option<Arc<ServerConfig>>, CliError> {
    match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => Ok(Some(Encrypted::settings(certificate, key)?)),
        _ => Ok(None),
    }
}

/// Refuses an address that others can reach while nobody has an account, or while passwords would
/// cross the network in clear.
pub(super) fn refuse_open_door(listen: SocketAddr, access: &Access, settings: &WebSection) -> Result<(), CliError> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    if !access.has_users()? {
        return Err(CliError::usage(format!(
            "{listen} can be reached from other machines, and nobody has an account yet: whoever comes first would have the first one"
        ))
        .hint("`serve` on 127.0.0.1 prints an address where the first account is made; or `user add NAME --role admin`"));
    }
    if settings.tls_certificate.is_none() && settings.trusted_proxies.is_empty() {
        return Err(CliError::usage(format!(
            "{listen} can be reached from other machines, and what is served would not be encrypted"
        ))
        .hint("name a certificate with `web.tls_certificate` and `web.tls_key` in archive.toml")
        .hint("or put a proxy that speaks TLS before it and name the proxy's address with `web.trusted_proxies`"));
    }
    Ok(())
}

fn random_secret() -> Result<SecretString, CliError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| CliError::other(error.to_string()))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes).into())
}

/// The secret that the proxy shares with us; the first time, one is made.
fn proxy_secret(archive: &Archive, output: &Output) -> Result<SecretString, CliError> {
    match archive.keys.proxy_secret() {
        Err(KeyError::Absent { .. }) => {}
        known => return Ok(known?),
    }
    let secret = random_secret()?;
    archive.keys.store_proxy_secret(&secret)?;
    output.say(&format!(
        "made the secret that the proxy must send in `{}`: it is in {}",
        archive.config.web.proxy_secret_header,
        archive.keys.proxy_secret_path().display()
    ));
    Ok(secret)
}

/// What the codes of second factors are made with; the first time, it is made. Without it codes that are asked for could
/// never be right, so nothing is served then.
pub(super) fn factor_key(archive: &Archive, access: &Access, output: &Output) -> Result<Option<FactorKey>, CliError> {
    match archive.keys.factor_key() {
        Err(KeyError::Absent { .. }) if !access.has_factors()? => {}
        known => return Ok(Some(FactorKey::new(known?))),
    }
    let key = random_secret()?;
    match archive.keys.store_factor_key(&key) {
        Ok(()) => Ok(Some(FactorKey::new(key))),
        Err(error) => {
            output.say(&format!("second factors can't be had here, since their key can't be kept: {error}"));
            Ok(None)
        }
    }
}

/// What stands between people and the pages.
pub(super) fn front(archive: &Archive, output: &Output) -> Result<Front, CliError> {
    let settings = &archive.config.web;
    let header = |name: &str| {
        HeaderName::from_bytes(name.as_bytes()).map_err(|error| CliError::usage(format!("`{name}`: {error}")))
    };
    let vouching = match &settings.proxy_user_header {
        Some(name) => Some(Vouching {
            user: header(name)?,
            secret_header: header(&settings.proxy_secret_header)?,
            secret: proxy_secret(archive, output)?,
        }),
        None => None,
    };
    Ok(Front {
        public_url: settings.public_url(),
        is_encrypted: settings.tls_certificate.is_some(),
        proxies: settings.trusted_proxies.clone(),
        vouching,
    })
}

/// The provider at which people sign in, if the settings name one.
#[cfg(feature = "oidc")]
pub(super) fn provider(archive: &Archive) -> Result<Option<crate::web::Provider>, CliError> {
    let settings = &archive.config.web;
    let (Some(issuer), Some(client_id), Some(public_url)) =
        (&settings.oidc_issuer, &settings.oidc_client_id, settings.public_url())
    else {
        return Ok(None);
    };
    let agreement = crate::web::Agreement {
        issuer: issuer.clone(),
        client_id: client_id.clone(),
        secret: archive.keys.provider_secret()?,
        claim: settings.oidc_claim.clone(),
        acr: settings.oidc_acr.clone(),
        amr: settings.oidc_amr.clone(),
        public_url,
    };
    let provider = crate::web::Provider::new(agreement);
    Ok(Some(provider.map_err(|error| CliError::usage(format!("people can't sign in at `{issuer}`: {error}")))?))
}

/// The token with which the first account is made, while there is none; it lies among the keys, too,
/// where that can be written.
pub(super) fn setup_token(
    archive: &Archive,
    access: &Access,
    output: &Output,
) -> Result<Option<SecretString>, CliError> {
    let Some(token) = access.begin_setup()? else {
        // One that `serve` left behind when it was killed.
        archive.keys.remove_setup_token()?;
        return Ok(None);
    };
    if let Err(error) = archive.keys.store_setup_token(&token) {
        output.say(&format!("the set-up token is printed here only, and kept in no file: {error}"));
    }
    Ok(Some(token))
}
