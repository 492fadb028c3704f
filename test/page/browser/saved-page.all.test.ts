// report.html in a real browser: from a file, under its own Content-Security-Policy, with and without scripts, and on paper.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { drawReport } from '../../../page/report/draw.ts';
import { scratchFolder } from '../../data/files.ts';
import { contentsOf, K } from '../report/contents.ts';
import {
  background,
  becomes,
  closeBrowser,
  drawn,
  faultsOf,
  framesPassed,
  isVisible,
  labelOf,
  noBrowser,
  type OpenedPage,
  open,
  test,
  textOf,
} from './browser.ts';

const { folder } = scratchFolder();

let url: string;
let opened: OpenedPage;
let page: Page;
before(async () => {
  if (noBrowser) return;
  const { path } = await drawReport(join(folder, 'report'), contentsOf());
  url = pathToFileURL(path).href;
  opened = await open(url, { viewport: { width: 1280, height: 900 } });
  page = opened.page;
  await drawn(page);
});
after(async () => {
  await opened?.close();
  await closeBrowser();
});

const PARTS = [
  ...['12', '0.9211', '0.5000', 'Cluster 1', 'typical rows', 'tide', '12,300, elsewhere 0 (−1.25 sd)'],
  ...['joins 3, 4 at 0.25', 'Clusters and classes', 'Most mixed up', 'Tree of clusters', 'runs/x/labels.npy'],
  ...['Clusters over updates', 'Update 2: cluster 3 is gone; cluster 4 is new, split from 0'],
];

/** The pointer highlights no cluster any more. */
async function withoutPointer(page: Page): Promise<void> {
  await page.mouse.move(0, 0);
  await framesPassed(page);
}

async function hasParts(page: Page): Promise<void> {
  const text = (await textOf(page, 'main')).replaceAll('\n', ' ');
  for (const part of PARTS) assert.ok(text.includes(part), `${text} lacks ${part}`);
}

test('has points, table, tree, charts and result; nothing is asked for, and nothing fails', async () => {
  await hasParts(page);
  assert.equal(await page.locator('#table tbody tr').count(), K);
  assert.equal(await page.locator('#tree svg').isVisible(), true);
  assert.match(await labelOf(page, 'chart-k'), /K over 40 epochs: 1 at first/);
  assert.match(await textOf(page, 'log'), /onerror/, 'as text');
  assert.match(await page.title(), /· x$/);
  assert.deepEqual(opened.complaints, [`requested ${page.url()}`]);
});

test('a click shows the rows of a cluster with their images, and the row of a point', async () => {
  await page.locator('#table tbody tr').nth(1).click();
  const body = page.locator('#rows-body');
  await body.locator('img').nth(1).waitFor();
  await becomes(page, 'rows-body', /Cluster 1.*tide.*border rows.*row 7 \(to 3\)/);
  const box = (await page.locator('#scatter').boundingBox())!;
  await page.locator('#scatter').scrollIntoViewIfNeeded();
  let found = false;
  for (let x = 20; x < box.width && !found; x += 9)
    for (let y = 20; y < box.height && !found; y += 25) {
      await page.mouse.click(box.x + x, box.y + y);
      found = /^Row /.test(await textOf(page, 'h-rows'));
    }
  assert.match((await body.textContent())!, /The row at this point/);
  await page.locator('#rows-close').click();
});

test('points are turned, zoomed and put on the map; the dial cuts the tree; words are found', async () => {
  const picture = () =>
    page.locator('#scatter').evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
  await withoutPointer(page);
  const whole = await picture();
  for (const key of ['ArrowRight', '+']) {
    await page.locator('#scatter').press(key);
    assert.equal(await isVisible(page, 'reset'), true);
    await page.locator('#reset').click();
    // The button hides, and the pointer is then on the points beneath it.
    await withoutPointer(page);
  }
  await page.waitForFunction(
    (before) => document.querySelector<HTMLCanvasElement>('#scatter')!.toDataURL() === before,
    whole,
  );
  await page.locator('#on-map').click();
  assert.equal(await textOf(page, 'axes'), 'a map');
  await page.locator('#on-map').click();
  await page.locator('#dial').fill('3');
  assert.match(await textOf(page, 'cut'), /^3 clusters; /);
  await page.locator('#dial').fill(String(K));
  await page.locator('#table-search').fill('tid');
  assert.deepEqual(await page.locator('#table tbody tr:not([hidden]) th').allTextContents(), ['1']);
  await page.locator('#table-search').fill('');
  await page.locator('table.sortable').getByRole('button', { name: 'rows' }).click();
  assert.equal(await page.locator('table.sortable [aria-sort]').count(), 1);
});

