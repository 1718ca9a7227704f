//! People: everyone with their names over time, and of their channels those that the reader may see.

use teamchat_archive::model::{Role, Scope};

use super::{Desk, encode, only, tags, text_of};

const VIKTOR: &str = "viktor.sokol@orlava.example";

#[tokio::test]
async fn everyone_is_listed_and_leads_to_their_page() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let users = desk.reply(&desk.auditor_token(), "users.list", &[]).await;
    let users = users["members"].as_array().unwrap();
    let html = desk.html(&cookie, "/people").await;
    let leads: Vec<String> = tags(&html)
        .iter()
        .filter(|tag| tag.name == "a" && tag.attribute("data-key") == "o")
        .map(|tag| tag.attribute("href").to_owned())
        .collect();
    assert_eq!(leads.len(), users.len());
    assert!(text_of(&html).contains(&format!("{} people.", users.len())));
    for user in users {
        let id = user["id"].as_str().unwrap();
        let path = format!("/people/{}", encode(id));
        assert!(leads.contains(&path), "{id} is not listed");
        let page = text_of(&desk.html(&cookie, &path).await);
        assert!(page.contains(id), "{path}");
    }
    for (name, due) in [("viktor", 1), ("VIKTOR.SOKOL@", 1), ("nobody at all", 0)] {
        let html = desk.html(&cookie, &format!("/people?name={}", encode(name))).await;
        assert_eq!(html.matches("<tr data-row").count(), due, "{name}");
    }
    assert_eq!(desk.page(&cookie, "/people/nobody").await.status, 404);
}

#[tokio::test]
async fn a_page_of_a_person_has_their_names_their_state_and_their_channels() {
    let desk = Desk::after(|running| {
        running.play_later().unwrap();
        running.workspace().rename_user("camille.roux@port-aubin.example", "Camille Roux-Blanc").unwrap_or(());
        running.workspace().rename_user(VIKTOR, "Viktor the Former").unwrap();
    })
    .await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let path = format!("/people/{}", encode(VIKTOR));
    let html = desk.html(&cookie, &path).await;
    let said = text_of(&html);
    assert!(said.contains("Viktor the Former") && said.contains("account closed"), "{said}");
    let names = html.split_once("id=\"names\"").unwrap().1.split_once("</ol>").unwrap().0;
    assert!(names.matches("<li>").count() >= 2, "{names}");
    let old = text_of(names).replace("Viktor the Former", "");
    assert!(old.contains("Viktor"), "{old}");
    // He was in #legal at the first look and not at the second.
    let places = html.split_once("id=\"places\"").unwrap().1;
    let row = places.split("<tr").find(|row| row.contains(">#legal<")).unwrap_or_else(|| panic!("{places}"));
    let row = text_of(&format!("<tr{row}"));
    assert!(row.contains("already a member at the first look") && row.contains("left by "), "{row}");
    assert!(text_of(places).contains("still a member at the last look"), "{places}");
    assert!(said.contains("versions of messages by them"), "{said}");

    // A reviewer is told of their own channels only.
    let random = desk.channel(&token, "random").await;
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&random]));
    let html = desk.html(&eve, &path).await;
    let places = html.split_once("id=\"places\"").unwrap().1;
    assert!(!text_of(places).contains("#legal") && text_of(places).contains("#random"), "{places}");
    let list = text_of(&desk.html(&eve, "/people").await);
    assert!(!list.contains("#legal"), "{list}");
    let count = |html: &str| {
        let text = text_of(html);
        let before = text.split_once(" versions of messages").map_or("0", |(before, _)| before);
        before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
    };
    assert!(count(&html) < count(&desk.html(&cookie, &path).await));
    // Who reads nothing is told of nobody.
    let nobody = desk.cookie("zoe", Role::Admin, &Scope::nothing());
    for path in [path.as_str(), "/people"] {
        let answer = desk.page(&nobody, path).await;
        assert_ne!(answer.status, 200, "{path}");
    }
}
