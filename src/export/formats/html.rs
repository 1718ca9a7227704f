//! Pages for people: `index.html`, a page for each stretch of a conversation on one day under
//! `conversations/`, the files under `files/`. A page needs nothing but itself and, for pictures, the file
//! beside it: no script, nothing from anywhere else. A browser reads it offline and prints it.
//!
//! A page names the one before it and the one after it. The one after it is known when it comes: until then
//! the page is a file that grows, and gets its end then. The index is put together from two lists that grow
//! beside the set.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Format;
use super::pages::words::{count, seqs};
use super::pages::{self, Contents, Given};
use crate::export::Error;
use crate::export::markup::{escape, path_href, visible};
use crate::export::out::Out;
use crate::export::paths::{ending, safe};
use crate::export::unit::{Unit, Version};

/// Larger pictures are links alone.
const LARGEST_PICTURE: u64 = 4 << 20;

/// Rows of the table of conversations, and their days, until the index is made of them.
const ROWS: &str = "conversations";
const DAYS: &str = "days";

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Html {
    /// The conversation that is being written.
    open: Option<Open>,
    conversations: u64,
    pages: u64,
    messages: u64,
    files: u64,
    records: u64,
}

/// A conversation of which pages were written in this volume.
#[derive(Debug, Serialize, Deserialize)]
struct Open {
    id: String,
    name: String,
    /// Who is in it, where it is a direct one.
    direct: String,
    /// What it was called later.
    later: Vec<String>,
    folder: String,
    first: String,
    last: String,
    /// The page that waits for its end: its file name, and what it is called.
    page: String,
    label: String,
    /// The page before that.
    before: Option<(String, String)>,
    pages: u64,
    messages: u64,
    files: u64,
    records: u64,
}

impl Format for Html {
    fn begin(&mut self, _out: &mut Out<'_>) -> Result<(), Error> {
        // What a volume holds stands in its own index, and no page leads into another volume.
        *self = Self::default();
        Ok(())
    }

    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        let part = if unit.part > 1 { format!("-{}", unit.part) } else { String::new() };
        let page = format!("{}{part}.html", unit.day);
        let label = if unit.part > 1 { format!("{}, part {}", unit.day, unit.part) } else { unit.day.to_string() };
        if self.open.as_ref().is_some_and(|open| open.id == unit.conversation.id.as_str()) {
            self.end_page(Some((&page, &label)), out)?;
        } else {
            self.end_conversation(out)?;
            self.begin_conversation(unit, out)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        if !open.page.is_empty() {
            open.before = Some((std::mem::take(&mut open.page), std::mem::take(&mut open.label)));
        }
        (open.page, open.label) = (page, label);
        open.last = unit.day.to_string();
        let name = visible(&unit.conversation.name);
        if *open.later.last().unwrap_or(&open.name) != name {
            open.later.push(name);
        }
        let messages = unit.entries.iter().filter(|entry| entry.message.is_some()).count() as u64;
        let files = unit.entries.iter().map(|entry| entry.files.len() as u64).sum::<u64>();
        let records = seqs(unit).len() as u64;
        for (sum, more) in [
            (&mut open.pages, 1),
            (&mut open.messages, messages),
            (&mut open.files, files),
            (&mut open.records, records),
            (&mut self.pages, 1),
            (&mut self.messages, messages),
            (&mut self.files, files),
            (&mut self.records, records),
        ] {
            *sum += more;
        }
        let folder = open.folder.clone();
        let path = format!("conversations/{folder}/{}", open.page);
        let row = format!(
            "<li><a href=\"{}\">{}</a> <span>{}</span></li>\n",
            path_href(&path),
            open.label,
            if messages > 0 { count(messages, "message") } else { count(records, "record") }
        );
        list(DAYS, &row, out)?;

        let contents = copy_files(unit, &folder, out)?;
        let before = self.open.as_ref().and_then(|open| open.before.as_ref());
        let before = before
            .map(|(page, label)| format!(" \u{00b7} before: <a href=\"{}\" rel=\"prev\">{label}</a>", path_href(page)))
            .unwrap_or_default();
        let crumbs = format!("<p class=\"crumbs\"><a href=\"../../index.html\">All conversations</a>{before}</p>\n");
        out.append(&path, pages::head(out.set, unit, &crumbs).as_bytes())?;
        let set = out.set;
        pages::body(set, unit, &contents, |html| out.append(&path, html.as_bytes()))?;
        pages::account(unit, &contents, out)
    }

