// Looks at what the access log has of what a reader saw: of each view one entry, with the numbers of the records that
// stood on the page and no others; of what a browser only guesses none. Then the disk of the log is full, and nothing is
// shown until there is room again.
//
//   node logged.mjs BINARY
//
// Crawls a sandbox with a channel of its own. Needs sqlite3, and to be let mount a small disk that only the server sees
// (unshare -rm). Prints what failed and a line of counts; exits 1 when a claim failed.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { claim, claimGuarded, holds, launch, openContext, signIn, unless } from "./claims.mjs";
import { PASSWORD, archiveIn, startSandbox, stop } from "./sandbox.mjs";

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node logged.mjs BINARY");
  process.exit(2);
}
const CRAWL = ["crawl", "--quiet", "--rate", "unlimited"];
// What stands in one message alone: none of these is part of another.
const mark = (number) => `mark ${number} of the quay`;
const DISK = "16m";
const DAY_S = 24 * 60 * 60;

function ask(file, sql) {
  const said = execFileSync("sqlite3", ["-bail", "-json", file], { input: sql, encoding: "utf8" });
  return said.trim() ? JSON.parse(said) : [];
}

// How many entries the access log has.
const entries = (log) => ask(log, "SELECT count(*) AS count FROM entry")[0].count;

async function crawl(archive, { control, username }) {
  const { channel } = await control("create", { user: username, name: "quay" });
  const said = [];
  // At noon of a day that is over.
  const noon = (Math.floor(Date.now() / 1000 / DAY_S) - 2) * DAY_S + DAY_S / 2;
  for (let number = 0; number < 9; number += 1) {
    const text = `${mark(number)}: ${number % 4 === 0 ? "a heron" : "a gull"}`;
    said.push((await control("post", { channel, user: username, text, at: noon + number })).ts);
  }
  const bytes = Buffer.from("what lies in the file of the quay");
  const { file } = await control("upload", { channel, user: username, name: "quay.txt", base64: bytes.toString("base64") });
  await archive.run(CRAWL);
  await control("edit", { channel, ts: said[3], text: `${mark(33)}: a gull, said otherwise` });
  await control("delete", { channel, ts: said[5] });
  await archive.run([...CRAWL, "--full", "--channel", channel]);
  return { channel, person: username, file, bytes, day: new Date(noon * 1000).toISOString().slice(0, 10) };
}

async function archived(folder) {
  await mkdir(folder);
  const archive = archiveIn(binary, folder);
  const sandbox = await startSandbox(binary, "--generate", "40");
  await archive.enrol(sandbox.url, sandbox);
  const known = await crawl(archive, sandbox).finally(() => stop(sandbox.child));
  await archive.admit("reader", "auditor");
  return { archive, known };
}

// The record of each text that is ours, from the bytes of all records.
async function readTexts(page, origin) {
  const texts = new Map();
  for (let record = 0; ; record += 1) {
    const answer = await page.request.get(`${origin}/r/${record}/raw.json`);
    if (answer.status() === 404 && !(await page.request.get(`${origin}/r/${record}`)).ok()) return texts;
    const [text] = /mark [0-9]+ of the quay/.exec(answer.ok() ? await answer.text() : "") ?? [];
    if (text) texts.set(text, record);
  }
}

// The numbers of an entry's list: `4,7-9`.
const numbers = (list = "") =>
  list.split(",").filter(Boolean).flatMap((stretch) => {
    const [first, last = first] = stretch.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, place) => first + place);
  });

// An entry, as its own page shows what is stored of it.
async function readEntry(page, origin, number) {
  await page.goto(`${origin}/access/${number}`);
  const [header, body] = (await page.locator("section:has(#stored) pre").textContent()).split("\n");
  return { ...JSON.parse(header), ...JSON.parse(body) };
}

// Each kind of page that shows contents: its address, what its entry must say, how many of our texts stand there at
// least. One that is saved is no page.
const views = ({ channel, person, file, bytes, day, texts, exhibit }) => {
  const [room, record] = [`/c/${encodeURIComponent(channel)}`, String(texts.get(mark(3)))];
  const [content, all] = [createHash("sha256").update(bytes).digest("hex"), texts.size];
  return [
    { at: room, says: { page: "timeline", channel }, least: all },
    { at: `${room}?date=${day}&n=5`, says: { page: "timeline", channel, place: `date=${day} n=5` }, least: 5 },
    { at: `${room}/day/${day}`, says: { page: "day", channel, place: `date=${day}` }, least: all },
    { at: "/search?q=heron&kind=messages", says: { page: "search", query: "heron", place: "kind=messages", hits: 3 }, least: 3 },
    { at: `/r/${record}`, says: { page: "record", record }, least: 2 },
    { at: `/r/${record}/raw.json`, says: { page: "raw", record }, isSaved: true },
    { at: `/people/${encodeURIComponent(person)}`, says: { page: "person", person }, least: 0 },
    { at: `/f/${encodeURIComponent(file)}`, says: { page: "file", file }, least: 0 },
    { at: `/f/${encodeURIComponent(file)}/text`, says: { page: "text", file }, least: 0 },
    { at: `/f/${encodeURIComponent(file)}/blob`, says: { page: "blob", file, content }, isSaved: true },
    { at: exhibit, says: { page: "exhibit", place: `n=${exhibit.split("/").at(-1)}` }, least: 1 },
    { at: `${exhibit}/exhibit.html`, says: { page: "exhibit file", action: "exhibit" }, isSaved: true },
  ];
};

