// The tree of merges on the page of a run that has ended, and the dial that cuts it.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { Page } from 'playwright-core';
import type { MergeTree } from '../../../page/drawing/api.ts';
import { COLOURS } from '../../../page/drawing/svg.ts';
import { becomes, closeBrowser, colours, isVisible, overflow, test, textOf } from './browser.ts';
import { onPage } from './mock.ts';

after(closeBrowser);

const picture = (page: Page) =>
  page.locator('#scatter').evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
/** Waits until the plot is this picture, or is not. */
const pictureIs = (page: Page, wanted: string, same: boolean) =>
  page.waitForFunction(
    ([url, is]) => (document.querySelector<HTMLCanvasElement>('#scatter')!.toDataURL() === url) === is,
    [wanted, same] as const,
  );

test('the tree comes with the end of the run; the dial joins clusters in table, plot and text', () => {
  let states = 0;
  const tree = (tree: MergeTree) => ({ ...tree, measure: `as of state ${++states}` });
  return onPage({ epochs: 60, rows: 500, tree }, async (page, run) => {
    assert.equal(await isVisible(page, 'tree'), false);
    run.setStatus('done');
    await page.locator('#tree').waitFor();
    const whole = await textOf(page, 'cut');
    const [, a, b] = /^10 clusters; the next join is of (\d) and (\d) at [\d.]+ nats a row$/.exec(whole)!;
    const own = COLOURS.slice(0, 10);
    const joined = page.locator('#tree path[stroke-width="2.5"]');
    assert.deepEqual(await colours(page), own);
    assert.equal(await page.locator('#tree svg text[font-weight]').count(), 10);
    assert.equal(await page.locator('#tree path.inkline').count(), 9);
    const before = await picture(page);

    await page.locator('#dial').focus();
    await page.keyboard.press('ArrowLeft');
    await becomes(page, 'cut', /^9 clusters; the next join is of /);
    assert.equal(await page.locator('#dial').getAttribute('aria-valuetext'), await textOf(page, 'cut'));
    const renewed = own.map((colour, c) => (c === Number(b) ? own[Number(a)] : colour));
    assert.deepEqual(await colours(page), renewed);
    const name = `Cluster ${b}, joined as ${a}, ${b} (2)`;
    assert.equal(await page.locator('#table tbody button').nth(Number(b)).getAttribute('aria-label'), name);
    assert.equal(await joined.count(), 1);
    assert.equal(await joined.getAttribute('stroke'), COLOURS[Number(a)]);
    await pictureIs(page, before, false);

    await page.keyboard.press('Home');
    await becomes(page, 'cut', /^1 cluster$/);
    assert.deepEqual(await colours(page), Array(10).fill(own[0]));
    assert.equal(await joined.count(), 9);
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
  });
});

test('joins of components are beside their cluster, whatever the dial says, also on a phone', async () => {
  const joins = [
    { a: 0, b: 1, height: 0.01 },
    { a: 2, b: 3, height: 7 },
  ];
  const tree = (tree: MergeTree) => ({
    ...tree,
    components: [1, 4].map((cluster) => ({ cluster, components: [], sizes: [30, 20, 10], joins })),
  });
  for (const width of [320, 1280])
    await onPage(
      { epochs: 60, rows: 200, status: 'done', tree },
      async (page) => {
        await page.locator('#tree').waitFor();
        const dashed = page.locator('#tree g.components path');
        assert.equal(await dashed.count(), 2);
        const strokes = () =>
          dashed.evaluateAll((paths) => paths.map((path) => path.getAttribute('stroke')).sort());
        assert.deepEqual(await strokes(), [COLOURS[1], COLOURS[4]].sort());
        assert.equal(await page.locator('#tree path.inkline').count(), 9);
        assert.equal(
          await page.locator('#tree g.components title').first().textContent(),
          'Cluster 1: 3 components, joined as rows show no valleys between them',
        );
        assert.match(await textOf(page, 'tree-legend'), / Dashed, on an axis of their own: components of /);
        await page.locator('#dial').fill('1');
        await becomes(page, 'cut', /^1 cluster$/);
        assert.deepEqual(await strokes(), [COLOURS[0], COLOURS[0]]);
        assert.equal(await overflow(page), 0, `${width} px`);
      },
      { viewport: { width, height: 780 } },
    );
});