    fn end(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        self.end_conversation(out)?;
        self.index(out)
    }

    fn state(&self) -> Value {
        json!(self)
    }

    fn resume(&mut self, state: &Value) {
        *self = serde_json::from_value(state.clone()).unwrap_or_default();
    }

    fn growth(&self) -> (u64, u64) {
        (4, 1)
    }
}

impl Html {
    fn begin_conversation(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        self.conversations += 1;
        let conversation = &unit.conversation;
        let name = visible(&conversation.name);
        let time = unit.entries.first().map_or(out.set.made_at, |entry| entry.time);
        let members = conversation.members.iter().map(|id| escape(&visible(out.set.names.name(id, time))));
        let direct = if conversation.is_direct {
            format!(
                " <span class=\"id less\">direct conversation of <bdi>{}</bdi></span>",
                members.collect::<Vec<_>>().join("</bdi> and <bdi>")
            )
        } else {
            String::new()
        };
        let section = format!(
            "<section id=\"c{}\">\n<h2><bdi>{}</bdi>{direct}</h2>\n<ul class=\"days\">\n",
            self.conversations,
            escape(&name)
        );
        list(DAYS, &section, out)?;
        self.open = Some(Open {
            id: conversation.id.to_string(),
            name,
            direct: direct.clone(),
            later: Vec::new(),
            folder: conversation.folder(),
            first: unit.day.to_string(),
            last: unit.day.to_string(),
            page: String::new(),
            label: String::new(),
            before: None,
            pages: 0,
            messages: 0,
            files: 0,
            records: 0,
        });
        Ok(())
    }

    /// Gives the page that waits its end.
    fn end_page(&self, next: Option<(&str, &str)>, out: &mut Out<'_>) -> Result<(), Error> {
        let Some(open) = &self.open else { return Ok(()) };
        let to = |arrow: &str, rel: &str, page: &str, label: &str| {
            format!("<a href=\"{}\" rel=\"{rel}\">{arrow} {label}</a>", path_href(page))
        };
        let whole = if out.volume > 0 { "volume" } else { "set" };
        let before = open.before.as_ref().map_or_else(
            || format!("<span class=\"id\">The first day in this {whole}</span>"),
            |(page, label)| to("Before:", "prev", page, label),
        );
        let after = next.map_or_else(
            || format!("<span class=\"id\">The last day in this {whole}</span>"),
            |(page, label)| to("After:", "next", page, label),
        );
        let end = format!(
            "</main>\n<nav class=\"days\" aria-label=\"Days\">{before}<a href=\"../../index.html#c{}\">All days</a>{after}</nav>\n</body>\n</html>\n",
            self.conversations
        );
        let path = format!("conversations/{}/{}", open.folder, open.page);
        out.append(&path, end.as_bytes())?;
        let path = out.path(&path);
        out.bag.grown(&path)?;
        Ok(())
    }

    fn end_conversation(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        self.end_page(None, out)?;
        let Some(open) = self.open.take() else { return Ok(()) };
        let mut name = format!("<a href=\"#c{}\"><bdi>{}</bdi></a>", self.conversations, escape(&open.name));
        for later in &open.later {
            name.push_str(&format!(", later <bdi>{}</bdi>", escape(later)));
        }
        name.push_str(&open.direct);
        let days = if open.first == open.last {
            open.first.clone()
        } else {
            format!("<span class=\"day\">{}</span> to <span class=\"day\">{}</span>", open.first, open.last)
        };
        let row = format!(
            "<tr><td>{name}</td><td>{days}</td><td class=\"number less\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number less\">{}</td></tr>\n",
            open.pages, open.messages, open.files, open.records
        );
        list(ROWS, &row, out)?;
        list(
            DAYS,
            &format!("</ul>\n<p class=\"note\">Id <bdi>{}</bdi></p>\n</section>\n", escape(&visible(&open.id))),
            out,
        )
    }

