// Looks at an archive in which something is missing, and at one in which something is wrong.
//
//   node damaged.mjs BINARY
//
// Starts a sandbox and crawls it through a door that spoils what is asked: one channel fails from the beginning, one in
// the middle of a later walk, one is lost. Looks at how the pages say so. Then changes one byte of a record's block on
// the disk, and looks at whether the page of the check finds it.
//
// Prints what failed and a line of counts; exits 1 when a claim failed.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { NARROW, WIDE, checkHtml, claim, claimGuarded, holds, launch, look, openContext, signIn, unless } from "./claims.mjs";
import { clockIn } from "./clock.mjs";
import { checkFocus } from "./focus.mjs";
import { PASSWORD, archiveIn, startSandbox, stop } from "./sandbox.mjs";

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node damaged.mjs BINARY");
  process.exit(2);
}
const DAY_S = 24 * 60 * 60;
// Days before this one.
const FIRST_WALK = 9;
const TODAY_MS = Date.now();
// What the command says of an archive with gaps, and of one that is damaged.
const INCOMPLETE = 4;
const DAMAGED = 3;
// How a block begins, which is packed with zstd, and how far behind that its contents are surely reached.
const FRAME = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const INTO_FRAME = 40;
const seen = [];

// A door before a sandbox: `spoils` may change what is asked, or give an error in the place of an answer.
async function openDoor(url, spoils) {
  const behind = new URL(url);
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const asked = new URLSearchParams(Buffer.concat(chunks).toString());
    const place = new URL(request.url, url);
    const error = spoils(path.basename(place.pathname), asked);
    if (error) return response.end(JSON.stringify({ ok: false, error }));
    const body = request.method === "POST" ? asked.toString() : undefined;
    const answer = await fetch(place, { method: request.method, body, headers: { "content-type": "application/x-www-form-urlencoded" } });
    // What leads to the sandbox leads through the door.
    const text = Buffer.from(await answer.arrayBuffer()).toString("latin1").replaceAll(behind.host, request.headers.host);
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain" });
    return response.end(text, "latin1");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { server, url: `http://127.0.0.1:${server.address().port}${behind.pathname}` };
}

async function archived(folder) {
  const sandbox = await startSandbox(binary, "--generate", "200");
  const { control, username } = sandbox;
  const make = async (name) => (await control("create", { user: username, name })).channel;
  const say = (channel, text, day, hour) => control("post", { channel, user: username, text, at: Math.floor(Date.now() / 1000) - day * DAY_S + hour * 3600 });
  const [quay, dock] = [await make("quay"), await make("dock")];
  const pier = (await sandbox.ask("channels.list")).channels.find((one) => ![quay, dock].includes(one.id)).id;
  for (let hour = 0; hour < 240; hour += 2) await say(quay, `message of hour ${hour}`, 20, hour);
  for (let hour = 0; hour < 10; hour += 1) await say(dock, `message of hour ${hour}`, 20, hour);

  // The pages of the second walk of the quay are small, and after the first one there is none.
  let pages = -1;
  const door = await openDoor(sandbox.url, (method, asked) => {
    if (method !== "channels.history") return "";
    if (asked.get("channel") === pier) return "not_allowed";
    if (asked.get("channel") !== quay || pages < 0) return "";
    pages += 1;
    asked.set("count", "10");
    return pages > 1 ? "not_allowed" : "";
  });
  // The first walk was days ago, before what was said later.
  const clock = await clockIn(folder);
  const archive = archiveIn(binary, folder, clock.env);
  await archive.enrol(door.url, sandbox);
  await clock.stopAt(new Date(TODAY_MS - FIRST_WALK * DAY_S * 1000));
  await archive.run(["crawl", "--quiet"], [INCOMPLETE]);
  await clock.pass(0);
  for (let hour = 0; hour < 60; hour += 2) await say(quay, `late message of hour ${hour}`, 5, hour);
  await control("leave", { channel: dock, user: username });
  pages = 0;
  await archive.run(["crawl", "--quiet"], [INCOMPLETE]);
  await archive.admit("reader", "auditor");
  await stop(sandbox.child);
  door.server.close();
  return archive;
}

