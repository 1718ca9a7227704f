//! How a query was read, and where it was found: each word that a pattern stands for is named, each way to less or more
//! leads there, and a word that stands in a file alone leads to the file.

use std::collections::BTreeSet;

use teamchat_archive::index::Indexer;
use teamchat_archive::model::{Clock, Digest, Role};
use teamchat_archive::store::{Derived, DerivedReader, NewResult};

use super::super::{Desk, Tag, encode, only, tags, text_of};
use super::{asking, has_class, inside, main_of, number, rail, rows, total};

/// The list of how a query was read, an item each.
fn read(html: &str) -> Vec<String> {
    let list = html.split_once("<details class=\"read-as\">").map_or("", |(_, rest)| rest);
    let list = list.split("</details>").next().unwrap();
    list.split("<li>").skip(1).map(|item| item.split("</li>").next().unwrap().to_owned()).collect()
}

/// What stands in the field of the page.
fn asked(html: &str) -> String {
    tags(html).into_iter().find(|tag| tag.attribute("id") == "q").unwrap().attribute("value").to_owned()
}

/// What is written in an item, and what it stands for.
fn stands_for(item: &str) -> Option<(String, u64, BTreeSet<String>)> {
    let written = inside(item, |tag| tag.name == "code")?;
    let text = text_of(item);
    let (count, _) = text.split_once("stands for ")?.1.split_once(" word")?;
    let count = if count == "no" { 0 } else { number(count) };
    let words = inside(&item[item.find("</code>")?..], |tag| tag.name == "bdi")?;
    Some((written, count, words.split(" · ").map(str::to_owned).collect()))
}

#[tokio::test]
async fn every_word_that_a_pattern_stands_for_is_named() {
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        for text in
            ["a wombat", "two wombats", "the wombatty one", "a wombot", "the numbat sleeps", "it slept sleeping"]
        {
            workspace.post(&legal, &running.username, text).unwrap();
        }
        running.play_later().unwrap();
    })
    .await;
    let cookie = desk.auditor();
    let named = |words: &[&str]| -> BTreeSet<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    for (pattern, due) in [
        ("wombat*", named(&["wombat", "wombats", "wombatty"])),
        ("womb?t", named(&["wombat", "wombot"])),
        ("wombat~1", named(&["wombat", "wombats", "wombot"])),
        ("/n[aeiou]mbat/", named(&["numbat"])),
        ("zyzzy*", named(&[])),
    ] {
        let html = desk.html(&cookie, &asking(pattern)).await;
        let all: Vec<_> = read(&html).iter().filter_map(|item| stands_for(item)).collect();
        if due.is_empty() {
            assert!(text_of(&html).contains("stands for no word of the archive"), "{pattern}");
            assert_eq!(total(&html), 0, "{pattern}");
            continue;
        }
        assert_eq!(all.len(), 1, "{pattern}: {all:?}");
        let (written, count, words) = &all[0];
        assert_eq!((written.as_str(), *count, words), (pattern, due.len() as u64, &due));
        // They are what it finds, and each of them is found by itself.
        let any = due.iter().cloned().collect::<Vec<_>>().join(" OR ");
        assert_eq!(total(&html), total(&desk.html(&cookie, &asking(&any)).await), "{pattern}");
        for word in &due {
            assert!(total(&desk.html(&cookie, &asking(word)).await) > 0, "{word}");
        }
        // The sheet about the search names them, too.
        let sheet = text_of(&desk.html(&cookie, &format!("/certificate?q={}", encode(pattern))).await);
        for word in &due {
            assert!(sheet.contains(word.as_str()), "{pattern}: {word}");
        }
    }
    // Who does not see the channel is told of none of its words.
    let random = desk.channel(&desk.auditor_token(), "random").await;
    let rita = desk.cookie("rita", Role::Reviewer, &only(&[&random]));
    let html = desk.html(&rita, &asking("wombat*")).await;
    assert!(text_of(&html).contains("stands for no word of the archive") && !text_of(&html).contains("wombats"));
    // A name stands for everybody who is called so.
    let html = desk.html(&cookie, &asking("from:klara")).await;
    let named: Vec<String> =
        read(&html).iter().map(|item| text_of(item)).filter(|text| text.starts_with("klara means ")).collect();
    assert_eq!(named.len(), 1, "{:?}", read(&html));
    let called: Vec<String> = desk.running.workspace().truth().into_iter().map(|item| item.user).collect();
    let called: BTreeSet<String> = called.into_iter().filter(|user| user.starts_with("klara")).collect();
    assert!(!called.is_empty() && called.iter().all(|user| named[0].contains(&format!("({user})"))), "{named:?}");
    let mut sum = 0;
    for user in &called {
        sum += total(&desk.html(&cookie, &asking(&format!("from:{user}"))).await);
    }
    assert_eq!((sum, named[0].matches('@').count()), (total(&html), called.len()));
}

