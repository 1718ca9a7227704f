//! The pages of files: the list, one file, what was read in it, pictures of it, and its bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use axum::body::Body;
use axum::http::header;
use image::{DynamicImage, GenericImageView as _, ImageFormat, Rgb, RgbImage};
use teamchat_archive::model::{Clock, Digest, Role};
use teamchat_archive::record::Kind;
use teamchat_archive::store::{Derived, FIRST_SOURCE, NewResult};
use tower::ServiceExt as _;

use super::{Desk, encode, get, link, only, tags, text_of};

const ME: &str = "klara.zemanova@orlava.example";

fn legal(desk: &teamchat_archive::sandbox::Running) -> String {
    desk.workspace().channels().into_iter().find(|(_, name)| name == "legal").unwrap().0
}

/// The files that a list names, in its order.
fn listed(html: &str) -> Vec<String> {
    let rows = tags(html).into_iter().filter(|tag| tag.name == "a" && tag.attribute("data-key") == "o");
    rows.filter_map(|tag| tag.attribute("href").strip_prefix("/f/").map(str::to_owned)).collect()
}

/// The value of a facet by the address that chooses it.
fn choices(html: &str, facet: &str) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    let parts = super::parts(html);
    for (at, part) in parts.iter().enumerate() {
        let super::Part::Tag(tag) = part else { continue };
        let Some(query) = tag.attribute("href").strip_prefix("/f?") else { continue };
        let value = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == facet);
        if let (Some((_, value)), "a") = (value, tag.name.as_str()) {
            let mut counts = parts[at..].iter().filter_map(|part| match part {
                super::Part::Text(text) => text.parse().ok(),
                super::Part::Tag(_) => None,
            });
            out.extend(counts.next().map(|count| (value.into_owned(), count)));
        }
    }
    out
}

fn picture(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x % 251) as u8, (y % 241) as u8, (x ^ y) as u8])).into()
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// A PNG in which its program says who drew it.
fn commented(png: Vec<u8>) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(b"tEXtAuthor\0GPS x");
    [&png[..33], &[0, 0, 0, 12], b"tEXtAuthor\0GPS x", &sum.sum().to_be_bytes(), &png[33..]].concat()
}

#[tokio::test]
async fn the_list_has_every_file_once_newest_first() {
    let mut names = BTreeSet::new();
    let desk = Desk::after(|running| {
        let channel = legal(running);
        for n in 0..130 {
            let name = format!("page-{n:03}.{}", if n % 3 == 0 { "pdf" } else { "txt" });
            let (file, _) =
                running.workspace().upload(&channel, ME, &name, format!("content {n}").into_bytes()).unwrap();
            names.insert(file);
        }
        let gone: Vec<String> = names.iter().take(2).cloned().collect();
        for file in &gone {
            running.workspace().delete_file(file).unwrap();
        }
    })
    .await;
    let cookie = desk.auditor();
    let due: BTreeSet<String> =
        desk.running.workspace().file_truth().unwrap().into_iter().map(|f| encode(&f.file)).collect();
    let (mut path, mut seen, mut pages, mut created) = ("/f".to_owned(), Vec::new(), 0, Vec::new());
    loop {
        let html = desk.html(&cookie, &path).await;
        assert!(html.len() < 80_000, "{path}: {} bytes", html.len());
        let page = listed(&html);
        assert!(!page.is_empty() && page.len() <= 60, "{path}: {} files", page.len());
        let times = tags(&html).into_iter().filter(|tag| tag.name == "time");
        created.extend(times.map(|tag| tag.attribute("datetime").to_owned()));
        seen.extend(page);
        pages += 1;
        assert_eq!(link(&html, "first").is_some(), pages > 1, "{path}");
        match link(&html, "next") {
            Some(older) => path = older,
            None => break,
        }
    }
    assert!(pages > 2);
    let distinct: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(distinct.len(), seen.len(), "a file is there twice");
    // What was deleted before it was ever seen is not here; what is here is of the server.
    assert!(distinct.is_subset(&due) && distinct.len() + 2 >= due.len(), "{} of {}", distinct.len(), due.len());
    assert!(created.is_sorted_by(|a, b| a >= b), "not newest first");
    let html = desk.html(&cookie, "/f").await;
    assert!(text_of(&html).contains(&format!("{} files, newest first", seen.len())));
    desk.archive.check();
}

