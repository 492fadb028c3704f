// The page of a real `dpmesh train`: opened during the run, which it then stops.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import type { Page } from 'playwright-core';
import {
  assertNoneLeft,
  ENDLESS,
  easyData,
  K,
  type RunningProcess,
  scratch,
  start,
  trainArgs,
  until,
} from '../../e2e/support.ts';
import { background, becomes, closeBrowser, drawn, labelOf, open, test, textOf } from './browser.ts';

after(closeBrowser);

const addressOf = (running: RunningProcess) =>
  until('an address', () => /watch it at (http:\S+\/)/.exec(running.stderr())?.[1], running);
/** Waits until the clusters of the data are found. */
const hasAll = (page: Page) =>
  page.waitForFunction((wanted) => document.getElementById('now-k')?.textContent === wanted, String(K), {
    timeout: 40_000,
  });
/** But for requests of a page whose coordinator has ended. */
const assertQuiet = (complaints: string[]) =>
  assert.deepEqual(
    complaints.filter((complaint) => !/ERR_(INCOMPLETE_CHUNKED|CONNECTION)/.test(complaint)),
    [],
  );

test('a real run: opened while K grows, reloaded, in the dark theme, stopped by its button', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 4000);
  // Splits are far enough apart that the page opens before the last one.
  const slow = ['--no-early-stop', '--max-epochs', 1_000_000, '--split-merge-every', 100, '--batch-size', 16];
  const running = start(
    trainArgs(data, join(folder, 'run'), '--workers', 2, '--http', '127.0.0.1:0', ...slow),
  );
  const url = await addressOf(running);
  const { page, complaints, close } = await open(url, { colorScheme: 'dark' });
  await drawn(page);
  const kNow = () => page.evaluate(() => Number(document.getElementById('now-k')?.textContent));
  await page.waitForFunction(() => Number(document.getElementById('now-k')?.textContent) > 0);
  const early = await kNow();
  assert.ok(early < K, `K ${early} when the page opened`);
  await hasAll(page);
  await page.waitForFunction((wanted) => document.querySelectorAll('#table tbody tr').length >= wanted, K);
  assert.match(await labelOf(page, 'chart-k'), /epochs: 1 at first, now 6/);
  console.log(`K ${early} when it opened, then ${K}`);

  await page.reload();
  await drawn(page);
  assert.match(await labelOf(page, 'chart-k'), /epochs: 1 at first/);
  assert.match(await textOf(page, 'log'), /Split step: K 1 → \d/);
  await becomes(page, 'lanes-table', /local\/0[\s\S]*local\/1/);
  assert.equal(await background(page), 'rgb(16, 18, 21)');

  // Points lie near a centre: both are in the same coordinates.
  const strays = await page.evaluate(async () => {
    const [state, sample] = await Promise.all([fetch('/api/state'), fetch('/api/sample')]);
    const { means, scale } = await state.json();
    const rows = new Float32Array(await sample.arrayBuffer());
    const d = scale.length;
    let far = 0;
    for (let at = 0; at < rows.length; at += d) {
      const distances = means.map((mean: number[]) =>
        Math.hypot(...mean.map((value, i) => value - rows[at + i] * scale[i])),
      );
      if (Math.min(...distances) > 8) far++;
    }
    return far / (rows.length / d);
  });
  assert.ok(strays < 0.01, `a fraction of ${strays} of the points is near no centre`);

  await page.locator('#pause').click();
  await becomes(page, 'status', /^paused$/);
  await page.locator('#checkpoint').click();
  await becomes(page, 'notice', /checkpoint/);
  await page.locator('#pause').click();
  await becomes(page, 'status', /^running$/);
  await page.locator('#stop').click();
  await page.locator('#confirm-yes').click();
  const { code } = await running.ended;
  assert.equal(code, 130);
  await becomes(page, 'notice', /stopped/);
  assert.ok((await kNow()) >= K, 'the last picture stays');
  assertQuiet(complaints);
  await close();
  await assertNoneLeft(running.pid, 5);
});

test('the page finishes a run, and then shows the tree of tree.json', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'ended', 4000);
  const out = join(folder, 'ended-run');
  const running = start(
    trainArgs(data, out, '--workers', 2, '--http', '127.0.0.1:0', '--linger', 600, ...ENDLESS),
  );
  const url = await addressOf(running);
  const { page, complaints, close } = await open(url);
  await hasAll(page);
  await page.locator('#finish').click();
  const [answer] = await Promise.all([
    page.waitForResponse(/api\/finish$/),
    page.locator('#confirm-yes').click(),
  ]);
  assert.match(await answer.text(), /training ends after this epoch/);
  await page.locator('#tree').waitFor({ timeout: 60_000 });
  const { sizes, joins } = JSON.parse(readFileSync(join(out, 'tree.json'), 'utf8'));
  assert.equal(sizes.length, K);
  const { a, b } = joins[0];
  const next = new RegExp(`^${K} clusters; the next join is of ${a} and ${b} at `);
  assert.match(await textOf(page, 'cut'), next);
  const texts = (await page.locator('#tree svg text').allTextContents()).map((text) => text.trim());
  for (const [cluster, rows] of sizes.entries()) {
    const at = texts.indexOf(String(cluster));
    assert.ok(at >= 0 && texts.includes(rows.toLocaleString('en'), at), `${cluster}: ${texts.join(' | ')}`);
  }
  await page.locator('#dial').press('Home');
  await becomes(page, 'cut', /^1 cluster$/);
  await becomes(page, 'status', /^done$/);
  running.kill('SIGINT');
  const { code } = await running.ended;
  assert.equal(code, 0);
  // The coordinator is gone: tree and dial stay.
  await page.locator('#dial').press('End');
  await becomes(page, 'cut', new RegExp(`^${K} `));
  assertQuiet(complaints);
  await close();
  await assertNoneLeft(running.pid, 5);
});
