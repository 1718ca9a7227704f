//! Connections that we encrypt ourselves: a certificate and its key from PEM files.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Why a certificate can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It does not hold what it should.
    #[error("{path} holds no {what} in PEM: {detail}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
        /// Why not. Never the contents.
        detail: String,
    },
    /// Anybody on this machine can take the key.
    #[error("{path} can be read by everyone (mode {mode:03o})")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// They do not belong together, or are of a kind that is not spoken.
    #[error("the certificate of {certificate} can't be used with the key of {key}: {detail}")]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of its key.
        key: PathBuf,
        /// Why.
        detail: String,
    },
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let malformed = |detail: String| TlsError::Malformed { path: path.to_owned(), what: "certificate", detail };
    let text = fs_err::read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| malformed(error.to_string()))?;
    if chain.is_empty() { Err(malformed("nothing in it begins with BEGIN CERTIFICATE".to_owned())) } else { Ok(chain) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mode = fs_err::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(TlsError::Exposed { path: path.to_owned(), mode });
    }
    let text = fs_err::read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| TlsError::Malformed {
        path: path.to_owned(),
        what: "private key",
        detail: error.to_string(),
    })
}

/// How connections are encrypted.
#[derive(Clone)]
pub struct Encrypted {
    acceptor: TlsAcceptor,
}

impl Encrypted {
    /// How to speak with this certificate and key.
    pub fn settings(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
        let unusable = |error: rustls::Error| TlsError::Unusable {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            detail: error.to_string(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut settings = builder
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(certificates(certificate)?, private_key(key)?)
            .map_err(unusable)?;
        settings.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(settings))
    }

    /// With these settings.
    pub fn new(settings: Arc<ServerConfig>) -> Self {
        Self { acceptor: TlsAcceptor::from(settings) }
    }

    /// The handshake with a client, which may take so long; nothing when it fails.
    pub(super) async fn greet<S>(&self, stream: S, address: SocketAddr, time: Duration) -> Option<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match tokio::time::timeout(time, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, %address, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!(%address, "a TLS handshake took too long");
                None
            }
        }
    }
}