#[tokio::test]
async fn files_are_found_by_name_kind_place_and_person() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let html = desk.html(&cookie, "/f").await;
    let token = desk.auditor_token();
    let all = desk.reply(&token, "files.list", &[("count", "1000")]).await;
    let all = all["files"].as_array().unwrap();
    let counts = choices(&html, "extension");
    assert!(counts.len() > 2, "{counts:?}");
    for (facet, values) in
        [("extension", counts), ("channel", choices(&html, "channel")), ("author", choices(&html, "author"))]
    {
        assert!(!values.is_empty(), "{facet}");
        for (value, count) in values {
            let html = desk.html(&cookie, &format!("/f?{facet}={}", encode(&value))).await;
            let found = listed(&html);
            assert_eq!(found.len() as u64, count, "{facet}={value}");
            for file in all.iter().filter(|file| found.contains(&encode(file["id"].as_str().unwrap()))) {
                let name = file["name"].as_str().unwrap().to_lowercase();
                match facet {
                    "extension" => assert!(name.ends_with(&format!(".{value}")), "{name}"),
                    "author" => assert_eq!(file["user"].as_str().unwrap().to_lowercase(), value),
                    _ => assert!(
                        file["channels"].to_string().to_lowercase().contains(&value.to_lowercase()),
                        "{file} {value}"
                    ),
                }
            }
        }
    }
    // By the beginning of a word of the name, whatever its case.
    let name = all[0]["name"].as_str().unwrap();
    let word: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
    let begins = encode(&word[..word.len().min(4)].to_uppercase());
    let html = desk.html(&cookie, &format!("/f?name={begins}")).await;
    assert!(listed(&html).contains(&encode(all[0]["id"].as_str().unwrap())), "{begins} does not find {name}");
    let html = desk.html(&cookie, "/f?name=nosuchnameanywhere").await;
    assert!(listed(&html).is_empty() && text_of(&html).contains("No file that you may see is like that"));
    for odd in ["/f?name=%22", "/f?name=a%20OR%20%28", "/f?extension=&channel=nowhere", "/f?from=99999999999999999999"]
    {
        assert_eq!(desk.page(&cookie, odd).await.status, 200, "{odd}");
    }
    assert_eq!(desk.page(&cookie, "/f?after=forged").await.status, 400);
    // What is chosen is noted with what it found.
    let entry = desk.access.log().entries(desk.access.log().size().unwrap() - 6, 1).unwrap();
    assert!(entry[0].body.contains("\"hits\":"), "{}", entry[0].body);
}

