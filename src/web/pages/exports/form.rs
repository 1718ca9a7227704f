//! What is asked of a set: the form, as it is kept, and the request that it makes.

use std::collections::BTreeSet;

use crate::export::{Bates, CustodianRole, DateForm, FormatName, Request, Versions, parse_size};
use crate::index::Facet;
use crate::model::{ChannelId, RecordSeq, Scope, TimeRange, UtcTime, Zone, parse_time, rfc3339};
use crate::query;
use crate::web::desk::Web;
use crate::web::pages::search;
use crate::web::words::words;

/// A form, as it was filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) format: String,
    pub(crate) q: String,
    pub(crate) channels: Vec<String>,
    pub(crate) records: Vec<RecordSeq>,
    /// The exhibit from which the records are.
    pub(crate) exhibit: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) as_of: String,
    pub(crate) versions: String,
    pub(crate) zone: String,
    pub(crate) custodian: String,
    pub(crate) role: String,
    pub(crate) volume: String,
    pub(crate) bates_prefix: String,
    pub(crate) bates_start: String,
    pub(crate) dates: String,
    pub(crate) dedupe: String,
}

impl Asked {
    /// Reads what a form sends, or what was kept of one.
    pub(crate) fn read(text: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let value = value.trim().to_owned();
            let place = match name.as_ref() {
                "channel" if !value.is_empty() && !asked.channels.contains(&value) => {
                    asked.channels.push(value);
                    continue;
                }
                "record" => {
                    asked.records.extend(value.parse().ok().map(RecordSeq));
                    continue;
                }
                "format" => &mut asked.format,
                "q" => &mut asked.q,
                "exhibit" => &mut asked.exhibit,
                "from" => &mut asked.from,
                "to" => &mut asked.to,
                "asof" => &mut asked.as_of,
                "versions" => &mut asked.versions,
                "tz" => &mut asked.zone,
                "custodian" => &mut asked.custodian,
                "role" => &mut asked.role,
                "volume" => &mut asked.volume,
                "bates" => &mut asked.bates_prefix,
                "number" => &mut asked.bates_start,
                "dates" => &mut asked.dates,
                "dedupe" => &mut asked.dedupe,
                _ => continue,
            };
            *place = value;
        }
        asked.records.sort_unstable();
        asked.records.dedup();
        asked
    }

    /// The text that is kept: [`Asked::read`] reads it.
    pub(crate) fn text(&self) -> String {
        let mut out = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("format", &self.format),
            ("q", &self.q),
            ("exhibit", &self.exhibit),
            ("from", &self.from),
            ("to", &self.to),
            ("asof", &self.as_of),
            ("versions", &self.versions),
            ("tz", &self.zone),
            ("custodian", &self.custodian),
            ("role", &self.role),
            ("volume", &self.volume),
            ("bates", &self.bates_prefix),
            ("number", &self.bates_start),
            ("dates", &self.dates),
            ("dedupe", &self.dedupe),
        ] {
            if !value.is_empty() {
                out.append_pair(name, value);
            }
        }
        out.extend_pairs(self.channels.iter().map(|channel| ("channel", channel)));
        out.extend_pairs(self.records.iter().map(|record| ("record", record.to_string())));
        out.finish()
    }

    /// The form for what a search finds: what was chosen beside the query becomes part of it.
    pub(crate) fn of_search(raw: &str, zone: Zone) -> Self {
        let asked = search::asked::Asked::parse(raw);
        let mut out = Self { as_of: asked.as_of.clone(), zone: zone.name().to_owned(), ..Self::default() };
        let mut parts = Vec::new();
        for facet in Facet::ALL {
            let values: Vec<&str> =
                asked.only.iter().filter(|(known, _)| *known == facet).map(|(_, value)| value.as_str()).collect();
            let field = match facet {
                Facet::Channel => {
                    out.channels = values.into_iter().map(str::to_owned).collect();
                    continue;
                }
                Facet::Author => "from",
                Facet::Kind => "kind",
                Facet::Extension => "ext",
                Facet::State => "state",
                Facet::Extraction => "extraction",
            };
            let values: Vec<String> = values.into_iter().filter(|value| !value.is_empty()).map(quoted).collect();
            match values.as_slice() {
                [] => {}
                [one] => parts.push(format!("{field}:{one}")),
                several => parts.push(format!("{field}:({})", several.join(" "))),
            }
        }
        let q = asked.q.trim();
        if parts.is_empty() || q.is_empty() {
            parts.insert(0, q.to_owned());
        } else if q.contains(char::is_whitespace) {
            parts.insert(0, format!("({q})"));
        } else {
            parts.insert(0, q.to_owned());
        }
        parts.join(" ").trim().clone_into(&mut out.q);
        if let Some(days) = asked.on {
            let range = days.range(zone);
            out.from = range.from.map(rfc3339).unwrap_or_default();
            out.to = range.to.map(rfc3339).unwrap_or_default();
        }
        out
    }

    /// The zone in which its days begin.
    fn zone(&self, web: &Web) -> Result<Zone, String> {
        match self.zone.as_str() {
            "" => Ok(web.zone()),
            name => Zone::parse(name).ok_or_else(|| words().with("look-no-zone", name)),
        }
    }

    /// The request, within `scope`; relative days are those of the moment in which it was asked for. Where it goes
    /// is still to be said. An error says what cannot be read, for people.
    pub(crate) fn request(&self, web: &Web, scope: &Scope, asked_at: &str) -> Result<Request, String> {
        let w = words();
        let zone = self.zone(web)?;
        let format = FormatName::parse(&self.format).ok_or_else(|| w.with("export-no-format", &self.format))?;
        let mut request = Request::new(format, std::path::PathBuf::new());
        request.scope = scope.clone();
        request.zone = zone;
        let time = |text: &str| -> Result<Option<UtcTime>, String> {
            if text.is_empty() {
                return Ok(None);
            }
            parse_time(text, zone).map(Some).ok_or_else(|| w.with("as-of-no-time-named", text))
        };
        if !self.q.is_empty() {
            let now = chrono::DateTime::parse_from_rfc3339(asked_at).map_or_else(|_| web.now(), |at| at.to_utc());
            let parsed = query::parse(&self.q, &query::Context { zone, now }).map_err(|error| error.to_string())?;
            request.query = Some((self.q.clone(), parsed.query));
        }
        if !self.records.is_empty() {
            request.records = Some(self.records.iter().copied().collect::<BTreeSet<_>>());
        }
        let directory = web.directory(scope).map_err(|error| error.to_string())?;
        for id in &self.channels {
            let channel = ChannelId::parse(id).filter(|channel| directory.channels.contains_key(channel));
            request.channels.push(channel.ok_or_else(|| w.with("export-no-channel", id))?);
        }
        if !self.custodian.is_empty() {
            let role = if self.role == "member" { CustodianRole::Member } else { CustodianRole::Author };
            request.custodian = Some((self.custodian.clone(), role));
        }
        request.range = TimeRange { from: time(&self.from)?, to: time(&self.to)? };
        if let (Some(from), Some(to)) = (request.range.from, request.range.to)
            && from >= to
        {
            return Err(w.say("export-from-after-to"));
        }
        request.as_of = time(&self.as_of)?;
        request.versions = if self.versions == "current" { Versions::Current } else { Versions::All };
        if matches!(format.as_str(), "dat" | "csv") {
            request.dates = DateForm::parse(&self.dates).unwrap_or_default();
        }
        if !self.volume.is_empty() {
            let bytes = parse_size(&self.volume).ok_or_else(|| w.with("export-no-size", &self.volume))?;
            request.volume_bytes = Some(bytes);
        }
        if format.as_str() == "dat" && !(self.bates_prefix.is_empty() && self.bates_start.is_empty()) {
            let start = if self.bates_start.is_empty() { Ok(1) } else { self.bates_start.parse() };
            let start = start.map_err(|_| w.with("export-no-number", &self.bates_start))?;
            request.bates = Some(Bates { prefix: self.bates_prefix.clone(), start });
        }
        request.dedupe = !self.dedupe.is_empty();
        let is_plain = request.versions == Versions::All
            && request.as_of.is_none()
            && request.volume_bytes.is_none()
            && !request.dedupe;
        if format.as_str() == "native" && !is_plain {
            return Err(w.say("export-native-alone"));
        }
        request.check().map_err(|error| error.to_string())?;
        Ok(request)
    }

    /// What it is about, in a line.
    pub(crate) fn subject(&self) -> String {
        let w = words();
        let mut parts = Vec::new();
        if !self.records.is_empty() {
            parts.push(match self.exhibit.as_str() {
                "" => w.count("export-of-records", self.records.len()),
                exhibit => w.with("exhibit-untitled", exhibit),
            });
        }
        if !self.q.is_empty() {
            parts.push(w.with("export-of-query", &self.q));
        }
        if !self.channels.is_empty() {
            parts.push(w.count("export-of-channels", self.channels.len()));
        }
        if !self.custodian.is_empty() {
            parts.push(match self.role.as_str() {
                "member" => w.with("export-of-member", &self.custodian),
                _ => w.with("export-of-author", &self.custodian),
            });
        }
        if !self.from.is_empty() {
            parts.push(w.with("export-of-from", &self.from));
        }
        if !self.to.is_empty() {
            parts.push(w.with("export-of-to", &self.to));
        }
        if !self.as_of.is_empty() {
            parts.push(w.with("export-of-as-of", &self.as_of));
        }
        if parts.is_empty() { w.say("export-of-all") } else { parts.join(" · ") }
    }
}

