// Opens every page that there is as a browser does, and says what is wrong.
//
//   BASE_URL=http://127.0.0.1:8080 PASSWORD=… node pages.mjs [--pictures DIR]
//
// The pages are those of the router (src/web/mod.rs): a route that this file has no address for is a failure. Signs in
// as `auditor`, and as `admin` where an admin is needed. Prints what failed and a line of counts; exits 1 when a claim
// failed.

import { mkdir, readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { NARROW, WIDE, checkAccessibility, checkHtml, checkOverflow, claim, claimGuarded, holds, launch, openContext, signIn, takePictures, unguarded, unless } from "./claims.mjs";
import { checkFocus } from "./focus.mjs";

const { values: flags } = parseArgs({ options: { pictures: { type: "string" } } });
const { BASE_URL, PASSWORD } = process.env;
if (!BASE_URL || !PASSWORD) {
  console.error("pages.mjs: BASE_URL and PASSWORD must be set");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;

// A hundred messages with a link in each weigh more than other pages; compressed they do not.
const MOST = { html: 60 * 1024, heavy: 120 * 1024, sent: 15 * 1024, css: 20 * 1024, js: 10 * 1024, requests: 5 };

// Moments are shown to the second.
const begun = Math.floor(Date.now() / 1000) * 1000;

// An example of each route that is a page; `key` pages are looked at by day and by night, wide and narrow.
const PAGES = (known) => [
  { route: "/", at: "/" },
  { route: "/search", at: "/search?q=crane", key: true },
  { route: "/saved", at: "/saved" },
  { route: "/certificate", at: "/certificate?q=%22no+such+phrase%22+zqxvz" },
  { route: "/exhibits", at: "/exhibits" },
  { route: "/exhibits/{n}", at: known.exhibit, key: true },
  { route: "/exports", at: "/exports?q=crane" },
  { route: "/exports/{n}", at: known.export },
  { route: "/c", at: "/c" },
  { route: "/c/{id}", at: known.timeline, key: true, heavy: true },
  { route: "/c/{id}/day/{date}", at: known.day },
  { route: "/people", at: "/people" },
  { route: "/people/{id}", at: known.person },
  { route: "/r/{record}", at: known.record, key: true },
  { route: "/f", at: "/f" },
  { route: "/f/{id}", at: known.file, key: true },
  { route: "/f/{id}/text", at: `${known.text}/text` },
  { route: "/crawl", at: "/crawl" },
  { route: "/crawl/coverage", at: "/crawl/coverage", key: true },
  { route: "/crawl/coverage", at: known.coverage },
  { route: "/crawl/runs/{run}", at: known.run },
  { route: "/verify", at: "/verify" },
  // Of who is not at work here: each view of the whole list is an entry of the next.
  { route: "/access", at: "/access?who=admin" },
  { route: "/access/{entry}", at: known.entry },
  { route: "/sessions", at: "/sessions" },
  { route: "/sessions/factor", at: "/sessions/factor" },
  { route: "/out", at: "/out?to=https%3A%2F%2Fexample.com%2Fa", unlogged: true },
  { route: "/admin/users", at: "/admin/users", who: "admin" },
  { route: "/admin/tokens", at: "/admin/tokens", who: "admin" },
];

// What is downloaded, led on from, or told to programs. It only has to be there.
const OTHERS = (known) => [
  { route: "/search/advanced", at: "/search/advanced?words=crane" },
  { route: "/exhibits/{n}/exhibit.html", at: `${known.exhibit}/exhibit.html` },
  { route: "/exports/{n}/set.zip", at: `${known.export}/set.zip` },
  { route: "/c/{id}/day/{date}/list.txt", at: `${known.day}/list.txt` },
  { route: "/r/{record}/v/{number}", at: `${known.record}/v/1` },
  { route: "/r/{record}/raw.json", at: `${known.record}/raw.json` },
  { route: "/r/{record}/proof.tlog-proof", at: `${known.record}/proof.tlog-proof` },
  { route: "/r/{record}/proof.json", at: `${known.record}/proof.json` },
  { route: "/f/{id}/preview", at: `${known.picture}/preview` },
  { route: "/f/{id}/thumbnail", at: `${known.picture}/thumbnail` },
  { route: "/f/{id}/blob", at: `${known.file}/blob` },
  { route: "/verify/verify.py", at: "/verify/verify.py" },
  { route: "/verify/verify.html", at: "/verify/verify.html" },
  { route: "/verify/ledger.vkey", at: "/verify/ledger.vkey" },
  { route: "/healthz", at: "/healthz" },
  { route: "/readyz", at: "/readyz" },
  { route: "/favicon.ico", at: "/favicon.ico" },
  { route: "/robots.txt", at: "/robots.txt" },
  { route: "/openapi.json", at: "/openapi.json" },
];

// Pages of who is signed out, which entering.mjs looks at, and what any page asks for.
const ELSEWHERE = ["/login", "/setup", "/static/{hash}/{name}"];

async function checkRoutes(tried) {
  const source = await readFile(new URL("../../src/web/mod.rs", import.meta.url), "utf8");
  const routes = [...source.matchAll(/\.route\("([^"]+)",\s*get\(/g)].map(([, route]) => route);
  const known = new Set([...tried.map(({ route }) => route), ...ELSEWHERE]);
  claim("the router", "has no page that is not opened here", routes.filter((route) => !known.has(route)));
  claim("this file", "opens no page that the router does not have", [...known].filter((route) => !routes.includes(route)));
}

// Where the examples are, found as a reader finds them, without script; makes an exhibit and an export on the way.
async function look(page) {
  const first = async (from, links) => {
    await page.goto(origin + from);
    return page.locator(links).first().getAttribute("href");
  };
  const bare = (href) => new URL(href, origin).pathname;
  const known = {};
  known.timeline = bare(await first("/c", "main .name a"));
  known.coverage = await first("/crawl/coverage", "main .heat th a");
  known.run = await first("/crawl", "main a[href^='/crawl/runs/']");
  known.person = await first("/people", "main .name a");
  known.entry = await first("/access", "main a[href^='/access/']");
  known.record = await first("/search?q=is:edited", "a[href^='/r/']");
  known.picture = bare(await first("/f", "tr:has(img) .name a"));
  known.file = known.picture;
  known.text = bare(await first("/f?name=.pdf", "main .name a"));
  known.day = bare(await first(known.timeline, ".choices a[href*='/day/']"));

  await page.goto(`${origin}/search?q=crane`);
  for (const place of [0, 1]) await page.locator("input[type=checkbox][name=record]").nth(place).check();
  await Promise.all([page.waitForURL(/\/exhibits\/[0-9]+$/), page.locator("form#pick button").first().click()]);
  known.exhibit = bare(page.url());
  claim("without script", "an exhibit is made of what is ticked", unless((await page.locator("article.item").count()) >= 2, page.url()));
  await page.goto(`${origin}/exports?q=crane`);
  await Promise.all([page.waitForURL(/\/exports\/[0-9]+$/), page.locator("form.card button").last().click()]);
  known.export = bare(page.url());
  for (let tries = 0; tries < 200 && (await page.locator("a[href$='/set.zip']").count()) === 0; tries += 1) await page.reload();
  claim("without script", "an export is made", unless((await page.locator("a[href$='/set.zip']").count()) > 0, await page.locator("main").innerText()));

  // From page to page by links alone.
  const records = async () => page.locator("[data-row] a[href^='/r/']").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  for (const [from, way] of [["/search?q=crane", ".pager a[rel=next]"], [known.timeline, ".pager a[rel=prev]"]]) {
    await page.goto(origin + from);
    const before = await records();
    await Promise.all([page.waitForNavigation(), page.locator(way).first().click()]);
    const after = await records();
    claim("without script", `${from} has another page`, unless(after.length > 0 && !after.some((one) => before.includes(one)), `${after.length} rows, ${after.filter((one) => before.includes(one)).length} of them seen before`));
  }

  // How pages look is kept by a form.
  await page.goto(`${origin}/people`);
  await page.locator("header .who > summary").click();
  await page.fill("#look-tz", "Asia/Tokyo");
  await page.selectOption("#look-theme", "dark");
  await Promise.all([page.waitForNavigation(), page.click("form[action='/look'] button")]);
  const theme = await page.locator("html").getAttribute("data-theme");
  const foot = await page.locator(".foot").innerText();
  claim("without script", "zone and colours are set, and lead back", unless(page.url() === `${origin}/people` && theme === "dark" && foot.includes("Asia/Tokyo"), `${page.url()}, ${theme}: ${foot}`));
  return known;
}

// Paper says of which state of the archive it is, and by which entry of the access log who printed it is found.
async function checkPrint(page, subject, isLogged) {
  await page.emulateMedia({ media: "print" });
  const problems = await page.evaluate((isLogged) => {
    const isShown = (element) => element.getClientRects().length > 0 && element.innerText.trim() !== "";
    const feet = [...document.querySelectorAll("footer.foot, tfoot")].filter(isShown);
    const found = feet.length === 1 ? [] : [`${feet.length} feet are printed`];
    const foot = feet[0]?.innerText ?? "";
    if (!/records, signed \d{4}-/.test(foot)) found.push(`the foot does not say of what state of the archive it is: ${foot}`);
    const isNamed = /Entry in the access log:\s*[0-9,]+/.test(foot);
    if (isLogged !== isNamed) found.push(`the foot ${isNamed ? "names an" : "does not name the"} entry in the access log: ${foot}`);
    for (const rest of document.querySelectorAll("header.bar, .skip, nav.pager, .rail")) if (isShown(rest)) found.push(`<${rest.localName} class="${rest.className}"> is printed`);
    return found;
  }, isLogged);
  await page.emulateMedia({ media: "screen" });
  claim(subject, "is printed with its foot and without what is for the screen", problems);
}

// All that is claimed of a page in a browser with script.
async function checkPage({ context, heard }, { route, at, key, heavy, unlogged }, number) {
  for (const list of Object.values(heard)) list.length = 0;
  const page = await context.newPage();
  const sent = [];
  page.on("response", (response) => sent.push(response));
  try {
    const response = await page.goto(origin + at, { waitUntil: "load" });
    const html = await response.text();
    claim(at, "status 200", unless(response.status() === 200, `status ${response.status()}`));
    if (flags.pictures) await takePictures(page, flags.pictures, `${String(number).padStart(2, "0")}${route.replaceAll(/[^a-z]+/g, "-").replace(/-$/, "")}`);
    const seen = await page.evaluate(() => ({
      headings: [...document.querySelectorAll("h1")].map((heading) => heading.textContent.trim()),
      title: document.title.trim(),
    }));
    const due = await said(page);
    claim(at, "exactly one h1", unless(seen.headings.length === 1 && seen.headings[0], `h1: ${JSON.stringify(seen.headings)}`));
    await checkOverflow(page, at);
    await checkAccessibility(page, at, key);
    await checkFocus(page, at);
    if (key) {
      await page.setViewportSize(NARROW);
      await checkFocus(page, `${at} at ${NARROW.width} px`);
      await page.setViewportSize(WIDE);
    }
    await checkPrint(page, at, !unlogged);
    // Small copies of pictures are contents: as many as there are files.
    const parts = sent.filter((one) => one.url().startsWith(origin) && !/\/(thumbnail|preview)$/.test(new URL(one.url()).pathname));
    const weighty = parts.length > MOST.requests ? [`${parts.length} requests: ${parts.map((one) => one.url())}`] : [];
    for (const [kind, path] of [["css", /\.css$/], ["js", /\.js$/]]) {
      const of = parts.find((one) => path.test(new URL(one.url()).pathname));
      const size = of ? (await of.body()).length : 0;
      if (size > MOST[kind]) weighty.push(`${kind}: ${size} bytes`);
    }
    if (Buffer.byteLength(html) > (heavy ? MOST.heavy : MOST.html)) weighty.push(`HTML: ${Buffer.byteLength(html)} bytes`);
    if (gzipSync(html).length > MOST.sent) weighty.push(`HTML: ${gzipSync(html).length} bytes compressed`);
    claim(at, "weighs little", weighty);
    claim(at, "nothing is refused by its policy", heard.refused);
    claim(at, "no error on the console", heard.console);
    claim(at, "no request to another origin", heard.foreign);
    claimGuarded(heard, at);
    return { route, at, html, title: seen.title, due };
  } finally {
    await page.close();
  }
}

// What main says, line by line, but for moments since this script began, for how long ago something was, and for what
// only a script can do; and the number of its entry in the access log.
async function said(page) {
  const offered = page.locator("main [data-print]");
  await offered.evaluateAll((all) => all.forEach((one) => (one.hidden = true)));
  const entry = /Entry in the access log:\s*([0-9,]+)/.exec(await page.locator("body").innerText())?.[1];
  const text = await page.locator("main").innerText();
  await offered.evaluateAll((all) => all.forEach((one) => (one.hidden = false)));
  const isOfNow = (moment) => Date.parse(moment.replace(" +", "+").replace(" ", "T")) >= begun;
  const settled = text
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+\d\d:\d\d/g, (moment) => (isOfNow(moment) ? "now" : moment))
    .replaceAll(/\b\d+ \w+ ago\b/g, "ago");
  return { entry, lines: settled.split("\n").map((line) => line.trim()).filter(Boolean) };
}

// A page without script, in the same session: it answers, and says word for word the same, but that each view has an
// entry of its own.
async function checkWithoutScript(page, { at, due }) {
  const response = await page.goto(origin + at, { waitUntil: "load" });
  const problems = unless(response.status() === 200, `status ${response.status()}`);
  const found = await said(page);
  const without = (line, entry) => (entry ? line.split(new RegExp(`(?<![0-9,])${entry}(?![0-9,])`)).join() : line);
  const isSame = (line, place) => line === found.lines[place] || (found.lines[place] !== undefined && without(line, due.entry) === without(found.lines[place], found.entry));
  const place = due.lines.findIndex((line, place) => !isSame(line, place));
  if (place >= 0 || found.lines.length !== due.lines.length || due.lines.length === 0) {
    problems.push(`${found.lines.length} lines, with script ${due.lines.length}; first different: ${found.lines.at(place)}\nwith script: ${due.lines.at(place)}`);
  }
  claim(at, "says the same without script", problems);
}

function checkTitles(pages) {
  const owners = new Map();
  for (const { at, title } of pages) {
    const owner = owners.get(title) ?? at;
    owners.set(title, owner);
    claim(at, "a title of its own", title ? unless(owner === at, `${JSON.stringify(title)} is also the title of ${owner}`) : ["the title is empty"]);
  }
}

await holds(async () => {
  if (flags.pictures) await mkdir(flags.pictures, { recursive: true });
  const browser = await launch();
  try {
    const enter = async (who, options) => {
      const opened = await openContext(browser, origin, options);
      const page = await opened.context.newPage();
      claim("/login", `lets ${who} in`, unless(await signIn(page, origin, who, PASSWORD), page.url()));
      return { ...opened, page };
    };
    const inside = { auditor: await enter("auditor"), admin: await enter("admin") };
    const plain = await enter("auditor", { javaScriptEnabled: false });

    const known = await look(plain.page);
    // Who has switched script off, and nothing else.
    const still = {};
    for (const [who, { context }] of Object.entries(inside)) {
      const opened = await openContext(browser, origin, { javaScriptEnabled: false, storageState: await context.storageState() });
      still[who] = await opened.context.newPage();
    }
    await checkRoutes([...PAGES(known), ...OTHERS(known)]);
    const pages = [];
    for (const one of PAGES(known)) {
      const who = one.who ?? "auditor";
      pages.push(await checkPage(inside[who], one, pages.length + 1));
      await checkWithoutScript(still[who], pages.at(-1));
    }
    claimGuarded(plain.heard, "without script");
    checkTitles(pages);
    await checkHtml(pages.map(({ at, html }) => ({ subject: at, html })));
    for (const { at } of OTHERS(known)) {
      const answer = await inside.auditor.context.request.get(origin + at);
      claim(at, "status 200", unless(answer.status() === 200, `status ${answer.status()}`));
      claim(at, "the answer has its headers", unguarded({ url: answer.url(), status: answer.status(), headers: answer.headers() }));
      await answer.dispose();
    }
  } finally {
    await browser.close();
  }
});