#[tokio::test]
async fn the_page_of_a_file_has_all_its_versions_and_says_who_shared_it_where() {
    let (mut id, mut ts, mut other, mut channel) = (String::new(), String::new(), String::new(), String::new());
    let desk = Desk::after(|running| {
        channel = legal(running);
        let workspace = running.workspace();
        (id, ts) = workspace.upload(&channel, ME, "plan.txt", b"the first plan".to_vec()).unwrap();
        workspace.comment(&id, ME, "a remark about the plan").unwrap();
        other = workspace.upload(&channel, ME, "copy of it.txt", b"the second plan".to_vec()).unwrap().0;
    })
    .await;
    desk.running.workspace().replace_file(&id, b"the second plan".to_vec()).unwrap();
    let account = crate::support::account(&desk.running).await;
    desk.archive.crawl(&account, &teamchat_archive::crawl::Options { full: true, ..Default::default() }).await.unwrap();
    let mut indexer = teamchat_archive::index::Indexer::open(&desk.archive.layout).unwrap();
    indexer.catch_up(&desk.archive.reader(), None, &mut |_| {}).unwrap();
    drop(indexer);
    let cookie = desk.auditor();
    let page = format!("/f/{}", encode(&id));
    let html = desk.html(&cookie, &page).await;
    let text = text_of(&html);
    assert!(
        text.contains("version 2 of 2") && text.contains("the second plan") && text.contains("a remark about the plan")
    );
    for (version, content) in [(1, "the first plan"), (2, "the second plan")] {
        let digest = Digest::of(content.as_bytes());
        assert!(text.contains(&digest.to_string()), "version {version}");
        let answer = desk.page(&cookie, &format!("{page}/blob?v={version}")).await;
        assert_eq!((answer.text().as_str(), answer.header(header::ETAG)), (content, format!("\"{digest}\"").as_str()));
        assert!(answer.header("repr-digest").starts_with("sha-256=:"));
    }
    let first = text_of(&desk.html(&cookie, &format!("{page}?v=1")).await);
    assert!(first.contains("the first plan") && first.contains("This is an earlier version"));
    // From the channel as of a moment the version is shown that stood then, and what is known of that.
    let item = desk.archive.reader().versions(Kind::File, FIRST_SOURCE, None, &id).unwrap();
    let record = desk.archive.reader().record(item[0].seq).unwrap();
    let then = encode(&record.header.observed_at);
    let room = desk.html(&cookie, &format!("/c/{}?asof=2100-01-01", encode(&channel))).await;
    assert!(room.contains(&format!("href=\"{page}?asof=2100-01-01\"")), "{room}");
    for (asof, number, said) in [
        (then.as_str(), 1, "is the newest that the archive knows to have stood then"),
        ("2100-01-01", 2, "is the newest that the archive knows to have stood then"),
        ("1999-01-01", 1, "the file was not there, by what the server says of it"),
    ] {
        let text = text_of(&desk.html(&cookie, &format!("{page}?asof={asof}")).await);
        assert!(text.contains(&format!("version {number} of 2")) && text.contains(said), "{asof}: {text}");
    }
    assert_eq!(desk.page(&cookie, &format!("{page}?asof=soon")).await.status, 400);
    // The message that carries it, and the other file that is the same.
    let shared: Vec<String> = tags(&html)
        .into_iter()
        .map(|tag| tag.attribute("href").to_owned())
        .filter(|href| href.starts_with("/c/"))
        .collect();
    let at = shared.iter().find(|href| href.contains("?at=")).expect("no message is named");
    let seq = at.split("at=").nth(1).unwrap().split('#').next().unwrap().parse().unwrap();
    let record = desk.archive.reader().record(teamchat_archive::model::RecordSeq(seq)).unwrap();
    assert_eq!(record.header.key, ts);
    assert!(html.contains(&format!("href=\"/f/{}\"", encode(&other))), "the same bytes under another name");
    assert_eq!(desk.page(&cookie, &format!("{page}?v=3")).await.status, 404);
    let list = text_of(&desk.html(&cookie, "/f").await);
    assert!(list.contains("2 versions"), "{list}");

    // Who sees another channel only is told of none of it.
    let random = desk.running.workspace().channels().into_iter().find(|(_, name)| name == "random").unwrap().0;
    let narrow = desk.cookie("rita", Role::Reviewer, &only(&[&random]));
    for path in ["", "/text", "/blob", "/preview", "/thumbnail"] {
        let answer = desk.page(&narrow, &format!("{page}{path}")).await;
        let none = desk.page(&narrow, &format!("/f/nothing{path}")).await;
        assert_eq!((answer.status.as_u16(), answer.body), (404, none.body), "{path}");
    }
    desk.archive.check();
}

#[tokio::test]
async fn what_was_read_in_a_file_is_shown_as_it_is_written() {
    let (mut id, mut plain, mut unread) = (String::new(), String::new(), String::new());
    let long: String = (0..4000).map(|n| format!("line {n} of a long text\n")).collect();
    let desk = Desk::after(|running| {
        let channel = legal(running);
        let upload =
            |name: &str, bytes: &[u8]| running.workspace().upload(&channel, ME, name, bytes.to_vec()).unwrap().0;
        id = upload("scan.pdf", b"%PDF-1.7 a scan");
        plain = upload("notes.txt", long.as_bytes());
        unread = upload("program.bin", b"\0\x01\x02\xff");
    })
    .await;
    let mut derived = Derived::open(&desk.archive.layout, &Clock::System).unwrap();
    let found = "first page\u{1d}<b>second</b> page \u{202e}turned\tand `code` &amp; <https://a.example|x>";
    derived
        .put(&NewResult {
            digest: Digest::of(b"%PDF-1.7 a scan"),
            status: "partial",
            engine: "reader 1.0",
            version: 1,
            text: found,
            detail: Some("2 pages were too large"),
            charset: None,
            pages: Some(4),
            is_truncated: true,
            thumbnail: None,
        })
        .unwrap();
    let cookie = desk.auditor();
    for path in [format!("/f/{}", encode(&id)), format!("/f/{}/text", encode(&id))] {
        let html = desk.html(&cookie, &path).await;
        let text = text_of(&html);
        for said in [
            "first page",
            "<b>second</b> page ",
            "U+202E",
            "`code` &amp; <https://a.example|x>",
            "read in part (reader: reader 1.0",
            "2 pages were too large",
            "It has 4 pages.",
            "makes no pictures of pages",
            "longer than the search keeps",
        ] {
            assert!(text.contains(said), "{path} does not say {said:?}: {text}");
        }
        assert!(!html.contains('\u{202e}') && !tags(&html).iter().any(|tag| tag.name == "b"));
    }
    // A long text comes in pages, and nothing of it is lost or shown twice.
    let (mut path, mut seen, mut pages) = (format!("/f/{}/text", encode(&plain)), String::new(), 0);
    loop {
        let html = desk.html(&cookie, &path).await;
        assert!(html.len() < 60_000, "{path}: {} bytes", html.len());
        seen.push_str(&text_of(&html));
        pages += 1;
        match link(&html, "next") {
            Some(next) => path = next,
            None => break,
        }
    }
    assert!(pages > 2);
    for n in [0, 1999, 3999] {
        assert_eq!(seen.matches(&format!("line {n} of a long text")).count(), 1, "line {n}");
    }
    // What is looked for is marked, and the pages on which it stands are named.
    let html = desk.html(&cookie, &format!("/f/{}/text?q={}", encode(&plain), encode("\"line 3999\""))).await;
    assert!(!tags(&html).iter().any(|tag| tag.name == "mark"), "it is on another page");
    let last = tags(&html)
        .into_iter()
        .map(|tag| tag.attribute("href").to_owned())
        .find(|href| href.contains("page="))
        .unwrap();
    let html = desk.html(&cookie, &last).await;
    assert!(tags(&html).iter().any(|tag| tag.name == "mark"), "{last}");
    let odd = text_of(&desk.html(&cookie, &format!("/f/{}/text?q=%28&page=many", encode(&plain))).await);
    assert!(odd.contains("at character"), "{odd}");
    let none = text_of(&desk.html(&cookie, &format!("/f/{}/text", encode(&unread))).await);
    assert!(none.contains("There is no text to show"), "{none}");
}

