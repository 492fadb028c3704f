// The map of all rows in a real browser, with and without WebGL: names, rows, colours, selections.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { drawReport } from '../../../page/report/draw.ts';
import { scratchFolder } from '../../data/files.ts';
import { contentsOf, K, sampledMap } from '../report/contents.ts';
import {
  becomes,
  closeBrowser,
  faultsOf,
  framesPassed,
  noBrowser,
  type OpenedPage,
  open,
  test,
  textOf,
} from './browser.ts';

const { folder } = scratchFolder();
const ROWS = 3000;

let url: string;
let opened: OpenedPage;
let page: Page;
before(async () => {
  if (noBrowser) return;
  const { path, pictures } = await drawReport(join(folder, 'report'), {
    ...contentsOf(),
    whole: sampledMap(K, ROWS),
  });
  assert.deepEqual(pictures.slice(0, 2), ['clusters', 'clusters-dark']);
  url = pathToFileURL(path).href;
  opened = await open(url, { viewport: { width: 1280, height: 800 } });
  page = opened.page;
  await shows(page, ROWS);
});
after(async () => {
  await opened?.close();
  await closeBrowser();
});

/** Waits until so many points are drawn. */
const shows = (page: Page, points: number) =>
  page.waitForFunction(
    (wanted) => document.getElementById('whole')!.dataset.points === String(wanted),
    points,
  );

/** Labels that are shown, how many pairs of them overlap, and how many are cut off at the edge. */
const labelsOf = (page: Page) =>
  page.locator('#whole-labels span:visible').evaluateAll((spans) => {
    const boxes = spans.map((span) => span.getBoundingClientRect());
    const pairs = boxes.flatMap((a, i) =>
      boxes
        .slice(0, i)
        .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom),
    );
    const map = document.getElementById('whole')!.getBoundingClientRect();
    const cut = boxes.filter(
      ({ left, right, top, bottom }) =>
        left < map.left - 1 || right > map.right + 1 || top < map.top - 1 || bottom > map.bottom + 1,
    );
    return { shown: spans.map(({ textContent }) => textContent), overlaps: pairs.length, cut: cut.length };
  });

const centre = async (page: Page) => {
  await page.locator('#whole').scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await page.locator('#whole').boundingBox())!;
  return [x + width / 2, y + height / 2] as const;
};

for (const [width, height] of [
  [1280, 800],
  [390, 844],
])
  test(`names do not overlap, nor leave the map, at ${width} × ${height}, far out and near`, async () => {
    const own = await open(url, { viewport: { width, height } });
    await shows(own.page, ROWS);
    assert.equal(await own.page.evaluate(() => document.scrollingElement!.scrollWidth), width);
    await own.page.locator('#whole').focus();
    for (let i = 0; i < 6; i++) {
      const { shown, overlaps, cut } = await labelsOf(own.page);
      assert.deepEqual([overlaps, cut], [0, 0]);
      if (i === 0) assert.ok(shown.length >= 2, `${shown.length} names`);
      await own.page.keyboard.press('+');
      await framesPassed(own.page);
    }
    await own.page.keyboard.press('Home');
    await shows(own.page, ROWS);
    assert.deepEqual(own.complaints.slice(1), []);
    await own.close();
  });

test('names are shown, not run; the pointer shows the row of a point, and a click its cluster', async () => {
  assert.match((await labelsOf(page)).shown.join(), /<\/script>/);
  assert.doesNotMatch(await page.title(), /^run/);
  await page.locator('#whole').scrollIntoViewIfNeeded();
  // Below a name is the middle of its cluster.
  const { x, y, width, height } = (await page.locator('#whole-labels span:visible').first().boundingBox())!;
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.locator('#whole-tip').waitFor();
  const text = await textOf(page, 'whole-tip');
  assert.match(text, /^Cluster \d+ · <\/script>.*row [\d,]+confidence 0\.\d\d · outlier score 0\.\d\d$/);
  await page.mouse.down();
  await page.mouse.up();
  await becomes(page, 'h-rows', /^Row [\d,]+$/);
  await page.locator('#rows-close').click();
});

