// Reads every kind of page of a running `teamchat-archive serve` as a browser does, and says what is wrong.
//
//   BASE_URL=http://127.0.0.1:8080 USER=auditor PASSWORD=… node pages.mjs [--pictures DIR]
//
// Signs in through the form of /login, then follows every link of the same origin, breadth first. Prints one
// TAP-like line for each claim and closes with "N passed, M failed"; exits 1 when a claim failed.

import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { CHROMIUM_FLAGS, WIDE, checkAccessibility, checkHtml, checkOverflow, claim, conclude, hasFailed, takePictures, unless } from "./claims.mjs";

const MAX_PAGES = 40;
const MAX_PAGES_PER_KIND = 2;

const { values: flags } = parseArgs({ options: { pictures: { type: "string" } } });
const { BASE_URL, USER, PASSWORD } = process.env;
if (!BASE_URL || !USER || !PASSWORD) {
  console.error("pages.mjs: BASE_URL, USER and PASSWORD must be set");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;

// Where a page lives, for people: the address without the origin.
const shown = (url) => url.slice(origin.length) || "/";

// Pages of one kind differ only in what names a record, a channel, a person or a moment. A segment that is a
// plain word is part of the kind; query parameters count by name.
function kindOf(url) {
  const { pathname, searchParams } = new URL(url);
  const segments = pathname.split("/").map((segment) => (/^[a-z][a-z_-]{0,19}$/.test(segment) ? segment : segment && "*"));
  const names = [...new Set(searchParams.keys())].sort();
  return segments.join("/") + (names.length ? `?${names.join("&")}` : "");
}

// Same-origin addresses of a page's links, without fragments. Signing out would end the walk.
function linksToFollow(hrefs) {
  return hrefs
    .map((href) => href.split("#")[0])
    .filter((href) => href.startsWith(`${origin}/`))
    .filter((href) => !/\/(logout|sign-?out)\b/.test(new URL(href).pathname));
}

// Opens a context that records what pages complain about. Nothing leaves the origin under test.
async function openContext(browser, options) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", ...options });
  context.setDefaultTimeout(20_000);
  const heard = { console: [], foreign: [] };
  context.on("console", (message) => {
    if (message.type() === "error") heard.console.push(message.text());
  });
  context.on("weberror", (error) => heard.console.push(String(error.error())));
  await context.route(
    (url) => /^(https?|wss?):$/.test(url.protocol) && url.origin !== origin,
    (route) => {
      heard.foreign.push(route.request().url());
      return route.abort();
    },
  );
  await context.addInitScript(() => {
    globalThis.__violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      globalThis.__violations.push(`${event.effectiveDirective} refused ${event.blockedURI} (${event.sourceFile ?? ""})`);
    });
  });
  return { context, heard };
}

async function signIn(page) {
  await page.goto(`${origin}/login`);
  await page.fill("input[name=username]", USER);
  await page.fill("input[name=password]", PASSWORD);
  const [response] = await Promise.all([
    page.waitForNavigation(),
    page.locator("form:has(input[name=password]) :is(button:not([type]), button[type=submit], input[type=submit])").click(),
  ]);
  return response;
}

// All claims about one page in one browser with script; returns what later checks need.
async function checkPage({ context, heard }, url, pictureName) {
  const subject = shown(url);
  heard.console.length = 0;
  heard.foreign.length = 0;
  const page = await context.newPage();
  try {
    const response = await page.goto(url, { waitUntil: "load" });
    const html = await response.text();
    claim(subject, "status 200", unless(response.status() === 200, `status ${response.status()}`));
    const seen = await page.evaluate(() => ({
      headings: [...document.querySelectorAll("h1")].map((heading) => heading.textContent.trim()),
      title: document.title.trim(),
      links: [...document.querySelectorAll("a[href]")].map((link) => link.href),
      violations: globalThis.__violations,
    }));
    claim(subject, "exactly one h1", unless(seen.headings.length === 1 && seen.headings[0], `h1: ${JSON.stringify(seen.headings)}`));
    claim(subject, "no violation of the content security policy", seen.violations);
    if (pictureName) await takePictures(page, flags.pictures, pictureName);
    await checkOverflow(page, subject);
    await checkAccessibility(page, subject);
    claim(subject, "no error on the console", heard.console);
    claim(subject, "no request to another origin", heard.foreign);
    return { url, html, title: seen.title, heading: seen.headings[0], links: linksToFollow(seen.links) };
  } finally {
    await page.close();
  }
}