#[tokio::test]
async fn a_picture_is_shown_as_a_copy_and_only_a_picture_is() {
    let jpeg = written(&picture(2400, 1200), ImageFormat::Jpeg);
    // Where it was taken stands in what a camera writes.
    let exif = b"\xff\xe1\0\x17Exif\0\0GPS 50.08 14.42".as_slice();
    let told = [&jpeg[..2], exif, &jpeg[2..]].concat();
    let mut film = written(&picture(4, 4), ImageFormat::Gif);
    film[6..10].copy_from_slice(&[0xff; 4]);
    let uploads: Vec<(&str, Vec<u8>, bool)> = vec![
        ("photo.jpg", told, true),
        ("picture.png", commented(written(&picture(300, 200), ImageFormat::Png)), true),
        ("moving.gif", written(&picture(60, 40), ImageFormat::Gif), true),
        ("web.webp", written(&picture(60, 40), ImageFormat::WebP), true),
        ("bomb.gif", film, false),
        ("cut.png", written(&picture(300, 200), ImageFormat::Png)[..200].to_vec(), false),
        ("picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec(), false),
        ("scan.tiff", written(&picture(60, 40), ImageFormat::Tiff), false),
        ("page.png", b"<html><script>alert(1)</script>".to_vec(), false),
        ("paper.pdf", b"%PDF-1.7".to_vec(), false),
    ];
    let mut ids = Vec::new();
    let desk = Desk::after(|running| {
        let channel = legal(running);
        for (name, bytes, _) in &uploads {
            ids.push(running.workspace().upload(&channel, ME, name, bytes.clone()).unwrap().0);
        }
    })
    .await;
    let cookie = desk.auditor();
    let list = desk.html(&cookie, "/f").await;
    for ((name, bytes, is_shown), id) in uploads.iter().zip(&ids) {
        let base = format!("/f/{}", encode(id));
        for (what, side) in [("preview", 1600), ("thumbnail", 320)] {
            let answer = desk.page(&cookie, &format!("{base}/{what}?v=1")).await;
            if !is_shown {
                assert_eq!(answer.status, 404, "{name}/{what}");
                continue;
            }
            assert_eq!(answer.status, 200, "{name}/{what}: {}", answer.text());
            let copy = image::load_from_memory(&answer.body).unwrap();
            let original = image::load_from_memory(bytes).unwrap();
            let (width, height) = copy.dimensions();
            assert!(width <= side && height <= side, "{name}/{what}: {width} by {height}");
            let (was_wide, was_high) = original.dimensions();
            assert!(width == was_wide.min(side) || height == was_high.min(side), "{name}/{what}: {width} by {height}");
            assert!(["image/png", "image/jpeg"].contains(&answer.header(header::CONTENT_TYPE)), "{name}");
            assert!(
                !answer.body.windows(4).any(|four| four == b"Exif" || four == b"GPS " || four == b"tEXt"),
                "{name}/{what}"
            );
            // Asked again, it is the same.
            assert_eq!(desk.page(&cookie, &format!("{base}/{what}")).await.body, answer.body, "{name}/{what}");
        }
        let html = desk.html(&cookie, &base).await;
        let pictures: Vec<_> = tags(&html).into_iter().filter(|tag| tag.name == "img").collect();
        // What a picture says it is may still not open; what it is not is never shown.
        let looks_like_one = *is_shown || ["bomb.gif", "cut.png"].contains(name);
        assert_eq!(pictures.len(), usize::from(looks_like_one), "{name}");
        assert!(pictures.iter().all(|tag| tag.attribute("src").starts_with(&format!("{base}/preview"))), "{name}");
        assert_eq!(list.contains(&format!("{base}/thumbnail")), looks_like_one, "{name} in the list");
    }
    // Each picture that was sent has its entry, with what was shown.
    let before = desk.access.log().size().unwrap();
    desk.page(&cookie, &format!("/f/{}/thumbnail", encode(&ids[1]))).await;
    let entry = desk.access.log().entries(before, 10).unwrap();
    assert_eq!(entry.len(), 1);
    assert!(entry[0].body.contains(&Digest::of(&uploads[1].1).to_string()) && entry[0].body.contains("thumbnail"));
}

#[tokio::test]
async fn a_content_that_was_changed_on_the_disk_is_not_passed_off() {
    let bytes = written(&picture(200, 100), ImageFormat::Png);
    let (mut id, mut other) = (String::new(), String::new());
    let desk = Desk::after(|running| {
        let channel = legal(running);
        id = running.workspace().upload(&channel, ME, "picture.png", bytes.clone()).unwrap().0;
        other = running.workspace().upload(&channel, ME, "text.txt", b"what was written".to_vec()).unwrap().0;
    })
    .await;
    let cookie = desk.auditor();
    let blobs = teamchat_archive::store::Blobs::new(desk.archive.layout.blobs());
    fs_err::write(blobs.path(&Digest::of(&bytes)), written(&picture(200, 101), ImageFormat::Png)).unwrap();
    fs_err::write(blobs.path(&Digest::of(b"what was written")), b"what is written!").unwrap();
    let answer = desk.page(&cookie, &format!("/f/{}/preview", encode(&id))).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains(&Digest::of(&bytes).to_string()));
    let request = get(&format!("/f/{}/blob", encode(&other))).header(header::COOKIE, &cookie);
    let answer = desk.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let read = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
    assert!(read.is_err(), "the download came to its end");
}

