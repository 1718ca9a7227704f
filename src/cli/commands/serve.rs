use std::net::SocketAddr;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::net::TcpListener;

use crate::app::{AccessSigner, Archive};
use crate::cli::output::Output;
use crate::cli::{CliError, Context, Exit, front};
use crate::store::access::SETUP_MINUTES;
use crate::store::keys::Keys;
use crate::web::{Check, Inventory, Listening, Web, router};

/// The audit UI and the read-only TeamChat API
///
/// Works beside a running crawl. While nobody has an account it prints an address where the first one is made, once and
/// within 30 minutes; others are made on its page of accounts or with `user add`. Programs need a token made with
/// `token create`. Other machines reach it when somebody has an account and `web.tls_certificate` and `web.tls_key` of
/// archive.toml name a certificate, or `web.trusted_proxies` a proxy that speaks TLS. With --json the first line is
/// `{"url","setup_url"}`, the latter null once there is an account.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive serve\n  teamchat-archive serve --listen 127.0.0.1:0 --json\n  teamchat-archive serve --listen 0.0.0.0:8443"
)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// A server that listens.
pub(super) struct Serving {
    pub(super) url: String,
    /// Where the first account is made, while there is none.
    setup_url: Option<String>,
    listening: Listening,
    signer: Option<AccessSigner>,
    keys: Keys,
}

/// What checks the archive when a page asks for it.
fn checks(archive: &Archive) -> Arc<Check> {
    let archive = archive.clone();
    Arc::new(move |depth, progress| archive.check_beside(depth, progress))
}

/// The inventory, read again each time: the next crawl may bring another.
fn inventory(archive: &Archive) -> Arc<Inventory> {
    let archive = archive.clone();
    Arc::new(move || archive.inventory().map_err(|error| error.to_string()))
}

/// Opens the web side of an archive on an address.
pub(super) async fn open(archive: &Archive, listen: SocketAddr, output: &Output) -> Result<Serving, CliError> {
    let (access, signer) = archive.open_access()?;
    front::refuse_open_door(listen, &access, &archive.config.web)?;
    let encryption = front::encryption(&archive.config.web)?;
    let web = Web::new(archive.reader.clone(), access.clone(), archive.config.zone(), archive.clock.clone())?
        .with_front(front::front(archive, output)?)
        .with_setup_file(archive.keys.setup_token_path())
        .with_factor_key(front::factor_key(archive, &access, output)?)
        .with_policy(archive.exclusions(), archive.disabled_accounts()?)
        .with_exports_dir(archive.config.web.exports_dir.clone())
        .with_check(checks(archive))
        .with_inventory(inventory(archive));
    #[cfg(feature = "oidc")]
    let web = web.with_provider(front::provider(archive)?);
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        CliError::other(format!("can't listen on {listen}: {error}"))
            .hint("another program may use the port; `--listen 127.0.0.1:0` takes a free one")
    })?;
    let scheme = if encryption.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}/", listener.local_addr()?);
    // Last: a token is given where it can be used.
    let token = front::setup_token(archive, &access, output)?;
    let setup_url = token.map(|token| format!("{url}setup#token={}", token.expose_secret()));
    let listening = Listening::new(listener, router(Arc::new(web)), encryption, &archive.config.web.trusted_proxies);
    Ok(Serving { url, setup_url, listening, signer, keys: archive.keys.clone() })
}

impl Serving {
    /// Serves until the process is asked to end, and signs the access log meanwhile and at the end, which no client can
    /// put off.
    pub(super) async fn until_stopped(self, stopped: impl Future<Output = ()>) -> Result<(), CliError> {
        let serving = self.listening.until(stopped);
        match self.signer {
            Some(signer) => signer.during(serving).await,
            None => serving.await,
        }
        if self.setup_url.is_some() {
            // Used or not: the next `serve` gives another.
            self.keys.remove_setup_token()?;
        }
        Ok(())
    }
}

/// Ctrl-C or SIGTERM, heard from the call on: whoever reads that a command is ready may ask it to end.
pub(super) fn stopped() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        match signals {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            // Without a handler the system ends the process by itself.
            _ => std::future::pending().await,
        }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    context.block_on(async {
        let serving = open(&archive, args.listen, &context.output).await?;
        let stopped = stopped();
        if context.output.json {
            context.output.json_line(&json!({"url": serving.url, "setup_url": serving.setup_url}))?;
        } else {
            context.output.data(&format!("serving on {}", serving.url))?;
            if let Some(setup_url) = &serving.setup_url {
                context.output.data(&format!("nobody has an account yet: make the first one at {setup_url}"))?;
                context.output.say(&format!(
                    "the address holds for {SETUP_MINUTES} minutes and once; its token lies in {}, too",
                    archive.keys.setup_token_path().display()
                ));
            }
            context.output.say("Ctrl-C ends it");
        }
        serving.until_stopped(stopped).await
    })??;
    Ok(Exit::Done)
}
