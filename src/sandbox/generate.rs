//! Workspaces of any size, made of words and dice: the same `(messages, seed)`, the same workspace.
//!
//! What comes out has the shape of a grown server: a few channels hold most of the messages,
//! people talk in working hours, some write other scripts, and now and then there is a file, a
//! reaction, a pin or an edit. No clock is read, and a message costs well below two microseconds
//! in a release build.

use std::fmt::Write as _;

use super::dice::{self, Dice};
use super::seed::{Action, Content, Seed, SeedChannel, SeedComment, SeedFile, SeedMessage, SeedUser};

/// The mail domain of generated workspaces.
const DOMAIN: &str = "generated.example";

/// The most files a generated workspace has.
const MAX_FILES: usize = 2_000;

/// The most messages one call makes.
const MAX_MESSAGES: usize = 10_000_000;

/// Monday, 31 August 2026, 00:00 UTC: generated history ends before it.
const END: i64 = 1_788_134_400;

const WEEK_SECONDS: i64 = 7 * 86_400;

/// Working time of a week: five days of ten hours.
const WORK_WEEK: i64 = 5 * WORK_DAY;
const WORK_DAY: i64 = 36_000;

/// History goes back this many weeks at most (seven years).
const MAX_WEEKS: i64 = 365;

/// How many messages each hidden room has.
const HIDDEN_MESSAGES: usize = 6;

/// How many messages `later` can name.
const LABELS: usize = 40;

/// Words of the texts; those in front come more often.
const WORDS: &str = "\
the to and is we a it for of in that on not this be will have with from at can but please you as \
so new today all was or now are by tomorrow before after more only still again one two time week \
need check order report plan list file date price number part change question answer problem note \
call meeting room office team customer supplier port crane steel plate weld drawing test result \
version draft contract invoice payment delivery ship truck train container pallet store shelf box \
key door light lamp cable switch motor brake rope drum wheel rail axle bearing gear oil grease \
filter pump valve pipe tank hose pressure heat cold water wind rain storm wave tide sea harbour \
quay berth pilot captain crew shift foreman welder painter driver engineer lawyer clerk buyer guest \
visitor trainee doctor teacher nurse cook baker gardener farmer bottle glass cup plate spoon knife \
bread butter cheese apple pear plum cherry lemon orange tea coffee milk sugar salt pepper soup rice \
bean potato onion carrot cabbage garlic red green blue yellow white black grey brown silver golden \
short long wide narrow deep shallow high low fast slow early late near far open closed full empty \
heavy light clean dirty dry wet warm cool soft hard sharp blunt quiet loud simple difficult cheap \
expensive safe risky ready broken repaired missing found lost sent received signed refused accepted \
delayed cancelled confirmed postponed corrected measured counted painted packed loaded unloaded \
lifted lowered turned moved stopped started finished begun written read copied printed scanned \
archived deleted renamed shared closed opened locked unlocked ordered bought sold paid booked \
agreed promised forgotten remembered explained asked answered called met visited left arrived \
returned waited hoped feared liked wanted tried failed passed won kept given taken brought shown \
told heard seen felt known thought believed believe think know see hear ask say write send bring \
take give make keep hold turn move stop start finish open close lock count measure paint pack load \
lift lower wait hope try pass fail win lose buy sell pay book agree promise forget remember explain \
because although while until since unless whether however therefore meanwhile perhaps certainly \
probably hardly nearly almost about above below between beside behind within without against along \
around across through during toward upon morning noon evening night monday tuesday wednesday \
thursday friday weekend january february march april may june july august september october \
november december spring summer autumn winter year month quarter hour minute second kilometre metre \
millimetre tonne kilogram litre percent degree volt ampere watt euro dollar budget margin discount \
rebate penalty warranty guarantee insurance claim damage deadline milestone schedule agenda minutes \
protocol certificate permit licence audit inspection sample lot batch serial label barcode stamp \
signature envelope letter folder binder cabinet archive backup server network router cable password \
screen keyboard printer paper toner battery charger phone radio camera picture video sound music \
north south east west left right front back top bottom middle corner edge side surface layer core \
frame beam column girder bolt nut washer screw rivet hinge bracket clamp hook chain shackle sling";

