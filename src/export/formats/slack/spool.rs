//! What a volume will hold, before it is zipped: the days one after the other, a message a line, and an index
//! of what there is. Both only grow, so a run that was cut off goes on with them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use fs_err::File;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::export::Error;
use crate::export::out::Out;
use crate::export::unit::Blob;
use crate::model::{Digest, MessageTs};
use crate::store::Blobs;

/// Answers of a conversation that are held at once.
const HELD: usize = 50_000;

/// A line of the index.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// What follows belongs to this conversation.
    Conversation {
        /// Its id in the source.
        id: String,
    },
    /// Somebody appears.
    Person {
        /// Their id in the source.
        id: String,
    },
    /// A list of pins, as it was archived.
    Pins {
        /// The record.
        note: Value,
    },
    /// A message answers another one.
    Reply {
        /// Whose time stamp this is.
        thread: String,
        /// The id of its author in the zip.
        user: String,
        /// Its own time stamp.
        ts: String,
    },
    /// A day ends.
    Day {
        /// Its path in the zip.
        path: String,
        /// How much of the file of days it is.
        bytes: u64,
    },
    /// The content of a file.
    File {
        /// The file's id in the source.
        id: String,
        /// The path in the zip.
        path: String,
        /// What it holds: digest and size.
        #[serde(with = "blob")]
        blob: Option<Blob>,
    },
}

/// A content as the index has it: digest in hex, and size.
mod blob {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::export::unit::Blob;
    use crate::model::Digest;

