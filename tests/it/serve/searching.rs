//! The search page: its numbers are those of what its links lead to, it says what it did not reach, and each reader's
//! search tells of what they may see alone.

mod missing;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use teamchat_archive::crawl::Options;
use teamchat_archive::index::Indexer;
use teamchat_archive::model::{ChannelId, Role};
use teamchat_archive::sandbox;

use super::{Answer, Desk, Part, Tag, encode, link, only, parts, post, send, tags, text_of};
use crate::support::{TestArchive, account};

/// A value of a facet.
#[derive(Debug, Clone)]
struct Value {
    name: String,
    count: u64,
    href: String,
    is_chosen: bool,
}

fn number(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number in {text:?}"))
}

/// The text from a tag that `is_it` on to its end.
fn inside(html: &str, is_it: impl Fn(&Tag) -> bool) -> Option<String> {
    let mut parts = parts(html).into_iter();
    let tag = parts.by_ref().find_map(|part| match part {
        Part::Tag(tag) if is_it(&tag) => Some(tag.name),
        _ => None,
    })?;
    let (mut depth, mut out) = (1, String::new());
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(&text),
            Part::Tag(other) if other.name == tag => depth += 1,
            Part::Tag(other) if other.name == format!("/{tag}") => depth -= 1,
            Part::Tag(_) => {}
        }
        if depth == 0 {
            break;
        }
    }
    Some(out)
}

fn has_class(tag: &Tag, class: &str) -> bool {
    tag.attribute("class").split(' ').any(|known| known == class)
}

/// How many matches the page says that there are.
fn total(html: &str) -> u64 {
    let found = inside(html, |tag| has_class(tag, "found")).expect("a page of a result");
    number(found.split("match").next().unwrap())
}

/// The facets by their words.
fn rail(html: &str) -> BTreeMap<String, Vec<Value>> {
    let mut out: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let aside = html.split_once("<aside class=\"rail\"").map_or("", |(_, rest)| rest.split("</aside>").next().unwrap());
    for section in aside.split("<section aria-labelledby=\"by-").skip(1) {
        let facet = section.split('"').next().unwrap().to_owned();
        let values = section.split("<li>").skip(1).map(|item| {
            let link = tags(item).into_iter().find(|tag| tag.name == "a").unwrap();
            Value {
                name: inside(item, |tag| tag.name == "bdi").unwrap(),
                count: number(&inside(item, |tag| has_class(tag, "count")).unwrap()),
                href: link.attribute("href").to_owned(),
                is_chosen: link.attribute("aria-current") == "true",
            }
        });
        out.insert(facet, values.collect());
    }
    out
}

/// The links of the histogram: what each is called, its count, and where it leads.
fn bars(html: &str) -> Vec<(String, u64, String)> {
    let picture = html.split_once("<svg class=\"bars\"").map_or("", |(_, rest)| rest.split("</svg>").next().unwrap());
    let links = tags(picture).into_iter().filter(|tag| tag.name == "a");
    links
        .map(|tag| {
            let (name, count) = tag.attribute("aria-label").rsplit_once(": ").unwrap();
            (name.to_owned(), number(count), tag.attribute("href").to_owned())
        })
        .collect()
}

/// The rows of the list, each as its part of the page.
fn rows(html: &str) -> Vec<String> {
    let list = html.split_once("<ol class=\"hits\"").map_or("", |(_, rest)| rest.split("</ol>").next().unwrap());
    list.split("<li class=\"hit\"").skip(1).map(str::to_owned).collect()
}

/// What a reader reads, without what is told of this very view.
fn main_of(html: &str) -> &str {
    html.split_once("<main").unwrap().1.split("</main>").next().unwrap()
}

fn asking(q: &str) -> String {
    format!("/search?q={}", encode(q))
}

