//! Earlier wordings that are long and many: how much of them a page compares.

use teamchat_archive::crawl::Options;
use teamchat_archive::history::item;
use teamchat_archive::index::Indexer;
use teamchat_archive::model::ChannelId;
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::workspace::TruthItem;
use teamchat_archive::store::FIRST_SOURCE;

use super::{Desk, encode, text_of};
use crate::support::account;

const WHOLE: &str = "shown whole: this page has more edits than are compared word by word";
/// Messages of a page that are edited twice. Comparing two wordings of so many words takes a fifth of what a page may.
const EDITED: usize = 7;
const WORDS: usize = 990;

#[tokio::test]
async fn a_page_compares_long_wordings_as_far_as_it_may_and_shows_the_others_whole() {
    // The last word alone is another one.
    let wording = |n: usize| format!("{}end{n}", "word ".repeat(WORDS - 1));
    let mut chosen: Vec<TruthItem> = Vec::new();
    let desk = Desk::after(|running| {
        let (workspace, me) = (running.workspace(), &running.username);
        let all = workspace.truth();
        let is_plain = |item: &&TruthItem| {
            item.state == "current"
                && item.subtype.is_empty()
                && item.whisper_to.is_none()
                && item.versions.len() == 1
                && item.text.split_whitespace().count() < 30
        };
        let channels = workspace.channels();
        let of = |channel: &str| -> Vec<TruthItem> {
            all.iter().filter(is_plain).filter(|item| item.channel == channel).cloned().collect()
        };
        let found = channels.iter().map(|(id, _)| of(id)).find(|items| items.len() >= EDITED);
        chosen = found.unwrap_or_else(|| panic!("no channel of {me} has so many messages"));
        // The newest, which the page of the channel shows.
        chosen.sort_by(|a, b| a.ts.cmp(&b.ts));
        chosen.drain(..chosen.len() - EDITED);
        for item in &chosen {
            workspace.edit(&item.channel, &item.ts, None, &wording(1)).unwrap();
        }
    })
    .await;
    for item in &chosen {
        desk.running.workspace().edit(&item.channel, &item.ts, None, &wording(2)).unwrap();
    }
    let account = account(&desk.running).await;
    desk.archive.crawl(&account, &Options { full: true, ..Options::default() }).await.unwrap();
    Indexer::open(&desk.archive.layout).unwrap().catch_up(&desk.archive.reader(), None, &mut |_| {}).unwrap();

    let cookie = desk.auditor();
    let html = desk.html(&cookie, &format!("/c/{}?n=500", encode(&chosen[0].channel))).await;
    let (whole, compared) = (text_of(&html).matches(WHOLE).count(), html.matches(">end2</ins>").count());
    assert!(compared > 0 && whole > 0, "{compared} of {EDITED} are compared, {whole} wordings are shown whole");
    assert!(
        compared < EDITED && compared + whole >= EDITED,
        "{compared} of {EDITED} are compared, {whole} shown whole"
    );
    // Each of them alone is compared.
    let (reader, channel) = (desk.archive.reader(), ChannelId::parse(&chosen[0].channel).unwrap());
    for edited in &chosen {
        let found = item(&reader, Kind::Message, FIRST_SOURCE, Some(&channel), &edited.ts).unwrap().unwrap();
        let page = desk.html(&cookie, &format!("/r/{}", found.latest().unwrap().seq)).await;
        assert!(page.contains(">end2</ins>") && !text_of(&page).contains(WHOLE), "{}", edited.ts);
    }
    desk.archive.check();
}
