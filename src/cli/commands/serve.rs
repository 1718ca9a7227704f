use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::net::TcpListener;

use crate::app::{AccessSigner, Archive};
use crate::cli::{CliError, Context, Exit};
use crate::web::{Web, router};

/// The audit UI and the read-only TeamChat API
///
/// Works beside a running crawl. Sign-in needs an account made with `user add`; programs need a
/// token made with `token create`. Until TLS can be configured it listens on this machine only:
/// put a TLS proxy before it for others.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  teamchat-archive serve\n  teamchat-archive serve --listen 127.0.0.1:0 --json")]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// A server that listens.
pub(super) struct Serving {
    pub(super) url: String,
    listener: TcpListener,
    app: axum::Router,
    signer: Option<AccessSigner>,
}

/// Opens the web side of an archive on an address.
pub(super) async fn open(archive: &Archive, listen: SocketAddr) -> Result<Serving, CliError> {
    if !listen.ip().is_loopback() {
        return Err(CliError::usage(format!(
            "{listen} can be reached from other machines, and what is served is not encrypted"
        ))
        .hint("listen on 127.0.0.1 and put a proxy that speaks TLS before it"));
    }
    let (access, signer) = archive.open_access()?;
    let web = Web::new(archive.reader.clone(), access, archive.config.zone(), archive.clock.clone())?
        .with_public_url(archive.config.web.public_url.clone())
        .with_policy(archive.exclusions(), archive.disabled_accounts()?);
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        CliError::other(format!("can't listen on {listen}: {error}"))
            .hint("another program may use the port; `--listen 127.0.0.1:0` takes a free one")
    })?;
    let url = format!("http://{}/", listener.local_addr()?);
    Ok(Serving { url, listener, app: router(Arc::new(web)), signer })
}

impl Serving {
    /// Serves until the process is asked to end, and signs the access log meanwhile and at the end.
    pub(super) async fn until_stopped(
        self,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), CliError> {
        // The access log names who asks.
        let app = self.app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(self.listener, app).with_graceful_shutdown(stopped);
        match self.signer {
            Some(signer) => signer.during(serving.into_future()).await?,
            None => serving.await?,
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
        let serving = open(&archive, args.listen).await?;
        let stopped = stopped();
        if context.output.json {
            context.output.json_line(&json!({"url": serving.url, "setup_url": null}))?;
        } else {
            context.output.data(&format!("serving on {}", serving.url))?;
            context.output.say("Ctrl-C ends it");
        }
        serving.until_stopped(stopped).await
    })??;
    Ok(Exit::Done)
}