#[tokio::test]
async fn each_number_is_that_of_what_its_link_leads_to() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let (mut followed, mut narrower) = (0, 0);
    for start in [asking("crane"), asking("the"), asking("from:klara"), asking("kind:file")] {
        let html = desk.html(&cookie, &start).await;
        let (all, facets) = (total(&html), rail(&html));
        assert!(all > 0, "{start}");
        let states: u64 = facets["state"].iter().map(|value| value.count).sum();
        assert_eq!(states, all, "{start}: the states are not all there is");
        for (facet, values) in &facets {
            let mut step = values.clone();
            step.truncate(5);
            for value in step {
                let chosen = desk.html(&cookie, &value.href).await;
                let now = rail(&chosen);
                assert_eq!(total(&chosen), value.count, "{}", value.href);
                narrower += usize::from(value.count < all);
                followed += 1;
                // A facet does not count its own choice, and shows it first.
                let counts = |facet: &[Value]| -> BTreeMap<String, u64> {
                    facet.iter().map(|value| (value.name.clone(), value.count)).collect()
                };
                let (before, after) = (counts(values), counts(&now[facet]));
                for (name, count) in before.iter().filter(|(name, _)| after.contains_key(*name)) {
                    assert_eq!(after[name], *count, "{facet}: {name} after {} was chosen", value.name);
                }
                assert!(now[facet][0].is_chosen && now[facet][0].name == value.name, "{}", value.href);
                let states = now["state"].iter().filter(|state| facet != "state" || state.is_chosen);
                assert_eq!(states.map(|state| state.count).sum::<u64>(), total(&chosen), "{}", value.href);
                // And it can be taken back.
                let back = desk.html(&cookie, &now[facet][0].href).await;
                assert_eq!(total(&back), all, "{}", now[facet][0].href);
            }
        }
        // Within a facet any of the values is enough, between two both must hold.
        let kinds = &facets["kind"];
        if let [one, other, ..] = kinds.as_slice() {
            let with_one = desk.html(&cookie, &one.href).await;
            let both = rail(&with_one)["kind"].iter().find(|value| value.name == other.name).unwrap().href.clone();
            let both = desk.html(&cookie, &both).await;
            assert_eq!(total(&both), one.count + other.count, "{start}");
            let author = &rail(&with_one)["author"][0];
            assert_eq!(total(&desk.html(&cookie, &author.href).await), author.count, "{}", author.href);
        }
    }
    assert!(followed > 40 && narrower > 30, "{followed} links followed, {narrower} of them narrow");
}

#[tokio::test]
async fn every_value_of_a_long_facet_can_be_reached() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let whole = rail(&desk.html(&cookie, "/search?q=*&list=channel").await)["channel"].clone();
    let channels = desk.ids(&token, "channels.list", "channels").await.len();
    let ims = desk.ids(&token, "im.list", "ims").await.len();
    assert!(whole.len() > 12 && whole.len() <= channels + ims, "{} of {channels} and {ims}", whole.len());
    let some = rail(&desk.html(&cookie, "/search?q=*&list=channel&like=LEG").await)["channel"].clone();
    assert!(some.iter().any(|value| value.name == "#legal"), "{some:?}");
    assert!(some.len() < whole.len());
}

#[tokio::test]
async fn a_bar_counts_what_it_leads_to_in_each_zone() {
    // Every hour around the days on which clocks change, there and here.
    let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp();
    let changes = ["2026-03-07T00:00:00Z", "2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z", "2026-10-31T00:00:00Z"];
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        for change in changes {
            for step in 0..84 {
                workspace.post_at(&legal, &running.username, "tick of the clock", at(change) + step * 3600).unwrap();
            }
        }
    })
    .await;
    let cookie = desk.auditor();
    let mut days = 0;
    for zone in ["UTC", "Europe/Prague", "America/New_York"] {
        let in_zone = format!("tz={}", encode(zone));
        for start in [
            format!("{}&{in_zone}", asking("tick")),
            format!("{}&{in_zone}&on=2026-03-08", asking("tick")),
            format!("{}&{in_zone}&on=2026-03-29", asking("tick")),
            format!("{}&{in_zone}&on=2026-10-24..2026-11-02", asking("tick")),
            format!("{}&{in_zone}&on=2026-11-01", asking("tick")),
            format!("{}&{in_zone}", asking("crane")),
            format!("{}&{in_zone}", asking("date:2026-03-01..2026-04-15 tick")),
        ] {
            let html = desk.html(&cookie, &start).await;
            let bars = bars(&html);
            assert!(!bars.is_empty() && bars.len() <= 31, "{start}: {} links", bars.len());
            let sum: u64 = bars.iter().map(|(_, count, _)| count).sum();
            assert_eq!(sum, total(&html), "{start}");
            for (name, count, href) in bars {
                let narrowed = desk.html(&cookie, &href).await;
                assert_eq!(total(&narrowed), count, "{zone}: {name} of {start} leads to {href}");
                days += 1;
            }
        }
    }
    assert!(days > 150, "{days} bars");
    // The day without an hour has one message less than the day with one more.
    let day = async |zone: &str, day: &str| {
        total(&desk.html(&cookie, &format!("{}&tz={}&on={day}", asking("tick"), encode(zone))).await)
    };
    assert_eq!(day("Europe/Prague", "2026-03-29").await, 23);
    assert_eq!(day("America/New_York", "2026-03-08").await, 23);
    assert_eq!(day("Europe/Prague", "2026-10-25").await, 25);
}

