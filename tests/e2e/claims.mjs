// What the browser tests share: claims, and what is claimed of every page.

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 320, height: 800 };
const PICTURE_WIDTHS = [1280, 400];
const MAX_PICTURE_HEIGHT = 6000;
const SCHEMES = ["light", "dark"];
const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];
export const CHROMIUM_FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const VNU_JAR = fileURLToPath(new URL("node_modules/vnu-jar/build/dist/vnu.jar", import.meta.url));

let passed = 0;
let failed = 0;

const begun = performance.now();
const script = path.basename(process.argv[1]);

// How it went, as the last line and the status of the process.
export function conclude() {
  console.log(`${script}: ${passed} passed, ${failed} failed, in ${Math.round((performance.now() - begun) / 1000)} s`);
  process.exitCode = failed > 0 ? 1 : 0;
}

// One claim: `problems` is empty when it holds. One that does not is said at once, with what is wrong.
export function claim(subject, what, problems) {
  if (problems.length === 0) {
    passed += 1;
    return;
  }
  failed += 1;
  console.log(`not ok - ${script}: ${subject}: ${what}`);
  for (const problem of problems) console.log(`  # ${String(problem).replaceAll("\n", "\n  # ")}`);
}

// What a run of claims throws is a claim that failed.
export async function holds(run) {
  try {
    await run();
  } catch (error) {
    claim("the script", "runs to its end", [error.stack ?? error]);
  }
  conclude();
}

export const unless = (holds, problem) => (holds ? [] : [problem]);

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_FLAGS });

// What every answer of ours says to a browser, whatever it answers.
const POLICY = [
  "default-src 'none'",
  ...["script", "style", "img", "font", "connect"].map((kind) => `${kind}-src 'self'`),
  "form-action 'self'",
  "frame-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types archive",
  "report-uri /csp-report",
].join("; ");
const FIXED = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "x-robots-tag": "noindex",
};
const DEVICES = ["camera", "microphone", "geolocation", "usb", "payment", "serial", "hid", "display-capture"];
// What would tell of us, let others in, or bind a browser to TLS where there is none.
const NEVER = ["server", "x-powered-by", "access-control-allow-origin", "access-control-allow-credentials", "strict-transport-security"];

// What the headers of an answer lack, or say too much; `headers` has their names in small letters.
export function unguarded({ url, status, headers }) {
  const wrong = Object.entries(FIXED).flatMap(([name, due]) => unless(headers[name] === due, `${name}: ${headers[name]}`));
  // A content brings a policy of its own, under which it may do nothing.
  const policy = headers["content-security-policy"] ?? "";
  const isContent = policy.startsWith("sandbox; default-src 'none'");
  wrong.push(...unless(policy === POLICY || isContent, `content-security-policy: ${policy}`));
  const closed = (headers["permissions-policy"] ?? "").split(", ");
  wrong.push(...DEVICES.filter((device) => !closed.includes(`${device}=()`)).map((device) => `${device} is not closed`));
  const due = new URL(url).pathname.startsWith("/static/") && status === 200 ? "public, max-age=31536000, immutable" : "no-store";
  wrong.push(...unless(headers["cache-control"] === due, `cache-control: ${headers["cache-control"]}`));
  wrong.push(...unless(/^[0-9a-f]{16}$/.test(headers["x-request-id"]), `x-request-id: ${headers["x-request-id"]}`));
  wrong.push(...NEVER.filter((name) => name in headers).map((name) => `${name}: ${headers[name]}`));
  const kind = headers["content-type"] ?? "";
  wrong.push(...unless(kind || !Number(headers["content-length"] ?? 0), "a body of no type"));
  wrong.push(...unless(!kind.startsWith("text/") || kind.includes("charset=utf-8"), `no character set: ${kind}`));
  wrong.push(...unless(!isContent || !kind.startsWith("text/html") || headers["content-disposition"]?.startsWith("attachment"), "a content as a page"));
  return wrong.map((problem) => `${status} ${url}: ${problem}`);
}

// Judges the headers of whatever a browser is answered by us, but for what a script makes itself: into `heard.answers`
// and `heard.unguarded`.
export function hearAnswers(context, origin, heard, isOurs = () => true) {
  Object.assign(heard, { answers: [], unguarded: [] });
  context.on("response", (response) => {
    const answer = { url: response.url(), status: response.status(), headers: response.headers() };
    if (new URL(answer.url).origin !== origin || !isOurs(answer.url)) return;
    heard.answers.push(`${answer.status} ${answer.url}`);
    heard.unguarded.push(...unguarded(answer));
  });
}

export function claimGuarded(heard, subject = "all pages") {
  claim(subject, "every answer has its headers", [...heard.unguarded, ...unless(heard.answers.length > 0, "no answer was heard")]);
}

// A browser of one reader, with what it complains of: `heard.console`, `heard.foreign` (requests to another origin,
// none of which is let through), `heard.refused` (what the policy of a page refused) and `heard.unguarded` (what the
// headers of our answers lack, of all that are in `heard.answers`).
export async function openContext(browser, origin, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", ...options });
  context.setDefaultTimeout(20_000);
  const heard = { console: [], foreign: [], refused: [] };
  context.on("console", (message) => {
    if (message.type() === "error") heard.console.push(`${message.text()} (${message.location().url})`);
  });
  context.on("weberror", (error) => heard.console.push(String(error.error())));
  hearAnswers(context, origin, heard);
  await context.route(
    (url) => /^(https?|wss?):$/.test(url.protocol) && url.origin !== origin,
    (route) => {
      heard.foreign.push(route.request().url());
      return route.abort();
    },
  );
  await context.exposeBinding("tellRefused", (_, what) => heard.refused.push(what)).catch(() => {});
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => globalThis.tellRefused(`${event.effectiveDirective} refused ${event.blockedURI} on ${location.href}`));
  });
  return { context, heard };
}

