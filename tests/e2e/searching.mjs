// Searches as a reader does: by keys, by a bar, by a facet, by the form, and without script; and looks at every kind
// of answer that the search page has.
//
//   BASE_URL=http://127.0.0.1:8080 USER=auditor PASSWORD=… node searching.mjs [--pictures DIR]
//
// Prints what failed and a line of counts; exits 1 when a claim failed.

import { parseArgs } from "node:util";
import { WIDE, checkAccessibility, checkHtml, checkOverflow, claim, claimGuarded, holds, launch, openContext, signIn, takePictures, unless } from "./claims.mjs";

const { values: flags } = parseArgs({ options: { pictures: { type: "string" } } });
const { BASE_URL, USER, PASSWORD } = process.env;
if (!BASE_URL || !USER || !PASSWORD) {
  console.error("searching.mjs: BASE_URL, USER and PASSWORD must be set");
  process.exit(2);
}
const origin = new URL(BASE_URL).origin;
const ask = (query, rest = "") => `/search?q=${encodeURIComponent(query)}${rest}`;
const heard = { console: [], foreign: [], refused: [], answers: [], unguarded: [], dialogs: [] };

async function enter(browser, options) {
  const opened = await openContext(browser, origin, options);
  const page = await opened.context.newPage();
  for (const kind of Object.keys(opened.heard)) opened.heard[kind].push = (...all) => heard[kind].push(...all);
  page.on("dialog", (dialog) => {
    heard.dialogs.push(dialog.message());
    return dialog.dismiss();
  });
  claim("/login", `lets ${USER} in`, unless(await signIn(page, origin, USER, PASSWORD), page.url()));
  return page;
}

const total = async (page) => Number((await page.locator(".found strong").first().innerText()).replaceAll(",", "").match(/\d+/)[0]);
const stand = (page) => page.evaluate(() => [...document.querySelectorAll("[data-row]")].indexOf(document.activeElement?.closest("[data-row]")));

// Every kind of answer, each looked at.
async function lookAtAll(page) {
  const pages = [];
  for (const [name, path] of [
    ["the search, nothing asked", "/search"],
    ["a search", ask("crane")],
    ["a search by many facets", ask("*", "&state=current&list=channel&on=2026-03-01..2026-06-30&asof=2027-01-01")],
    ["a search that finds nothing", ask('"crane xyzzy" from:klara', "&state=deleted")],
    ["a search that cannot be read", ask("crane (gear")],
    ["a search for hostile words", ask('"><img src=x onerror=alert(1)>')],
    ["a search for deleted messages", ask("is:deleted OR is:edited", "&state=deleted&state=edited")],
    ["saved searches", "/saved"],
  ]) {
    const response = await page.goto(`${origin}${path}`);
    if (flags.pictures) await takePictures(page, flags.pictures, name.replaceAll(/[^a-z]+/g, "-"));
    await checkOverflow(page, name);
    await checkAccessibility(page, name);
    claim(name, "one heading of the page", unless((await page.locator("h1").count()) === 1, "not one h1"));
    pages.push({ subject: name, html: await response.text() });
  }
  claim("hostile words", "nothing ran", heard.dialogs);
  await checkHtml(pages);
}

async function useKeys(page) {
  const subject = "keys";
  await page.goto(`${origin}${ask("crane")}`);
  const problems = [];
  const expect = (holds, problem) => holds || problems.push(problem);
  await page.keyboard.press("j");
  expect((await stand(page)) === 0, "j does not go to the first match");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  expect((await stand(page)) === 1, "j and k do not walk through the matches");
  await page.keyboard.press("x");
  const ticked = await page.locator("input[name=record]:checked").evaluateAll((all) => all.map((one) => one.value));
  const second = await page.locator("[data-row]").nth(1).getAttribute("id");
  expect(ticked.length === 1 && `m${ticked[0]}` === second, `x ticks ${ticked} at ${second}`);
  await page.keyboard.press("/");
  const typed = await page.evaluate(() => document.activeElement.id);
  expect(typed === "q", `/ leads to ${typed}`);
  await page.keyboard.type("jkoux/?");
  expect((await page.inputValue("#q")) === "jkoux/?", `keys in the field write ${await page.inputValue("#q")}`);
  claim(subject, "j, k, x and / do what they say, and write in a field", problems);

  await page.goto(`${origin}${ask("crane")}`);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const href = await page.locator("[data-row]").nth(1).locator("[data-key=o]").getAttribute("href");
  await Promise.all([page.waitForURL((url) => url.pathname !== "/search"), page.keyboard.press("o")]);
  claim(subject, "o opens the match", unless(page.url() === `${origin}${href}`, `${page.url()} is not ${href}`));
  await Promise.all([page.waitForURL((url) => url.pathname === "/search"), page.keyboard.press("u")]);
  claim(subject, "u leads back", unless((await page.inputValue("#q")) === "crane", page.url()));

  // Beyond the last match of a page lies the first of the next.
  await page.goto(`${origin}${ask("crane")}`);
  for (let rows = await page.locator("[data-row]").count(); rows > 0; rows -= 1) await page.keyboard.press("j");
  await Promise.all([page.waitForURL((url) => url.searchParams.get("page") === "2"), page.keyboard.press("j")]);
  claim(subject, "j goes on to the next page", unless((await stand(page)) === 0, "not at its first match"));
  await Promise.all([page.waitForURL((url) => !url.searchParams.has("page")), page.keyboard.press("k")]);
  claim(subject, "k goes back to the last match", unless((await stand(page)) === 19, `at match ${await stand(page)}`));
}

