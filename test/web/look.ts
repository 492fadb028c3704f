import { mock } from './mock.ts';
import { drawn, open } from './browser.ts';
const [dir] = process.argv.slice(2);
const server = await mock({ epochs: 70, rows: 20000, clusters: 10 });
for (const [name, options] of [
  ['desktop', { viewport: { width: 1280, height: 900 } }],
  ['phone', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }],
  ['dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' as const }],
] as const) {
  const { page, complaints, close } = await open(server.url, options);
  await drawn(page);
  await page.waitForTimeout(600);
  await page.screenshot({ path: `${dir}/${name}.png`, fullPage: true });
  console.log(name, complaints);
  await close();
}
await server.close();
process.exit(0);
