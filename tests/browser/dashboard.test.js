// The main ways through the dashboard, in a real browser. Started by scripts/test-browser with DASHBOARD, the address of a
// dashboard that may act with TOKEN; its store holds the demo's series with their holes. Of ETHUSDT, three klines have other
// values than at the exchange, and both months were certified.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { DASHBOARD, TOKEN, CHROMIUM = "/usr/bin/chromium", SHOTS } = process.env;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PAGES = { overview: "#/", series: "#/series/um/BTCUSDT/5m?month=2025-09", runs: "#/runs" };

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});
after(() => browser?.close());

/** A page whose errors and foreign requests fail the test. */
async function open(hash, { width = 1280, height = 900, colorScheme = "light", bypassCSP = false } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, bypassCSP, reducedMotion: "reduce" });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("request", (request) => request.url().startsWith(DASHBOARD) || problems.push(`foreign: ${request.url()}`));
  await page.goto(`${DASHBOARD}/${hash}`);
  await page.locator("h1").waitFor();
  return { page, problems, close: () => context.close() };
}

/** What the accessibility checker finds serious on a page that allows it. */
async function serious(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  const found = violations.filter((v) => ["serious", "critical"].includes(v.impact));
  return found.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" | ").slice(0, 400)}`);
}

const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

async function picture(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
}

/** Gives the token to the dialog that asks for it. */
async function giveToken(page) {
  await page.getByRole("textbox", { name: "Token" }).fill(TOKEN);
  await page.getByRole("button", { name: "Continue" }).click();
}

test("the program under test serves the pages of this tree", async () => {
  const assets = new URL("../../crates/dashboard/assets/", import.meta.url);
  const files = ["index.html", "css/app.css", ...readdirSync(new URL("js/", assets)).map((file) => `js/${file}`)];
  for (const file of files) {
    const served = await (await fetch(`${DASHBOARD}/${file}`)).text();
    assert.ok(served === readFileSync(new URL(file, assets), "utf8"), `${file} is another one: the program is older than the tree`);
  }
});

for (const [name, hash] of Object.entries(PAGES)) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      test(`${name}, ${colorScheme}, ${width} wide: axe finds nothing serious, nothing overflows, nothing fails`, async () => {
        // The checker itself is put into the page, which its policy would not allow.
        const { page, problems, close } = await open(hash, { width, colorScheme, bypassCSP: true });
        await page.waitForTimeout(800);
        if (name === "runs") await page.locator("details.run summary").first().click();
        assert.deepEqual(await serious(page), []);
        assert.ok(await fits(page), "the page is wider than the window");
        await picture(page, `${name}-${colorScheme}-${width}`);
        assert.deepEqual(problems, []);
        await close();
      });
    }
  }
}

test("the policy lets every page work", async () => {
  for (const hash of Object.values(PAGES)) {
    const { page, problems, close } = await open(hash);
    await page.waitForTimeout(600);
    assert.deepEqual(problems, [], hash);
    await close();
  }
});

test("by keyboard from the map to a month, a day and its candles", async () => {
  const { page, problems, close } = await open("#/");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.locator('.heat .cell[tabindex="0"]').focus();
  const words = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  const first = await words();
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await words(), first);
  await page.keyboard.press("Home");
  assert.equal(await words(), first);
  assert.match(first, /^um BTCUSDT 5m, September 2025: [\d,]+ of 5,472 klines stored, [\d,]+ missing$/);
  assert.equal(await page.locator(".readout").first().textContent(), first, "what is read out is shown as well");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /BTCUSDT 5m/ }).waitFor();
  await page.getByRole("heading", { name: "Days of September 2025" }).waitFor();
  await page.locator('[aria-label="Coverage by day"] .cell.some').first().press("Enter");
  await page.getByRole("heading", { name: "Hours of 2025-09-12" }).waitFor();
  await page.locator(".chart canvas").first().waitFor();
  assert.match(await page.locator(".chart-says").textContent(), /candles, 150 missing/);
  assert.deepEqual(problems, []);
  await close();
});

test("search, sort and filter", async () => {
  const { page, close } = await open("#/");
  const names = () => page.locator(".list tbody th").allTextContents();
  await page.locator(".list tbody th").nth(1).waitFor();
  assert.deepEqual(await names(), ["um BTCUSDT 5m", "um ETHUSDT 5m"]);
  await page.getByRole("button", { name: "Behind", exact: true }).click();
  await page.waitForFunction(() => document.querySelector(".list tbody th")?.textContent === "um ETHUSDT 5m");
  await page.getByLabel("Find series").fill("eth 5m");
  await page.waitForFunction(() => document.querySelectorAll(".list tbody th").length === 1);
  await page.getByLabel("Find series").fill("doge");
  await page.getByText("No series fits.").waitFor();
  await close();
});

test("gaps are listed, shown in the chart and stepped through", async () => {
  const { page, problems, close } = await open("#/series/um/BTCUSDT/5m");
  const gaps = page.getByRole("region", { name: "Gaps", exact: true }).locator("tbody tr");
  await gaps.first().waitFor();
  assert.equal(await gaps.count(), 8);
  await gaps.nth(4).getByRole("button").click();
  await page.waitForFunction(() => /1,300 missing/.test(document.querySelector(".chart-says").textContent));
  await page.getByRole("button", { name: "Next gap" }).click();
  await page.waitForFunction(() => !/1,300 missing/.test(document.querySelector(".chart-says").textContent));
  await page.getByRole("button", { name: "First candles" }).click();
  await page.waitForFunction(() => document.querySelector(".chart-says").textContent.startsWith("2025-09-12"));
  assert.deepEqual(problems, []);
  await close();
});

test("the theme can be chosen, and stays", async () => {
  const { page, close } = await open("#/");
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.locator("#theme").click();
  await page.locator("#theme").click();
  assert.notEqual(await ground(), light);
  await page.reload();
  assert.notEqual(await ground(), light);
  await close();
});

test("what was certified is told in words: in the list, on the page, and what changed can be asked for", async () => {
  const { page, problems, close } = await open("#/");
  const row = (symbol) => page.locator(".list tbody tr", { hasText: symbol });
  await row("ETHUSDT").waitFor();
  assert.match(await row("BTCUSDT").textContent(), /never/);
  assert.match(await row("ETHUSDT").textContent(), /all 2 months/);
  assert.match(await page.locator(".tile", { hasText: "Certified" }).textContent(), /1 of 2.*none changed since/);
  await page.getByLabel("show").selectOption("changed since certified");
  await page.getByText("No series fits.").waitFor();
  await page.goto(`${DASHBOARD}/#/series/um/ETHUSDT/5m`);
  await page.getByText(/^all 2 months, the oldest certified \d{4}-\d\d-\d\d$/).waitFor();
  await page.goto(`${DASHBOARD}/#/series/um/BTCUSDT/5m`);
  await page.getByText("never certified", { exact: true }).waitFor();
  assert.deepEqual(problems, []);
  await close();
});