#[tokio::test]
async fn an_earlier_wording_and_a_deleted_message_say_what_they_are() {
    let me = "klara.zemanova@orlava.example";
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        workspace.post(&legal, me, "what came before").unwrap();
        workspace.post(&legal, me, "the quokka file name.txt is meant").unwrap();
        workspace.post(&legal, me, "what came after").unwrap();
    })
    .await;
    let channel = desk.channel(&desk.auditor_token(), "legal").await;
    let find = |text: &str| desk.truth().into_iter().find(|item| item.text == text).unwrap().ts;
    let (ts, after) = (find("the quokka file name.txt is meant"), find("what came after"));
    let workspace = desk.running.workspace();
    workspace.edit(&channel, &ts, None, "the wombat is meant").unwrap();
    workspace.delete(&channel, &after, None).unwrap();
    workspace.upload(&channel, me, "quokka.txt", b"lines\n\nof a file\nthat says numbat\nand more".to_vec()).unwrap();
    let again = account(&desk.running).await;
    desk.archive.crawl(&again, &Options { full: true, ..Options::default() }).await.unwrap();
    let index =
        || Indexer::open(&desk.archive.layout).unwrap().catch_up(&desk.archive.reader(), None, &mut |_| {}).unwrap();
    index();
    let cookie = desk.auditor();

    let html = desk.html(&cookie, &asking("quokka meant")).await;
    let found = rows(&html);
    assert_eq!((found.len(), total(&html)), (1, 1));
    let said = text_of(&found[0]);
    assert!(said.contains("earlier wording, 1 of 2"), "{said}");
    assert!(said.contains("found in the text"), "{said}");
    // One line before and one after, of its channel; the one that is gone says so.
    let context: Vec<&str> = found[0].split("<p class=\"line context\"").skip(1).collect();
    assert_eq!(context.len(), 2, "{said}");
    assert!(text_of(context[0]).contains("what came before"), "{said}");
    assert!(
        text_of(context[1]).contains("what came after") && text_of(context[1]).contains("deleted, text kept"),
        "{said}"
    );
    let row_tags = tags(&format!("<li class=\"hit\"{}", found[0]));
    assert!(row_tags[0].attributes.contains_key("data-row"));
    let main = row_tags.iter().find(|tag| tag.attribute("data-key") == "o").unwrap();
    assert!(
        main.attribute("href").starts_with(&format!("/c/{}?at=", encode(ChannelId::parse(&channel).unwrap().as_str()))),
        "{}",
        main.attribute("href")
    );
    let pick = row_tags.iter().find(|tag| tag.attribute("data-key") == "x").unwrap();
    assert_eq!((pick.attribute("name"), pick.attribute("form")), ("record", "pick"));
    assert!(found[0].contains(&format!("id=\"m{}\"", pick.attribute("value"))));

    let html = desk.html(&cookie, &asking("\"what came after\"")).await;
    let said = text_of(&rows(&html)[0]);
    assert!(said.contains("deleted") && said.contains("who removed it: not given by the server"), "{said}");
    let html = desk.html(&cookie, &asking("title:quokka kind:file")).await;
    let said = text_of(&rows(&html)[0]);
    assert!(said.contains("found in a file's name") && said.contains("#legal"), "{said}");
    // No two things of a page have one id.
    for path in [asking("what came"), asking("meant"), asking("the")] {
        let html = desk.html(&cookie, &path).await;
        let mut ids: Vec<String> =
            tags(&html).iter().map(|tag| tag.attribute("id").to_owned()).filter(|id| !id.is_empty()).collect();
        ids.sort();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{path}");
    }
}

