// Has Lighthouse judge the pages of a demo, as on a desk and as on a telephone (its own slow processor and network).
//
//   node pages.mjs BINARY [--reports DIR]
//
// Starts the demo itself and signs in. Every page needs 0.95 for performance and 1.0 for accessibility and for good
// practice. Prints the marks of each page and what was marked down; exits 1 when a page has less.

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import lighthouse, { desktopConfig } from "lighthouse";
import { chromium } from "playwright-core";

const { values: flags, positionals } = parseArgs({ allowPositionals: true, options: { reports: { type: "string" } } });
if (positionals.length !== 1) {
  console.error("usage: node pages.mjs BINARY [--reports DIR]");
  process.exit(2);
}
const LEAST = { performance: 0.95, accessibility: 1, "best-practices": 1 };
const FORMS = { desk: desktopConfig, telephone: undefined };

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

// The line with which the demo says that it is ready.
async function ready(demo) {
  for await (const line of createInterface({ input: demo.stdout })) {
    const said = JSON.parse(line);
    if (said.password) return said;
  }
  throw new Error("the demo ended before it was ready");
}

// Signs in, and finds an example of each kind of page.
async function look(page, { url, username, password }) {
  await page.goto(new URL("/login", url).href);
  await page.fill("input[name=username]", username);
  await page.fill("input[name=password]", password);
  await Promise.all([page.waitForURL((at) => at.pathname === "/"), page.locator("main button").click()]);
  const first = async (from, links) => {
    await page.goto(new URL(from, url).href);
    return new URL(await page.locator(links).first().getAttribute("href"), url).pathname;
  };
  const timeline = await first("/c", "main td.name a");
  const record = await first("/search?q=is:edited", "a[href^='/r/']");
  const file = await first("/f", "tr:has(img) td.name a");
  return ["/", "/search?q=crane", timeline, record, "/f", file, "/people", "/crawl/coverage", "/verify", "/access"];
}

const folder = await mkdtemp(path.join(tmpdir(), "lighthouse-"));
const demo = spawn(positionals[0], ["demo", "--json", "--listen", "127.0.0.1:0", "--dir", path.join(folder, "demo")], {
  stdio: ["ignore", "pipe", "inherit"],
});
let browser;
let failed = 0;
try {
  const said = await ready(demo);
  const port = await freePort();
  browser = await chromium.launchPersistentContext(path.join(folder, "profile"), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", `--remote-debugging-port=${port}`],
  });
  const pages = await look(await browser.newPage(), said);
  for (const at of pages) {
    for (const [form, config] of Object.entries(FORMS)) {
      const options = { port, disableStorageReset: true, onlyCategories: Object.keys(LEAST), logLevel: "error" };
      const { lhr } = await lighthouse(new URL(at, said.url).href, options, config);
      const marks = Object.entries(LEAST).map(([name, least]) => ({ name, least, score: lhr.categories[name].score ?? 0 }));
      const low = marks.filter(({ score, least }) => score < least);
      failed += low.length;
      console.log(`${low.length ? "not ok" : "ok"} - ${at} (${form}): ${marks.map(({ name, score }) => `${name} ${score}`).join(", ")}`);
      for (const { name } of low) {
        for (const { id, weight } of lhr.categories[name].auditRefs) {
          const audit = lhr.audits[id];
          if (weight > 0 && audit.score !== null && audit.score < 1) console.log(`  # ${id}: ${audit.displayValue ?? audit.title}`);
        }
      }
      if (lhr.runtimeError) {
        failed += 1;
        console.log(`  # ${lhr.runtimeError.message}`);
      }
      if (flags.reports) {
        await mkdir(flags.reports, { recursive: true });
        await writeFile(path.join(flags.reports, `${at.replaceAll(/[^a-z0-9]+/gi, "-")}-${form}.json`), JSON.stringify(lhr));
      }
    }
  }
} finally {
  await browser?.close();
  if (demo.exitCode === null) {
    const ended = new Promise((resolve) => demo.once("exit", resolve));
    demo.kill("SIGTERM");
    await ended;
  }
  await rm(folder, { recursive: true, force: true });
}
process.exitCode = failed > 0 ? 1 : 0;
