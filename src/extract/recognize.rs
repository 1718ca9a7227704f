//! Recognises text in pictures with `tesseract`, when it is installed, as a child of its own.
//!
//! The parent's side. What the recogniser sees was made by the confined child (`picture`): a grey PNG, not what somebody sent.
//! Still it runs with an empty environment, in a process group that is killed as a whole, and under limits. They are set by
//! our own program, started as [`WORKER`], which then becomes the recogniser: code between fork and exec would have to be
//! `unsafe`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions};

/// The hidden command of our own program that sets the limits and becomes the recogniser.
pub const WORKER: &str = "recognize-worker";

/// Address space: the models of one language take some 100 MiB, and several are loaded at once.
const MEMORY_BYTES: u64 = 2 << 30;
const CPU_SECONDS: u64 = 120;
const OPEN_FILES: u64 = 64;
/// What is kept of what it complains about.
const COMPLAINT_BYTES: u64 = 4 << 10;

/// Bounds on what is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For one picture.
    pub picture: Duration,
    /// For all pictures of a file.
    pub file: Duration,
    /// Bytes of text of one picture.
    pub text_bytes: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { picture: Duration::from_mins(2), file: Duration::from_mins(30), text_bytes: 4 << 20 }
    }
}

/// Why a picture's text was not recognised.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started or talked to.
    #[error("can't run {program}: {source}")]
    Run {
        /// Which.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// It took too long and was ended.
    #[error("recognition was ended after {seconds} s")]
    Late {
        /// How long it was given.
        seconds: u64,
    },
    /// It gave up.
    #[error("recognition failed ({status}): {complaint}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        complaint: String,
    },
    /// It wrote more than any picture holds.
    #[error("recognition gave more than {bytes} bytes of text")]
    TooMuch {
        /// The limit.
        bytes: u64,
    },
}

/// What became of the pictures of a file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Recognized {
    /// The texts, picture by picture, each on lines of its own.
    pub text: String,
    /// How many pictures were not read.
    pub failed: usize,
    /// Why the first of them was not.
    pub detail: Option<String>,
}

/// `tesseract`, found and asked what it can do.
#[derive(Debug, Clone)]
pub struct Recognizer {
    program: PathBuf,
    launcher: PathBuf,
    engine: String,
    languages: Vec<String>,
    /// Whether it can tell which way up a picture is.
    knows_orientation: bool,
    patience: Patience,
}

impl Recognizer {
    /// Asks the program at a path, started through our own, which version it is and which languages it reads. `None` when it
    /// is not there, does not answer, or reads none.
    pub fn find(program: &Path, launcher: &Path, patience: Patience) -> Option<Self> {
        let mut found = Self {
            program: program.to_owned(),
            launcher: launcher.to_owned(),
            engine: String::new(),
            languages: Vec::new(),
            knows_orientation: false,
            patience,
        };
        let version = found.run(&["--version"], b"").ok()?;
        // `tesseract 5.3.0`, then its libraries.
        let number = version.lines().next()?.strip_prefix("tesseract ")?.trim().trim_start_matches('v');
        found.engine = format!("tesseract {number}");
        let listed = found.run(&["--list-langs"], b"").ok()?;
        // The first line says how many there are and where.
        for name in listed.lines().skip(1).map(str::trim).filter(|name| is_language(name)) {
            match name {
                "osd" => found.knows_orientation = true,
                // Formulas, which are no language.
                "equ" => {}
                _ => found.languages.push(name.to_owned()),
            }
        }
        (!found.languages.is_empty()).then_some(found)
    }

    /// Its name and version, as it is kept with what it read.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// The languages it looks for: all that are installed.
    pub fn languages(&self) -> &[String] {
        &self.languages
    }

    /// The text of a picture (PNG, JPEG or PNM).
    pub fn recognize(&self, picture: &[u8]) -> Result<String, Error> {
        let languages = self.languages.join("+");
        // 1: find out which way up it is, then the blocks of text; 3: only the blocks.
        let segmentation = if self.knows_orientation { "1" } else { "3" };
        let text = self.run(&["stdin", "stdout", "-l", &languages, "--psm", segmentation], picture)?;
        // A form feed ends each page.
        Ok(text.replace('\u{c}', "\n").trim_end().to_owned())
    }

