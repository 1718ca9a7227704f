//! The TeamChat client: what crosses the network to the archived server, and nothing else does.
//!
//! Two facts of the API carry everything here (protocol notes 1.1 and 3): replies come with
//! status 200 and an `ok` member whatever happened, and their fields are spelled now one way, now
//! another. So every reply is judged by its body, and every field is read tolerantly, while the
//! exact bytes of each item are kept beside the parsed view.
//!
//! [`Reader`] has no method that writes; it is all that a crawl can hold. [`Operator`] has the
//! rest of the 55 documented methods. [`Socket`] listens to what happens and says nothing but
//! pings.

mod atom;
mod download;
mod error;
mod limit;
mod login;
mod meaning;
mod operator;
mod page;
mod reader;
mod retry;
mod rtm;
mod tls;
pub mod tolerant;
mod transport;
pub mod wire;

pub use atom::{AtomEntry, AtomFeed, TextForm, Tombstone};
pub use download::{Download, DownloadError, Sink, Transfer};
pub use error::Error;
pub use limit::Politeness;
pub use login::{Credentials, LoggedIn, digest_response};
pub use meaning::{ChannelChange, Meaning, meaning};
pub use operator::{Operator, Target};
pub use page::{Item, Page, Reply};
pub use reader::{HistoryWindow, Reader};
pub use retry::Patience;
pub use rtm::{Event, Pace, Socket, is_noise};
pub use tls::{Trust, presented_fingerprint};
pub use transport::{Connection, MAX_PAUSED, Meter, ServerOptions};
