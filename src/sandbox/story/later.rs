//! What happens after the workspace has opened: the actions between two crawls, and small talk.
//!
//! Posts here carry no time: they happen when they are played.

use super::script::expand_mentions;
use super::{files, people};
use crate::sandbox::seed::{Action, SeedMessage};

fn mail(who: &str) -> String {
    people::email(who).unwrap_or_default().to_owned()
}

fn post(channel: &str, who: &str, text: &str) -> SeedMessage {
    SeedMessage { channel: channel.to_owned(), user: mail(who), text: expand_mentions(text), ..SeedMessage::default() }
}

fn edit(label: &str, who: &str, text: &str) -> Action {
    Action::Edit { label: label.to_owned(), user: mail(who), text: expand_mentions(text) }
}

fn delete(label: &str, who: &str) -> Action {
    Action::Delete { label: label.to_owned(), user: mail(who) }
}

fn react(label: &str, who: &str, name: &str) -> Action {
    Action::React { label: label.to_owned(), user: mail(who), name: name.to_owned() }
}

fn comment(file: &str, who: &str, text: &str) -> Action {
    Action::Comment { file: file.to_owned(), user: mail(who), text: text.to_owned() }
}

/// Viktor tidies up his chats on his last day; the others work on the settlement.
pub(super) fn actions() -> Vec<Action> {
    let answer = SeedMessage {
        label: "answer-v2".to_owned(),
        ..post("project", "camille", "J'ai lu la v1. Une seule question : la date au § 2 ?")
    };
    let noticed = SeedMessage {
        label: "noticed".to_owned(),
        ..post(
            "legal",
            "klara",
            "Messages of V. in #project-aubin are disappearing since this morning. The archive has them.",
        )
    };
    vec![
        delete("not-in-writing", "viktor"),
        delete("call-me", "viktor"),
        edit("shipped-date", "viktor", "For the delivery notice of crane 2: it was *ready* on 12 June. Use that date."),
        delete("papers", "viktor"),
        delete("forget-it", "viktor"),
        edit("you-will-see", "viktor", "Just a thought."),
        edit("viktor-customer", "viktor", "Thanks for the quick work, Yuki."),
        delete("tidy-up", "viktor"),
        edit("figure-of-speech", "viktor", "Nobody promised anything."),
        edit(
            "damages",
            "priya",
            "Ten days = two weeks commenced = 1.0 % of 11,812,000 = *118,120 EUR*. Proved right on 28 July.",
        ),
        Action::Post(noticed),
        react("noticed", "jana", "eyes"),
        react("noticed", "hana", "eyes"),
        Action::Post(post("legal", "jana", "A breach of the hold. Account closes today, not tomorrow. <@hana>?")),
        Action::Post(post("legal", "hana", "Yes. Now.")),
        Action::Leave { channel: "legal".to_owned(), user: mail("viktor") },
        Action::Leave { channel: "project".to_owned(), user: mail("viktor") },
        Action::CloseAccount { user: mail("viktor") },
        Action::Post(answer),
        comment("settlement-v1", "camille", "§ 2 : date manquante."),
        comment("settlement-v1", "jana", "30 September, v2 follows."),
        Action::ReplaceFile { file: "settlement-v1".to_owned(), content: files::new_settlement() },
        Action::EditComment {
            file: "settlement-v1".to_owned(),
            user: mail("jana"),
            text: "30 September; v2 is in place of v1 now.".to_owned(),
        },
        react("answer-v2", "jana", "white_check_mark"),
        Action::Pin { label: "settlement-draft".to_owned(), user: mail("petr") },
        Action::ReplaceFile { file: "price-list".to_owned(), content: files::new_price_list() },
        comment("price-list", "mei", "山瀬的价格含运费吗？ Is freight included for Yamase?"),
        comment("price-list", "lenka", "Nein, äh: no."),
        Action::DeleteComment { file: "price-list".to_owned(), user: mail("priya") },
        Action::RenameChannel { channel: "panel".to_owned(), name: "operator-panel".to_owned() },
        Action::SetTopic {
            channel: "project".to_owned(),
            user: mail("petr"),
            topic: "Both cranes in service; settlement in #legal".to_owned(),
        },
        react("lessons", "camille", "clap"),
        react("claim", "priya", "memo"),
        delete("phones", "mei"),
        edit(
            "klara-hello",
            "klara",
            "Dobrý den, I'm the compliance officer. I'm a member of each room, which isn't mistrust but the job. My own rule: ask early, ask me anything.",
        ),
        edit("mug", "tomas", "My mug is back. It has been *washed*. I'm suspicious."),
        delete("renamed", "petr"),
        Action::Post(post("random", "noa", "היא שוב לבנה 😇 (the mug)")),
        Action::Post(post("general", "ondrej", "One account closed today, as announced, a little earlier.")),
    ]
}

