// Calls an archive as programs do: an admin makes a token on its page, a program searches with it, gets what the
// vendor's reference shows, and is refused without it and when it was withdrawn. The secret is nowhere afterwards. Asks
// for all that is refused or fails, too: every answer has its headers.
//
//   BASE_URL=http://127.0.0.1:8080 USER=auditor PASSWORD=… node called.mjs FILES…
//
// FILES are what the server has said so far. Signs in as `admin` and as USER. Prints what failed and a line of counts;
// exits 1 when a claim failed.

import { readFile } from "node:fs/promises";
import { claim, claimGuarded, holds, launch, openContext, signIn, unguarded, unless } from "./claims.mjs";

const { BASE_URL, USER, PASSWORD } = process.env;
const files = process.argv.slice(2);
if (!BASE_URL || !USER || !PASSWORD || files.length === 0) {
  console.error("called.mjs: BASE_URL, USER and PASSWORD must be set, and files given");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;
const NAME = `a program of ${new Date().toISOString()}`;
// Calls that are answered: the list of channels, and each of three searches in three ways.
const CALLS = 10;
// What our replies have beside the vendor's.
const OURS = ["archive", "hits", "index", "next_cursor", "searched_through"];
// What a message has only if it was changed, answered to or shared.
const SOMETIMES = ["edited", "reactions", "attachments", "file", "files", "comment", "channel"];

const sample = async (name) => JSON.parse(await readFile(new URL(`../../schemas/api/samples/${name}.json`, import.meta.url), "utf8"));
const kind = (value) => (Array.isArray(value) ? "array" : value === null ? "null" : typeof value);

// Where `found` has other names or kinds of values than the vendor's `due`.
function unlike(due, found, more = OURS, place = "") {
  if (kind(due) !== kind(found)) return [`${place || "/"} is ${kind(found)}, not ${kind(due)}`];
  if (kind(due) === "array") return due.length === 0 ? [] : found.flatMap((one, number) => unlike(due[0], one, more, `${place}/${number}`));
  if (kind(due) !== "object") return [];
  const missing = Object.keys(due).filter((name) => !(name in found));
  const foreign = Object.keys(found).filter((name) => !(name in due) && !more.includes(name));
  const parts = Object.keys(due).filter((name) => name in found).flatMap((name) => unlike(due[name], found[name], more, `${place}/${name}`));
  return [...missing.map((name) => `${place}/${name} is missing`), ...foreign.map((name) => `${place}/${name} is not the vendor's`), ...parts];
}

// Asks a method of the API, as one of the ways in which a token is given.
const WAYS = {
  "in its address": (url, token) => [`${url}&token=${encodeURIComponent(token)}`, {}],
  "in a header": (url, token) => [url, { headers: { authorization: `Bearer ${token}` } }],
  "in a form": (url, token) => [url.split("?")[0], { method: "POST", body: new URLSearchParams([...new URL(url).searchParams, ["token", token]]) }],
};
async function call(method, asked, token, way = "in a header") {
  const url = `${origin}/teamchatapi/${method}?${new URLSearchParams(asked)}`;
  const answer = await fetch(...(token === null ? [url] : WAYS[way](url, token)));
  const text = await answer.text();
  claim(`${method} ${token === null ? "without a token" : way}`, "the answer has its headers", unguarded({ url, status: answer.status, headers: Object.fromEntries(answer.headers) }));
  return { status: answer.status, text, reply: JSON.parse(text) };
}

async function makeToken(page) {
  await page.goto(`${origin}/admin/tokens`);
  await page.fill("#new-name", NAME);
  await page.selectOption("#new-role", "auditor");
  await Promise.all([page.waitForNavigation(), page.click("form[action='/admin/tokens/create'] button")]);
  const token = await page.inputValue("input.secret");
  claim("a token", "is made on the page of tokens, and shown", unless(/^arc_[A-Za-z0-9_-]{40,}$/.test(token), token));
  const answer = await page.goto(`${origin}/admin/tokens`);
  const [html, text] = [await answer.text(), await page.locator("main").innerText()];
  claim("a token", "is shown once", unless(!html.includes(token) && text.includes(NAME), text));
  return token;
}

async function searchWith(token) {
  const { reply } = await call("channels.list", {}, token);
  const channel = reply.channels.find(({ name }) => name === "legal").id;
  const [message, file] = [(await sample("items.info")).message, (await sample("files.info")).file];
  for (const [method, asked] of [["search.all", { query: "contract", channel }], ["search.messages", { query: "crane" }], ["search.files", { query: "pdf OR png" }]]) {
    const due = await sample(method);
    const replies = [];
    for (const way of Object.keys(WAYS)) {
      const { status, text, reply } = await call(method, asked, token, way);
      const subject = `${method} with a token ${way}`;
      claim(subject, "has the names and kinds of values of the vendor's", [...unless(status === 200, `status ${status}`), ...unlike(due, reply), ...unless(reply.query === asked.query, `query ${reply.query}`)]);
      const plain = (reply.messages?.matches ?? []).filter(({ subtype }) => !subtype);
      const wrong = [...plain.flatMap((one) => unlike(message, one, [...OURS, ...SOMETIMES])), ...(reply.files?.matches ?? []).flatMap((one) => unlike(file, one))];
      claim(subject, "finds what is like the vendor's messages and files", [...wrong, ...unless((!due.messages || plain.length > 0) && (!due.files || method === "search.all" || reply.files.matches.length > 0), text.slice(0, 400))]);
      claim(subject, "does not repeat the token", unless(!text.includes(token), text));
      replies.push(text.replaceAll(/ticket=[^&"]*/g, ""));
    }
    claim(method, "answers the same, however the token is given", unless(new Set(replies).size === 1, replies.map((one) => one.slice(0, 400)).join("\n")));
  }
}

async function refuse(token, why, error) {
  for (const method of ["search.all", "search.messages", "search.files", "channels.list"]) {
    const { text, reply } = await call(method, { query: "crane" }, token);
    claim(`${method} ${why}`, "is refused, and says nothing else", unless(text === JSON.stringify({ error, ok: false }) || text === JSON.stringify({ ok: false, error }), JSON.stringify(reply).slice(0, 400)));
  }
}

async function withdraw(page) {
  await page.goto(`${origin}/admin/tokens`);
  const row = page.locator("main tr").filter({ hasText: NAME });
  await row.locator("summary").click();
  await Promise.all([page.waitForNavigation(), row.locator("form[action='/admin/tokens/revoke'] button").click()]);
  claim("a token", "is withdrawn on the page of tokens", unless(/revoked/.test(await row.innerText()), await row.innerText()));
}

// The log has the calls, on all of its pages from the first on that this script added, and the secret on none.
async function searchLog(page, token, first) {
  const [seen, wrong] = [[], []];
  for (let at = "/access"; at; ) {
    const html = await (await page.goto(origin + at)).text();
    if (html.includes(token)) wrong.push(at);
    const rows = await page.locator("table.log a[href^='/access/']").evaluateAll((all) => all.map((one) => ({ at: one.getAttribute("href"), text: one.closest("tr").textContent })));
    const numbers = rows.map(({ at }) => Number(at.split("/").at(-1)));
    seen.push(...rows.filter(({ text }) => text.includes(NAME)));
    at = Math.min(...numbers) > first ? await page.locator(".pager a[rel=next]").first().getAttribute("href") : null;
  }
  claim("the access log", "has the calls of the program, and that its token was made and withdrawn", unless(seen.length === CALLS + 2, seen.map(({ text }) => text).join("\n")));
  for (const { at } of [seen[0], seen.find(({ text }) => text.includes("search.all")), seen.at(-1)].filter(Boolean)) {
    const html = await (await page.goto(origin + at)).text();
    if (html.includes(token)) wrong.push(at);
  }
  claim("the access log", "has the secret on no page", wrong);
}

// What is refused, what fails, what is no page.
async function askForAll(context, first) {
  const page = await context.newPage();
  const html = await (await page.goto(`${origin}/f`)).text();
  const file = await page.locator("main .name a").first().getAttribute("href");
  const asset = /\/static\/[^"]+/.exec(html)[0];
  const blob = `${new URL(file, origin).pathname}/blob`;
  for (const [what, status, at, { method = "GET", headers = {} } = {}] of [
    ["a page", 200, "/c"],
    ["a page that is not there", 404, "/nowhere"],
    ["a record that is not there", 404, "/r/999999999"],
    ["a number that is none", 400, "/f/x?v=many"],
    ["a query that cannot be read", 400, "/search?q=%28"],
    ["a page of others", 403, "/admin/users"],
    ["another verb", 405, "/c", { method: "DELETE" }],
    ["another verb", 405, "/logout"],
    ["the head of a page", 200, "/c", { method: "HEAD" }],
    ["a file of ours", 200, asset],
    ["a file of ours that is not there", 404, "/static/0000/archive.css"],
    ["a content", 200, blob],
    ["a part of a content", 206, blob, { headers: { range: "bytes=0-3" } }],
    ["no such part", 416, blob, { headers: { range: "bytes=999999999-" } }],
    ["a guess", 503, "/c", { headers: { "sec-purpose": "prefetch" } }],
    ["a change that another site asks for", 403, "/look", { method: "POST", headers: { "sec-fetch-site": "cross-site" } }],
    ["a change that another origin asks for", 403, "/look", { method: "POST", headers: { origin: "https://evil.example" } }],
    ["a report of no kind", 415, "/csp-report", { method: "POST", headers: { "content-type": "text/plain" } }],
    ["that it answers", 200, "/healthz"],
    ["what programs may ask", 200, "/openapi.json"],
    ["a method that nobody knows", 200, "/teamchatapi/no.such"],
  ]) {
    const answer = await context.request.fetch(origin + at, { method, headers, maxRedirects: 0 });
    const subject = `${what}: ${method} ${at}`;
    claim(subject, `status ${status}`, unless(answer.status() === status, `status ${answer.status()}`));
    claim(subject, "the answer has its headers", unguarded({ url: origin + at, status: answer.status(), headers: answer.headers() }));
    await answer.dispose();
  }
  const stranger = await fetch(`${origin}/c`, { redirect: "manual" });
  claim("a page for nobody", "leads to the door, with its headers", [...unless(stranger.status === 303, `status ${stranger.status}`), ...unguarded({ url: `${origin}/c`, status: stranger.status, headers: Object.fromEntries(stranger.headers) })]);

  // That one which is missing or says something else would be noticed.
  const good = { url: first.url(), status: first.status(), headers: first.headers() };
  const needed = ["content-security-policy", "x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "permissions-policy", "x-robots-tag", "cache-control", "x-request-id"];
  const without = (name) => unguarded({ ...good, headers: Object.fromEntries(Object.entries(good.headers).filter(([other]) => other !== name)) });
  const deaf = needed.filter((name) => without(name).length === 0 || unguarded({ ...good, headers: { ...good.headers, [name]: "another" } }).length === 0);
  claim("this script", "hears of each header that is missing or says something else", [...deaf, ...unguarded(good), ...unless(unguarded({ ...good, headers: { ...good.headers, server: "x" } }).length > 0, "server")]);
  await page.close();
}

await holds(async () => {
  const browser = await launch();
  try {
    const enter = async (who) => {
      const opened = await openContext(browser, origin);
      const page = await opened.context.newPage();
      claim("/login", `lets ${who} in`, unless(await signIn(page, origin, who, PASSWORD), page.url()));
      return { ...opened, page };
    };
    const [admin, auditor] = [await enter("admin"), await enter(USER)];
    const opened = await auditor.page.goto(`${origin}/people`);
    const first = Number(/Entry in the access log: ([0-9,]+)/.exec(await auditor.page.locator(".foot").innerText())[1].replaceAll(",", ""));
    const closed = await auditor.page.goto(`${origin}/admin/tokens`);
    claim("the page of tokens", "is closed to who manages none", unless(closed.status() === 403 && (await auditor.page.locator("form").count()) === 0, `status ${closed.status()}`));

    const token = await makeToken(admin.page);
    await searchWith(token);
    await refuse(null, "without a token", "not_authed");
    await refuse(`${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`, "with a token that nobody made", "invalid_auth");
    await withdraw(admin.page);
    await refuse(token, "with a token that was withdrawn", "invalid_auth");
    await askForAll(auditor.context, opened);
    await searchLog(auditor.page, token, first);
    const said = await Promise.all(files.map((file) => readFile(file, "utf8")));
    claim("the server", "has said something, and no secret", files.filter((_, place) => said[place].length === 0 || [token, PASSWORD].some((secret) => said[place].includes(secret))));
    for (const { heard } of [admin, auditor]) {
      claim("all pages", "nothing is refused, nothing on the console, nothing asked elsewhere", [...heard.refused, ...heard.console.filter((text) => !/status of 403/.test(text)), ...heard.foreign]);
      claimGuarded(heard);
    }
  } finally {
    await browser.close();
  }
});
