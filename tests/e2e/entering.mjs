// Enters as a person does: makes the first account from the address that `serve` prints, signs in, and out again.
//
//   BASE_URL=http://127.0.0.1:8080 SETUP_URL=… PASSWORD=… node entering.mjs [--pictures DIR]
//
// Turns a second factor on, is asked for its code, and turns it off. Leaves the account `admin` behind. Prints what failed and a line of counts; exits 1 when a claim failed.

import { createHmac } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { checkAccessibility, checkHtml, checkOverflow, claim, claimGuarded, holds, launch, openContext, signIn, takePictures, unless } from "./claims.mjs";

const { values: flags } = parseArgs({ options: { pictures: { type: "string" } } });
const { BASE_URL, SETUP_URL, PASSWORD } = process.env;
if (!BASE_URL || !SETUP_URL || !PASSWORD) {
  console.error("entering.mjs: BASE_URL, SETUP_URL and PASSWORD must be set");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;
const token = new URL(SETUP_URL).hash.slice("#token=".length);

async function lookAt(page, subject) {
  if (flags.pictures) await takePictures(page, flags.pictures, subject.slice(1).replaceAll(/[^a-z]+/g, "-"));
  await checkOverflow(page, subject);
  await checkAccessibility(page, subject, true);
  claim(subject, "exactly one h1", unless((await page.locator("h1").count()) === 1, `${await page.locator("h1").count()} h1`));
  return { subject, html: await (await page.request.get(page.url())).text() };
}

async function fill(page, name) {
  await page.fill("#username", name);
  await page.fill("#password", PASSWORD);
  await page.fill("#again", PASSWORD);
  const [response] = await Promise.all([page.waitForNavigation(), page.click("form[action='/setup'] button")]);
  return response;
}

async function setUp(browser, pages) {
  // The token is filled in by the script, and leaves the address: neither history nor a picture of the screen has it.
  const { context, heard } = await openContext(browser, origin);
  const page = await context.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(SETUP_URL);
  claim("/setup", "takes the token from its address", unless((await page.inputValue("#token")) === token, "the field is empty"));
  claim("/setup", "keeps the token out of the address", unless(!page.url().includes(token), page.url()));
  claim("/setup", "sends the token nowhere by itself", asked.filter((url) => url.includes(token)));
  pages.push(await lookAt(page, "/setup"));
  const made = await fill(page, "admin");
  claim("/setup", "makes the first account", unless(made.ok() && new URL(page.url()).pathname !== "/setup", `status ${made.status()} at ${page.url()}`));
  claim("/setup", "says nothing on the console, and is refused nothing", [...heard.console, ...heard.refused, ...heard.foreign]);
  claimGuarded(heard, "/setup");
  await context.close();

  const again = await openContext(browser, origin, { javaScriptEnabled: false });
  const other = await again.context.newPage();
  const opened = await other.goto(`${origin}/setup`);
  claim("/setup", "is closed once there is an account", unless(opened.status() === 403 || new URL(other.url()).pathname === "/login", `status ${opened.status()} at ${other.url()}`));
  const form = { token, username: "second", password: PASSWORD, again: PASSWORD, role: "admin" };
  const answer = await again.context.request.post(`${origin}/setup`, { form, headers: { origin }, maxRedirects: 0 });
  claim("/setup", "refuses a token that was used: 403", unless(answer.status() === 403, `status ${answer.status()}`));
  claim("/setup", "makes no second account", unless(!(await signIn(other, origin, "second", PASSWORD)), "it lets the second in"));
  claimGuarded(again.heard, "/setup, closed");
  await again.context.close();
}

// The session of a browser: the value of its one cookie that a script cannot read.
const session = async (context) => (await context.cookies()).find(({ name, httpOnly }) => httpOnly && /session|sid/i.test(name));

async function signInAndOut(browser, pages) {
  const { context, heard } = await openContext(browser, origin);
  const page = await context.newPage();
  await page.goto(`${origin}/login`);
  pages.push(await lookAt(page, "/login"));
  claim("/login", "is refused nothing", [...heard.console, ...heard.refused, ...heard.foreign]);
  await signIn(page, origin, "admin", PASSWORD);
  const first = await session(context);
  claim("a session", "is in a cookie that no script reads and no other site sends", unless(first?.httpOnly && ["Lax", "Strict"].includes(first.sameSite), JSON.stringify(first)));
  await signIn(page, origin, "admin", PASSWORD);
  const second = await session(context);
  claim("a session", "is another after signing in again", unless(second && second.value !== first?.value, JSON.stringify(second)));
  const old = await browser.newContext();
  if (first) await old.addCookies([first]);
  const stale = await (await old.newPage()).goto(`${origin}/access`);
  claim("a session", "is dead after signing in again", unless(new URL(stale.url()).pathname === "/login", stale.url()));
  await old.close();

  await page.goto(`${origin}/access`);
  const shown = await page.locator("main").innerText();
  await page.goto(`${origin}/sessions`);
  await page.locator("header .who > summary").click();
  await Promise.all([page.waitForNavigation(), page.click("form[action='/logout'] button")]);
  claim("signing out", "leads to the form", unless(new URL(page.url()).pathname === "/login", page.url()));
  for (const step of ["back", "back again", "forward"]) {
    await (step === "forward" ? page.goForward() : page.goBack());
    const text = await page.locator("body").innerText();
    const isBare = new URL(page.url()).pathname === "/login" && !text.includes(shown.slice(0, 200)) && (await page.locator("header.bar").count()) === 0;
    claim("signing out", `${step} shows nothing`, unless(isBare, `${page.url()}: ${text.slice(0, 200)}`));
  }
  const revived = await browser.newContext();
  if (second) await revived.addCookies([second]);
  const dead = await (await revived.newPage()).goto(`${origin}/access`);
  claim("signing out", "ends the session, whoever kept its cookie", unless(new URL(dead.url()).pathname === "/login", dead.url()));
  await revived.close();
  claimGuarded(heard, "signing in and out");
  await context.close();

  // Without script, and to where one was going.
  const plain = await openContext(browser, origin, { javaScriptEnabled: false });
  const still = await plain.context.newPage();
  await still.goto(`${origin}/access?who=admin`);
  claim("/login", "stands before every page", unless(new URL(still.url()).pathname === "/login", still.url()));
  await still.fill("input[name=username]", "admin");
  await still.fill("input[name=password]", PASSWORD);
  await Promise.all([still.waitForNavigation(), still.click("main button")]);
  claim("/login", "leads on to the page that was asked for, without script", unless(still.url() === `${origin}/access?who=admin`, still.url()));
  claimGuarded(plain.heard, "/login without script");
  await plain.context.close();
}

// The code that an app makes of a secret in base 32 for a step of time, which lasts half a minute (RFC 6238).
function code(letters, step) {
  const bits = [...letters].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const secret = Buffer.from(bits.match(/.{8}/g).map((eight) => Number.parseInt(eight, 2)));
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(count).digest();
  return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fff_ffff) % 1_000_000).padStart(6, "0");
}