#[tokio::test]
async fn a_search_that_finds_nothing_is_no_dead_end() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let html = desk.html(&cookie, &format!("{}&state=deleted", asking("\"crane xyzzy\" from:klara"))).await;
    assert_eq!(total(&html), 0);
    let said = text_of(main_of(&html));
    assert!(said.contains("0 dated matches"), "{said}");
    assert!(said.contains("channels and conversations were searched"), "{said}");
    let nothing = html.split_once("aria-labelledby=\"nothing\"").unwrap().1.split("</section>").next().unwrap();
    let mut alone = BTreeMap::new();
    for item in nothing.split("<li>").skip(1) {
        let href = tags(item)[0].attribute("href").to_owned();
        let count = number(&inside(item, |tag| has_class(tag, "count")).unwrap());
        assert_eq!(total(&desk.html(&cookie, &href).await), count, "{href}");
        alone.insert(inside(item, |tag| tag.name == "code").unwrap(), count);
    }
    assert!(alone["crane"] > 0 && alone["xyzzy"] == 0 && alone["from:klara"] > 0, "{alone:?}");
    let statement = tags(nothing).into_iter().find(|tag| tag.attribute("href").starts_with("/certificate?q=")).unwrap();
    assert!(statement.attribute("href").ends_with("&state=deleted"), "{}", statement.attribute("href"));
}

#[tokio::test]
async fn a_query_that_cannot_be_read_says_where_it_stops() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    for (q, at) in [("crane (gear", "("), ("from:", "from:"), ("crane \"x", "\"x"), ("crane date:never", "date:never")]
    {
        let answer = desk.page(&cookie, &asking(q)).await;
        assert_eq!(answer.status, 400, "{q}");
        assert_eq!(inside(&answer.text(), |tag| tag.name == "mark").as_deref(), Some(at), "{q}");
    }
    for path in ["/search?q=crane&on=never", "/search?q=crane&asof=never", "/search?on=2026-03-09..2026-03-01"] {
        assert_eq!(desk.page(&cookie, path).await.status, 400, "{path}");
    }
    for path in [
        "/search?q=crane&page=999999999999999999999",
        "/search?q=crane&on=0001-01-01..9999-12-31",
        "/search?q=crane&state=none&kind=none&channel=none&author=none",
        "/search?q=crane&list=none&like=x",
        "/search?author=",
        "/search?on=2026-03-04&sort=none&tz=none",
    ] {
        assert!([200, 400].contains(&desk.page(&cookie, path).await.status.as_u16()), "{path}");
    }
}

