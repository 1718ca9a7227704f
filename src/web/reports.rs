//! What browsers tell of what they refused to load or run. No page of ours should give them reason to: a report is a
//! fault of ours, or an attempt of somebody's.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use serde_json::Value;

use super::desk::Web;
use super::markup::visible;
use super::visits::cut;
use crate::model::UtcTime;

/// Reports that are noted in a minute, whoever sends them; the others are counted.
const PER_MINUTE: u32 = 20;
/// A report is no longer.
const LARGEST: usize = 8 << 10;
/// Longer words of a report are cut.
const LONGEST: usize = 200;

/// How many came within a minute.
#[derive(Debug, Default)]
pub(super) struct Reports {
    since: Mutex<Option<(UtcTime, u32)>>,
}

/// What becomes of a report.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Noted,
    /// The first of a minute that is not noted.
    Last,
    Dropped,
}

impl Reports {
    fn turn(&self, now: UtcTime) -> Turn {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = match *since {
            Some((began, count)) if now - began < chrono::TimeDelta::minutes(1) && now >= began => (began, count),
            _ => (now, 0),
        };
        *since = Some((began, count.saturating_add(1)));
        match count.cmp(&PER_MINUTE) {
            std::cmp::Ordering::Less => Turn::Noted,
            std::cmp::Ordering::Equal => Turn::Last,
            std::cmp::Ordering::Greater => Turn::Dropped,
        }
    }
}

/// What a report says, without what somebody searched for or read: queries and fragments of addresses stay out of the
/// log.
fn said(report: &Value) -> [(&'static str, String); 3] {
    let body = report.get("csp-report").or_else(|| report.get(0).map(|first| &first["body"])).unwrap_or(report);
    let text = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| body[*name].as_str()).unwrap_or_default();
        let bare = found.split(['?', '#']).next().unwrap_or_default();
        visible(cut(bare, LONGEST).as_str())
    };
    [
        ("directive", text(["effective-directive", "effectiveDirective"])),
        ("blocked", text(["blocked-uri", "blockedURL"])),
        ("page", text(["document-uri", "documentURL"])),
    ]
}

/// Takes a report of a browser. Anybody may send one, so no more is believed of it than that it came.
pub(super) async fn take(
    State(web): State<Arc<Web>>,
    axum::Extension(reports): axum::Extension<Arc<Reports>>,
    request: Request<Body>,
) -> StatusCode {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !matches!(
        kind.split(';').next(),
        Some("application/csp-report" | "application/reports+json" | "application/json")
    ) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    match reports.turn(web.now()) {
        Turn::Noted => {}
        Turn::Last => {
            tracing::warn!("browsers report more refused requests than are noted in a minute");
            return StatusCode::TOO_MANY_REQUESTS;
        }
        Turn::Dropped => return StatusCode::TOO_MANY_REQUESTS,
    }
    let Ok(bytes) = axum::body::to_bytes(request.into_body(), LARGEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE;
    };
    let Ok(report) = serde_json::from_slice::<Value>(&bytes) else { return StatusCode::BAD_REQUEST };
    let [(_, directive), (_, blocked), (_, page)] = said(&report);
    tracing::warn!(directive, blocked, page, "a browser refused what a page asked for");
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_minute_has_room_for_so_many() {
        let reports = Reports::default();
        let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        for _ in 0..PER_MINUTE {
            assert_eq!(reports.turn(at(5)), Turn::Noted);
        }
        assert_eq!(reports.turn(at(6)), Turn::Last);
        assert_eq!(reports.turn(at(64)), Turn::Dropped);
        assert_eq!(reports.turn(at(65)), Turn::Noted);
    }

    #[test]
    fn what_was_searched_for_stays_out_of_the_log() {
        let old = json!({"csp-report": {
            "document-uri": "https://a.example/search?q=secret#m1", "effective-directive": "img-src",
            "blocked-uri": "https://evil.example/x.png?secret\n2026 forged line"
        }});
        let new = json!([{"type": "csp-violation", "body": {
            "documentURL": "https://a.example/search?q=secret", "effectiveDirective": "img-src", "blockedURL": "https://evil.example/x.png"
        }}]);
        for report in [old, new] {
            assert_eq!(
                said(&report).map(|(_, text)| text),
                ["img-src", "https://evil.example/x.png", "https://a.example/search"]
            );
        }
        let odd = said(&json!({"csp-report": {"blocked-uri": "inline\n\u{202e}x", "document-uri": 7}}));
        assert_eq!(odd.map(|(_, text)| text), ["", "inline[U+000A][U+202E]x", ""]);
        assert_eq!(said(&json!([])).map(|(_, text)| text), ["", "", ""]);
    }
}