    #[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
    pub(super) fn serialize<S: Serializer>(blob: &Option<Blob>, serializer: S) -> Result<S::Ok, S::Error> {
        blob.as_ref().map(|blob| (blob.digest.to_string(), blob.size)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Blob>, D::Error> {
        let read = Option::<(String, u64)>::deserialize(deserializer)?;
        Ok(read.and_then(|(digest, size)| Some(Blob { digest: digest.parse::<Digest>().ok()?, size })))
    }
}

/// The day that is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenDay {
    pub(super) path: String,
    bytes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spool {
    pub(super) day: Option<OpenDay>,
    bytes: u64,
}

fn index(volume: u32) -> String {
    format!("work/slack-{volume}.index")
}

fn days(volume: u32) -> String {
    format!("work/slack-{volume}.days")
}

impl Spool {
    /// How much there is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What has to be remembered.
    pub(super) fn state(&self) -> Value {
        json!({
            "day": self.day.as_ref().map(|day| (day.path.as_str(), day.bytes)),
            "bytes": self.bytes,
        })
    }

    /// As it was remembered.
    pub(super) fn from_state(state: &Value) -> Self {
        let path = state["day"][0].as_str().map(str::to_owned);
        let day = path.map(|path| OpenDay { path, bytes: state["day"][1].as_u64().unwrap_or(0) });
        Self { day, bytes: state["bytes"].as_u64().unwrap_or(0) }
    }

    fn append(out: &mut Out<'_>, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let file = out.bag.growing(path)?;
        std::io::Write::write_all(file, bytes).map_err(file.error())
    }

    /// Adds a line to the index.
    pub(super) fn add(&mut self, out: &mut Out<'_>, line: &Line) -> Result<(), Error> {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        self.bytes += text.len() as u64;
        let path = index(out.volume);
        Self::append(out, &path, &text)
    }

    /// Adds a message to a day.
    pub(super) fn message(&mut self, out: &mut Out<'_>, day: &str, ts: &str, body: &Value) -> Result<(), Error> {
        let text = format!("{ts}\t{body}\n");
        let path = days(out.volume);
        Self::append(out, &path, text.as_bytes())?;
        let open = self.day.get_or_insert_with(|| OpenDay { path: day.to_owned(), bytes: 0 });
        open.bytes += text.len() as u64;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Ends the day that is being written, if there is one.
    pub(super) fn end_day(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        match self.day.take() {
            Some(OpenDay { path, bytes }) => self.add(out, &Line::Day { path, bytes }),
            None => Ok(()),
        }
    }
}

/// Hands all of a volume to the system, to be read.
pub(super) fn close(out: &mut Out<'_>) -> Result<(), Error> {
    for path in [index(out.volume), days(out.volume)] {
        out.bag.grown(&path)?;
    }
    Ok(())
}

fn open(out: &Out<'_>, path: &str) -> Result<Option<(BufReader<File>, PathBuf)>, Error> {
    let place = out.bag.folder().join(path);
    match File::open(&place) {
        Ok(file) => Ok(Some((BufReader::with_capacity(1 << 16, file), place))),
        // Nothing was ever written to it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", place)(error)),
    }
}

/// Calls `each` with every line of a volume's index.
pub(super) fn each_line(
    out: &Out<'_>,
    volume: u32,
    mut each: impl FnMut(Line) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut lines = Lines::open(out, volume)?;
    while let Some(line) = lines.next()? {
        each(line)?;
    }
    Ok(())
}

/// The index, read from front to back.
pub(super) struct Lines {
    file: Option<(BufReader<File>, PathBuf)>,
    /// How far it is read.
    at: u64,
}

impl Lines {
    /// From the first line.
    pub(super) fn open(out: &Out<'_>, volume: u32) -> Result<Self, Error> {
        Ok(Self { file: open(out, &index(volume))?, at: 0 })
    }

    /// From a place where a line begins.
    fn from(at: u64, out: &Out<'_>) -> Result<Self, Error> {
        let mut file = open(out, &index(out.volume))?;
        if let Some((file, place)) = &mut file {
            file.seek(SeekFrom::Start(at)).map_err(Error::file("read", &*place))?;
        }
        Ok(Self { file, at })
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Error> {
        let Some((file, place)) = &mut self.file else { return Ok(None) };
        let mut line = Vec::new();
        let length = file.read_until(b'\n', &mut line).map_err(Error::file("read", &*place))?;
        if length == 0 {
            return Ok(None);
        }
        self.at += length as u64;
        let line = serde_json::from_slice(&line);
        line.map(Some).map_err(|error| Error::file("read", &*place)(error.into()))
    }
}

/// The answers in one conversation by the message that they answer, as many as are held at once: those to the
/// messages that follow the one that was asked for last. The rest is read again when it is asked for.
pub(super) struct Answers {
    /// Where the conversation begins in the index.
    begins: u64,
    /// Answers to messages from here on are held, up to there.
    from: Option<MessageTs>,
    to: Option<MessageTs>,
    held: BTreeMap<MessageTs, Vec<Answer>>,
    most: usize,
}

/// The author's id in the zip, and the time stamp.
type Answer = (String, String);

impl Answers {
    /// Of the conversation whose line was just read.
    pub(super) fn after(lines: &Lines) -> Self {
        Self { begins: lines.at, from: None, to: None, held: BTreeMap::new(), most: HELD }
    }

    /// The answers to a message.
    fn to(&mut self, ts: MessageTs, out: &Out<'_>) -> Result<Option<&Vec<Answer>>, Error> {
        let is_held = self.from.is_some_and(|from| from <= ts) && self.to.is_none_or(|to| ts < to);
        if !is_held {
            // Days come in their order: nothing before the first that is asked for is left out.
            self.from = Some(if self.from.is_none() { MessageTs::MIN } else { ts });
            self.read(Lines::from(self.begins, out)?)?;
            if self.to.is_some_and(|to| ts >= to) {
                self.from = Some(ts);
                self.read(Lines::from(self.begins, out)?)?;
            }
        }
        Ok(self.held.get(&ts))
    }

    fn read(&mut self, mut lines: Lines) -> Result<(), Error> {
        (self.to, self.held) = (None, BTreeMap::new());
        let mut count = 0;
        while let Some(line) = lines.next()? {
            match line {
                Line::Conversation { .. } => break,
                Line::Reply { thread, user, ts } => {
                    let thread = MessageTs::parse(&thread);
                    if let Some(thread) = thread {
                        self.hold(thread, (user, ts), &mut count);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn hold(&mut self, thread: MessageTs, answer: Answer, count: &mut usize) {
        if self.from.is_some_and(|from| thread < from) || self.to.is_some_and(|to| thread >= to) {
            return;
        }
        self.held.entry(thread).or_default().push(answer);
        *count += 1;
        while *count > self.most
            && self.held.len() > 1
            && let Some((last, answers)) = self.held.pop_last()
        {
            *count -= answers.len();
            self.to = Some(last);
        }
    }
}

/// The days, read from front to back.
pub(super) struct Days(Option<(BufReader<File>, PathBuf)>);

impl Days {
    /// From the first.
    pub(super) fn open(out: &Out<'_>) -> Result<Self, Error> {
        open(out, &days(out.volume)).map(Self)
    }

    /// Writes the next day, of so many bytes, as an array. A message that others answer gets the list of them
    /// where the source gave none.
    pub(super) fn copy(
        &mut self,
        bytes: u64,
        mut answers: Option<&mut Answers>,
        out: &Out<'_>,
        write: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some((file, place)) = &mut self.0 else { return Ok(()) };
        let (mut read, mut line) = (0, Vec::new());
        while read < bytes {
            line.clear();
            let length = file.read_until(b'\n', &mut line).map_err(Error::file("read", &*place))?;
            if length == 0 {
                let error = std::io::Error::other("it is shorter than it was");
                return Err(Error::file("read", &*place)(error));
            }
            write(if read == 0 { b"[\n" } else { b",\n" })?;
            read += length as u64;
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let at = text.iter().position(|byte| *byte == b'\t').unwrap_or(0);
            let (ts, body) = (String::from_utf8_lossy(&text[..at]), &text[(at + 1).min(text.len())..]);
            let found = match (answers.as_deref_mut(), MessageTs::parse(&ts)) {
                (Some(answers), Some(ts)) => answers.to(ts, out)?,
                _ => None,
            };
            match found.and_then(|answers| with_replies(body, answers)) {
                Some(body) => write(&body)?,
                None => write(body)?,
            }
        }
        write(b"\n]\n")
    }
}

/// A message with the list of its answers; `None` where it has one, or is none.
fn with_replies(body: &[u8], replies: &[Answer]) -> Option<Vec<u8>> {
    let mut message: Value = serde_json::from_slice(body).ok()?;
    if message["replies"].is_array() || message["ts"].as_str()?.is_empty() {
        return None;
    }
    message["thread_ts"] = message["ts"].clone();
    message["reply_count"] = json!(replies.len());
    message["replies"] = replies.iter().map(|(user, ts)| json!({"user": user, "ts": ts})).collect();
    serde_json::to_vec(&message).ok()
}

/// Copies a content that was checked before.
pub(super) fn copy(blobs: &Blobs, blob: &Blob, write: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let place = blobs.path(&blob.digest);
    let mut file = File::open(&place).map_err(Error::file("read", &place))?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece).map_err(Error::file("read", &place))? {
            0 => break,
            read => {
                hash.update(&piece[..read]);
                write(&piece[..read])?;
            }
        }
    }
    if Digest(hash.finalize().into()) == blob.digest {
        return Ok(());
    }
    Err(Error::file("read", place)(std::io::Error::other("it was changed while the set was made")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gets_the_answers_that_its_source_did_not_list() {
        let replies = [("U1".to_owned(), "2.000000".to_owned())];
        let with = |body: &[u8]| {
            with_replies(body, &replies).map(|body| serde_json::from_slice::<Value>(&body).unwrap()["replies"].clone())
        };
        assert_eq!(with(br#"{"ts":"1.000000"}"#), Some(json!([{"user": "U1", "ts": "2.000000"}])));
        assert_eq!(with(br#"{"ts":"1.000000","replies":[]}"#), None);
        assert_eq!(with(b"no json"), None);
    }

    #[test]
    fn answers_to_later_messages_are_let_go_first() {
        let ts = |second: i64| MessageTs::from_micros(second * 1_000_000);
        let mut answers = Answers { begins: 0, from: None, to: None, held: BTreeMap::new(), most: 3 };
        let mut count = 0;
        for thread in [5, 1, 9, 1, 5, 2, 9] {
            answers.hold(ts(thread), ("U1".to_owned(), String::new()), &mut count);
        }
        assert_eq!(
            answers.held.iter().map(|(ts, list)| (*ts, list.len())).collect::<Vec<_>>(),
            [(ts(1), 2), (ts(2), 1)]
        );
        assert_eq!((answers.to, count), (Some(ts(5)), 3));
        // One thread is held whole, however long it is.
        answers.from = Some(ts(5));
        (answers.to, answers.held, count) = (None, BTreeMap::new(), 0);
        (0..5).for_each(|_| answers.hold(ts(5), ("U1".to_owned(), String::new()), &mut count));
        assert_eq!((answers.held[&ts(5)].len(), answers.to), (5, None));
    }

    #[test]
    fn a_line_of_the_index_comes_back() {
        let blob = Some(Blob { digest: Digest::of(b"x"), size: 1 });
        for line in [
            Line::Conversation { id: "a/b".to_owned() },
            Line::File { id: "f".to_owned(), path: "a/attachments/f-x".to_owned(), blob },
            Line::File { id: "f".to_owned(), path: "a/attachments/f-x".to_owned(), blob: None },
        ] {
            let text = serde_json::to_string(&line).unwrap();
            let back: Line = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), text);
        }
    }
}
