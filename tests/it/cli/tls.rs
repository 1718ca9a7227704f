//! A server behind TLS: an untrusted certificate is refused with its fingerprint; a pinned key, or
//! the authority that signed a proper certificate, makes the whole crawl work, files included.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use teamchat_archive::sandbox::{self, Parts, story};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::flows::hex;
use super::harness::{DONE, FAILURE, Place, Ready, USAGE, number};

/// Connections whose handshake succeeded.
struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

pub(crate) struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Certificate {
    /// The certificate as PEM.
    pub(crate) fn chain_pem(&self) -> String {
        let lines = self.chain.iter().map(|certificate| {
            let text = base64::engine::general_purpose::STANDARD.encode(certificate);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        });
        lines.collect()
    }

    /// Its key as PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The pin of its key, computed here.
    pub(crate) fn pin(&self) -> String {
        format!("sha256:{}", hex(&Sha256::digest(self.key.subject_public_key_info())))
    }
}

fn params() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap()
}

/// As the vendor's server makes its own: self-signed, and an authority.
pub(crate) fn self_signed() -> Certificate {
    let key = KeyPair::generate().unwrap();
    let mut params = params();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Certificate { chain: vec![certificate.der().clone()], key }
}

/// An authority's certificate as PEM, and a proper server certificate that it signed.
pub(crate) fn signed_by_an_authority() -> (String, Certificate) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = params().signed_by(&key, &issuer).unwrap();
    (authority_certificate.pem(), Certificate { chain: vec![certificate.der().clone()], key })
}

pub(crate) struct Behind {
    pub(crate) parts: Parts,
    pub(crate) ready: Ready,
    _runtime: tokio::runtime::Runtime,
}

/// The built-in company behind TLS.
pub(crate) fn serve(certificate: &Certificate) -> Behind {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let key = PrivateKeyDer::try_from(certificate.key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificate.chain.clone(), key)
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let parts = sandbox::router(story::seed(), &sandbox::Options::default(), &origin).unwrap();
    let ready = Ready {
        url: format!("{origin}/teamchatapi/"),
        username: parts.username.clone(),
        password: parts.password.clone(),
        token: parts.token.clone(),
    };
    let encrypted = Encrypted { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
    let router = parts.router.clone();
    runtime.spawn(async move { axum::serve(encrypted, router).await });
    Behind { parts, ready, _runtime: runtime }
}

/// `init` with more flags, `login`, `crawl`, `verify`.
fn the_whole_crawl_works(server: &Behind, more: &[&str]) {
    let place = Place::new();
    let mut args = vec!["init", "--json", "--server", &server.ready.url];
    args.extend(more);
    let made = place.run(&args).expect(DONE).json();
    assert!(made["server"].as_str().unwrap().starts_with("https://"));
    let password = place.file("password", &server.ready.password);
    place.run(&["login", "--username", &server.ready.username, "--password-file", &password]).expect(DONE);
    let summary = place.crawl();
    assert_eq!(number(&summary, "/files/failed"), 0);
    assert!(number(&summary, "/files/versions") > 20, "{summary}");
    assert_eq!(number(&place.status(), "/files/versions"), number(&place.status(), "/files/count"));
    place.verified();
}

#[test]
fn a_self_signed_certificate_is_refused_with_its_fingerprint_and_works_when_pinned() {
    let certificate = self_signed();
    let server = serve(&certificate);
    let pin = certificate.pin();
    let place = Place::new();
    let refused = place.run(&["init", "--server", &server.ready.url]);
    refused.expect_error(FAILURE, &["not trusted", &pin]).with_hint(&pin).with_hint("--pin");
    assert!(!place.has_archive() && !place.keys().exists());

    let wrong = format!("sha256:{}", "0".repeat(64));
    let refused = place.run(&["init", "--server", &server.ready.url, "--pin", &wrong]);
    refused.expect_error(FAILURE, &["not trusted", &pin]);
    assert!(!place.has_archive());
    place.run(&["init", "--server", &server.ready.url, "--pin", "sha256:12"]).expect(USAGE);

    the_whole_crawl_works(&server, &["--pin", &pin]);
    // As openssl prints it.
    let spaced = pin.as_bytes()[7..].chunks(2).map(|pair| std::str::from_utf8(pair).unwrap().to_uppercase());
    let spaced = format!("sha256:{}", spaced.collect::<Vec<String>>().join(":"));
    the_whole_crawl_works(&server, &["--pin", &spaced]);

    // A server that presents another key later is another server.
    let pinned = Place::new();
    pinned.run(&["init", "--server", &server.ready.url, "--pin", &pin]).expect(DONE);
    let config = pinned.archive().join("archive.toml");
    let text = fs_err::read_to_string(&config).unwrap().replace(&pin, &wrong);
    fs_err::write(&config, text).unwrap();
    let token = pinned.file("token", &server.ready.token);
    let refused = pinned.run(&["login", "--token-file", &token]).expect_error(FAILURE, &["not trusted"]);
    assert!(!refused.stderr.contains(&server.ready.token));
    server.parts.stop();
}

#[test]
fn a_certificate_of_a_private_authority_works_with_its_file_only() {
    let (authority, certificate) = signed_by_an_authority();
    let server = serve(&certificate);
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect_error(FAILURE, &["not trusted"]).with_hint("--ca");
    let (other, _) = signed_by_an_authority();
    let other = place.file("other.pem", &other);
    place.run(&["init", "--server", &server.ready.url, "--ca", &other]).expect_error(FAILURE, &["not trusted"]);
    let empty = place.file("empty.pem", "");
    let nothing = place.run(&["init", "--server", &server.ready.url, "--ca", &empty]);
    assert!(nothing.code != DONE && nothing.stderr.contains("error:"), "{nothing}");
    let missing = place.run(&["init", "--server", &server.ready.url, "--ca", "/nowhere.pem"]);
    missing.expect_error(USAGE, &["nowhere.pem"]);
    assert!(!place.has_archive());
    let file = place.file("authority.pem", &authority);
    the_whole_crawl_works(&server, &["--ca", &file]);
    the_whole_crawl_works(&server, &["--pin", &certificate.pin()]);
    server.parts.stop();
}