test("comparing asks for the token, tells the first differences and changes nothing", async () => {
  const { page, problems, close } = await open("#/series/um/ETHUSDT/5m", { bypassCSP: true });
  await page.getByRole("button", { name: "Compare with the exchange" }).click();
  await giveToken(page);
  const card = page.getByRole("region", { name: "Compared with the exchange" });
  await card.getByText(/^comparing every stored kline with the exchange/).waitFor();
  await page.getByRole("button", { name: "Fill gaps now" }).click();
  await page.getByText("a job that was started here is still running").waitFor();
  await card.getByText("2,234 differ: 3 with other values, 2,231 only at the exchange; 8,771 klines the same").waitFor({ timeout: 60_000 });
  await page.getByRole("status").getByText("compared: something was found").waitFor();
  const rows = card.locator("tbody tr");
  assert.equal(await rows.count(), 10);
  assert.match(await rows.nth(1).textContent(), /2025-09-12 08:20.*other values.*open: stored [\d.]+, exchange [\d.]+.*and 6 fields more/);
  assert.match(await rows.nth(4).textContent(), /2025-09-13 01:00.*96 klines only at the exchange/);
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(300);
      assert.deepEqual(await serious(page), []);
      assert.ok(await fits(page), "the page is wider than the window");
      await picture(page, `compared-${colorScheme}-${width}`);
    }
  }
  await page.reload();
  await card.getByText(/^2,234 differ/).waitFor();
  await page.goto(`${DASHBOARD}/#/`);
  await page.getByRole("heading", { name: /4,483 klines missing/ }).waitFor();
  assert.deepEqual(problems.filter((p) => !/409/.test(p)), []);
  await close();
});

// Last, because it fills what the others look at.
test("filling asks for the token, refuses a wrong one, shows the job and ends complete", async () => {
  const { page, close } = await open("#/");
  await page.getByRole("button", { name: "Fill what is missing" }).click();
  const token = page.getByRole("textbox", { name: "Token" });
  await token.fill("not-the-right-token");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("this takes the token").waitFor();
  await giveToken(page);
  await page.getByText("Running now").waitFor({ timeout: 20_000 });
  await page.getByRole("heading", { name: /Complete: nothing is missing/ }).waitFor({ timeout: 60_000 });
  await page.goto(`${DASHBOARD}/#/runs`);
  await page.locator("details.run").first().waitFor();
  assert.match(await page.locator("details.run summary").first().textContent(), /complete.*4,961 written/);
  assert.ok(!(await page.content()).includes(TOKEN), "the token stands in no page");
  await close();
});

test("what was filled has changed since it was certified, and is the same as at the exchange", async () => {
  const { page, problems, close } = await open("#/");
  await page.getByLabel("show").selectOption("changed since certified");
  const row = page.locator(".list tbody tr");
  await page.waitForFunction(() => document.querySelectorAll(".list tbody tr").length === 1);
  assert.match(await row.textContent(), /ETHUSDT.*2 of 2 changed/);
  const list = page.getByRole("region", { name: "Series", exact: true }).last();
  assert.ok(await list.evaluate((frame) => frame.scrollWidth <= frame.clientWidth), "the list does not fit its frame");
  await picture(page, "changed-light-1280");
  await row.getByRole("link").click();
  await page.getByText("2 of 2 months changed since", { exact: true }).waitFor();
  await page.getByText("klines certify --incremental").waitFor();
  await page.goto(`${DASHBOARD}/#/series/um/BTCUSDT/5m`);
  await page.getByRole("button", { name: "Compare with the exchange" }).click();
  await giveToken(page);
  const card = page.getByRole("region", { name: "Compared with the exchange" });
  await card.getByText("the same: 11,256 klines as the exchange has them").waitFor({ timeout: 60_000 });
  await picture(page, "same-light-1280");
  assert.deepEqual(problems, []);
  await close();
});