/// Sentences in other scripts, mixed in now and then.
const OTHER_SCRIPTS: &[&str] = &[
    "Zítra v devět máme poradu o dodávce.",
    "Příliš dlouhé čekání na výkresy, děkuji za trpělivost.",
    "Die Prüfung ist bestanden, der Bericht folgt morgen früh.",
    "Können wir die Größe der Bohrung noch ändern?",
    "Le câble est arrivé hier à l'entrepôt, déjà vérifié.",
    "تم استلام الشحنة اليوم وسنبدأ التفتيش غدا",
    "الرجاء تأكيد الموعد الجديد مع المورد",
    "הבדיקה הסתיימה והדוח יישלח מחר",
    "נא לעדכן את לוח הזמנים עד יום חמישי",
    "検査の結果は明日お送りします。",
    "部品が届きましたので、確認をお願いします。",
    "货物已经到港，明天开始卸货。",
    "请确认新的价格和交货日期。",
    "Отчёт готов, проверьте, пожалуйста, цифры.",
    "ส่งรายงานให้แล้ว กรุณาตรวจสอบด้วยค่ะ",
    "कल सुबह तक सूची भेज दूँगा।",
    "S4 مفتاح النهاية OK, see page 12",
    "עצירת חירום (E-stop 3) נבדקה ✅",
];

const FIRST_NAMES: &[&str] = &[
    "Adela", "Bilal", "Chiyo", "Dalia", "Emil", "Farah", "Goro", "Hedvika", "Idris", "Jitka", "Karim", "Ludmila",
    "Marek", "Nadia", "Otakar", "Pavla", "Qasim", "Renata", "Samir", "Tereza", "Umeko", "Vlasta", "Wen", "Yasmin",
    "Zdenek",
];

const LAST_NAMES: &[&str] = &[
    "Albrecht", "Bartos", "Cermak", "Darwish", "Ebert", "Fiala", "Ghanem", "Hayashi", "Ishikawa", "Jelinek", "Kovac",
    "Lorenz", "Mansour", "Nemec", "Okada", "Pokorny", "Qadri", "Ruzicka", "Saleh", "Takeda", "Urban", "Vacek", "Wirth",
    "Yamada", "Zeman",
];

const EMOJI: &[&str] = &["👍", "🎉", ":ship:", "🙏", ":construction:", "☕", "😀", ":eyes:"];

const REACTIONS: &[&str] = &["thumbsup", "eyes", "tada", "heart", "white_check_mark", "joy"];

/// What a generated workspace has beside its messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hidden {
    /// Rooms in which no account is a member that is shown.
    pub rooms: usize,
    /// People whom no account is shown. They talk in the hidden rooms; rooms without them belong
    /// to the last person who is shown, or nobody could talk there.
    pub people: usize,
}

/// A workspace as [`seed`] makes it, with rooms and people that the accounts are not shown.
pub fn seed_with_hidden(messages: usize, seed: u64, hidden: Hidden) -> Seed {
    let mut workspace = self::seed(messages, seed);
    add_hidden(&mut workspace, seed, hidden);
    workspace
}

