// Comes to an archive in which nobody has an account yet, and sees what time does: to the token for the first account, to
// a session, and to who tries passwords.
//
//   node arriving.mjs BINARY
//
// What is served goes by a clock that the script sets ahead (clock.mjs). Prints what failed and a line of counts; exits 1
// when a claim failed.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { claim, claimGuarded, holds, launch, openContext, signIn, unless } from "./claims.mjs";
import { clockIn } from "./clock.mjs";
import { PASSWORD, archiveIn, startSandbox, stop } from "./sandbox.mjs";

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node arriving.mjs BINARY");
  process.exit(2);
}
const USAGE = 2;
// Minutes: how long a token for the first account holds, a session that nobody uses, and one that is used.
const TOKEN = 30;
const IDLE = 30;
const LONGEST = 12 * 60;
// So long the tries of a password count.
const TRIES = 15;
// What the sixth try waits, which is really waited.
const SIXTH_MS = 2000;
// Long enough, and among the first that are guessed.
const GUESSED = "password1234";
const WRONG = "nobody has this password";

const isAt = (page, place) => new URL(page.url()).pathname === place;

// Nobody is there who could have let others in.
async function refuseOthers(folder, env) {
  const subject = "serve on 0.0.0.0";
  const place = ["--archive", path.join(folder, "archive"), "serve", "--listen", "0.0.0.0:0"];
  const { code, errors } = await new Promise((done) => {
    const child = execFile(binary, place, { env, timeout: 20_000 }, (error, said, errors) => done({ code: child.exitCode, errors: said + errors }));
  });
  claim(subject, "is refused while nobody has an account, with the status of a wrong use", unless(code === USAGE, `status ${code}: ${errors}`));
  claim(subject, "says why, and what to do", unless(/reached from other machines, and nobody has an account yet/.test(errors) && /hint: .*127\.0\.0\.1/.test(errors), errors));
}

// What all browsers of this script hear of the headers of answers.
const guard = { answers: [], unguarded: [] };

async function enter(browser, origin) {
  const opened = await openContext(browser, origin);
  for (const kind of Object.keys(guard)) opened.heard[kind].push = (...all) => guard[kind].push(...all);
  return opened;
}

// Fills in the form for the first account as one does who was shown its address.
async function makeFirst(browser, { origin, setup }, password) {
  const { context } = await enter(browser, origin);
  const page = await context.newPage();
  await page.goto(setup);
  await page.fill("#username", "first");
  await page.fill("#password", password);
  await page.fill("#again", password);
  await page.check("input[name=role][value=auditor]");
  const [answer] = await Promise.all([page.waitForNavigation(), page.click("form[action='/setup'] button")]);
  return { context, page, status: answer.status(), said: await page.locator("body").innerText() };
}

const tokenOf = ({ setup }) => new URL(setup).hash.slice("#token=".length);

// The token holds for half an hour, and another is given by the next start only. Gives the page of who made the account.
async function setUp(browser, serve, clock, listUsers) {
  const subject = "the token for the first account";
  const expiring = await serve();
  // The last minutes are left to a machine that is slow.
  await clock.pass(TOKEN - 2);
  const still = await makeFirst(browser, expiring, GUESSED);
  claim(subject, `holds before ${TOKEN} minutes are over`, unless(still.status === 400 && /guess/.test(still.said), `${still.status}: ${still.said}`));
  await still.context.close();
  await clock.pass(2);
  const late = await makeFirst(browser, expiring, PASSWORD);
  claim(subject, `is over after ${TOKEN} minutes: 403`, unless(late.status === 403 && /time of this set-up token is over/.test(late.said), `${late.status}: ${late.said}`));
  claim(subject, "makes no account when its time is over", unless(!(await signIn(late.page, expiring.origin, "first", PASSWORD)) && /^\[\s*\]\s*$/.test(await listUsers()), late.page.url()));
  await late.context.close();
  await stop(expiring.child);
  const served = await serve();
  claim(subject, "is another at the next start", unless(tokenOf(expiring) !== tokenOf(served) && tokenOf(served).length >= 43, "it is the same"));
  const made = await makeFirst(browser, served, PASSWORD);
  claim(subject, "makes the account in time", unless(made.status === 200 && isAt(made.page, "/"), `${made.status} at ${made.page.url()}: ${made.said}`));
  return { origin: served.origin, page: made.page };
}

// Every file below a folder.
async function filesIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
}

