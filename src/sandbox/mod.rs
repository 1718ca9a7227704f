//! A simulated `TeamChat` server: a model of a workspace, not canned replies.
//!
//! It promises what the vendor's reference and the protocol notes say of a server, oddities
//! included, and keeps the truth of all that ever was so that an archive can be compared with it.
//! It shares no wire types with `api`: the two are written apart and held against the same
//! schemas. It must not reach for anything of the archive.

mod atom;
mod control;
pub mod corpus;
mod dice;
mod download;
pub mod faults;
mod filler;
pub mod generate;
pub mod ids;
mod methods;
mod params;
mod rtm;
pub mod seed;
mod server;
pub mod story;
mod ticket;
pub mod workspace;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::faults::Fault;
use self::faults::Faults;
use self::seed::{Action, Seed, SeedMessage};
pub use self::server::{RequestLine, Sandbox};
pub use self::workspace::{InventoryItem, Settings, Workspace};

/// How long open connections may take to end when the sandbox stops.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// How the sandbox runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What goes wrong, and how often (0 to 1).
    pub faults: Vec<(Fault, f64)>,
    /// Serves `/_control/`.
    pub control: bool,
    /// Seed of the chance behind faults.
    pub seed: u64,
    /// Scheme, host and port that clients see, when it isn't the listener itself (a TLS proxy).
    pub origin: Option<String>,
    /// The password of every account; none: a random one.
    pub password: Option<String>,
    /// Variants that the notes leave open.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            faults: Vec::new(),
            control: false,
            seed: 1,
            origin: None,
            password: None,
            settings: Settings { lock_after: 10, ..Settings::default() },
        }
    }
}

/// A workspace with the door to it, not yet listening.
#[derive(Debug)]
pub struct Parts {
    /// All routes; to be served by whoever has a connection, TLS or not.
    pub router: Router,
    /// The workspace behind the routes.
    pub workspace: Arc<Workspace>,
    /// The account of the ready line.
    pub username: String,
    /// Its password.
    pub password: String,
    /// A token for it.
    pub token: String,
    stop: CancellationToken,
}

impl Parts {
    /// Ends sockets and answers that wait.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// Builds a workspace and its routes. `origin` is what absolute addresses begin with, for
/// example `https://localhost:8443`.
pub fn router(seed: Seed, options: &Options, origin: &str) -> anyhow::Result<Parts> {
    let username = seed.account.clone();
    let password = options.password.clone().unwrap_or_else(random_hex::<8>);
    let faults = Arc::new(Faults::new(&options.faults, options.seed));
    let workspace = Workspace::new(seed, options.settings, faults, password.clone(), random_bytes())
        .context("can't build the sandbox's workspace")?;
    workspace.change(|state| origin.trim_end_matches('/').clone_into(&mut state.origin));
    let token = workspace.token_for(&username)?;
    let workspace = Arc::new(workspace);
    let stop = CancellationToken::new();
    let sandbox = Arc::new(Sandbox::new(Arc::clone(&workspace), stop.clone()));
    Ok(Parts { router: server::router(sandbox, options.control), workspace, username, password, token, stop })
}

/// A sandbox that listens.
#[derive(Debug)]
pub struct Running {
    /// The base address, for example `http://127.0.0.1:4321/teamchatapi/`.
    pub url: String,
    /// The account that sees the whole workspace.
    pub username: String,
    /// Its password.
    pub password: String,
    /// A token for it.
    pub token: String,
    workspace: Arc<Workspace>,
    later: Vec<Action>,
    chatter: Vec<SeedMessage>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Starts a sandbox for a seed.
pub async fn start(mut seed: Seed, options: Options) -> anyhow::Result<Running> {
    let listener =
        TcpListener::bind(options.listen).await.with_context(|| format!("can't listen on {}", options.listen))?;
    let address = listener.local_addr().context("can't tell the address")?;
    let origin = options.origin.clone().unwrap_or_else(|| format!("http://{address}"));
    // The builder still looks at it: a file that is posted later isn't shared yet.
    let later = seed.later.clone();
    let chatter = std::mem::take(&mut seed.chatter);
    let url = format!("{}/teamchatapi/", origin.trim_end_matches('/'));
    let parts = tokio::task::spawn_blocking(move || router(seed, &options, &origin))
        .await
        .context("the workspace's thread ended")??;
    let tasks = TaskTracker::new();
    let stop = parts.stop.clone();
    let served = axum::serve(listener, parts.router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tasks.spawn(async move {
        let late = {
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                tokio::time::sleep(STOP_DEADLINE).await;
            }
        };
        tokio::select! {
            ended = served => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the sandbox's listener failed");
                }
            }
            () = late => {}
        }
    });
    Ok(Running {
        url,
        username: parts.username,
        password: parts.password,
        token: parts.token,
        workspace: parts.workspace,
        later,
        chatter,
        stop: parts.stop,
        tasks,
    })
}

