//! Mails: headers, every body (the plain one and the formatted one may differ), attachments one level deeper, then
//! the headers that mail programs do not show.

use mail_parser::{
    Address, Encoding, HeaderName, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders as _, PartType,
};

use super::output::{Output, Trouble};
use super::{charset, embedded, html};

/// Headers that a reader of mail sees.
const SHOWN: [HeaderName<'_>; 7] = [
    HeaderName::Subject,
    HeaderName::From,
    HeaderName::To,
    HeaderName::Cc,
    HeaderName::Bcc,
    HeaderName::ReplyTo,
    HeaderName::Date,
];

/// Reads a mail.
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let Some(message) = MessageParser::default().parse(bytes) else {
        return Err(Trouble::Damaged("it is no mail".to_owned()));
    };
    write(&message, bytes, out, depth)
}

fn write(message: &Message<'_>, raw: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    for name in SHOWN {
        for header in message.headers().iter().filter(|header| header.name == name) {
            let value = value_text(&header.value);
            if !value.is_empty() {
                out.text(&format!("{}: {value}", header.name.as_str()));
                out.line_break();
            }
        }
    }
    for part in &message.parts {
        if out.is_full() {
            return Ok(());
        }
        write_part(part, raw, out, depth)?;
    }
    out.part("");
    let is_shown = |name: &str| SHOWN.iter().any(|shown| shown.as_str().eq_ignore_ascii_case(name));
    for (name, value) in message.headers_raw().filter(|(name, _)| !is_shown(name)) {
        out.text(&format!("{name}: {}", value.split_whitespace().collect::<Vec<_>>().join(" ")));
        out.line_break();
    }
    Ok(())
}

fn write_part(part: &MessagePart<'_>, raw: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let name = part.attachment_name().unwrap_or_default();
    let subtype = part.content_type().and_then(|kind| kind.subtype()).unwrap_or("plain").to_ascii_lowercase();
    match &part.body {
        PartType::Multipart(_) => {
            if subtype == "encrypted" {
                out.partial("the body is encrypted");
            }
        }
        PartType::Text(text) if subtype == "plain" => {
            out.entry()?;
            out.part(name);
            // Without a character set said, what is not UTF-8 was lost: it is read again.
            let again = part.encoding == Encoding::None && text.contains(char::REPLACEMENT_CHARACTER);
            let place = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
            match raw
                .get(place)
                .filter(|_| again && part.content_type().is_none_or(|kind| !kind.has_attribute("charset")))
            {
                Some(bytes) => {
                    let found = charset::find(bytes, None);
                    charset::say(found, out);
                    charset::write(bytes, found, out);
                }
                None => out.text(text),
            }
            out.line_break();
        }
        PartType::Text(text) => {
            out.entry()?;
            embedded(name, text.as_bytes(), out, depth);
            out.line_break();
        }
        PartType::Html(page) => {
            out.entry()?;
            out.part(name);
            html::write(page, out);
            out.line_break();
        }
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
            out.entry()?;
            if subtype.contains("pkcs7-mime") {
                out.partial("the body is encrypted or signed as a whole (S/MIME)");
            }
            embedded(name, bytes, out, depth);
            out.line_break();
        }
        PartType::Message(inner) => {
            out.entry()?;
            out.part(name);
            if depth >= out.limits().depth {
                out.partial(format!("files more than {} deep in others are not read", out.limits().depth));
            } else {
                let raw = if inner.raw_message.is_empty() { raw } else { &inner.raw_message };
                write(inner, raw, out, depth + 1)?;
            }
        }
    }
    Ok(())
}

fn value_text(value: &HeaderValue<'_>) -> String {
    match value {
        HeaderValue::Address(Address::List(list)) => list.iter().map(address_text).collect::<Vec<_>>().join(", "),
        HeaderValue::Address(Address::Group(groups)) => {
            let group_text = |group: &mail_parser::Group<'_>| {
                let members: Vec<String> = group.addresses.iter().map(address_text).collect();
                format!("{} {}", group.name.as_deref().unwrap_or_default(), members.join(", "))
            };
            groups.iter().map(group_text).collect::<Vec<_>>().join("; ")
        }
        HeaderValue::Text(text) => text.to_string(),
        HeaderValue::TextList(list) => list.join(", "),
        HeaderValue::DateTime(time) => time.to_rfc3339(),
        HeaderValue::ContentType(_) | HeaderValue::Received(_) | HeaderValue::Empty => String::new(),
    }
}

fn address_text(address: &mail_parser::Addr<'_>) -> String {
    match (address.name(), address.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::super::formats::tests::{read_all, read_within};
    use super::super::output::Limits;

    const MAIL: &str = "From: =?utf-8?q?Jan_Nov=C3=A1k?= <jan@example.cz>\r\nTo: a@example.cz, B <b@example.cz>\r\n\
        Subject: =?iso-8859-2?q?=BElu=BB?=\r\nX-Secret: hidden\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=windows-1250\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n=9Eivot\r\n--x\r\nContent-Type: text/html\r\n\r\n\
        <p>formatted <b>body</b></p>\r\n--x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; \
        filename=table.csv\r\nContent-Transfer-Encoding: base64\r\n\r\nYSxiCg==\r\n--x\r\n\
        Content-Type: message/rfc822\r\n\r\nFrom: c@example.cz\r\nSubject: inner\r\n\r\ninner body\r\n--x--\r\n";

    #[test]
    fn headers_bodies_and_attachments_are_read() {
        let (status, text, notes) = read_all("a.eml", MAIL.as_bytes());
        assert_eq!(status, Status::Ok, "{notes:?}");
        for wanted in [
            "Subject: žluť\n",
            "From: Jan Novák <jan@example.cz>\n",
            "To: a@example.cz, B <b@example.cz>\n",
            "život\n",
            "formatted body\n",
            "table.csv\na,b\n",
            "Subject: inner\n",
            "inner body\n",
            "X-Secret: hidden\n",
        ] {
            assert!(text.contains(wanted), "{wanted:?} in {text:?}");
        }
    }

    #[test]
    fn a_body_of_no_said_character_set_is_guessed() {
        let mut mail = b"From: a@b.cz\r\nSubject: x\r\n\r\n".to_vec();
        mail.extend(b"P\xf8\xedli\x9a \x9elu\x9dou\xe8k\xfd k\xf9\xf2 \xfap\xecl \xef\xe1belsk\xe9 \xf3dy\r\n");
        let (_, text, notes) = read_all("a.eml", &mail);
        assert!(text.contains("Příliš žluťoučký kůň"), "{text:?} {notes:?}");
    }

    #[test]
    fn depth_and_entries_have_limits() {
        let (status, text, _) = read_within("a.eml", MAIL.as_bytes(), Limits { depth: 0, ..Limits::default() });
        assert_eq!(status, Status::Partial);
        assert!(text.contains("život") && !text.contains("inner body"), "{text:?}");
        let (status, ..) = read_within("a.eml", MAIL.as_bytes(), Limits { entries: 1, ..Limits::default() });
        assert_eq!(status, Status::TooBig);
    }

    #[test]
    fn what_is_encrypted_is_said() {
        let mail =
            "From: a@b.cz\r\nSubject: x\r\nContent-Type: application/pkcs7-mime\r\n\r\nMIAGCSqGSIb3DQEHA6CAMIAC\r\n";
        assert_eq!(read_all("a.eml", mail.as_bytes()).0, Status::Partial);
    }
}
