// Debian's chromium through playwright-core, and pages that record every error and warning.
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const PATH = '/usr/bin/chromium';

/** Why browser tests cannot run here; false if they can. */
export const noBrowser = existsSync(PATH) ? false : `${PATH} is missing: apt-get install chromium`;

let running: Promise<Browser> | null = null;

function browser(): Promise<Browser> {
  running ??= chromium.launch({
    executablePath: PATH,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
    ],
  });
  return running;
}

export async function closeBrowser(): Promise<void> {
  await (await running)?.close();
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
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin)) complaints.push(`requested ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** Waits until the scatter plot is drawn. */
export const drawn = (page: Page) => page.locator('#scatter-empty').waitFor({ state: 'hidden' });
