// Looks at what people may upload and write to harm whoever reads it, with a browser: nothing of it runs.
//
//   node hostile.mjs BINARY
//
// Starts a sandbox, uploads pages, drawings and other things with a script in each, writes the like into messages and
// names, archives it all, and opens every way that leads to it. A script that ran would be heard in four ways: a dialog,
// a changed title, a request for /sentinel, a request to another origin. That it would be is shown first.
//
// Prints what failed and a line of counts; exits 1 when a claim failed.

import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { WIDE, checkAccessibility, claim, claimGuarded, hearAnswers, holds, launch, signIn, unless } from "./claims.mjs";
import { PASSWORD, archiveIn, startSandbox, stop } from "./sandbox.mjs";

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node hostile.mjs BINARY");
  process.exit(2);
}
const MOST_TO_PAINT = 500;

// What a script does that runs.
const run = (who) => `document.title="RAN";fetch("/sentinel?${who}");new Image().src="https://evil.example/${who}";alert("${who}");`;
const script = (who) => `<script>${run(who)}</script>`;
const onload = (who) => run(who).replaceAll('"', "&quot;");

// Each with the type under which a careless server would give it, and how it would run there: as a page that is opened
// (`page`), as a script of another page (`script`), or not in this browser at all, and why (`never`).
const UPLOADS = [
  { name: "page.html", runs: "page", type: "text/html", body: `<!doctype html><title>x</title>${script("html")}<body onload="${onload("html-load")}"><img src=x onerror="${onload("html-error")}">` },
  { name: "page.xhtml", runs: "page", type: "application/xhtml+xml", body: `<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title><script>${run("xhtml").replaceAll("&", "&amp;")}</script></head><body/></html>` },
  { name: "drawing.svg", runs: "page", type: "image/svg+xml", body: `<svg xmlns="http://www.w3.org/2000/svg" onload="${onload("svg")}"><script>${run("svg-script")}</script><foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="/sentinel?svg-frame"/></foreignObject></svg>` },
  { name: "data.xml", runs: "page", type: "text/xml", body: `<?xml version="1.0"?><x><script xmlns="http://www.w3.org/1999/xhtml">${run("xml")}</script></x>` },
  // Chromium has no XSLT any more; another browser would run it.
  { name: "styled.xml", runs: "never", type: "text/xml", body: `<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#s"?><x><xsl:stylesheet id="s" version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><html><script>${run("xslt")}</script></html></xsl:template></xsl:stylesheet></x>` },
  // Chromium opens such a mail from a file only, and lets no script run in it.
  { name: "mail.mht", runs: "never", type: "multipart/related", body: `MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n${script("mht")}` },
  { name: "program.js", runs: "script", type: "text/javascript", body: run("js") },
  { name: "picture.png", runs: "page", type: "text/html", body: script("png") },
  { name: "both.gif", runs: "page", type: "text/html", body: `GIF89a\x01\x00\x01\x00/*${script("gif")}*/=1;` },
  // What a paper runs, it runs inside its own reader, which a browser without a window does not have.
  { name: "paper.pdf", runs: "never", type: "application/pdf", body: `%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>` },
  { name: 'a"><img src=x onerror=alert(1)>.txt', runs: "page", type: "text/html", body: `\ufeff<html>${script("txt")}` },
];

const ATTACKS = [
  script("message"),
  `"><img src=x onerror="${run("message-img").replaceAll('"', "'")}">`,
  "<javascript:alert(1)|click me>",
  "<https://evil.example/\" onmouseover=\"alert(1)|hover>",
  "see <https://good.example@evil.example/way?x=1|https://good.example/>",
];

// A text from right to left with code in it, which runs from left to right.
const ARABIC = "شغّل الأمر `cargo run --release` الآن من فضلك";

async function archived(folder) {
  const sandbox = await startSandbox(binary);
  const { channels } = await sandbox.ask("channels.list");
  const channel = channels.find((one) => one.name === "legal").id;
  const user = channels.find((one) => one.name === "legal").members[0];
  const files = [];
  for (const { name, body } of UPLOADS) {
    const { file } = await sandbox.control("upload", { channel, user, name, base64: Buffer.from(body, "utf8").toString("base64") });
    files.push(file);
  }
  await sandbox.control("post", { channel, user, text: ARABIC });
  for (const text of ATTACKS) await sandbox.control("post", { channel, user, text });
  await sandbox.control("rename", { user, name: `Ann ${ATTACKS[1]}` });
  await sandbox.control("rename", { channel, name: `legal${ATTACKS[0]}` });
  const archive = archiveIn(binary, folder);
  await archive.enrol(sandbox.url, sandbox);
  await archive.run(["crawl", "--quiet"]);
  await archive.admit("reader", "auditor");
  await stop(sandbox.child);
  const { child, origin } = await archive.serve();
  return { served: child, origin, channel, user, files };
}

