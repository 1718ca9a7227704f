//! What stands in the place of a record that is not shown.
//!
//! Nothing is changed in the archive. In a set the body of such a record is a slip-sheet of ours, and its
//! proof holds the commitment to the body in place of the body, so that the record is still proved to be
//! there, at its number and unchanged.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Value, json};

use super::Error;
use super::request::{Hiding, Request, Withheld};
use crate::history::item;
use crate::model::{RecordSeq, json as bytes_json};
use crate::record::{Kind, Record, State};
use crate::store::{FIRST_SOURCE, Reader};

/// The text of a slip-sheet.
pub(super) fn slip(withheld: &Withheld) -> String {
    match withheld.hiding {
        Hiding::Withhold => format!("[Withheld: {}]", withheld.reason),
        Hiding::Redact => format!("[Redacted: {}]", withheld.reason),
    }
}

/// A record with a slip-sheet for its body and without its contents. Of what is redacted author, time and
/// edit stay; of what is withheld its place alone.
pub(super) fn shown(record: &Record, withheld: &Withheld) -> Record {
    let mut out = record.clone();
    out.header.attachments.clear();
    out.header.shared_in.clear();
    let body = bytes_json::parse(&record.body).unwrap_or_default();
    let text = slip(withheld);
    let is_gone = record.header.state == State::Gone;
    let mut slip = match record.header.kind {
        // Our note of the evidence: who did it, and what witnesses said word for word, is not shown.
        _ if is_gone => json!({"gone": {}}),
        Kind::Comment => json!({"id": body["id"], "comment": text, "created": body["created"]}),
        Kind::File => json!({"id": body["id"], "name": text, "created": body["created"]}),
        Kind::Message => json!({"type": "message", "ts": record.header.key, "text": text}),
        _ => json!([]),
    };
    let (to, from, names): (_, _, &[&str]) = match withheld.hiding {
        _ if is_gone => (&mut slip["gone"], &body["gone"], &["last_seen", "first_missing", "at"]),
        // A program's own name stays one: it is nobody's id.
        Hiding::Redact if slip.is_object() => {
            (&mut slip, &body, &["user", "username", "edited", "timestamp", "subtype"])
        }
        _ => (&mut slip, &body, &[]),
    };
    for name in names.iter().filter(|name| !from[**name].is_null()) {
        to[*name] = from[*name].clone();
    }
    out.body = slip.to_string().into_bytes();
    out
}

/// The topics and purposes that withheld messages set: the facts of their channels name them, too.
pub(super) fn topics(request: &Request, reader: &Reader, size: u64) -> Result<HashSet<String>, Error> {
    let mut out = HashSet::new();
    for seq in request.withheld.keys().filter(|seq| seq.0 < size) {
        let header = reader.record(*seq)?.header;
        if !matches!(header.kind, Kind::Message | Kind::Reactions) {
            continue;
        }
        let found = item(reader, Kind::Message, FIRST_SOURCE, header.channel_id().as_ref(), &header.key)?;
        for version in found.iter().flat_map(|message| &message.versions) {
            let body = bytes_json::parse(&version.record.body).unwrap_or_default();
            out.extend(remarks(&body).map(str::to_owned));
        }
    }
    Ok(out)
}

/// The topic and the purpose that a body names, in either spelling.
pub(super) fn remarks(body: &Value) -> impl Iterator<Item = &str> {
    let said = |name| [&body[name], &body[name]["value"]];
    let all = ["topic", "purpose"].into_iter().flat_map(said).filter_map(Value::as_str);
    all.map(str::trim).filter(|text| !text.is_empty())
}

/// Reads the list of what is withheld: CSV with the columns `record,action,reason`; the action is
/// `withhold` or `redact`.
pub fn read_list(path: &Path) -> Result<BTreeMap<RecordSeq, Withheld>, Error> {
    let bytes = fs_err::read(path).map_err(Error::file("read", path))?;
    parse_list(&bytes).map_err(|detail| Error::Usage(format!("{}: {detail}", path.display())))
}

