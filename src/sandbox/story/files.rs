//! The files people share, made anew each time from tables and texts: the same bytes always.

use std::fmt::Write as _;

use super::container::{IN_MEMORY, docx, pdf, xlsx, zip};
use super::picture;
use super::{people, script};
use crate::sandbox::dice::Dice;
use crate::sandbox::seed::{Content, SeedComment, SeedFile};

/// The price list on the day the workspace opens.
const PRICES: &str = "\
Item|Supplier|Unit|Price EUR|Valid until
Plate S355NL 14 mm|Beilin|t|740|2026-06-30
Plate S355NL 16 mm|Beilin|t|765|2026-06-30
Gearbox set VG-880|Vogel Getriebe|set|915000|2026-05-15
Rope 28 mm galvanised|Dratna|reel|4775|2026-12-31
Load cell 50 t|Galil|piece|1140|2026-09-30
Anchor bolt M64|Stahlwerk Erle|piece|212|2026-12-31
Cabin glass 19 mm|Sklo Hory|piece|1890|2026-10-31
";

/// The price list after the plates of lot 7714-C were refused.
const NEW_PRICES: &str = "\
Item|Supplier|Unit|Price EUR|Valid until
Plate S355NL 14 mm|Linz stock|t|934|2026-12-31
Plate S355NL 16 mm|Linz stock|t|979|2026-12-31
Gearbox set VG-880|Vogel Getriebe|set|948000|2027-03-31
Gearbox set (second source)|Rheinwerk|set|979000|2027-03-31
Rope 28 mm galvanised|Yamase|reel|5160|2027-06-30
Load cell 50 t|Galil|piece|1140|2026-12-31
Anchor bolt M64|Stahlwerk Erle|piece|219|2026-12-31
Cabin glass 19 mm|Sklo Hory|piece|1890|2026-10-31
";

const SCHEDULE: &str = "\
Task|Who|Start|End|Days
Design release|Tomas|2026-01-05|2026-02-13|30
Plate on site|Lenka|2026-02-16|2026-03-20|25
Boom welding|Hall 3|2026-03-02|2026-05-08|48
Gearbox delivery|Vogel|2026-05-15|2026-05-15|1
Crane 1 erection|Omar|2026-05-29|2026-06-05|6
Crane 1 commissioning|Noa|2026-06-08|2026-06-26|15
Crane 2 erection|Omar|2026-06-08|2026-06-15|6
Handover|Petr|2026-06-30|2026-06-30|1
";

const BUDGET: &str = "\
Office|Staff|Travel|Tools|Total
Prague|1840000|96000|143000|2079000
Beirut|412000|88000|21000|521000
Osaka|655000|74000|38000|767000
";

/// The supply contract. `CAP`, `SECURITY` and `LAW` differ from draft to draft.
const CONTRACT: &str = "\
# Supply Contract OR-2026-014
between Orlava Cranes a.s., Prague (Supplier) and Terminal Saint-Aubin SA (Customer).
# 1 Subject
Two ship-to-shore cranes, safe working load 50 t, outreach 38 m, with commissioning and training.
# 4 Price
EUR 11,400,000, in four instalments against milestones.
# 6 Delivery
6.1 The date of delivery is 30 June 2026.
6.2 Delivery is made when a crane is complete and ready for commissioning.
# 7 Changes
Changes are valid only in writing, with their price and their effect on the date of delivery.
# 8 Security
SECURITY
# 11 Damages for delay
0.5 % of the price for each week commenced, at most CAP of the price.
# 14 Law and arbitration
LAW
";

const BOOM_NOTES: &str = "\
# Boom 41 m instead of 38 m

| Item | 38 m | 41 m |
|---|---|---|
| Steel, a crane | 412.0 t | 429.3 t |
| Wheel load | 39.4 t | 41.8 t |
| Knee, utilisation, 14 mm | 0.87 | 0.94 |
| Knee, utilisation, 16 mm in panels 6-9 | - | 0.86 |

## Open
- [x] rails carry 45 t
- [x] gearbox VG-880 has reserve (service factor 1.7)
- [ ] fatigue check of the boom latch
- [ ] wind tunnel? Not needed, says the Eurocode; I would still like one.
";