// What was heard of scripts since it was last asked.
class Ear {
  constructor() {
    this.heard = [];
  }
  async listen(context, origin) {
    await context.route("**/*", (route) => {
      const url = new URL(route.request().url());
      if (url.pathname === "/sentinel" || (url.origin !== origin && /^https?:$/.test(url.protocol))) {
        this.heard.push(`a request for ${url.href}`);
        return route.abort();
      }
      return route.fallback();
    });
    context.on("dialog", (dialog) => {
      this.heard.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
  }
  // What a page runs while it loads has run, and has asked for what it asks for, when it was painted; what was put into
  // it later (`isLate`) when it has nothing left to load.
  async of(page, isLate = false) {
    if (isLate) await page.waitForLoadState("networkidle").catch(() => {});
    // Where scripts are switched off, nobody is called when it is painted.
    const painted = page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))).catch(() => {});
    await Promise.race([painted, new Promise((done) => setTimeout(done, MOST_TO_PAINT))]);
    if ((await page.title().catch(() => "")) === "RAN") this.heard.push("a changed title");
    return this.heard.splice(0);
  }
}

// Opens an address; one that is saved is a download, and no page.
async function open(page, url) {
  const saved = page.waitForEvent("download", { timeout: 20_000 }).catch(() => null);
  try {
    const response = await page.goto(url, { waitUntil: "load" });
    return { response };
  } catch (error) {
    if (!/Download is starting|ERR_ABORTED/.test(String(error))) throw error;
    return { download: await saved };
  }
}

