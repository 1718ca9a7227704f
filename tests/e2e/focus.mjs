// Walks through a page with the tabulator, as who has no mouse.

import { claim } from "./claims.mjs";

// A page of a hundred messages has more stops; what lies behind the first two hundred is of the same kinds.
const MOST_STOPS = 200;

// Runs in the page: the way begins where the page does, whatever the focus was given to when it was opened.
function begin() {
  const { body } = document;
  getSelection().removeAllRanges();
  body.tabIndex = -1;
  body.focus();
  body.removeAttribute("tabindex");
  scrollTo(0, 0);
  globalThis.__stops = [];
}

// Runs in the page after each step: what is wrong with where it led; null at the end of the way.
function judge() {
  const stops = globalThis.__stops;
  const here = document.activeElement;
  const last = stops.at(-1);
  // A field of a date is several stops.
  if (here && here === last) return "";
  if (!here || here === document.body || stops.includes(here)) return null;
  stops.push(here);
  const problems = [];
  if (last && !(last.compareDocumentPosition(here) & Node.DOCUMENT_POSITION_FOLLOWING)) problems.push("stands before the stop before it");
  const { outlineStyle, outlineWidth } = getComputedStyle(here);
  if (outlineStyle === "none" || Number.parseFloat(outlineWidth) < 2) problems.push("has no outline");
  // Some of it is in the window, and nothing lies over that: neither a heading that stays nor a bar at the foot.
  const isShown = [...here.getClientRects(), here.getBoundingClientRect()].some(({ left, right, top, bottom }) => {
    const [from, to] = [Math.max(left, 0), Math.min(right, innerWidth)];
    const [above, below] = [Math.max(top, 0), Math.min(bottom, innerHeight)];
    if (to - from < 1 || below - above < 1) return false;
    return [0.5, 0.1, 0.9].some((x) =>
      [0.5, 0.1, 0.9].some((y) => {
        const hit = document.elementFromPoint(from + (to - from) * x, above + (below - above) * y);
        return hit !== null && here.contains(hit);
      }),
    );
  });
  if (!isShown) problems.push("is not in sight");
  return problems.length > 0 ? `${here.outerHTML.slice(0, 160)}: ${problems.join(", ")}` : "";
}

// Runs in the page at the end: what should have been a stop. Behind the last one nobody came, unless all were seen.
function missed(isWhole) {
  const stops = new Set(globalThis.__stops);
  const last = globalThis.__stops.at(-1);
  const isDue = (one) =>
    one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }) &&
    (isWhole || Boolean(one.compareDocumentPosition(last) & Node.DOCUMENT_POSITION_FOLLOWING));
  // Of buttons of which one is chosen, only that one is a stop.
  const all = [...document.querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden], [type=radio]:not(:checked)), [tabindex='0']")];
  const due = all.filter(isDue);
  const inMain = (list) => list.filter((one) => one.closest("main")).length;
  return {
    stops: stops.size,
    first: globalThis.__stops[0]?.getAttribute("href"),
    passed: due.filter((one) => !stops.has(one)).slice(0, 5).map((one) => one.outerHTML.slice(0, 160)),
    main: inMain([...stops]),
    linksOfMain: inMain(all.filter((one) => one.checkVisibility())),
  };
}

export async function checkFocus(page, subject) {
  const problems = [];
  await page.evaluate(begin);
  let isWhole = false;
  for (let steps = 0; steps < MOST_STOPS && !isWhole; steps += 1) {
    await page.keyboard.press("Tab");
    const wrong = await page.evaluate(judge);
    isWhole = wrong === null;
    if (wrong) problems.push(wrong);
  }
  const { stops, first, passed, main, linksOfMain } = await page.evaluate(missed, isWhole);
  if (stops === 0) problems.push("nothing can be reached");
  if (first !== "#main") problems.push(`the first stop does not lead past the navigation: it leads to ${first}`);
  if (linksOfMain > 0 && main === 0) problems.push(`none of the ${linksOfMain} links and fields of main is reached in ${stops} stops`);
  problems.push(...passed.map((one) => `${one}: is passed over`));
  const forced = await page.locator("[tabindex]:not([tabindex='0'], [tabindex='-1'])").count();
  if (forced > 0) problems.push(`${forced} elements have a place of their own in the order`);
  claim(subject, "each stop of the tabulator stands in its place, is in sight and is seen", problems);
}