#[tokio::test]
async fn each_way_to_less_or_more_leads_to_what_it_says() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let (mut followed, mut narrower, mut wider) = (0, 0, 0);
    // Each query, and what its links ask for: `true` where that is one of the words alone.
    for (q, more, due) in [
        ("cran*", "", &[("cran", true)][..]),
        ("crane*", "", &[("crane", true)]),
        ("the~1 from:klara", "", &[("from:klara", false), ("the from:klara", true), ("the~1", false)]),
        ("crane* in:legal", "&sort=newest", &[("in:legal", false), ("crane in:legal", true), ("crane*", false)]),
        ("contract* -crane", "&state=current", &[("-crane", false), ("contract -crane", true), ("contract*", false)]),
    ] {
        let html = desk.html(&cookie, &format!("{}{more}", asking(q))).await;
        let all = total(&html);
        assert!(all > 0, "{q}");
        let links: Vec<(Tag, bool)> = read(&html)
            .iter()
            .flat_map(|item| {
                let links: Vec<&str> = item.split("<a ").skip(1).collect();
                links
                    .into_iter()
                    .map(|link| {
                        let part = format!("<a {}", link.split("</a>").next().unwrap());
                        let is_word = text_of(&part).starts_with("only ");
                        assert!(is_word || text_of(&part) == "leave it out", "{q}: {part}");
                        (tags(&part)[0].clone(), is_word)
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        let mut found = Vec::new();
        for (link, is_word) in &links {
            let there = desk.html(&cookie, link.attribute("href")).await;
            let text = asked(&there);
            // The same query typed in gives the same, and what was chosen beside it stays.
            let typed = total(&desk.html(&cookie, &format!("{}{more}", asking(&text))).await);
            assert_eq!(total(&there), typed, "{q}: {text}");
            assert!(link.attribute("href").contains(more), "{q}: {}", link.attribute("href"));
            if *is_word {
                assert!(typed <= all, "{q}: only a word finds more");
                narrower += usize::from(typed < all);
            } else {
                assert!(typed >= all, "{q}: with less asked for there is less");
                wider += usize::from(typed > all);
            }
            followed += 1;
            found.push((text, *is_word));
        }
        let due: BTreeSet<(String, bool)> = due.iter().map(|(text, is_word)| ((*text).to_owned(), *is_word)).collect();
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), due, "{q}");
    }
    assert!(followed >= 11 && narrower >= 3 && wider >= 3, "{followed}: {narrower} narrower, {wider} wider");
}

#[tokio::test]
async fn a_word_that_stands_in_a_file_alone_leads_to_the_file_and_says_so() {
    let me = "klara.zemanova@orlava.example";
    let bytes = b"%PDF-1.7 a letter";
    let (mut channel, mut id) = (String::new(), String::new());
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        channel = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        id = workspace.upload(&channel, me, "letter.pdf", bytes.to_vec()).unwrap().0;
    })
    .await;
    let text = "first line\nsecond line\nthe wallaby sleeps on the quay\nfourth line\nlast line";
    let mut derived = Derived::open(&desk.archive.layout, &Clock::System).unwrap();
    derived
        .put(&NewResult {
            digest: Digest::of(bytes),
            status: "ok",
            engine: "reader 1.0",
            version: 1,
            text,
            detail: None,
            charset: None,
            pages: None,
            is_truncated: false,
            thumbnail: None,
        })
        .unwrap();
    drop(derived);
    let derived = DerivedReader::open(&desk.archive.layout).unwrap();
    let mut indexer = Indexer::open(&desk.archive.layout).unwrap();
    indexer.catch_up(&desk.archive.reader(), derived.as_ref(), &mut |_| {}).unwrap();
    let cookie = desk.auditor();
    for q in ["wallaby", "\"wallaby sleeps\"", "walla*"] {
        let html = desk.html(&cookie, &asking(q)).await;
        let found = rows(&html);
        assert_eq!((total(&html), found.len()), (1, 1), "{q}");
        let kinds = &rail(&html)["kind"];
        assert_eq!((kinds.len(), kinds[0].name.as_str(), kinds[0].count), (1, "Files", 1), "{q}: {kinds:?}");
        let said = text_of(&found[0]);
        assert!(said.contains("found in the file's text") && said.contains("letter.pdf"), "{q}: {said}");
        for other in ["found in the text", "found in a file's name", "found by its conditions"] {
            assert!(!said.contains(other), "{q}: {other}");
        }
        assert!(said.contains("#legal"), "{q}: where it was shared: {said}");
        let main = tags(&found[0]).into_iter().find(|tag| tag.attribute("data-key") == "o").unwrap();
        assert_eq!(main.attribute("href"), format!("/f/{}", encode(&id)), "{q}");
        // The lines around it, with what was found marked in them.
        let excerpt = found[0].split_once("<p class=\"excerpt\"").unwrap_or_else(|| panic!("{q}: no excerpt")).1;
        let excerpt = format!("<p{}", excerpt.split("</p>").next().unwrap());
        assert!(text_of(&excerpt).contains("the wallaby sleeps on the quay"), "{q}: {excerpt}");
        assert!(inside(&excerpt, |tag| tag.name == "mark").unwrap().starts_with("wallaby"), "{q}: {excerpt}");
    }
    // By its name it is found as well, and then that is what is said.
    let html = desk.html(&cookie, &asking("letter kind:file")).await;
    let row = rows(&html).into_iter().find(|row| text_of(row).contains("letter.pdf")).unwrap();
    let said = text_of(&row);
    assert!(said.contains("found in a file's name") && !said.contains("found in the file's text"), "{said}");
    assert!(!tags(&row).iter().any(|tag| has_class(tag, "excerpt")), "{row}");
    // Who does not see the channel does not find it.
    let random = desk.channel(&desk.auditor_token(), "random").await;
    let rita = desk.cookie("rita", Role::Reviewer, &only(&[&random]));
    let html = desk.html(&rita, &asking("wallaby")).await;
    assert_eq!(total(&html), 0);
    assert!(!text_of(main_of(&html)).contains("letter.pdf"));
}