async function enter(browser, origin) {
  const { context, heard } = await openContext(browser, origin);
  const page = await context.newPage();
  claim("/login", "lets the reader in", unless(await signIn(page, origin, "reader", PASSWORD), page.url()));
  return { page, heard };
}

// The notice of what was not captured is what one sees who asks for a day in it, among whatever else stands there.
async function landInGap(page, origin, name, daysAgo) {
  await page.goto(`${origin}/c`);
  const channel = await page.locator("main .name a").filter({ has: page.getByText(name, { exact: true }) }).first().getAttribute("href");
  const day = new Date(Date.now() - daysAgo * DAY_S * 1000).toISOString().slice(0, 10);
  const subject = `#${name}, a day in its gap`;
  seen.push(await look(page, `${origin}${channel}?date=${day}`, subject, { everyLook: true }));
  for (const size of [WIDE, NARROW]) {
    await page.setViewportSize(size);
    await page.goto(`${origin}${channel}?date=${day}`);
    const found = await page.evaluate(() => {
      const [gap, more] = document.querySelectorAll(".gap.target");
      if (!gap || more) return "there is not one gap that is meant";
      const { top, bottom } = gap.getBoundingClientRect();
      if (!/Not captured/.test(gap.innerText)) return gap.innerText;
      // All of it, and nothing lies over it.
      const middle = innerWidth / 2;
      const isFree = [top + 1, (top + bottom) / 2, bottom - 1].every((y) => gap.contains(document.elementFromPoint(middle, y)));
      return top >= 0 && bottom <= innerHeight && isFree ? "" : `it reaches from ${top} to ${bottom} of ${innerHeight}${isFree ? "" : ", and something lies over it"}`;
    });
    claim(subject, `shows the notice of it at ${size.width} px`, found ? [found] : []);
  }
  await page.setViewportSize(WIDE);
  await checkFocus(page, subject);
  return page.evaluate(() => document.querySelectorAll(".message").length);
}

async function lookAtGaps(page, origin) {
  // Of what came later, ten messages were had; before it stand a hundred and twenty.
  claim("#quay", "has messages around its gap", unless((await landInGap(page, origin, "quay", 8)) >= 10, "it has none"));
  await landInGap(page, origin, "dock", 1);
  await page.goto(`${origin}/c`);
  claim("/c", "says of which channels something is missing", unless((await page.locator("main").innerText()).match(/not wholly captured/g)?.length >= 2, await page.locator("main").innerText()));

  const subject = "/crawl/coverage with troubles";
  seen.push(await look(page, `${origin}/crawl/coverage`, subject, { everyLook: true }));
  await checkFocus(page, subject);
  const map = await page.evaluate(() => {
    const rows = [...document.querySelectorAll(".heat tbody tr")].map((row) => ({
      name: row.querySelector("th").innerText.trim(),
      cells: [...row.querySelectorAll("td a")].map((cell) => ({ letter: cell.textContent.trim(), word: cell.title, colour: getComputedStyle(cell).color, href: cell.getAttribute("href") })),
    }));
    return { rows, reasons: [...document.querySelectorAll("details.reason")].map((one) => one.textContent) };
  });
  const failed = map.rows.find(({ cells }) => cells.length > 0 && cells.every(({ letter }) => letter === "G"));
  claim(subject, "has a channel of which nothing was had: G in each cell", unless(failed, JSON.stringify(map.rows.map(({ name, cells }) => [name, cells.map(({ letter }) => letter).join("")]))));
  const gaps = map.rows.flatMap(({ cells }) => cells.filter(({ letter }) => letter === "G"));
  claim(subject, "says of each such cell what it is", gaps.filter(({ word }) => !/\bgap\b/i.test(word)).map((cell) => JSON.stringify(cell)));
  claim(subject, "shows such cells unlike others", unless(gaps.length > 0 && !map.rows.some(({ cells }) => cells.some((cell) => cell.letter === "C" && cell.colour === gaps[0].colour)), "a cell that is covered has the same colour"));
  for (const [name, why] of [["quay", "failed"], ["dock", "no longer see it"]]) {
    claim(subject, `says why something of #${name} is missing`, unless(map.reasons.some((text) => text.includes(name) && text.includes(why)), map.reasons.join("\n")));
  }
  if (failed) {
    const answer = await page.goto(origin + failed.cells[0].href);
    claim(subject, "leads from such a cell to what it stands for", unless(answer.status() === 200 && /Not captured|gap/.test(await page.locator("main").innerText()), page.url()));
  }
  for (const path of ["/", "/crawl"]) {
    const what = `${path} with troubles`;
    seen.push(await look(page, origin + path, what));
    await checkFocus(page, what);
  }
  const run = await page.locator("main a[href^='/crawl/runs/']").first().getAttribute("href");
  seen.push(await look(page, origin + run, "a crawl that left something open"));
  claim("a crawl that left something open", "says so", unless(/left open/.test(await page.locator("main").innerText()), await page.locator("main").innerText()));
}

