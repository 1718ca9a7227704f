//! The address that a page gives for itself: who opens it elsewhere reads the same, in the same zone.

use axum::http::header;
use teamchat_archive::record::Kind;

use super::{Desk, encode, tags, text_of};

/// Not an hour but half an hour from most others.
const ZONE: &str = "Asia/Kolkata";

/// What a reader reads of a page: the texts of its main part, and the times of it in full. The number of this very view
/// is left out.
fn read(html: &str) -> (String, Vec<String>) {
    let main = html.split_once("<main").unwrap().1.split_once(">").unwrap().1.split("</main>").next().unwrap();
    let entry = regex::Regex::new(r"(Entry in the access log:?\s*)[0-9,]+").unwrap();
    let times = tags(main).into_iter().filter(|tag| tag.name == "time");
    let times = times.map(|tag| format!("{} {}", tag.attribute("datetime"), tag.attribute("title"))).collect();
    (entry.replace_all(&text_of(main), "$1").into_owned(), times)
}

/// The address at the foot.
fn address(html: &str) -> String {
    let foot = html.split_once("<footer").unwrap().1;
    let link = foot.split("<a ").skip(1).map(|part| format!("<a {}", part.split("</a>").next().unwrap()));
    let link = link.into_iter().find(|link| text_of(link) == "Address of this page").expect("an address");
    tags(&link)[0].attribute("href").to_owned()
}

#[tokio::test]
async fn the_address_of_a_page_gives_it_without_the_cookie_of_the_zone() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let legal = encode(&desk.channel(&desk.auditor_token(), "legal").await);
    let file = encode(&desk.archive.newest(Kind::File).into_keys().next().unwrap());
    let message = desk.archive.newest(Kind::Message).into_values().find(|item| item.versions.len() > 1).unwrap();
    let seq = message.latest().unwrap().seq;
    let exhibit = desk.form(&cookie, "/exhibits", &[("record", &seq.to_string())]).await;
    let exhibit = exhibit.header(header::LOCATION).to_owned();
    let person = encode(&desk.running.username);
    let mut moved = 0;
    // The pages of the access log, and what counts it, tell of each view before them.
    for path in [
        "/".to_owned(),
        "/c".to_owned(),
        format!("/c/{legal}"),
        format!("/c/{legal}?date=2026-03-04&n=20"),
        format!("/c/{legal}?q=crane"),
        format!("/c/{legal}?asof=2026-03-05%2010:00"),
        format!("/c/{legal}/day/2026-03-04"),
        "/search?q=crane".to_owned(),
        "/search?q=date%3A2026-03-04".to_owned(),
        "/search?q=crane&asof=2026-12-31&sort=newest".to_owned(),
        "/certificate?q=crane%20date%3A2026-03-04".to_owned(),
        "/people".to_owned(),
        format!("/people/{person}"),
        "/f".to_owned(),
        format!("/f/{file}"),
        format!("/r/{seq}"),
        "/crawl".to_owned(),
        "/crawl/runs/1".to_owned(),
        "/crawl/coverage".to_owned(),
        exhibit,
    ] {
        let mine = desk.html(&format!("{cookie}; tz={ZONE}"), &path).await;
        let address = address(&mine);
        assert!(address.contains(&format!("tz={}", encode(ZONE))), "{path}: {address}");
        let (there, own) = (desk.html(&cookie, &address).await, desk.html(&cookie, &path).await);
        assert_eq!(read(&there), read(&mine), "{path} by {address}");
        // Nor does a cookie of another zone change it.
        let other = desk.html(&format!("{cookie}; tz=America/New_York"), &address).await;
        assert_eq!(read(&other), read(&mine), "{path} by {address}, elsewhere");
        moved += usize::from(read(&own) != read(&mine));
    }
    assert!(moved > 12, "only {moved} pages depend on the zone");
}