    fn index(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let set = out.set;
        let (request, zone) = (set.request, set.request.zone);
        let archive = set.reader.archive();
        let title = "Archived conversations";
        let mut file = out.create("index.html")?;
        let mut head = pages::begin(
            title,
            "@page{margin:2cm 1.6cm;@bottom-right{content:counter(page) \" / \" counter(pages);font:8pt sans-serif}}\n",
        );
        head.push_str(&format!(
            "<header>\n<h1>{}</h1>\n<p>A set of conversations out of an archive, for reading and printing. Every page stands by itself: \
             it runs nothing and loads nothing from elsewhere. What is in this set can be checked with the files beside data/: \
             README.txt says how.</p>\n<dl class=\"facts\">\n",
            escape(title)
        ));
        let mut fact = |what: &str, text: &str| {
            head.push_str(&format!("<dt>{what}</dt><dd>{}</dd>\n", escape(&visible(text))));
        };
        fact("Server", &archive.server);
        fact("Scope", &request.in_words());
        fact("Versions", if request.versions.as_str() == "all" { "all, with every deletion" } else { "what stands" });
        fact("Zone", &format!("{}: days begin and times are written there", zone.name()));
        fact("Made at", &zone.full_text(set.made_at));
        fact("Archive", &archive.id.to_string());
        fact("Checkpoint", &format!("the first {} records, as signed", set.size));
        if out.volume > 0 {
            fact("Volume", &out.volume_name());
        }
        fact(
            "In it",
            &format!(
                "{}, {}, {}, {}, {}",
                count(self.conversations, "conversation"),
                count(self.pages, "page"),
                count(self.messages, "message"),
                count(self.files, "file"),
                count(self.records, "record")
            ),
        );
        head.push_str(
            "</dl>\n</header>\n<main>\n<div class=\"wide\"><table class=\"list\">\n<thead><tr><th scope=\"col\">Conversation</th><th scope=\"col\">Days</th>\
             <th scope=\"col\" class=\"number less\">Pages</th><th scope=\"col\" class=\"number\">Messages</th><th scope=\"col\" class=\"number\">Files</th>\
             <th scope=\"col\" class=\"number less\">Records</th></tr></thead>\n<tbody>\n",
        );
        file.write_all(head.as_bytes()).map_err(file.error())?;
        for (name, after) in [(ROWS, "</tbody>\n</table></div>\n"), (DAYS, "</main>\n</body>\n</html>\n")] {
            let path = list_path(name, out.volume);
            if out.bag.grown(&path)?.is_some() {
                let place = out.bag.folder().join(&path);
                let mut rows = fs_err::File::open(&place).map_err(Error::file("read", &place))?;
                let mut piece = vec![0; 1 << 16];
                loop {
                    let read = rows.read(&mut piece).map_err(Error::file("read", &place))?;
                    if read == 0 {
                        break;
                    }
                    file.write_all(&piece[..read]).map_err(file.error())?;
                }
            }
            file.write_all(after.as_bytes()).map_err(file.error())?;
        }
        out.bag.list(file)?;
        Ok(())
    }
}

/// Adds to a list beside the set.
fn list(name: &str, text: &str, out: &mut Out<'_>) -> Result<(), Error> {
    let file = out.bag.growing(&list_path(name, out.volume))?;
    file.write_all(text.as_bytes()).map_err(file.error())
}

fn list_path(name: &str, volume: u32) -> String {
    format!("work/html-{name}-{volume}")
}

/// Copies the files of a unit into the set; where each lies is said as a page of the conversation has it.
fn copy_files(unit: &Unit, folder: &str, out: &mut Out<'_>) -> Result<Contents, Error> {
    let mut contents = HashMap::new();
    for family in unit.entries.iter().flat_map(|entry| &entry.files) {
        for version in &family.file.versions {
            let relative = format!("files/{folder}/{}-{}", version.seq, safe(family.name(version)));
            let content = out.copy_content(&relative, version)?;
            let is_picture = is_picture(family.name(version), version);
            let place = path_href(&format!("../../{relative}"));
            contents.insert(version.seq, Given { content, place, is_link: true, is_picture });
        }
    }
    Ok(contents)
}

/// Whether a version is shown on its page.
fn is_picture(name: &str, version: &Version) -> bool {
    version.blob.as_ref().is_some_and(|blob| blob.size <= LARGEST_PICTURE)
        && matches!(ending(name).as_str(), ".png" | ".jpg" | ".jpeg" | ".gif" | ".webp" | ".bmp")
}