async function useSecondFactor(browser, pages) {
  const subject = "a second factor";
  const { context, heard } = await openContext(browser, origin);
  const page = await context.newPage();
  const send = (action) => Promise.all([page.waitForNavigation(), page.click(`form[action='${action}'] button`)]);
  const give = async (action, digits) => {
    await page.fill("#code", digits);
    await send(action);
  };
  await signIn(page, origin, "admin", PASSWORD);
  await page.goto(`${origin}/sessions/factor`);
  await page.fill("#current", PASSWORD);
  await send("/sessions/factor/begin");
  pages.push(await lookAt(page, "/sessions/factor, begun"));
  const letters = (await page.locator("main code").innerText()).replaceAll(/\s/g, "");
  // A code is good once, and none before it is good any more; those of the step before this one and of the next are.
  let used = 0;
  const fresh = () => {
    used = Math.max(used + 1, Math.floor(Date.now() / 30_000) - 1);
    return code(letters, used);
  };
  await give("/sessions/factor/on", fresh());
  claim(subject, "is turned on by a code of the app", unless((await page.locator("form[action='/sessions/factor/off']").count()) === 1, await page.locator("main").innerText()));
  await context.clearCookies();
  await signIn(page, origin, "admin", PASSWORD);
  claim(subject, "is asked for after the password", unless((await page.locator("form[action='/login/code']").count()) === 1, page.url()));
  const ahead = await page.request.get(`${origin}/access`, { maxRedirects: 0 });
  claim(subject, "is no session yet without it", unless(ahead.status() === 303 || ahead.status() === 302, `status ${ahead.status()}`));
  pages.push(await lookAt(page, "/login/code"));
  await give("/login/code", code(letters, used));
  claim(subject, "is refused with a code that was used", unless((await page.locator("[role=alert]").count()) === 1 && (await page.locator("form[action='/login/code']").count()) === 1, page.url()));
  await give("/login/code", fresh());
  claim(subject, "lets in with the next code", unless((await page.locator("header.bar").count()) === 1, page.url()));
  await page.goto(`${origin}/sessions/factor`);
  await give("/sessions/factor/off", fresh());
  claim(subject, "is turned off by a code", unless((await page.locator("form[action='/sessions/factor/begin']").count()) === 1, await page.locator("main").innerText()));
  // The browser itself says that a page came with such a status.
  claim(subject, "is refused nothing", [...heard.console.filter((text) => !/status of 40[013]/.test(text)), ...heard.refused, ...heard.foreign]);
  claimGuarded(heard, subject);
  await context.close();
}

await holds(async () => {
  if (flags.pictures) await mkdir(flags.pictures, { recursive: true });
  const browser = await launch();
  const pages = [];
  try {
    await setUp(browser, pages);
    await signInAndOut(browser, pages);
    await useSecondFactor(browser, pages);
    await checkHtml(pages);
  } finally {
    await browser.close();
  }
});