fn parse_list(bytes: &[u8]) -> Result<BTreeMap<RecordSeq, Withheld>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let headers = reader.headers().map_err(|error| error.to_string())?.clone();
    let names: Vec<String> = headers.iter().map(|name| name.trim().to_lowercase()).collect();
    if names != ["record", "action", "reason"] {
        return Err(format!("its first line is `{}`, and must be `record,action,reason`", names.join(",")));
    }
    let mut out = BTreeMap::new();
    for line in reader.records() {
        let line = line.map_err(|error| error.to_string())?;
        let number = line.position().map_or(0, csv::Position::line);
        let fields: Vec<&str> = line.iter().map(str::trim).collect();
        let [record, action, reason] = fields[..] else {
            return Err(format!("line {number} has {} fields instead of three", fields.len()));
        };
        let seq = record.parse().map_err(|_| format!("line {number}: `{record}` is no record number"))?;
        let hiding = [Hiding::Withhold, Hiding::Redact].into_iter().find(|hiding| hiding.as_str() == action);
        let hiding = hiding.ok_or_else(|| format!("line {number}: `{action}` is neither withhold nor redact"))?;
        if reason.is_empty() {
            return Err(format!("line {number}: record {record} has no reason"));
        }
        if out.insert(RecordSeq(seq), Withheld { hiding, reason: reason.to_owned() }).is_some() {
            return Err(format!("line {number}: record {record} stands in the list twice"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_or_its_line_is_named() {
        let list = parse_list(
            b"\xef\xbb\xbfRecord,Action,Reason\r\n7,redact,\"Privileged, advice\"\r\n3,withhold,Trade secret\r\n",
        )
        .unwrap();
        assert_eq!(list[&RecordSeq(7)], Withheld { hiding: Hiding::Redact, reason: "Privileged, advice".to_owned() });
        assert_eq!(list[&RecordSeq(3)].hiding, Hiding::Withhold);
        for (text, expected) in [
            ("number,reason\n", "its first line is `number,reason`"),
            ("record,action,reason\nx,redact,a\n", "line 2: `x` is no record number"),
            ("record,action,reason\n7,hide,a\n", "line 2: `hide` is neither"),
            ("record,action,reason\n7,redact,\n", "line 2: record 7 has no reason"),
            ("record,action,reason\n7,redact,a\n7,redact,a\n", "line 3: record 7 stands in the list twice"),
            ("record,action,reason\n7,redact\n", "line 2 has 2 fields"),
        ] {
            assert!(parse_list(text.as_bytes()).unwrap_err().starts_with(expected), "{text}");
        }
    }

    #[test]
    fn of_a_note_of_what_is_gone_the_times_are_shown_alone() {
        let header = json!({
            "kind": "message", "source": 1, "channel": "C1", "key": "1.000001", "version": 2, "state": "gone",
            "origin": "noted", "via": "items.info", "account": "ann", "run": 1,
            "observed_at": "2026-01-01T00:00:00Z", "attachments": ["secret"], "shared_in": ["secret"],
        });
        let times = json!({"last_seen": "a", "first_missing": "b", "at": "c"});
        let mut gone = times.clone();
        gone["actor"] = json!("secret");
        gone["cause"] = json!("secret");
        gone["witnesses"] = json!([{"method": "feed", "said": "secret took secret back"}]);
        let body = json!({"gone": gone, "secret": 1}).to_string().into_bytes();
        let record = Record { header: serde_json::from_value(header).unwrap(), body };
        for hiding in [Hiding::Withhold, Hiding::Redact] {
            let shown = shown(&record, &Withheld { hiding, reason: "advice".to_owned() });
            assert_eq!(bytes_json::parse(&shown.body).unwrap(), json!({"gone": times}));
            assert!(!String::from_utf8(shown.header.to_line()).unwrap().contains("secret"));
        }
    }
}
