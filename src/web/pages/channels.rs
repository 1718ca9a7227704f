use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::view::Moment;
use super::{Shell, Viewer};
use crate::web::Web;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{encode, visible};

#[derive(Template)]
#[template(path = "channels.html")]
struct Channels {
    shell: Shell,
    rooms: Vec<Row>,
    ims: Vec<Row>,
}

struct Row {
    href: String,
    name: String,
    topic: String,
    members: u64,
    was: String,
    mark: &'static str,
    newest: String,
    walked: String,
}

/// The channels and direct conversations in the reader's scope.
pub(crate) async fn page(State(web): State<Arc<Web>>, viewer: Viewer) -> Result<Response, WebError> {
    let page = blocking(move || {
        let directory = web.directory(&viewer.scope)?;
        let walks = web.reader.walks()?;
        let (mut rooms, mut ims) = (Vec::new(), Vec::new());
        for (id, facts) in directory.channels.iter().filter(|(id, _)| viewer.scope.allows(id)) {
            let walk = walks.iter().filter(|row| row.channel == *id).max_by_key(|row| row.walked_until);
            let row = Row {
                href: format!("/c/{}", encode(id.as_str())),
                name: visible(&facts.name),
                topic: visible(&facts.topic),
                members: facts.member_count,
                was: facts.earlier_names.iter().map(|name| visible(name)).collect::<Vec<_>>().join(", "),
                mark: if facts.is_lost {
                    "no longer visible"
                } else if facts.is_archived {
                    "archived"
                } else {
                    ""
                },
                newest: walk
                    .and_then(|row| row.pin)
                    .map(|pin| Moment::new(pin.time(), web.zone).full)
                    .unwrap_or_default(),
                walked: match walk.and_then(|row| row.walked_until) {
                    Some(at) => Moment::new(at, web.zone).full,
                    None => "not walked to the end".to_owned(),
                },
            };
            if facts.is_im { ims.push(row) } else { rooms.push(row) }
        }
        rooms.sort_by_key(|row| row.name.to_lowercase());
        ims.sort_by_key(|row| row.name.to_lowercase());
        Ok(Channels { shell: Shell::new(&web, &viewer, "channels", "Channels"), rooms, ims })
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}
