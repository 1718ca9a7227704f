//! What comes every day: stand-ups, builds, shift reports, weather.
//!
//! Texts are put together from tables; the facts agree with the plot (build 311 fails, crane 1 is
//! handed over on 10 July, the storm of 19 May sends a ship another way).

use chrono::{Datelike as _, NaiveDate, Weekday};
use serde_json::{Value, json};

use super::{people, script};
use crate::sandbox::dice::Dice;
use crate::sandbox::seed::SeedMessage;

/// What Tomáš is busy with, week by week from 5 January.
const TOMAS: &[&str] = &[
    "design basis Aubin",
    "portal model, first run",
    "plate list for purchasing",
    "boom panels 1–5",
    "boom panels 6–9",
    "knee of the portal",
    "cutting plans for hall 3",
    "41 m study: loads",
    "41 m study: fatigue",
    "CO-3 notes",
    "boom drawings release B",
    "counterweight",
    "wheel loads with the port",
    "plates of lot 7714-C",
    "retest in Ostrava",
    "replacement plate from Linz",
    "weld plan panels 6–9",
    "boom release C",
    "bearing seats",
    "log of gearbox 2",
    "lifting plan crane 1",
    "lifting plan crane 2",
    "deflection test",
    "as-built drawings",
    "ladder and platform details",
    "cabin support",
    "paint damage list",
    "handover papers crane 1",
    "class B points",
    "handover papers crane 2",
    "fatigue inspection plan",
    "lessons learned",
    "spare-part drawings",
    "new drawing template",
    "offer for the next two cranes",
];

/// What Noa is busy with.
const NOA: &[&str] = &[
    "choice of the controller",
    "panel texts, first list",
    "right-to-left on the panel",
    "simulator: trolley",
    "panel mock-up",
    "simulator: hoist",
    "interlocks 1–40",
    "interlocks 41–80",
    "encoder mounting",
    "wind logic",
    "alarm sound",
    "camera picture",
    "panel fonts",
    "anti-sway",
    "interlocks 81–120",
    "race in the boom latch",
    "interlocks 121–160",
    "remote access with two keys",
    "bench for the cabin",
    "log format",
    "anti-sway at 41 m",
    "test on site, crane 1",
    "camera delay",
    "mixed-direction test",
    "interlocks 161–212",
    "training mode",
    "release 1.4.0",
    "crane 2 parameters",
    "slack rope switch",
    "class B points, software",
    "texts for 1.5",
    "handbook of the simulator",
    "holiday",
    "holiday",
    "update of the tool chain",
];

/// What Yuki is busy with.
const YUKI: &[&str] = &[
    "inspection plan 2026",
    "weld procedure 14 mm",
    "sensor acceptance",
    "audit list for Beilin",
    "fair model, safety check",
    "rope samples",
    "plate lot 7702-A",
    "motor noise test",
    "weld procedure 16 mm",
    "preheating trial",
    "motor noise, second round",
    "Osaka fair",
    "plate lot 7714-C",
    "Charpy retest",
    "report QA-2026-031",
    "specimens as evidence",
    "Golden Week",
    "load-cell drift",
    "brake linings",
    "new hardness tester",
    "paint thickness",
    "brake linings, second supplier",
    "rope samples Yamase",
    "calibration week",
    "crane 1 measuring report",
    "gauges for service",
    "cabin noise",
    "crane 2 measuring report",
    "mill questionnaire",
    "supplier rating",
    "supplier rating",
    "audit plan for September",
    "Obon holiday",
    "training for Anong",
    "audit papers",
];

/// What Omar is busy with.
const OMAR: &[&str] = &[
    "packing list",
    "site visit Saint-Aubin",
    "anchor bolts",
    "crane rental offers",
    "visa for the crew",
    "kitchen office",
    "cable duct with the port",
    "rail survey",
    "grease plan",
    "erection sequence",
    "container for tools",
    "Eid",
    "harbour permits",
    "cable reel drawings",
    "heavy-lift contract",
    "crew briefing",
    "housing for the crew",
    "site fence",
    "anchor tension",
    "Nordlicht 3, new date",
    "unloading portal legs",
    "erection crane 1",
    "boom hinge",
    "ropes crane 1",
    "cold run crane 1",
    "load test crane 1",
    "operator training",
    "handover crane 1",
    "gearbox 2 fitted",
    "handover crane 2",
    "class B points",
    "spare-part store",
    "storm lock check",
    "first 500 h service",
    "report for Hana",
];

/// How a week went, said on Thursday.
const OUTCOMES: &[&str] = &[
    "done",
    "done, with one open question",
    "90 %",
    "done since this morning",
    "waiting for an answer from outside",
    "slower than planned, Monday",
    "done and checked by a second pair of eyes",
    "half; the rest next week",
];

/// Tests of the controller that fail now and then.
const TESTS: &[&str] = &[
    "interlock_test::boom_latch",
    "trolley_test::soft_stop",
    "panel_test::arabic_width",
    "hoist_test::slack_rope",
    "wind_test::park_at_22_5",
    "panel_test::thai_line_break",
    "can_bus_test::lost_frame",
];

