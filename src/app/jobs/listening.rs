use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{Archive, Error};
use crate::crawl::{Account, Heard, Hints, Listener, Notice};
use crate::model::Digest;
use crate::store::Appender;

/// Notices that may wait to be read.
const NOTICES: usize = 64;

/// The listeners of a watch: one for each account that is marked live.
pub(in crate::app) struct Listening {
    appender: Appender,
    run: u64,
    sender: mpsc::Sender<Notice>,
    /// How their connections fare.
    pub(in crate::app) notices: mpsc::Receiver<Notice>,
    /// What they heard.
    pub(in crate::app) heard: Arc<Heard>,
    ears: BTreeMap<String, Ear>,
}

struct Ear {
    /// Of the token it listens with.
    token: Digest,
    hints: Arc<Hints>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listening {
    pub(in crate::app) fn new(appender: &Appender, run: u64) -> Self {
        let (sender, notices) = mpsc::channel(NOTICES);
        Self { appender: appender.clone(), run, sender, notices, heard: Arc::default(), ears: BTreeMap::new() }
    }

    /// Listens with those of `accounts` that are marked live now, with the tokens that they have
    /// now, and with no others. The names of those that were begun.
    pub(in crate::app) fn tend(&mut self, archive: &Archive, accounts: &[Account]) -> Result<Vec<String>, Error> {
        let mut live = BTreeMap::new();
        for account in accounts {
            let file = archive.keys.account(&account.name)?;
            if file.live {
                live.insert(account.name.clone(), (account, Digest::of(file.token.as_bytes())));
            }
        }
        self.ears.retain(|name, ear| {
            let is_wanted = live.get(name).is_some_and(|(_, token)| *token == ear.token);
            // One that was refused begins again with a new token only.
            if !is_wanted {
                ear.stop.cancel();
            }
            is_wanted
        });
        let mut begun = Vec::new();
        for (name, (account, token)) in live {
            if self.ears.contains_key(&name) {
                continue;
            }
            let (hints, stop) = (Arc::<Hints>::default(), CancellationToken::new());
            let listener = Listener {
                account: account.clone(),
                store: archive.reader.clone(),
                appender: self.appender.clone(),
                run: self.run,
                exclude: archive.exclusions(),
                hints: Arc::clone(&hints),
                notices: self.sender.clone(),
                heard: Arc::clone(&self.heard),
            };
            let task = tokio::spawn(listener.listen(stop.clone()));
            self.ears.insert(name.clone(), Ear { token, hints, stop, task });
            begun.push(name);
        }
        Ok(begun)
    }

    /// The hints of each account that is listened with.
    pub(in crate::app) fn hints(&self) -> impl Iterator<Item = (&String, &Arc<Hints>)> {
        self.ears.iter().map(|(name, ear)| (name, &ear.hints))
    }

    /// Tells all to stop, and waits until each has kept what it heard and said good-bye.
    pub(in crate::app) async fn stop(self) {
        // A listener that waits to tell something is told that nobody reads it.
        drop(self.notices);
        for ear in self.ears.values() {
            ear.stop.cancel();
        }
        for (_, ear) in self.ears {
            if ear.task.await.is_err() {
                tracing::warn!("a listener did not end in order");
            }
        }
    }
}
