// --- The exhibit: what it shows, held against what its proofs open. ------------------------------------
//
// An element with data-record says of which record it shows something, and with data-is what: a text, a value,
// a moment, a hash. Whatever it shows must follow from the bytes that the proof of that record opens.

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const ODD = "\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff";
const HIDDEN_IN_TEXT = new RegExp(`[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f${ODD}]`);
const HIDDEN_IN_NAMES = new RegExp(`[\\0-\\x1f\\x7f-\\x9f${ODD}]`, "g");
const codeOf = (c) => `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
const plain = (text) => text.replace(HIDDEN_IN_NAMES, (c) => `[${codeOf(c)}]`);
const decoded = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const find = (id) => document.getElementById(id);
const given = { key: null };

// JSON as the archive reads it: what is not UTF-8 is replaced, and what is no JSON is nothing.
function jsonOf(bytes) {
  try {
    return JSON.parse(lossy.decode(bytes));
  } catch {
    return null;
  }
}

// What stands at a place of a JSON value: names and numbers with slashes between.
function at(value, place) {
  return place.split("/").reduce((found, name) => (Object.hasOwn(Object(found), name) ? found[name] : undefined), value);
}

// What a token of the server's markup is shown as.
function tokenText(kind, written, names) {
  if (kind === "mention") {
    const token = /^<([@#!])([^|<>\n]*)(?:\|([^<>\n]*))?>$/.exec(written);
    if (!token) return undefined;
    return (token[1] === "#" ? "#" : "@") + (names.get(token[2]) ?? plain(token[3] ?? token[2]));
  }
  if (kind === "link") {
    const token = /^<([^|<>\n]*)(?:\|([^<>\n]*))?>$/.exec(written);
    const [target, label] = token ? [decoded(token[1]), token[2] && decoded(token[2])] : [decoded(written), undefined];
    return label && label !== target ? `${label} (${target})` : target;
  }
  const block = /^```\n*(.*?)\n*```$/s.exec(written) ?? /^`([^`\n]+)`$/.exec(written);
  return kind === "code" && block ? decoded(block[1]) : undefined;
}

// Half a pair of surrogates is no character.
const mended = (text) => text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");

// Goes through what an element shows and through the text that was sent, both to their ends. `without` is left
// out: <del> for how it read after a change, <ins> for how it read before.
function follow(element, sent, without, names) {
  let place = 0;
  const fail = () => {
    throw new Bad("what is shown is not what was sent");
  };
  const take = (written) => {
    if (!sent.startsWith(written, place)) fail();
    place += written.length;
  };
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      if (HIDDEN_IN_TEXT.test(node.data)) fail();
      for (const c of node.data) {
        if (c === "\n" && sent.startsWith("\r\n", place)) take("\r\n");
        else take(ENTITIES[c] && sent.startsWith(ENTITIES[c], place) ? ENTITIES[c] : c);
      }
    } else if (node.nodeType !== Node.ELEMENT_NODE) {
      fail();
    } else if (["ins", "del"].includes(node.localName)) {
      if (node.localName !== without) node.childNodes.forEach(walk);
    } else if (node.childElementCount > 0) {
      // What stands for a token, or for a character that is not seen, is nothing but its text.
      fail();
    } else if (node.className === "control") {
      const c = String.fromCodePoint(Number(node.dataset.code));
      if (node.textContent !== codeOf(c)) fail();
      take(c);
    } else {
      if (node.textContent !== tokenText(node.className, node.dataset.as ?? "", names)) fail();
      take(node.dataset.as);
    }
  };
  element.childNodes.forEach(walk);
  if (place !== sent.length) fail();
}

// A moment that was sent: RFC 3339, a time stamp of the server, or seconds since 1970; in whole seconds.
function secondsOf(value) {
  if (typeof value === "number") return Math.floor(value);
  const stamp = /^([0-9]{1,10})(?:\.[0-9]{6})?$/.exec(value ?? "");
  return stamp ? Number(stamp[1]) : Math.floor(Date.parse(value) / 1000);
}

function isMoment(shown, value) {
  const text = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) ([+-]\d\d:\d\d)$/.exec(shown);
  return Boolean(text) && Date.parse(`${text[1]}T${text[2]}${text[3]}`) / 1000 === secondsOf(value);
}

// Holds one element against its record.
function holdAgainst(element, record, before, names) {
  const { is, from } = element.dataset;
  const shown = element.textContent;
  const sent = (of) => {
    const text = from === "" ? of.text : at(of.body, from);
    if (typeof text !== "string") throw new Bad("what is shown was not sent");
    return mended(text);
  };
  const one = (value) => (["string", "number"].includes(typeof value) ? plain(mended(String(value))) : undefined);
  const checks = {
    text() {
      follow(element, sent(record), "del", names);
      if (before) follow(element, sent(before), "ins", names);
      return true;
    },
    author() {
      const id = record.body?.user || record.body?.username;
      return shown === (names.get(id) ?? one(id));
    },
    value: () => shown === one(at(record.body, from)),
    noted: () => shown === one(at(record.header, from)),
    moment: () => isMoment(shown, at(record.body, from)),
    clock: () => isMoment(shown, at(record.header, from)),
    number: () => shown === String(record.index),
    sha256: () => shown === record.digest,
    leaf: () => shown === hex(record.leaf),
    content: () => shown === record.content,
  };
  if (!Object.hasOwn(checks, is)) throw new Bad("it is not said what is shown");
  if ((is !== "text" && element.childElementCount > 0) || !checks[is]()) throw new Bad("what is shown is not what was sent");
}

