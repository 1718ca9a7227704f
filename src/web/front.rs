//! What stands between people and the router: the name under which they reach it, and the proxies
//! that ask in their place.
//!
//! What a request says of where it comes from counts only as far as the machine at the other end of
//! the connection is trusted. That is the peer, never an address that stands in a header.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::desk::Web;
use crate::model::{Digest, Network};
use crate::record::Visit;

/// Of longer words of proxies the end is kept.
const LONGEST_FORWARDED: usize = 256;
const FORWARDED: &str = "x-forwarded-for";

/// How a proxy says whom it has signed in.
#[derive(Debug, Clone)]
pub struct Vouching {
    /// The header with the account's name.
    pub user: HeaderName,
    /// The header with the secret.
    pub secret_header: HeaderName,
    /// The secret that it shares with us.
    pub secret: SecretString,
}

/// How people reach the server. By default: directly, unencrypted, under its own address.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// The address that people use, when that is not the one it listens on.
    pub public_url: Option<Url>,
    /// What it sends is encrypted by us.
    pub is_encrypted: bool,
    /// The proxies that are believed.
    pub proxies: Vec<Network>,
    /// Whether, and how, they sign people in.
    pub vouching: Option<Vouching>,
}

/// Where a request comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Whence {
    /// As the access log has it.
    pub(super) visit: Visit,
    /// The machine that asks, as far as it can be told.
    pub(super) client: Option<IpAddr>,
    /// The account that a trusted proxy has signed in.
    pub(super) vouched: Option<String>,
}

/// An address as a proxy writes it, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// What stands in the headers of proxies, in its order. Of what is too long the end is kept: the nearest proxy wrote
/// that, and the rest may be anybody's.
fn forwarded(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<_> =
        headers.get_all(FORWARDED).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let text = lines.join(", ");
    let begin = text.ceil_char_boundary(text.len().saturating_sub(LONGEST_FORWARDED));
    (!text.is_empty()).then(|| text[begin..].to_owned())
}

impl Front {
    /// Whether browsers reach it over TLS.
    pub(super) fn is_https(&self) -> bool {
        self.is_encrypted || self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    /// The address that people use, without a slash at its end.
    pub(super) fn base(&self, host: &str) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("{}://{host}", if self.is_encrypted { "https" } else { "http" }),
        }
    }

    /// Whether a page of this origin is one of ours.
    pub(super) fn is_ours(&self, origin: &str, host: &str) -> bool {
        let is_public = self.public_url.as_ref().is_some_and(|url| url.origin().ascii_serialization() == origin);
        is_public || origin.split_once("://").is_some_and(|(_, authority)| authority == host)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(address))
    }

    /// The machine for which a trusted proxy asks: the last in the line that is no proxy of ours. What
    /// stands before it was written by anybody.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let lines: Vec<&str> = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok()).collect();
        for part in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            let Some(before) = address(part) else { break };
            client = before;
        }
        client
    }

    /// Whom a trusted proxy has signed in. The headers are taken away, whoever sent them.
    fn vouched(&self, peer: Option<IpAddr>, headers: &mut HeaderMap) -> Option<String> {
        let vouching = self.vouching.as_ref()?;
        // One that is no text stands for itself: it counts, and is nobody's name.
        let mut take = |name: &HeaderName| {
            let values: Vec<String> =
                headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default().to_owned()).collect();
            while headers.remove(name).is_some() {}
            values
        };
        let (users, secrets) = (take(&vouching.user), take(&vouching.secret_header));
        // Two names are one that the proxy set and one that somebody else did.
        let ([user], [secret]) = (users.as_slice(), secrets.as_slice()) else { return None };
        // Digests are compared, so that the time tells nothing of how much of a guess was right.
        let is_right = Digest::of(secret.as_bytes()) == Digest::of(vouching.secret.expose_secret().as_bytes());
        (peer.is_some_and(|peer| self.trusts(peer)) && is_right && !user.is_empty()).then(|| user.clone())
    }

    fn whence(&self, parts: &mut Parts) -> Whence {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let address = peer.map(|peer| peer.ip().to_canonical());
        let vouched = self.vouched(address, &mut parts.headers);
        let client = address.map(|peer| self.client(peer, &parts.headers));
        // What a proxy on this machine says is noted as its word, trusted or not.
        let is_noted = address.is_none_or(|peer| peer.is_loopback() || self.trusts(peer));
        let visit = Visit {
            from: peer.map(|peer| peer.to_string()),
            forwarded_for: if is_noted { forwarded(&parts.headers) } else { None },
            client: client.filter(|client| Some(*client) != address).map(|client| client.to_string()),
            ..Visit::default()
        };
        Whence { visit, client, vouched }
    }
}