fn add_hidden(workspace: &mut Seed, seed: u64, hidden: Hidden) {
    let words: Vec<&str> = WORDS.split_ascii_whitespace().collect();
    let mut dice = Dice::new(seed ^ 0x41dd);
    let mut people = Vec::new();
    for number in 0..hidden.people {
        let first = FIRST_NAMES[number * 3 % FIRST_NAMES.len()];
        let name = format!("unlisted{number}");
        let email = format!("{name}@{DOMAIN}");
        people.push(email.clone());
        workspace.users.push(SeedUser {
            email,
            real_name: format!("{first} Unlisted"),
            name,
            tz: "Europe/Prague".to_owned(),
            is_hidden: true,
            ..SeedUser::default()
        });
    }
    if people.is_empty() {
        people.extend(workspace.users.last().map(|user| user.email.clone()));
    }
    for room in 0..hidden.rooms {
        let key = format!("h{room}");
        let created = END - WEEK_SECONDS + i64::try_from(room).unwrap_or(0) * 2;
        workspace.channels.push(SeedChannel {
            key: key.clone(),
            name: format!("hidden-{room}"),
            created,
            creator: format!("public-folders@{DOMAIN}"),
            members: people.clone(),
            is_hidden: true,
            ..SeedChannel::default()
        });
        for (place, at) in (0..HIDDEN_MESSAGES).zip((created + 3_600..).step_by(600)) {
            let mut text = String::new();
            sentence(&mut text, &mut dice, &words);
            let user = people[(room + place) % people.len()].clone();
            workspace.messages.push(SeedMessage { channel: key.clone(), user, at, text, ..SeedMessage::default() });
        }
    }
}

/// A workspace of `messages` messages (1 to 10,000,000; other numbers are brought into that
/// range). Comments on files are items of their own and aren't counted.
pub fn seed(messages: usize, seed: u64) -> Seed {
    let total = messages.clamp(1, MAX_MESSAGES);
    let words: Vec<&str> = WORDS.split_ascii_whitespace().collect();
    let users = users(total);
    let channels = channels(total, seed, &users);
    let counts = shares(total, channels.len());
    let mut workspace = Seed {
        domain: DOMAIN.to_owned(),
        account: users[0].email.clone(),
        files: Vec::with_capacity(file_count(total)),
        messages: Vec::with_capacity(total),
        users,
        ..Seed::default()
    };
    let mut labelled = 0;
    for (rank, (channel, count)) in channels.iter().zip(counts).enumerate() {
        let dice = Dice::new(seed ^ dice::mix(rank as u64 + 1));
        let mut room = Room { channel, words: &words, dice, total, labelled: &mut labelled, is_for_bots: rank == 1 };
        room.fill(&mut workspace, count);
    }
    workspace.channels = channels;
    workspace.later = later(&workspace, seed);
    workspace.chatter = chatter(&workspace, seed, &words);
    workspace
}

fn file_count(total: usize) -> usize {
    (total / 500).min(MAX_FILES)
}

/// The account, a bot, and the others; their number grows with the root of the messages.
fn users(total: usize) -> Vec<SeedUser> {
    let count = 4 + total.isqrt() / 6;
    let zones = ["Europe/Prague", "Asia/Beirut", "Asia/Tokyo", "America/Lima"];
    (0..count)
        .map(|number| {
            let first = FIRST_NAMES[number % FIRST_NAMES.len()];
            let last = LAST_NAMES[number * 7 % LAST_NAMES.len()];
            let is_bot = number == 1;
            let name = if is_bot { "beacon".to_owned() } else { format!("{}{number}", first.to_lowercase()) };
            SeedUser {
                email: format!("{name}@{DOMAIN}"),
                real_name: if is_bot { "Beacon".to_owned() } else { format!("{first} {last}") },
                name,
                is_bot,
                is_admin: number == 2,
                is_restricted: number % 17 == 16,
                deleted: number % 29 == 28,
                tz: zones[number % zones.len()].to_owned(),
                ..SeedUser::default()
            }
        })
        .collect()
}