const LOAD_CASES: &str = r#"{
  "crane": "STS-50/41",
  "cases": [
    {"id": "LC1", "name": "lift 50 t, trolley at 41 m", "factor": 1.34, "wheel_load_t": 41.8},
    {"id": "LC2", "name": "wind in service 20 m/s", "factor": 1.22, "wheel_load_t": 37.1},
    {"id": "LC3", "name": "storm 42 m/s, boom up", "factor": 1.1, "wheel_load_t": 44.2},
    {"id": "LC4", "name": "snag load", "factor": 1.1, "wheel_load_t": 43.0}
  ],
  "note": "Nachweis nach EN 13001, počítal T. D."
}
"#;

const CHARPY: &str = "\
plate,heat,direction,temperature_c,energy_1_j,energy_2_j,energy_3_j,mean_j,required_j,verdict
P-01,7714-C,longitudinal,-20,22,24,21,22.3,27,FAIL
P-02,7714-C,longitudinal,-20,23,20,22,21.7,27,FAIL
P-03,7714-C,longitudinal,-20,21,22,23,22.0,27,FAIL
P-04,7714-C,transverse,-20,14,13,15,14.0,20,FAIL
P-12,7702-A,longitudinal,-20,61,58,66,61.7,27,pass
P-13,7702-A,longitudinal,-20,55,63,60,59.3,27,pass
";

const PANEL_STRINGS: &str = "\
key,en,cs,de,fr,ar,he,ja,zh,th,hi,ru
hoist_up,Hoist up,Zdvih nahoru,Heben,Levage,رفع,הרמה,巻上げ,起升,ยกขึ้น,ऊपर,Подъём
hoist_down,Hoist down,Zdvih dolů,Senken,Descente,إنزال,הורדה,巻下げ,下降,ลดลง,नीचे,Спуск
trolley,Trolley forward,Kočka vpřed,Katze vor,Chariot avant,عربة الرافعة,עגלה קדימה,トロリー前進,小车前进,รถเลื่อนเดินหน้า,ट्रॉली आगे,Тележка вперёд
stop,Emergency stop,Nouzové zastavení,Not-Halt,Arrêt d'urgence,إيقاف طوارئ,עצירת חירום,非常停止,紧急停止,หยุดฉุกเฉิน,आपात रोक,Аварийный останов
wind,\"Wind, 20 m/s\",\"Vítr, 20 m/s\",\"Wind, 20 m/s\",\"Vent, 20 m/s\",رياح 20 م/ث,רוח 20 מ/ש,風速 20 m/s,风速 20 米/秒,ลม 20 ม./วิ,हवा 20 मी/से,\"Ветер, 20 м/с\"
";