    /// The texts of all pictures of a file. One that fails does not stop the next.
    pub fn recognize_all(&self, pictures: &[Vec<u8>]) -> Recognized {
        let started = Instant::now();
        let mut recognized = Recognized::default();
        for (done, picture) in pictures.iter().enumerate() {
            if started.elapsed() > self.patience.file {
                recognized.failed += pictures.len() - done;
                let minutes = self.patience.file.as_secs() / 60;
                recognized.detail.get_or_insert_with(|| format!("recognition was ended after {minutes} min"));
                break;
            }
            match self.recognize(picture) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => {
                    recognized.text.push_str(&text);
                    recognized.text.push('\n');
                }
                Err(error) => {
                    recognized.failed += 1;
                    recognized.detail.get_or_insert_with(|| error.to_string());
                }
            }
        }
        recognized
    }

    /// Starts the program, gives it its input, and takes what it writes.
    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<String, Error> {
        let failed = |source| Error::Run { program: self.program.display().to_string(), source };
        let mut child = Command::new(&self.launcher)
            .arg(WORKER)
            .arg(&self.program)
            .args(arguments)
            .env_clear()
            // Threads of its own make it slower beside others of its kind, and count against the limits.
            .env("OMP_THREAD_LIMIT", "1")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let pid = Pid::from_child(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let limit = self.patience.text_bytes;
        thread::scope(|scope| {
            let (ended, end) = mpsc::channel();
            scope.spawn(move || {
                // A program that ends before it has read all closes the pipe; its status says what that means.
                stdin.map(|mut stdin| stdin.write_all(input))
            });
            let written = scope.spawn(move || bounded(stdout, limit + 1));
            let complaint = scope.spawn(move || bounded(stderr, COMPLAINT_BYTES));
            scope.spawn(move || {
                // It is not reaped here: until it is, its number names no other process.
                let waited = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
                // Nobody listens once the time is over.
                ended.send(waited.is_ok()).is_ok()
            });
            let is_late = end.recv_timeout(self.patience.picture).is_err();
            // Also when it has ended: what it started holds the pipes open, and they are waited for.
            rustix::process::kill_process_group(pid, Signal::KILL).or_else(|_| child.kill()).map_err(failed)?;
            let status = child.wait().map_err(failed)?;
            let written = written.join().unwrap_or_default();
            let complaint = complaint.join().unwrap_or_default();
            if is_late {
                return Err(Error::Late { seconds: self.patience.picture.as_secs() });
            }
            if written.len() as u64 > limit {
                return Err(Error::TooMuch { bytes: limit });
            }
            if !status.success() {
                let complaint = String::from_utf8_lossy(&complaint).split_whitespace().collect::<Vec<_>>().join(" ");
                return Err(Error::Failed { status, complaint });
            }
            Ok(String::from_utf8_lossy(&written).into_owned())
        })
    }
}

/// What comes through a pipe, up to a limit; then the pipe is closed.
fn bounded(pipe: Option<impl Read>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // An error of the pipe is the end of what comes; what was read is kept.
    pipe.map(|pipe| pipe.take(limit).read_to_end(&mut bytes));
    bytes
}

fn is_language(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/'))
}