test('pictures and numbers are saved', async () => {
  const saved = async (button: Locator) => {
    const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
    return { name: download.suggestedFilename(), bytes: readFileSync((await download.path())!) };
  };
  for (const [of, name, columns] of [
    ['the sample points', 'x-clusters', 'row,cluster,x,y'],
    ['clusters over updates', 'x-river', 'update,cluster,rows'],
    ['K over epochs', 'x-k', 'epoch,time,k'],
    ['the losses', 'x-losses', 'epoch,time,loss,subLoss'],
  ]) {
    const csv = await saved(page.getByRole('button', { name: `Save ${of} as CSV` }));
    assert.deepEqual([csv.name, csv.bytes.toString().split('\r\n')[0]], [`${name}.csv`, columns]);
    const png = await saved(page.getByRole('button', { name: `Save ${of} as PNG` }));
    assert.ok(png.bytes.length > 3000, `${name}: ${png.bytes.length} bytes`);
  }
  const table = await saved(page.getByRole('button', { name: 'Save the table of clusters as CSV' }));
  assert.equal(table.bytes.toString().trimEnd().split('\r\n').length, K + 1);
  const classes = await saved(page.getByRole('button', { name: 'Save Clusters and classes as CSV' }));
  assert.equal(classes.name, 'x-confusion.csv');
});

test('cards of images show these, not their columns; on a phone nothing is wider than the screen', async () => {
  const card = page.locator('#cards .card').first();
  assert.equal(await card.getByRole('img', { name: /^Image of row/ }).count(), 2);
  assert.doesNotMatch((await card.textContent())!, /column 495/);
  const width = await card
    .locator('use')
    .first()
    .evaluate((use) => use.getBoundingClientRect().width);
  assert.ok(width > 20, `${width} pixels wide`);
  const phone = await open(url, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  await drawn(phone.page);
  await phone.page.locator('#table tbody tr').nth(1).click();
  await phone.page.locator('#rows').waitFor();
  assert.equal(await phone.page.evaluate(() => document.scrollingElement!.scrollWidth), 390);
  await phone.close();
});

test('without scripts there are pictures, table and cards; and so on paper', async () => {
  const still = await open(url, { javaScriptEnabled: false });
  await hasParts(still.page);
  for (const name of ['clusters', 'map', 'exemplars'])
    assert.ok(await still.page.locator(`figure[data-picture=${name}] svg`).isVisible(), name);
  for (const id of ['chart-k', 'chart-losses', 'tree-scroll', 'river-scroll'])
    assert.ok(await still.page.locator(`#${id} svg`).isVisible(), id);
  for (const id of ['scatter', 'dial', 'events', 'theme', 'table-search'])
    assert.equal(await isVisible(still.page, id), false, id);
  await still.close();
  await page.emulateMedia({ media: 'print' });
  assert.ok(await page.locator('figure[data-picture=clusters] svg').isVisible());
  for (const id of ['scatter', 'dial', 'theme']) assert.equal(await isVisible(page, id), false);
  assert.equal(await background(page), 'rgb(255, 255, 255)');
  assert.ok((await page.pdf({ format: 'A4' })).length > 20_000);
  await page.emulateMedia({ media: null });
});

test('a changed script does not run, and in a sandbox without its origin the page works', async () => {
  const html = readFileSync(join(folder, 'report/report.html'), 'utf8');
  const changed = join(folder, 'changed.html');
  writeFileSync(changed, html.replace(/<\/script>\s*<\/body>/, ';document.title="run"</script></body>'));
  assert.notEqual(readFileSync(changed, 'utf8'), html);
  const other = await open(pathToFileURL(changed).href);
  assert.equal(await other.page.title(), 'x · dpmesh');
  assert.equal(await other.page.locator('.save').count(), 0);
  await other.close();
  const frame = join(folder, 'frame.html');
  const content = html.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  writeFileSync(
    frame,
    `<iframe sandbox="allow-scripts" srcdoc="${content}" width="900" height="800"></iframe>`,
  );
  const notebook = await open(pathToFileURL(frame).href);
  const inside = notebook.page.frameLocator('iframe');
  await inside.locator('#scatter-empty').waitFor({ state: 'hidden' });
  assert.equal(await inside.locator('#table tbody tr').count(), K);
  await notebook.close();
});

for (const colorScheme of ['light', 'dark'] as const)
  test(`axe reports no accessibility faults in the ${colorScheme} theme`, async () => {
    const own = await open(url, { colorScheme });
    await drawn(own.page);
    assert.deepEqual(await faultsOf(own.page), []);
    await own.close();
  });
