//! Keepers of checkpoints for tests: a C2SP witness that does what its specification says, and a
//! time-stamping authority that is `openssl ts`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use teamchat_archive::ledger::{Checkpoint, CosigningKey, Note, VerifierKey, empty_root, verify_consistency};
use teamchat_archive::model::Digest;
use tokio::task::AbortHandle;

/// Serves until it is dropped.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(router: Router) -> (String, Task) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}"), Task(task.abort_handle()))
}

/// What a witness remembers. Each request is judged and remembered under one lock, before it is
/// answered.
#[derive(Default)]
struct Memory {
    /// The logs it knows, by origin.
    logs: HashMap<String, VerifierKey>,
    /// The newest checkpoint that it cosigned of each.
    seen: HashMap<String, (u64, Digest)>,
    /// The first line of each request, and how many proof lines followed.
    asked: Vec<(String, usize)>,
    /// The status of the last answer.
    answered: u16,
}

/// A witness.
#[derive(Clone)]
pub(crate) struct Witness {
    pub(crate) url: String,
    key: Arc<CosigningKey>,
    memory: Arc<Mutex<Memory>>,
    _task: Arc<Task>,
}

impl Witness {
    /// One that knows no log yet.
    pub(crate) async fn start(name: &str) -> Self {
        let key = Arc::new(CosigningKey::new(name, [0x77; 32]).unwrap());
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let state = (Arc::clone(&key), Arc::clone(&memory));
        let handle = |State((key, memory)): State<(Arc<CosigningKey>, Arc<Mutex<Memory>>)>, body: Bytes| async move {
            let mut memory = memory.lock().unwrap();
            let answer = judge(&key, &mut memory, &body);
            memory.answered = answer.status().as_u16();
            answer
        };
        let router = Router::new().route("/prefix/add-checkpoint", post(handle)).with_state(state);
        let (base, task) = serve(router).await;
        Self { url: format!("{base}/prefix"), key, memory, _task: Arc::new(task) }
    }

    pub(crate) fn vkey(&self) -> String {
        self.key.verifier().to_text()
    }

    /// From now on it knows the log of this key.
    pub(crate) fn knows(&self, log: &VerifierKey) {
        self.memory.lock().unwrap().logs.insert(log.name().to_owned(), log.clone());
    }

    /// What it has seen of a log: size and root.
    pub(crate) fn seen(&self, origin: &str) -> Option<(u64, Digest)> {
        self.memory.lock().unwrap().seen.get(origin).copied()
    }

    /// Makes it believe that it has seen this.
    pub(crate) fn believes(&self, origin: &str, seen: Option<(u64, Digest)>) {
        let mut memory = self.memory.lock().unwrap();
        match seen {
            Some(seen) => drop(memory.seen.insert(origin.to_owned(), seen)),
            None => drop(memory.seen.remove(origin)),
        }
    }

    /// What it was asked so far: first lines, and numbers of proof lines.
    pub(crate) fn asked(&self) -> Vec<(String, usize)> {
        self.memory.lock().unwrap().asked.clone()
    }

    /// The status of its last answer.
    pub(crate) fn answered(&self) -> u16 {
        self.memory.lock().unwrap().answered
    }
}

/// A request that is not of the form of the specification, or what it asks.
fn parse(body: &[u8]) -> Option<(u64, Vec<Digest>, Note)> {
    let text = std::str::from_utf8(body).ok()?;
    let (head, note) = text.split_once("\n\n")?;
    let mut lines = head.split('\n');
    let old = lines.next()?.strip_prefix("old ")?;
    let old: u64 = old.parse().ok().filter(|size: &u64| size.to_string() == old)?;
    let path: Vec<Digest> = lines.map(|line| Digest::from_slice(&BASE64.decode(line).ok()?)).collect::<Option<_>>()?;
    Some((old, path, Note::parse(note.as_bytes()).ok()?)).filter(|(_, path, _)| path.len() <= 63)
}

