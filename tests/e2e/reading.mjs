// Reads as a reader does: a channel by keys and from a match, a text that runs from right to left, a record with its
// bytes, the map of what is covered; and looks at what the access log has of it.
//
//   BASE_URL=http://127.0.0.1:8080 USER=auditor PASSWORD=… node reading.mjs FOLDER
//
// FOLDER holds verify.html and ledger.vkey, which are handed to strangers. Prints what failed and a line of counts; exits 1 when a claim failed.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { WIDE, claim, claimGuarded, holds, launch, openContext, signIn, unless } from "./claims.mjs";

const { BASE_URL, USER, PASSWORD } = process.env;
const [folder] = process.argv.slice(2);
if (!BASE_URL || !USER || !PASSWORD || !folder) {
  console.error("reading.mjs: BASE_URL, USER and PASSWORD must be set, and a folder given");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;
const LETTERS = "jkonpuxet/?";

// Presses a key that leads to another page. A change behind the `#` alone is none: `o` notes there where one was.
const bare = (url) => url.toString().split("#")[0];
function lead(page, key) {
  const before = bare(page.url());
  return Promise.all([page.waitForURL((url) => bare(url) !== before), page.keyboard.press(key)]);
}

async function useKeys(page) {
  await page.goto(`${origin}/search?q=crane`);
  await page.locator("[data-row]:has(a[data-key=o][href^='/c/'])").first().focus();
  await lead(page, "o");
  claim("keys", "o leads from a match to its channel", unless(/^\/c\//.test(new URL(page.url()).pathname), page.url()));
  const first = page.url();
  const way = async (key) => ((await page.locator(`[data-key=${key}]`).count()) ? key : null);
  const [there, back] = (await way("n")) ? ["n", "p"] : ["p", "n"];
  await lead(page, there);
  const second = page.url();
  claim("keys", `${there} goes on to another match in the channel`, unless(second !== first && (await page.locator(".target").count()) === 1, `${second} after ${first}`));
  await lead(page, back);
  const anchor = (url) => new URL(url).searchParams.get("at") ?? new URL(url).pathname;
  claim("keys", `${back} goes back to the one before`, unless(anchor(page.url()) === anchor(first), `${page.url()} is not ${first}`));
  await lead(page, "u");
  claim("keys", "u leads back to the search", unless(new URL(page.url()).pathname === "/search" && new URL(page.url()).searchParams.get("q") === "crane", page.url()));

  await page.keyboard.press("?");
  claim("keys", "? lists them", unless(await page.locator("dialog#keys").isVisible(), "no list is open"));
  await page.keyboard.press("j");
  claim("keys", "do nothing while the list is open", unless(await page.evaluate(() => document.activeElement.closest("dialog") !== null || document.activeElement === document.body), "j went on"));
  await page.keyboard.press("Escape");
  claim("keys", "the list closes", unless(!(await page.locator("dialog#keys").isVisible()), "it is open"));

  // What is typed is typed.
  await page.goto(first);
  const before = page.url();
  await page.fill("#asof", "");
  await page.focus("#asof");
  await page.keyboard.type(LETTERS);
  const written = await page.inputValue("#asof");
  claim("keys", "write in a field, and nothing else", unless(written === LETTERS && page.url() === before && !(await page.locator("dialog#keys").isVisible()), `${written} at ${page.url()}`));

  // With a modifier keys are the browser's, in a field and outside of one: finding in the page, its address, a new tab.
  const state = () => page.evaluate(() => [location.href, scrollY, document.activeElement.outerHTML.slice(0, 80), document.querySelectorAll("input:checked").length, document.querySelector("dialog#keys").open].join());
  await page.evaluate(() => {
    globalThis.__pressed = [];
    addEventListener("keydown", (event) => globalThis.__pressed.push([event.key, event.defaultPrevented]));
  });
  const combined = [...["f", "k", "F", "K"].map((letter) => `Control+${letter}`), ...["Control", "Alt", "Meta"].flatMap((modifier) => [...LETTERS].map((letter) => `${modifier}+${letter}`))];
  for (const where of ["a field", "a row"]) {
    await page.evaluate((where) => (where === "a field" ? document.getElementById("asof") : document.querySelector("[data-row]")).focus(), where);
    const before = await state();
    for (const keys of combined) await page.keyboard.press(keys);
    const heard = await page.evaluate(() => globalThis.__pressed.splice(0).filter(([key]) => !["Control", "Alt", "Meta"].includes(key)));
    const taken = heard.filter(([, isTaken]) => isTaken).map(([key]) => `${key} is taken`);
    claim("keys", `are the browser's with Control, Alt and Meta, in ${where}`, [...taken, ...unless(heard.length === combined.length, `${heard.length} of ${combined.length} were heard`), ...unless((await state()) === before, `${await state()} after ${before}`)]);
  }
  // That one that is taken would be heard of.
  await page.keyboard.press("j");
  claim("keys", "are taken without", unless(await page.evaluate(() => globalThis.__pressed.some(([key, isTaken]) => key === "j" && isTaken)), "j is not"));
  await page.evaluate(() => document.activeElement.blur());

  // What is ticked with x becomes an exhibit with e.
  await page.goto(first);
  const row = page.locator("[data-row]").nth(1);
  await row.focus();
  await page.keyboard.press("x");
  const record = await page.locator("input[name=record]:checked").inputValue();
  await lead(page, "e");
  claim("keys", "e makes an exhibit of what x ticked", unless(/^\/exhibits\/[0-9]+$/.test(new URL(page.url()).pathname) && (await page.locator(`#m${record}`).count()) === 1, page.url()));

  // Times in UTC, and back.
  await page.locator("header .who > summary").click();
  await page.fill("#look-tz", "Asia/Tokyo");
  await Promise.all([page.waitForNavigation(), page.click("form[action='/look'] button")]);
  await page.goto(`${origin}/people`);
  const zone = async () => /Times in (\S+)/.exec(await page.locator(".foot").innerText())[1];
  const zones = [await zone()];
  for (let press = 0; press < 2; press += 1) {
    await lead(page, "t");
    zones.push(await zone());
  }
  claim("keys", "t shows times in UTC, and back", unless(zones.join() === "Asia/Tokyo,UTC,Asia/Tokyo", zones.join()));

  // Who speaks to the machine, or presses keys by chance, can have them off.
  await page.locator("header .who > summary").click();
  await page.uncheck("input[name=keys]");
  await page.fill("#look-tz", "UTC");
  await Promise.all([page.waitForNavigation(), page.click("form[action='/look'] button")]);
  const off = page.url();
  for (const letter of LETTERS) await page.keyboard.press(letter);
  claim("keys", "are off when they are switched off", unless(page.url() === off && !(await page.locator("dialog#keys").isVisible()), page.url()));
  await page.locator("header .who > summary").click();
  await page.check("input[name=keys]");
  await Promise.all([page.waitForNavigation(), page.click("form[action='/look'] button")]);
}

// The addresses of all channels and conversations.
async function channels(page) {
  await page.goto(`${origin}/c`);
  return page.locator("main .name a").evaluateAll((all) => all.map((one) => one.href));
}

async function landOnMatches(page) {
  await page.goto(`${origin}/search?q=crane`);
  const hits = await page.locator(".hit a[data-key=o]").evaluateAll((all) => all.map((one) => one.href).filter((href) => href.includes("/c/")));
  claim("a match", "leads into its channel", unless(hits.length > 2, `${hits.length} matches do`));
  for (const size of [WIDE, { width: 320, height: 640 }]) {
    await page.setViewportSize(size);
    for (const href of [hits[0], hits[Math.floor(hits.length / 2)], hits.at(-1)]) {
      await page.goto(href);
      const found = await page.evaluate(() => {
        const [target, more] = document.querySelectorAll(".message.target");
        if (!target || more) return "there is not one that is marked";
        const { top, bottom } = target.getBoundingClientRect();
        const rows = [...document.querySelectorAll(".message")];
        const before = rows.indexOf(target);
        const after = rows.length - 1 - before;
        // Fifty on each side, or all that there are.
        const isShort = (count, way) => count > 50 || (count < 50 && document.querySelector(`.pager a[rel=${way}]`) !== null);
        if (isShort(before, "prev") || isShort(after, "next")) return `${before} stand before it, ${after} after it, and there are more`;
        const isHigh = bottom - top > innerHeight;
        return top >= 0 && (isHigh || bottom <= innerHeight) ? "" : `it reaches from ${top} to ${bottom} of ${innerHeight}`;
      });
      claim("a match", `is in sight in its channel at ${size.width} px`, found ? [`${href}: ${found}`] : []);
    }
  }
  await page.setViewportSize(WIDE);
}

async function readFromRightToLeft(page, all) {
  const found = { rows: 0, wrong: [] };
  for (const href of all) {
    const html = await (await page.request.get(href)).text();
    if (!/class="said" dir="rtl"/.test(html)) continue;
    await page.goto(href);
    const seen = await page.evaluate(() => {
      const rows = [...document.querySelectorAll(".said[dir=rtl]")];
      const codes = rows.flatMap((row) => [...row.querySelectorAll("code")]);
      const way = (element) => getComputedStyle(element).direction;
      return {
        rows: rows.length,
        wrong: [...rows.filter((row) => way(row) !== "rtl" || getComputedStyle(row).textAlign !== "start"), ...codes.filter((code) => way(code) !== "ltr")].map((one) => one.outerHTML.slice(0, 200)),
      };
    });
    found.rows += seen.rows;
    found.wrong.push(...seen.wrong);
  }
  claim("a text in Arabic", "runs from right to left", [...found.wrong, ...unless(found.rows > 0, "none was found")]);
}

async function takeBytes(page, browser) {
  await page.goto(`${origin}/search?q=is:edited`);
  await page.goto(origin + (await page.locator("a[href^='/r/']").first().getAttribute("href")));
  const shown = (await page.locator("section[aria-labelledby=proofs] code").allInnerTexts()).filter((text) => /^[0-9a-f]{64}$/.test(text));
  const [saved] = await Promise.all([page.waitForEvent("download"), page.locator("a[href$='/raw.json']").click()]);
  const bytes = await readFile(await saved.path());
  const digest = createHash("sha256").update(bytes).digest("hex");
  claim("a record", "has the SHA-256 of the bytes that are downloaded", unless(shown.includes(digest), `${digest} is not among ${shown}`));
  const [proof] = await Promise.all([page.waitForEvent("download"), page.locator("a[href$='/proof.tlog-proof']").click()]);
  // Its shape, and that whoever has the key finds it proved and reads in it the record that was asked for.
  const text = await readFile(await proof.path(), "utf8");
  const record = new URL(page.url()).pathname.split("/")[2];
  const [head, extra, index, ...rest] = text.split("\n");
  const gap = rest.indexOf("");
  const wrong = [
    ...unless(head === "c2sp.org/tlog-proof@v1", head),
    ...unless(/^extra [A-Za-z0-9+/]+=*$/.test(extra), extra.slice(0, 80)),
    ...unless(index === `index ${record}`, `${index} for the record ${record}`),
    ...rest.slice(0, gap).filter((hash) => !/^[A-Za-z0-9+/]{43}=$/.test(hash)),
    ...unless(gap > 0 && /^— /.test(rest.filter(Boolean).at(-1)), rest.join("\n")),
  ];
  claim("a record", "has a proof to take away", wrong);
  const stranger = await browser.newContext({ offline: true });
  const elsewhere = await stranger.newPage();
  await elsewhere.goto(pathToFileURL(path.join(path.resolve(folder), "verify.html")).href);
  await elsewhere.setInputFiles("#key-file", path.join(folder, "ledger.vkey"));
  await elsewhere.setInputFiles("#proof-file", await proof.path());
  await elsewhere.locator("#result h2").waitFor();
  const verdict = await elsewhere.locator("#result").innerText();
  claim("a record", "has a proof that holds elsewhere", unless(verdict.includes("✓ This proof holds") && !verdict.includes("✗"), verdict));
  const parts = await elsewhere.locator("#record pre").allTextContents();
  claim("a record", "has the bytes that are downloaded in its proof", unless(parts.includes(bytes.toString("utf8")), parts.map((part) => part.slice(0, 200)).join("\n")));
  await stranger.close();
}

async function walkTheMap(page) {
  await page.goto(`${origin}/crawl/coverage`);
  const problems = await page.evaluate(() => {
    const known = new Map([...document.querySelectorAll(".legend > div")].map((one) => [one.querySelector("dt").textContent, one.querySelector("dd strong").textContent]));
    const cells = [...document.querySelectorAll(".heat td a")];
    const dumb = cells.filter((cell) => !cell.title.trim() || (cell.textContent.trim() && !known.get(cell.textContent)));
    return [...dumb.map((cell) => cell.outerHTML), ...(cells.length === 0 || known.size < 5 ? [`${cells.length} cells, ${known.size} states`] : [])].slice(0, 5);
  });
  claim("the map of coverage", "says each state in words", problems);
  let place = null;
  for (let tab = 0; tab < 60 && !place; tab += 1) {
    await page.keyboard.press("Tab");
    place = await page.evaluate(() => document.activeElement.closest(".heat td a")?.getAttribute("href") ?? null);
  }
  claim("the map of coverage", "is reached by keys", unless(place, "60 steps do not reach a cell"));
  if (!place) return;
  await lead(page, "Enter");
  claim("the map of coverage", "leads from a cell to what it stands for", unless(page.url() === origin + place, page.url()));
}

async function leaveTraces(page) {
  const last = async (path) => {
    await page.goto(origin + path, { waitUntil: "networkidle" });
    return Number(/Entry in the access log: ([0-9,]+)/.exec(await page.locator(".foot").innerText())[1].replaceAll(",", ""));
  };
  const first = await last("/people");
  const second = await last("/search?q=crane");
  claim("the access log", "has one entry of a view", unless(second === first + 1, `${second} after ${first}`));
  for (let place = 0; place < 5; place += 1) await page.locator(".hit a").nth(place).hover();
  const answer = await page.request.get(`${origin}/c`, { headers: { "Sec-Purpose": "prefetch" } });
  claim("the access log", "a guess of the browser gets nothing", unless(answer.status() === 503 && answer.headers()["cache-control"] === "no-store", `status ${answer.status()}, ${answer.headers()["cache-control"]}`));
  const third = await last("/people");
  claim("the access log", "has none of what was pointed at or guessed", unless(third === second + 1, `${third} after ${second}`));
  await page.goto(`${origin}/access/${second}`);
  const text = await page.locator("main").innerText();
  claim("the access log", "has who asked for what", unless(text.includes(USER) && text.includes("crane"), text));
}

await holds(async () => {
  const browser = await launch();
  try {
    const { context, heard } = await openContext(browser, origin, { acceptDownloads: true });
    const page = await context.newPage();
    claim("/login", `lets ${USER} in`, unless(await signIn(page, origin, USER, PASSWORD), page.url()));
    await useKeys(page);
    await landOnMatches(page);
    await readFromRightToLeft(page, await channels(page));
    await takeBytes(page, browser);
    await walkTheMap(page);
    await leaveTraces(page);
    claim("all pages", "nothing is refused, nothing on the console, nothing asked elsewhere", [...heard.refused, ...heard.console.filter((text) => !/503/.test(text)), ...heard.foreign]);
    claimGuarded(heard);
  } finally {
    await browser.close();
  }
});
