// Counts what a search counts: each bar, facet and total against what they lead to and against what was written, in zones
// whose clocks change and in one that keeps its hours; and finds what was worded otherwise.
//
//   node counting.mjs BINARY
//
// Starts a sandbox in which somebody wrote every hour around the days on which clocks change. Prints what failed and a
// line of counts; exits 1 when a claim failed.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { claim, claimGuarded, holds, launch, openContext, signIn, unless } from "./claims.mjs";
import { PASSWORD, archiveIn, startSandbox, stop } from "./sandbox.mjs";

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node counting.mjs BINARY");
  process.exit(2);
}
// Around each change of a clock, there and here, an hour apart; the days that have an hour less or more, by their zones.
const CHANGES = ["2026-03-07T00:00:00Z", "2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z", "2026-10-31T00:00:00Z"];
const HOURS = 84;
const MOMENTS = CHANGES.flatMap((change) => Array.from({ length: HOURS }, (_, hour) => Date.parse(change) + hour * 3600 * 1000));
const ODD_DAYS = {
  "Europe/Prague": { "2026-03-29": 23, "2026-10-25": 25 },
  "America/New_York": { "2026-03-08": 23, "2026-11-01": 25 },
  "Asia/Kolkata": { "2026-03-29": 24, "2026-11-01": 24 },
};
// All of it, and the days around a change.
const RANGES = ["", "&on=2026-03-07..2026-03-10", "&on=2026-03-28..2026-03-31", "&on=2026-10-24..2026-11-02"];

async function archived(folder) {
  const sandbox = await startSandbox(binary, "--generate", "100");
  const { control, username } = sandbox;
  const make = async (name) => (await control("create", { user: username, name })).channel;
  const say = async (channel, user, text, moment) => (await control("post", { channel, user, text, at: moment / 1000 })).ts;
  const [clock, quay, dock] = [await make("clock"), await make("quay"), await make("dock")];
  for (const moment of MOMENTS) await say(clock, username, "tick of the clock", moment);

  // Two who write in two channels: what they say is worded anew here and there, and some of it is deleted.
  const other = (await sandbox.ask("users.list")).members.map(({ id }) => id).find((id) => id !== username);
  for (const channel of [quay, dock]) await control("join", { channel, user: other });
  const said = [];
  for (let number = 0; number < 24; number += 1) {
    const [channel, user] = [number % 3 === 0 ? dock : quay, number % 4 === 0 ? other : username];
    said.push({ channel, user, ts: await say(channel, user, `the anchor, said for the time ${number}`, MOMENTS[number] + 60_000) });
  }
  const reworded = await say(quay, username, "the capstan is in the yard", MOMENTS[40] + 60_000);
  const archive = archiveIn(binary, folder);
  await archive.enrol(sandbox.url, sandbox);
  await archive.run(["crawl", "--quiet"]);
  for (const { channel, user, ts } of said.filter((_, number) => number % 5 === 1)) await control("edit", { channel, ts, user, text: "the anchor, said otherwise" });
  for (const { channel, user, ts } of said.filter((_, number) => number % 7 === 2)) await control("delete", { channel, ts, user });
  await control("edit", { channel: quay, ts: reworded, user: username, text: "the windlass is in the yard" });
  await archive.run(["crawl", "--full", "--quiet"]);
  await archive.admit("reader", "auditor");
  await stop(sandbox.child);
  return archive;
}

const number = (text) => Number(text.replaceAll(",", "").match(/\d+/)?.[0] ?? NaN);

// Runs in the page: what it counts.
function counted() {
  const digits = (text) => Number(text.replaceAll(",", "").match(/\d+/)?.[0] ?? NaN);
  const facets = [...document.querySelectorAll(".rail section")].map((section) => [
    section.getAttribute("aria-labelledby").slice("by-".length),
    [...section.querySelectorAll("li a")].map((one) => ({
      name: one.querySelector("bdi").textContent,
      count: digits(one.querySelector(".count").textContent),
      href: one.getAttribute("href"),
      isChosen: one.getAttribute("aria-current") === "true",
    })),
  ]);
  return {
    total: digits(document.querySelector(".found strong").textContent),
    facets: Object.fromEntries(facets),
    bars: [...document.querySelectorAll(".bars a")].map((one) => {
      const [name, count] = one.getAttribute("aria-label").split(": ");
      return { name, count: digits(count), href: one.getAttribute("href") };
    }),
  };
}