/// Channels, then direct conversations. The account is in all channels, and in most conversations.
fn channels(total: usize, seed: u64, users: &[SeedUser]) -> Vec<SeedChannel> {
    let mut dice = Dice::new(seed ^ 0xc4a2);
    let rooms = 3 + total.isqrt() / 4;
    let conversations = 1 + rooms / 6;
    let created = END - weeks(total) * WEEK_SECONDS - WEEK_SECONDS;
    let words: Vec<&str> = WORDS.split_ascii_whitespace().skip(60).collect();
    let mut channels = Vec::with_capacity(rooms + conversations);
    for number in 0..rooms {
        let mut members: Vec<usize> = vec![0, 1, 2];
        let wanted = 3 + dice.below(40);
        members.extend((0..wanted).map(|_| index(&mut dice, users.len())));
        members.sort_unstable();
        members.dedup();
        let word = dice.pick(&words).copied().unwrap_or("room");
        let other = dice.pick(&words).copied().unwrap_or("room");
        channels.push(SeedChannel {
            key: format!("c{number}"),
            name: format!("{word}-{other}-{number}"),
            topic: if dice.chance(1, 3) { format!("About {word} and {other}") } else { String::new() },
            purpose: if dice.chance(1, 4) { format!("{word}, {other}") } else { String::new() },
            created: created + i64::try_from(number).unwrap_or(0) * 2,
            creator: format!("public-folders@{DOMAIN}"),
            members: members.iter().map(|&member| users[member].email.clone()).collect(),
            is_archived: number % 23 == 22,
            ..SeedChannel::default()
        });
    }
    for number in 0..conversations.min(users.len() - 3) {
        let first = if number % 5 == 4 { 2 } else { 0 };
        channels.push(SeedChannel {
            key: format!("d{number}"),
            created: created + i64::try_from(number).unwrap_or(0) * 2 + 1,
            members: vec![users[first].email.clone(), users[3 + number].email.clone()],
            is_im: true,
            ..SeedChannel::default()
        });
    }
    channels
}

/// How many messages each channel has: the share of rank `r` is `1 / r`, and all add up.
fn shares(total: usize, channels: usize) -> Vec<usize> {
    const SCALE: u128 = 1 << 40;
    let weights: Vec<u128> = (1..=channels as u128).map(|rank| SCALE / rank).collect();
    let sum: u128 = weights.iter().sum();
    let mut counts: Vec<usize> =
        weights.iter().map(|weight| usize::try_from(total as u128 * weight / sum).unwrap_or(0)).collect();
    let given: usize = counts.iter().sum();
    if let Some(first) = counts.first_mut() {
        *first += total - given;
    }
    counts
}

/// How many weeks of history `total` messages fill.
fn weeks(total: usize) -> i64 {
    (i64::try_from(total).unwrap_or(i64::MAX / 100) * 90 / WORK_WEEK + 1).min(MAX_WEEKS)
}

fn index(dice: &mut Dice, limit: usize) -> usize {
    usize::try_from(dice.below(limit as u64)).unwrap_or(0)
}

/// Writes the messages of one channel.
struct Room<'a> {
    channel: &'a SeedChannel,
    words: &'a [&'a str],
    dice: Dice,
    total: usize,
    /// How many messages of the workspace have a label.
    labelled: &'a mut usize,
    is_for_bots: bool,
}