/// A value as the query language takes it.
fn quoted(value: &str) -> String {
    let is_word = value.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '@' | '_' | '-'));
    if is_word { value.to_owned() } else { format!("\"{}\"", value.replace('"', "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_form_is_the_form() {
        let asked = Asked::read(
            "format=dat&q=a+b&channel=C1&channel=C2&channel=&record=7&record=3&record=x&from=2026-03-01&to=&asof=\
             &versions=current&tz=UTC&custodian=sara%40x&role=member&volume=2G&bates=ABC&number=10&dedupe=on&other=1",
        );
        assert_eq!(Asked::read(&asked.text()), asked);
        assert_eq!((asked.records.len(), asked.channels.len(), asked.bates_prefix.as_str()), (2, 2, "ABC"));
    }

    #[test]
    fn what_was_chosen_in_a_search_becomes_part_of_the_query() {
        let of = |raw: &str| {
            let asked = Asked::of_search(raw, Zone::UTC);
            (asked.q, asked.channels, asked.from, asked.to)
        };
        assert_eq!(of("q=a+OR+b"), ("a OR b".into(), vec![], String::new(), String::new()));
        assert_eq!(
            of("q=a+OR+b&author=sara%40x&state=edited&state=deleted&channel=C1&on=2026-03-02"),
            (
                "(a OR b) from:sara@x state:(edited deleted)".into(),
                vec!["C1".to_owned()],
                "2026-03-02T00:00:00.000Z".into(),
                "2026-03-03T00:00:00.000Z".into()
            )
        );
        assert_eq!(of("kind=files").0, "kind:file");
    }
}
