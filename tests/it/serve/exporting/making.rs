//! A set while it is made: how far it is, that it can be ended, and that it goes on to the same files.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use teamchat_archive::history::Item;
use teamchat_archive::model::{ChannelId, Digest, Role, Scope};
use teamchat_archive::record::Kind;
use teamchat_archive::store::Blobs;
use teamchat_archive::store::access::JobState;
use tokio::sync::oneshot;

use super::super::{tags, text_of};
use super::{Office, unzipped};

/// A content of the archive with a pipe in its place: whoever reads it waits until the test lets them go on.
struct Held {
    path: PathBuf,
    bytes: Vec<u8>,
    /// The end to write to, once somebody reads.
    met: oneshot::Receiver<File>,
}

impl Held {
    fn hold(path: PathBuf) -> Self {
        let bytes = fs_err::read(&path).unwrap();
        fs_err::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (sender, met) = oneshot::channel();
        let pipe = path.clone();
        // It waits for whoever reads. Of a test that failed it is left behind.
        std::thread::spawn(move || drop(sender.send(OpenOptions::new().write(true).open(pipe).unwrap())));
        Self { path, bytes, met }
    }

    /// Waits until the set under way has come to the content; the end that keeps it there.
    async fn meet(&mut self, office: &Office) -> File {
        tokio::select! {
            pipe = &mut self.met => pipe.unwrap(),
            () = office.wait() => panic!("the set ended before it came to the content that is held"),
        }
    }

    /// Gives the content, and puts it back in its place.
    fn let_go(self, mut pipe: File) {
        let kept = self.path.with_extension("kept");
        fs_err::write(&kept, &self.bytes).unwrap();
        fs_err::rename(&kept, &self.path).unwrap();
        pipe.write_all(&self.bytes).unwrap();
    }
}

/// The content of a file that stands in one channel, with channels of messages before and after it.
fn in_the_middle(office: &Office) -> Digest {
    let archive = &office.desk.archive;
    let messages: Vec<ChannelId> =
        archive.newest(Kind::Message).into_values().filter_map(|item| item.channel).collect();
    let (first, last) = (messages.iter().min().unwrap(), messages.iter().max().unwrap());
    let digests = |item: &Item| -> Vec<Digest> {
        item.versions.iter().flat_map(|version| version.record.header.attachment_digests()).collect()
    };
    let files: Vec<Item> = archive.newest(Kind::File).into_values().filter(|file| !file.is_gone()).collect();
    let is_alone = |digest: &Digest| files.iter().filter(|file| digests(file).contains(digest)).count() == 1;
    let fits = |file: &&Item| {
        let places = file.shared_in();
        let found = digests(file);
        places.len() == 1 && &places[0] > first && &places[0] < last && found.len() == 1 && is_alone(&found[0])
    };
    digests(files.iter().find(fits).expect("the story has a file in the middle"))[0]
}

fn messages(set: &[u8]) -> Vec<u8> {
    unzipped(set).into_iter().find(|(name, _)| name.ends_with("/data/messages.csv")).unwrap().1
}

fn offers(html: &str, action: &str) -> bool {
    tags(html).iter().any(|tag| tag.name == "form" && tag.attribute("action") == action)
}

fn numbers(text: &str) -> Vec<u64> {
    let parts = text.split(|c: char| !c.is_ascii_digit() && c != ',' && c != '\u{202f}' && c != ' ');
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).collect::<String>();
    parts.filter_map(|part| digits(part).parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_says_how_far_it_is_ends_when_it_is_stopped_and_goes_on_to_the_same_files() {
    let office = Office::open().await;
    let cookie = office.exporter("ada", Role::Auditor, &Scope::All);
    let fields = [("format", "csv")];
    let whole = office.make(&cookie, &fields).await;
    let report = office.desk.access.job(1).unwrap().unwrap().report.unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let records = report["set"]["counts"]["records_in_scope"].as_u64().unwrap();
    let whole = messages(&office.download(&cookie, &whole).await);

    let content = in_the_middle(&office);
    let mut held = Held::hold(Blobs::new(office.desk.archive.layout.blobs()).path(&content));
    let ask = async || {
        let answer = office.form(&cookie, "/exports", &fields).await;
        assert_eq!(answer.status, 303);
        answer.header("location").to_owned()
    };
    let place = ask().await;
    let pipe = held.meet(&office).await;

    // While it is made: how far, of how much, and what can be done.
    let html = office.page(&cookie, &place).await.text();
    let far = tags(&html).into_iter().find(|tag| tag.name == "progress").expect("how far it is");
    let (done, of): (u64, u64) = (far.attribute("value").parse().unwrap(), far.attribute("max").parse().unwrap());
    assert!(0 < done && done < of, "{done} of {of}");
    assert_eq!(of, records, "of all records in scope");
    let words = html.split_once("<label for=\"far\">").unwrap().1.split("</label>").next().unwrap();
    assert!(words.starts_with("Writing: ") && numbers(words) == [done, of], "{words}: {done} of {of}");
    assert!(text_of(&html).contains("being made") && html.contains(&format!("<a href=\"{place}\">Look again</a>")));
    assert!(offers(&html, &format!("{place}/stop")));
    assert!(!offers(&html, &format!("{place}/again")) && !offers(&html, &format!("{place}/delete")), "{html}");
    assert!(text_of(&office.page(&cookie, "/exports").await.text()).contains("being made"));
    assert_eq!(office.page(&cookie, &format!("{place}/set.zip")).await.status, 404);
    let refused = office.form(&cookie, &format!("{place}/delete"), &[]).await;
    assert!(refused.status == 400 && text_of(&refused.text()).contains("stop it first"), "{}", refused.text());

    // The next one waits, and can be taken out of the queue.
    let next = ask().await;
    let html = office.page(&cookie, &next).await.text();
    assert!(text_of(&html).contains("waits") && offers(&html, &format!("{next}/stop")), "{}", text_of(&html));
    assert!(html.contains("<progress") && text_of(&html).contains("1 other is made before it."), "{}", text_of(&html));
    assert_eq!(office.form(&cookie, &format!("{next}/stop"), &[]).await.status, 303);
    let html = office.page(&cookie, &next).await.text();
    assert!(text_of(&html).contains("stopped") && offers(&html, &format!("{next}/again")), "{}", text_of(&html));

    assert_eq!(office.form(&cookie, &format!("{place}/stop"), &[]).await.status, 303);
    held.let_go(pipe);
    office.wait().await;
    let html = office.page(&cookie, &place).await.text();
    assert!(text_of(&html).contains("stopped") && !html.contains("<progress"), "{}", text_of(&html));
    assert!(offers(&html, &format!("{place}/again")) && !offers(&html, &format!("{place}/stop")), "{html}");
    assert_eq!(office.page(&cookie, &format!("{place}/set.zip")).await.status, 404);
    let state = |id: i64| office.desk.access.job(id).unwrap().unwrap().state;
    assert_eq!((state(2), state(3)), (JobState::Stopped, JobState::Stopped));

    // Both go on to what the first became, and each was handed over once.
    for path in [&place, &next] {
        assert_eq!(office.form(&cookie, &format!("{path}/again"), &[]).await.status, 303);
        office.wait().await;
        let html = office.page(&cookie, path).await.text();
        assert!(text_of(&html).contains("Nothing in scope is unaccounted for"), "{path}: {}", text_of(&html));
        assert!(messages(&office.download(&cookie, path).await) == whole, "{path} has other messages");
    }
    let log = office.desk.access.log().entries(0, 100_000).unwrap();
    assert_eq!(log.iter().filter(|entry| entry.header.contains("\"export\"")).count(), 3);
}