#[tokio::test]
async fn an_address_gives_the_same_page_again_and_a_form_gives_an_address() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let legal = desk.channel(&token, "legal").await;
    let path = format!(
        "{}&sort=newest&tz=Europe%2FPrague&on=2026-01-01..2026-06-30&channel={}&state=current&page=2",
        asking("the OR to OR a OR of"),
        encode(&legal)
    );
    let (one, other) = (desk.html(&cookie, &path).await, desk.html(&cookie, &path).await);
    assert_eq!(main_of(&one), main_of(&other));
    assert!(total(&one) > 20 && !rows(&one).is_empty());
    // The other pages of the result keep all that was chosen.
    let first = link(&one, "prev").unwrap();
    for kept in ["sort=newest", "tz=Europe%2FPrague", "on=2026-01-01..2026-06-30", "state=current", "channel="] {
        assert!(first.contains(kept), "{first}");
    }
    let pages = total(&one).div_ceil(20);
    let (mut seen, mut at) = (Vec::new(), Some(first));
    while let Some(path) = at {
        let html = desk.html(&cookie, &path).await;
        seen.extend(
            rows(&html).iter().map(|row| row.split("id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()),
        );
        at = link(&html, "next");
    }
    assert_eq!(seen.len() as u64, total(&one), "{pages} pages");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len() as u64, total(&one), "a hit stands on two pages");

    let form = "/search/advanced?words=crane&phrase=&channel=%23legal&person=Klara&from=2026-01-01&to=2026-06-30&state=current&asof=&tz=UTC";
    let answer = desk.page(&cookie, form).await;
    assert_eq!(answer.status, 303);
    let to = answer.header(header::LOCATION).to_owned();
    let html = desk.html(&cookie, &to).await;
    let field = tags(&html).into_iter().find(|tag| tag.attribute("id") == "q").unwrap();
    assert_eq!(field.attribute("value"), "crane from:Klara in:legal date:2026-01-01..2026-06-30");
    // The form stands there as it was sent, and sending it again asks the same.
    let value = |html: &str, id: &str| {
        let field = tags(html).into_iter().find(|tag| tag.attribute("id") == id);
        field.map(|tag| tag.attribute("value").to_owned()).unwrap_or_default()
    };
    for (id, due) in [
        ("f-words", "crane"),
        ("f-person", "Klara"),
        ("f-channel", "legal"),
        ("f-from", "2026-01-01"),
        ("f-to", "2026-06-30"),
    ] {
        assert_eq!(value(&html, id), due, "{id}");
    }
    let again =
        "/search/advanced?words=crane&channel=legal&person=Klara&from=2026-01-01&to=2026-06-30&state=current&tz=UTC";
    assert_eq!(desk.page(&cookie, again).await.header(header::LOCATION), to);
    // What its fields cannot say is kept, and what else the search was narrowed to.
    let html = desk.html(&cookie, "/search?q=is:deleted+kind:message&kind=message").await;
    let kept = tags(&html).into_iter().find(|tag| tag.attribute("name") == "within").unwrap();
    assert_eq!((kept.attribute("value"), kept.attributes.contains_key("checked")), ("is:deleted kind:message", true));
    let rest = tags(&html).into_iter().find(|tag| tag.attribute("name") == "rest").unwrap();
    let form = format!(
        "/search/advanced?within=is:deleted+kind:message&person=Viktor&rest={}",
        encode(rest.attribute("value"))
    );
    let answer = desk.page(&cookie, &form).await;
    assert_eq!(answer.header(header::LOCATION), "/search?q=is%3Adeleted+kind%3Amessage+from%3AViktor&kind=message");
}

#[tokio::test]
async fn what_others_cannot_see_changes_nothing_in_a_search() {
    let desk = Desk::alone().await;
    let token = desk.auditor_token();
    let (random, legal) = (desk.channel(&token, "random").await, desk.channel(&token, "legal").await);
    let cookie = desk.cookie("rita", Role::Reviewer, &only(&[&random]));
    let paths = [
        asking("crane"),
        asking("crane*"),
        asking("the"),
        asking("zyzzyva"),
        asking("in:legal crane"),
        asking("from:klara date:2026-01-01..2026-12-31"),
        "/search?kind=message&list=author".to_owned(),
        "/search".to_owned(),
    ];
    let shown = async || {
        let mut out: Vec<String> = Vec::new();
        for path in &paths {
            out.push(main_of(&desk.html(&cookie, path).await).to_owned());
        }
        out
    };
    let before = shown().await;
    let workspace = desk.running.workspace();
    for text in ["crane crane crane", "zyzzyva and the cranes", "cranefly"] {
        workspace.post(&legal, "klara.zemanova@orlava.example", text).unwrap();
    }
    workspace.leave(&legal, &desk.running.username).unwrap();
    let again = account(&desk.running).await;
    desk.archive.crawl(&again, &Options { full: true, ..Options::default() }).await.unwrap();
    Indexer::open(&desk.archive.layout).unwrap().catch_up(&desk.archive.reader(), None, &mut |_| {}).unwrap();
    for ((path, before), after) in paths.iter().zip(&before).zip(shown().await) {
        // When the archive last looked is told of what the reader may see, and it looked again.
        let without = |text: &str| text.split("The archive last looked at").next().unwrap().to_owned();
        assert_eq!(without(before), without(&after), "{path}");
    }
}

