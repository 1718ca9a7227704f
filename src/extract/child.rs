//! The parent's side: starts a child for a file, feeds it, bounds what comes back, and ends it whatever it does.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;

use super::confine::CPU_SECONDS;
use super::output::{Limits, Output, PART};
use super::recognize::Recognizer;
use super::worker::{Header, LINE_BYTES, Reply, Request};
use super::{EXTRACTOR_VERSION, Extracted, Status};

/// Bytes of thumbnail and pictures that a reply may hold beside its text.
const PICTURE_BYTES: usize = 65 << 20;
/// What stands for the engine where no reader came to an end.
const NO_ENGINE: &str = "none";

/// Why a file could not be given to a child at all. What is wrong with the file itself is an [`Extracted`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program of the child can't be started.
    #[error("can't start {} to read files: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file can't be opened.
    #[error("can't open {} to read its text: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The child could not confine itself and read nothing.
    #[error("can't read files safely on this system: {0}")]
    Unconfined(String),
}

/// Bounds on a child, beside those that it sets itself.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Time from start to end.
    pub wall: Duration,
    /// Bytes of a file; a larger one is not given to a child.
    pub file_bytes: u64,
    /// What the reader keeps to.
    pub limits: Limits,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { wall: Duration::from_mins(1), file_bytes: 256 << 20, limits: Limits::default() }
    }
}

/// Reads files in confined children. Threads may share it: each call has a child of its own.
#[derive(Debug, Clone)]
pub struct Extractor {
    program: PathBuf,
    bounds: Bounds,
    recognizer: Option<Recognizer>,
}

/// A reply that was found to be whole.
enum Understood {
    /// What was read, and pictures whose text may be recognised.
    Read(Extracted, Vec<Vec<u8>>),
    /// The child could not confine itself.
    Refused(String),
}

/// What came of a child.
enum Outcome {
    /// It ended, or was ended after it closed its output.
    Ended { reply: Vec<u8>, status: ExitStatus },
    /// It was ended because its time was over.
    TooLong,
    /// It was ended because it wrote more than it may.
    TooMuch,
}

impl Extractor {
    /// One whose children are `program`: this binary. What they find to be pictures of text goes to `recognizer`.
    pub fn new(program: PathBuf, bounds: Bounds, recognizer: Option<Recognizer>) -> Self {
        Self { program, bounds, recognizer }
    }

    /// Version of the readers.
    pub fn version(&self) -> u32 {
        EXTRACTOR_VERSION
    }

    /// Reads a file. It takes no longer than the bounds say, and whatever the file does to its reader is a status.
    pub fn extract(&self, file: &Path, name: &str, mime: &str) -> Result<Extracted, Error> {
        let open_error = |source| Error::Open { path: file.to_owned(), source };
        let opened = rustix::fs::open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let opened = std::fs::File::from(opened.map_err(|error| open_error(error.into()))?);
        let file_bytes = opened.metadata().map_err(open_error)?.len();
        if file_bytes > self.bounds.file_bytes {
            let detail = format!("it has {file_bytes} bytes; up to {} are read", self.bounds.file_bytes);
            return Ok(without_text(Status::TooBig, detail));
        }
        let request = Request {
            name: bounded(name).to_owned(),
            mime: bounded(mime).to_owned(),
            file_bytes,
            limits: self.bounds.limits,
        };
        match self.run(&request, opened).map_err(|source| Error::Start { program: self.program.clone(), source })? {
            Outcome::TooLong => {
                let detail = format!("reading it took longer than {} seconds", self.bounds.wall.as_secs());
                Ok(without_text(Status::Timeout, detail))
            }
            Outcome::TooMuch => Ok(without_text(Status::TooBig, "its reader wrote more than it may".to_owned())),
            Outcome::Ended { reply, status } => match self.understand(&reply) {
                Some(Understood::Read(extracted, pictures)) => Ok(self.with_pictures(extracted, &pictures)),
                Some(Understood::Refused(why)) => Err(Error::Unconfined(why)),
                None => Ok(fallen(status)),
            },
        }
    }