// A search says what it could not look at where that lies in its time, and nothing of it elsewhere.
async function searchAcrossGap(page, origin) {
  const subject = "a search across a gap";
  const on = (daysAgo) => new Date(TODAY_MS - daysAgo * DAY_S * 1000).toISOString().slice(0, 10);
  const told = async (from, to) => {
    seen.push(await look(page, `${origin}/search?q=hour&on=${on(from)}..${on(to)}`, `${subject}, from ${from} to ${to} days ago`));
    return page.evaluate(() => ({
      hatches: [...document.querySelectorAll(".bars .bar-gap")].map((one) => one.getBoundingClientRect()).map(({ left, right }) => [left, right]),
      bars: [...document.querySelectorAll(".bars a")].map((one) => ({ name: one.getAttribute("aria-label"), left: one.getBoundingClientRect().left, right: one.getBoundingClientRect().right })),
      sentences: [...document.querySelectorAll(".results .notice li")].map((one) => one.textContent),
      rows: [...document.querySelectorAll(".results table tbody tr")].map((one) => one.textContent),
    }));
  };
  const across = await told(19, 2);
  claim(subject, "says of which channel something was not captured", unless(across.sentences.some((text) => /^Not wholly captured since /.test(text) && text.includes("quay")), across.sentences.join("\n")));
  const missing = across.bars.filter(({ name }) => name.endsWith("not captured"));
  const whole = across.bars.filter((one) => !missing.includes(one));
  // From the first walk on, which is the last that came to its end.
  const isLate = ({ name }) => new Date(`${name.split(":")[0]} UTC`).toISOString().slice(0, 10) >= on(FIRST_WALK);
  claim(subject, "says of the bars in it that they are not captured, and of no others", [...unless(missing.length > 2 && whole.length > 2, across.bars.map(({ name }) => name).join("\n")), ...missing.filter((one) => !isLate(one)), ...whole.filter(isLate)].map((one) => one.name ?? one));
  const isHatched = ({ left, right }) => across.hatches.some(([from, to]) => from < right - 1 && to > left + 1);
  claim(subject, "hatches those bars", [...missing.filter((one) => !isHatched(one)), ...whole.filter(isHatched)].map((one) => JSON.stringify(one)));
  claim(subject, "says so in its table, too", unless(across.rows.filter((text) => text.endsWith("not captured")).length === missing.length, across.rows.join("\n")));
  const beside = await told(19, 16);
  claim("a search beside a gap", "says nothing of it", beside.sentences.filter((text) => text.includes("quay")));
}

// Changes one byte of a block; gives the record of which the command says that it is damaged. What was packed anew has
// left blocks behind that nobody reads any more: their bytes are put back.
async function damage(archive, folder) {
  // Puts all into one file.
  await archive.run(["compact", "--quiet"]);
  const file = path.join(folder, "archive", "archive.db");
  const bytes = await readFile(file);
  const frames = [];
  for (let at = bytes.indexOf(FRAME); at >= 0; at = bytes.indexOf(FRAME, at + 1)) frames.push(at);
  // From the middle on: what the first record says every page needs.
  const middle = Math.floor(frames.length / 2);
  for (const at of [...frames.slice(middle), ...frames.slice(0, middle)]) {
    bytes[at + INTO_FRAME] ^= 1;
    await writeFile(file, bytes);
    const { findings } = JSON.parse(await archive.run(["verify", "--json"], [0, DAMAGED]));
    const block = findings.find(({ kind, record }) => kind === "block" && record > 0);
    if (block) return block.record;
    bytes[at + INTO_FRAME] ^= 1;
  }
  throw new Error("no block was found");
}

