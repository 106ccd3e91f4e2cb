// Seconds until a page shows its first state, and for a step in the middle of it: node benchmarks/view.mjs PAGE

import { createRequire } from "node:module";
import path from "node:path";

const { chromium } = createRequire(path.join(process.env.CWM_TRACE_BROWSER, "/"))("playwright-core");
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args });
const opened = [];
let page;
for (let turn = 0; turn < 3; turn++) {
  page = await browser.newPage();
  const start = performance.now();
  await page.goto(`file://${process.argv[2]}`);
  await page.waitForSelector("#where strong");
  opened.push((performance.now() - start) / 1000);
}
const step = await page.evaluate(async () => {
  const shown = (frame) => document.querySelector("#where strong").textContent === `frame ${frame}`;
  const turn = () => new Promise((done) => setTimeout(done));
  const middle = Math.floor(Number(document.getElementById("slider").max) / 2);
  const go = async (frame) => {
    location.hash = `frame=${frame}`;
    while (!shown(frame)) await turn();
  };
  await go(middle);
  const start = performance.now();
  for (let frame = middle + 1; frame <= middle + 20; frame++) await go(frame);
  return (performance.now() - start) / 20000;
});
console.log(JSON.stringify({ open: Math.min(...opened), step }));
await browser.close();
