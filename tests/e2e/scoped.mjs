// Reads an archive as a reviewer of one channel: whatever is written elsewhere changes nothing that they see, and what is
// elsewhere is answered like what is nowhere.
//
//   node scoped.mjs BINARY
//
// Makes one archive of a sandbox and copies it. The one is crawled before much is written elsewhere with the same words,
// by the same people, in files of the same bytes; the other after it, at the same moment by its clock (clock.mjs). So all
// that a reviewer is shown must be the same in both, as a browser shows it and as it is sent. Prints what failed and a
// line of counts; exits 1 when a claim failed.

import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { claim, claimGuarded, holds, launch, openContext, signIn, unless } from "./claims.mjs";
import { clockIn } from "./clock.mjs";
import { PASSWORD, archiveIn, startSandbox, stop } from "./sandbox.mjs";

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node scoped.mjs BINARY");
  process.exit(2);
}
const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const WORDS = ["crane", "gearbox", "contract", "anchor", "signed", "plate"];
// Written elsewhere only: they begin like one of those, are almost one, or are none.
const ELSEWHERE = ["cranberry", "crand", "zeppelin", "anchored"];
const BYTES = Buffer.from("the crane of the gearbox").toString("base64");
// One point.
const PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
// The first day on which somebody writes, by UTC.
const now = new Date();
const first = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()) - 12 * DAY_MS;
const day = new Date(first + DAY_MS).toISOString().slice(0, 10);

const line = (words, number) => [0, 1, 2].map((place) => words[(number * (place + 1) + place * 5) % words.length]).join(" ");

// Two channels of which the reviewer gets one, and who writes there.
async function begin(sandbox) {
  const { control, username: ann } = sandbox;
  const [bob, jon] = (await sandbox.ask("users.list")).members.map(({ id }) => id).filter((id) => id !== ann);
  const make = async (name, ...members) => {
    const { channel } = await control("create", { user: ann, name });
    for (const user of members) await control("join", { channel, user });
    return channel;
  };
  const town = { ann, bob, jon, quay: await make("quay", bob), yard: await make("yard", bob, jon), said: [] };
  for (let number = 0; number < 40; number += 1) {
    const [channel, user] = [number % 8 === 7 ? town.yard : town.quay, number % 3 === 0 ? bob : ann];
    const { ts } = await control("post", { channel, user, text: line(WORDS, number), at: (first + number * 5 * HOUR_MS) / 1000 });
    if (channel === town.quay) town.said.push({ channel, user, ts });
  }
  const { file } = await control("upload", { channel: town.quay, user: ann, name: "crane.txt", base64: BYTES });
  await control("comment", { file, user: bob, text: "the plate of the crane" });
  const { file: picture } = await control("upload", { channel: town.quay, user: bob, name: "plate.png", base64: PICTURE });
  town.files = [file, picture];
  const [one, other, third, fourth] = town.said;
  await control("react", { channel: one.channel, ts: one.ts, user: bob });
  await control("pin", { channel: other.channel, ts: other.ts, user: ann });
  town.changes = async () => {
    await control("edit", { ...third, text: "the gearbox is signed" });
    await control("delete", fourth);
  };
  return town;
}

// Much is written where the reviewer reads nothing; one of the channels is called like a word, one almost like theirs.
async function goOnElsewhere({ control }, { ann, bob, jon, yard }) {
  const words = [...WORDS, ...ELSEWHERE];
  const places = [yard];
  for (const name of ["crane", "quays"]) {
    const { channel } = await control("create", { user: ann, name });
    for (const user of [bob, jon]) await control("join", { channel, user });
    places.push(channel);
  }
  const [files, said] = [[], []];
  for (const [n, channel] of places.entries()) {
    for (let number = 0; number < 30; number += 1) {
      const user = [ann, bob, jon][number % 3];
      const { ts } = await control("post", { channel, user, text: line(words, number + n), at: (first + number * 7 * HOUR_MS) / 1000 });
      said.push({ channel, user, ts });
    }
    const [one, other, third, fourth] = said.slice(-30);
    await control("edit", { ...one, text: "the zeppelin and its crane" });
    await control("delete", other);
    await control("react", { channel, ts: third.ts, user: ann });
    await control("pin", { channel, ts: fourth.ts, user: ann });
    await control("comment", { channel, ts: third.ts, user: ann, text: "a crane, too" });
    const { file } = await control("upload", { channel, user: bob, name: "crane.txt", base64: BYTES });
    await control("comment", { file, user: ann, text: "the zeppelin of the crane" });
    files.push(file, (await control("upload", { channel, user: ann, name: `zeppelin-${n}.png`, base64: PICTURE })).file);
  }
  return { places, files, said };
}