/// Notes where a request comes from, for all that is within.
pub(super) async fn look(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let whence = web.front().whence(&mut parts);
    parts.extensions.insert(whence);
    next.run(Request::from_parts(parts, body)).await
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn front(proxies: &[&str]) -> Front {
        let vouching = Vouching {
            user: HeaderName::from_static("x-webauth-user"),
            secret_header: HeaderName::from_static("x-archive-proxy-secret"),
            secret: "the secret of both".to_owned().into(),
        };
        let proxies = proxies.iter().filter_map(|text| Network::parse(text)).collect();
        Front { proxies, vouching: Some(vouching), ..Front::default() }
    }

    /// What becomes of a request from `peer` with these headers, and which of them are left.
    fn whence(front: &Front, peer: &str, headers: &[(&'static str, &str)]) -> (Whence, HeaderMap) {
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        let peer: SocketAddr = peer.parse().unwrap();
        parts.extensions.insert(ConnectInfo(peer));
        for (name, value) in headers {
            parts.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let whence = front.whence(&mut parts);
        (whence, parts.headers)
    }

    #[test]
    fn the_client_is_the_last_in_the_line_that_is_no_proxy_of_ours() {
        let front = front(&["10.0.0.0/8", "::1"]);
        for (peer, forwarded, client) in [
            ("203.0.113.5:1", &[][..], "203.0.113.5"),
            ("203.0.113.5:1", &["192.0.2.1"], "203.0.113.5"),
            ("10.0.0.1:1", &[], "10.0.0.1"),
            ("10.0.0.1:1", &["192.0.2.1"], "192.0.2.1"),
            ("[::ffff:10.0.0.1]:1", &["192.0.2.1"], "192.0.2.1"),
            ("[::1]:1", &["6.6.6.6, 192.0.2.1, 10.0.0.7"], "192.0.2.1"),
            ("10.0.0.1:1", &["6.6.6.6", "192.0.2.1:443"], "192.0.2.1"),
            ("10.0.0.1:1", &["[2001:db8::7]:99"], "2001:db8::7"),
            ("10.0.0.1:1", &["192.0.2.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1:1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            let headers: Vec<(&'static str, &str)> = forwarded.iter().map(|value| (FORWARDED, *value)).collect();
            let found = whence(&front, peer, &headers).0.client;
            assert_eq!(found, Some(client.parse().unwrap()), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_that_knows_the_secret_signs_anybody_in() {
        const USER: (&str, &str) = ("x-webauth-user", "ada");
        const SECRET: (&str, &str) = ("x-archive-proxy-secret", "the secret of both");
        const WRONG: (&str, &str) = ("x-archive-proxy-secret", "the secret of none");
        let front = front(&["10.0.0.0/8"]);
        for (peer, headers, vouched) in [
            ("10.0.0.1:1", &[USER, SECRET][..], Some("ada")),
            // The client's address is nobody's business here, trusted or not.
            ("10.0.0.1:1", &[USER, SECRET, (FORWARDED, "203.0.113.5")], Some("ada")),
            ("203.0.113.5:1", &[USER, SECRET, (FORWARDED, "10.0.0.1")], None),
            ("203.0.113.5:1", &[USER, SECRET], None),
            ("127.0.0.1:1", &[USER, SECRET], None),
            ("10.0.0.1:1", &[USER], None),
            ("10.0.0.1:1", &[USER, WRONG], None),
            ("10.0.0.1:1", &[USER, ("x-archive-proxy-secret", "")], None),
            ("10.0.0.1:1", &[SECRET], None),
            ("10.0.0.1:1", &[("x-webauth-user", ""), SECRET], None),
            ("10.0.0.1:1", &[USER, ("x-webauth-user", "root"), SECRET], None),
            ("10.0.0.1:1", &[USER, ("x-webauth-user", "žaneta"), SECRET], None),
            ("10.0.0.1:1", &[("x-webauth-user", "žaneta"), SECRET], None),
            ("10.0.0.1:1", &[USER, SECRET, WRONG], None),
        ] {
            let (found, left) = whence(&front, peer, headers);
            assert_eq!(found.vouched.as_deref(), vouched, "{peer} {headers:?}");
            assert!(!left.contains_key(USER.0) && !left.contains_key(SECRET.0), "{peer} {headers:?}: {left:?}");
        }
    }

    #[test]
    fn a_proxy_that_nobody_trusts_is_noted_only_on_this_machine() {
        let line = [(FORWARDED, "192.0.2.1")];
        let noted = |front: &Front, peer: &str| whence(front, peer, &line).0.visit.forwarded_for;
        assert_eq!(noted(&Front::default(), "127.0.0.1:1").as_deref(), Some("192.0.2.1"));
        assert_eq!(noted(&Front::default(), "10.0.0.1:1"), None);
        assert_eq!(noted(&front(&["10.0.0.0/8"]), "10.0.0.1:1").as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn nobody_writes_another_client_into_the_log_than_the_trusted_proxy_names() {
        let front = front(&["10.0.0.0/8"]);
        let long = "6".repeat(LONGEST_FORWARDED);
        for line in
            [&[(FORWARDED, "10.9.9.9"), (FORWARDED, "192.0.2.1")][..], &[(FORWARDED, &*format!("{long}, 192.0.2.1"))]]
        {
            let visit = whence(&front, "10.0.0.1:1", line).0.visit;
            assert_eq!(visit.client.as_deref(), Some("192.0.2.1"), "{line:?}");
            let noted = visit.forwarded_for.unwrap();
            assert!(noted.ends_with(", 192.0.2.1") && noted.len() <= LONGEST_FORWARDED, "{noted}");
        }
        assert_eq!(whence(&front, "203.0.113.5:1", &[(FORWARDED, "192.0.2.1")]).0.visit.client, None);
    }
}
