// Looks at archives that were changed by somebody who can write to their files: a bit, a record that is gone, two that
// changed places, an end that was cut off, checkpoints that are forged, an access log that lost its end. Each is found
// by the check that a reader begins on its page, and named in words that no other has; what nobody touched is as it was
// signed.
//
//   node verified.mjs BINARY
//
// Crawls a small sandbox once and changes copies of the archive. Needs sqlite3. Prints what failed and a line of counts;
// exits 1 when a claim failed.

import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { claim, claimGuarded, holds, launch, openContext, signIn, unless } from "./claims.mjs";
import { PASSWORD, archiveIn, startSandbox, stop } from "./sandbox.mjs";

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node verified.mjs BINARY");
  process.exit(2);
}

// A database as somebody opens it who respects no guard.
const HEEDLESS = ".dbconfig enable_trigger off\n.dbconfig defensive off\n";
function ask(file, sql) {
  const said = execFileSync("sqlite3", ["-bail", "-json", file], { input: sql, encoding: "utf8" });
  return said.trim() ? JSON.parse(said) : [];
}
const change = (file, sql) => execFileSync("sqlite3", ["-bail", file], { input: HEEDLESS + sql, encoding: "utf8" });
const literal = (bytes) => `x'${Buffer.from(bytes).toString("hex")}'`;

// A note with the same text and name, signed by a key that somebody made. See C2SP signed-note.
function signAnew(note) {
  const text = note.slice(0, note.indexOf("\n\n") + 1);
  const [name] = text.split("\n");
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const id = createHash("sha256").update(`${name}\n\x01`).update(key).digest().subarray(0, 4);
  const signature = Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]).toString("base64");
  return `${text}\n— ${name} ${signature}\n`;
}

// The newest checkpoint becomes what `forge` makes of it, in the database and in its files.
async function forgeCheckpoint({ root, database, size }, forge) {
  const [{ note }] = ask(database, `SELECT note FROM checkpoint WHERE size = ${size}`);
  const forged = forge(note);
  change(database, `UPDATE checkpoint SET note = ${literal(forged)} || '' WHERE size = ${size}`);
  const folder = path.join(root, "checkpoints");
  for (const name of (await readdir(folder)).filter((name) => name.endsWith(".note"))) {
    const file = path.join(folder, name);
    if ((await readFile(file, "utf8")) === note) await writeFile(file, forged);
  }
}

// What is done to a copy, and how the page tells of it: `words` stand in the finding of this one alone, `named` in it,
// too. The records are the last four, each in a block of its own.
const DEEDS = [
  {
    what: "a bit was flipped",
    deed({ database, records: [, record] }) {
      const [{ bytes }] = ask(database, `SELECT hex(bytes) AS bytes FROM block WHERE first = ${record}`);
      const flipped = Buffer.from(bytes, "hex");
      flipped[flipped.length >> 1] ^= 1;
      change(database, `UPDATE block SET bytes = ${literal(flipped)} WHERE first = ${record}`);
    },
    words: "its block does not match the block's digest",
    named: ({ records: [, record] }) => [`Record ${record}:`],
  },
  {
    what: "a record was deleted",
    deed: ({ database, records: [, record] }) => change(database, `DELETE FROM block WHERE first = ${record}`),
    words: "it is no longer here",
    named: ({ records: [, record] }) => [`Record ${record}: it is no longer here`],
  },
  {
    what: "two records changed places",
    deed: ({ database, records: [one, other] }) =>
      change(database, [[one, -1], [other, one], [-1, other]].map(([from, to]) => `UPDATE block SET first = ${to} WHERE first = ${from};`).join("\n")),
    words: "its block says that it begins at record",
    named: ({ records: [one, other] }) => [`Record ${one}: its block says that it begins at record ${other}`],
  },
  {
    what: "the end was cut off",
    depth: "quick",
    // With the checkpoints that tell of it, as far as they are in the database.
    deed: ({ database, records: [, , first] }) => change(database, `DELETE FROM block WHERE first >= ${first}; DELETE FROM checkpoint WHERE size > ${first};`),
    words: "records are here, so newer ones were lost or an older copy was put back",
    named: ({ size, records: [, , first] }) => [`${size} records`, `only ${first} records are here`],
  },
  {
    what: "a checkpoint was signed by another key",
    depth: "quick",
    deed: (copy) => forgeCheckpoint(copy, signAnew),
    words: "no signature is by the key",
    named: ({ size, key }) => [`the checkpoint of ${size} records`, key.name, key.id],
  },
  {
    what: "a checkpoint was changed",
    depth: "quick",
    deed: (copy) => forgeCheckpoint(copy, (note) => note.replace(/^[A-Za-z0-9+/]{43}=$/m, (hash) => `${hash.slice(1, -1)}A=`)),
    words: "does not match the text",
    named: ({ size, key }) => [`the checkpoint of ${size} records`, key.name],
  },
];

async function crawl(archive, sandbox) {
  const { control, username } = sandbox;
  await archive.enrol(sandbox.url, sandbox);
  await archive.run(["crawl", "--quiet", "--rate", "unlimited"]);
  const { channel } = await control("create", { user: username, name: "quay" });
  // Each in a block of its own, since each is crawled alone.
  for (let number = 0; number < 5; number += 1) {
    await control("post", { channel, user: username, text: `heron ${number}` });
    await archive.run(["crawl", "--quiet", "--rate", "unlimited", "--channel", channel]);
  }
}