/// What the shift leader of hall 3 adds.
const REMARKS: &[&str] = &[
    "Nothing special.",
    "Overhead crane 2 serviced, one hour lost.",
    "New grinder works well.",
    "Two welders off sick, Kučera stepped in.",
    "Drawing B2 had a wrong hole pattern; corrected by T. Dušek.",
    "Plate marks hard to read, please paint them larger.",
    "Visit of the fire brigade, all exits free.",
    "Gas delivery late, shift went on with bottles.",
    "First-aid kit refilled.",
    "Preheating 80 °C kept, log on the wall.",
    "Přesčas 2 hodiny, schválil P. Málek.",
    "Roof leaks above station 4 again.",
    "Apprentices from the technical school were here.",
    "Measuring arm calibrated.",
    "Light above station 7 replaced.",
];

/// What Omar adds to the report from the quay.
const QUAY: &[&str] = &[
    "No open safety points.",
    "Work stopped 40 minutes for gusts.",
    "Camille visited with two operators.",
    "السلامة أولاً: لا حوادث.",
    "Cable reel turns freely.",
    "Harbour master asks for night lights, ordered.",
    "Three hours lost to a flat tyre of the mobile crane.",
    "Tool container moved behind the fence.",
    "Rope lubricated, samples taken.",
    "Seagulls: 1, we: 0.",
];

/// A message of the bot, with what it shows in a box.
fn bot(channel: &str, at: i64, text: String, attachment: Value) -> SeedMessage {
    let mut extra = vec![("username".to_owned(), Value::from("Dockhand"))];
    if !attachment.is_null() {
        extra.push(("attachments".to_owned(), Value::Array(vec![attachment])));
    }
    SeedMessage { subtype: "bot_message".to_owned(), extra, ..person("dockhand", channel, at, text) }
}

/// A message of a person.
fn person(who: &str, channel: &str, at: i64, text: String) -> SeedMessage {
    SeedMessage {
        channel: channel.to_owned(),
        user: people::email(who).unwrap_or_default().to_owned(),
        at,
        text,
        ..SeedMessage::default()
    }
}

/// The days from one to another, with Unix seconds of their start; both included.
fn days(from: (u32, u32), to: (u32, u32)) -> impl Iterator<Item = (NaiveDate, i64)> {
    let first = script::moment(from.0, from.1, 0, 0).unwrap_or_default();
    let last = script::moment(to.0, to.1, 0, 0).unwrap_or_default();
    (first..=last).step_by(86_400).filter_map(|at| {
        let day = chrono::DateTime::from_timestamp(at, 0)?.date_naive();
        Some((day, at))
    })
}

