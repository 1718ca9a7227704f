//! A mail for each stretch of a conversation on one day, under `eml/`: text, the same as a page, the files as
//! attachments, and `raw.json` with the records as they were archived.
//!
//! Nobody sent such a mail, and none says that somebody did: it is From an address of the conversation in the
//! archive, in a domain that does not exist (`.invalid`, RFC 2606). Other makers put the first participant
//! there, who wrote no mail. To names those who wrote in it and then the members of that day, for those who
//! look for a person. Date is that of the last item in it of which the source gives a time; where there is none
//! it is the archive's, and a field says so.
//!
//! A mail answers the one before it of its conversation. Its Message-ID comes from the archive, the
//! conversation, the day and the records in it: the same set made again has the same one, another one has not.

mod mime;
mod text;

use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::mime::Lines;
use super::Format;
use super::pages::words::{self, seqs};
use super::pages::{self, Contents, Given};
use crate::export::Error;
use crate::export::facts::Author;
use crate::export::markup::visible;
use crate::export::out::{Content, Out, Set};
use crate::export::paths::{ending, safe};
use crate::export::unit::{Blob, CLOSED, Conversation, Subject, Unit, Version};
use crate::model::{Digest, UtcTime};

/// People in one header field; the text names all of them.
const MOST_PEOPLE: usize = 200;

/// The mails of the conversation that is being written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Thread {
    conversation: String,
    folder: String,
    first: String,
    previous: String,
}

impl Thread {
    /// Goes on with a conversation, or begins with it; `true`: it began.
    pub(super) fn take(&mut self, conversation: &Conversation) -> bool {
        if self.conversation == conversation.id.as_str() {
            return false;
        }
        *self = Self { conversation: conversation.id.to_string(), folder: conversation.folder(), ..Self::default() };
        true
    }

    /// The conversation's name for files.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// Notes the mail that the next one answers.
    pub(super) fn sent(&mut self, id: String) {
        if self.first.is_empty() {
            self.first.clone_from(&id);
        }
        self.previous = id;
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Eml {
    thread: Thread,
}

impl Format for Eml {
    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        self.thread.take(&unit.conversation);
        let part = if unit.part > 1 { format!("-{}", unit.part) } else { String::new() };
        let path = format!("eml/{}/{}{part}.eml", self.thread.folder, unit.day);
        let mail = Mail::new(unit, &self.thread, out.set)?;
        let mut file = out.create(&path)?;
        mail.write(&mut file).map_err(|problem| problem.error(file.error()))?;
        out.bag.list(file)?;
        let Mail { contents, id, .. } = mail;
        self.thread.sent(id);
        pages::account(unit, &contents, out)
    }

    fn state(&self) -> Value {
        json!(self.thread)
    }

    fn resume(&mut self, state: &Value) {
        self.thread = serde_json::from_value(state.clone()).unwrap_or_default();
    }

    fn growth(&self) -> (u64, u64) {
        (10, 2)
    }
}

/// A mail, ready to be written: everything but the contents of the files.
pub(super) struct Mail<'u> {
    set: &'u Set<'u>,
    unit: &'u Unit,
    pub(super) contents: Contents,
    pub(super) id: String,
    pub(super) date: UtcTime,
    /// The address that it is from.
    pub(super) sender: String,
    head: String,
}