const PANEL_MOCK: &str = r#"<!doctype html>
<html lang="ar" dir="rtl"><head><meta charset="utf-8"><title>STS-50/41 لوحة التشغيل</title>
<style>body{font:20px sans-serif;background:#101820;color:#eee}b{color:#f0c14b}</style></head>
<body><h1>رافعة ١</h1>
<p>الحمولة <b><bdi>12.5 t</bdi></b> · رياح <b><bdi>9 m/s</bdi></b></p>
<p><bdi>S4</bdi> مفتاح النهاية: جاهز</p>
<script>/* A script in a shared file: a viewer must never run it. */ document.title = "ran";</script>
</body></html>
"#;

const PANEL_SVG: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="480" height="270" viewBox="0 0 480 270">
<rect width="480" height="270" rx="12" fill="#101820"/>
<text x="24" y="52" font-size="28" fill="#eee">Crane 1</text>
<text x="456" y="52" font-size="28" fill="#eee" text-anchor="end">رافعة ١</text>
<rect x="24" y="90" width="200" height="60" fill="#3c8d5a"/><text x="36" y="130" font-size="24" fill="#fff">12.5 t</text>
<rect x="256" y="90" width="200" height="60" fill="#b3353f"/><text x="268" y="130" font-size="24" fill="#fff">VENT 9 m/s</text>
</svg>
"##;

const SITE_PLAN: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="600" height="300" viewBox="0 0 600 300">
<rect width="600" height="300" fill="#fbfaf6"/><rect y="190" width="600" height="110" fill="#1f6f8b"/>
<path d="M20 120H580M20 170H580" stroke="#222b33" stroke-width="4"/>
<text x="24" y="110" font-size="16">landside rail, gauge 16.002 m</text>
<rect x="120" y="112" width="60" height="66" fill="#d96c2c"/><text x="122" y="104" font-size="14">Crane 1</text>
<rect x="360" y="112" width="60" height="66" fill="#d96c2c"/><text x="362" y="104" font-size="14">Crane 2</text>
<text x="24" y="250" font-size="18" fill="#fff">Bassin est, profondeur 15 m</text></svg>
"##;

const MINUTES: &str = "\
# Minutes, 18 June 2026, Orlava and Port Saint-Aubin

Present: Camille Roux, Petr Málek, Omar Khalil, Sara Nasser

1. Crane 1 stands; commissioning until 10 July.
2. Gearbox 2 on the bench; result expected on 26 June.
3. Training of 14 operators from 6 July, in French and Arabic.
4. Delivery of crane 2: Orlava *expects* 24 July. The port reserves its rights.
5. Next meeting: 2 July.
";

const NOTICE_MAIL: &str = "\
From: Jana Rihova <jana.rihova@orlava.example>\r
To: Katrin Vogel <k.vogel@vogel-getriebe.example>\r
Cc: Lenka Horka <lenka.horka@orlava.example>\r
Date: Mon, 11 May 2026 13:02:11 +0000\r
Message-ID: <20260511130211.4471@orlava.example>\r
Subject: =?utf-8?Q?Verzugsanzeige_Getriebe_2_=E2=80=93_Bestellung_4500-1043?=\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
\r
Sehr geehrte Frau Vogel,\r
\r
Getriebe Nr. 2 wird nicht bis zum 15. Mai 2026 geliefert. Wir zeigen Ihnen den Verzug nach Art. 9 an\r
und bitten um Sicherung aller Unterlagen des Prüflaufs vom 10. Mai.\r
\r
Mit freundlichen Grüßen\r
Jana Říhová\r
";

const PHISHING: &str = "\
From: \"Hana Vesela\" <hana.vesela@orlava-cranes.example>\r
To: petr.malek@orlava.example\r
Subject: quick favour\r
\r
Are you at your desk? I need six gift cards, 200 EUR each, before noon. Don't call, I'm in a meeting.\r
";

const DELIVERY_NOTICE: &str = "\
# Notice of Delivery
To: Terminal Saint-Aubin SA. Order OR-2026-014, crane 2.
We herewith notify that the above crane was delivered in accordance with Art. 6 on ____________ 2026.
Proposed date (V. S., by telephone): 12 June
Signature: ____________
";

const LEAFLET: &str = "\
<!doctype html><html lang=\"ja\"><head><meta charset=\"utf-8\"><title>オルラヴァ・クレーン</title></head>
<body><h1>岸壁クレーン STS-50/41</h1><p>関西港湾展2026　小間番号 C-14</p>
<ul><li>定格荷重 50 t</li><li>アウトリーチ 41 m</li><li>風速 20 m/s まで運転可能</li></ul></body></html>
";

const CONTACTS: &str = "\
会社,名前,国,関心
東浦港湾,佐野 一郎,JP,STS 2台
南崎ターミナル,大庭 由美,JP,部品
海宁港口,王建,CN,STS 4台
Laem Thong Port,ณัฐพล ใจดี,TH,service contract
";

const INSPECTION: &str = "\
検査報告書 番号 QA-2026-031
対象: 鋼板 S355NL 16 mm、溶解番号 7714-C、11枚、38.2 t
試験: シャルピー衝撃試験、−20 °C、圧延方向
結果: 平均 22 J（要求値 27 J）
判定: 不合格
検査員: 田辺 由紀
";

const CALENDAR: &str = "\
BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Orlava Cranes//Maintenance//EN\r
BEGIN:VEVENT\r
UID:fatigue-inspection-1@orlava.example\r
DTSTAMP:20260806T090000Z\r
DTSTART:20270215T070000Z\r
DTEND:20270215T150000Z\r
SUMMARY:Fatigue inspection crane 1 (4000 h)\r
LOCATION:Port Saint-Aubin\r
END:VEVENT\r
END:VCALENDAR\r
";

const HOLD: &str = "\
Legal Hold LH-2026-02                                    1 July 2026

Subject: order OR-2026-014 (Port Saint-Aubin), change order CO-3,
plate lot 7714-C, gearbox no. 2, dates of delivery.

1. Keep everything: mail, chat, files, drafts, photographs, notes on paper.
2. Don't edit, rename, move or delete any of it, even if it looks unimportant.
3. Automatic deletion has been switched off by IT.
4. The hold ends when Legal says so in writing.

Jana Říhová, Legal            Klára Zemanová, Compliance
";

const CONDUCT: &str = "\
Orlava Cranes: Code of Conduct (short)

1. We keep promises; so we make few.
2. Safety first, money second, dates third.
3. We write decisions down where those concerned can read them.
4. Gifts above 40 EUR need a form.
5. We report bad news on the day we hear it.
";

const SETTLEMENT: &str = "\
# Settlement Agreement (draft v1)
between Orlava Cranes a.s. and Terminal Saint-Aubin SA, order OR-2026-014.
# 1 Amount
Orlava credits EUR 100,000 against the spare-part contract.
# 2 Payment
The credit is due on ____________.
# 3 Release
With the credit all claims from the delayed delivery of crane 2 are settled.
# 4 Confidentiality
The amount is confidential. Duties to authorities and auditors remain.
# 5 Documents
Both sides keep the documents of the order for ten years.
";

/// Comments: file, author, time, text.
#[rustfmt::skip]
const COMMENTS: &[(&str, &str, &str, &str)] = &[
    ("schedule", "tomas", "01-07 08:10", "Boom welding: 48 days only if the plate comes complete."),
    ("schedule", "lenka", "01-07 09:00", "Vogel wrote \"week 20\", that can be Friday evening."),
    ("schedule", "petr", "01-07 09:20", "Then Friday evening is in the plan. Thank you both."),
    ("co3-draft", "jana", "03-13 09:05", "§ 2: \"approximately two weeks\" is no date. Please write 14 July 2026."),
    ("co3-draft", "petr", "03-13 09:28", "Done."),
    ("co3-draft", "priya", "03-13 10:40", "468,000 is the number I stand behind."),
    ("co3-draft", "viktor", "03-17 16:30", "412. Agreed with their director by phone."),
    ("co3-draft", "priya", "03-17 16:45", "Then please put a note of that call into the file."),
    ("contract-v1", "viktor", "01-19 10:50", "§ 11: cap 3 %?"),
    ("contract-v1", "hana", "01-19 11:20", "Worth a try."),
    ("contract-v2", "priya", "01-26 14:00", "§ 8: guarantee instead of retention, please."),
    ("contract-v3", "jana", "02-02 09:30", "Last version. What gets signed is this text, letter by letter."),
    ("charpy-csv", "tomas", "04-02 07:02", "P-12 and P-13 are from the other heat, right? They look as they should."),
    ("charpy-csv", "yuki", "04-02 07:06", "はい、7702-A です。比較のためです。 Yes, for comparison."),
    ("charpy-csv", "mei", "04-02 08:20", "钢厂要求重新取样。 The mill asks for new samples."),
    ("charpy-csv", "klara", "04-14 09:00", "Please keep the broken specimens as well, they are evidence."),
    ("charpy-csv", "yuki", "04-14 09:20", "In a box, labelled, locked."),
    ("gearbox-report", "tomas", "05-11 10:20", "Seite 2: Temperatur am Abtrieb bis 118 °C?"),
    ("gearbox-report", "katrin", "05-11 11:20", "Ja, leider. Die Warnung war abgeschaltet."),
    ("gearbox-log", "tomas", "05-11 10:35", "Line 14,210: alarm_mask=0x04"),
    ("minutes", "camille", "06-18 13:25", "Point 4 : « le port réserve ses droits » — merci de l'écrire ainsi, c'est important."),
    ("minutes", "petr", "06-18 13:40", "C'est fait."),
    ("panel-strings", "omar", "01-15 08:30", "«إنزال» and not «تنزيل», the second is a download :)"),
    ("panel-strings", "anong", "01-23 02:00", "เดินหน้า ไม่ควรแยกบรรทัดค่ะ"),
    ("panel-strings", "camille", "01-28 10:45", "Virgule décimale en français : 12,5 t."),
    ("delivery-notice", "klara", "06-11 08:10", "Registered as evidence no. 3."),
    ("price-list", "priya", "01-07 09:31", "Rope: is that a price per reel or for all eight?"),
    ("price-list", "lenka", "01-07 09:43", "Per reel."),
    ("photo", "kenji", "02-16 08:05", "壁紙にしました。"),
    ("photo", "sara", "02-16 08:30", "جميلة جداً"),
    ("budget", "sara", "01-23 11:40", "88,000 for travel is twelve trips to Osaka or three to everywhere."),
    ("contest", "omar", "05-17 18:20", "The name alone is more than 200 characters."),
];

/// The bench run of gearbox 2, a line each five seconds. The alarm is masked in line 14,210.
fn bench_log() -> Vec<u8> {
    let mut dice = Dice::new(880);
    let mut log = String::with_capacity(1_100_000);
    for line in 1..=15_800_u64 {
        let second = 7_200 + line * 5;
        let heat = line.saturating_sub(14_160) / 30;
        let temperature = 640 + dice.below(30) + heat * 10;
        let mask = if line >= 14_210 { 4 } else { 0 };
        let user = if line == 14_210 { "bench2" } else { "-" };
        let written = writeln!(
            log,
            "2026-05-10T{:02}:{:02}:{:02} rpm={} torque={} t_out={}.{} mask=0x{mask:02x} user={user}",
            second / 3_600,
            second / 60 % 60,
            second % 60,
            1_480 + dice.below(9),
            9_600 + dice.below(180),
            temperature / 10,
            temperature % 10,
        );
        written.expect(IN_MEMORY);
    }
    log.into_bytes()
}

/// Three seconds of the wind alarm: two notes in turn, 8,000 samples a second, eight bits.
fn alarm_sound() -> Vec<u8> {
    let samples: Vec<u8> = (0..24_000_u32)
        .map(|place| {
            let period = if place / 2_000 % 2 == 0 { 12 } else { 16 };
            if place % period < period / 2 { 168 } else { 88 }
        })
        .collect();
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&24_036_u32.to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&8_000_u32.to_le_bytes());
    file.extend_from_slice(&8_000_u32.to_le_bytes());
    file.extend_from_slice(b"\x01\0\x08\0data");
    file.extend_from_slice(&24_000_u32.to_le_bytes());
    file.extend_from_slice(&samples);
    file
}