    /// Starts a child, feeds it, and reaps it. The only place that waits, and it waits for `wall` at most.
    fn run(&self, request: &Request, mut file: std::fs::File) -> io::Result<Outcome> {
        let mut child = Reaped(
            Command::new(&self.program)
                .arg("extract-worker")
                .env_clear()
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?,
        );
        let (Some(stdin), Some(mut stdout)) = (child.0.stdin.take(), child.0.stdout.take()) else {
            return Err(io::Error::other("the child has no pipes"));
        };
        let most = self.reply_bytes();
        std::thread::scope(|scope| {
            // Both threads end when the child does: it holds the other ends of their pipes, and nobody else.
            scope.spawn(move || feed(stdin, request, &mut file));
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || {
                let mut reply = Vec::new();
                let read = stdout.by_ref().take(most + 1).read_to_end(&mut reply).map(|_| reply);
                // Nobody waits any more when the time is over.
                drop(sender.send(read));
            });
            let received = receiver.recv_timeout(self.bounds.wall);
            // Whether it has ended or not. One that is dying of something else keeps that as its status.
            let status = child.end()?;
            Ok(match received {
                Ok(Ok(reply)) if reply.len() as u64 > most => Outcome::TooMuch,
                Ok(Ok(reply)) => Outcome::Ended { reply, status },
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Outcome::TooLong,
            })
        })
    }

    fn reply_bytes(&self) -> u64 {
        LINE_BYTES + (self.bounds.limits.text_bytes + PICTURE_BYTES) as u64
    }

    /// Reads a reply; `None` when it is not whole. The child is not trusted: lengths, characters and words are
    /// looked at again.
    fn understand(&self, reply: &[u8]) -> Option<Understood> {
        let end = reply.iter().position(|byte| *byte == b'\n')?;
        let header: Header = match serde_json::from_slice(&reply[..end]).ok()? {
            Reply::Refused(why) => return Some(Understood::Refused(why)),
            Reply::Read(header) => header,
        };
        let mut rest = &reply[end + 1..];
        let mut take = |bytes: usize| -> Option<&[u8]> {
            let (taken, left) = rest.split_at_checked(bytes)?;
            rest = left;
            Some(taken)
        };
        let text = std::str::from_utf8(take(header.text_bytes)?).ok()?;
        let is_clean = text.chars().all(|letter| !letter.is_control() || matches!(letter, '\t' | '\n' | PART));
        if !is_clean || text.len() > self.bounds.limits.text_bytes {
            return None;
        }
        let thumbnail = match header.thumbnail_bytes {
            Some(bytes) => Some(take(bytes)?.to_owned()),
            None => None,
        };
        let mut pictures = Vec::new();
        for bytes in &header.picture_bytes {
            pictures.push(take(*bytes)?.to_owned());
        }
        let extracted = Extracted {
            status: header.status,
            engine: header.engine,
            version: EXTRACTOR_VERSION,
            text: text.to_owned(),
            detail: (!header.notes.is_empty()).then(|| header.notes.join("; ")),
            is_truncated: header.is_truncated,
            pages: header.pages,
            charset: header.charset,
            thumbnail,
        };
        Some(Understood::Read(extracted, pictures))
    }

    /// Adds the text of pictures as a part of its own; where nobody can recognise it, that is said.
    fn with_pictures(&self, mut extracted: Extracted, pictures: &[Vec<u8>]) -> Extracted {
        if pictures.is_empty() {
            return extracted;
        }
        let trouble = match &self.recognizer {
            None => {
                Some(format!("text may be in pictures ({}), and no tesseract is installed to read it", pictures.len()))
            }
            Some(recognizer) => {
                let recognized = recognizer.recognize_all(pictures);
                let room = self.bounds.limits.text_bytes.saturating_sub(extracted.text.len() + PART.len_utf8());
                let mut out = Output::new(Limits { text_bytes: room, ..self.bounds.limits });
                out.text(&recognized.text);
                let parts = out.into_parts();
                if !parts.text.trim().is_empty() && !extracted.text.is_empty() {
                    extracted.text.push(PART);
                }
                extracted.text.push_str(&parts.text);
                extracted.is_truncated |= parts.is_truncated;
                extracted.engine = format!("{}, {}", extracted.engine, recognizer.engine());
                let why = recognized.detail.unwrap_or_default();
                (recognized.failed > 0)
                    .then(|| format!("{} of {} pictures were not recognised: {why}", recognized.failed, pictures.len()))
            }
        };
        if let Some(trouble) = trouble {
            if extracted.status == Status::Ok {
                let has_text = !extracted.text.trim().is_empty();
                extracted.status = if has_text { Status::Partial } else { Status::Unsupported };
            }
            extracted.detail = Some(extracted.detail.map_or(trouble.clone(), |detail| format!("{detail}; {trouble}")));
        }
        extracted
    }
}

/// Names and types are the server's; a longer one than any file system takes is cut.
fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(4_096)]
}

fn feed(mut stdin: ChildStdin, request: &Request, file: &mut std::fs::File) {
    let Ok(mut line) = serde_json::to_vec(request) else { return };
    line.push(b'\n');
    // A child that has ended reads nothing more, and says why by its status.
    if stdin.write_all(&line).is_ok() {
        drop(io::copy(file, &mut stdin));
    }
}

/// A child that is ended and reaped on every way out.
struct Reaped(Child);

impl Reaped {
    fn end(&mut self) -> io::Result<ExitStatus> {
        // Fails only for one that was reaped.
        drop(self.0.kill());
        self.0.wait()
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        drop(self.end());
    }
}

fn without_text(status: Status, detail: String) -> Extracted {
    Extracted {
        status,
        engine: NO_ENGINE.to_owned(),
        version: EXTRACTOR_VERSION,
        text: String::new(),
        detail: Some(detail),
        is_truncated: false,
        pages: None,
        charset: None,
        thumbnail: None,
    }
}

