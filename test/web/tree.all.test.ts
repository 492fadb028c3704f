// The tree of merges on the page of a run that has ended, and the dial that cuts it.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { MergeTree } from '../../view/api.ts';
import { COLOURS } from '../../view/palette.ts';
import { closeBrowser, drawn, noBrowser, open } from './browser.ts';
import { mock } from './mock.ts';

const skip = noBrowser;
after(closeBrowser);

const textOf = (page: Page, id: string) =>
  page.locator(`#${id}`).evaluate((element) => element.textContent ?? '');
const becomes = (page: Page, id: string, wanted: RegExp) =>
  page.waitForFunction(
    ([elementId, source]) => new RegExp(source).test(document.getElementById(elementId)!.textContent!),
    [id, wanted.source] as const,
  );
/** Colours of the clusters in the table. */
const colours = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('#table .swatch path')].map((path) => path.getAttribute('fill')),
  );
const picture = (page: Page) =>
  page.evaluate(() => document.querySelector<HTMLCanvasElement>('#scatter')!.toDataURL());
/** Waits until the plot is this picture, or is not. */
const pictureIs = (page: Page, wanted: string, same: boolean) =>
  page.waitForFunction(
    ([url, is]) => (document.querySelector<HTMLCanvasElement>('#scatter')!.toDataURL() === url) === is,
    [wanted, same] as const,
  );
const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test('the tree comes with the end of the run; the dial joins clusters in table, plot and text', {
  skip,
}, async () => {
  let states = 0;
  const tree = (tree: MergeTree) => ({ ...tree, measure: `as of state ${++states}` });
  const run = await mock({ epochs: 60, rows: 500, tree });
  const { page, complaints, close } = await open(run.url);
  await drawn(page);
  assert.equal(await page.locator('#tree').isVisible(), false);
  run.setStatus('done');
  await page.locator('#tree').waitFor();
  const whole = await textOf(page, 'cut');
  const [, a, b] = /^10 clusters; the next join is of (\d) and (\d) at [\d.]+ nats a row$/.exec(whole)!;
  const own = COLOURS.slice(0, 10);
  assert.deepEqual(await colours(page), own);
  assert.equal(await page.locator('#tree svg text[font-weight]').count(), 10);
  assert.equal(await page.locator('#tree path.inkline').count(), 9);
  const before = await picture(page);

  await page.locator('#dial').focus();
  await page.keyboard.press('ArrowLeft');
  await becomes(page, 'cut', /^9 clusters; the next join is of /);
  assert.equal(await page.locator('#dial').getAttribute('aria-valuetext'), await textOf(page, 'cut'));
  assert.deepEqual(
    await colours(page),
    own.map((colour, c) => (c === Number(b) ? own[Number(a)] : colour)),
  );
  const name = `Cluster ${b}, joined as ${a}, ${b} (2)`;
  assert.equal(await page.locator('#table tbody button').nth(Number(b)).getAttribute('aria-label'), name);
  assert.equal(await page.locator('#tree path[stroke-width="2.5"]').count(), 1);
  const stroke = await page.locator('#tree path[stroke-width="2.5"]').getAttribute('stroke');
  assert.equal(stroke, COLOURS[Number(a)]);
  await pictureIs(page, before, false);

  await page.keyboard.press('Home');
  await becomes(page, 'cut', /^1 cluster$/);
  assert.deepEqual(await colours(page), Array(10).fill(own[0]));
  assert.equal(await page.locator('#tree path[stroke-width="2.5"]').count(), 9);
  await page.keyboard.press('End');
  await becomes(page, 'cut', /^10 clusters/);
  assert.deepEqual(await colours(page), own);
  await pictureIs(page, before, true);

  const { width, height } = (await page.locator('#dial').boundingBox())!;
  await page.locator('#dial').click({ position: { x: width / 2, y: height / 2 } });
  await becomes(page, 'cut', /^[56] clusters/);
  assert.equal(new Set(await colours(page)).size, Number((await textOf(page, 'cut'))[0]));
  // A newer state leaves the dial where it is.
  const middle = await textOf(page, 'cut');
  assert.match(await textOf(page, 'tree-legend'), /Axis: as of state 1\./);
  run.advance();
  await becomes(page, 'tree-legend', /Axis: as of state 2\./);
  assert.equal(await textOf(page, 'cut'), middle);
  assert.deepEqual(complaints, []);
  await close();
  await run.close();
});

