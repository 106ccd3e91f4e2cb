// The page in a real browser: each key and click, hostile texts, accessibility, size.
// CWM_TRACE_BROWSER: a folder with playwright-core and axe-core; CWM_TRACE_PAGES: the pages that test_browser.py made.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";

const need = createRequire(path.join(process.env.CWM_TRACE_BROWSER, "/"));
const { chromium } = need("playwright-core");
const axe = readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");
const pages = process.env.CWM_TRACE_PAGES;
const facts = JSON.parse(readFileSync(path.join(pages, "facts.json"), "utf8"));
const shots = process.env.CWM_TRACE_SHOTS;

let browser;
before(async () => {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args, timeout: 300_000 });
});
after(() => browser.close());

async function open(name, { hash = "", width = 1280, height = 800, dark = false, script = true } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", javaScriptEnabled: script });
  page.setDefaultTimeout(120_000);
  page.faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("request", (request) => request.url().startsWith("file://") || page.faults.push(`asks for ${request.url()}`));
  page.on("dialog", (dialog) => page.faults.push(`dialog: ${dialog.message()}`) && dialog.dismiss());
  await page.goto(`file://${path.join(pages, name)}${hash}`);
  if (script) await page.waitForSelector("#where strong");
  return page;
}

const row = async (page) => Number(/frame=(\d+)/.exec(await page.evaluate(() => location.hash))[1]);

async function at(page, wanted) {
  await page.waitForFunction((text) => document.querySelector("#where strong")?.textContent === text, `frame ${wanted}`);
  assert.equal(await row(page), wanted);
}

async function press(page, key, wanted) {
  await page.keyboard.press(key);
  await at(page, wanted);
}

const cells = (page) => page.$$eval("#state tbody tr", (rows) => rows.map((r) => [...r.children].map((c) => c.innerText.trim())));

test("every state is the recorded one", async () => {
  const page = await open("pair.html", { hash: "#frame=0" });
  for (const [index, state] of Object.entries(facts.states)) {
    await page.evaluate((i) => (location.hash = `frame=${i}`), index);
    await at(page, Number(index));
    const shown = Object.fromEntries((await cells(page)).map(([name, real]) => [name, real.replace(/^\* /, "")]));
    for (const [name, text] of Object.entries(state)) assert.equal(shown[name], text, `frame ${index}, ${name}`);
  }
  assert.deepEqual(page.faults, []);
});

test("keys go where they say", async () => {
  const page = await open("pair.html", { hash: "#frame=0" });
  await press(page, "ArrowRight", 1);
  await press(page, "ArrowLeft", 0);
  await press(page, "ArrowLeft", 0);
  await press(page, "End", facts.count - 1);
  await press(page, "Home", 0);
  await press(page, "n", facts.wrong[0]);
  await press(page, "n", facts.wrong[1]);
  await press(page, "Shift+N", facts.wrong[0]);
  await press(page, "f", facts.wrong[0]);
  const { before: start, over, out, caller } = facts.walk;
  await page.evaluate((i) => (location.hash = `frame=${i}`), start);
  await at(page, start);
  await press(page, "ArrowDown", over);
  await press(page, "ArrowUp", start);
  await press(page, "ArrowRight", start + 1);
  await press(page, "Shift+ArrowDown", out);
  await page.evaluate((i) => (location.hash = `frame=${i}`), start + 1);
  await at(page, start + 1);
  await press(page, "Shift+ArrowUp", caller);
  assert.deepEqual(page.faults, []);
});

test("g goes to a frame, / searches, ? helps", async () => {
  const page = await open("pair.html", { hash: "#frame=0" });
  await page.keyboard.press("g");
  await page.keyboard.type("999999");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => /frames go from 0/.test(document.querySelector("#dialog [role=status]").textContent));
  await page.fill("#dialog input", "7");
  await page.keyboard.press("Enter");
  await at(page, 7);
  await page.keyboard.press("/");
  await page.keyboard.type(facts.search.text);
  await page.keyboard.press("Enter");
  await at(page, facts.search.found);
  await page.keyboard.press("/");
  await page.fill("#dialog input", "no such text");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#dialog [role=status]").textContent === "nothing found");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("#dialog").open);
  await page.keyboard.press("?");
  await page.waitForSelector("#dialog kbd");
  assert.match(await page.innerText("#dialog"), /the next wrong step/);
  await page.keyboard.press("Escape");
  assert.deepEqual(page.faults, []);
});