// A page without script: it answers, and says the same under the same heading.
async function checkWithoutScript({ context }, { url, heading }) {
  const subject = shown(url);
  const page = await context.newPage();
  try {
    const response = await page.goto(url, { waitUntil: "load" });
    claim(subject, "status 200 without script", unless(response.status() === 200, `status ${response.status()}`));
    const main = page.locator("main");
    const problems = [];
    if ((await main.count()) !== 1) problems.push(`${await main.count()} main elements`);
    else if (!(await main.innerText()).trim()) problems.push("main is empty");
    const headings = await page.locator("h1").allTextContents();
    if (headings[0]?.trim() !== heading) problems.push(`the heading is ${JSON.stringify(headings)}, with script ${JSON.stringify(heading)}`);
    claim(subject, "content is there without script", problems);
  } finally {
    await page.close();
  }
}

// No two addresses share a title, whatever their query.
function checkTitles(pages) {
  const owners = new Map();
  for (const { url, title } of pages) {
    const { pathname } = new URL(url);
    const owner = owners.get(title) ?? pathname;
    owners.set(title, owner);
    const problems = title ? unless(owner === pathname, `${JSON.stringify(title)} is also the title of ${owner}`) : ["the title is empty"];
    claim(shown(url), "a title of its own", problems);
  }
}

// Follows links breadth first from `/`; what is not a page (a download, a feed) only has to be there.
async function walk(browser) {
  const queue = [`${origin}/`];
  const queued = new Set(queue);
  const visited = new Set();
  const perKind = new Map();
  const pages = [];
  while (queue.length > 0 && visited.size < MAX_PAGES) {
    const asked = queue.shift();
    const kind = kindOf(asked);
    if ((perKind.get(kind) ?? 0) >= MAX_PAGES_PER_KIND) continue;
    perKind.set(kind, (perKind.get(kind) ?? 0) + 1);
    const response = await browser.context.request.get(asked);
    const url = response.url().split("#")[0];
    if (visited.has(url)) continue;
    visited.add(url);
    const headers = response.headers();
    const isPage = /^text\/html\b/.test(headers["content-type"] ?? "") && !/^attachment\b/.test(headers["content-disposition"] ?? "");
    const status = response.status();
    await response.dispose();
    if (!isPage) {
      claim(shown(url), "status 200", unless(status === 200, `status ${status}`));
      continue;
    }
    const name = `${String(pages.length + 1).padStart(2, "0")}${kindOf(url).replaceAll(/[^a-z]+/g, "-").replace(/-$/, "")}`;
    const page = await checkPage(browser, url, flags.pictures && name);
    pages.push(page);
    for (const link of page.links) {
      if (!queued.has(link)) {
        queued.add(link);
        queue.push(link);
      }
    }
  }
  return pages;
}

async function main() {
  if (flags.pictures) await mkdir(flags.pictures, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: CHROMIUM_FLAGS,
  });
  try {
    const outside = await openContext(browser, {});
    const login = await checkPage(outside, `${origin}/login`, flags.pictures && "00-login");
    await checkWithoutScript(await openContext(browser, { javaScriptEnabled: false }), login);

    const inside = await openContext(browser, {});
    const plain = await openContext(browser, { javaScriptEnabled: false });
    for (const [{ context }, how] of [[inside, "signs in"], [plain, "signs in without script"]]) {
      const page = await context.newPage();
      const response = await signIn(page);
      const where = new URL(page.url()).pathname;
      claim("/login", how, unless(response.status() === 200 && where !== "/login", `status ${response.status()} at ${where}`));
      await page.close();
    }
    if (hasFailed() && (await inside.context.cookies()).length === 0) return;

    const pages = await walk(inside);
    claim("/", "leads to other pages", unless(pages.length > 1, `${pages.length} pages found`));
    for (const page of pages) await checkWithoutScript(plain, page);
    checkTitles([login, ...pages]);
    await checkHtml([login, ...pages].map(({ url, html }) => ({ subject: shown(url), html })));
  } finally {
    await browser.close();
  }
}

try {
  await main();
} catch (error) {
  claim("pages.mjs", "runs to its end", [error.stack ?? error]);
}
conclude();
