//! Signing in again without a person, through the library: in the middle of a pass, with a clock that
//! is moved, and against servers that ask for more than a password or let in somebody else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use teamchat_archive::api::{Connection, Credentials, Patience};
use teamchat_archive::app::{self, Archive, NewArchive};
use teamchat_archive::config::Environment;
use teamchat_archive::crawl::{Options, Progress, Summary};
use teamchat_archive::model::{Clock, UtcTime};
use teamchat_archive::sandbox::{self, Running};
use teamchat_archive::store::Reader;
use teamchat_archive::store::keys::AccountFile;
use teamchat_archive::verify::{self, Depth};

use crate::crawl::seed;
use crate::stub::Stub;
use crate::support::{World, differences, fold};

const ANN: &str = "ann@harbour.example";
const EVA: &str = "eva@harbour.example";
const HOUR: i64 = 3_600_000;

/// An archive whose account has kept its password.
struct Kept {
    archive: Archive,
    connection: Arc<Connection>,
    clock: Clock,
    _folder: tempfile::TempDir,
}

impl Kept {
    async fn new(server: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let new = NewArchive {
            root: &folder.path().join("archive"),
            server,
            pin: None,
            ca: None,
            keys_dir: Some(folder.path().join("keys")),
        };
        let clock = Clock::set(1_800_000_000_000);
        let archive = app::create(&new, &Environment::default(), &clock).await.unwrap();
        let connection = archive.connect(Patience::brief(), Some(0.0)).unwrap();
        let credentials = Credentials::Digest { username: ANN.to_owned(), password: password.to_owned().into() };
        let file = AccountFile {
            username: String::new(),
            user_id: String::new(),
            token: String::new(),
            password: Some(password.to_owned()),
            plain: false,
            live: false,
            disabled: false,
            reason: None,
        };
        archive.login(&connection, Some(ANN), &credentials, file).await.unwrap();
        Self { archive, connection, clock, _folder: folder }
    }

    /// Enrols another account, whose password is not kept.
    async fn enrol(&self, user: &str, token: String) {
        let file = AccountFile { password: None, ..self.archive.keys.account(ANN).unwrap() };
        let credentials = Credentials::Token(token.into());
        self.archive.login(&self.connection, Some(user), &credentials, file).await.unwrap();
    }

    async fn crawl(&self, progress: &dyn Progress) -> Result<Summary, app::Error> {
        let accounts = self.archive.accounts(&[], &self.connection).unwrap();
        self.archive.crawl(&accounts, &Options { clock: self.clock.clone(), ..Options::default() }, progress).await
    }

    /// A crawl that the server refuses; why, as the account's row has it.
    async fn refused(&self) -> String {
        let error = self.crawl(&()).await.unwrap_err().to_string();
        assert!(error.contains("does not accept"), "{error}");
        let row = self.archive.reader.accounts().unwrap().remove(0);
        assert_eq!(row.state, "needs_login");
        row.reason.unwrap()
    }

    fn wait(&self, ms: i64) {
        let Clock::Set(now) = &self.clock else { panic!("the clock is set") };
        now.fetch_add(ms, Ordering::Relaxed);
    }

    fn token(&self) -> String {
        self.archive.keys.account(ANN).unwrap().token
    }

    fn check(&self) {
        let key = self.archive.keys.ledger_vkey();
        let report = verify::check(&self.archive.reader, Depth::Full, key.as_ref(), &mut |_, _| {}).unwrap();
        assert!(report.ok, "{:?}", report.findings);
    }
}

/// Takes all tokens away when the first channel is done.
struct Revoking<'a> {
    running: &'a Running,
    is_done: AtomicBool,
}

