//! What was in scope and what became of it, side by side, for each custodian, conversation and day.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::accounts::{Accounts, Counts};
use super::census::Census;
use super::names::Names;
use super::table::line;
use super::unit::Cell;
use crate::model::Zone;

/// A line: what the census counted, and the outcomes.
struct Line {
    cell: Cell,
    in_scope: u64,
    counts: Counts,
}

impl Line {
    fn difference(&self) -> i128 {
        i128::from(self.in_scope) - self.counts.iter().map(|count| i128::from(*count)).sum::<i128>()
    }
}

/// The reconciliation of a set.
pub(super) struct Reconciliation {
    lines: Vec<Line>,
}

impl Reconciliation {
    /// Puts both counts side by side.
    pub(super) fn new(census: &Census, accounts: &Accounts) -> Self {
        let mut lines: BTreeMap<Cell, (u64, Counts)> = BTreeMap::new();
        for (cell, count) in census.cells() {
            lines.entry(cell).or_default().0 = count;
        }
        for (cell, counts) in accounts.by_cell() {
            lines.entry(cell.clone()).or_default().1 = counts;
        }
        let lines = lines.into_iter().map(|(cell, (in_scope, counts))| Line { cell, in_scope, counts }).collect();
        Self { lines }
    }

    /// Whether nothing is missing and nothing is too much, in any line.
    pub(super) fn is_balanced(&self) -> bool {
        self.lines.iter().all(|line| line.difference() == 0)
    }

    /// `RECONCILIATION.csv`.
    pub(super) fn csv(&self, names: &Names, zone: Zone) -> String {
        let mut out = line(&[
            "custodian",
            "custodian_name",
            "conversation",
            "conversation_name",
            "day",
            "zone",
            "in_scope",
            "produced",
            "withheld",
            "not_carried",
            "exceptions",
            "difference",
        ]);
        for row in &self.lines {
            let start = zone.start_of_day(row.cell.day);
            let mut fields = vec![
                row.cell.custodian.to_string(),
                names.name(&row.cell.custodian, start).to_owned(),
                row.cell.conversation.to_string(),
                names.conversation_name(&row.cell.conversation, start),
                row.cell.day.to_string(),
                zone.name().to_owned(),
                row.in_scope.to_string(),
            ];
            fields.extend(row.counts.iter().map(u64::to_string));
            let difference = row.difference();
            // A minus at the beginning of a field is no formula here: the column holds numbers only.
            let last = difference.to_string();
            let mut text = line(&fields.iter().map(String::as_str).collect::<Vec<_>>());
            text.truncate(text.len() - 2);
            let _ok = write!(out, "{text},{last}\r\n");
        }
        out
    }

    /// `RECONCILIATION.html`: the totals, every line with a difference, and then a line a conversation.
    pub(super) fn html(&self, names: &Names, zone: Zone, title: &str) -> String {
        let mut total = (0_u64, Counts::default());
        let mut conversations: BTreeMap<&str, (u64, Counts, &Cell)> = BTreeMap::new();
        for row in &self.lines {
            total.0 += row.in_scope;
            let entry = conversations
                .entry(row.cell.conversation.as_str())
                .or_insert_with(|| (0, Counts::default(), &row.cell));
            entry.0 += row.in_scope;
            for place in 0..row.counts.len() {
                total.1[place] += row.counts[place];
                entry.1[place] += row.counts[place];
            }
        }
        let mut out = String::from(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n",
        );
        let _ok = write!(
            out,
            "<title>Reconciliation</title>\n<style>{STYLE}</style>\n<h1>Reconciliation</h1>\n<p>{}</p>\n<p>Records in scope, counted in the log, and what became of each in this set. \
             Every line, by custodian, conversation and day ({}), is in RECONCILIATION.csv.</p>\n",
            escaped(title),
            escaped(zone.name())
        );
        let verdict = if self.is_balanced() {
            "<p class=\"good\">In scope = produced + withheld + not carried by the format + exceptions, in every line.</p>\n"
        } else {
            "<p class=\"bad\">The counts differ. The lines that do are below.</p>\n"
        };
        out.push_str(verdict);
        let wrong: Vec<&Line> = self.lines.iter().filter(|line| line.difference() != 0).collect();
        if !wrong.is_empty() {
            out.push_str("<h2>Differences</h2>\n");
            table(
                &mut out,
                "Custodian, conversation, day",
                wrong.iter().map(|row| {
                    let start = zone.start_of_day(row.cell.day);
                    let name = format!(
                        "{}, {}, {}",
                        names.name(&row.cell.custodian, start),
                        names.conversation_name(&row.cell.conversation, start),
                        row.cell.day
                    );
                    (name, row.in_scope, row.counts)
                }),
                None,
            );
        }
        out.push_str("<h2>By conversation</h2>\n");
        let rows = conversations.values().map(|(in_scope, counts, cell)| {
            (names.conversation_name(&cell.conversation, zone.start_of_day(cell.day)), *in_scope, *counts)
        });
        table(&mut out, "Conversation", rows, Some(("All".to_owned(), total.0, total.1)));
        out.push_str("</html>\n");
        out
    }
}

