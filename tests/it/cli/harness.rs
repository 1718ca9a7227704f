//! Runs the binary with an environment of its own: a temporary home, a temporary archive, keys
//! beside it, and no variable of the caller. Every wait has a deadline.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use teamchat_archive::sandbox::{self, Running, seed::Seed};

/// The longest that one command may take. Far more than any needs on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);

/// Exit codes of the contract.
pub(crate) const DONE: i32 = 0;
pub(crate) const FAILURE: i32 = 1;
pub(crate) const USAGE: i32 = 2;
pub(crate) const INTEGRITY: i32 = 3;
pub(crate) const INCOMPLETE: i32 = 4;
pub(crate) const REFUSED: i32 = 5;
pub(crate) const TEMPORARY: i32 = 75;

/// Says something to the person who runs the tests, whatever becomes of the test.
#[expect(clippy::print_stderr, reason = "a test that cannot run must say so aloud")]
pub(crate) fn aloud(text: &str) {
    eprintln!("\n*** {text}\n");
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) args: String,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Stdout as one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("no JSON document ({error}): {self}"))
    }

    /// It ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code (left) where the right one is due: {self}");
        self
    }

    /// It ended with this code and told a person all of these things on stderr, with a hint.
    #[track_caller]
    pub(crate) fn expect_error(self, code: i32, words: &[&str]) -> Self {
        let out = self.expect(code);
        for word in words {
            assert!(out.stderr.contains(word), "stderr does not say {word:?}: {out}");
        }
        assert!(out.stderr.contains("error:"), "no error line: {out}");
        assert!(!out.stderr.contains("panicked"), "it panicked: {out}");
        out
    }

    /// And said what to do next.
    #[track_caller]
    pub(crate) fn with_hint(self, word: &str) -> Self {
        let hints: Vec<&str> = self.stderr.lines().filter(|line| line.contains("hint:")).collect();
        assert!(hints.iter().any(|hint| hint.contains(word)), "no hint says {word:?}: {self}");
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text();
        let short: String = text.chars().take(4000).collect();
        let stderr: String = self.stderr.chars().take(4000).collect();
        write!(f, "`{}` ended with {}\n--- stdout\n{short}\n--- stderr\n{stderr}\n---", self.args, self.code)
    }
}

/// A folder with an archive, its keys and a home in it, and how commands are run there.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    /// Variables on top of the usual ones.
    pub(crate) extra: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "tmp"] {
            fs_err::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, extra: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.path("archive")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.path("keys")
    }

    /// A file with this text, for `--password-file` and its like.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs_err::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_teamchat-archive"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("TEAMCHAT_ARCHIVE", self.archive())
            .env("TEAMCHAT_ARCHIVE_KEYS_DIR", self.keys())
            // The sandbox is our own server: no politeness is owed to it.
            .env("TEAMCHAT_ARCHIVE_LIMITS__REQUESTS_PER_SECOND", "0")
            // How full this machine's disk is, is none of a test's business.
            .env("TEAMCHAT_ARCHIVE_LIMITS__DISK_RESERVE_PERCENT", "0")
            // A process for every file, and a second for every picture: the tests of attachments
            // and of extraction ask for them.
            .env("TEAMCHAT_ARCHIVE_EXTRACT__ENABLED", "false")
            .env("TEAMCHAT_ARCHIVE_EXTRACT__RECOGNIZE", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in &self.extra {
            command.env(name, value);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Outcome {
        self.start(args).finish()
    }

    /// Runs a command that is fed `input`.
    pub(crate) fn run_fed<S: AsRef<OsStr>>(&self, args: &[S], input: &str) -> Outcome {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        let mut started = Started::new(command);
        let mut stdin = started.child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        started.finish()
    }

    /// Starts a command that goes on while the test does something else.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, args: &[S]) -> Started {
        Started::new(self.command(args))
    }

    /// `init`, then `login` with the sandbox's account.
    pub(crate) fn enrol(&self, account: &Ready) {
        self.run(&["init", "--server", &account.url]).expect(DONE);
        let password = self.file("password", &format!("{}\n", account.password));
        self.run(&["login", "--username", &account.username, "--password-file", &password]).expect(DONE);
    }

    /// `crawl --json`, which must be complete; its summary.
    pub(crate) fn crawl(&self) -> Value {
        self.run(&["crawl", "--json"]).expect(DONE).json()
    }

    /// `status --json`.
    pub(crate) fn status(&self) -> Value {
        self.run(&["status", "--json"]).expect(DONE).json()
    }

    /// `verify` finds nothing.
    pub(crate) fn verified(&self) -> Value {
        let report = self.run(&["verify", "--json"]).expect(DONE).json();
        assert_eq!(report["ok"], true, "{report}");
        assert_eq!(report["findings"], serde_json::json!([]), "{report}");
        report
    }

    /// Whether an archive directory was left behind.
    pub(crate) fn has_archive(&self) -> bool {
        self.archive().exists()
    }
}

