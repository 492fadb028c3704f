// Debian's chromium through playwright-core, and pages that record every error and warning.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import nodeTest from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const PATH = '/usr/bin/chromium';

/** Why browser tests cannot run here; false if they can. */
export const noBrowser = existsSync(PATH) ? false : `${PATH} is missing: apt-get install chromium`;

/** A test that needs a browser. */
export const test = (name: string, work: (t: nodeTest.TestContext) => Promise<void>) =>
  nodeTest(name, { skip: noBrowser }, work);

let running: Promise<Browser> | null = null;

function browser(): Promise<Browser> {
  running ??= chromium.launch({
    executablePath: PATH,
    headless: true,
    args: [
      '--no-sandbox',
      // WebGL in software; the page itself without it.
      ...['--disable-gpu', '--enable-unsafe-swiftshader'],
      ...['--no-first-run', '--disable-background-networking'],
    ],
  });
  return running;
}

export async function closeBrowser(): Promise<void> {
  const own = await running;
  // The next file of this process starts another.
  running = null;
  await own?.close();
}

export interface OpenedPage {
  page: Page;
  /** Console errors and warnings, exceptions, and requests to other origins. */
  complaints: string[];
  close(): Promise<void>;
}

/** Opens a page in a separate browser context. `first` runs in it before the page's own script. */
export async function open(
  url: string,
  options: BrowserContextOptions = {},
  first?: () => void,
): Promise<OpenedPage> {
  const context = await (await browser()).newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  if (first) await page.addInitScript(first);
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    const text = message.text();
    // Of WebGL without a device, where pictures are read back.
    if (/GPU stall due to ReadPixels/.test(text)) return;
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(text);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin)) complaints.push(`requested ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** Waits until what the page has asked to be drawn in its next frame is drawn. */
export const framesPassed = (page: Page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
/** Waits until the scatter plot, and what comes with it, is drawn. */
export async function drawn(page: Page): Promise<void> {
  await page.locator('#scatter-empty').waitFor({ state: 'hidden' });
  await framesPassed(page);
}

export const textOf = async (page: Page, id: string) => (await page.locator(`#${id}`).textContent()) ?? '';
/** Of a picture, what it says to screen readers. */
export const labelOf = async (page: Page, id: string) =>
  (await page.locator(`#${id}`).getAttribute('aria-label')) ?? '';
/** Waits until the text of an element matches. */
export const becomes = (page: Page, id: string, wanted: RegExp) =>
  page.waitForFunction(
    ([elementId, source]) => new RegExp(source).test(document.getElementById(elementId)?.textContent ?? ''),
    [id, wanted.source] as const,
  );
/** Waits until so many elements are there. */
export const counted = (page: Page, selector: string, count: number) =>
  page.waitForFunction(([of, wanted]) => document.querySelectorAll(of).length === wanted, [
    selector,
    count,
  ] as const);
/** Pixels by which the content is wider than the page. */
export const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
/** Colours of the clusters in the table. */
export const colours = (page: Page) =>
  page.locator('#table .swatch path').evaluateAll((paths) => paths.map((path) => path.getAttribute('fill')));
export const isVisible = (page: Page, id: string) => page.locator(`#${id}`).isVisible();
export const background = (page: Page) =>
  page.evaluate(() => getComputedStyle(document.body).backgroundColor);

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Serious faults of accessibility. */
export async function faultsOf(page: Page): Promise<string[]> {
  // The page's content security policy forbids inline scripts, but not what a debugger evaluates.
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof import('axe-core') }).axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
  });
}