// Who reads what the server says, what it notes and what it keeps learns no token.
async function lookForTokens(page, origin, folder, tokens, heard) {
  const subject = "a token for the first account";
  const said = heard.join("").split("\n");
  // The first line of each start is the answer to who started it.
  const logged = said.filter((line) => !line.includes("setup_url"));
  claim(subject, "is told to who starts the server", unless(said.length - logged.length === tokens.length, said.join("\n")));
  claim(subject, "is in nothing else that the server says", [...logged.filter((line) => tokens.some((token) => line.includes(token))), ...unless(logged.some((line) => line.trim()), "it says nothing")]);
  const list = await page.goto(`${origin}/access`);
  const entries = await page.locator("main a[href^='/access/']").evaluateAll((all) => [...new Set(all.map((one) => one.getAttribute("href")))]);
  const pages = [await list.text()];
  for (const entry of entries) pages.push(await (await page.goto(origin + entry)).text());
  claim(subject, "left its mark in the access log", unless(entries.length > 2 && /first/.test(pages[0]) && pages.some((text) => /user_added|account was made|made an account|added/i.test(text)), pages[0]));
  claim(subject, "is on no page of the access log", pages.filter((text) => tokens.some((token) => text.includes(token))));
  const files = await filesIn(folder);
  const holding = [];
  for (const file of files) {
    const bytes = await readFile(file);
    if (tokens.some((token) => bytes.includes(token))) holding.push(file);
  }
  claim(subject, "is in no file of the archive and of its keys", [...holding, ...unless(files.some((file) => file.endsWith("access.db")), files.join())]);
}

// A session ends when nobody uses it, and when it was used for long enough.
async function outlast(page, origin, clock) {
  const subject = "a session";
  const open = async () => {
    await page.goto(`${origin}/access`);
    return isAt(page, "/access");
  };
  claim(subject, "begins with the first account", unless(await open(), page.url()));
  await clock.pass(IDLE - 2);
  claim(subject, `lasts when it is used again within ${IDLE} minutes`, unless(await open(), page.url()));
  await clock.pass(IDLE + 1);
  claim(subject, `is over after ${IDLE} minutes without use`, unless(!(await open()) && isAt(page, "/login"), page.url()));
  const shown = await page.locator("body").innerText();
  claim(subject, "shows nothing when it is over", unless((await page.locator("header.bar").count()) === 0 && !/first/.test(shown), shown));
  await page.fill("input[name=username]", "first");
  await page.fill("input[name=password]", PASSWORD);
  await Promise.all([page.waitForNavigation(), page.click("main button")]);
  claim(subject, "leads on, begun anew, to the page that was asked for", unless(page.url() === `${origin}/access`, page.url()));

  // Used all the time.
  const ended = [];
  const step = IDLE - 5;
  let minutes = 0;
  for (; minutes + step < LONGEST; minutes += step) {
    await clock.pass(step);
    if (!(await open())) ended.push(`it ended after ${minutes + step} minutes`);
  }
  claim(subject, `lasts for ${minutes} minutes when it is used`, ended.slice(0, 1));
  await clock.pass(LONGEST + 1 - minutes);
  claim(subject, `is over after ${LONGEST} minutes however it is used`, unless(!(await open()) && isAt(page, "/login"), page.url()));
}

// Tries a password in the form; how long that took, and what was said.
async function tryOnce(page, origin, name, password) {
  await page.goto(`${origin}/login`);
  await page.fill("input[name=username]", name);
  await page.fill("input[name=password]", password);
  const begun = performance.now();
  const [answer] = await Promise.all([page.waitForNavigation(), page.click("form:has(input[name=password]) button")]);
  const took = performance.now() - begun;
  return { took, status: answer.status(), after: Number(answer.headers()["retry-after"]), said: await page.locator("body").innerText() };
}

// Who tries passwords waits; who has the right one gets in.
async function guess(browser, origin, clock) {
  const subject = "trying passwords";
  const { context } = await enter(browser, origin);
  const page = await context.newPage();
  const tries = [];
  for (let number = 1; number <= 6; number += 1) tries.push(await tryOnce(page, origin, "first", WRONG));
  claim(subject, "is refused each time", tries.filter(({ status, said }) => status !== 401 || !/Name or password is not right/.test(said)).map((one) => JSON.stringify(one)));
  const times = tries.map(({ took }) => Math.round(took));
  // Where much else goes on one of the five may take long, too, but not each.
  claim(subject, `five times is answered at once, and the sixth after ${SIXTH_MS} ms`, unless(Math.min(...times.slice(0, 5)) < SIXTH_MS && times[5] >= SIXTH_MS, times.join()));
  // Those that wait stand one behind the other, and who would wait for too long is sent away.
  const leaving = new AbortController();
  const body = new URLSearchParams({ username: "first", password: WRONG });
  const waiting = Array.from({ length: 6 }, () => fetch(`${origin}/login`, { method: "POST", body, redirect: "manual", signal: leaving.signal }).catch(() => {}));
  await Promise.any(waiting);
  const away = await tryOnce(page, origin, "first", PASSWORD);
  claim(subject, "too often at once is sent away: 429", unless(away.status === 429 && /too many tries/.test(away.said), `${away.status}: ${away.said}`));
  claim(subject, "is told after how long it may come back", unless(away.after > 0 && away.said.includes(`Wait ${away.after} second`), `${away.after}: ${away.said}`));
  leaving.abort();
  await Promise.all(waiting);
  await clock.pass(TRIES + 1);
  claim(subject, "locks nobody out for good", unless(await signIn(page, origin, "first", PASSWORD), page.url()));
  await context.close();
}

