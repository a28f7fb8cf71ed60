// Visits the demo in headless Chromium and prints, as JSON, what a person would have seen.
// usage: node visit.mjs URL PICTURE CHROMIUM
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [url, picture, executablePath] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const seen = { outside: [], errors: [], axe: [] };
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 120_000 });

async function open(where = url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("request", (request) => {
    const to = new URL(request.url());
    if (!["data:", "blob:"].includes(to.protocol) && to.host !== new URL(url).host) seen.outside.push(to.href);
  });
  await page.goto(where);
  await page.waitForSelector("#plain:enabled");
  return page;
}

const tokens = (page, region) =>
  page.locator(region === undefined ? "#story .token" : `#story p:first-child [data-region="${region}"] .token`);
const atLeast = (locator, count) => locator.nth(count - 1).waitFor({ state: "attached" });
const log = (page) =>
  page.locator("#log li").evaluateAll((items) => items.map((item) => [Number(item.dataset.token), item.dataset.region]));
const story = (page) =>
  page.locator("#story p:first-child > span").evaluateAll((spans) => spans.map((span) => [span.dataset.region, span.textContent]));

async function audit(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  for (const { id, impact, nodes } of violations) seen.axe.push([name, impact, id, nodes[0].html.slice(0, 120)]);
}

async function steering() {
  const page = await open();
  await page.locator(".region").nth(1).hover();
  await atLeast(tokens(page), 2);
  await page.locator(".region").nth(3).hover();
  await atLeast(tokens(page, 4), 3);
  await audit(page, "writing");
  seen.pressed = await page.locator('.region[aria-pressed="true"]').getAttribute("aria-label");
  seen.tint = await page.locator('#story [data-region="4"]').evaluate((span) => getComputedStyle(span).backgroundColor);
  seen.veil = await page.locator(".veil").evaluateAll((veils) =>
    veils.map((veil) => {
      const { data } = veil.getContext("2d").getImageData(0, 0, veil.width, veil.height);
      return data.filter((_, i) => i % 4 === 3).reduce((least, alpha) => Math.min(least, alpha), 255);
    }));
  const before = await tokens(page).count();
  await page.mouse.move(3, 3);
  const left = await tokens(page).count();
  await page.waitForTimeout(700);
  seen.leaving = [before, left, await tokens(page).count()];
  seen.log = await log(page);
  seen.story = await story(page);
  const again = await open(page.url());
  await again.waitForFunction((count) => document.querySelectorAll("#story .token").length >= count, left);
  await again.keyboard.press("Escape");
  seen.repeated = [await log(again), await story(again)];
  seen.status = await again.locator("#status").innerText();
}

async function keyboard() {
  const page = await open();
  await page.keyboard.press("3");
  await atLeast(tokens(page, 3), 2);
  await page.keyboard.press("ArrowRight");
  await atLeast(tokens(page, 4), 2);
  await page.keyboard.press("Escape");
  const count = await tokens(page).count();
  await page.waitForTimeout(500);
  seen.keys = { log: (await log(page)).map(([, region]) => region), stopped: (await tokens(page).count()) - count };
  await page.locator("#prompt").fill("");
  await page.locator("#prompt").pressSequentially("1 2");
  seen.typed = await page.locator("#prompt").inputValue();
}

async function controls() {
  const page = await open();
  await page.locator("#plain").click();
  await atLeast(tokens(page, ""), 2);
  seen.plain = await log(page);
  await page.locator("input[value=all]").check();
  seen.all = await page.locator("#heads-line").innerText();
  await page.locator("input[value=gaze]").check();
  await page.locator("#k").fill("0");
  seen.one = [await page.locator("#heads-line").innerText(), await page.locator(".cell.on").count()];
  await page.keyboard.press("Escape");
  await page.locator("#another").click();
  await page.waitForURL(/drawn=\d+/);
  seen.drawn = await page.locator(".region").count();
  await page.locator("#file").setInputFiles({ name: "../../etc/passwd.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.locator("#trouble:visible").waitFor();
  seen.refused = await page.locator("#trouble").innerText();
}

async function own() {
  const page = await open();
  await page.locator("#file").setInputFiles(picture);
  const frame = await page.locator(".stage.whole .tile").boundingBox();
  await page.mouse.move(frame.x + 0.1 * frame.width, frame.y + 0.1 * frame.height);
  await page.mouse.down();
  await page.mouse.move(frame.x + 0.6 * frame.width, frame.y + 0.9 * frame.height, { steps: 4 });
  await page.mouse.up();
  await page.mouse.move(frame.x + 0.9 * frame.width, frame.y + 0.5 * frame.height);
  await page.locator(".region").hover();
  await atLeast(tokens(page, 1), 2);
  await page.keyboard.press("Escape");
  seen.own = [await page.locator(".region").count(), await page.locator("#share").isVisible()];
  await audit(page, "own picture");
}

async function phone() {
  const page = await open(url, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: "dark" });
  await page.locator(".region").nth(4).tap();
  await atLeast(tokens(page, 5), 2);
  seen.wide = await page.evaluate(() => document.documentElement.scrollWidth);
  await page.locator(".region").nth(4).tap();
  const count = await tokens(page).count();
  await page.waitForTimeout(500);
  seen.tapped = (await tokens(page).count()) - count;
  await audit(page, "phone, dark");
}

for (const scene of [steering, keyboard, controls, own, phone]) {
  await scene().catch(async (error) => {
    for (const page of browser.contexts().flatMap((context) => context.pages()))
      console.error(scene.name, await page.locator(".now").innerText(), await page.locator("#trouble").innerText());
    console.error(JSON.stringify(seen));
    throw error;
  });
}
await browser.close();
console.log(JSON.stringify(seen));
