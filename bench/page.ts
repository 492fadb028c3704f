// How soon the live page of a finished run of 200 clusters and 20,000 points shows its first picture, in Chromium:
// `npm run bench:page`.
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { tempPath } from './dpmesh.ts';
import { spawnDpmesh } from './processes.ts';

const LOADS = 5;
const TARGET_MS = 1000;

const [data, labels] = [tempPath('data.npy'), tempPath('labels.npy')];
await spawnDpmesh([
  'synth',
  '--clusters',
  200,
  '--points',
  20_000,
  '--dim',
  10,
  '--out',
  data,
  '--labels',
  labels,
]).ended;
const flags = ['--workers', 2, '--init-k', 200, '--http', '127.0.0.1:0', '--linger', 600, '--no-report'];
const run = spawnDpmesh(['train', '--data', data, '--out', tempPath('run'), ...flags]);
const url = await lingering();

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const pictures: number[] = [];
for (let load = 0; load < LOADS; load++) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(url);
  await page.locator('#scatter-empty').waitFor({ state: 'hidden' });
  const points = await page.locator('#scatter').getAttribute('aria-label');
  const first = await page.evaluate(() => {
    // The page measures each drawing of the plot; before the first model there is nothing to draw.
    const [{ startTime, duration }] = performance.getEntriesByName('scatter');
    return startTime + duration;
  });
  pictures.push(first);
  console.log(`${first.toFixed(0)} ms: ${points}`);
  await page.close();
}
await browser.close();
run.kill('SIGTERM');
await run.ended;
const best = Math.min(...pictures);
console.log(`first picture after ${best.toFixed(0)} ms at best; at most ${TARGET_MS} are wanted`);
process.exitCode = best <= TARGET_MS ? 0 : 1;

async function lingering(): Promise<string> {
  for (;;) {
    const found = /^(http:\S+) stays for/m.exec(run.stderr());
    if (found) return found[1];
    const over = await Promise.race([run.ended, sleep(200)]);
    if (over) throw new Error(over.stderr);
  }
}