// Opens every proof of the exhibit with a key. A checkpoint that several have is checked once.
async function openProofs(root, key) {
  const records = new Map();
  const notes = new Map();
  for (const element of root.querySelectorAll("pre.proof")) {
    const number = element.dataset.proof;
    try {
      const { extra, index, path, note } = readProof(utf8.encode(element.textContent));
      const opening = await readOpening(extra);
      const leaf = await sha256([0], leafEntry(opening));
      const { origin, size, root: top } = readCheckpoint(note);
      if (!isEqual(await rootOf(leaf, index, size, path), top)) throw new Bad("the record, its number and the path do not lead to the root of the checkpoint");
      if (!notes.has(note)) notes.set(note, await checkNote(note, key));
      if (origin !== key.name) throw new Bad(`the key is of the log ${key.name}, the checkpoint of the log ${origin}`);
      if (String(index) !== number || records.has(number)) throw new Bad("its number is not the one under which it stands");
      const [header, body, attachment] = opening.parts.map((part) => part.content);
      records.set(number, {
        index, leaf, size, origin,
        header: header && jsonOf(header),
        body: body && jsonOf(body),
        text: body && lossy.decode(body),
        digest: body && hex(await sha256(body)),
        content: attachment && lossy.decode(attachment),
      });
    } catch (error) {
      records.set(number, error instanceof Bad ? error : new Bad(`it can't be read: ${error}`));
    }
  }
  return records;
}

// Checks the whole: what is wrong with which element, and how much of it there is.
async function checkExhibit(root, key) {
  const names = new Map();
  for (const element of root.querySelectorAll("#names [data-name-of]")) names.set(element.dataset.nameOf, element.textContent);
  const records = await openProofs(root, key);
  const wrong = new Map();
  for (const element of root.querySelectorAll("[data-record]")) {
    const { record, before } = element.dataset;
    try {
      for (const number of [record, before]) {
        if (number === undefined) continue;
        if (!records.has(number)) throw new Bad(`record ${number} has no proof in this file`);
        if (records.get(number) instanceof Bad) throw records.get(number);
      }
      holdAgainst(element, records.get(record), before && records.get(before), names);
    } catch (error) {
      wrong.set(element, error instanceof Bad ? error.message : `it can't be read: ${error}`);
    }
  }
  for (const [number, record] of records) {
    const element = root.querySelector(`[data-record="${CSS.escape(number)}"]`) ?? root.querySelector(`pre[data-proof="${CSS.escape(number)}"]`);
    if (record instanceof Bad && !wrong.has(element)) wrong.set(element, record.message);
  }
  // A text that is bound to no record, and a reading whose number is bound to none, is nobody's word but the file's.
  const loose = [...root.querySelectorAll(".said:not([data-record])"), ...root.querySelectorAll(".records > li:not(:has([data-record][data-is=number]))")];
  return { records, wrong, loose };
}

// Shows a verdict: "good" all is proved, "part" some of it, "none" nothing, "bad" something is not as signed, "off" what
// was chosen as a key is none, "failed" the file as it came cannot be checked. `counts` goes where the words name it.
function tell(kind, counts, reasons) {
  const place = find("verdict");
  const fill = (text) => Object.entries(counts).reduce((filled, [name, count]) => filled.replaceAll(`{${name}}`, String(count)), text ?? "");
  place.className = `verdict ${kind}`;
  find("verdict-text").textContent = fill(place.dataset[kind]);
  find("verdict-more").textContent = fill(place.dataset[`${kind}More`]);
  find("verdict-why").replaceChildren(
    ...reasons.map((why) => {
      const item = document.createElement("li");
      item.textContent = plain(why);
      return item;
    }),
  );
}

async function judge() {
  document.querySelectorAll(".wrong, .loose").forEach((element) => element.classList.remove("wrong", "loose"));
  find("verdict-by").hidden = true;
  let key;
  try {
    key = await readKey(given.key ?? utf8.encode(find("key").textContent));
  } catch (error) {
    tell(given.key ? "off" : "failed", {}, [error instanceof Bad ? error.message : `it can't be read: ${error}`]);
    return;
  }
  try {
    const { records, wrong, loose } = await checkExhibit(document, key);
    const about = (element) => element.dataset.record ?? element.dataset.proof;
    const broken = new Set([...wrong.keys()].map(about));
    const around = (element) => element.closest(".item") ?? element;
    for (const element of wrong.keys()) around(element).classList.add("wrong");
    for (const element of loose) element.classList.add("loose");
    const counts = { bad: broken.size, of: new Set([...records.keys(), ...broken]).size, loose: new Set(loose.map(around)).size };
    const kind = wrong.size > 0 ? "bad" : records.size === 0 ? "none" : loose.length > 0 ? "part" : "good";
    tell(kind, counts, [...wrong].slice(0, 20).map(([element, why]) => `${about(element)}: ${why}`));
    find("verdict-key").textContent = `${key.name}+${hex(key.id)}`;
    const { came, own } = find("verdict-by").dataset;
    find("verdict-whose").textContent = given.key ? own : came;
    find("verdict-by").hidden = kind === "none";
  } catch (error) {
    tell("failed", {}, [`this page failed: ${error}`]);
  }
}

find("key-file")?.addEventListener("change", async (event) => {
  const file = event.target.files[0];
  if (!file) return;
  given.key = new Uint8Array(await file.arrayBuffer());
  await judge();
});
judge();
