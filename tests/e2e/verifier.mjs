// Holds verify.html, opened from a file in a browser without a network, to accepting proofs and refusing
// everything else.
//
//   node verifier.mjs FOLDER [--pictures DIR]
//
// FOLDER holds verify.html, ledger.vkey, messages.tlog-proof and files.tlog-proof. Prints what
// failed and a line of counts; exits 1 when a claim failed.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { CHROMIUM_FLAGS, WIDE, checkAccessibility, checkHtml, checkOverflow, claim, holds, takePictures, unless } from "./claims.mjs";

const { values: flags, positionals } = parseArgs({ options: { pictures: { type: "string" } }, allowPositionals: true });
const [folder] = positionals;
const file = (name) => path.join(path.resolve(folder), name);
const pageUrl = pathToFileURL(file("verify.html")).href;

// Every so many-th byte is changed before the signature, and each byte of the checkpoint.
const STRIDE = 5;

const heard = { console: [], requests: [] };

async function open(browser) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", offline: true });
  context.setDefaultTimeout(20_000);
  context.on("console", (message) => {
    if (message.type() === "error") heard.console.push(message.text());
  });
  context.on("weberror", (error) => heard.console.push(String(error.error())));
  context.on("request", (request) => {
    if (request.url() !== pageUrl) heard.requests.push(request.url());
  });
  await context.addInitScript(() => {
    globalThis.__violations = [];
    document.addEventListener("securitypolicyviolation", (event) => globalThis.__violations.push(`${event.effectiveDirective} refused ${event.blockedURI}`));
  });
  const page = await context.newPage();
  await page.goto(pageUrl);
  return page;
}

const verdict = async (page) => (await page.locator("#result h2").waitFor().then(() => page.locator("#result").innerText())).trim();

async function choose(page, proof, key) {
  await page.reload();
  if (key) await page.setInputFiles("#key-file", key);
  await page.setInputFiles("#proof-file", proof);
  return verdict(page);
}

const seemsGood = (text) => unless(text.includes("✓ This proof holds") && !text.includes("✗"), text);
const refuses = (text, why) => unless(text.includes("✗ Not proved") && text.includes(why) && !text.includes("✓"), text);

// Changes bytes of a proof in the page; what was accepted all the same.
function sweep(page, proof, key) {
  return page.evaluate(
    async ([proof, key, stride]) => {
      const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      const original = bytes(proof);
      const trusted = await readKey(bytes(key));
      await checkProof(original, trusted);
      const note = original.findIndex((byte, at) => byte === 10 && original[at + 1] === 10);
      const accepted = [];
      let tried = 0;
      const refused = async (changed, what) => {
        tried += 1;
        try {
          await checkProof(changed, trusted);
          accepted.push(what);
        } catch (error) {
          if (!(error instanceof Bad)) accepted.push(`${what}: ${error}`);
        }
      };
      for (let at = 0; at < original.length; at += at < note ? stride : 1) {
        for (const flip of [1, 0x20, 0x80]) {
          const changed = original.slice();
          changed[at] ^= flip;
          await refused(changed, `byte ${at}, flip ${flip}`);
        }
        await refused(original.slice(0, at), `cut at ${at}`);
      }
      return { tried, accepted };
    },
    [proof.toString("base64"), key.toString("base64"), STRIDE],
  );
}

// The same signature with the order of the group added to its number.
function malleable(proof) {
  const text = proof.toString();
  const at = text.lastIndexOf(" ") + 1;
  const signature = Buffer.from(text.slice(at).trim(), "base64");
  const number = BigInt(`0x${Buffer.from(signature.subarray(-32)).reverse().toString("hex")}`) + 2n ** 252n + 27742317777372353535851937790883648493n;
  const changed = Buffer.from(number.toString(16).padStart(64, "0"), "hex").reverse();
  return `${text.slice(0, at)}${Buffer.concat([signature.subarray(0, -32), changed]).toString("base64")}\n`;
}

// A key of order 1, for which a signature of any text can be made.
function smallOrderKey(name) {
  const coded = Buffer.concat([Buffer.from([1, 1]), Buffer.alloc(31)]);
  const id = createHash("sha256").update(`${name}\n`).update(coded).digest("hex").slice(0, 8);
  return `${name}+${id}+${coded.toString("base64")}`;
}

