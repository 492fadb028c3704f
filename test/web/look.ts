// Looks at the page in three shapes and writes docs/screenshots/*.png: npx tsx test/web/look.ts [folder] [clusters]
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions } from 'playwright-core';
import { closeBrowser, drawn, open } from './browser.ts';
import { mock } from './mock.ts';

const [folder = fileURLToPath(new URL('../../docs/screenshots', import.meta.url)), clusters = '10'] =
  process.argv.slice(2);
const server = await mock({ epochs: 70, rows: 20_000, clusters: Number(clusters) });
const shapes: Record<string, BrowserContextOptions> = {
  desktop: { viewport: { width: 1280, height: 1000 } },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
  dark: { viewport: { width: 1280, height: 1000 }, colorScheme: 'dark' },
};
for (const [name, options] of Object.entries(shapes)) {
  const { page, complaints, close } = await open(server.url, options);
  await drawn(page);
  await page.waitForTimeout(500);
  await page.screenshot({ path: `${folder}/live-page-${name}.png`, fullPage: name !== 'phone' });
  if (name === 'phone') await page.screenshot({ path: `/tmp/phone-full.png`, fullPage: true });
  for (const complaint of complaints) console.error(`${name}: ${complaint}`);
  await close();
}
await server.close();
await closeBrowser();
