use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::error::Error;
use crate::model::Digest;

/// Which server certificates are good.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those that the operating system trusts.
    #[default]
    System,
    /// Also those signed by the certificates in this PEM file.
    Authority(PathBuf),
    /// Only a server with this public key, whatever its certificate says: SHA-256 of the
    /// SubjectPublicKeyInfo. The way to trust a self-signed certificate (`CA:TRUE` included,
    /// which ordinary checking refuses as a server's own).
    Pin(Digest),
}

/// Accepts one public key and remembers the one that was presented.
#[derive(Debug)]
pub(super) struct PinVerifier {
    pin: Option<Digest>,
    seen: Mutex<Option<Digest>>,
    provider: Arc<CryptoProvider>,
}

impl PinVerifier {
    pub(super) fn new(pin: Option<Digest>) -> Arc<Self> {
        Arc::new(Self { pin, seen: Mutex::new(None), provider: Arc::new(rustls::crypto::ring::default_provider()) })
    }

    pub(super) fn seen(&self) -> Option<Digest> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let key = Digest::of(certificate.subject_public_key_info().as_ref());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        if self.pin == Some(key) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A configuration in which only `verifier` decides.
pub(super) fn pinned_config(verifier: Arc<PinVerifier>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Settings(format!("TLS can't be set up: {error}")))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The SHA-256 of the public key that a server presents. The connection is broken off before
/// anything is sent over it.
pub async fn presented_fingerprint(url: &url::Url) -> Option<Digest> {
    if url.scheme() != "https" {
        return None;
    }
    let verifier = PinVerifier::new(None);
    let config = pinned_config(Arc::clone(&verifier)).ok()?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .timeout(std::time::Duration::from_secs(15))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .ok()?;
    // It fails by design: the verifier accepts no key.
    let _refused = client.get(url.clone()).send().await;
    verifier.seen()
}