async function checkVerdicts(page, proof, key, proofBytes, keyText) {
  const subject = "verify.html";
  claim(subject, "accepts a proof with its key", seemsGood(await choose(page, proof, key)));
  const shown = await page.locator("#record").innerText();
  const header = await page.locator("#record pre").first().textContent();
  claim(subject, "shows the header and the body", unless(shown.includes("observed at") && header.includes('"kind":"message"') && shown.includes("crane"), shown));
  claim(subject, "says what is not proved", unless((await verdict(page)).includes("Not proved by this"), "it does not"));
  claim(subject, "refuses a proof without a key", refuses(await choose(page, proof, null), "No key was given"));

  const other = file("other.vkey");
  await writeFile(other, "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n");
  claim(subject, "refuses the key of another", refuses(await choose(page, proof, other), "No signature is by the key PeterNeumann"));
  await writeFile(other, smallOrderKey(keyText.split("+")[0]));
  claim(subject, "refuses a key of small order", refuses(await choose(page, proof, other), "small order"));

  const changed = file("changed.tlog-proof");
  await writeFile(changed, malleable(proofBytes));
  claim(subject, "refuses a signature in a second form", refuses(await choose(page, changed, key), "out of range"));
  const line = proofBytes.toString().trimEnd().split("\n").at(-1);
  await writeFile(changed, `${proofBytes}${line.replace(/^— [^ ]+/, "— witness.example/w")}\n`);
  const two = await choose(page, changed, key);
  const also = await page.locator("#record").innerText();
  claim(subject, "passes over a signature of somebody else, and says so", [...seemsGood(two), ...unless(also.includes("witness.example/w"), also)]);
  await writeFile(changed, Buffer.from(proofBytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte))));
  claim(subject, "refuses a changed file", refuses(await choose(page, changed, key), ""));
  // An exhibit is a page, and so is this one.
  const given = await choose(page, file("verify.html"), key);
  claim(subject, "says of a page that it checked nothing, and what does", unless(given.includes("This is a page, not a proof") && given.includes("Nothing was checked") && given.includes("verify.py") && !/[✓✗]/.test(given), given));

  await page.reload();
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  await page.fill("#key-text", keyText);
  await page.fill("#proof-text", proofBytes.toString());
  claim(subject, "takes both as pasted text", seemsGood(await verdict(page)));

  await page.reload();
  await page.evaluate(
    ([proof, key]) => {
      const dropped = new DataTransfer();
      dropped.items.add(new File([key], "ledger.vkey"));
      dropped.items.add(new File([proof], "record.tlog-proof"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
    },
    [proofBytes.toString(), keyText],
  );
  claim(subject, "takes both dropped at once", seemsGood(await verdict(page)));
}

// An attachment's part is the SHA-256 of a file: any file can be held against it.
async function checkAttachment(page, key) {
  const subject = "verify.html, a file's record";
  claim(subject, "accepts the proof", seemsGood(await choose(page, file("files.tlog-proof"), key)));
  const input = page.locator("#compare-16");
  await input.setInputFiles(file("verify.html"));
  await page.getByText("✗ verify.html is another file").waitFor();
  claim(subject, "tells another file from the attachment", []);
}

async function checkLook(page, proof, key) {
  const subject = "verify.html";
  const html = await readFile(file("verify.html"), "utf8");
  for (const direction of ["ltr", "rtl"]) {
    await choose(page, proof, key);
    await page.evaluate((direction) => {
      document.documentElement.dir = direction;
      document.querySelectorAll("#record details").forEach((details) => (details.open = true));
    }, direction);
    if (flags.pictures) await takePictures(page, flags.pictures, `verify-${direction}`);
    await checkOverflow(page, `${subject}, ${direction}`);
    await checkAccessibility(page, `${subject}, ${direction}`);
  }
  await page.reload();
  if (flags.pictures) await takePictures(page, flags.pictures, "verify-empty");
  await checkAccessibility(page, `${subject}, empty`);
  await choose(page, proof, null);
  if (flags.pictures) await takePictures(page, flags.pictures, "verify-bad");
  await checkAccessibility(page, `${subject}, refusing`);
  await checkHtml([{ subject, html }]);
}

async function main() {
  if (flags.pictures) await mkdir(flags.pictures, { recursive: true });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_FLAGS });
  try {
    const page = await open(browser);
    const [proof, key] = [file("messages.tlog-proof"), file("ledger.vkey")];
    const [proofBytes, keyBytes] = [await readFile(proof), await readFile(key)];
    await checkVerdicts(page, proof, key, proofBytes, keyBytes.toString().trim());
    await checkAttachment(page, key);
    const { tried, accepted } = await sweep(page, proofBytes, keyBytes);
    claim("verify.html", `refuses ${tried} changed proofs`, [...accepted, ...unless(tried > 1000, `only ${tried} were tried`)]);
    await checkLook(page, proof, key);
    claim("verify.html", "no violation of its own policy", await page.evaluate(() => globalThis.__violations));
    claim("verify.html", "no error on the console", heard.console);
    claim("verify.html", "asks nobody", heard.requests);
  } finally {
    await browser.close();
  }
}

await holds(main);
