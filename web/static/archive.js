// Keys for who reads much. Every page works without this file; each key does what a link or a control of the
// page does: an element says with data-key which key is its own, and rows to walk through have data-row.

const page = document.documentElement;
const keys = document.getElementById("keys");

// In fields keys write, and with a modifier they are the browser's.
const isTyping = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.isComposing ||
  event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, dialog[open]");

const rows = () => [...document.querySelectorAll("[data-row]")];
const current = () => document.activeElement?.closest("[data-row]");

function step(by) {
  const all = rows();
  const here = all.indexOf(current());
  const next = all[here < 0 ? (by > 0 ? 0 : all.length - 1) : here + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
  return Boolean(next);
}

function act(key) {
  if (key === "?") return keys?.showModal(), true;
  if (key === "j" && step(1)) return true;
  if (key === "k" && step(-1)) return true;
  // A page's own field comes before the place of the navigation.
  const target = [current(), document.querySelector("main"), document].map((part) => part?.querySelector(`[data-key="${key}"]`)).find(Boolean);
  if (!target) return key === "u" && history.length > 1 && (history.back(), true);
  if (target.matches("input:not([type=checkbox])")) target.focus(), target.select();
  else {
    // Who comes back stands where they left.
    if (key === "o" && current()?.id) history.replaceState(null, "", `#${current().id}`);
    if (key === "/") target.hash = "#q";
    target.click();
  }
  return true;
}

if (page.dataset.keys !== "off") {
  document.addEventListener("keydown", (event) => {
    // Enter opens the row on which one stands; on a link or a button it is theirs.
    const key = event.key === "Enter" && event.target.matches("[data-row]") ? "o" : event.key;
    if (event.defaultPrevented || isTyping(event) || !/^[/?a-z]$/.test(key)) return;
    if (act(key)) event.preventDefault();
  });
}

// Beyond the last row lies the next page: j and k go on there, at its first row or its last.
for (const [rel, key, place] of [["next", "j", "#first-row"], ["prev", "k", "#last-row"]]) {
  for (const link of document.querySelectorAll(`.pager a[rel=${rel}]`)) {
    link.dataset.key = key;
    link.hash ||= place;
  }
}
const there = { "#first-row": 0, "#last-row": -1 }[location.hash];
if (location.hash === "#q") document.getElementById("q")?.focus();
(there === undefined ? document.querySelector(`[data-row]:target`) : rows().at(there))?.focus();

// How many are selected: those, too, that the browser ticks again for who comes back.
for (const told of document.querySelectorAll("[data-picked]")) {
  const tell = () => {
    const count = document.querySelectorAll("input[form=pick]:checked").length;
    told.value = count ? told.dataset.picked.replace("#", count) : "";
  };
  document.addEventListener("change", tell);
  addEventListener("pageshow", tell);
}

// What only a script can do is offered where there is one.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// The field of a long list leaves what is called like it, as one writes.
for (const field of document.querySelectorAll("[data-filter]")) {
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLocaleLowerCase();
    for (const one of field.closest("details").querySelectorAll("li")) {
      one.hidden = !one.textContent.toLocaleLowerCase().includes(wanted);
    }
  });
}

// The address that `serve` prints has the set-up token behind its `#`, which no server and no log is sent.
const token = document.querySelector("[data-token]");
if (token && location.hash.startsWith("#token=")) {
  token.value = location.hash.slice("#token=".length);
  history.replaceState(null, "", location.pathname);
  document.getElementById("username")?.focus();
}