// Signs in by the form of /login; true when that led away from it.
export async function signIn(page, origin, name, password) {
  await page.goto(`${origin}/login`);
  await page.fill("input[name=username]", name);
  await page.fill("input[name=password]", password);
  await Promise.all([page.waitForNavigation(), page.click("form:has(input[name=password]) button")]);
  return new URL(page.url()).pathname !== "/login";
}

// Fits on a narrow screen and on a wide one, but for what scrolls by itself.
export async function checkOverflow(page, subject) {
  for (const size of [NARROW, WIDE]) {
    await page.setViewportSize(size);
    const wide = await page.evaluate(() => {
      const room = document.documentElement.clientWidth;
      if (document.scrollingElement.scrollWidth <= room) return [];
      const culprits = [...document.querySelectorAll("body *")]
        .filter((element) => element.getBoundingClientRect().right > room + 0.5)
        .slice(0, 5)
        .map((element) => `<${element.localName} class="${element.getAttribute("class") ?? ""}"> reaches ${Math.round(element.getBoundingClientRect().right)} px`);
      return [`the page is ${document.scrollingElement.scrollWidth} px wide`, ...culprits];
    });
    claim(subject, `fits in ${size.width} px`, wide);
  }
}

// Once for what is judged everywhere; `everyLook`: by day and by night, on a wide screen and on a narrow one, and in
// the few colours that a reader has chosen for all programs.
export async function checkAccessibility(page, subject, everyLook = false) {
  const looks = everyLook
    ? [...SCHEMES.flatMap((scheme) => [WIDE, NARROW].map((size) => [scheme, "none", size])), ["dark", "active", WIDE]]
    : [["light", "none", WIDE]];
  for (const [colorScheme, forcedColors, size] of looks) {
    await page.emulateMedia({ colorScheme, forcedColors });
    await page.setViewportSize(size);
    // Forced colours are those of the system, and axe reads of links the one that was overruled: what counts there is
    // that nothing keeps its own.
    const isForced = forcedColors === "active";
    const { violations } = await new AxeBuilder({ page }).withTags(AXE_TAGS).disableRules(isForced ? ["color-contrast"] : []).analyze();
    const stubborn = isForced ? await page.locator("body *").evaluateAll((all) => all.filter((one) => getComputedStyle(one).forcedColorAdjust === "none" && !one.closest("svg")).map((one) => one.outerHTML.slice(0, 120))) : [];
    const problems = violations.flatMap((violation) =>
      violation.nodes.slice(0, 3).map((node) => `${violation.id}: ${violation.help}: ${node.target.join(" ")}\n${node.failureSummary}`),
    );
    claim(subject, `axe finds nothing (${isForced ? "forced colours" : colorScheme}, ${size.width} px)`, [...problems, ...stubborn]);
  }
  await page.emulateMedia({ colorScheme: "light", forcedColors: "none" });
  await page.setViewportSize(WIDE);
}

// Opens a page and claims what is claimed of each, however it came about; gives its HTML to checkHtml. A script that
// listens for errors on the console hears of a status that is none of success.
export async function look(page, url, subject, { status = 200, everyLook = false } = {}) {
  const response = await page.goto(url, { waitUntil: "load" });
  claim(subject, `status ${status}`, unless(response.status() === status, `status ${response.status()}`));
  claim(subject, "exactly one h1, and a title", unless((await page.locator("h1").count()) === 1 && (await page.title()) !== "", `${await page.locator("h1").count()} h1, title ${await page.title()}`));
  await checkOverflow(page, subject);
  await checkAccessibility(page, subject, everyLook);
  return { subject, html: await response.text() };
}

export async function takePictures(page, directory, name) {
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of PICTURE_WIDTHS) {
      await page.setViewportSize({ width, height: WIDE.height });
      const height = await page.evaluate(() => document.documentElement.scrollHeight);
      await page.screenshot({
        path: path.join(directory, `${name}-${width}-${scheme}.png`),
        fullPage: true,
        clip: { x: 0, y: 0, width, height: Math.min(height, MAX_PICTURE_HEIGHT) },
      });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(WIDE);
}

// The HTML as it was sent, all pages in one start of the checker.
export async function checkHtml(pages) {
  const directory = await mkdtemp(path.join(tmpdir(), "teamchat-archive-pages-"));
  try {
    const files = await Promise.all(
      pages.map(async ({ html }, index) => {
        const file = path.join(directory, `${index}.html`);
        await writeFile(file, html);
        return file;
      }),
    );
    const { stdout } = await promisify(execFile)(
      "java",
      ["-jar", VNU_JAR, "--errors-only", "--format", "json", "--stdout", "--exit-zero-always", ...files],
      { maxBuffer: 64 * 1024 * 1024 },
    );
    const { messages } = JSON.parse(stdout);
    const known = new Map(pages.map((_, index) => [`${index}.html`, []]));
    for (const { url = "", lastLine, message, extract } of messages) {
      const list = known.get(path.basename(url)) ?? known.get("0.html");
      list.push(`line ${lastLine}: ${message}\n${extract ?? ""}`);
    }
    pages.forEach(({ subject }, index) => claim(subject, "the HTML is valid", known.get(`${index}.html`)));
  } finally {
    await rm(directory, { recursive: true });
  }
}