test('of many clusters the last joins are shown, also on a phone', { skip }, async () => {
  const run = await mock({ clusters: 150, epochs: 120, dim: 3, rows: 300, status: 'done' });
  for (const width of [320, 1280]) {
    const { page, complaints, close } = await open(run.url, { viewport: { width, height: 780 } });
    await page.locator('#tree').waitFor();
    assert.equal(await page.locator('#tree svg text[font-weight]').count(), 60);
    assert.equal(await page.locator('#tree path.inkline').count(), 59);
    assert.match(await textOf(page, 'tree-legend'), /Shown are the last 59 of 149 joins;/);
    assert.match((await page.locator('#tree desc').textContent())!, /150 clusters .*last 59 of 149 joins/);
    await page.locator('#dial').fill('100');
    await becomes(page, 'cut', /^100 clusters; /);
    assert.equal(await page.locator('#tree path.inkline').count(), 59);
    await page.locator('#dial').fill('59');
    await becomes(page, 'cut', /^59 clusters; /);
    assert.equal(await page.locator('#tree path.inkline').count(), 58);
    assert.equal(await overflow(page), 0, `${width} px`);
    // No text is cut off.
    const outside = await page.evaluate(() => {
      const svg = document.querySelector('#tree svg')!.getBoundingClientRect();
      return [...document.querySelectorAll('#tree text')].filter((text) => {
        const box = text.getBoundingClientRect();
        return box.left < svg.left || box.right > svg.right || box.top < svg.top || box.bottom > svg.bottom;
      }).length;
    });
    assert.equal(outside, 0);
    assert.deepEqual(complaints, []);
    await close();
  }
  await run.close();
});

test('what would split next, and texts of the tree that are not markup', { skip }, async () => {
  const next = [{ cluster: 5, sizes: [812, 407], height: -0.0123 }];
  const run = await mock({
    ...{ epochs: 60, rows: 200, status: 'done' },
    tree: (tree) => ({ ...tree, likelihood: 'graph', measure: '<b>γ</b>', next }),
  });
  const { page, complaints, close } = await open(run.url);
  await page.locator('#tree').waitFor();
  assert.equal(
    await textOf(page, 'next-split'),
    'Next to split: cluster 5 into about 812 and 407 rows (at resolution γ −0.0123).',
  );
  assert.match(await textOf(page, 'tree-legend'), /Axis: <b>γ<\/b>\./);
  assert.equal(await page.locator('#tree b').count(), 0);
  assert.match(await textOf(page, 'cut'), / at resolution γ [\d.]+$/);
  assert.deepEqual(complaints, []);
  await close();
  await run.close();
});

test('without a tree there is no dial, nor for a single cluster', { skip }, async () => {
  for (const [clusters, tree] of [
    [10, () => null],
    [1, undefined],
  ] as const) {
    const run = await mock({ clusters, epochs: 60, rows: 200, status: 'done', tree });
    const { page, complaints, close } = await open(run.url);
    await becomes(page, 'table-legend', /^Rows: all rows/);
    assert.equal(await page.locator('#tree').isVisible(), false);
    assert.deepEqual(complaints, []);
    await close();
    await run.close();
  }
  const next = [{ cluster: 0, sizes: [40, 30], height: -0.1 }];
  const run = await mock({
    clusters: 1,
    epochs: 60,
    rows: 200,
    status: 'done',
    tree: (tree) => ({ ...tree, next }),
  });
  const { page, complaints, close } = await open(run.url);
  await page.locator('#next-split').waitFor();
  assert.equal(await page.locator('#dial').isVisible(), false);
  assert.equal(await page.locator('#tree svg').count(), 0);
  assert.deepEqual(complaints, []);
  await close();
  await run.close();
});
