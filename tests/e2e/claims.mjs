// What the browser tests share: claims, and what is claimed of every page.

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { AxeBuilder } from "@axe-core/playwright";

export const WIDE = { width: 1280, height: 900 };
const NARROW_WIDTHS = [400, 320];
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

// How it went, as the last line and the status of the process.
export function conclude() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

export const hasFailed = () => failed > 0;

// One claim: `problems` is empty when it holds.
export function claim(subject, what, problems) {
  const number = passed + failed + 1;
  if (problems.length === 0) {
    passed += 1;
    console.log(`ok ${number} - ${subject}: ${what}`);
  } else {
    failed += 1;
    console.log(`not ok ${number} - ${subject}: ${what}`);
    for (const problem of problems) console.log(`  # ${String(problem).replaceAll("\n", "\n  # ")}`);
  }
}

export const unless = (holds, problem) => (holds ? [] : [problem]);

export async function checkOverflow(page, subject) {
  for (const width of NARROW_WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    const wide = await page.evaluate(() => {
      const room = document.documentElement.clientWidth;
      if (document.scrollingElement.scrollWidth <= room) return [];
      const culprits = [...document.querySelectorAll("body *")]
        .filter((element) => element.getBoundingClientRect().right > room + 0.5)
        .slice(0, 5)
        .map((element) => `<${element.localName} class="${element.getAttribute("class") ?? ""}"> reaches ${Math.round(element.getBoundingClientRect().right)} px`);
      return [`the page is ${document.scrollingElement.scrollWidth} px wide`, ...culprits];
    });
    claim(subject, `fits in ${width} px`, wide);
  }
  await page.setViewportSize(WIDE);
}

export async function checkAccessibility(page, subject) {
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme });
    const { violations } = await new AxeBuilder({ page }).withTags(AXE_TAGS).analyze();
    const problems = violations.flatMap((violation) =>
      violation.nodes.slice(0, 3).map((node) => `${violation.id}: ${violation.help}: ${node.target.join(" ")}\n${node.failureSummary}`),
    );
    claim(subject, `axe finds nothing (${scheme})`, problems);
  }
  await page.emulateMedia({ colorScheme: "light" });
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
