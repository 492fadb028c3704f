// What a click, a search, a sorted column, a zoom and a saved file do on the live page, in a real browser.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { closeBrowser, drawn, noBrowser, type OpenedPage, open } from './browser.ts';
import { type Mock, mock } from './mock.ts';

const skip = noBrowser;
const OUTCOME = {
  directory: '/home/ada/runs/x',
  report: '/home/ada/runs/x/report/report.html',
  result: { k: 7, nmi: 0.9211, ari: 0.9342, acc: null, silhouette: 0.5, loss: 0.01, seconds: 3, notes: [] },
} as never;
const DESCRIBED = {
  clusters: [
    {
      ...{ cluster: 0, size: 10_000, share: 0.14, nearest: [{ cluster: 3, distance: 4.5 }] },
      exemplars: [{ row: 41_234, id: 'seven.png' }],
      border: [{ row: 5, other: 3, margin: 0.1 }],
      apart: [{ column: 2, name: 'ink', difference: -1.25, mean: 0, rest: 1 }],
    },
    'what is this?',
  ],
};

let run: Mock;
let opened: OpenedPage;
let page: Page;
before(async () => {
  if (skip) return;
  run = await mock({ epochs: 29, rows: 3000, status: 'done', outcome: OUTCOME, described: DESCRIBED });
  opened = await open(run.url);
  page = opened.page;
  await drawn(page);
  await page.waitForFunction(() => document.querySelectorAll('#table tbody tr').length === 7);
});
after(async () => {
  await opened?.close();
  await run?.close();
  await closeBrowser();
});

const names = () => page.locator('#table tbody tr:not([hidden]) th').allTextContents();

test('the table is sorted by a heading, up, down and back, and searched', { skip }, async () => {
  const heading = page.getByRole('button', { name: 'Rows', exact: true });
  const rows = async () =>
    (await page.locator('#table tbody tr td:nth-child(2)').allTextContents()).map((text) =>
      Number(text.replaceAll(',', '')),
    );
  const before = await rows();
  await heading.focus();
  await page.keyboard.press('Enter');
  assert.deepEqual(
    await rows(),
    before.toSorted((a, b) => a - b),
  );
  assert.equal(await page.locator('#table th[aria-sort="ascending"]').textContent(), 'Rows');
  await page.keyboard.press('Enter');
  assert.deepEqual(
    await rows(),
    before.toSorted((a, b) => b - a),
  );
  await page.keyboard.press('Enter');
  assert.deepEqual(await names(), ['0', '1', '2', '3', '4', '5', '6']);
  assert.equal(await page.locator('#table th[aria-sort]').count(), 0);
  await page.locator('#table-search').fill(String(before[3]));
  assert.deepEqual(await names(), ['3']);
  await page.locator('#table-search').fill('');
  assert.equal((await names()).length, 7);
});

test('a click on a cluster shows what is known of it, with images; of one without, rows of the sample', {
  skip,
}, async () => {
  await page.locator('#table tbody tr').first().click();
  const body = page.locator('#rows-body');
  await body.locator('img').nth(1).waitFor();
  const text = await body.textContent();
  for (const part of [
    'row 41,234 · seven.png',
    'row 5',
    'nearest, by separation',
    'ink 0, elsewhere 1 (−1.25 sd)',
  ])
    assert.ok(text!.includes(part), `${text} lacks ${part}`);
  await page.locator('#table tbody tr').nth(1).click();
  await page.waitForFunction(() => document.querySelectorAll('#rows-body img').length === 10);
  assert.match((await body.textContent())!, /some of its rows/);
  await page.locator('#rows-close').click();
  assert.ok(await page.locator('#rows').isHidden());
});

const scatter = () => page.locator('#scatter');
/** A place of the plot where there is a point, or a cluster's number: `tip` has its cluster. */
async function place(): Promise<{ x: number; y: number }> {
  const box = (await scatter().boundingBox())!;
  for (let y = box.height * 0.2; y < box.height; y += 17)
    for (let x = 20; x < box.width; x += 13) {
      await page.mouse.move(box.x + x, box.y + y);
      if (await page.locator('#scatter-tip').isVisible()) return { x: box.x + x, y: box.y + y };
    }
  throw new Error('there are no points');
}

test('a click on a point shows its row; wheel, keys and button zoom and reset', { skip }, async () => {
  await scatter().scrollIntoViewIfNeeded();
  const at = await place();
  await page.mouse.click(at.x, at.y);
  await page.locator('#rows').waitFor();
  const title = await page.locator('#h-rows').textContent();
  assert.match(title!, /^(Row [\d,]+|Rows of cluster \d)$/);
  assert.ok(await page.locator('#reset').isHidden());
  const picture = () => scatter().evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
  const whole = await picture();
  const changed = (before: string, isSame = false) =>
    page.waitForFunction(
      ([before, isSame]) =>
        (document.querySelector<HTMLCanvasElement>('#scatter')!.toDataURL() === before) === isSame,
      [before, isSame] as const,
    );
  // The click has given it the focus.
  await scatter().focus();
  await page.mouse.wheel(0, -400);
  await page.locator('#reset').waitFor();
  await changed(whole);
  await page.keyboard.press('0');
  await page.locator('#reset').waitFor({ state: 'hidden' });
  await page.keyboard.press('+');
  await page.locator('#reset').waitFor();
  await page.locator('#reset').click();
  assert.ok(await page.locator('#reset').isHidden());
  // Without the focus, the wheel scrolls the page.
  await page.locator('#theme').focus();
  await page.mouse.wheel(0, 100);
  await page.waitForFunction(() => scrollY > 0);
  assert.ok(await page.locator('#reset').isHidden());
});