/// What a row is of, how much is in scope, and the outcomes.
type Row = (String, u64, Counts);

fn table(out: &mut String, first: &str, rows: impl Iterator<Item = Row>, sum: Option<Row>) {
    let _ok = write!(
        out,
        "<div><table><thead><tr><th scope=\"col\">{}<th scope=\"col\">In scope<th scope=\"col\">Produced<th scope=\"col\">Withheld\
         <th scope=\"col\">Not carried<th scope=\"col\">Exceptions<th scope=\"col\">Difference</tr></thead>\n<tbody>\n",
        escaped(first)
    );
    rows.for_each(|row| table_row(out, row));
    if let Some(sum) = sum {
        out.push_str("</tbody><tfoot>\n");
        table_row(out, sum);
        out.push_str("</tfoot></table></div>\n");
    } else {
        out.push_str("</tbody></table></div>\n");
    }
}

fn table_row(out: &mut String, (name, in_scope, counts): Row) {
    let difference = i128::from(in_scope) - counts.iter().map(|count| i128::from(*count)).sum::<i128>();
    let _ok = write!(out, "<tr><th scope=\"row\" dir=\"auto\">{}<td>{in_scope}", escaped(&name));
    for count in counts {
        let _ok = write!(out, "<td>{count}");
    }
    let class = if difference == 0 { "" } else { " class=\"bad\"" };
    let _ok = writeln!(out, "<td{class}>{difference}</tr>");
}

/// A text in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}p,th{overflow-wrap:anywhere}div{overflow-x:auto}table{border-collapse:collapse;width:100%}\
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #d8dde3;font-variant-numeric:tabular-nums;vertical-align:baseline}\
th:first-child{text-align:start;padding-left:0}td:last-child,thead th:last-child{padding-right:0}\
thead th{border-bottom-width:2px;vertical-align:bottom}tbody th{font-weight:400}tfoot th,tfoot td{font-weight:600;border-bottom:0;border-top:2px solid #d8dde3}\
.good{color:#0b6b34}.bad{color:#a4161a;font-weight:600}.good,p.bad{border-inline-start:3px solid;padding-inline-start:.7rem}\
@media(max-width:40rem){body{margin:1rem auto}th,td{padding:.3rem .35rem}thead th:not(:first-child){writing-mode:vertical-rl;text-align:end;padding:.3rem .1rem}}\
@media(prefers-color-scheme:dark){body{color:#e6e9ed;background:#15181c}th,td,tfoot th,tfoot td{border-color:#343a41}.good{color:#6fd08c}.bad{color:#ff8a80}}\
@media print{:root{color-scheme:light}body{margin:0;max-width:none;font-size:10pt;color:#000;background:#fff}.good,.bad{color:#000}tr{break-inside:avoid}div{overflow:visible}}\
@page{margin:2cm 1.6cm}";
