// report.html in a real browser: what its script adds, under its own Content-Security-Policy, from a file.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { crosstab } from '../../report/crosstab.ts';
import { drawReport } from '../../report/draw.ts';
import { clusterDetailsIn } from '../../view/cluster-details.ts';
import { clusterTable } from '../../view/cluster-table.ts';
import { scratchFolder } from '../data/files.ts';
import { closeBrowser, noBrowser, type OpenedPage, open } from './browser.ts';

const skip = noBrowser;
const K = 12;
const { folder } = scratchFolder();
const cluster = Int32Array.from({ length: 600 }, (_, i) => i % K);
const centre = (c: number) => [Math.cos(c) * 10, Math.sin(c) * 10];
const points = {
  x: Float64Array.from(cluster, (c, i) => centre(c)[0] + Math.sin(7 * i)),
  y: Float64Array.from(cluster, (c, i) => centre(c)[1] + Math.cos(5 * i)),
  cluster,
  row: Float64Array.from(cluster, (_, i) => 1000 + i),
};
const shape = { height: 4, width: 4, channels: 1, planar: false } as const;
const rows = Array.from({ length: K }, (_, c) => 100 + ((c * 37) % 90));

/** A name that breaks nowhere. */
const LONG = 'a_name_that_is_wider_than_a_telephone_and_has_no_place_to_break_'.repeat(3);

let opened: OpenedPage;
let page: Page;
before(async () => {
  if (skip) return;
  mkdirSync(folder, { recursive: true });
  const { path } = await drawReport(join(folder, 'report'), {
    name: 'x',
    run: {
      ...{ versions: {}, identity: null, config: { data: LONG }, result: null },
      data: { rows: 1200, dim: 2, dtype: 'float32', fingerprint: 'f' },
    },
    ...{ epoch: null, subClusters: null, tree: null, classes: K, notes: [LONG] },
    descriptions: {
      measure: null,
      clusters: [0, 1].map((c) => ({
        ...{ cluster: c, size: rows[c], share: 0.1, border: [], nearest: [], evidence: null },
        exemplars: [{ row: 1000 + c, id: LONG, distance: 1 }],
        apart: [
          { column: 495, difference: 2, mean: 1, rest: 0 },
          { column: 2, name: LONG, difference: 1, mean: 1, rest: 0 },
        ],
      })),
    },
    history: {
      epochs: [1, 2, 3].map((epoch) => ({ epoch, k: epoch, loss: 1 / epoch, subLoss: null })),
      ...{ steps: [], splits: [], proposed: { split: 0, merge: 0 }, ended: null, sessions: 1 },
    },
    clusters: {
      ...{ dim: 2, shares: [0.6, 0.4], points },
      components: Array.from({ length: K }, (_, c) => ({
        ...{ cluster: c, weight: 1 / K, centre: centre(c) as [number, number] },
        spread: [0.5, 0, 0.5] as [number, number, number],
      })),
    },
    map: { points },
    exemplars: {
      ...{ shape, range: [0, 255] as [number, number], k: K },
      clusters: [0, 1].map((c) => ({
        ...{ cluster: c, rows: rows[c], decoded: null, at: [1000 + c, 1012 + c] },
        images: [1, 2].map((i) => new Float32Array(16).fill(90 * i)),
      })),
    },
    table: clusterTable({
      weights: rows.map(() => 1 / K),
      means: rows.map((_, c) => centre(c)),
      covariances: rows.map(() => [0.5, 0.5]),
      ...{ rows, counted: true, logRatios: rows.map(() => null) },
    }),
    confusion: crosstab(
      rows.map((count, c) => rows.map((_, j) => (c === j ? count : j ? 0 : 1))),
      rows.map((_, c) => `</script><b>${c}${LONG}`),
    ),
    details: clusterDetailsIn({
      clusters: [{ cluster: 1, exemplars: [{ row: 1001, id: 'a.png' }], words: [{ word: 'tide' }] }],
    }),
  });
  opened = await open(pathToFileURL(path).href, { viewport: { width: 1280, height: 900 } });
  page = opened.page;
});
after(async () => {
  await opened?.close();
  await closeBrowser();
});

const figure = (name: string) => page.locator(`figure[data-picture="${name}"]`);

test('the table of clusters is sorted and searched by keyboard', { skip }, async () => {
  const table = page.locator('section', { hasText: 'Table of clusters' }).locator('table').last();
  const shown = () => table.locator('tbody tr:not([hidden]) td:nth-child(2)').allTextContents();
  await table.getByRole('button', { name: 'rows', exact: true }).press('Enter');
  assert.deepEqual(
    (await shown()).map(Number),
    rows.toSorted((a, b) => a - b),
  );
  await page.getByLabel('Find in Table of clusters').fill('130');
  assert.deepEqual(await shown(), rows.includes(130) ? ['130'] : []);
  await page.getByLabel('Find in Table of clusters').fill('');
  await page.getByLabel('Find in Table of clusters').fill('Tid');
  assert.deepEqual(await shown(), [String(rows[1])], 'by a word');
  await page.getByLabel('Find in Table of clusters').fill('');
  await table.locator('tr[data-cluster="1"] th').press('Enter');
  const text = (await page.locator('aside.rows').textContent())!;
  for (const part of ['Cluster 1', `${rows[1]} rows`, 'row 1,001 · a.png', 'tide'])
    assert.ok(text.includes(part), `${text} lacks ${part}`);
  assert.equal(await page.locator('aside.rows img').count(), 1);
});