test('on the map, the number of a cluster shows images of it', { skip }, async () => {
  await page.locator('#on-map').click();
  await page.waitForFunction(() => document.getElementById('axes')!.textContent === 'a map');
  await scatter().scrollIntoViewIfNeeded();
  const box = (await scatter().boundingBox())!;
  const montage = page.locator('#scatter-montage');
  let isShown = false;
  for (let y = 8; y < box.height && !isShown; y += 9)
    for (let x = 8; x < box.width && !isShown; x += 9) {
      await page.mouse.move(box.x + x, box.y + y);
      isShown = await montage.evaluate((element) => !(element as HTMLElement).hidden);
    }
  assert.ok(isShown, 'no montage');
  assert.match((await montage.getAttribute('aria-label'))!, /^Images of cluster \d$/);
  await page.locator('#on-map').click();
});

test('the page of texts opens on the map, and Find knows the words of topics', { skip }, async () => {
  const words = (...all: string[]) => all.map((word) => ({ word, weight: 1 }));
  const described = {
    clusters: [
      { cluster: 2, words: words('tide', 'harbour') },
      { cluster: 4, words: words('Hafen', 'tidy') },
    ],
  };
  const texts = await mock({
    epochs: 29,
    rows: 600,
    status: 'done',
    outcome: OUTCOME,
    described,
    text: 'body',
  });
  const own = await open(texts.url);
  await drawn(own.page);
  await own.page.waitForFunction(() => document.getElementById('axes')!.textContent === 'a map');
  assert.equal(await own.page.locator('#on-map').getAttribute('aria-pressed'), 'true');
  await own.page.locator('#table tbody tr[title="tide, harbour"]').waitFor();
  const found = () => own.page.locator('#table tbody tr:not([hidden]) th').allTextContents();
  for (const [sought, clusters] of [
    ['tid', ['2', '4']],
    ['HARBOUR tide', ['2']],
    ['hafen', ['4']],
    ['arbour', []],
  ] as const) {
    await own.page.locator('#table-search').fill(sought);
    assert.deepEqual(await found(), clusters, sought);
  }
  assert.match(
    (await own.page.locator('#notice').textContent())!,
    /dpmesh view \/home\/ada\/work\/runs\/mnist/,
  );
  // It is the reader's choice from then on.
  await own.page.locator('#on-map').click();
  await own.page.waitForFunction(() => /scatter$/.test(document.getElementById('axes')!.textContent!));
  assert.deepEqual(own.complaints, []);
  await own.close();
  await texts.close();
});

test('pictures and numbers are saved', { skip }, async () => {
  const saved = async (button: Locator) => {
    const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
    return { name: download.suggestedFilename(), bytes: readFileSync((await download.path())!) };
  };
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const points = await saved(button('Save the sample points as CSV'));
  const lines = points.bytes.toString().trimEnd().split('\r\n');
  assert.equal(points.name, 'mnist_umap10-clusters.csv');
  assert.deepEqual([lines[0], lines.length], ['row,cluster,x,y', 3001]);
  assert.match(lines[1], /^0,\d,-?[\d.e-]+,-?[\d.e-]+$/);
  const table = await saved(button('Save the table of clusters as CSV'));
  assert.equal(table.bytes.toString().trimEnd().split('\r\n').length, 8);
  for (const of of ['the sample points', 'the tree of clusters', 'the losses']) {
    const { bytes } = await saved(button(`Save ${of} as PNG`));
    assert.equal(bytes.subarray(1, 4).toString(), 'PNG');
    assert.ok(bytes.length > 2000, `${of}: ${bytes.length} bytes`);
  }
});

test('scores and paths stand at the end; checkpoints share a line that opens', { skip }, async () => {
  await page.locator('#outcome').waitFor();
  const text = (await page.locator('#outcome-list').textContent())!;
  for (const part of ['0.9211', '/home/ada/runs/x/labels.npy', 'report.html'])
    assert.ok(text.includes(part), text);
  assert.doesNotMatch(text, /ACC/);
  const summary = page.locator('#log summary');
  assert.match((await summary.textContent())!, /^\d+ checkpoints, the newest of /);
  await summary.click();
  assert.match((await page.locator('#log details li').first().textContent())!, /Checkpoint: /);
  assert.deepEqual(opened.complaints, []);
});