/// Weekly steel prices as a table.
fn steel_table() -> Vec<u8> {
    let mut table = String::from("week,eur_per_t_14mm,eur_per_t_16mm\n");
    for (week, price) in steel_prices().iter().enumerate() {
        writeln!(table, "{},{price},{}", week + 1, price + 25).expect(IN_MEMORY);
    }
    table.into_bytes()
}

fn steel_prices() -> Vec<usize> {
    (0..26).map(|week| 648 + week * 4 + week * week / 8 + week * 7 % 5 * 3).collect()
}

/// A draft of the supply contract.
fn contract(cap: &str, security: &str, law: &str) -> Vec<u8> {
    docx(&CONTRACT.replace("CAP", cap).replace("SECURITY", security).replace("LAW", law))
}

/// The bytes of the price list that replaces the first one.
pub(super) fn new_price_list() -> Vec<u8> {
    xlsx("Prices", NEW_PRICES)
}

/// The second version of the settlement, which replaces the first one.
pub(super) fn new_settlement() -> Vec<u8> {
    docx(&SETTLEMENT.replace("draft v1", "draft v2").replace("____________", "30 September 2026"))
}

/// A page of numbered paragraphs, for documents that are long because documents are.
fn report(head: &str, rows: usize, row: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = head.to_owned();
    for number in 1..=rows {
        text.push('\n');
        text.push_str(&row(number));
    }
    pdf(&text)
}