async function archived(folder) {
  await mkdir(folder);
  const archive = archiveIn(binary, folder);
  const sandbox = await startSandbox(binary, "--generate", "100");
  await crawl(archive, sandbox).finally(() => stop(sandbox.child));
  await archive.admit("reader", "auditor");
  const database = path.join(folder, "archive", "archive.db");
  const records = ask(database, "SELECT first FROM block WHERE count = 1 ORDER BY first DESC LIMIT 4").map(({ first }) => first).reverse();
  const [{ size }] = ask(database, "SELECT max(size) AS size FROM checkpoint");
  return { archive, records, size };
}

// Begins a check on the page; what the page says of it when it has ended.
async function check(page, origin, depth) {
  await page.goto(`${origin}/verify`);
  await page.check(`input[name=depth][value=${depth}]`);
  await Promise.all([page.waitForNavigation(), page.click("form.check button")]);
  for (let tries = 0; tries < 200 && (await page.locator("[role=status]").count()) > 0; tries += 1) await page.reload();
  const findings = page.locator(".findings");
  return {
    alerts: await page.locator(".verdict .alert[role=alert]").allInnerTexts(),
    verdict: await page.locator(".verdict").innerText(),
    found: (await findings.count()) > 0 ? await findings.innerText() : "",
  };
}

const WELL = {
  quick: "The signed checkpoints are as they were signed. No record was read.",
  sample: "Everything that was checked is as it was signed.",
};
const isWell = (verdict) => Object.values(WELL).some((words) => verdict.includes(words));

// The page says of one deed, and of no other.
function claimTold(subject, { alerts, verdict, found }, words, named) {
  const isRed = alerts.length === 1 && /\b[1-9][0-9]* things? (is|are) not as (it was|they were) signed/.test(alerts[0]);
  claim(subject, "the page says that it is not as it was signed", unless(isRed && !isWell(verdict), verdict));
  const told = [...DEEDS.map((one) => one.words), LOG_WORDS].filter((one) => found.includes(one));
  claim(subject, "the page says what was done, and nothing else", unless(told.length === 1 && told[0] === words, `${JSON.stringify(told)}: ${found.slice(0, 2000)}`));
  claim(subject, "the page names it", named.filter((name) => !found.includes(name)).map((name) => `“${name}” is not in: ${found.slice(0, 2000)}`));
}

// What is written to the access log while it is looked at is less than what is cut off.
const CUT = 60;
const LOG_WORDS = "entries and only";

// The end of the access log is cut off while it is served: what is signed of it says how long it was.
async function cutLog(page, origin, { root }) {
  const subject = "an archive whose access log lost its end";
  const log = path.join(root, "access.db");
  const [{ size }] = ask(log, "SELECT max(size) AS size FROM checkpoint");
  change(log, `DELETE FROM entry WHERE number >= ${size - CUT}`);
  const told = await check(page, origin, "quick");
  claimTold(subject, told, LOG_WORDS, ["The access log:", `signed over ${size} entries`]);
}

async function main(folder) {
  const base = path.join(folder, "base");
  const { archive, records, size } = await archived(base);
  const browser = await launch();
  let served;
  try {
    served = await archive.serve();
    const first = await openContext(browser, served.origin);
    const page = await first.context.newPage();
    claim("/login", "lets the reader in", unless(await signIn(page, served.origin, "reader", PASSWORD), page.url()));
    for (const depth of ["quick", "sample"]) {
      const { alerts, verdict, found } = await check(page, served.origin, depth);
      const subject = `an archive that nobody touched, ${depth}`;
      claim(subject, "the page says that all is well", unless(verdict.includes(WELL[depth]) && alerts.length === 0 && found === "", verdict));
    }
    const [, id, name] = await page.locator("section[aria-labelledby=signed] dd code").allInnerTexts();
    for (let view = 0; view < CUT; view += 1) await first.context.request.get(`${served.origin}/r/1`);
    claimGuarded(first.heard, "the pages of an archive that nobody touched");
    const storageState = await first.context.storageState();
    await first.context.close();
    await stop(served.child);

    // Serves a copy, to which something is done before or while it is looked at.
    const tell = async (number, subject, { before, then }) => {
      const place = path.join(folder, String(number));
      await cp(base, place, { recursive: true });
      const root = path.join(place, "archive");
      const copy = { root, database: path.join(root, "archive.db"), records, size, key: { id, name } };
      await before?.(copy);
      served = await archiveIn(binary, place).serve([], []);
      const { context, heard } = await openContext(browser, served.origin, { storageState });
      await then(await context.newPage(), served.origin, copy);
      claim(subject, "nothing is refused, nothing on the console, nothing asked elsewhere", [...heard.refused, ...heard.console, ...heard.foreign]);
      claimGuarded(heard, subject);
      await context.close();
      await stop(served.child);
    };
    for (const [number, { what, deed, depth = "sample", words, named }] of DEEDS.entries()) {
      const subject = `an archive in which ${what}`;
      await tell(number, subject, {
        before: deed,
        then: async (page, origin, copy) => claimTold(subject, await check(page, origin, depth), words, named(copy)),
      });
    }
    await tell(DEEDS.length, "an archive whose access log lost its end", { then: cutLog });
  } finally {
    await browser.close();
    if (served) await stop(served.child);
  }
}

await holds(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "verified-"));
  try {
    await main(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
});