const sum = (values) => values.reduce((all, { count }) => all + count, 0);

// How many of the moments lie on a day from the first to the last, by the clocks of a zone.
function written(zone, first, last) {
  const days = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });
  return MOMENTS.map((moment) => days.format(moment)).filter((day) => day >= first && day <= last).length;
}

const daysOf = (address) => {
  const [first, last] = new URL(address, "http://localhost").searchParams.get("on").split("..");
  return [first, last ?? first];
};

async function chooseZone(page, origin, zone) {
  await page.goto(`${origin}/search?q=tick`);
  await page.locator("header .who > summary").click();
  await page.fill("#look-tz", zone);
  await Promise.all([page.waitForNavigation(), page.click("form[action='/look'] button")]);
  const foot = await page.locator("footer").innerText();
  claim(zone, "is what the page is in, once it was chosen", unless(foot.includes(zone), foot));
}

async function countBars(page, origin, zone) {
  await chooseZone(page, origin, zone);
  for (const range of RANGES) {
    const subject = `bars in ${zone}${range.replace("&on=", ", ")}`;
    await page.goto(`${origin}/search?q=tick${range}`);
    const whole = await page.evaluate(counted);
    const due = range ? written(zone, ...daysOf(range.replace("&", "?"))) : MOMENTS.length;
    const sums = [whole.total, sum(whole.bars), sum(whole.facets.state)];
    claim(subject, `add up, as the states do, to the ${due} that were written`, sums.some((one) => one !== due) || whole.bars.length < 4 ? [`${sums.join()} in ${whole.bars.length} bars`] : []);
    const wrong = [];
    // Of those that count nothing one is enough: what is missing there would be missing in the sum.
    const empty = whole.bars.find(({ count }) => count === 0);
    for (const { name, count, href } of whole.bars.filter((bar) => bar.count > 0 || bar === empty)) {
      await page.goto(origin + href);
      const { total, bars, facets } = await page.evaluate(counted);
      const all = [total, sum(bars), sum(facets.state ?? []), written(zone, ...daysOf(href))];
      if (all.some((one) => one !== count)) wrong.push(`${name}: ${count}, and behind it ${all.join()}: ${href}`);
    }
    claim(subject, "count what is behind them, and what was written on their days", wrong);
  }
  for (const [day, hours] of Object.entries(ODD_DAYS[zone])) {
    const subject = `${day} in ${zone}`;
    await page.goto(`${origin}/search?q=tick&on=${day}..${day.slice(0, -2)}${String(Number(day.slice(-2)) + 1).padStart(2, "0")}`);
    const bar = page.locator(".bars a").first();
    const said = await bar.getAttribute("aria-label");
    await Promise.all([page.waitForURL((url) => url.searchParams.get("on") === day), bar.click()]);
    const { total } = await page.evaluate(counted);
    claim(subject, `has ${hours} hours, in its bar and behind it`, unless(number(said.split(": ")[1]) === hours && total === hours, `${said}; ${total} behind it`));
  }
}

// Clicks a value of a facet, and counts again.
async function pick(page, facet, name) {
  const link = page.locator(`section[aria-labelledby=by-${facet}] li a`).filter({ has: page.getByText(name, { exact: true }) }).first();
  await Promise.all([page.waitForNavigation(), link.click()]);
  return page.evaluate(counted);
}

