use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Tells a supervisor how the process fares, by the protocol of `sd_notify(3)`: `READY=1` once,
/// `WATCHDOG=1` for as long as it works, `STOPPING=1`. Without one, nothing is said.
///
/// The supervisor is no part of the work: one that does not listen is no failure.
pub(in crate::app) struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that the process lives.
    pub(in crate::app) watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one at `address`: a path, or `@` and a name in the abstract namespace.
    pub(in crate::app) fn new(address: Option<&OsString>, watchdog: Option<Duration>) -> Self {
        let socket = address.and_then(|address| {
            let target = match address.as_bytes().strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(address),
            };
            let socket = UnixDatagram::unbound().ok()?;
            // A supervisor that is stuck must not hold up the work.
            socket.set_nonblocking(true).ok()?;
            Some((socket, target.ok()?))
        });
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// Says how it is, for example `READY=1`.
    pub(in crate::app) fn say(&self, state: &str) {
        if let Some((socket, target)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), target)
        {
            tracing::debug!(%error, "the supervisor does not listen");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_hears_by_path_and_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("teamchat-archive-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (listener, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), OsString::from(format!("@{name}"))),
        ] {
            listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let supervisor = Supervisor::new(Some(&address), Some(Duration::from_secs(1)));
            assert_eq!(supervisor.watchdog, Some(Duration::from_secs(1)));
            supervisor.say("READY=1");
            let mut heard = [0; 64];
            let length = listener.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"READY=1");
        }
        let nobody = Supervisor::new(Some(&folder.path().join("gone").into_os_string()), None);
        nobody.say("READY=1");
        assert_eq!(Supervisor::new(None, Some(Duration::from_secs(1))).watchdog, None);
    }
}