impl Progress for Revoking<'_> {
    fn done(&self) {
        if !self.is_done.swap(true, Ordering::Relaxed) {
            self.running.workspace().revoke_all(ANN).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_in_the_middle_of_a_pass_does_not_end_the_crawl() {
    let running = sandbox::start(seed(30), sandbox::Options::default()).await.unwrap();
    let kept = Kept::new(&running.url, &running.password).await;
    let before = kept.token();
    let summary = kept.crawl(&Revoking { running: &running, is_done: AtomicBool::new(false) }).await.unwrap();
    assert_eq!((summary.result, summary.gaps, summary.debts), ("complete", 0, 0), "{summary:?}");
    assert_eq!(summary.messages.new, 30 + 9 + 5 + 3, "each message is counted in one of the two runs: {summary:?}");
    assert_eq!(summary.records.last, Some(kept.archive.reader.head().unwrap() - 1));
    assert_ne!(kept.token(), before);
    let visible = World::of(&running).as_seen_by(&running, ANN).visible().await;
    assert_eq!(differences(&fold(&kept.archive.reader), &running, &visible, true), Vec::<String>::new());
    kept.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_signed_in_again_leaves_the_crawl_partial() {
    let running = sandbox::start(seed(30), sandbox::Options::default()).await.unwrap();
    let kept = Kept::new(&running.url, &running.password).await;
    let workspace = running.workspace();
    kept.enrol(EVA, workspace.token_for(EVA).unwrap()).await;
    assert_eq!(kept.crawl(&()).await.unwrap().result, "complete");
    for user in [ANN, EVA] {
        workspace.revoke_all(user).unwrap();
    }
    // Nobody got through at first, and Ann did in the end.
    let summary = kept.crawl(&()).await.unwrap();
    let refused: Vec<(String, String)> = summary.refused_accounts.clone().into_iter().collect();
    assert_eq!(refused, [(EVA.to_owned(), "token_revoked".to_owned())], "{summary:?}");
    assert_eq!(summary.result, "partial", "{summary:?}");
    let states: Vec<String> = kept.archive.reader.accounts().unwrap().into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["ok", "needs_login"]);
    kept.check();
    running.stop().await;
}

/// A server that knows one account and accepts its token until it is revoked. What it says to the
/// second and later tries to sign in is the test's.
struct Door {
    stub: Stub,
    is_revoked: Arc<AtomicBool>,
    sign_ins: Arc<AtomicUsize>,
    /// The archive, for whoever wants to know what it says at the moment of the last try.
    archive: Arc<Mutex<Option<Reader>>>,
    noted: Arc<Mutex<Option<UtcTime>>>,
}

impl Door {
    async fn start(later: Value, who: &'static str) -> Self {
        let (is_revoked, sign_ins) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (archive, noted): (Arc<Mutex<Option<Reader>>>, Arc<Mutex<Option<UtcTime>>>) = Default::default();
        let (revoked, tries) = (Arc::clone(&is_revoked), Arc::clone(&sign_ins));
        let (reader, at_last) = (Arc::clone(&archive), Arc::clone(&noted));
        let answer = move |method: &str, parameters: &HashMap<String, String>| {
            let is_old = parameters.get("token").is_some_and(|token| token == "first");
            let reply = match method {
                "api.test" => json!({"ok": true}),
                "iwauthentication.login.digest" if !parameters.contains_key("response") => json!({
                    "ok": true, "realm": "r", "qop": "auth", "nonce": "n", "algorithm": "MD5-Sess",
                    "method": "authenticate", "authorized": "false",
                }),
                "iwauthentication.login.digest" => match tries.fetch_add(1, Ordering::Relaxed) {
                    0 => json!({"ok": true, "authorized": "true", "token": "first"}),
                    _ => {
                        let reader = reader.lock().unwrap();
                        *at_last.lock().unwrap() =
                            reader.as_ref().and_then(|reader| reader.mark(&format!("sign_in {ANN}")).unwrap());
                        later.clone()
                    }
                },
                _ if is_old && revoked.load(Ordering::Relaxed) => json!({"ok": false, "error": "token_revoked"}),
                "auth.test" => {
                    let user = if is_old { ANN } else { who };
                    json!({"ok": true, "user": user, "user_id": user, "url": "/"})
                }
                "users.list" => json!({"ok": true, "members": []}),
                "channels.list" => json!({"ok": true, "channels": []}),
                "im.list" => json!({"ok": true, "ims": []}),
                _ => json!({"ok": false, "error": "unknown_method"}),
            };
            reply.to_string().into_bytes()
        };
        Self { stub: Stub::start(answer).await, is_revoked, sign_ins, archive, noted }
    }

    /// An archive of it, and the token is no longer good.
    async fn closed(&self) -> Kept {
        let kept = Kept::new(&self.stub.url, "secret").await;
        self.is_revoked.store(true, Ordering::Relaxed);
        *self.archive.lock().unwrap() = Some(kept.archive.reader.clone());
        kept
    }

    /// Tries to sign in after the first, which succeeded.
    fn tries(&self) -> usize {
        self.sign_ins.load(Ordering::Relaxed) - 1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_refused_is_tried_again_after_an_hour() {
    let door = Door::start(json!({"ok": false, "error": "invalid_auth"}), ANN).await;
    let kept = door.closed().await;
    assert!(kept.refused().await.contains("invalid_auth"));
    kept.wait(HOUR - 1);
    let reason = kept.refused().await;
    assert!(reason.starts_with("token_revoked; ") && reason.contains("once an hour"), "{reason}");
    assert_eq!(door.tries(), 1);
    kept.wait(1);
    assert!(kept.refused().await.contains("invalid_auth"));
    assert_eq!(door.tries(), 2);
    // When the server answers, the try stands in the archive: a death right then repeats none.
    assert_eq!(*door.noted.lock().unwrap(), Some(kept.clock.now()));
    kept.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_second_factor_was_asked_for_only_a_person_signs_in() {
    let door = Door::start(json!({"ok": false, "error": "two_step_required"}), ANN).await;
    let kept = door.closed().await;
    for _ in 0..3 {
        let reason = kept.refused().await;
        assert!(reason.contains("only a person"), "{reason}");
        kept.wait(2 * HOUR);
    }
    assert_eq!(door.tries(), 1);
    // A person signs in, and the account is crawled with; what was asked for then is no more.
    door.is_revoked.store(false, Ordering::Relaxed);
    assert_eq!(kept.crawl(&()).await.unwrap().refused_accounts.len(), 0);
    door.is_revoked.store(true, Ordering::Relaxed);
    kept.wait(2 * HOUR);
    kept.refused().await;
    assert_eq!(door.tries(), 2);
    kept.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_opens_another_account_opens_nothing() {
    let granted = json!({"ok": true, "authorized": "true", "token": "second"});
    let door = Door::start(granted.clone(), "bob@harbour.example").await;
    let kept = door.closed().await;
    let reason = kept.refused().await;
    assert!(reason.contains("bob@harbour.example") && reason.contains("never mixed"), "{reason}");
    assert_eq!((door.tries(), kept.token().as_str()), (1, "first"));
    kept.check();

    let door = Door::start(granted, "Ann@Harbour.example").await;
    let kept = door.closed().await;
    kept.crawl(&()).await.unwrap();
    assert_eq!((door.tries(), kept.token().as_str()), (1, "second"), "the same person, written otherwise");
    kept.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_not_signed_in_again() {
    let door = Door::start(json!({"ok": false, "error": "invalid_auth"}), ANN).await;
    let kept = door.closed().await;
    let accounts = kept.archive.accounts(&[], &kept.connection).unwrap();
    let file = AccountFile { disabled: true, ..kept.archive.keys.account(ANN).unwrap() };
    kept.archive.keys.store_account(ANN, &file).unwrap();
    let outcome = kept.archive.crawl(&accounts, &Options::default(), &()).await;
    assert!(outcome.unwrap_err().to_string().contains("does not accept"));
    assert_eq!(door.tries(), 0);
    kept.check();
}