async function countFacets(page, origin) {
  await page.goto(`${origin}/search?q=anchor`);
  const whole = await page.evaluate(counted);
  const several = Object.entries(whole.facets).filter(([, values]) => values.length > 1);
  for (const due of ["state", "channel", "author"]) claim("facets", `have several values of ${due}`, unless(several.some(([facet]) => facet === due), JSON.stringify(whole.facets)));
  claim("facets", "have every state there is", unless(whole.facets.state?.length === 3 && sum(whole.facets.state) === whole.total, JSON.stringify(whole)));
  for (const [facet, values] of several) {
    const subject = `the facet ${facet}`;
    await page.goto(`${origin}/search?q=anchor`);
    const [one, other] = values;
    const narrowed = await pick(page, facet, one.name);
    const counts = (all) => JSON.stringify(all.map(({ name, count }) => [name, count]).sort());
    claim(subject, "leads to as many as it says", unless(narrowed.total === one.count && one.count < whole.total, `${narrowed.total} of ${one.count}`));
    claim(subject, "does not count its own choice: its other values stay", unless(counts(narrowed.facets[facet]) === counts(values), `${counts(narrowed.facets[facet])} was ${counts(values)}`));
    const states = narrowed.facets.state.filter(({ isChosen }) => facet !== "state" || isChosen);
    const sums = [sum(states), sum(narrowed.bars)];
    claim(subject, "narrows states and bars alike", unless(sums.every((all) => all === narrowed.total), `${sums.join()} of ${narrowed.total}`));
    const both = await pick(page, facet, other.name);
    claim(subject, "takes either of two that are chosen", unless(both.total === one.count + other.count && both.facets[facet].filter(({ isChosen }) => isChosen).length === 2, `${both.total} of ${one.count} and ${other.count}`));
    await pick(page, facet, one.name);
    const back = await pick(page, facet, other.name);
    claim(subject, "is taken back by its own links", unless(JSON.stringify(back) === JSON.stringify(whole), `${back.total} of ${whole.total} at ${page.url()}`));
  }
}

async function findEarlierWording(page, origin) {
  const subject = "an earlier wording";
  await page.goto(`${origin}/search?q=capstan`);
  const { total, facets } = await page.evaluate(counted);
  const edited = facets.state?.find(({ name }) => /Earlier/.test(name));
  claim(subject, "is found by a word that was taken out", unless(total === 1 && edited?.count === 1 && facets.state.length === 1, JSON.stringify([total, facets.state])));
  const row = page.locator("[data-row]").first();
  const said = await row.innerText();
  claim(subject, "says which it is", unless(/earlier wording, 1 of 2/.test(said) && said.includes("the capstan is in the yard"), said));
  claim(subject, "is counted as one at the head", unless(/1 of them earlier wordings or deleted/.test(await page.locator("p.found").first().innerText()), await page.locator("p.found").first().innerText()));
  await Promise.all([page.waitForURL((url) => url.pathname.startsWith("/c/")), row.locator("[data-key=o]").click()]);
  const message = page.locator(".message").filter({ hasText: "windlass" }).first();
  const shown = await message.evaluate((one) => {
    const { top, bottom } = one.getBoundingClientRect();
    return { text: one.textContent, isInSight: top < innerHeight && bottom > 0 };
  });
  claim(subject, "leads to the message as it was and as it is", unless(shown.isInSight && shown.text.includes("capstan"), JSON.stringify(shown)));
  await page.goto(`${origin}/search?q=windlass`);
  const now = await page.locator("[data-row]").first().innerText();
  claim("the last wording", "says which it is", unless(/last wording, 2 of 2/.test(now), now));
}

async function main(folder) {
  const archive = await archived(folder);
  const browser = await launch();
  const served = await archive.serve();
  try {
    const { context, heard } = await openContext(browser, served.origin);
    const page = await context.newPage();
    claim("/login", "lets the reader in", unless(await signIn(page, served.origin, "reader", PASSWORD), page.url()));
    for (const zone of Object.keys(ODD_DAYS)) await countBars(page, served.origin, zone);
    await countFacets(page, served.origin);
    await findEarlierWording(page, served.origin);
    claim("all pages", "nothing is refused, nothing on the console, nothing asked elsewhere", [...heard.refused, ...heard.foreign, ...heard.console]);
    claimGuarded(heard);
  } finally {
    await browser.close();
    await stop(served.child);
  }
}

await holds(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "counting-"));
  try {
    await main(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
});