impl Running {
    /// The living workspace.
    pub fn workspace(&self) -> Arc<Workspace> {
        Arc::clone(&self.workspace)
    }

    /// Sets how often a fault happens.
    pub fn set_fault(&self, fault: Fault, rate: f64) {
        self.workspace.set_faults(&[(fault, rate)]);
    }

    /// Cuts every open real-time socket, without a goodbye. Returns how many there were.
    pub fn cut_sockets(&self) -> usize {
        self.workspace.cut_sockets()
    }

    /// Every room and every person, the hidden ones too.
    pub fn inventory(&self) -> Vec<InventoryItem> {
        self.workspace.inventory()
    }

    /// Applies what the seed keeps for later.
    pub fn play_later(&self) -> anyhow::Result<()> {
        for (number, action) in self.later.iter().enumerate() {
            self.workspace.apply(action.clone()).with_context(|| format!("can't play action {number} of the seed"))?;
        }
        Ok(())
    }

    /// Lets the workspace live: something is posted, edited or deleted in turn until it stops.
    pub fn live(&self, every: Duration) {
        let workspace = self.workspace();
        let chatter = self.chatter.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut life = Life::new(chatter);
            let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => life.step(&workspace),
                }
            }
        });
    }

    /// Stops listening and ends all that runs.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The rhythm of a living workspace: two posts, an edit of the second, and the first goes.
#[derive(Debug)]
struct Life {
    chatter: Vec<SeedMessage>,
    step: usize,
    said: usize,
    recent: Vec<(String, String)>,
}

impl Life {
    fn new(chatter: Vec<SeedMessage>) -> Self {
        Self { chatter, step: 0, said: 0, recent: Vec::new() }
    }

    fn step(&mut self, workspace: &Workspace) {
        let phase = self.step % 4;
        self.step += 1;
        let done = match (phase, self.recent.as_slice()) {
            (2, [.., (channel, ts)]) => {
                let text = format!("{} (edited)", self.text(self.said.saturating_sub(1)));
                workspace.edit(channel, ts, None, &text)
            }
            (3, [(channel, ts), ..]) => {
                let done = workspace.delete(channel, ts, None);
                self.recent.clear();
                done
            }
            _ => self.post(workspace),
        };
        // Somebody else may have removed the message or the channel: life goes on.
        if let Err(refusal) = done {
            tracing::debug!(%refusal, "a step of the sandbox's life was refused");
        }
    }

    fn text(&self, number: usize) -> String {
        match self.chatter.get(number % self.chatter.len().max(1)) {
            Some(line) => line.text.clone(),
            None => format!("still here, line {number}"),
        }
    }

    fn post(&mut self, workspace: &Workspace) -> workspace::Outcome<()> {
        let text = self.text(self.said);
        let line = self.chatter.get(self.said % self.chatter.len().max(1));
        self.said += 1;
        let (channel, user) = match line {
            Some(line) => (line.channel.clone(), line.user.clone()),
            None => workspace.somewhere().ok_or(workspace::Refusal("channel_not_found"))?,
        };
        let ts = workspace.post(&channel, &user, &text)?;
        self.recent.push((channel, ts));
        Ok(())
    }
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("an operating system gives random bytes");
    bytes
}

/// `N` random bytes as lower-case hex.
fn random_hex<const N: usize>() -> String {
    ids::hex(&random_bytes::<N>())
}

/// A token as the vendor's server makes them.
fn new_token() -> String {
    format!("xoxp-{}", random_hex::<32>())
}