/// Why a mail was not written.
pub(super) enum Problem {
    /// It could not be written.
    Write(std::io::Error),
    /// A content could not be read, or changed while it was.
    Read(Error),
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

impl Problem {
    pub(super) fn error(self, of_file: impl FnOnce(std::io::Error) -> Error) -> Error {
        match self {
            Self::Write(error) => of_file(error),
            Self::Read(error) => error,
        }
    }
}

impl<'u> Mail<'u> {
    /// Makes a mail of a unit. Contents are read once here, to know which are what they should be.
    pub(super) fn new(unit: &'u Unit, thread: &Thread, set: &'u Set<'u>) -> Result<Self, Error> {
        let contents = check_contents(unit, set);
        let mut hash = Hash(Sha256::new());
        raw(unit, set, &mut hash).map_err(|error| Error::file("write", "raw.json")(error))?;
        let records = Digest(hash.0.finalize().into()).to_string();
        let domain = format!("{}.teamchat-archive.invalid", set.archive());
        let conversation = &unit.conversation;
        let key = &Digest::of(conversation.id.as_str().as_bytes()).to_string()[..16];
        let id = format!("<{key}.{}.{}.{}@{domain}>", unit.day, unit.part, &records[..16]);
        let dated = unit.entries.iter().rev().find(|entry| words::is_dated(entry));
        let date = dated.or(unit.entries.last()).map_or(set.made_at, |entry| entry.time);
        let sender = format!("{key}@{domain}");
        let seqs = seqs(unit);
        let name = visible(&conversation.name);
        let part = if unit.part > 1 || unit.is_continued { format!(", part {}", unit.part) } else { String::new() };
        let (people, more) = people(unit, set, &domain);

        let mut head = mime::addresses("From", &[(format!("{name} (archived chat)"), sender.clone())]);
        if people.is_empty() {
            // RFC 5322 wants no To; a group without members says that nobody is named.
            head.push_str("To: undisclosed-recipients:;\r\n");
        } else {
            head.push_str(&mime::addresses("To", &people));
        }
        head.push_str(&format!("Date: {}\r\n", rfc5322(date, set)));
        if dated.is_none() {
            head.push_str(&mime::field(
                "X-TeamChat-Archive-Date-Is",
                "when the archive saw it; the server says no time",
            ));
        }
        head.push_str(&mime::field("Subject", &format!("{name}, {}{part}", unit.day)));
        head.push_str(&mime::folded("Message-ID", std::slice::from_ref(&id)));
        if !thread.previous.is_empty() {
            head.push_str(&mime::folded("In-Reply-To", std::slice::from_ref(&thread.previous)));
            let mut references = vec![thread.first.clone(), thread.previous.clone()];
            references.dedup();
            head.push_str(&mime::folded("References", &references));
        }
        for (what, value) in [
            ("Archive", set.archive().to_string()),
            ("Checkpoint", set.size.to_string()),
            ("Conversation", visible(conversation.id.as_str())),
            ("Conversation-Type", if conversation.is_direct { "direct" } else { "channel" }.to_owned()),
            ("Day", unit.day.to_string()),
            ("Part", unit.part.to_string()),
            ("Zone", set.request.zone.name().to_owned()),
            ("Records", seqs.len().to_string()),
            ("First-Record", seqs.iter().min().map(u64::to_string).unwrap_or_default()),
            ("Last-Record", seqs.iter().max().map(u64::to_string).unwrap_or_default()),
            ("Raw-SHA256", records),
            ("People-Not-Named", more.to_string()),
        ] {
            head.push_str(&mime::field(&format!("X-TeamChat-Archive-{what}"), &value));
        }
        Ok(Self { set, unit, contents, id, date, sender, head })
    }

    /// Writes the mail, the contents piece by piece.
    pub(super) fn write(&self, to: &mut dyn Write) -> Result<(), Problem> {
        // `=_` stands in no base64 and in no header of ours but these.
        let token = &Digest::of(self.id.as_bytes()).to_string()[..24];
        let (mixed, alternative) = (format!("=_m_{token}"), format!("=_a_{token}"));
        to.write_all(self.head.as_bytes())?;
        let multipart =
            |kind: &str, boundary: &str| format!("Content-Type: multipart/{kind};\r\n boundary=\"{boundary}\"\r\n\r\n");
        to.write_all(format!("MIME-Version: 1.0\r\n{}", multipart("mixed", &mixed)).as_bytes())?;
        to.write_all(format!("--{mixed}\r\n{}", multipart("alternative", &alternative)).as_bytes())?;
        for kind in ["plain", "html"] {
            let head = format!(
                "--{alternative}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            );
            to.write_all(head.as_bytes())?;
            let mut lines = Lines::new(&mut *to);
            let mut put = |text: &str| lines.add(text.replace('\n', "\r\n").as_bytes());
            if kind == "plain" {
                text::text(self.set, self.unit, &self.contents, put)?;
            } else {
                put(&pages::head(self.set, self.unit, ""))?;
                pages::body(self.set, self.unit, &self.contents, &mut put)?;
                put("</main>\n</body>\n</html>\n")?;
            }
            lines.end()?;
        }
        to.write_all(format!("--{alternative}--\r\n\r\n").as_bytes())?;
        for version in self.unit.entries.iter().flat_map(|entry| &entry.files).flat_map(|family| &family.file.versions)
        {
            if let Some(Given { content: Content::Written(_), place, .. }) = self.contents.get(&version.seq)
                && let Some(blob) = &version.blob
            {
                let id = format!(
                    "X-TeamChat-Archive-Record: {}\r\nX-TeamChat-Archive-SHA256: {}\r\n",
                    version.seq, blob.digest
                );
                attachment(to, &mixed, media_type(place), place, &id)?;
                let mut lines = Lines::new(&mut *to);
                content(self.set, blob, &mut |piece| lines.add(piece).map_err(Problem::Write))?;
                lines.end()?;
            }
        }
        attachment(to, &mixed, "application/json", "raw.json", "")?;
        let mut lines = Lines::new(&mut *to);
        raw(self.unit, self.set, &mut lines)?;
        lines.end()?;
        to.write_all(format!("--{mixed}--\r\n").as_bytes())?;
        Ok(())
    }
}

/// Takes the digest of what is written to it.
struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The head of an attachment.
fn attachment(to: &mut dyn Write, boundary: &str, kind: &str, name: &str, more: &str) -> Result<(), Problem> {
    let disposition = mime::with_parameter("Content-Disposition", "attachment", "filename", name);
    let head =
        format!("--{boundary}\r\nContent-Type: {kind}\r\n{disposition}Content-Transfer-Encoding: base64\r\n{more}\r\n");
    Ok(to.write_all(head.as_bytes())?)
}

/// Reads a content piece by piece; what is not what its record names is an error.
fn content(set: &Set<'_>, blob: &Blob, each: &mut dyn FnMut(&[u8]) -> Result<(), Problem>) -> Result<(), Problem> {
    let path = set.blobs.path(&blob.digest);
    let fails = |error| Problem::Read(Error::file("read", &path)(error));
    let mut file = fs_err::File::open(&path).map_err(fails)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 57 * 1024];
    loop {
        let read = file.read(&mut piece).map_err(fails)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        each(&piece[..read])?;
    }
    if Digest(hash.finalize().into()) != blob.digest {
        return Err(fails(std::io::Error::other("it changed while it was read")));
    }
    Ok(())
}

/// Which contents of a unit are in the archive and what they should be; each will be an attachment.
fn check_contents(unit: &Unit, set: &Set<'_>) -> Contents {
    let mut contents = HashMap::new();
    for family in unit.entries.iter().flat_map(|entry| &entry.files) {
        for version in &family.file.versions {
            let place = format!("{}-{}", version.seq, safe(family.name(version)));
            let content = set.content(version);
            contents.insert(version.seq, Given { content, place, is_link: false, is_picture: false });
        }
    }
    contents
}

/// Those who wrote in a unit, then the members of the day, each with an address; how many more there are than one
/// field can name.
fn people(unit: &Unit, set: &Set<'_>, domain: &str) -> (Vec<(String, String)>, usize) {
    let mut people: Vec<Author<'_>> = Vec::new();
    let mut known = HashSet::new();
    let authors = words::subjects(unit).map(Subject::shown_author);
    let members = unit.conversation.members.iter().map(|id| Author::Known(id));
    for person in authors.chain(members) {
        let is_named = matches!(person, Author::Known(_) | Author::Named(_));
        if is_named && known.insert((person.id().is_some(), person.or_words())) {
            people.push(person);
        }
    }
    let more = people.len().saturating_sub(MOST_PEOPLE);
    people.truncate(MOST_PEOPLE);
    let time = unit.entries.first().map_or(set.made_at, |entry| entry.time);
    let one = |person: Author<'_>| match person.id() {
        Some(id) => {
            let email = set.names.person(id, time).map(|person| person.email.as_str());
            let address = email.and_then(mime::address).or_else(|| mime::address(id)).map(str::to_owned);
            let none = || format!("person-{}@{domain}", &Digest::of(id.as_bytes()).to_string()[..16]);
            (visible(set.names.name(id, time)), address.unwrap_or_else(none))
        }
        // The name that a program gives itself is nobody's address, whatever it looks like.
        None => (visible(person.or_words()), format!("no-address@{domain}")),
    };
    (people.into_iter().map(one).collect(), more)
}