test('a line around points, and Enter, select rows, which are counted by cluster and saved', async () => {
  const all = Object.fromEntries(
    await page
      .locator('#table tbody tr')
      .evaluateAll((rows) => rows.map((row) => [row.children[0].textContent, 0])),
  );
  assert.equal(Object.keys(all).length, K);
  await page.locator('#whole-select').click();
  await page.keyboard.press('Enter');
  await becomes(page, 'whole-count', /^3,000 rows of a sample of 3,000$|^2,\d\d\d rows/);
  const counts = await page
    .locator('#whole-counts tr')
    .evaluateAll((rows) => rows.map((row) => Number(row.children[1].textContent)));
  assert.equal(counts.length, K + 1);
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#whole-save').click()]);
  const lines = readFileSync((await download.path())!, 'utf8')
    .trimEnd()
    .split('\r\n');
  assert.equal(lines[0], 'row,cluster,name,confidence,outlier_score,map_x,map_y');
  assert.equal(
    lines.length - 1,
    counts.reduce((a, b) => a + b, 0),
  );
  assert.equal(lines.filter((line) => /^\d+,-1,noise,/.test(line)).length, counts.at(-1));
  const [x, y] = await centre(page);
  await page.mouse.move(x - 400, y - 200);
  await page.mouse.down();
  for (const [dx, dy] of [
    [400, -200],
    [400, 200],
    [-400, 200],
  ])
    await page.mouse.move(x + dx, y + dy, { steps: 5 });
  await page.mouse.up();
  await becomes(page, 'whole-count', /^[\d,]+ rows/);
  await page.locator('#whole-clear').click();
  assert.equal(await page.locator('#whole-selected').isVisible(), false);
  await page.locator('#whole-select').click();
});

test('colours and words that are found change the picture; axe reports no faults, in both themes; nothing is asked for', async () => {
  const picture = async () => (await page.locator('#whole-box').screenshot()).toString('base64');
  for (const change of [
    () => page.locator('#whole-colour').selectOption('outlier'),
    () => page.locator('#whole-search').fill('3'),
  ]) {
    const before = await picture();
    await change();
    await framesPassed(page);
    assert.notEqual(await picture(), before);
  }
  await page.locator('#whole-search').fill('');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await framesPassed(page);
    assert.deepEqual(await faultsOf(page), []);
  }
  assert.deepEqual(opened.complaints, [`requested ${page.url()}`]);
});

/** WebGL in software is taken as if it was a device. */
function withSoftware() {
  const get = HTMLCanvasElement.prototype.getContext as (this: unknown, ...all: unknown[]) => unknown;
  HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string, how: object) {
    this.dataset.kind = kind;
    return get.call(this, kind, { ...how, failIfMajorPerformanceCaveat: false });
  } as never;
}

test('with WebGL and without, the picture is nearly the same', async () => {
  /** Of the canvas in a grid of 8 × 5, how many pixels are coloured. */
  const coloured = async (of: Page) => {
    const url = (await of.locator('#whole').screenshot()).toString('base64');
    return of.evaluate(async (png) => {
      const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
      const context = new OffscreenCanvas(image.width, image.height).getContext('2d')!;
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, image.width, image.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4)
        if (
          Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) >
          40
        )
          count++;
      return count;
    }, url);
  };
  const [withGl, without] = await Promise.all(
    [true, false].map(async (hasGl) => {
      const own = await open(url, { bypassCSP: true }, hasGl ? withSoftware : undefined);
      await shows(own.page, ROWS);
      await own.page.locator('#whole-labels').evaluate((labels) => labels.remove());
      if (hasGl) assert.equal(await own.page.locator('#whole').getAttribute('data-kind'), 'webgl2');
      const byCluster = await coloured(own.page);
      await own.page.locator('#whole-colour').selectOption('row');
      await framesPassed(own.page);
      const byRow = await coloured(own.page);
      assert.deepEqual(own.complaints.slice(1), []);
      await own.close();
      return [byCluster, byRow];
    }),
  );
  for (const [i, count] of withGl.entries())
    assert.ok(count > 2000 && Math.abs(count - without[i]) < 0.25 * count, `${withGl} and ${without} pixels`);
});
