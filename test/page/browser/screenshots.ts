// Takes the screenshots of docs/live-page.md from a real run on the MNIST embedding: npx tsx test/page/browser/screenshots.ts [folder]
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import sharp from 'sharp';
import { closeBrowser, drawn, open } from './browser.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const [to = join(root, 'docs/screenshots')] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'dpmesh-'));
copyFileSync(join(root, 'docs/examples/mnist/mnist_umap10.npy'), join(folder, 'mnist_umap10.npy'));
const flags = ['--data', 'mnist_umap10.npy', '--workers', '4', '--no-early-stop', '--max-epochs', '2000'];
const running = spawn(
  process.execPath,
  [join(root, 'dist/cli/main.js'), 'train', ...flags, '--http', '127.0.0.1:0'],
  { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
);
let stderr = '';
const url = await new Promise<string>((resolve) => {
  running.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
    const match = /watch it at (http:\S+)/.exec(stderr);
    if (match) resolve(match[1]);
  });
});

const shapes: Record<string, BrowserContextOptions> = {
  desktop: { viewport: { width: 1280, height: 1000 }, colorScheme: 'light' },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: 'light' },
  dark: { viewport: { width: 1280, height: 1000 }, colorScheme: 'dark' },
};
for (const [name, options] of Object.entries(shapes)) {
  const { page, complaints, close } = await open(url, options);
  await drawn(page);
  await waitForEpoch(page, 90);
  if (name === 'desktop') await page.locator('#pause').click();
  await page.waitForTimeout(800);
  await page.reload();
  await drawn(page);
  await page.waitForTimeout(500);
  const fullPage = name !== 'phone';
  const shot = sharp(await page.screenshot({ fullPage }));
  await shot.png({ palette: true, effort: 10 }).toFile(join(to, `live-page-${name}.png`));
  if (!fullPage) await page.screenshot({ fullPage: true, path: join(folder, 'phone.png') });
  for (const complaint of complaints) console.error(`${name}: ${complaint}`);
  await close();
}
await closeBrowser();
running.kill('SIGINT');
await new Promise((resolve) => running.once('exit', resolve));
rmSync(folder, { recursive: true });

async function waitForEpoch(page: Page, least: number) {
  await page.waitForFunction(
    (wanted) => Number.parseInt(document.getElementById('now-epoch')!.textContent!, 10) >= wanted,
    least,
    { timeout: 120_000 },
  );
}