// Opens an address, or saves what lies there.
async function open(page, { at, isSaved }, origin) {
  if (!isSaved) return page.goto(origin + at, { waitUntil: "load" });
  const saved = page.waitForEvent("download");
  await page.goto(origin + at).catch((error) => {
    if (!/Download is starting|ERR_ABORTED/.test(String(error))) throw error;
  });
  return saved;
}

// Runs in the page: what it says, and what each version says, in which what was changed stands beside what it was.
function readMain() {
  return ["ins", "del"].map((which) => {
    const main = document.querySelector("main").cloneNode(true);
    for (const other of main.querySelectorAll(`${which}, small`)) other.remove();
    return main.textContent;
  }).join("\n");
}

async function claimLogged(page, origin, log, known) {
  const first = entries(log);
  const all = views(known);
  for (const view of all) {
    const { at, says, least } = view;
    const before = entries(log);
    await open(page, view, origin);
    const text = view.isSaved ? "" : await page.evaluate(readMain);
    const added = entries(log) - before;
    claim(at, "has one entry of its view", unless(added === 1, `${added} entries`));
    const entry = await readEntry(page, origin, before);
    const due = { action: "view", user: "reader", status: 200, ...says };
    claim(at, "its entry says who was shown what", Object.entries(due).filter(([name, value]) => entry[name] !== value).map(([name, value]) => `${name} is not ${value}: ${JSON.stringify(entry)}`));
    if (view.isSaved) continue;
    const shown = new Set(numbers(entry.shown));
    const stand = [...known.texts].filter(([one]) => text.includes(one)).map(([, record]) => record);
    const ours = [...known.texts.values()].filter((record) => shown.has(record));
    claim(at, "its entry names the records whose texts stand on the page, and no other", unless(ours.join() === stand.join() && stand.length >= least, `named: ${ours}; on the page: ${stand}; ${JSON.stringify(entry)}`));
  }
  // What a page asked for after it was loaded would have come by now.
  const added = entries(log) - first;
  claim("the access log", "has an entry of each view, and of each entry that was looked at", unless(added === 2 * all.length, `${added} entries of ${all.length} views`));
}

// A browser that fetches what may be asked for next, as another page than ours would tell it to: ours forbid that.
async function claimUnguessed(browser, origin, log, storageState, { channel, person, texts }) {
  const context = await browser.newContext({ storageState, bypassCSP: true });
  const page = await context.newPage();
  await page.goto(`${origin}/c`);
  const before = entries(log);
  for (const [kind, at] of [["a link", `/r/${texts.get(mark(0))}`], ["prefetch", `/c/${encodeURIComponent(channel)}`], ["prerender", `/people/${encodeURIComponent(person)}`]]) {
    const answer = page.context().waitForEvent("response", { predicate: (response) => response.url() === origin + at, timeout: 5000 }).catch(() => null);
    await page.evaluate(
      ([kind, at]) => {
        const isLink = kind === "a link";
        const made = document.createElement(isLink ? "link" : "script");
        if (isLink) Object.assign(made, { rel: "prefetch", href: at });
        else Object.assign(made, { type: "speculationrules", text: JSON.stringify({ [kind]: [{ urls: [at], eagerness: "immediate" }] }) });
        document.head.append(made);
      },
      [kind, at],
    );
    const response = await answer;
    const purpose = await response?.request().headerValue("sec-purpose");
    claim("a guess of the browser", `by ${kind} is refused`, unless(response?.status() === 503 && purpose?.includes("prefetch"), `status ${response?.status()}, purpose ${purpose}`));
  }
  const added = entries(log) - before;
  claim("a guess of the browser", "has no entry", unless(added === 0, `${added} entries`));
  await context.close();
}

// What the server itself fails at says no more than where to ask.
async function claimReserved(page, origin, log, heardOfServer) {
  ask(log, "ALTER TABLE session RENAME TO gone");
  const failed = await page.goto(`${origin}/c`);
  const text = await page.locator("body").innerText();
  const reference = await failed.headerValue("x-request-id");
  claim("a fault of the server", "is a page that says where to ask, and no more", unless(failed.status() === 500 && text.includes(reference) && !/session|table|sql|gone/i.test(text), `${failed.status()}: ${text}`));
  claim("a fault of the server", "is told the operator, under the same reference", unless(heardOfServer.join("").includes(reference), heardOfServer.join("")));
  ask(log, "ALTER TABLE gone RENAME TO session");
}