fn judge(key: &CosigningKey, memory: &mut Memory, body: &[u8]) -> Response {
    let Some((old, path, note)) = parse(body) else { return StatusCode::BAD_REQUEST.into_response() };
    memory.asked.push((format!("old {old}"), path.len()));
    let Ok(checkpoint) = Checkpoint::parse(note.text()) else { return StatusCode::BAD_REQUEST.into_response() };
    let Some(log) = memory.logs.get(&checkpoint.origin) else { return StatusCode::NOT_FOUND.into_response() };
    if note.verify(log).is_err() {
        return StatusCode::FORBIDDEN.into_response();
    }
    if old > checkpoint.size {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let (size, root) = memory.seen.get(&checkpoint.origin).copied().unwrap_or((0, empty_root()));
    if old != size {
        return (StatusCode::CONFLICT, [("content-type", "text/x.tlog.size")], format!("{size}\n")).into_response();
    }
    if old == checkpoint.size && root != checkpoint.root {
        return StatusCode::CONFLICT.into_response();
    }
    if verify_consistency(old, checkpoint.size, &root, &checkpoint.root, &path).is_err() {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    memory.seen.insert(checkpoint.origin, (checkpoint.size, checkpoint.root));
    let other = CosigningKey::new("another.example/w", [0x78; 32]).unwrap();
    // One line by a key that nobody asked for, which is to be passed over.
    let lines = [other.cosign(note.text(), 1_800_000_000), key.cosign(note.text(), 1_800_000_000)];
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_response()
}

/// Runs `openssl` in a folder; what it printed. Fails the test when it fails and should not.
pub(crate) fn openssl(folder: &Path, args: &[&str]) -> Result<String, String> {
    let out = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.success() { Ok(text) } else { Err(text) }
}

/// A time-stamping authority with a certificate of its own.
pub(crate) struct Authority {
    pub(crate) url: String,
    folder: PathBuf,
    /// Requests and answers.
    exchanged: Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>,
    _task: Task,
}

impl Authority {
    /// Makes keys and certificates in `folder` and serves. `digests` are those that it accepts.
    pub(crate) async fn start(folder: &Path, digests: &str) -> Self {
        fs_err::create_dir_all(folder).unwrap();
        let config = format!(
            "[tsa]\ndefault_tsa = authority\n[authority]\nserial = serial\nsigner_cert = stamp.pem\nsigner_key = stamp.key\n\
             signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = {digests}\naccuracy = secs:1\nordering = yes\n\
             tsa_name = yes\ness_cert_id_alg = sha256\n"
        );
        fs_err::write(folder.join("authority.cnf"), config).unwrap();
        fs_err::write(folder.join("serial"), "01\n").unwrap();
        fs_err::write(folder.join("purpose.cnf"), "extendedKeyUsage = critical,timeStamping\n").unwrap();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let root = ["-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Root of a test", "-days", "30"];
        openssl(folder, &[&["req", "-x509"], &key[..], &root].concat()).unwrap();
        let stamp = ["-keyout", "stamp.key", "-out", "stamp.csr", "-subj", "/CN=Time of a test"];
        openssl(folder, &[&["req"], &key[..], &stamp].concat()).unwrap();
        let signed = ["-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "30", "-out", "stamp.pem"];
        let purpose = ["-extfile", "purpose.cnf"];
        openssl(folder, &[&["x509", "-req", "-in", "stamp.csr"], &signed[..], &purpose].concat()).unwrap();

        let exchanged: Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>> = Arc::default();
        let state = (folder.to_owned(), Arc::clone(&exchanged));
        type Shared = (PathBuf, Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>);
        let handle = |State((folder, exchanged)): State<Shared>, headers: HeaderMap, body: Bytes| async move {
            if headers["content-type"] != "application/timestamp-query" {
                return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
            }
            let mut exchanged = exchanged.lock().unwrap();
            fs_err::write(folder.join("request.tsq"), &body).unwrap();
            let reply = ["ts", "-reply", "-config", "authority.cnf", "-queryfile", "request.tsq", "-out", "reply.tsr"];
            openssl(&folder, &reply).unwrap();
            let answer = fs_err::read(folder.join("reply.tsr")).unwrap();
            exchanged.push((body.to_vec(), answer.clone()));
            ([("content-type", "application/timestamp-reply")], answer).into_response()
        };
        let (url, task) = serve(Router::new().route("/stamp", post(handle)).with_state(state)).await;
        Self { url: format!("{url}/stamp"), folder: folder.to_owned(), exchanged, _task: task }
    }

    /// Requests and answers so far.
    pub(crate) fn exchanged(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.exchanged.lock().unwrap().clone()
    }

    /// What `openssl ts -verify` says of an answer about these bytes.
    pub(crate) fn verify(&self, answer: &[u8], data: &[u8]) -> Result<String, String> {
        fs_err::write(self.folder.join("kept.tsr"), answer).unwrap();
        fs_err::write(self.folder.join("data"), data).unwrap();
        openssl(&self.folder, &["ts", "-verify", "-data", "data", "-in", "kept.tsr", "-CAfile", "root.pem"])
    }

    /// How `openssl ts` reads a request.
    pub(crate) fn describe(&self, request: &[u8]) -> String {
        fs_err::write(self.folder.join("described.tsq"), request).unwrap();
        openssl(&self.folder, &["ts", "-query", "-in", "described.tsq", "-text"]).unwrap()
    }
}