async function useBarsAndFacets(page) {
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 });
    await page.goto(`${origin}${ask("crane")}`);
    const narrow = await page.locator(".bars a").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().width).filter((wide) => wide < 24));
    claim("bars", `are wide enough to be hit at ${width} px`, narrow.map((wide) => `${wide} px`));
  }
  await page.setViewportSize(WIDE);
  await page.goto(`${origin}${ask("crane")}`);
  const bar = page.locator(".bars a").nth(3);
  const said = Number((await bar.getAttribute("aria-label")).match(/: (\d+)/)[1]);
  await bar.focus();
  await Promise.all([page.waitForURL((url) => url.searchParams.has("on")), page.keyboard.press("Enter")]);
  claim("bars", "lead to what they count", unless((await total(page)) === said, `${await total(page)} of ${said}`));

  await page.goto(`${origin}/search?q=*&list=channel`);
  const values = page.locator("section[aria-labelledby=by-channel] details li");
  const all = await values.count();
  await page.fill("section[aria-labelledby=by-channel] [data-filter]", "conversation");
  const left = await values.evaluateAll((every) => every.filter((one) => !one.hidden).map((one) => one.textContent));
  const problems = left.filter((text) => !text.includes("conversation"));
  if (left.length === 0 || left.length >= all) problems.push(`${left.length} of ${all} are left`);
  claim("a long facet", "is filtered as one writes", problems);
}

async function searchWithoutScript(page) {
  const subject = "without script";
  await page.goto(`${origin}/search`);
  await page.fill("#f-words", "crane");
  await page.fill("#f-person", "Omar Khalil");
  await Promise.all([page.waitForURL((url) => url.searchParams.has("q")), page.locator("form[action='/search/advanced'] button").click()]);
  claim(subject, "the form asks", unless((await page.inputValue("#q")) === 'crane from:"Omar Khalil"', await page.inputValue("#q")));
  await Promise.all([page.waitForURL((url) => url.searchParams.has("channel")), page.locator("section[aria-labelledby=by-channel] a").first().click()]);
  const count = await total(page);
  claim(subject, "a facet narrows", unless(count > 0, `${count} matches`));
  await page.locator(".find summary").click();
  await page.fill("#save-name", "cranes, \u202e<b>");
  await Promise.all([page.waitForURL(`${origin}/saved`), page.locator("button[form=keep]").click()]);
  const row = page.locator("tr[data-row]").first();
  claim(subject, "a search is kept, with what it finds", unless((await row.innerText()).includes(`${count} match`), await row.innerText()));
  await Promise.all([page.waitForURL((url) => url.pathname === "/search"), row.locator("a").click()]);
  claim(subject, "and opened again", unless((await total(page)) === count, `${await total(page)} matches`));
  await page.goto(`${origin}/saved`);
  await Promise.all([page.waitForEvent("load"), page.locator("tr[data-row] button").first().click()]);
  claim(subject, "and deleted", unless((await page.locator("tr[data-row]").count()) === 0, "it is still there"));
}

await holds(async () => {
  const browser = await launch();
  try {
    const page = await enter(browser);
    await useKeys(page);
    await useBarsAndFacets(page);
    await lookAtAll(page);
    await searchWithoutScript(await enter(browser, { javaScriptEnabled: false }));
    // A page that says what is wrong with a query has the status of that.
    claim("all pages", "no error on the console", heard.console.filter((text) => !/status of 400/.test(text)));
    claim("all pages", "nothing is refused by the policy", heard.refused);
    claim("all pages", "no request to another origin", heard.foreign);
    claimGuarded(heard);
  } finally {
    await browser.close();
  }
});