test('of many clusters the last joins are shown, also on a phone', async () => {
  for (const width of [320, 1280])
    await onPage(
      { clusters: 150, epochs: 120, dim: 3, rows: 300, status: 'done' },
      async (page) => {
        await page.locator('#tree').waitFor();
        assert.equal(await page.locator('#tree svg text[font-weight]').count(), 60);
        assert.match(await textOf(page, 'tree-legend'), /Shown are the last 59 of 149 joins;/);
        const description = await page.locator('#tree desc').textContent();
        assert.match(description!, /150 clusters .*last 59 of 149 joins/);
        for (const [left, lines] of [
          [100, 59],
          [59, 58],
        ]) {
          await page.locator('#dial').fill(String(left));
          await becomes(page, 'cut', new RegExp(`^${left} clusters; `));
          assert.equal(await page.locator('#tree path.inkline').count(), lines);
        }
        assert.equal(await overflow(page), 0, `${width} px`);
        const outside = await page.evaluate(() => {
          const svg = document.querySelector('#tree svg')!.getBoundingClientRect();
          return [...document.querySelectorAll('#tree text')]
            .map((text) => text.getBoundingClientRect())
            .filter(({ left, right }) => left < svg.left || right > svg.right).length;
        });
        assert.equal(outside, 0, 'no text is cut off');
      },
      { viewport: { width, height: 780 } },
    );
});

test('what would split next, and texts of the tree that are not markup', () => {
  const next = [{ cluster: 5, sizes: [812, 407], height: -0.0123 }];
  const tree = (tree: MergeTree) => ({ ...tree, likelihood: 'graph' as const, measure: '<b>γ</b>', next });
  return onPage({ epochs: 60, rows: 200, status: 'done', tree }, async (page) => {
    await page.locator('#tree').waitFor();
    const splits = 'Next to split: cluster 5 into about 812 and 407 rows (at resolution γ −0.0123).';
    assert.equal(await textOf(page, 'next-split'), splits);
    assert.match(await textOf(page, 'tree-legend'), /Axis: <b>γ<\/b>\./);
    assert.equal(await page.locator('#tree b').count(), 0);
    assert.match(await textOf(page, 'cut'), / at resolution γ [\d.]+$/);
  });
});

test('without a tree there is no dial, nor for a single cluster, which may have a next split, or joins of components', async () => {
  const next = [{ cluster: 0, sizes: [40, 30], height: -0.1 }];
  const components = [
    { cluster: 0, components: [0, 1], sizes: [40, 30], joins: [{ a: 0, b: 1, height: 2 }] },
  ];
  for (const [clusters, tree, isThere, isDrawn] of [
    [10, () => null, false, false],
    [1, undefined, false, false],
    [1, (tree: MergeTree) => ({ ...tree, next }), true, false],
    [1, (tree: MergeTree) => ({ ...tree, components }), true, true],
  ] as const)
    await onPage({ clusters, epochs: 60, rows: 200, status: 'done', tree }, async (page) => {
      await becomes(page, 'table-legend', /^Rows: all rows/);
      assert.equal(await isVisible(page, 'next-split'), isThere && !isDrawn);
      assert.equal(await isVisible(page, 'tree'), isThere);
      assert.equal(await isVisible(page, 'dial'), false);
      assert.equal(await page.locator('#tree svg').count(), isDrawn ? 1 : 0);
      assert.equal(await page.locator('#tree g.components path').count(), isDrawn ? 1 : 0);
      assert.match(await textOf(page, 'tree-legend'), isDrawn ? /^Components of the cluster, joined / : /^$/);
    });
});