test('a click on a point shows its row, also when zoomed; keys, wheel and buttons zoom, and reset', {
  skip,
}, async () => {
  const svg = figure('clusters').locator('svg');
  await svg.scrollIntoViewIfNeeded();
  /** Where point `i` is on the screen. */
  const screenOf = (i: number) =>
    svg.evaluate(
      (element, [x, y]) => {
        const dots = element.querySelector<SVGElement>('.dots')!;
        const [[a, b], [c, d]] = [dots.dataset.x!, dots.dataset.y!].map((text) =>
          text.split(' ').map(Number),
        );
        const { x: left, y: top } = new DOMPoint(a + b * x, c + d * y).matrixTransform(
          (element as SVGSVGElement).getScreenCTM()!,
        );
        return [left, top];
      },
      [points.x[i], points.y[i]],
    );
  const rowsShown = () => page.locator('aside.rows').textContent();
  const [x, y] = await screenOf(7);
  await page.mouse.click(x, y);
  assert.match((await rowsShown())!, /^Cluster 7: .*The row at this pointrow 1,\d{3}/);
  const whole = await svg.getAttribute('viewBox');
  await svg.focus();
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, -500);
  await page.waitForFunction(
    (before) =>
      document.querySelector('figure[data-picture=clusters] svg')!.getAttribute('viewBox') !== before,
    whole,
  );
  // What is under the pointer stays there; a wheel tells its place in whole pixels.
  const [zoomedX, zoomedY] = await screenOf(7);
  assert.ok(Math.hypot(zoomedX - x, zoomedY - y) < 4, `from ${x}, ${y} to ${zoomedX}, ${zoomedY}`);
  await page.mouse.click(zoomedX, zoomedY);
  assert.match((await rowsShown())!, /row 1,007/);
  await page.keyboard.press('0');
  assert.equal(await svg.getAttribute('viewBox'), whole);
  await page.keyboard.press('+');
  assert.notEqual(await svg.getAttribute('viewBox'), whole);
  await figure('clusters').getByRole('button', { name: 'Show all' }).click();
  assert.equal(await svg.getAttribute('viewBox'), whole);
});

test('a click on a number of the map shows the rows of its cluster', { skip }, async () => {
  const circle = figure('map').locator('.spot circle').first();
  await circle.scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await circle.boundingBox())!;
  await page.mouse.click(x + width / 2, y + height / 2);
  assert.match((await page.locator('aside.rows').textContent())!, /^Cluster [01]: /);
});

test('cards of images show these, not their columns; on a phone nothing is wider than the screen', {
  skip,
}, async () => {
  const card = page.locator('.cards article').first();
  assert.equal(await card.getByRole('img', { name: /^Image of row/ }).count(), 2);
  const text = (await card.textContent())!;
  assert.ok(text.includes(LONG) && !text.includes('column 495'), text);
  const drawnSize = await card
    .locator('use')
    .first()
    .evaluate((use) => use.getBoundingClientRect().width);
  assert.ok(drawnSize > 20, `${drawnSize} pixels wide`);
  const phone = await open(page.url(), {
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
  });
  await phone.page.locator('tr[data-cluster="1"] th').press('Enter');
  await phone.page.locator('aside.rows').waitFor();
  assert.equal(await phone.page.evaluate(() => document.scrollingElement!.scrollWidth), 390);
  await phone.close();
});

test('every picture is saved as PNG and its numbers as CSV, every table as CSV', { skip }, async () => {
  const saved = async (button: Locator) => {
    const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
    return { name: download.suggestedFilename(), bytes: readFileSync((await download.path())!) };
  };
  const head = { clusters: 'row,cluster,x,y', map: 'row,cluster,x,y', k: 'epoch,k', sizes: 'cluster,rows' };
  for (const [name, columns] of Object.entries(head)) {
    const { bytes } = await saved(
      figure(name)
        .getByRole('button', { name: /as CSV$/ })
        .first(),
    );
    assert.equal(bytes.toString().split('\r\n')[0], columns);
    const png = await saved(figure(name).getByRole('button', { name: /as PNG$/ }));
    assert.equal(png.name, `x-${name}.png`);
    assert.ok(png.bytes.length > 3000, `${name}: ${png.bytes.length} bytes`);
  }
  const { bytes } = await saved(
    page.getByRole('button', { name: 'Save the table “Table of clusters” as CSV' }),
  );
  assert.equal(bytes.toString().trimEnd().split('\r\n').length, K + 1);
});

test('nothing is refused or fails; without the script’s hash nothing runs', { skip }, async () => {
  assert.deepEqual(opened.complaints, [`requested ${page.url()}`]);
  const html = readFileSync(join(folder, 'report/report.html'), 'utf8');
  const changed = join(folder, 'changed.html');
  writeFileSync(changed, html.replace('</script>\n</body>', ';document.title="run"</script>\n</body>'));
  assert.notEqual(readFileSync(changed, 'utf8'), html);
  const other = await open(pathToFileURL(changed).href);
  assert.equal(await other.page.title(), 'x · dpmesh');
  assert.equal(await other.page.locator('button').count(), 0);
  await other.close();
});
