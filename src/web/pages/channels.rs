//! The channels and direct conversations, with what is missing of each.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Shell;
use super::view::Moment;
use crate::history::{ChannelCoverage, ChannelFacts};
use crate::model::MessageTs;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Piece, direction, encode, visible};

/// What to list, and in which order.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// Part of a name, an earlier name, a topic or an id.
    #[serde(default)]
    name: String,
    #[serde(default)]
    sort: String,
}

#[derive(Template)]
#[template(path = "channels.html")]
struct Channels {
    shell: Shell,
    name: String,
    sort: &'static str,
    orders: Vec<Order>,
    is_any: bool,
    rooms: Vec<Row>,
    ims: Vec<Row>,
}

/// A way to sort the lists.
struct Order {
    name: String,
    href: String,
    is_chosen: bool,
}

struct Row {
    href: String,
    name: String,
    topic: String,
    topic_dir: &'static str,
    members: String,
    member_count: u64,
    was: String,
    mark: String,
    newest: String,
    newest_ts: MessageTs,
    walked: String,
    /// What is not captured or owed, in a word.
    missing: String,
    owed: usize,
}

/// The channels and direct conversations in the reader's scope.
pub(crate) async fn page(desk: Desk, Query(asked): Query<Asked>) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, &asked)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk, asked: &Asked) -> Result<Channels, WebError> {
    let directory = desk.directory()?;
    let walks = desk.archive().walks()?;
    let mut coverage = desk.coverage()?;
    let wanted = asked.name.trim().trim_start_matches('#').to_lowercase();
    let is_wanted = |id: &str, facts: &ChannelFacts| {
        let texts = [id, facts.name.as_str(), facts.topic.as_str()].into_iter();
        let mut texts = texts.chain(facts.earlier_names.iter().map(String::as_str));
        texts.any(|text| text.to_lowercase().contains(&wanted))
    };
    let (mut rooms, mut ims) = (Vec::new(), Vec::new());
    for (id, facts) in directory.channels.iter().filter(|(id, facts)| is_wanted(id.as_str(), facts)) {
        let walk = walks.iter().filter(|row| row.channel == *id).max_by_key(|row| row.walked_until);
        let found = coverage.channels.iter().position(|channel| channel.channel == id.as_str());
        let covered = found.map(|at| coverage.channels.swap_remove(at));
        let topic = visible(&facts.topic);
        let newest = walk.and_then(|row| row.pin);
        let row = Row {
            href: format!("/c/{}", encode(id.as_str())),
            name: visible(&facts.name),
            topic_dir: direction(&[Piece::Text(topic.clone())]),
            topic,
            members: desk.w.count("member-count", facts.member_count),
            member_count: facts.member_count,
            was: facts.earlier_names.iter().map(|name| visible(name)).collect::<Vec<_>>().join(", "),
            mark: if facts.is_lost {
                desk.w.say("channel-lost")
            } else if facts.is_archived {
                desk.w.say("channel-archived")
            } else {
                String::new()
            },
            newest: newest.map(|pin| Moment::new(pin.time(), desk.zone).full).unwrap_or_default(),
            newest_ts: newest.unwrap_or(MessageTs::MIN),
            walked: match walk.and_then(|row| row.walked_until) {
                Some(at) => Moment::new(at, desk.zone).full,
                None => desk.w.say("walked-never"),
            },
            missing: covered.as_ref().map(|covered| missing(desk, covered)).unwrap_or_default(),
            owed: covered.as_ref().map_or(0, |covered| covered.gaps.len() * 1000 + covered.debts.len()),
        };
        if facts.is_im { ims.push(row) } else { rooms.push(row) }
    }
    let (sort, orders) = orders(desk, asked);
    for rows in [&mut rooms, &mut ims] {
        rows.sort_by_cached_key(|row| row.name.to_lowercase());
        match sort {
            "newest" => rows.sort_by_key(|row| std::cmp::Reverse(row.newest_ts)),
            "members" => rows.sort_by_key(|row| std::cmp::Reverse(row.member_count)),
            "missing" => rows.sort_by_key(|row| std::cmp::Reverse(row.owed)),
            _ => {}
        }
    }
    let shell = Shell::new(desk, "channels", desk.w.say("channels"));
    let is_any = !directory.channels.is_empty();
    Ok(Channels { shell, name: asked.name.clone(), sort, orders, is_any, rooms, ims })
}

/// What is missing of a channel.
fn missing(desk: &Desk, covered: &ChannelCoverage) -> String {
    let w = desk.w;
    if covered.excluded.is_some() {
        return w.say("channel-excluded");
    }
    match (covered.gaps.len(), covered.debts.len()) {
        (0, 0) => String::new(),
        (0, debts) => w.count("channel-owed", debts),
        (gaps, _) => w.count("channel-gaps", gaps),
    }
}

fn orders(desk: &Desk, asked: &Asked) -> (&'static str, Vec<Order>) {
    let all = [
        ("name", desk.w.say("sort-name")),
        ("newest", desk.w.say("sort-newest")),
        ("members", desk.w.say("sort-members")),
        ("missing", desk.w.say("sort-missing")),
    ];
    let sort = all.iter().map(|(sort, _)| *sort).find(|sort| *sort == asked.sort).unwrap_or("name");
    let orders = all.into_iter().map(|(order, name)| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !asked.name.is_empty() {
            query.append_pair("name", &asked.name);
        }
        Order { name, href: format!("/c?{}", query.append_pair("sort", order).finish()), is_chosen: order == sort }
    });
    (sort, orders.collect())
}