impl Room<'_> {
    fn fill(&mut self, workspace: &mut Seed, count: usize) {
        let start = END - weeks(self.total) * WEEK_SECONDS;
        let span = weeks(self.total) * WORK_WEEK;
        let count_signed = i64::try_from(count).unwrap_or(i64::MAX);
        let mut counter = self.dice.below(65_536);
        for place in 0..count {
            // Each message has a slice of the working time for itself, so time stamps only grow.
            let place_signed = i64::try_from(place).unwrap_or(0);
            let from = span * place_signed / count_signed;
            let to = span * (place_signed + 1) / count_signed;
            let slice = u64::try_from(to - from).unwrap_or(1);
            let work = from + i64::try_from(self.dice.below(slice)).unwrap_or(0);
            let day = work / WORK_DAY;
            let at = start + day / 5 * WEEK_SECONDS + day % 5 * 86_400 + 28_800 + work % WORK_DAY;
            counter = (counter + 1 + self.dice.below(3)) % 65_536;
            let message = self.message(place, at, counter);
            self.place(workspace, message);
        }
    }

    fn member(&mut self) -> String {
        // The smaller of two throws: some people talk more than others.
        let members = &self.channel.members;
        let bots = usize::from(!self.channel.is_im);
        let first = index(&mut self.dice, members.len() - bots);
        let chosen = first.min(index(&mut self.dice, members.len() - bots));
        // The bot is the second member of each room.
        let chosen = if chosen > 0 { chosen + bots } else { 0 };
        members[chosen].clone()
    }

    fn message(&mut self, place: usize, at: i64, counter: u64) -> SeedMessage {
        let mut user = self.member();
        let mut ts = String::with_capacity(17);
        write!(ts, "{at}.{counter:06}").expect("a string takes what is written to it");
        let bot = self.channel.members.get(1).filter(|_| self.is_for_bots && !self.channel.is_im);
        let (subtype, text) = if place < 2 && !self.channel.is_im {
            ("channel_join", format!("<@{user}> has joined the channel"))
        } else if let Some(bot) = bot.filter(|_| self.dice.chance(1, 2)) {
            user.clone_from(bot);
            ("bot_message", self.text())
        } else if self.dice.chance(1, 300) {
            ("me_message", self.text())
        } else {
            ("", self.text())
        };
        let mut message = SeedMessage {
            channel: self.channel.key.clone(),
            user,
            ts,
            at,
            text,
            subtype: subtype.to_owned(),
            ..SeedMessage::default()
        };
        if subtype.is_empty() {
            self.decorate(&mut message);
        }
        message
    }

    fn decorate(&mut self, message: &mut SeedMessage) {
        if self.dice.chance(1, 30) {
            for _ in 0..=self.dice.below(3) {
                let who = self.member();
                if message.reactions.iter().all(|reaction| reaction.1 != who) {
                    let name = self.dice.pick(REACTIONS).copied().unwrap_or("thumbsup");
                    message.reactions.push((name.to_owned(), who));
                }
            }
        }
        if self.dice.chance(1, 40) {
            let later = message.at + 5 + i64::try_from(self.dice.below(900)).unwrap_or(0);
            message.edited = Some((message.user.clone(), later));
        }
        if self.dice.chance(1, 2_000) {
            let is_private = self.dice.chance(1, 4);
            message.pinned = Some(is_private.then(|| message.user.clone()));
        }
    }

    /// Adds the message, and a file or a label when it is its turn.
    fn place(&mut self, workspace: &mut Seed, mut message: SeedMessage) {
        let number = workspace.messages.len();
        let files = file_count(self.total);
        let is_plain = message.subtype.is_empty();
        if is_plain && files > workspace.files.len() && number >= self.total / files * workspace.files.len() {
            let file = self.file(workspace.files.len(), &message);
            "file_share".clone_into(&mut message.subtype);
            message.files.push(file.key.clone());
            workspace.files.push(file);
        } else if is_plain && number >= (self.total / LABELS).max(1) * *self.labelled {
            *self.labelled += 1;
            message.label = format!("m{number}");
        }
        workspace.messages.push(message);
    }

    fn file(&mut self, number: usize, message: &SeedMessage) -> SeedFile {
        let endings = ["txt", "csv", "md", "json", "html", "log"];
        let ending = endings[number % endings.len()];
        let word = self.dice.pick(self.words).copied().unwrap_or("file");
        let mut text = match ending {
            "csv" => "number,text\n".to_owned(),
            "md" => format!("# {word}\n\n"),
            "html" => format!("<!doctype html><title>{word}</title>\n"),
            _ => String::new(),
        };
        for line in 0..3 + self.dice.below(12) {
            let words = self.text();
            let result = match ending {
                "csv" => writeln!(text, "{line},\"{}\"", words.replace('"', "'")),
                "md" => writeln!(text, "- {words}"),
                "html" => writeln!(text, "<p>{words}</p>"),
                "json" => writeln!(text, "{}", serde_json::json!({"line": line, "text": words})),
                _ => writeln!(text, "{words}"),
            };
            result.expect("a string takes what is written to it");
        }
        let mut comments = Vec::new();
        if self.dice.chance(1, 3) {
            for place in 0..=self.dice.below(4) {
                comments.push(SeedComment {
                    user: self.member(),
                    text: self.text(),
                    created: message.at + 60 + i64::try_from(place).unwrap_or(0) * 61,
                });
            }
        }
        SeedFile {
            key: format!("f{number}"),
            name: format!("{word}-{number}.{ending}"),
            user: message.user.clone(),
            channels: vec![self.channel.key.clone()],
            created: message.at,
            content: Content::Bytes(text.into_bytes()),
            comments,
            ..SeedFile::default()
        }
    }

    fn text(&mut self) -> String {
        let mut text = String::with_capacity(128);
        sentence(&mut text, &mut self.dice, self.words);
        let more = self.dice.below(60);
        match more {
            0 => text.push_str(" <https://wiki.generated.example/page|wiki page>"),
            1 | 2 => {
                let who = self.member();
                text.push_str(" <@");
                text.push_str(&who);
                text.push('>');
            }
            3..=5 => {
                text.push(' ');
                text.push_str(self.dice.pick(EMOJI).copied().unwrap_or("👍"));
            }
            6 => {
                text.push_str("\n```\n");
                sentence(&mut text, &mut self.dice, self.words);
                text.push_str("\n```");
            }
            7 => {
                for _ in 0..3 {
                    text.push_str("\n• ");
                    sentence(&mut text, &mut self.dice, self.words);
                }
            }
            8..=10 => {
                text.push(' ');
                text.push_str(self.dice.pick(OTHER_SCRIPTS).copied().unwrap_or_default());
            }
            11..=20 => {
                text.push(' ');
                sentence(&mut text, &mut self.dice, self.words);
            }
            _ => {}
        }
        text
    }
}

