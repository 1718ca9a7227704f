//! Download tickets: `base64(zlib(query string))` in the vendor's alphabet, with a final `t`.
//!
//! A ticket needs no token, so it is a secret; it carries its own check value. The zlib stream
//! holds stored blocks: any inflater reads it, and this one only reads what it wrote.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::ids;

/// What a ticket grants: one file, seen by one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Id of the group that owns the folder.
    pub(super) group: String,
    /// The folder path.
    pub(super) folder: String,
    /// Number of the account it was made for.
    pub(super) subject: usize,
    /// Id of the file.
    pub(super) item: String,
    /// Name of the file.
    pub(super) name: String,
}

impl Ticket {
    /// Writes the ticket, with a check value keyed by `secret`.
    pub(super) fn seal(&self, secret: &[u8]) -> String {
        let body = format!(
            "g={}&f={}&c=I&s={:012x}&r=-2147450784&e=&i={}/{}",
            self.group,
            ids::encode(&self.folder),
            self.subject,
            ids::encode(&self.item),
            ids::encode(&self.name)
        );
        let whole = format!("{body}&k={}", check_value(secret, &body));
        let text = STANDARD.encode(deflate(whole.as_bytes()));
        let mut ticket = text.replace('+', ".").replace('/', ",").replace('=', "_");
        ticket.push('t');
        ticket
    }

    /// Reads a ticket back; `None` when it is malformed or its check value is wrong.
    pub(super) fn open(text: &str, secret: &[u8]) -> Option<Self> {
        let encoded = text.strip_suffix('t')?.replace('.', "+").replace(',', "/").replace('_', "=");
        let whole = String::from_utf8(inflate(&STANDARD.decode(encoded).ok()?)?).ok()?;
        let (body, check) = whole.rsplit_once("&k=")?;
        if check_value(secret, body) != check {
            return None;
        }
        let mut ticket = Self {
            group: String::new(),
            folder: String::new(),
            subject: usize::MAX,
            item: String::new(),
            name: String::new(),
        };
        for (key, value) in url::form_urlencoded::parse(body.as_bytes()) {
            match &*key {
                "g" => ticket.group = value.into_owned(),
                "f" => ticket.folder = value.into_owned(),
                "s" => ticket.subject = usize::from_str_radix(&value, 16).ok()?,
                "i" => {
                    let (item, name) = value.split_once('/')?;
                    item.clone_into(&mut ticket.item);
                    name.clone_into(&mut ticket.name);
                }
                _ => {}
            }
        }
        Some(ticket)
    }
}

fn check_value(secret: &[u8], body: &str) -> String {
    let digest = Md5::new_with_prefix(secret).chain_update(body.as_bytes()).finalize();
    ids::hex(&digest[..5])
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    (high << 16) | low
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        stream.push(u8::from(blocks.peek().is_none()));
        let length = u16::try_from(block.len()).expect("a chunk is at most 65,535 bytes");
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
    }
    stream.extend_from_slice(&adler32(bytes).to_be_bytes());
    stream
}

fn inflate(stream: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut bytes) = (stream.strip_prefix(&[0x78, 0x01])?, Vec::new());
    loop {
        let (head, tail) = rest.split_at_checked(5)?;
        let length = u16::from_le_bytes([head[1], head[2]]);
        if head[0] > 1 || !length != u16::from_le_bytes([head[3], head[4]]) {
            return None;
        }
        let (block, tail) = tail.split_at_checked(usize::from(length))?;
        bytes.extend_from_slice(block);
        if head[0] == 1 {
            return (tail == adler32(&bytes).to_be_bytes()).then_some(bytes);
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            group: "4a5c5804a5fc".to_owned(),
            folder: "TeamChat\\TeamChat".to_owned(),
            subject: 7,
            item: "4a74599400a5".to_owned(),
            name: "a/b & ü.sln".to_owned(),
        }
    }

    #[test]
    fn a_ticket_comes_back() {
        let text = ticket().seal(b"secret");
        assert!(text.ends_with('t'));
        assert!(!text.contains(['+', '/', '=']));
        assert_eq!(Ticket::open(&text, b"secret"), Some(ticket()));
    }

    #[test]
    fn a_forged_ticket_is_refused() {
        let text = ticket().seal(b"secret");
        assert_eq!(Ticket::open(&text, b"other"), None);
        assert_eq!(Ticket::open(&text[..text.len() - 9], b"secret"), None);
        assert_eq!(Ticket::open("", b"secret"), None);
    }
}