/// A command under way. Dropped, it is killed.
pub(crate) struct Started {
    args: String,
    pub(crate) child: Child,
    lines: Receiver<Vec<u8>>,
    out: Option<JoinHandle<()>>,
    err: Option<JoinHandle<String>>,
    seen: Vec<u8>,
}

impl Started {
    pub(crate) fn new(mut command: Command) -> Self {
        let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<String>>().join(" ");
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        let out = std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            loop {
                let mut line = Vec::new();
                if !reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) || sender.send(line).is_err() {
                    return;
                }
            }
        });
        let err = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            drop(stderr.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { args, child, lines, out: Some(out), err: Some(err), seen: Vec::new() }
    }

    /// The next line of stdout.
    pub(crate) fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("`{}` printed no further line: {error}", self.args));
        self.seen.extend_from_slice(&line);
        String::from_utf8(line).unwrap()
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// SIGTERM: please end.
    pub(crate) fn terminate(&self) {
        let asked = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status().unwrap();
        assert!(asked.success());
    }

    /// Waits so long for its end at most; whether it came. What it prints is kept.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.extend_from_slice(&line),
                Err(RecvTimeoutError::Timeout) => return false,
                // It closed stdout, which only its end does.
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Waits for its end, and kills it when it takes too long. A command ended by a signal has
    /// code -1.
    pub(crate) fn finish(mut self) -> Outcome {
        assert!(self.ends_within(PATIENCE), "`{}` did not end within {PATIENCE:?}", self.args);
        let status = self.child.wait().unwrap();
        self.out.take().unwrap().join().unwrap();
        let stdout = std::mem::take(&mut self.seen);
        let stderr = self.err.take().unwrap().join().unwrap();
        Outcome { args: std::mem::take(&mut self.args), code: status.code().unwrap_or(-1), stdout, stderr }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// What a sandbox says when it is ready.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) url: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) token: String,
}

/// A sandbox in this process, with a runtime of its own.
pub(crate) struct Server {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) running: Running,
    pub(crate) ready: Ready,
}

impl Server {
    pub(crate) fn start(seed: Seed) -> Self {
        Self::with(seed, sandbox::Options::default())
    }

    pub(crate) fn with(seed: Seed, options: sandbox::Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let running = runtime.block_on(sandbox::start(seed, options)).unwrap();
        let ready = Ready {
            url: running.url.clone(),
            username: running.username.clone(),
            password: running.password.clone(),
            token: running.token.clone(),
        };
        Self { runtime, running, ready }
    }
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                out.push(entry.path());
            }
        }
    }
    out.sort();
    out
}

/// A number at a JSON pointer.
#[track_caller]
pub(crate) fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {pointer} of {value}"))
}

/// A string at a JSON pointer.
#[track_caller]
pub(crate) fn string(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no string at {pointer} of {value}"))
        .to_owned()
}

/// The array at a JSON pointer.
#[track_caller]
pub(crate) fn list(value: &Value, pointer: &str) -> Vec<Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .unwrap_or_else(|| panic!("no array at {pointer} of {value}"))
        .clone()
}

/// The Python that has the clients: that of `TEAMCHAT_ARCHIVE_TEST_PYTHON`, else of the
/// environment that `make test-setup` makes.
pub(crate) fn python() -> PathBuf {
    let python = std::env::var_os("TEAMCHAT_ARCHIVE_TEST_PYTHON")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python3"), PathBuf::from);
    assert!(python.exists(), "no Python with the third-party clients at {}: run `make test-setup`", python.display());
    python
}
