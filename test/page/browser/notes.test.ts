// What the page shows beside K and below the status once the run has ended.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { becomes, closeBrowser, isVisible, overflow, test, textOf } from './browser.ts';
import { onPage } from './mock.ts';

after(closeBrowser);

const TIME = '2026-11-26T12:00:00.000Z';
const DONE = { type: 'done' as const, k: 10, rowsRead: 140_000, seconds: {}, workers: {}, time: TIME };

test('notes and replicates of a run that has ended', () =>
  onPage({ epochs: 60, rows: 200 }, async (page, run) => {
    await becomes(page, 'now-k', /^10$/);
    assert.equal(await isVisible(page, 'result-notes'), false);
    const notes = ['the first <b>note</b>', 'the second'];
    const replicates = {
      count: 8,
      k: [10, 11] as [number, number],
      ks: [10, 11],
      agreement: 0.974,
      clusters: [],
    };
    run.send({ type: 'event', event: { ...DONE, notes, replicates } });
    run.setStatus('done');
    await page.locator('#result-notes').waitFor();
    assert.deepEqual(await page.locator('#result-notes li').allTextContents(), notes);
    assert.equal(await textOf(page, 'now-k'), '10 (8 replicates: 10–11, agreement .97)');
    const said = /Done: K 10 \(8 replicates: 10–11, agreement \.97\), results written/;
    assert.match(await textOf(page, 'log'), said);
    // Nothing is cut off or overlaps, also on a narrow screen.
    for (const width of [1280, 400]) {
      await page.setViewportSize({ width, height: 800 });
      // The charts follow the new width in the next frames: what is asked is the layout that they settle on.
      await page.waitForFunction(() => {
        const k = document.getElementById('now-k')!;
        return document.documentElement.scrollWidth <= innerWidth && k.scrollWidth <= k.clientWidth + 1;
      });
      assert.equal(await overflow(page), 0);
    }
  }));

test('a run that is fine shows no notes', () =>
  onPage({ epochs: 60, rows: 200 }, async (page, run) => {
    run.send({ type: 'event', event: DONE });
    run.setStatus('done');
    await becomes(page, 'notice', /finished/);
    assert.equal(await isVisible(page, 'result-notes'), false);
    assert.equal(await textOf(page, 'now-k'), '10');
  }));