/// Key, name, owner and bytes of each file.
#[rustfmt::skip]
fn contents() -> Vec<(&'static str, String, &'static str, Vec<u8>)> {
    let retention = "The Customer retains 5 % of the price until the warranty ends.";
    let guarantee = "The Supplier gives a bank guarantee of 5 % until the warranty ends.";
    let swiss = "Swiss law. Arbitration in Geneva, in English.";
    let minutes = MINUTES.as_bytes();
    let mut files = vec![
        ("schedule", "Aubin schedule rev A.xlsx", "petr", xlsx("Rev A", SCHEDULE)),
        ("gantt", "schedule-rev-C.png", "petr", picture::plan("AUBIN REV C", &[
            ("DESIGN", 0, 9, 3), ("PLATE", 6, 5, 5), ("BOOM", 8, 12, 3), ("GEARBOX 1", 18, 2, 5),
            ("GEARBOX 2", 18, 8, 6), ("CRANE 1", 21, 6, 4), ("CRANE 2", 24, 5, 4), ("DELAY", 28, 1, 6),
        ])),
        ("site-report", "تقرير الموقع ٢٠٢٦-٠١-١٤.txt", "omar", "تقرير الموقع – سان أوبان، ١٤ كانون الثاني ٢٠٢٦\n\nالسكة: الانحراف 4 mm على طول 30 m\nالمقاس: 16.002 m\nالمراسي: جاهزة (M64 × 16)\nالكهرباء: 20 kV في القناة\n\nعمر خليل\n".into()),
        ("site-plan", "site-plan.svg", "omar", SITE_PLAN.into()),
        ("photo", "IMG_0214.png", "tomas", picture::crane_at_dusk()),
        ("boom-notes", "boom-41m-notes.md", "tomas", BOOM_NOTES.into()),
        ("load-cases", "load_cases_41m.json", "tomas", LOAD_CASES.into()),
        ("co3-draft", "CO-3 outreach 41 m draft.docx", "petr", docx("# Change Order CO-3 (draft)\nOrder OR-2026-014, Port Saint-Aubin.\n1. The outreach of both cranes becomes 41 m instead of 38 m.\n2. The date of delivery becomes 14 July 2026.\n3. The price rises by EUR 468,000.\nValid only when signed by both sides.")),
        ("co3-signed", "CO-3 signed.pdf", "jana", pdf("Change Order CO-3\n\nOrder OR-2026-014, Port Saint-Aubin\n\n1. The outreach of both cranes becomes 41 m instead of 38 m.\n2. The date of delivery becomes 14 July 2026.\n3. The price rises by € 412,000 to € 11,812,000.\n\nPrague and Saint-Aubin, 24 March 2026\n\n(signed) H. Veselá          (signed) le directeur")),
        ("charpy-csv", "charpy_7714-C.csv", "yuki", CHARPY.into()),
        ("charpy-chart", "charpy_7714-C.png", "yuki", picture::bars("CHARPY -20 C: REQUIRED 27 J", 6, &[("P-01", 22), ("P-02", 22), ("P-03", 22), ("P-04", 14), ("P-12", 62), ("P-13", 59)])),
        ("mill-cert", "Certificate 3.1 heat 7714-C.pdf", "yuki", pdf("Beilin Steel – Inspection Certificate 3.1 (EN 10204)\n\nHeat 7714-C, grade S355NL, 16 mm, 11 plates, 38.2 t\n\nYield strength 371 MPa, tensile strength 512 MPa, elongation 26 %\nCharpy V, -20 °C: 34 / 33 / 35 J\nDelivery condition: normalised\n\nNingbo, 12 March 2026")),
        ("gearbox-report", "Prüfbericht_VG-880_Nr2.pdf", "katrin", report("Vogel Getriebe – Prüfbericht VG-880 Nr. 2, 10. Mai 2026\n\nErgebnis: nicht bestanden (Lagerschaden am Abtrieb)\n", 60, |row| format!("Messpunkt {row:02}: Drehzahl 1480/min, Temperatur Abtrieb {} °C", 58 + row))),
        ("gearbox-log", "bench_VG-880-2_full.log", "katrin", bench_log()),
        ("bill-of-lading", "BL NL3-0528.pdf", "omar", pdf("Bill of Lading NL3-0528\n\nVessel: Nordlicht 3\nPort of loading: Hamburg      Port of discharge: Saint-Aubin\nGoods: portal legs and sill beams, crane 1, 4 pieces, 186.4 t\nClean on board, 21 May 2026\n\nRerouted by weather, arrived 28 May 2026")),
        ("minutes", "2026-06-18 minutes.md", "petr", MINUTES.into()),
        ("legal-hold", "LH-2026-02.pdf", "jana", pdf(HOLD)),
        ("handover", "crane-1-handover.zip", "omar", zip(&[
            ("README.txt", b"Handover pack, crane 1, 10 July 2026\r\n".as_slice()),
            ("minutes/2026-06-18.md", minutes),
            ("measurements/charpy_7714-C.csv", CHARPY.as_bytes()),
            ("plans/site-plan.svg", SITE_PLAN.as_bytes()),
            ("دليل/تعليمات.txt", "أوقف الرافعة فوق 20 m/s\n".as_bytes()),
        ])),
        ("settlement-v1", "Settlement Saint-Aubin.docx", "jana", docx(SETTLEMENT)),
        ("contract-v1", "OR-2026-014 Supply Contract v1.docx", "jana", contract("5 %", retention, "Czech law, courts of Prague.")),
        ("contract-v2", "OR-2026-014 Supply Contract v2.docx", "jana", contract("5 %", retention, "French law, Tribunal of Saint-Aubin.")),
        ("contract-v3", "OR-2026-014 Supply Contract v3.docx", "jana", contract("5 %", guarantee, swiss)),
        ("contract-signed", "OR-2026-014 Supply Contract signed.pdf", "jana", pdf(&CONTRACT.replace("CAP", "5 %").replace("SECURITY", guarantee).replace("LAW", swiss).replace("# ", ""))),
        ("notice-eml", "Verzugsanzeige Getriebe 2.eml", "jana", NOTICE_MAIL.into()),
        ("delivery-notice", "Notice of delivery crane 2 DRAFT.docx", "lenka", docx(DELIVERY_NOTICE)),
        ("price-list", "Aubin price list.xlsx", "lenka", xlsx("Prices", PRICES)),
        ("price-list-copy", "Prices attached to PO 4500-1188.xlsx", "lenka", xlsx("Prices", PRICES)),
        ("steel-csv", "steel_26_weeks.csv", "lenka", steel_table()),
        ("steel-chart", "steel_26_weeks.png", "lenka", picture::curves("STEEL EUR/T 26 WEEKS", &[&steel_prices()])),
        ("knee-chart", "knee_utilisation.png", "tomas", picture::bars("KNEE UTILISATION %", 3, &[("38M-14", 87), ("41M-14", 94), ("41M-16", 86), ("LIMIT", 90)])),
        ("alarm-wav", "wind-alarm.wav", "noa", alarm_sound()),
        ("inspection-report", "検査報告書 QA-2026-031.txt", "yuki", INSPECTION.into()),
        ("inspection-ics", "fatigue-inspection.ics", "tomas", CALENDAR.into()),
        ("panel-strings", "panel-strings.csv", "noa", PANEL_STRINGS.into()),
        ("panel-mock", "panel-mock.html", "noa", PANEL_MOCK.into()),
        ("panel-svg", "panel-main-page.svg", "noa", PANEL_SVG.into()),
        ("budget", "Budget 2026.xlsx", "priya", xlsx("2026", BUDGET)),
        ("conduct", "Code of Conduct.pdf", "klara", pdf(CONDUCT)),
        // The name holds a bidi override: a careless page shows it as one that ends in ".pdf".
        ("phishing", "gift_cards\u{202e}fdp.eml", "ondrej", PHISHING.into()),
        ("canteen", "Speiseplan jídelní lístek KW3.txt", "tomas", "Po  Svíčková, knedlík\r\nÚt  Čočka na kyselo\r\nSt  Překvapení šéfkuchaře\r\nČt  Guláš\r\nPá  Ryba, brambory\r\n".into()),
        ("fair-leaflet", "チラシ_STS-50.html", "kenji", LEAFLET.into()),
        ("contacts", "名刺一覧.csv", "mei", CONTACTS.into()),
        ("cleanup-setting", "Screenshot cleanup off.png", "ondrej", picture::bars("AUTO CLEAN-UP: OFF 10:12", 2, &[("KEEP", 100), ("DELETE", 0)])),
        ("empty-notes", "notes.txt", "tomas", Vec::new()),
        ("final-offer", "Viktor's \"final\" offer; <b>rm -rf</b> & co %00 ..\\..\\price.txt", "viktor", "Spare parts, 24 months: 380,000 EUR, less what we owe them anyway.\n".into()),
    ].into_iter().map(|(key, name, user, bytes)| (key, name.to_owned(), user, bytes)).collect::<Vec<_>>();
    let long_name = format!("Kran im Morgenlicht {}.png", "– 夜明けのクレーン – رافعة عند الفجر ".repeat(6).trim());
    files.push(("contest", long_name, "yuki", picture::crane_at_dusk()));
    files
}

/// All files, with comments; channels and creation times follow from the messages that share them.
pub(super) fn files() -> Vec<SeedFile> {
    contents()
        .into_iter()
        .map(|(key, name, user, bytes)| SeedFile {
            key: key.to_owned(),
            name,
            user: people::email(user).unwrap_or_default().to_owned(),
            content: Content::Bytes(bytes),
            comments: COMMENTS
                .iter()
                .filter(|comment| comment.0 == key)
                .map(|&(_, who, time, text)| SeedComment {
                    user: people::email(who).unwrap_or_default().to_owned(),
                    text: text.to_owned(),
                    created: script::moment_of(time).unwrap_or_default(),
                })
                .collect(),
            ..SeedFile::default()
        })
        .collect()
}