#[tokio::test]
async fn links_of_messages_lead_out_by_a_page_that_shows_where() {
    let mut channel = String::new();
    let desk = Desk::after(|running| {
        channel = legal(running);
        running
            .workspace()
            .post(&channel, ME, "see <https://user@evil.example/a?b=c&amp;d=\u{e9}|https://good.example/> ")
            .unwrap();
    })
    .await;
    let cookie = desk.auditor();
    let html = desk.html(&cookie, &format!("/c/{}", encode(&channel))).await;
    let out = tags(&html).into_iter().find(|tag| tag.attribute("data-to").contains("evil.example")).unwrap();
    assert!(out.attribute("href").starts_with("/out?to=https"), "{}", out.attribute("href"));
    let before = desk.access.log().size().unwrap();
    let page = desk.html(&cookie, out.attribute("href")).await;
    assert_eq!(desk.access.log().size().unwrap(), before, "an address is no content of the archive");
    assert!(!page.contains("entry-"), "a page that is not in the log has no number of it");
    let text = text_of(&page);
    assert!(text.contains("evil.example") && text.contains("before the @"), "{text}");
    let go = tags(&page).into_iter().find(|tag| tag.attribute("rel").contains("noreferrer")).unwrap();
    assert_eq!(go.attribute("href"), "https://user@evil.example/a?b=c&d=%C3%A9");
    for bad in ["", "javascript:alert(1)", "data:text/html,x", "//evil.example", "/f", "file:///etc/passwd"] {
        assert_eq!(desk.page(&cookie, &format!("/out?to={}", encode(bad))).await.status, 400, "{bad}");
    }
    assert_eq!(desk.page("", "/out?to=https://a.example/").await.status, 303, "it opens for who has signed in");
}