// Both archives, the one without what is elsewhere first.
async function archived(folder, clock) {
  const sandbox = await startSandbox(binary, "--generate", "60");
  const town = await begin(sandbox);
  const homes = ["narrow", "wide"].map((name) => path.join(folder, name));
  await mkdir(homes[0]);
  const [narrow, wide] = homes.map((home) => archiveIn(binary, home, clock.env));
  const hour = (number) => clock.stopAt(new Date(Math.ceil(Date.now() / HOUR_MS) * HOUR_MS + number * HOUR_MS));
  await hour(1);
  await narrow.enrol(sandbox.url, sandbox);
  await narrow.run(["crawl", "--quiet"]);
  await town.changes();
  await hour(2);
  await narrow.run(["crawl", "--full", "--quiet"]);
  await narrow.admit("rita", "reviewer", "--channel", town.quay, "--export", "yes");
  await narrow.admit("ada", "auditor", "--export", "yes");
  town.token = (await narrow.run(["token", "create", "rita's", "--role", "reviewer", "--channel", town.quay])).trim();
  await cp(homes[0], homes[1], { recursive: true });
  await hour(3);
  await narrow.run(["crawl", "--full", "--quiet"]);
  const elsewhere = await goOnElsewhere(sandbox, town);
  await wide.run(["crawl", "--full", "--quiet"]);
  await hour(4);
  await stop(sandbox.child);
  // The archive's ids end without the signs that fill up base64.
  const bare = (id) => id.replace(/=+$/, "");
  [town.quay, elsewhere.places] = [bare(town.quay), elsewhere.places.map(bare)];
  const recordsOf = async (...query) => {
    const found = JSON.parse(await wide.run(["search", ...query, "--json", "--limit", "500"]));
    return ["messages", "files"].flatMap((kind) => found[kind].matches.map(({ archive }) => archive)).filter((one) => one);
  };
  const all = [...(await recordsOf("crane")), ...(await recordsOf("zeppelin"))];
  town.records = all.filter(({ channel }) => channel === town.quay).map(({ record }) => record);
  elsewhere.records = all.filter(({ channel }) => elsewhere.places.includes(channel)).map(({ record }) => record);
  return { sides: [narrow, wide], town, elsewhere };
}