const median = (numbers) => [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)];

// Tells whether somebody has an account by nothing that is answered, nor by how long that takes.
async function askForNames(origin, clock) {
  const subject = "a name that nobody has";
  const ask = async (username) => {
    const begun = performance.now();
    const answer = await fetch(`${origin}/login`, { method: "POST", body: new URLSearchParams({ username, password: WRONG }), redirect: "manual" });
    const body = await answer.text();
    const took = performance.now() - begun;
    const headers = [...answer.headers].filter(([name]) => !["date", "x-request-id"].includes(name));
    return { took, answer: JSON.stringify([answer.status, headers, body.replaceAll(username, "NAME")]) };
  };
  // As long as the name that somebody has.
  const names = ["first", "third"];
  const times = names.map(() => []);
  const answers = names.map(() => new Set());
  const differ = () => median(times[1]) / median(times[0]) - 1;
  // One after the other, so that whatever else the machine does falls on both. It may fall on one more than on the other
  // for a while: then more are asked. A hash that is not made, or made for nothing, is a multiple that stays.
  for (let round = 0; round < 12 && (round < 3 || Math.abs(differ()) > 0.2); round += 1) {
    // Five are free.
    await clock.pass(TRIES + 1);
    for (let number = 0; number < 5; number += 1) {
      for (const who of number % 2 === 0 ? [0, 1] : [1, 0]) {
        const { took, answer } = await ask(names[who]);
        times[who].push(took);
        answers[who].add(answer);
      }
    }
  }
  claim(subject, "is refused as one that somebody has", unless(answers[0].size === 1 && answers[1].size === 1 && [...answers[0]][0] === [...answers[1]][0] && [...answers[0]][0].includes("Name or password is not right"), answers.flatMap((all) => [...all]).join("\n")));
  claim(subject, "takes as long, but for a fifth", unless(Math.abs(differ()) <= 0.2, times.map((all) => `median ${median(all)} ms: ${all.map(Math.round)}`).join("\n")));
}

// The cookie that somebody put into another's browser is not the one of their session.
async function bringCookie(browser, origin) {
  const { context } = await enter(browser, origin);
  const name = "__Host-sid";
  const planted = { name, value: "A".repeat(43), domain: new URL(origin).hostname, path: "/", secure: true, httpOnly: true, sameSite: "Lax" };
  await context.addCookies([planted]);
  const page = await context.newPage();
  const isIn = await signIn(page, origin, "first", PASSWORD);
  const cookies = (await context.cookies()).filter((one) => one.name === name);
  claim("a session", "has a cookie of its own, whatever the browser brought", unless(isIn && cookies.length === 1 && cookies[0].value !== planted.value, JSON.stringify(cookies)));
  await context.close();
}

async function main(folder) {
  const clock = await clockIn(folder);
  const home = path.join(folder, "home");
  const archive = archiveIn(binary, home, clock.env);
  await mkdir(home);
  const sandbox = await startSandbox(binary, "--generate", "1");
  await archive.run(["init", "--server", sandbox.url]);
  await stop(sandbox.child);
  await refuseOthers(home, { ...process.env, ...clock.env, TEAMCHAT_ARCHIVE_KEYS_DIR: path.join(home, "keys") });
  const browser = await launch();
  const [started, heard] = [[], []];
  const serve = async () => {
    const served = await archive.serve(["-vvv"], heard);
    started.push(served);
    return served;
  };
  try {
    const { origin, page } = await setUp(browser, serve, clock, () => archive.run(["user", "list", "--json"]));
    await lookForTokens(page, origin, home, started.map(tokenOf), heard);
    await outlast(page, origin, clock);
    await guess(browser, origin, clock);
    await askForNames(origin, clock);
    await clock.pass(TRIES + 1);
    await bringCookie(browser, origin);
    claimGuarded(guard);
  } finally {
    await browser.close();
    for (const { child } of started) await stop(child);
  }
}

await holds(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "arriving-"));
  try {
    await main(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
});