/// What a child that left no whole reply died of.
fn fallen(status: ExitStatus) -> Extracted {
    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    if is(Signal::XCPU) {
        return without_text(
            Status::Timeout,
            format!("reading it took more than {CPU_SECONDS} seconds of processor time"),
        );
    }
    let detail = if is(Signal::ABORT) || is(Signal::SEGV) || is(Signal::BUS) {
        "its reader fell: memory or stack ran out, or it is at fault".to_owned()
    } else if is(Signal::KILL) {
        "its reader was ended from outside, or closed its output".to_owned()
    } else {
        format!("its reader ended without a whole reply ({status})")
    };
    without_text(Status::Failed, detail)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What an extractor says whose child is a shell script.
    fn with_child(script: &str, bounds: Bounds) -> Result<Extracted, Error> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("child");
        fs_err::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, vec![b'x'; 300_000]).unwrap();
        // Another test's child, started in between, may hold the script open for writing for a moment.
        loop {
            match Extractor::new(program.clone(), bounds, None).extract(&file, "a.txt", "") {
                Err(Error::Start { source, .. }) if source.kind() == io::ErrorKind::ExecutableFileBusy => {}
                other => return other,
            }
        }
    }

    fn short() -> Bounds {
        let limits = Limits { text_bytes: 1_000, ..Limits::default() };
        Bounds { wall: Duration::from_millis(300), limits, ..Bounds::default() }
    }

    fn long() -> Bounds {
        Bounds { wall: Duration::from_mins(5), ..short() }
    }

    const WHOLE: &str = r#"{"read":{"status":"ok","engine":"e","notes":["n"],"charset":null,"pages":null,"is_truncated":false,"text_bytes":2,"thumbnail_bytes":1,"picture_bytes":[]}}"#;

    #[test]
    fn whatever_a_child_does_is_a_status() {
        for (script, bounds, status, said) in [
            ("exec sleep 1000", short(), Status::Timeout, "longer"),
            // Closes its output and stays.
            ("exec 1>&-; exec sleep 1000", long(), Status::Failed, "ended from outside"),
            ("kill -ABRT $$", long(), Status::Failed, "fell"),
            ("kill -SEGV $$", long(), Status::Failed, "fell"),
            ("kill -XCPU $$", long(), Status::Timeout, "processor"),
            ("exit 3", long(), Status::Failed, "whole reply"),
            ("echo no json; exit 0", long(), Status::Failed, "reply"),
            (&format!("printf '%s\\nx' '{WHOLE}'"), long(), Status::Failed, "reply"),
            (&format!("printf '%s\\n\\036xy' '{WHOLE}'"), long(), Status::Failed, "reply"),
        ] {
            let found = with_child(script, bounds).unwrap();
            assert_eq!(found.status, status, "{script}: {found:?}");
            assert!(found.detail.as_deref().is_some_and(|detail| detail.contains(said)), "{script}: {found:?}");
            assert_eq!(found.text, "", "{script}");
        }
    }

    #[test]
    fn a_child_that_writes_without_end_is_ended() {
        let found = with_child("while :; do printf '%65536s' x; done", long()).unwrap();
        assert_eq!(found.status, Status::TooBig, "{found:?}");
    }

    #[test]
    fn a_whole_reply_is_taken_though_nobody_read_the_file() {
        let found = with_child(&format!("printf '%s\\nhiP' '{WHOLE}'"), long()).unwrap();
        assert_eq!((found.status, found.text.as_str(), found.detail.as_deref()), (Status::Ok, "hi", Some("n")));
        assert_eq!(found.thumbnail.as_deref(), Some(&b"P"[..]));
    }

    #[test]
    fn pictures_that_nobody_recognises_are_said() {
        let reply = WHOLE.replace("\"picture_bytes\":[]", "\"picture_bytes\":[3]");
        let found = with_child(&format!("printf '%s\\nhiPxyz' '{reply}'"), long()).unwrap();
        assert_eq!((found.status, found.text.as_str()), (Status::Partial, "hi"));
        assert!(found.detail.as_deref().is_some_and(|detail| detail.contains("tesseract")), "{found:?}");
    }

    #[test]
    fn a_child_without_walls_stops_everything() {
        let error = with_child(r#"echo '{"refused":"no filter"}'"#, long()).unwrap_err();
        assert!(matches!(&error, Error::Unconfined(why) if why == "no filter"), "{error}");
    }

    #[test]
    fn a_large_file_is_given_to_no_child() {
        let found = with_child("exit 0", Bounds { file_bytes: 10, ..long() }).unwrap();
        assert_eq!(found.status, Status::TooBig);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let extractor = Extractor::new(PathBuf::from("/nonexistent/program"), Bounds::default(), None);
        let error = extractor.extract(Path::new("/nonexistent/file"), "", "").unwrap_err();
        assert!(error.to_string().starts_with("can't open /nonexistent/file"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, "x").unwrap();
        let error = extractor.extract(&file, "", "").unwrap_err();
        assert!(error.to_string().starts_with("can't start /nonexistent/program"), "{error}");
    }
}
