//! The loop that takes connections in, plain or encrypted, and lets each of them go in time.
//!
//! Nobody holds up another: each connection is greeted and served in a task of its own, and what it
//! may wait for has an end. A client that says nothing, or half of something, is let go; one address
//! can't have all places; and when the server ends, it waits for nobody longer than a while.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::tls::Encrypted;
use crate::model::Network;

/// After an error of the system, such as too many open files, before the next try.
const PAUSE: Duration = Duration::from_secs(1);
/// Connections at once, if the process may have twice as many open files.
const CONNECTIONS: usize = 1024;
/// Clients on this machine can do more harm by other means.
const THIS_MACHINE: [&str; 2] = ["127.0.0.0/8", "::1"];

/// How long a client may take, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// A TLS handshake.
    pub handshake: Duration,
    /// The head of a request, from the end of the one before it. A connection without one is let go.
    pub head: Duration,
    /// Connections at once; who comes then waits for one of them to end.
    pub connections: usize,
    /// Those of one address; further ones are closed. Proxies that are trusted, and this machine, may
    /// have more.
    pub of_one_address: usize,
    /// What is under way when the server is asked to end.
    pub ending: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        // The other half is the archive's.
        let files =
            getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            connections: CONNECTIONS.min(files / 2).max(1),
            of_one_address: 64,
            ending: Duration::from_secs(20),
        }
    }
}

/// How many connections each address has.
#[derive(Debug, Clone, Default)]
struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
struct Guest {
    crowd: Crowd,
    address: IpAddr,
}

impl Crowd {
    /// Lets one more of an address in, unless `most` are.
    fn enter(&self, address: IpAddr, most: usize) -> Option<Guest> {
        let address = address.to_canonical();
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inside.get(&address).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        inside.insert(address, count + 1);
        Some(Guest { crowd: self.clone(), address })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = inside.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What a connection is served with.
#[derive(Clone)]
struct Host {
    router: Router,
    encrypted: Option<Encrypted>,
    bounds: Bounds,
    ending: CancellationToken,
}

impl Host {
    /// Serves a connection to its end.
    async fn receive<S>(self, stream: S, address: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(encrypted) = self.encrypted.clone() else { return self.converse(stream, address).await };
        let greeted = tokio::select! {
            greeted = encrypted.greet(stream, address, self.bounds.handshake) => greeted,
            // Nothing was asked yet.
            () = self.ending.cancelled() => None,
        };
        if let Some(stream) = greeted {
            self.converse(stream, address).await;
        }
    }

    /// Answers requests, one after the other.
    async fn converse<S>(self, stream: S, address: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let routes = TowerToHyperService::new(self.router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            // The access log names who asks.
            request.extensions_mut().insert(ConnectInfo(address));
            routes.call(request)
        });
        // Not the builder that tells HTTP/1 from HTTP/2: it waits for the first bytes without an end.
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.bounds.head);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let served = tokio::select! {
            // An answer that goes out at the end says that it is the last.
            biased;
            () = self.ending.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            served = connection.as_mut() => served,
        };
        if let Err(error) = served {
            tracing::debug!(%error, %address, "a connection was given up");
        }
    }
}

/// Whether an error ended only the connection that was about to be accepted.
fn is_of_the_client(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}

/// The next connection. Errors of the system are waited out.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Who came is gone already.
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A listener, and what is served there.
pub struct Listening {
    listener: TcpListener,
    host: Host,
    /// Who may have as many connections as there are.
    trusted: Vec<Network>,
}

impl Listening {
    /// Serves plain connections, or such as are encrypted by these settings. `proxies` ask for many.
    pub fn new(
        listener: TcpListener,
        router: Router,
        encryption: Option<Arc<ServerConfig>>,
        proxies: &[Network],
    ) -> Self {
        let this_machine = THIS_MACHINE.into_iter().filter_map(Network::parse);
        let host = Host {
            router,
            encrypted: encryption.map(Encrypted::new),
            bounds: Bounds::default(),
            ending: CancellationToken::new(),
        };
        Self { listener, host, trusted: this_machine.chain(proxies.iter().copied()).collect() }
    }

    /// With other bounds.
    #[must_use]
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.host.bounds = bounds;
        self
    }

    /// Serves until `stopped`, and then what is under way, for a while. It always ends.
    pub async fn until(self, stopped: impl Future<Output = ()>) {
        let Self { listener, host, trusted } = self;
        let bounds = host.bounds;
        let crowd = Crowd::default();
        // Dropped, it cuts off what is left.
        let mut connections = JoinSet::new();
        let mut stopped = pin!(stopped);
        loop {
            // Each can be given up at any point and loses nothing.
            let (stream, address) = tokio::select! {
                () = &mut stopped => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&listener), if connections.len() < bounds.connections => accepted,
            };
            let is_trusted = trusted.iter().any(|network| network.contains(address.ip()));
            let most = if is_trusted { usize::MAX } else { bounds.of_one_address };
            let Some(guest) = crowd.enter(address.ip(), most) else {
                tracing::debug!(%address, "a connection was closed: its address has too many");
                continue;
            };
            let served = host.clone().receive(stream, address);
            connections.spawn(async move {
                served.await;
                drop(guest);
            });
        }
        drop(listener);
        host.ending.cancel();
        let last = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(bounds.ending, last).await.is_err() {
            tracing::warn!(connections = connections.len(), "what was still under way is cut off");
        }
    }
}

#[cfg(test)]
mod tests;
