// Looks at what lies at the edges: what is refused and what is not there, what those see who may not see all, a channel
// as it was, a search that finds nothing, and texts that run from right to left.
//
//   BASE_URL=http://127.0.0.1:8080 PASSWORD=… node edges.mjs
//
// Signs in as `auditor`, as `verifier`, and as `reviewer`, who reads one channel. Prints what failed and a line of
// counts; exits 1 when a claim failed.

import { checkHtml, claim, claimGuarded, holds, launch, look, openContext, signIn, unless } from "./claims.mjs";
import { checkFocus } from "./focus.mjs";

const { BASE_URL, PASSWORD } = process.env;
if (!BASE_URL || !PASSWORD) {
  console.error("edges.mjs: BASE_URL and PASSWORD must be set");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;
const seen = [];

async function enter(browser, who) {
  const { context, heard } = await openContext(browser, origin);
  const page = await context.newPage();
  claim("/login", `lets ${who} in`, unless(await signIn(page, origin, who, PASSWORD), page.url()));
  return { page, heard };
}

const links = (page, selector) => page.locator(selector).evaluateAll((all) => all.map((one) => one.getAttribute("href")));

// A page that refuses says why, and leads on.
async function refuse(page, path, status, who) {
  const subject = `${path} for ${who}`;
  seen.push(await look(page, origin + path, subject, { status }));
  const text = await page.locator("main").innerText();
  claim(subject, "says why, and leads on", unless(text.length > 40 && (await links(page, "a")).includes("/"), text.slice(0, 400)));
}

// What a verifier sees: whether the archive is whole, and nothing of what it holds.
async function lookAsVerifier(page) {
  for (const path of ["/", "/verify", "/crawl/coverage"]) seen.push(await look(page, origin + path, `${path} for a verifier`));
  await page.goto(`${origin}/`);
  await checkFocus(page, "/ for a verifier");
  const places = await links(page, "header nav a");
  claim("/ for a verifier", "leads to what they may see", unless(places.includes("/verify"), places.join()));
  const closed = (await links(page, "a")).filter((href) => /^\/(search|c|f|r|people|exhibits|exports)\b/.test(href));
  claim("/ for a verifier", "leads to nothing that is refused", closed);
  const names = await page.locator("main").innerText();
  claim("/ for a verifier", "says how it stands", unless(/records, signed/.test(names), names));
  await refuse(page, "/search?q=crane", 403, "a verifier");
}

// What a reviewer sees: the channel that is theirs, as if there were no other.
async function lookAsReviewer(page, all) {
  seen.push(await look(page, `${origin}/`, "/ for a reviewer"));
  await checkFocus(page, "/ for a reviewer");
  seen.push(await look(page, `${origin}/c`, "/c for a reviewer"));
  const own = await links(page, "main .name a");
  claim("/c for a reviewer", "has one channel", unless(own.length === 1 && all.includes(own[0]), own.join()));
  seen.push(await look(page, origin + own[0], "a channel for a reviewer"));
  claim("a channel for a reviewer", "has messages", unless((await page.locator(".message").count()) > 0, "none"));
  await refuse(page, all.find((one) => one !== own[0]), 404, "a reviewer");
  await refuse(page, "/admin/users", 403, "a reviewer");
}

async function lookBack(page, all) {
  let moments = [];
  let channel;
  for (channel of all) {
    await page.goto(origin + channel);
    moments = await page.locator(".message > .time time").evaluateAll((times) => times.map((one) => one.dateTime));
    if (moments.length > 20) break;
  }
  // The moment of a message: what was there until then ends with the one before it.
  const place = Math.floor(moments.length / 2);
  const then = moments[place];
  const subject = "a channel as it was";
  seen.push(await look(page, `${origin}${channel}?asof=${encodeURIComponent(then)}`, subject));
  await checkFocus(page, subject);
  const shown = await page.locator(".message > .time time").evaluateAll((times) => times.map((one) => one.dateTime));
  const later = shown.filter((one) => Date.parse(one) > Date.parse(then));
  claim(subject, "ends at that moment", [...later, ...unless(shown.includes(moments[place - 1]), `${moments[place - 1]} is not among ${shown.length} messages`)]);
  const banner = await page.locator("main .notice").first().innerText();
  claim(subject, "says so, and leads to now", unless(banner.includes(then.slice(0, 10)) && (await links(page, "main .notice a")).includes(channel), banner));
}

async function findNothing(page) {
  const subject = "a search that finds nothing";
  seen.push(await look(page, `${origin}/search?q=${encodeURIComponent('"no such phrase" zqxvz')}`, subject));
  await checkFocus(page, subject);
  const text = await page.locator("main").innerText();
  claim(subject, "says in how many channels nothing was found", unless(/\b[0-9]+ (channels|conversations)/.test(text) && (await page.locator("[data-row]").count()) === 0, text));
}

async function readFromRightToLeft(page, all) {
  const subject = "a channel with texts from right to left";
  for (const channel of all) {
    if (!/class="said" dir="rtl"/.test(await (await page.request.get(origin + channel)).text())) continue;
    seen.push(await look(page, origin + channel, subject, { everyLook: true }));
    const wrong = await page.locator(".said[dir=rtl]").evaluateAll((rows) => {
      const way = (element) => getComputedStyle(element).direction;
      const codes = rows.flatMap((row) => [...row.querySelectorAll("code")]);
      return [...rows.filter((row) => way(row) !== "rtl"), ...codes.filter((code) => way(code) !== "ltr")].map((one) => one.outerHTML.slice(0, 200));
    });
    claim(subject, "show them from right to left, and code in them from left to right", wrong);
    return;
  }
  claim(subject, "is there", ["none was found"]);
}

await holds(async () => {
  const browser = await launch();
  try {
    const auditor = await enter(browser, "auditor");
    await auditor.page.goto(`${origin}/c`);
    const all = await links(auditor.page, "main .name a");
    await lookBack(auditor.page, all);
    await findNothing(auditor.page);
    await readFromRightToLeft(auditor.page, all);
    claim("the auditor", "nothing on the console", auditor.heard.console);
    for (const [path, status] of [["/nowhere", 404], ["/r/999999999", 404], [`${all[0]}?asof=never`, 400], ["/access?day=never", 400], ["/admin/users", 403]]) await refuse(auditor.page, path, status, "an auditor");
    const verifier = await enter(browser, "verifier");
    await lookAsVerifier(verifier.page);
    const reviewer = await enter(browser, "reviewer");
    await lookAsReviewer(reviewer.page, all);
    await checkHtml(seen);
    for (const { heard } of [auditor, verifier, reviewer]) {
      // The browser itself says that a page came with such a status.
      claim("all pages", "nothing is refused by the policy, nothing asked elsewhere", [...heard.refused, ...heard.foreign, ...heard.console.filter((text) => !/status of 40[034]/.test(text))]);
      claimGuarded(heard);
    }
  } finally {
    await browser.close();
  }
});