/// A sentence of three to fourteen words, with a number here and there.
fn sentence(text: &mut String, dice: &mut Dice, words: &[&str]) {
    let length = 3 + dice.below(12);
    for place in 0..length {
        if place > 0 {
            text.push(' ');
        }
        // Twice below: the words in front of the list come more often.
        let limit = dice.below(words.len() as u64) + 1;
        let word = usize::try_from(dice.below(limit)).ok().and_then(|chosen| words.get(chosen));
        let word = word.copied().unwrap_or("and");
        if place == 0 {
            text.extend(word.chars().take(1).map(|letter| letter.to_ascii_uppercase()));
            text.push_str(word.get(1..).unwrap_or_default());
        } else {
            text.push_str(word);
        }
        if dice.chance(1, 24) {
            let written = match dice.below(3) {
                0 => write!(text, " {}", dice.below(10_000)),
                1 => write!(text, " {}.{}", dice.below(100), dice.below(10)),
                _ => write!(text, " PO-{:05}", dice.below(100_000)),
            };
            written.expect("a string takes what is written to it");
        }
    }
    text.push('.');
}

/// Edits, deletions and reactions in turn, one for each labelled message.
fn later(workspace: &Seed, seed: u64) -> Vec<Action> {
    let mut dice = Dice::new(seed ^ 0x1a7e);
    let labelled = workspace.messages.iter().filter(|message| !message.label.is_empty());
    labelled
        .zip(0_u8..)
        .map(|(message, turn)| {
            let (label, user) = (message.label.clone(), message.user.clone());
            match turn % 3 {
                0 => Action::Edit { label, user, text: format!("{} (edited {})", message.text, dice.below(100)) },
                1 => Action::Delete { label, user },
                _ => Action::React { label, user, name: "eyes".to_owned() },
            }
        })
        .collect()
}

/// Lines for the channels in turn, without a time: they happen when they are posted.
fn chatter(workspace: &Seed, seed: u64, words: &[&str]) -> Vec<SeedMessage> {
    let mut dice = Dice::new(seed ^ 0xc4a7);
    let rooms = workspace.channels.iter().filter(|channel| !channel.is_im && !channel.is_archived);
    rooms
        .cycle()
        .take(40)
        .map(|channel| {
            let mut text = String::new();
            sentence(&mut text, &mut dice, words);
            SeedMessage {
                channel: channel.key.clone(),
                user: dice.pick(&channel.members).cloned().unwrap_or_default(),
                text,
                ..SeedMessage::default()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
