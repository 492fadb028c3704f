// What a click, a search and a sorted column do on the live page, in a real browser. Zoom and files: saved-page.all.test.ts.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Described } from '../../view/cluster-details.ts';
import { closeBrowser, drawn, noBrowser, type OpenedPage, open } from './browser.ts';
import { type Mock, mock } from './mock.ts';

const skip = noBrowser;
const OUTCOME = {
  directory: '/home/ada/runs/x',
  report: '/home/ada/runs/x/report/report.html',
  result: { k: 7, nmi: 0.9211, ari: 0.9342, acc: null, silhouette: 0.5, loss: 0.01, seconds: 3, notes: [] },
} as never;
const BARE = { size: 10_000, share: 0.14, exemplars: [], border: [], apart: [], evidence: null };
const DESCRIBED: Described = {
  measure: null,
  clusters: [
    {
      ...BARE,
      cluster: 0,
      exemplars: [{ row: 41_234, id: 'seven.png' }],
      border: [{ row: 5, other: 3 }],
      apart: [{ column: 2, name: 'ink', difference: -1.25, mean: 0, rest: 1 }],
    },
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
  const words: Record<number, string[]> = { 2: ['tide', 'harbour'], 4: ['Hafen', 'tidy'] };
  const clusters = [0, 1, 2, 3, 4].map((cluster) => ({
    ...BARE,
    cluster,
    words: words[cluster]?.map((word) => ({ word })),
  }));
  const described = { measure: null, clusters };
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
