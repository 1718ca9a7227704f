// Makes an exhibit as a reader does, takes its file elsewhere, and holds it to checking itself there: in a browser
// without a network, against every change that matters, without script, and on paper. Looks at the other sheets to
// hand over, too: the certificate of a search that found nothing and the page of exports.
//
//   BASE_URL=http://127.0.0.1:8080 USER=auditor PASSWORD=… node exhibit.mjs [--pictures DIR]
//
// Prints what failed and a line of counts; exits 1 when a claim failed.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs, promisify } from "node:util";
import { chromium } from "playwright-core";
import { CHROMIUM_FLAGS, WIDE, checkAccessibility, checkHtml, checkOverflow, claim, claimGuarded, hearAnswers, holds, takePictures, unless } from "./claims.mjs";

const { values: flags } = parseArgs({ options: { pictures: { type: "string" } } });
const { BASE_URL, USER, PASSWORD } = process.env;
if (!BASE_URL || !USER || !PASSWORD) {
  console.error("exhibit.mjs: BASE_URL, USER and PASSWORD must be set");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;
const folder = await mkdtemp(path.join(tmpdir(), "teamchat-archive-exhibit-"));
const heard = { console: [], requests: [] };

async function openContext(browser, options) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", ...options });
  context.setDefaultTimeout(20_000);
  context.on("console", (message) => {
    if (message.type() === "error") heard.console.push(message.text());
  });
  context.on("weberror", (error) => heard.console.push(String(error.error())));
  await context.addInitScript(() => {
    globalThis.__violations = [];
    document.addEventListener("securitypolicyviolation", (event) => globalThis.__violations.push(`${event.effectiveDirective} refused ${event.blockedURI}`));
  });
  return context;
}

// What is claimed of every page here.
async function look(page, name) {
  if (flags.pictures) await takePictures(page, flags.pictures, name);
  await checkOverflow(page, name);
  await checkAccessibility(page, name);
  claim(name, "no violation of the policy", await page.evaluate(() => globalThis.__violations ?? []));
}

async function make(page) {
  await page.goto(`${origin}/login`);
  await page.fill("input[name=username]", USER);
  await page.fill("input[name=password]", PASSWORD);
  await Promise.all([page.waitForURL((url) => !url.pathname.startsWith("/login")), page.locator("main button").click()]);
  await page.goto(`${origin}/exhibits`);
  await look(page, "exhibits, none");
  const pages = [{ subject: "exhibits, none", html: await (await page.request.get(`${origin}/exhibits`)).text() }];

  // Messages of a channel, some of which were edited and some of which answer others.
  await page.goto(`${origin}/search?q=crane`);
  const boxes = page.locator("[data-row]:has(a[data-key=o][href^='/c/']) input[name=record]");
  const count = Math.min(await boxes.count(), 4);
  for (let place = 0; place < count; place += 1) await boxes.nth(place).check();
  await Promise.all([page.waitForURL(/\/exhibits\/[0-9]+$/), page.locator("form#pick button").first().click()]);
  claim("exhibit", "is made of what is ticked in a search", unless((await page.locator("article.item").count()) >= count, "fewer messages than were ticked"));
  const text = await page.locator("main").innerText();
  for (const due of ["SHA-256", "Checkpoint", "Times in", "Made by"]) claim("exhibit", `says ${due}`, unless(text.includes(due), text.slice(0, 2000)));
  await look(page, "exhibit");
  pages.push({ subject: "exhibit", html: await (await page.request.get(page.url())).text() });
  const number = new URL(page.url()).pathname.split("/")[2];
  await page.goto(`${origin}/exhibits`);
  await look(page, "exhibits");

  for (const [name, address] of [["certificate, nothing", "/certificate?q=%22no+such+phrase%22+zqxvz"], ["certificate", "/certificate?q=crane&state=deleted&state=edited"]]) {
    await page.goto(origin + address);
    claim(name, "has the number of its entry in the access log", unless(/Entry in the access log:?\s*[0-9,]+/.test(await page.locator("main").innerText()), "none"));
    await look(page, name);
    pages.push({ subject: name, html: await (await page.request.get(origin + address)).text() });
  }
  const exports = await page.goto(`${origin}/exports?q=crane&state=deleted`);
  claim("exports", "are open to who may export", unless(exports.status() === 200, `status ${exports.status()}`));
  await look(page, "exports");
  await Promise.all([page.waitForURL(/\/exports\/[0-9]+$/), page.locator("form.card button").last().click()]);
  await page.locator("a[href$='/set.zip']").or(page.locator("progress")).first().waitFor();
  for (let tries = 0; tries < 100 && (await page.locator("a[href$='/set.zip']").count()) === 0; tries += 1) {
    await page.reload();
    await page.waitForLoadState();
  }
  claim("export", "is made and can be downloaded", unless((await page.locator("a[href$='/set.zip']").count()) === 1, await page.locator("main").innerText()));
  await look(page, "export");
  pages.push({ subject: "export", html: await (await page.request.get(page.url())).text() });
  pages.push({ subject: "exports", html: await (await page.request.get(`${origin}/exports`)).text() });
  await page.goto(`${origin}/exhibits/${number}`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("a[href$='/exhibit.html']").click()]);
  const file = path.join(folder, "exhibit.html");
  await download.saveAs(file);
  pages.push({ subject: "exhibit file", html: await readFile(file, "utf8") });
  await checkHtml(pages);
  return file;
}