async function main(folder) {
  const { served, origin, channel, user, files } = await archived(folder);
  const browser = await launch();
  try {
    const context = await browser.newContext({ viewport: WIDE, acceptDownloads: true });
    context.setDefaultTimeout(20_000);
    const ear = new Ear();
    await ear.listen(context, origin);
    // What is answered by this script in the place of the server is judged by what it does.
    const answered = {};
    const asIfElsewhere = new Set([`${origin}/elsewhere`, `${origin}/holder`, `${origin}/sentinel`]);
    hearAnswers(context, origin, answered, (url) => !asIfElsewhere.has(url));
    const refused = [];
    await context.addInitScript(() => {
      globalThis.__refused = [];
      document.addEventListener("securitypolicyviolation", (event) => globalThis.__refused.push(`${event.effectiveDirective}: ${event.blockedURI}`));
    });
    const page = await context.newPage();
    claim("/login", "lets the reader in", unless(await signIn(page, origin, "reader", PASSWORD), page.url()));

    // What is given as it would be elsewhere runs, and is heard.
    for (const { name, type, body, runs } of UPLOADS) {
      await page.route(`${origin}/elsewhere`, (route) => route.fulfill({ body, contentType: type }));
      await page.route(`${origin}/holder`, (route) => route.fulfill({ body: '<!doctype html><title>x</title><script src="/elsewhere"></script>', contentType: "text/html" }));
      await open(page, `${origin}/${runs === "script" ? "holder" : "elsewhere"}`);
      const heard = await ear.of(page);
      if (runs === "never") claim(name, "runs nowhere in this browser: else it is to be tried below as what runs", heard);
      else claim(name, "would run elsewhere", unless(heard.length > 0, "it was not heard: the test is deaf"));
      await page.unroute(`${origin}/elsewhere`);
      await page.unroute(`${origin}/holder`);
    }

    for (const [place, { name, type, body }] of UPLOADS.entries()) {
      const address = `${origin}/f/${encodeURIComponent(files[place])}`;
      const bytes = Buffer.from(body, "utf8");
      const digest = createHash("sha256").update(bytes).digest("hex");
      for (const way of ["", "/text"]) {
        await page.goto(address + way, { waitUntil: "load" });
        claim(name, `its page${way} runs nothing`, await ear.of(page));
        refused.push(...(await page.evaluate(() => globalThis.__refused)).map((what) => `${address}${way}: ${what}`));
      }
      await page.goto(address, { waitUntil: "load" });
      const [saved] = await Promise.all([page.waitForEvent("download"), page.click("main .head a.button")]);
      const got = createHash("sha256").update(await readFile(await saved.path())).digest("hex");
      claim(name, "is saved as it was sent", unless(got === digest, `${got} is not ${digest}`));
      claim(name, "its page shows the same SHA-256", unless((await page.locator("main").innerText()).includes(digest), digest));
      claim(name, "saving it runs nothing", await ear.of(page));
      for (const query of ["", "?inline=1"]) {
        const { response } = await open(page, `${address}/blob${query}`);
        const kind = response ? await response.headerValue("content-type") : "saved";
        claim(name, `/blob${query} runs nothing`, await ear.of(page));
        claim(name, `/blob${query} is saved, or is a picture`, unless(kind === "saved" || /^image\/(png|jpeg|gif|webp)$/.test(kind), kind));
      }
      // A browser that shows it all the same is held by the second wall.
      const shown = async (route) => {
        const answer = await route.fetch();
        const headers = { ...answer.headers(), "content-type": type };
        delete headers["content-disposition"];
        await route.fulfill({ response: answer, headers });
      };
      asIfElsewhere.add(`${address}/blob`);
      await page.route(`${address}/blob`, shown);
      await open(page, `${address}/blob`);
      claim(name, "runs nothing even where it is shown", await ear.of(page));
      await page.unroute(`${address}/blob`);
      asIfElsewhere.delete(`${address}/blob`);
      // Nor where a page of ours would hold it.
      await page.goto(`${origin}/f`, { waitUntil: "load" });
      await page.evaluate((source) => {
        for (const [element, attribute] of [["img", "src"], ["iframe", "src"], ["object", "data"], ["embed", "src"], ["script", "src"], ["video", "src"]]) {
          const made = document.createElement(element);
          try {
            made[attribute] = source;
            document.body.append(made);
          } catch {
            // A script's address is refused by the page itself.
          }
        }
      }, `${address}/blob`);
      claim(name, "runs nothing inside a page", await ear.of(page, true));
    }

    const ways = ["/", "/c", "/f", "/people", `/people/${encodeURIComponent(user)}`, `/c/${encodeURIComponent(channel)}`, "/r/1", "/access", "/crawl", "/verify"];
    for (const attack of ATTACKS) {
      for (const [way, names] of Object.entries({ "/search": ["q", "tz"], "/f": ["name"], [`/c/${encodeURIComponent(channel)}`]: ["at", "q", "tz"], "/out": ["to"], "/login": ["next"], "/people": ["name"] })) {
        for (const name of names) ways.push(`${way}?${name}=${encodeURIComponent(attack)}`);
      }
    }
    const heard = [];
    for (const way of ways) {
      await open(page, origin + way);
      heard.push(...(await ear.of(page)).map((what) => `${way}: ${what}`));
      refused.push(...(await page.evaluate(() => globalThis.__refused)).map((what) => `${way}: ${what}`));
    }
    claim(`${ways.length} addresses`, "nothing that was written or asked for runs", heard);
    claim("all pages", "nothing is refused by the policy, since nothing is asked for", refused);
    claimGuarded(answered);

    await page.goto(`${origin}/c/${encodeURIComponent(channel)}`);
    const directions = await page.locator(".said:has-text('شغّل')").first().evaluate((said) => [said, ...said.querySelectorAll("code")].map((one) => getComputedStyle(one).direction));
    claim("a text in Arabic", "runs from right to left, and code in it from left to right", unless(directions.join() === "rtl,ltr", directions.join()));
    await checkAccessibility(page, "a channel with hostile texts and Arabic");
    const out = page.locator("a.out[data-to*='good.example']").last();
    await Promise.all([page.waitForNavigation(), out.click()]);
    const text = await page.locator("main").innerText();
    claim("a link", "leads to a page that shows its host", unless(page.url().startsWith(`${origin}/out?`) && text.includes("evil.example"), `${page.url()}: ${text}`));
    claim("a link", "has led nowhere yet", await ear.of(page));
    await page.click("main a.button").catch(() => {});
    claim("a link", "leads out only when it is followed there", unless((await ear.of(page)).some((what) => what.includes("evil.example")), "it led nowhere"));
  } finally {
    await browser.close();
    await stop(served);
  }
}

await holds(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "hostile-"));
  try {
    await main(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
});