/// Sets the limits and becomes the program. Comes back only with why it could not: the caller of [`WORKER`] says so on stderr
/// and exits with a status that is no success.
pub fn become_limited(program: &OsStr, arguments: &[OsString]) -> io::Error {
    for (resource, limit) in [
        (Resource::As, MEMORY_BYTES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Nofile, OPEN_FILES),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        if let Err(error) = rustix::process::setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })
        {
            return error.into();
        }
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::set_no_new_privs(true) {
        return error.into();
    }
    Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a stand-in for our own program, which sets no limits, and one for the recogniser, which answers what it is asked
    /// at the start and then does as the script says.
    fn stand_ins(script: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (launcher, program) = (folder.path().join("launcher"), folder.path().join("tesseract"));
        let answers = r#"case "$1" in
            --version) echo "tesseract 9.8.7"; echo " a library"; exit;;
            --list-langs) echo "List of available languages (3):"; echo eng; echo osd; echo deu; exit;;
            esac"#;
        for (path, lines) in [(&launcher, "shift; exec \"$@\"".to_owned()), (&program, format!("{answers}\n{script}"))]
        {
            // Another process writes it: a file that this one had open for writing could not be run while another test forks.
            let mut shell = Command::new("/bin/sh")
                .args(["-c", "cat > \"$0\" && chmod 700 \"$0\""])
                .arg(path)
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            shell.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{lines}\n").as_bytes()).unwrap();
            assert!(shell.wait().unwrap().success());
        }
        (folder, program, launcher)
    }

    fn found(script: &str, patience: Patience) -> (tempfile::TempDir, Recognizer) {
        let (folder, program, launcher) = stand_ins(script);
        let recognizer = Recognizer::find(&program, &launcher, patience).unwrap();
        (folder, recognizer)
    }

    #[test]
    fn it_is_asked_for_its_version_and_languages_and_given_all_of_them() {
        let (_folder, recognizer) = found(r#"cat; echo " as $* $OMP_THREAD_LIMIT$HOME""#, Patience::default());
        assert_eq!(recognizer.engine(), "tesseract 9.8.7");
        assert_eq!(recognizer.languages(), ["eng", "deu"]);
        assert_eq!(recognizer.recognize(b"a picture").unwrap(), "a picture as stdin stdout -l eng+deu --psm 1 1");
    }

    #[test]
    fn what_is_not_there_or_does_not_answer_is_not_found() {
        let (folder, program, launcher) = stand_ins("");
        let none = folder.path().join("none");
        assert!(Recognizer::find(&none, &launcher, Patience::default()).is_none());
        assert!(Recognizer::find(&program, &none, Patience::default()).is_none());
        assert!(Recognizer::find(Path::new("/bin/true"), &launcher, Patience::default()).is_none());
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_it_started() {
        let patience = Patience { picture: Duration::from_secs(2), ..Patience::default() };
        let (_folder, recognizer) = found("sleep 600 & exec sleep 600", patience);
        let started = Instant::now();
        assert!(matches!(recognizer.recognize(b""), Err(Error::Late { seconds: 2 })));
        assert!(started.elapsed() < Duration::from_mins(1), "the one it started holds the pipe");
        let (_folder, recognizer) = found("sleep 600 & echo read", Patience::default());
        assert_eq!(recognizer.recognize(b"").unwrap(), "read");
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let (_folder, recognizer) = found("echo no such picture >&2; exit 3", Patience::default());
        let error = recognizer.recognize(&vec![7; 1 << 20]).unwrap_err().to_string();
        assert!(error.contains("no such picture") && error.contains('3'), "{error}");
        let patience = Patience { text_bytes: 1_000, ..Patience::default() };
        let (_folder, recognizer) = found("while :; do echo more; done", patience);
        assert!(matches!(recognizer.recognize(b""), Err(Error::TooMuch { bytes: 1_000 })));
    }

    #[test]
    fn a_picture_that_fails_does_not_stop_the_next() {
        let (_folder, recognizer) = found(r#"read line; test "$line" != bad && echo "$line""#, Patience::default());
        let pictures = ["one", "bad", "", "two"].map(|line| format!("{line}\n").into_bytes());
        let recognized = recognizer.recognize_all(&pictures);
        assert_eq!((recognized.text.as_str(), recognized.failed), ("one\ntwo\n", 1));
        assert!(recognized.detail.unwrap().contains("recognition failed"));
        let hurried = Patience { file: Duration::ZERO, ..Patience::default() };
        let (_folder, recognizer) = found("cat", hurried);
        assert_eq!(recognizer.recognize_all(&pictures).failed, 4);
    }
}