// Where the newest checkpoint is told, or what is hashed with it: how many records there are, and the root over them. That
// there are other records is no secret, only what they are: without them no proof could be checked.
const TELLS_OF_TREE = [/^\/certificate/, /^\/verify/, /^\/r\/\d+(\/proof|\/v\/|$)/, /^\/exhibits\/\d+/, /^\/c\/[^/]+\/day\//];
const tellsOfTree = (asked) => TELLS_OF_TREE.some((pattern) => pattern.test(asked));

// An answer without what is another in any two archives: where it is served, what was drawn by chance, and how many
// records there are, which are signed when there are more.
function settled(side, asked, text) {
  let out = text.replaceAll(side.origin, "ORIGIN");
  for (const [pattern, instead] of [
    [/ticket=[\w.%=-]+/g, "ticket=CHANCE"],
    [/name="which" value="[0-9a-f]{64}"/g, "SESSION"],
    [/[\d,]+ records, signed [\d-]{10} [\d:]{8} [+-]\d\d:\d\d/g, "CHECKPOINT"],
    [/"index":\{"lag":0,"record":\d+\}/g, "INDEX"],
    [/"searched_through":\d+/g, "INDEX"],
    [/("next_cursor":"[^"]*\.)[0-9a-f]+~"/g, '$1INDEX"'],
  ]) out = out.replace(pattern, instead);
  // From which port it was asked.
  if (asked.startsWith("/access")) out = out.replace(/127\.0\.0\.1:\d+/g, "CLIENT");
  if (tellsOfTree(asked)) {
    out = out.replaceAll("\\n", "\n");
    out = out.replace(/Signed(<\/dt><dd><time[^<]*<\/time>|\s+[\d-]{10} [\d:]{8} [+-]\d\d:\d\d)/g, "SIGNED");
    out = out.replace(/[0-9a-f]{64}|[A-Za-z0-9+/]{43,}={0,2}/g, "HASH");
    // A path is as long as the tree is high.
    out = out.replace(/HASH(["',\s]*HASH)+/g, "HASHES");
  }
  return out;
}

// The answer of the one that has more, with the number of the other's records wherever each tells its own.
function likened(sides, narrow, wide) {
  const [ones, others] = [narrow, wide].map((text) => text.match(/\d[\d,]*\d|\d|\D+/g));
  if (ones.length !== others.length) return wide;
  const isSize = (piece, { size }) => piece.replaceAll(",", "") === String(size);
  return others.map((other, place) => (isSize(ones[place], sides[0]) && isSize(other, sides[1]) ? ones[place] : other)).join("");
}

// Asks both sides for the same and gives where the answers part; `read` reads one of a side.
async function compare(sides, asked, read) {
  const answers = await Promise.all(sides.map(async (side) => settled(side, asked, await read(side))));
  const narrow = answers[0];
  const wide = tellsOfTree(asked) ? likened(sides, ...answers) : answers[1];
  if (narrow === wide) return { answers, parting: [] };
  let at = 0;
  while (narrow[at] === wide[at]) at += 1;
  return { answers, parting: [`${asked}\nnarrow: …${narrow.slice(Math.max(0, at - 120), at + 120)}\nwide:   …${wide.slice(Math.max(0, at - 120), at + 120)}`] };
}

// A request has a number that is drawn by chance; length and hashes are of a body that is compared itself.
const APART = ["x-request-id", "content-length", "etag", "repr-digest"];
const told = (status, headers, body) => `${status}\n${Object.entries(headers).filter(([name]) => !APART.includes(name)).sort().map(([name, value]) => `${name}: ${value}\n`).join("")}\n${body}`;

// As it is sent.
async function fetchFrom({ context, origin }, asked) {
  const answer = await context.request.get(origin + asked, { maxRedirects: 0 });
  return told(answer.status(), answer.headers(), await answer.text());
}

// What a browser keeps, and does not show.
const IS_KEPT = /\.(txt|json|tlog-proof)$|\/(blob|preview|thumbnail)$/;

// The same, and, of a page, as a browser shows it.
async function open(side, asked) {
  if (IS_KEPT.test(asked)) return fetchFrom(side, asked);
  const { page, origin } = side;
  const answer = await page.goto(origin + asked, { waitUntil: "domcontentloaded" });
  const shown = await page.evaluate(() => [location.href, document.title, document.body.innerText].join("\n"));
  return `${told(answer.status(), answer.headers(), await answer.text())}\n== as it is shown\n${shown}`;
}

async function call({ origin }, asked, token) {
  const answer = await fetch(origin + asked, { headers: { authorization: `Bearer ${token}` } });
  return told(answer.status, Object.fromEntries(answer.headers), await answer.text());
}

const encode = encodeURIComponent;

// What there is to look at, by what it is called: what is the reviewer's, what is elsewhere, and what is asked of both.
function looked({ quay, files, said, records, ann, bob, jon }, { places }) {
  const channel = `/c/${encode(quay)}`;
  const ask = (query, rest = "") => `/search?q=${encode(query)}${rest}`;
  const [record, other] = records;
  const queries = ["crane", "zeppelin", "cran", "cra*", "crane~", "craen~1", "NOT crane", "crane w/3 plate", '"crane gearbox"', `from:${jon}`, "from:bob crane", "in:crane crane", "in:quay", "with:jon", "is:deleted", "is:edited", "has:file", "ext:png", "title:crane", "NOT in:crane", "("];
  const beside = ["&sort=newest", "&state=deleted", "&state=edited", "&list=channel", "&list=author&like=o", "&page=2", `&on=${day}`, "&kind=files", "&extension=png", "&tz=Asia/Tokyo", `&asof=${day}`, `&author=${encode(jon)}`, ...places.map((id) => `&channel=${encode(id)}`)];
  return {
    "the overview": ["/"],
    channels: ["/c"],
    "a channel": [channel, `${channel}?n=5`, `${channel}?at=${said[9].ts}`, `${channel}?date=${day}`, `${channel}?asof=${day}`, `${channel}?q=crane`, `${channel}?q=${encode("in:crane crane")}&at=${said[9].ts}`],
    "a day": [`${channel}/day/${day}`, `${channel}/day/${day}/list.txt`],
    "a record": [`/r/${record}`, `/r/${other}`, `/r/${record}/v/1`, `/r/${record}/raw.json`, `/r/${record}/proof.json`, `/r/${record}/proof.tlog-proof`],
    "the search": ["/search", ...queries.map((query) => ask(query)), ...beside.map((rest) => ask("crane", rest)), "/search/advanced?words=crane&channel=quays"],
    "a sheet about a search": [`/certificate?q=crane`, "/certificate?q=zeppelin"],
    "saved searches": ["/saved"],
    files: ["/f", "/f?name=crane", "/f?name=zeppelin", "/f?extension=png", `/f?author=${encode(ann)}`, ...places.map((id) => `/f?channel=${encode(id)}`)],
    "a file": files.flatMap((file) => ["", "/text", "/preview", "/thumbnail", "/blob"].map((rest) => `/f/${encode(file)}${rest}`)),
    people: ["/people", "/people?name=jon", ...[ann, bob, jon].map((id) => `/people/${encode(id)}`)],
    crawls: ["/crawl", "/crawl/runs/1", "/crawl/runs/3", "/crawl/coverage", "/crawl/coverage?by=day", `/crawl/coverage?channel=${encode(quay)}`],
    exhibits: ["/exhibits", "/exhibits/1", "/exhibits/2"],
    "sets to export": ["/exports", "/exports?q=crane", "/exports?q=zeppelin"],
    "the check": ["/verify"],
    "one's own trail": ["/access", "/access?action=view", "/sessions"],
    "what is refused": ["/admin/users", "/admin/tokens", "/nowhere"],
  };
}

// The methods of the API and what they are asked.
function called({ quay, files: own, said, jon }, { places, files }) {
  const queries = ["crane", "zeppelin", "cra*", "in:crane crane", "from:jon", "NOT crane"];
  const more = ["", "&facets=1&by=day&highlight=1&states=current,edited,deleted", "&sort=newest&count=2", `&as_of=${day}`];
  const channels = [quay, ...places, "nowhere"].map((id) => `channel=${encode(id)}`);
  return {
    ...Object.fromEntries(["search.all", "search.messages", "search.files"].map((method) => [method, queries.flatMap((query) => more.map((rest) => `query=${encode(query)}${rest}`))])),
    ...Object.fromEntries(["channels.info", "channels.history", "channels.atom.history", "im.history", "pins.list", "reactions.list", "users.list", "files.list"].map((method) => [method, channels])),
    ...Object.fromEntries(["channels.list", "im.list", "files.list", "users.identity", "auth.test"].map((method) => [`${method} of all`, [""]])),
    "files.info": [...own, ...files, "none"].map((id) => `file=${encode(id)}`),
    "items.info": channels.map((channel) => `${channel}&ts=${said[0].ts}`),
    "reactions.get": channels.map((channel) => `${channel}&ts=${said[0].ts}`),
    "users.info": [`user=${encode(jon)}`],
  };
}

// Elsewhere and nowhere: two addresses that differ in the id only. People are not among them: the server tells of each to
// whoever signs in there.
function hidden({ places, files, records, said }, anothers) {
  const pairs = (ids, nowhere, rests, begins) => ids.flatMap((id) => rests.map((rest) => ({ what: `${begins}…${rest}`, id, nowhere, address: (one) => `${begins}${encode(one)}${rest}` })));
  return [
    ...pairs(places.slice(1), "nowhere", ["", `?at=${said[3].ts}`, "?n=5", `?asof=${day}`, `?date=${day}`, "?q=crane", `/day/${day}`, `/day/${day}/list.txt`], "/c/"),
    ...pairs([...records.slice(0, 3), records.at(-1)], 99_999_999, ["", "/v/1", "/raw.json", "/proof.json", "/proof.tlog-proof"], "/r/"),
    ...pairs(files.slice(0, 2), "none", ["", "/text", "/preview", "/thumbnail", "/blob", "?v=1"], "/f/"),
    ...pairs([anothers.exhibit], 999, ["", "/exhibit.html"], "/exhibits/"),
    ...pairs([anothers.entry], 99_999, [""], "/access/"),
    ...pairs([anothers.set], 999, ["", "/set.zip"], "/exports/"),
  ];
}

// An account that sees all, and what is theirs: an exhibit, a set to export, a search, and what the log has of it.
async function makeAnothers(browser, { origin }, record) {
  const { context } = await openContext(browser, origin);
  const page = await context.newPage();
  claim("/login", "lets the auditor in", unless(await signIn(page, origin, "ada", PASSWORD), page.url()));
  const send = async (to, data) => {
    const headers = { origin, "content-type": "application/x-www-form-urlencoded" };
    const made = await context.request.post(origin + to, { headers, data, maxRedirects: 0 });
    claim(`what the auditor sends to ${to}`, "makes something", unless(made.status() === 303, `status ${made.status()}: ${await made.text()}`));
    return made.headers().location.split("/").at(-1);
  };
  const exhibit = await send("/exhibits", `record=${record}`);
  const set = await send("/exports", "format=csv&q=crane");
  await send("/saved/keep", "name=crane&address=q%3Dcrane");
  await page.goto(`${origin}/search?q=crane`);
  const total = Number((await page.locator(".found strong").first().innerText()).match(/\d+/)[0]);
  await page.goto(`${origin}/access`);
  const entry = (await page.locator("main a[href^='/access/']").first().getAttribute("href")).split("/").at(-1);
  const lacks = async () => {
    const lacking = [];
    for (const [asked, selector] of [[`/exhibits/${exhibit}`, `form[action='/exhibits/${exhibit}/remove'] [value='${record}']`], [`/exports/${set}`, "a[href$='/set.zip']"], ["/saved", "tr[data-row]"]]) {
      await page.goto(origin + asked);
      if ((await page.locator(selector).count()) === 0) lacking.push(asked);
    }
    return lacking;
  };
  return { exhibit, set, entry, total, lacks };
}

async function main(folder) {
  const clock = await clockIn(folder);
  const { sides: archives, town, elsewhere } = await archived(folder, clock);
  const browser = await launch();
  const sides = [];
  try {
    for (const archive of archives) sides.push(await archive.serve());
    const anothers = [];
    for (const side of sides) anothers.push(await makeAnothers(browser, side, town.records[0]));
    // Each is asked as often as the other, so that the entries of the access log have the same numbers.
    let lacking = ["a set"];
    const lackedBy = async () => [...(await anothers[0].lacks()), ...(await anothers[1].lacks())];
    for (let tries = 0; tries < 100 && lacking.length > 0; tries += 1) lacking = await lackedBy();
    claim("what is another's", "is there", lacking);
    // Else nothing is shown here.
    claim("who may see all", "finds more in the archive that has more", unless(anothers[1].total > anothers[0].total + 20 && elsewhere.records.length > 30, JSON.stringify([anothers, elsewhere.records.length])));
    for (const side of sides) {
      Object.assign(side, await openContext(browser, side.origin));
      side.page = await side.context.newPage();
      claim("/login", "lets the reviewer in", unless(await signIn(side.page, side.origin, "rita", PASSWORD), side.page.url()));
      await side.page.goto(`${side.origin}/verify`);
      const foot = await side.page.locator("footer").innerText();
      side.size = Number(foot.match(/([\d,]+) records, signed/)[1].replaceAll(",", ""));
    }
    claim("the newest checkpoint", "is over more records in the archive that has more", unless(sides[1].size > sides[0].size + 90, sides.map(({ size }) => size).join(" and ")));

    const send = async (to, data) => {
      const { parting, answers } = await compare(sides, to, async ({ context, origin }) => {
        const headers = { origin, "content-type": "application/x-www-form-urlencoded" };
        const answer = await context.request.post(origin + to, { headers, data, maxRedirects: 0 });
        return told(answer.status(), answer.headers(), await answer.text());
      });
      claim(`what is sent to ${to}`, "is answered the same", parting);
      return Number(answers[1].slice(0, 3));
    };
    for (const query of ["crane", "zeppelin"]) await send("/saved/keep", `name=${query}&address=q%3D${query}`);
    claim("an exhibit", "is made of one's own", unless((await send("/exhibits", town.records.slice(0, 3).map((one) => `record=${one}`).join("&"))) === 303, "it is refused"));
    await send("/exhibits", `record=${elsewhere.records[0]}&record=${town.records[4]}`);
    await send("/exhibits", `record=${elsewhere.records[0]}`);
    const { exhibit, set } = anothers[1];
    for (const to of [`/exhibits/${exhibit}/remove`, `/exhibits/${exhibit}/join`, `/exhibits/${exhibit}/delete`, `/exports/${set}/delete`]) {
      claim(`what is sent to ${to}, which is another's`, "is 404", unless((await send(to, `record=${town.records[0]}&exhibit=1`)) === 404, "it is not"));
    }
    await send("/saved/1/delete", "");
    claim("what is another's", "stays", await lackedBy());

    const statuses = {};
    for (const [subject, all] of Object.entries(looked(town, elsewhere))) {
      const partings = [];
      for (const asked of all) {
        const { parting, answers } = await compare(sides, asked, (side) => open(side, asked));
        partings.push(...parting);
        statuses[asked] = Number(answers[1].slice(0, 3));
      }
      claim(`${subject}, for a reviewer`, "is the same, whatever is elsewhere", partings);
    }
    const own = ["/", "/c", `/c/${encode(town.quay)}`, `/r/${town.records[0]}`, "/search?q=crane", "/f", ...town.files.map((id) => `/f/${encode(id)}`), ...["preview", "thumbnail"].map((kind) => `/f/${encode(town.files[1])}/${kind}`), "/people", "/crawl/coverage", "/saved", "/exports", "/verify", "/access"];
    claim("what is the reviewer's", "is shown", own.filter((asked) => statuses[asked] !== 200).map((asked) => `${asked}: ${statuses[asked]}`));

    for (const [method, all] of Object.entries(called(town, elsewhere))) {
      const partings = [];
      let found = 0;
      for (const parameters of all) {
        const asked = `/teamchatapi/${method.split(" ")[0]}?${parameters}`;
        const { parting, answers } = await compare(sides, asked, (side) => call(side, asked, town.token));
        partings.push(...parting);
        found += /"ok":true|<feed/.test(answers[1]) ? 1 : 0;
      }
      claim(`${method}, with a token of a reviewer`, "gives the same, whatever is elsewhere", partings);
      if (method !== "im.history") claim(`${method}, with a token of a reviewer`, "gives what is theirs", unless(found > 0, "nothing"));
    }

    const [, wide] = sides;
    const refused = new Map();
    for (const { what, id, nowhere, address } of hidden(elsewhere, anothers[1])) {
      const answers = [];
      for (const one of [id, nowhere]) answers.push((await fetchFrom(wide, address(one))).replaceAll(address(one), "ADDRESS"));
      const problems = refused.get(what) ?? [];
      refused.set(what, [...problems, ...unless(answers[0].startsWith("404\n") && answers[0] === answers[1], `${address(id)}: ${answers.join("\n---\n")}`)]);
    }
    for (const [what, problems] of refused) claim(what, "is 404 when it is elsewhere, as when it is nowhere", problems);
    for (const { heard, origin } of sides) {
      claim(`all pages of ${origin}`, "nothing is refused, nothing asked elsewhere", [...heard.refused, ...heard.foreign]);
      claimGuarded(heard);
    }
  } finally {
    await browser.close();
    for (const { child } of sides) await stop(child);
  }
}

await holds(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "scoped-"));
  try {
    await main(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
});