fn is_workday(day: NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

/// All routine messages.
pub(super) fn messages() -> Vec<SeedMessage> {
    let mut messages = standup();
    messages.extend(builds());
    messages.extend(shifts());
    messages.extend(weather());
    messages
}

fn standup() -> Vec<SeedMessage> {
    let mut dice = Dice::new(1);
    let mut messages = Vec::new();
    let week_starts = days((1, 5), (8, 31)).filter(|(day, _)| day.weekday() == Weekday::Mon);
    for (week, (_, monday)) in week_starts.enumerate() {
        for (who, tasks, start) in [("tomas", TOMAS, 430), ("noa", NOA, 440), ("omar", OMAR, 410), ("yuki", YUKI, 60)] {
            let Some(task) = tasks.get(week) else {
                continue;
            };
            let is_away = ["holiday", "Eid", "Golden Week", "Obon holiday"].contains(task);
            let minute = start + i64::try_from(dice.below(25)).unwrap_or(0);
            let text = if is_away {
                format!("Away this week: {task}.")
            } else if dice.chance(1, 4) {
                format!("This week:\n• {task}\n• and the rest of last week")
            } else {
                format!("This week: {task}.")
            };
            messages.push(person(who, "standup", monday + minute * 60, text));
            let thursday = monday + 3 * 86_400 + (minute + 9) * 60;
            if !is_away && week < 34 {
                let outcome = dice.pick(OUTCOMES).copied().unwrap_or_default();
                messages.push(person(who, "standup", thursday, format!("*{task}*: {outcome}.")));
            }
        }
    }
    messages
}

/// Builds whose times the plot fixes; the others lie evenly between them.
const BUILDS: &[(u64, &str)] = &[
    (231, "01-12 10:05"),
    (268, "03-11 09:20"),
    (311, "04-22 10:02"),
    (312, "04-22 10:36"),
    (330, "06-10 13:15"),
    (334, "06-12 10:44"),
    (351, "07-08 16:24"),
    (374, "08-31 15:10"),
];

fn builds() -> Vec<SeedMessage> {
    let mut dice = Dice::new(2);
    let mut messages = Vec::new();
    for pair in BUILDS.windows(2) {
        let (first, last) = (pair[0].0, pair[1].0);
        let start = script::moment_of(pair[0].1).unwrap_or_default();
        let end = script::moment_of(pair[1].1).unwrap_or_default();
        let step = (end - start) / i64::try_from(last - first).unwrap_or(1);
        let until = if last == 374 { last + 1 } else { last };
        for (number, place) in (first..until).zip(0..) {
            let even = start + step * place;
            // Days are folded into working hours, but for the builds whose times are fixed.
            let at =
                if place == 0 || number == 374 { even } else { even - even % 86_400 + 25_200 + even % 86_400 * 5 / 12 };
            let passed = 120 + (number - 231) * 2 / 3;
            let fails = number == 311 || (number != 312 && number != 351 && dice.chance(1, 9));
            let test = if number == 311 { Some(&TESTS[0]) } else { dice.pick(TESTS).filter(|_| fails) };
            let seconds = 190 + dice.below(95);
            let commit = format!("{:08x}", dice.roll() >> 32);
            let (colour, verdict, detail) = match test {
                Some(test) => ("danger", "failed", format!("{passed} tests passed, 1 failed: `{test}`")),
                None => ("good", "passed", format!("{} tests passed", passed + 1)),
            };
            let title = format!("crane-control build {number}: {verdict}");
            let attachment = json!({
                "fallback": title,
                "color": colour,
                "title": title,
                "title_link": format!("https://build.orlava.example/crane-control/{number}"),
                "text": detail,
                "fields": [
                    {"title": "Commit", "value": commit, "short": true},
                    {"title": "Duration", "value": format!("{} min {:02} s", seconds / 60, seconds % 60), "short": true},
                ],
                "ts": at,
            });
            let line =
                format!("Build *{number}* {verdict} (<https://build.orlava.example/crane-control/{number}|{commit}>)");
            messages.push(bot("builds", at, line, attachment));
            let is_weekend = [2, 3].contains(&(at / 86_400 % 7));
            if let Some(test) = test.filter(|_| !is_weekend && dice.chance(2, 3)) {
                let answer = ["Mine. Fixing.", "Looking.", "Flaky, I write a ticket.", "That's a real one, good."];
                let answer = dice.pick(&answer).copied().unwrap_or_default();
                let name = test.split_once("::").map_or(*test, |parts| parts.1);
                messages.push(person("noa", "builds", at + 540, format!("`{name}`: {answer}")));
            }
        }
    }
    messages
}

fn shifts() -> Vec<SeedMessage> {
    let mut dice = Dice::new(3);
    let mut messages = Vec::new();
    for (day, at) in days((2, 16), (6, 26)).filter(|(day, _)| is_workday(*day)) {
        let (shift, hour) = if day.ordinal() % 2 == 0 { ("early", 12) } else { ("late", 20) };
        let metres = 90 + dice.below(120);
        let plates = dice.below(9);
        let remark = dice.pick(REMARKS).copied().unwrap_or_default();
        let people = 9 + dice.below(5);
        let text = format!(
            "*Hall 3, {shift} shift, {day}*\n• {people} people, no accident\n• welds {}.{} m, plates cut {plates}\n• {remark}",
            metres / 10,
            metres % 10,
        );
        messages.push(bot("shifts", at + hour * 3_600 + 300, text, Value::Null));
    }
    for (day, at) in days((5, 28), (8, 28)).filter(|(day, _)| is_workday(*day)) {
        let remark = dice.pick(QUAY).copied().unwrap_or_default();
        let crew = 6 + dice.below(8);
        let moves = 120 + dice.below(190);
        let text = if day >= NaiveDate::from_ymd_opt(2026, 7, 20).unwrap_or(day) {
            format!("Quay, {day}: {moves} moves, crew {crew}. {remark}")
        } else {
            format!("Quay, {day}: crew {crew}, {} lifts. {remark}", 2 + moves % 11)
        };
        messages.push(person("omar", "shifts", at + 15 * 3_600 + 900, text));
    }
    messages
}

fn weather() -> Vec<SeedMessage> {
    let mut dice = Dice::new(4);
    let mut messages = Vec::new();
    for (day, at) in days((1, 5), (8, 31)) {
        let season = u64::from(day.month().abs_diff(7));
        let is_storm = (5, 19) == (day.month(), day.day()) || dice.chance(season, 60);
        let wind = if is_storm { 20 + dice.below(9) } else { 4 + dice.below(10) + season };
        let wave = wind / 6 + dice.below(2);
        let direction = dice.pick(&["N", "NE", "SW", "W", "NW", "S"]).copied().unwrap_or_default();
        let warm = 21_u64.saturating_sub(season * 3) + dice.below(6);
        let text =
            format!("Saint-Aubin {day}: wind {direction} {wind} m/s, waves {wave}.{} m, {warm} °C", dice.below(10));
        let attachment = if is_storm {
            json!({"fallback": "No lifts", "color": "danger", "title": "No lifts today",
                "text": format!("Gusts up to {} m/s. Boom up, storm locks in.", wind + 7)})
        } else {
            Value::Null
        };
        messages.push(bot("weather", at + 5 * 3_600, text, attachment));
        if is_storm {
            let answer = ["Boom up, locks in, crew ashore.", "Understood, paperwork day.", "تم، الجميع بأمان."];
            let answer = dice.pick(&answer).copied().unwrap_or_default().to_owned();
            messages.push(person("omar", "weather", at + 5 * 3_600 + 1_260, answer));
        }
    }
    messages
}