// The program, with a disk of its own in the place of the archive, onto which that is copied. It goes when the program
// ends; from outside it is seen through the process.
async function onSmallDisk(folder, base) {
  await mkdir(path.join(folder, "archive"), { recursive: true });
  const program = path.join(folder, "program");
  const inside = `mount -t tmpfs -o size=${DISK} none "$1" && cp -a "$2/." "$1" && shift 2 && exec "$@"`;
  await writeFile(program, `#!/bin/sh\nexec unshare -rm sh -c '${inside}' sh '${path.join(folder, "archive")}' '${base}/archive' '${binary}' "$@"\n`, { mode: 0o755 });
  return archiveIn(program, folder, { TEAMCHAT_ARCHIVE_KEYS_DIR: path.join(base, "keys") });
}

async function claimClosed(browser, folder, base, storageState, known) {
  const heardOfServer = [];
  const served = await (await onSmallDisk(folder, base)).serve([], heardOfServer);
  const { origin } = served;
  const disk = path.join("/proc", String(served.child.pid), "root", folder, "archive");
  const { context, heard } = await openContext(browser, origin, { storageState });
  const page = await context.newPage();
  const last = async () => Number(/Entry in the access log: ([0-9,]+)/.exec(await page.locator("body").innerText())?.[1].replaceAll(",", ""));
  try {
    await page.goto(`${origin}/c`);
    const before = await last();
    const { bavail, bsize } = await statfs(disk);
    await writeFile(path.join(disk, "filler"), Buffer.alloc(bavail * bsize));
    const { bavail: room } = await statfs(disk);
    claim("a full disk", "has no room", unless(room === 0, `${room} blocks`));
    for (const { at } of views(known)) {
      const response = await page.goto(origin + at).catch((error) => error);
      const status = response.status?.();
      const text = status ? await page.locator("body").innerText() : String(response);
      const isBare = !/mark [0-9]+ of the quay|what lies in the file/.test(text) && (await page.locator("[id^=m]:not(main)").count()) === 0;
      claim(`${at} with a full disk`, "is not shown: 503", unless(status === 503 && /access log/.test(text) && isBare && (await page.locator("h1").count()) === 1, `${status}: ${text.slice(0, 400)}`));
    }
    const stranger = await openContext(browser, origin);
    const door = await stranger.context.newPage();
    claim("a full disk", "lets nobody in unseen", unless(!(await signIn(door, origin, "reader", PASSWORD).catch(() => false)) && (await stranger.context.cookies()).length === 0, door.url()));
    await stranger.context.close();
    claim("a full disk", "the operator is told why", unless(/access log can't be written/.test(heardOfServer.join("")), heardOfServer.join("")));

    await rm(path.join(disk, "filler"));
    for (const [place, view] of views(known).filter(({ isSaved }) => !isSaved).entries()) {
      const response = await open(page, view, origin);
      const number = await last();
      claim(`${view.at} with room again`, "is shown, and what was not shown has no entry", unless(response.status() === 200 && number === before + 1 + place, `status ${response.status()}, entry ${number} after ${before}`));
    }
    claim("a full disk", "nothing is refused, nothing on the console, nothing asked elsewhere", [...heard.refused, ...heard.console.filter((text) => !/status of 503/.test(text)), ...heard.foreign]);
    claimGuarded(heard, "the pages with a full disk");
  } finally {
    await context.close();
    await stop(served.child);
  }
}

async function claimEntries(browser, archive, log, known) {
  const heardOfServer = [];
  const served = await archive.serve([], heardOfServer);
  try {
    const { origin } = served;
    const { context, heard } = await openContext(browser, origin, { acceptDownloads: true });
    const page = await context.newPage();
    claim("/login", "lets the reader in", unless(await signIn(page, origin, "reader", PASSWORD), page.url()));
    known.texts = await readTexts(page, origin);
    claim("the archive", "has our texts, each in a record", unless(known.texts.size === 10, [...known.texts].join("; ")));
    await page.goto(`${origin}/search?q=heron&kind=messages`);
    await page.locator("input[name=record]").first().check();
    await Promise.all([page.waitForURL(/\/exhibits\/[0-9]+$/), page.locator("form#pick button").first().click()]);
    known.exhibit = new URL(page.url()).pathname;
    await claimLogged(page, origin, log, known);
    const storageState = await context.storageState();
    await claimUnguessed(browser, origin, log, storageState, known);
    await claimReserved(page, origin, log, heardOfServer);
    claim("all pages", "nothing is refused, nothing on the console, nothing asked elsewhere", [...heard.refused, ...heard.console.filter((text) => !/status of 500/.test(text)), ...heard.foreign]);
    claimGuarded(heard);
    await context.close();
    return storageState;
  } finally {
    await stop(served.child);
  }
}

async function main(folder) {
  const base = path.join(folder, "base");
  const { archive, known } = await archived(base);
  const browser = await launch();
  try {
    const storageState = await claimEntries(browser, archive, path.join(base, "archive", "access.db"), known);
    await claimClosed(browser, path.join(folder, "small"), base, storageState, known);
  } finally {
    await browser.close();
  }
}

await holds(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "logged-"));
  try {
    await main(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
});
