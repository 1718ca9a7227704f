// Prints what is made to be printed, and reads the sheets: a day of a channel and an exhibit. Each sheet says by itself
// what it is of, and by which entry of the access log or of which state of the archive.
//
//   BASE_URL=http://127.0.0.1:8080 USER=auditor PASSWORD=… node printing.mjs [--pictures DIR]
//
// Needs pdftotext. Prints what failed and a line of counts; exits 1 when a claim failed.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { claim, claimGuarded, holds, launch, openContext, signIn, unless } from "./claims.mjs";

const { values: flags } = parseArgs({ options: { pictures: { type: "string" } } });
const { BASE_URL, USER, PASSWORD } = process.env;
if (!BASE_URL || !USER || !PASSWORD) {
  console.error("printing.mjs: BASE_URL, USER and PASSWORD must be set");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;
const folder = flags.pictures ?? (await mkdtemp(path.join(tmpdir(), "teamchat-archive-printing-")));

// The text of each sheet, in one line.
async function sheets(page, name, format) {
  const file = path.join(folder, `${name}.pdf`);
  await page.pdf({ path: file, format });
  const { stdout } = await promisify(execFile)("pdftotext", ["-layout", file, "-"], { maxBuffer: 64 << 20 });
  return stdout.split("\f").slice(0, -1).map((sheet) => sheet.replaceAll(/\s+/g, " "));
}

// What each sheet must have, however its lines were broken.
function checkSheets(subject, all, head) {
  claim(subject, "takes several sheets", unless(all.length > 1, `${all.length}`));
  const without = (what, pattern) => all.flatMap((sheet, place) => (pattern.test(sheet) ? [] : [`sheet ${place + 1} of ${all.length} has no ${what}: ${sheet.slice(0, 120)} … ${sheet.slice(-120)}`]));
  claim(subject, "says on each sheet what it is of", without(`“${head}”`, new RegExp(head.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))));
  claim(subject, "names on each sheet its entry in the access log", without("entry", /Entry in the access log: [0-9,]+/));
  claim(subject, "names on each sheet the state of the archive", without("checkpoint", /[0-9,]+ records, signed \d{4}-\d\d-\d\d/));
}

// The day with most messages of all channels.
async function longestDay(page) {
  await page.goto(`${origin}/c`);
  const longest = { messages: 0 };
  for (const channel of await page.locator("main .name a").evaluateAll((all) => all.map((one) => one.href))) {
    await page.goto(`${channel}?n=500`);
    const days = await page.evaluate(() => {
      const found = [];
      for (const row of document.querySelectorAll("h2.day, .message")) {
        if (row.matches(".day")) found.push({ href: row.querySelector("a").getAttribute("href"), messages: 0 });
        else if (found.length > 0) found.at(-1).messages += 1;
      }
      return found;
    });
    for (const day of days) if (day.messages > longest.messages) Object.assign(longest, day);
  }
  return longest;
}

async function printDay(page) {
  const { href, messages } = await longestDay(page);
  await page.goto(origin + href);
  const head = (await page.locator("h1").innerText()).replaceAll(/\s+/g, " ");
  claim("a day", "is the day of a channel", unless(/\b\d{4}\b/.test(head) && messages > 5, `${head}: ${messages} messages`));
  const records = await page.locator("tr.entry").evaluateAll((all) => all.map((one) => one.id));
  // On small sheets, so that a day of the built-in company is long.
  const all = await sheets(page, "day", "A5");
  checkSheets("a day", all, head);
  const printed = all.join(" ");
  claim("a day", "is printed with every record", records.filter((id) => !new RegExp(`record ${id.slice(1)}\\b`, "i").test(printed)));
}

async function printExhibit(page) {
  await page.goto(`${origin}/search?q=crane`);
  const boxes = page.locator("input[type=checkbox][name=record]");
  const records = await boxes.evaluateAll((all) => all.map((one) => one.value));
  for (const record of records) await page.check(`input[name=record][value="${record}"]`);
  await Promise.all([page.waitForURL(/\/exhibits\/[0-9]+$/), page.locator("form#pick button").first().click()]);
  const head = (await page.locator("h1").innerText()).replaceAll(/\s+/g, " ");
  const all = await sheets(page, "exhibit", "A4");
  checkSheets("an exhibit", all, head);
  const printed = all.join(" ");
  claim("an exhibit", "is printed with every record that was ticked", [...records.filter((record) => !new RegExp(`record ${record}\\b`, "i").test(printed)), ...unless(records.length > 10, `${records.length} were ticked`)]);
}

await holds(async () => {
  if (flags.pictures) await mkdir(folder, { recursive: true });
  const browser = await launch();
  try {
    const { context, heard } = await openContext(browser, origin);
    const page = await context.newPage();
    claim("/login", `lets ${USER} in`, unless(await signIn(page, origin, USER, PASSWORD), page.url()));
    await printDay(page);
    await printExhibit(page);
    claim("all pages", "nothing on the console", heard.console);
    claimGuarded(heard);
  } finally {
    await browser.close();
    if (!flags.pictures) await rm(folder, { recursive: true });
  }
});
