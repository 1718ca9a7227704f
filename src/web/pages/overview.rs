use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::view::Moment;
use super::{Shell, Viewer};
use crate::model::{Scope, rfc3339};
use crate::web::Web;
use crate::web::error::{WebError, blocking, render};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    shell: Shell,
    figures: Vec<(&'static str, String)>,
    accounts: Vec<(String, String, String)>,
    runs: Vec<RunView>,
    gaps: Vec<(String, String)>,
    debts: Vec<(String, String)>,
    complete: bool,
    walked: usize,
}

struct RunView {
    id: u64,
    started: Moment,
    result: String,
    added: String,
    messages: String,
}

/// What is here, how fresh, and what is not.
pub(crate) async fn page(State(web): State<Arc<Web>>, viewer: Viewer) -> Result<Response, WebError> {
    let page = blocking(move || {
        let counters = web.reader.counters()?;
        let count = |name: &str| counters.get(name).copied().unwrap_or(0);
        // Who sees some channels is told of those; what is counted over all is for who sees all.
        let sees_all = viewer.scope == Scope::All;
        let coverage = web.coverage(&viewer.scope)?;
        let gaps = coverage.channels.iter().flat_map(|channel| {
            channel.gaps.iter().map(|gap| (channel.name.clone(), format!("{} ({})", gap.reason, gap.account)))
        });
        let owed = coverage.channels.iter().flat_map(|channel| &channel.debts).chain(&coverage.debts);
        let walked = coverage.channels.iter().filter(|channel| !channel.intervals.is_empty()).count();
        let runs = web
            .reader
            .runs(if sees_all { 12 } else { 0 })?
            .into_iter()
            .map(|run| {
                let summary: serde_json::Value =
                    run.summary.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                let messages = &summary["messages"];
                RunView {
                    id: run.id,
                    started: Moment::parse(&run.started_at, web.zone),
                    result: run.result.unwrap_or_else(|| "under way or cut off".to_owned()),
                    added: summary["records"]["added"].as_u64().map(|added| added.to_string()).unwrap_or_default(),
                    messages: if messages.is_object() {
                        format!(
                            "{} new, {} edited, {} deleted",
                            messages["new"], messages["edited"], messages["deleted"]
                        )
                    } else {
                        String::new()
                    },
                }
            })
            .collect();
        let all_figures = || -> Result<Vec<(&'static str, String)>, WebError> {
            Ok(vec![
                ("messages", (count("message.subjects") - count("message.gone")).to_string()),
                ("deleted, text kept", count("message.gone").to_string()),
                ("edited, all versions kept", count("message.changed").to_string()),
                ("files", count("file.subjects").to_string()),
                ("comments", count("comment.subjects").to_string()),
                ("channels", count("channel.subjects").to_string()),
                ("conversations", count("im.subjects").to_string()),
                ("people", count("user.subjects").to_string()),
                ("records", web.reader.head()?.to_string()),
            ])
        };
        let figures = if sees_all {
            all_figures()?
        } else {
            let directory = web.directory(&viewer.scope)?;
            let seen = directory.channels.iter().filter(|(id, _)| viewer.scope.allows(id));
            let (ims, rooms): (Vec<_>, Vec<_>) = seen.partition(|(_, facts)| facts.is_im);
            vec![("channels", rooms.len().to_string()), ("conversations", ims.len().to_string())]
        };
        let accounts = web
            .reader
            .accounts()?
            .into_iter()
            .map(|row| {
                (
                    row.user_id,
                    row.state,
                    row.last_success
                        .map_or_else(|| "never".to_owned(), |at| Moment::parse(&rfc3339(at), web.zone).full),
                )
            })
            .collect();
        Ok(Overview {
            shell: Shell::new(&web, &viewer, "overview", "Overview"),
            figures,
            accounts,
            runs,
            complete: coverage.complete,
            gaps: gaps.collect(),
            debts: owed
                .map(|debt| {
                    (
                        format!("{} {}", debt.kind, debt.key),
                        format!("{} (since {}, {} tries)", debt.reason, debt.since, debt.tries),
                    )
                })
                .collect(),
            walked,
        })
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}