const verdict = async (page) => {
  await page.locator("#verdict:is(.good, .part, .none, .bad, .off, .failed)").waitFor();
  return { good: await page.locator("#verdict.good").count(), kind: (await page.locator("#verdict").getAttribute("class")).replace("verdict ", ""), text: await page.locator("#verdict").innerText(), wrong: await page.locator(".item.wrong").count() };
};

async function open(page, html, name = "changed.html") {
  const place = path.join(folder, name);
  await writeFile(place, html);
  await page.goto(pathToFileURL(place).href);
  return verdict(page);
}

async function checkFile(browser, file) {
  const context = await openContext(browser, { offline: true });
  const page = await context.newPage();
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) heard.requests.push(request.url());
  });
  const html = await readFile(file, "utf8");
  const first = await open(page, html, "exhibit.html");
  claim("exhibit file", "finds itself as it was signed, without a network", unless(first.good === 1 && /Checked: all records \([0-9]+\) are as signed/.test(first.text), first.text));
  await look(page, "exhibit file");

  const said = await page.locator(".said[data-is=text]").first().innerText();
  const word = /[A-Za-z]{4,}/.exec(said)[0];
  const author = await page.locator("[data-is=author]").first().innerText();
  const time = await page.locator("time[data-is=clock][data-from=key]").first().innerText();
  const digest = await page.locator("[data-is=sha256]").first().innerText();
  const leaf = await page.locator("[data-is=leaf]").first().innerText();
  const proof = (await page.locator("pre.proof").first().textContent()).split("\n").find((line) => line.startsWith("extra ")).slice(40, 80);
  const inText = html.indexOf(">", html.indexOf('data-is="text"'));
  const swapWord = html.slice(0, inText) + html.slice(inText).replace(word, "Xyzzy");
  for (const [what, changed] of [
    ["a word of a message", swapWord],
    ["the author", html.replaceAll(`>${author}</bdi>`, ">Somebody Else</bdi>").replace(/data-name-of="[^"]*">Somebody Else/g, (match) => match.replace("Somebody Else", author))],
    ["the time", html.replace(time, "2001-01-01 00:00:00 +00:00")],
    ["a hash", html.replaceAll(digest, "0".repeat(64))],
    ["a leaf", html.replaceAll(leaf, "1".repeat(64))],
    ["a proof", html.replace(proof, [...proof].reverse().join(""))],
  ]) {
    const found = await open(page, changed);
    claim("exhibit file", `is red when ${what} was changed`, unless(changed !== html && found.good === 0 && found.text.includes("NOT AS SIGNED") && (found.wrong > 0 || what === "a proof"), found.text));
  }
  // As of a record that was not signed yet: no proof, and nothing that is bound to one.
  const unsigned = (text, number) => text.replace(new RegExp(`<h3>[^<]*</h3><pre class="proof" data-proof="${number}"[^>]*>[^<]*</pre>`, "g"), "").replaceAll(new RegExp(` data-record="${number}" data-is="[a-z0-9]*"( data-from="[^"]*")?( data-before="[^"]*")?`, "g"), "");
  const numbers = [...html.matchAll(/data-proof="([0-9]+)"/g)].map((match) => match[1]);
  const one = await page.locator(".said[data-is=text]").first().getAttribute("data-record");
  const some = await open(page, unsigned(swapWord, one));
  claim("exhibit file", "is not green when a record in it has no proof", unless(numbers.length > 1 && some.kind === "part" && some.text.includes("Proved in part only") && (await page.locator(".loose").count()) > 1, `${some.kind}: ${some.text}`));
  await look(page, "exhibit file, proved in part");
  if (flags.pictures) await takePictures(page, flags.pictures, "exhibit-file-part");
  const none = await open(page, numbers.reduce(unsigned, html));
  claim("exhibit file", "is neither good nor bad when nothing in it has a proof", unless(none.kind === "none" && none.text.includes("Not proved: there is no proof in this file") && !none.text.includes("Checked with the key"), `${none.kind}: ${none.text}`));
  await look(page, "exhibit file without a proof");
  if (flags.pictures) await takePictures(page, flags.pictures, "exhibit-file-none");
  const keyless = await open(page, html.replace(/(<pre id="key"[^>]*>)[^<]*/, "$1no key"));
  claim("exhibit file", "is refused when the key in it was changed", unless(keyless.kind === "failed" && keyless.text.startsWith("NOT CHECKED"), `${keyless.kind}: ${keyless.text}`));
  await open(page, swapWord);
  if (flags.pictures) await takePictures(page, flags.pictures, "exhibit-file-changed");

  await page.goto(pathToFileURL(file).href);
  await verdict(page);
  const other = path.join(folder, "other.vkey");
  await writeFile(other, "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n");
  await page.setInputFiles("#key-file", other);
  await page.locator("#verdict.bad").waitFor();
  claim("exhibit file", "is refused with the key of another", unless((await page.locator("#verdict").innerText()).includes("PeterNeumann"), "it is not"));
  // A browser that is given the file again which it has does not say so: each has a name of its own.
  const broken = path.join(folder, "broken.vkey");
  await writeFile(broken, "no key\n");
  await page.setInputFiles("#key-file", broken);
  await page.locator("#verdict.off").waitFor();
  claim("exhibit file", "says of what is no key that nothing was checked", unless(/^Not checked/.test((await page.locator("#verdict").innerText()).trim()) && (await page.locator("#verdict-by").isHidden()), await page.locator("#verdict").innerText()));
  const own = path.join(folder, "own.vkey");
  await writeFile(own, await page.locator("#key").textContent());
  await page.setInputFiles("#key-file", own);
  await page.locator("#verdict.good").waitFor();
  claim("exhibit file", "says that the key was one's own", unless((await page.locator("#verdict-by").innerText()).includes(", which you chose."), await page.locator("#verdict-by").innerText()));
  claim("exhibit file", "asks nobody", heard.requests);

  await page.goto(pathToFileURL(file).href);
  await verdict(page);
  const paper = path.join(folder, "exhibit.pdf");
  await page.pdf({ path: paper, preferCSSPageSize: true });
  const { stdout } = await promisify(execFile)("pdftotext", ["-layout", paper, "-"], { maxBuffer: 64 << 20 });
  const squeezed = stdout.replaceAll(/\s+/g, "");
  claim("exhibit file", "is printed with texts and hashes", unless(squeezed.includes(digest) && squeezed.includes(word) && !squeezed.includes("c2sp.org/tlog-proof"), stdout.slice(0, 2000)));
  await context.close();

  const plain = await openContext(browser, { offline: true, javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(pathToFileURL(file).href);
  const text = await still.locator("main").innerText();
  claim("exhibit file", "is read without script, and says that it was not checked", unless(text.includes("Not checked") && text.includes(word) && text.includes(digest), text.slice(0, 2000)));
  await plain.close();
}

async function main() {
  if (flags.pictures) await mkdir(flags.pictures, { recursive: true });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_FLAGS });
  try {
    const context = await openContext(browser, { acceptDownloads: true });
    hearAnswers(context, origin, heard);
    const file = await make(await context.newPage());
    await context.close();
    await checkFile(browser, file);
    claim("exhibit.mjs", "no error on the console", heard.console);
    claimGuarded(heard);
  } finally {
    await browser.close();
    await rm(folder, { recursive: true });
  }
}

await holds(main);