/// Writes `raw.json`: every record of a unit, as it was archived.
fn raw(unit: &Unit, set: &Set<'_>, to: &mut dyn Write) -> std::io::Result<()> {
    let head = json!({
        "format": "teamchat-archive/mail/v1",
        "archive": set.archive().to_string(),
        "conversation": unit.conversation.id.as_str(),
        "conversation_name": unit.conversation.name,
        "day": unit.day.to_string(),
        "part": unit.part,
        "zone": set.request.zone.name(),
    })
    .to_string();
    // The records come before what ends the object.
    to.write_all(head.trim_end_matches('}').as_bytes())?;
    to.write_all(b",\"records\":[")?;
    for (n, version) in words::versions(unit).enumerate() {
        if n > 0 {
            to.write_all(b",")?;
        }
        serde_json::to_writer(&mut *to, &raw_record(version))?;
    }
    to.write_all(b"]}")
}

fn raw_record(version: &Version) -> Value {
    let mut out = Map::new();
    out.insert("record".to_owned(), json!(version.seq.0));
    out.insert("header".to_owned(), json!(version.record.header));
    match std::str::from_utf8(&version.record.body) {
        Ok(text) => out.insert("body".to_owned(), json!(text)),
        Err(_) => out.insert("body_base64".to_owned(), json!(BASE64.encode(&version.record.body))),
    };
    if let Some(withheld) = &version.withheld {
        out.insert("withheld".to_owned(), json!({"action": withheld.hiding.as_str(), "reason": withheld.reason}));
    }
    if version.is_closed && version.withheld.is_none() {
        out.insert("closed".to_owned(), json!(CLOSED));
    }
    Value::Object(out)
}

/// A moment as RFC 5322 writes it, with the offset of the zone then.
fn rfc5322(time: UtcTime, set: &Set<'_>) -> String {
    let text = set.request.zone.full_text(time);
    let local =
        chrono::DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S %:z").unwrap_or_else(|_| time.fixed_offset());
    local.format("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// The media type that a name promises, of those that are told by it beyond doubt.
fn media_type(name: &str) -> &'static str {
    match ending(name).as_str() {
        ".pdf" => "application/pdf",
        ".png" => "image/png",
        ".jpg" | ".jpeg" => "image/jpeg",
        ".gif" => "image/gif",
        ".webp" => "image/webp",
        ".zip" => "application/zip",
        ".docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    }
}
