use std::time::Duration;

use crate::model::Digest;

/// Why a call did not give what was asked. No variant ever holds a token, a ticket or a password.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nothing answered, or the line broke, until patience ran out.
    #[error("can't reach {host}: {detail} ({tries} tries in {}s)", .elapsed.as_secs())]
    Unreachable {
        /// Host and port.
        host: String,
        /// The last failure.
        detail: String,
        /// How often it was tried.
        tries: u32,
        /// For how long.
        elapsed: Duration,
    },
    /// Something answers there, but not TeamChat.
    #[error("{url} does not answer as TeamChat does: {detail}")]
    NotTeamChat {
        /// The base URL.
        url: String,
        /// What it said.
        detail: String,
    },
    /// The server's certificate is not trusted.
    #[error("the certificate of {host} is not trusted: {detail}")]
    Untrusted {
        /// Host and port.
        host: String,
        /// What rustls said.
        detail: String,
        /// SHA-256 of the public key that was presented, when it could be read.
        fingerprint: Option<Digest>,
    },
    /// The server refused the call with this code.
    #[error("{method} was refused: {code}")]
    Refused {
        /// Which method.
        method: String,
        /// The server's `error`.
        code: String,
    },
    /// The token or the password does not open the account any more.
    #[error("the server does not accept this account: {code}")]
    Auth {
        /// The server's `error`.
        code: String,
    },
    /// The reply could not be used, again and again.
    #[error("{method} answered something that is no reply: {detail}")]
    Broken {
        /// Which method.
        method: String,
        /// What was wrong with it.
        detail: String,
    },
    /// The real-time connection could not be opened, or it ended. What happened since has to be
    /// asked for.
    #[error("the real-time connection to {host} ended: {detail}")]
    Disconnected {
        /// Host and port.
        host: String,
        /// Why.
        detail: String,
    },
    /// Settings that cannot be used.
    #[error("{0}")]
    Settings(String),
}

impl Error {
    /// Whether trying again later, without changing anything, can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. } | Self::Disconnected { .. })
    }

    /// The server's code, if it refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } | Self::Auth { code } => Some(code),
            _ => None,
        }
    }
}

/// Codes that mean the account, not the call, is refused (protocol notes 2.1).
pub(super) fn is_auth_code(code: &str) -> bool {
    matches!(
        code,
        "not_authed" | "invalid_auth" | "account_inactive" | "token_revoked" | "token_expired" | "stale_nonce"
    )
}

/// Codes that pass by themselves.
pub(super) fn is_passing_code(code: &str) -> bool {
    matches!(
        code,
        "ratelimited"
            | "fatal_error"
            | "internal_error"
            | "request_timeout"
            | "service_unavailable"
            | "team_added_to_org"
            | "migration_in_progress"
    )
}
