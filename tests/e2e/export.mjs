// Reads the pages of a set of the format `html`, opened from files in a browser without a network, and prints
// some of them to PDF.
//
//   node export.mjs FOLDER [--pictures DIR]
//
// FOLDER is the `data` of a set. Prints what failed and a line of counts; exits 1 when a claim failed.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs, promisify } from "node:util";
import { chromium } from "playwright-core";
import { CHROMIUM_FLAGS, WIDE, checkAccessibility, checkHtml, checkOverflow, claim, conclude, takePictures, unless } from "./claims.mjs";

const MAX_PAGES_CLOSE = 6;

const { values: flags, positionals } = parseArgs({ options: { pictures: { type: "string" } }, allowPositionals: true });
const root = path.resolve(positionals[0]);

const entries = await readdir(path.join(root, "conversations"), { recursive: true });
const names = ["index.html", ...entries.filter((name) => name.endsWith(".html")).map((name) => `conversations/${name}`)].sort();
const sources = new Map(await Promise.all(names.map(async (name) => [name, await readFile(path.join(root, name), "utf8")])));

// The pages that are looked at closely: the index, and the ones with most in them of each kind.
const by = (pattern) => [...sources].sort(([, a], [, b]) => b.split(pattern).length - a.split(pattern).length)[0][0];
const close = [...new Set(["index.html", by('class="picture"'), by('class="evidence"'), by('class="file"'), by('class="history"'), by(/[\u0590-\u08ff]/)])].slice(0, MAX_PAGES_CLOSE);

const heard = { console: [], requests: [] };
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_FLAGS });
const folder = await mkdtemp(path.join(tmpdir(), "teamchat-archive-export-"));
try {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", offline: true });
  context.setDefaultTimeout(20_000);
  context.on("console", (message) => heard.console.push(`${message.type()}: ${message.text()}`));
  context.on("weberror", (error) => heard.console.push(String(error.error())));
  context.on("request", (request) => {
    if (!request.url().startsWith(pathToFileURL(root).href)) heard.requests.push(request.url());
  });
  const page = await context.newPage();
  const unseen = [];
  for (const name of names) {
    await page.goto(pathToFileURL(path.join(root, name)).href);
    const broken = await page.evaluate(() => [...document.images].filter((image) => !image.complete || image.naturalWidth === 0).map((image) => image.getAttribute("src")));
    unseen.push(...broken.map((src) => `${name}: ${src}`));
  }
  claim(`${names.length} pages`, "say nothing on the console", heard.console);
  claim(`${names.length} pages`, "ask for nothing but files of the set", heard.requests);
  claim(`${names.length} pages`, "show their pictures", unseen);

  for (const name of close) {
    await page.goto(pathToFileURL(path.join(root, name)).href);
    await checkOverflow(page, name);
    await checkAccessibility(page, name);
    const pdf = path.join(folder, "page.pdf");
    await page.pdf({ path: pdf, format: "A4", preferCSSPageSize: true });
    const { stdout: printed } = await promisify(execFile)("pdftotext", ["-layout", pdf, "-"], { maxBuffer: 64 * 1024 * 1024 });
    const records = [...sources.get(name).matchAll(/<li id="r(\d+)">/g)].map(([, record]) => record);
    claim(name, "is printed with the number of every record", records.filter((record) => !new RegExp(`\\b${record}\\b`).test(printed)));
    claim(name, "has page numbers on paper", unless(/\b1 ?\/ ?\d+/.test(printed), printed.slice(0, 400)));
    if (flags.pictures) {
      await mkdir(flags.pictures, { recursive: true });
      await takePictures(page, flags.pictures, `export-${name.replace(/[^\w.-]+/g, "_")}`);
      await promisify(execFile)("cp", [pdf, path.join(flags.pictures, `export-${name.replace(/[^\w.-]+/g, "_")}.pdf`)]);
    }
  }

  // From the first day to the last by the links at the foot.
  const first = names.find((name) => sources.get(name).includes('rel="next"'));
  await page.goto(pathToFileURL(path.join(root, first)).href);
  await Promise.all([page.waitForNavigation(), page.locator('nav a[rel="next"]').click()]);
  // The first step is a click; where the others lead is read in the files.
  let here = path.relative(root, fileURLToPath(page.url()));
  let steps = 1;
  for (let next; (next = /<a[^>]*(?:rel="next"[^>]*href="([^"]+)"|href="([^"]+)"[^>]*rel="next")/.exec(sources.get(here) ?? "")) && steps < names.length; steps += 1) {
    here = path.join(path.dirname(here), decodeURIComponent(next[1] ?? next[2]));
  }
  const due = names.filter((name) => path.dirname(name) === path.dirname(first)).length - 1;
  claim(first, "leads to every later day", unless(steps === due, `${steps} steps for ${due} days`));
} finally {
  await browser.close();
  await rm(folder, { recursive: true });
}
await checkHtml(close.map((name) => ({ subject: name, html: sources.get(name) })));
conclude();
