// What the page shows beside K and below the status once the run has ended.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { closeBrowser, noBrowser, open } from './browser.ts';
import { mock } from './mock.ts';

const skip = noBrowser;
after(closeBrowser);

const TIME = '2026-11-26T12:00:00.000Z';
const DONE = { type: 'done' as const, k: 10, rowsRead: 140_000, seconds: {}, workers: {}, time: TIME };

test('notes and replicates of a run that has ended', { skip }, async () => {
  const running = await mock({ epochs: 60, rows: 200 });
  const { page, complaints, close } = await open(running.url);
  const textOf = (id: string) => page.locator(`#${id}`).textContent();
  await page.waitForFunction(() => document.getElementById('now-k')?.textContent === '10');
  assert.equal(await page.locator('#result-notes').isVisible(), false);
  const event = {
    ...DONE,
    notes: ['the first <b>note</b>', 'the second'],
    replicates: { count: 8, k: [10, 11] as [number, number], ks: [10, 11], agreement: 0.974 },
  };
  running.send({ type: 'event', event });
  running.setStatus('done');
  await page.waitForFunction(() => !document.getElementById('result-notes')!.hidden);
  assert.deepEqual(await page.locator('#result-notes li').allTextContents(), event.notes);
  assert.equal(await textOf('now-k'), '10 (8 replicates: 10–11, agreement .97)');
  assert.match((await textOf('log'))!, /Done: K 10 \(8 replicates: 10–11, agreement \.97\), results written/);
  // Nothing is cut off or overlaps, also on a narrow screen.
  for (const width of [1280, 400]) {
    await page.setViewportSize({ width, height: 800 });
    // The charts follow the new width in the next frames: what is asked is the layout that they settle on.
    await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth);
    await page.waitForFunction(() => {
      const k = document.getElementById('now-k')!;
      return k.scrollWidth <= k.clientWidth + 1;
    });
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/notes-${width}.png` });
  }
  assert.deepEqual(complaints, []);
  await close();
  await running.close();
});

test('a run that is fine shows no notes', { skip }, async () => {
  const running = await mock({ epochs: 60, rows: 200 });
  const { page, close } = await open(running.url);
  running.send({ type: 'event', event: DONE });
  running.setStatus('done');
  await page.waitForFunction(() => /finished/.test(document.getElementById('notice')!.textContent!));
  assert.equal(await page.locator('#result-notes').isVisible(), false);
  assert.equal(await page.locator('#now-k').textContent(), '10');
  await close();
  await running.close();
});