test("clicks: buttons, lists, tabs, map, slider, pickers, predictions", async () => {
  const page = await open("pair.html", { hash: "#frame=0" });
  await page.click("[data-do=step]");
  await at(page, 1);
  await page.click("[data-do=back]");
  await at(page, 0);
  await page.click("[data-do=first]");
  await at(page, facts.wrong[0]);
  assert.match(await page.innerText("#where"), /✗/);
  await page.click("#step-list .row:has-text('steps += 1')");
  assert.equal(facts.source[await row(page)], "steps += 1");
  await page.click(`#source .row[data-number='${facts.entryLine - 1}']`);
  assert.match(await page.innerText("#where"), new RegExp(`line ${facts.entryLine}\\b`));
  await page.click("#tab-calls");
  await page.click(`#call-list .row >> nth=1`);
  await at(page, facts.secondCall);
  const before = await page.$$eval("#call-list .row", (rows) => rows.length);
  await page.click("#call-list .fold >> nth=0");
  assert.ok((await page.$$eval("#call-list .row", (rows) => rows.length)) < before);
  await page.evaluate((i) => (location.hash = `frame=${i}`), facts.loop.row);
  await at(page, facts.loop.row);
  await page.click("#pickers [aria-label$=': next'] >> nth=0");
  await at(page, facts.loop.next);
  await page.click("#state .name >> nth=0");
  await page.waitForSelector("#history svg");
  await page.click("#value-list .row >> nth=0");
  await page.click("#map", { position: { x: 3, y: 20 } });
  await at(page, 0);
  await page.focus("#slider");
  await page.selectOption("#guess", "2");
  assert.match(await page.evaluate(() => location.hash), /guess=2/);
  await page.keyboard.press("1");
  assert.doesNotMatch(await page.evaluate(() => location.hash), /guess=/);
  await page.click("#tab-about");
  assert.match(await page.innerText("#about"), /frames exact/);
  assert.deepEqual(page.faults, []);
});

test("hostile texts are text", async () => {
  const page = await open("hostile.html", { hash: "#frame=0" });
  for (let i = 0; i < facts.hostile.count; i++) {
    await page.evaluate((n) => (location.hash = `frame=${n}`), i);
    await at(page, i);
    for (const tab of ["steps", "calls", "history", "about"]) await page.click(`#tab-${tab}`);
  }
  await page.evaluate((n) => (location.hash = `frame=${n}`), facts.hostile.long);
  await at(page, facts.hostile.long);
  await page.click("#state .name >> nth=0");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await page.$("#page img, #page iframe, #page script, #page a"), null);
  assert.doesNotMatch(await page.innerText("#page"), /[\u202a-\u202e\u2066-\u2069\ud800-\udfff]/u);
  await page.click(".more >> nth=0");
  assert.ok((await page.innerText("#dialog .whole")).length >= 1_000_000);
  assert.deepEqual(page.faults, []);
});

test("without scripts there is a table around the first wrong step", async () => {
  const page = await open("pair.html", { script: false });
  const text = await page.innerText("noscript");
  assert.match(text, /first wrong frame/);
  const hostile = await open("hostile.html", { script: false });
  assert.equal(await hostile.$("noscript img, noscript script"), null);
});

for (const [width, height] of [[1280, 800], [390, 844]]) {
  for (const dark of [false, true]) {
    const look = `${width} pixels, ${dark ? "dark" : "light"}`;
    test(`accessible: ${look}`, async () => {
      const page = await open("pair.html", { width, height, dark, hash: `#frame=${facts.wrong[0]}` });
      const found = [];
      for (const tab of ["steps", "calls", "history", "about"]) {
        await page.click(`#tab-${tab}`);
        if (tab === "history") await page.click("#state .name >> nth=0");
        // axe, as playwright evaluates it: the page's own policy forbids scripts in elements
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run());
        found.push(...violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${tab}: ${v.id}: ${v.nodes[0].html}: ${v.nodes[0].failureSummary}`));
      }
      assert.deepEqual(found, []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide} pixels do not fit`);
      await page.click("#tab-steps");
      if (shots) await page.screenshot({ path: path.join(shots, `${width}-${dark ? "dark" : "light"}.png`) });
    });
  }
}

test("a report leads to the wrong step: sort, filter, open", async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const faults = [];
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(error.message));
  await page.goto(`file://${path.join(pages, "report", "index.html")}`);
  const ids = () => page.$$eval("#list tbody tr:not([hidden]) td:first-child", (cells) => cells.map((cell) => cell.textContent));
  const all = await ids();
  assert.equal(all.length, 4);
  await page.click("#list [data-column='2']");
  const frames = await page.$$eval("#list tbody td:nth-child(3)", (cells) => cells.map((cell) => Number(cell.textContent)));
  assert.deepEqual(frames, [...frames].sort((a, b) => a - b));
  await page.fill("#text", all[0]);
  assert.deepEqual(await ids(), [all[0]]);
  assert.match(await page.innerText("#count"), /1 of 4 programs/);
  await page.fill("#text", "");
  await page.fill("#most", String(frames[0]));
  assert.equal((await ids()).length, 1);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepEqual(violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${v.id}: ${v.nodes[0].html}`), []);
  await page.click("#list tbody tr:not([hidden]) a");
  await page.waitForSelector("#where strong");
  assert.match(await page.innerText("#where"), /✗/);
  assert.deepEqual(faults, []);
});

test("100,000 frames have as few rows as a screen", async () => {
  const page = await open("long.html", { hash: "#frame=99990" });
  await at(page, 99_990);
  assert.ok((await page.$$eval(".row", (rows) => rows.length)) < 200);
  await press(page, "Home", 0);
  await press(page, "ArrowRight", 1);
  assert.deepEqual(page.faults, []);
});