#[tokio::test]
async fn a_search_is_kept_for_who_kept_it() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let random = desk.channel(&desk.auditor_token(), "random").await;
    let rita = desk.cookie("rita", Role::Reviewer, &only(&[&random]));
    let keep = async |cookie: &str, name: &str, address: &str| -> Answer {
        let form = format!("name={}&address={}", encode(name), encode(address));
        let head = post("/saved/keep")
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        send(&desk.router, head.body(Body::from(form)).unwrap()).await
    };
    // What the page sends is what stands in its form.
    let html = desk.html(&ada, &format!("{}&state=deleted&page=1", asking("crane"))).await;
    let address = tags(&html).into_iter().find(|tag| tag.attribute("name") == "address").unwrap();
    let address = address.attribute("value").to_owned();
    assert_eq!(address, "q=crane&state=deleted");
    assert_eq!(keep(&ada, "<b>cranes", &address).await.status, 303);
    assert_eq!(keep(&ada, "<b>cranes", "q=other").await.status, 400, "the name is taken");
    assert_eq!(keep(&ada, "x", "sort=newest").await.status, 400, "it is no search");
    assert_eq!(keep(&ada, "", "q=plate&page=3&evil=%3Cscript%3E").await.status, 303);
    assert_eq!(keep(&rita, "mine", "q=crane").await.status, 303);

    let list = desk.html(&ada, "/saved").await;
    let row_of = |html: &str, name: &str| {
        html.split("<tr data-row").find(|row| text_of(row).contains(name)).map(str::to_owned).unwrap_or_default()
    };
    let row = row_of(&list, "<b>cranes");
    let href = tags(&row).into_iter().find(|tag| tag.attribute("data-key") == "o").unwrap();
    assert_eq!(href.attribute("href"), "/search?q=crane&state=deleted");
    let count = total(&html);
    let due = if count == 1 { "1 match".to_owned() } else { format!("{count} matches") };
    assert!(text_of(&row).contains(&due), "{}", text_of(&row));
    assert!(row_of(&list, "plate").contains("href=\"/search?q=plate\""), "{list}");
    assert!(!text_of(&list).contains("mine"));
    let hers = desk.html(&rita, "/saved").await;
    assert!(text_of(&hers).contains("mine") && !text_of(&hers).contains("plate"));
    // The same words find for her what she may see.
    let whole = total(&desk.html(&ada, &asking("crane")).await);
    let part = total(&desk.html(&rita, &asking("crane")).await);
    assert!(part < whole);
    assert!(text_of(&row_of(&hers, "mine")).contains(&format!("{part} match")), "{hers}");

    let action = tags(&row).into_iter().find(|tag| tag.name == "form").unwrap().attribute("action").to_owned();
    let drop = async |cookie: &str| {
        send(&desk.router, post(&action).header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await.status
    };
    assert_eq!(drop(&rita).await, 404, "it is another's");
    assert_eq!(drop(&ada).await, 303);
    assert_eq!(drop(&ada).await, 404);
    assert!(!text_of(&desk.html(&ada, "/saved").await).contains("<b>cranes"));
}

#[tokio::test]
async fn what_is_found_beside_the_text_is_shown_with_it() {
    let mut seed = crate::crawl::seed(6);
    let subject = serde_json::json!("The wombat's <b> berth");
    seed.messages[2].extra.push(("topic".to_owned(), subject));
    let running = sandbox::start(seed, sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::in_memory(&running.url);
    archive.crawl(&account(&running).await, &Options::default()).await.unwrap();
    Indexer::open(&archive.layout).unwrap().catch_up(&archive.reader(), None, &mut |_| {}).unwrap();
    let desk = Desk::over(Arc::new(running), archive);
    let html = desk.html(&desk.auditor(), &asking("wombat")).await;
    let found = rows(&html);
    assert_eq!(found.len(), 1, "{html}");
    let said = text_of(&found[0]);
    assert!(said.contains("found in what came with the text") && !said.contains("found in the text"), "{said}");
    let excerpt = inside(&found[0], |tag| tag.attribute("class") == "excerpt").unwrap();
    assert!(excerpt.contains("The wombat's <b> berth") && found[0].contains("<mark>wombat"), "{}", found[0]);
    desk.archive.check();
}