/// What the living sandbox says while it runs: channel, author, text.
#[rustfmt::skip]
const CHATTER: &[(&str, &str, &str)] = &[
    ("general", "hana", "Good morning, Prague! Today we are 0 days without coffee."),
    ("random", "tomas", "Whose bicycle is in the lift?"),
    ("random", "priya", "Mine. It has an appointment on the third floor."),
    ("engineering", "noa", "Build 375 uses the new tool chain. If something smells, tell me."),
    ("builds", "dockhand", "Build *375* passed: 217 tests in 3 min 41 s"),
    ("panel", "sara", "«عربة الرافعة» fits now, thank you!"),
    ("panel", "yuki", "画面7、確認しました。問題ありません。"),
    ("purchasing", "lenka", "Zinc is up again, 2.1 %."),
    ("purchasing", "mei", "新钢厂寄来了样品证书，今天看。"),
    ("project", "omar", "Crane 2, class B point 1 closed: ladder light."),
    ("project", "petr", "Thanks! Two to go."),
    ("weather", "dockhand", "Saint-Aubin: wind W 8 m/s, waves 1.2 m, 22 °C"),
    ("project", "camille", "Record de la semaine : 36 mouvements à l'heure."),
    ("general", "ondrej", "Printer 2 is back. Please be gentle."),
    ("random", "anong", "แมวเครนนอนบนแป้นพิมพ์อีกแล้วค่ะ"),
    ("random", "lenka", "Naše taky. Je to spiknutí."),
    ("engineering", "tomas", "Spare-part drawing 12 of 40. I count so that you suffer with me."),
    ("engineering", "omar", "500 h service of crane 1: grease OK, ropes OK, one lamp."),
    ("legal", "jana", "Settlement v2 is with the port."),
    ("legal", "priya", "§ 2 reads fine now."),
    ("standup", "noa", "Today: log format, then tests."),
    ("standup", "omar", "Today: storm locks, spare-part store."),
    ("panel", "noa", "Line test: Load 12.5 t — الحمولة 12.5 طن — עומס 12.5 טון"),
    ("panel", "omar", "Correct on all three screens ✅"),
    ("purchasing", "katrin", "Guten Tag, der Prüfstand hat jetzt eine Alarmsperre mit Schlüssel."),
    ("purchasing", "lenka", "Das freut mich sehr, Katrin."),
    ("project", "sara", "الخدمة أرسلت أول فاتورة اليوم 🎉"),
    ("project", "priya", "And it has a date *and* a tax number."),
    ("general", "kenji", "大阪は今日34度です。皆さん、水を飲んでください。"),
    ("general", "hana", "Drink water, says Kenji. He is right as usual."),
    ("shifts", "omar", "Quay: 244 moves, crew 9. No open safety points."),
    ("weather", "dockhand", "Saint-Aubin: wind NW 14 m/s, waves 2.3 m, 19 °C"),
    ("random", "noa", "Poll: is a crane with a name faster? Camille calls hers Yvette."),
    ("random", "petr", "Then crane 1 is Yvonne."),
    ("engineering", "yuki", "鋼板の新しいロット、シャルピー 58 J。合格です！"),
    ("engineering", "tomas", "58! I could cry."),
    ("builds", "dockhand", "Build *376* failed: `panel_test::thai_line_break`"),
    ("builds", "noa", "Mine. Thai again."),
    ("builds", "dockhand", "Build *377* passed: 218 tests in 3 min 39 s"),
    ("panel", "anong", "ตัดคำถูกแล้วค่ะ ขอบคุณมาก"),
    ("panel", "priya", "हिन्दी भी ठीक है।"),
    ("project", "omar", "Class B point 2 closed: cabin door seal."),
    ("legal", "klara", "Register: entry 2 closed, report to the board is out."),
    ("general", "klara", "Reminder: the hold is still in force. Thank you for your patience."),
    ("random", "sara", "تين من الحديقة على مكتب الاستقبال. Figs at the front desk."),
    ("project", "camille", "Signature prévue vendredi. Merci à toutes et à tous."),
];

/// The chatter, in order.
pub(super) fn chatter() -> Vec<SeedMessage> {
    CHATTER
        .iter()
        .map(|&(channel, who, text)| SeedMessage {
            subtype: if who == "dockhand" { "bot_message".to_owned() } else { String::new() },
            ..post(channel, who, text)
        })
        .collect()
}