// Whether an element has the colour of what is bad, which is not that of other text.
const isRed = (element) =>
  element.evaluate((one) => {
    const probe = document.createElement("p");
    document.body.append(probe);
    probe.style.color = "var(--gone)";
    const [bad, found, plain] = [getComputedStyle(probe).color, getComputedStyle(one).color, getComputedStyle(document.body).color];
    probe.remove();
    return found === bad && found !== plain;
  });

async function lookAtDamage(page, origin, record) {
  const subject = "/verify of a damaged archive";
  await page.goto(`${origin}/verify`);
  claim("/verify", "says nothing of damage before anybody looked", unless((await page.locator(".alert").count()) === 0, await page.locator("main").innerText()));
  await page.check("input[name=depth][value=sample]");
  await Promise.all([page.waitForNavigation(), page.click("form.check button")]);
  for (let tries = 0; tries < 200 && (await page.locator("[role=status]").count()) > 0; tries += 1) await page.reload();
  seen.push(await look(page, `${origin}/verify`, subject, { everyLook: true }));
  await checkFocus(page, subject);
  const verdict = page.locator(".verdict .alert");
  claim(subject, "says that it is not whole", unless((await verdict.count()) === 1 && /not as (it was|they were) signed/.test(await verdict.innerText()), await page.locator("main").innerText()));
  const named = await page.locator(".findings").innerText();
  claim(subject, `names the record ${record}`, unless(new RegExp(`record ${record}\\b`, "i").test(named), named.slice(0, 2000)));
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    claim(subject, `says it in the colour of what is bad (${colorScheme})`, unless(await isRed(verdict), "it does not"));
  }
  await page.emulateMedia({ colorScheme: "light" });

  const shown = `the record ${record}, damaged`;
  seen.push(await look(page, `${origin}/r/${record}`, shown, { status: 409, everyLook: true }));
  const alert = page.locator("[role=alert]");
  claim(shown, "is named", unless((await page.locator("h1").innerText()).includes(String(record)), await page.locator("main").innerText()));
  claim(shown, "says it in the colour of what is bad", unless((await alert.count()) === 1 && (await isRed(alert)), await page.locator("main").innerText()));
  seen.push(await look(page, `${origin}/`, "/ of a damaged archive"));
  claim("/ of a damaged archive", "says what the check found", unless(/not as (it was|they were) signed/.test(await page.locator(".alert").first().innerText()), await page.locator("main").innerText()));
}

async function main(folder) {
  const archive = await archived(folder);
  const browser = await launch();
  // The browser itself says that a page came with such a status.
  const told = ({ heard }) => [...heard.refused, ...heard.foreign, ...heard.console.filter((text) => !/status of 409/.test(text))];
  let served = await archive.serve();
  try {
    const reader = await enter(browser, served.origin);
    await lookAtGaps(reader.page, served.origin);
    await searchAcrossGap(reader.page, served.origin);
    claim("all pages with gaps", "nothing is refused, nothing on the console, nothing asked elsewhere", told(reader));
    claimGuarded(reader.heard, "all pages with gaps");
    await stop(served.child);
    const record = await damage(archive, folder);
    served = await archive.serve();
    const other = await enter(browser, served.origin);
    await lookAtDamage(other.page, served.origin, record);
    claim("all pages with damage", "nothing is refused, nothing on the console, nothing asked elsewhere", told(other));
    claimGuarded(other.heard, "all pages with damage");
    await checkHtml(seen);
  } finally {
    await browser.close();
    await stop(served.child);
  }
}

await holds(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "damaged-"));
  try {
    await main(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
});
