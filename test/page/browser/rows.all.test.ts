// What a click, a search and a sorted column do on the live page, in a real browser. Zoom and files: saved-page.all.test.ts.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import type { Page } from 'playwright-core';
import type { Described } from '../../../run/described.ts';
import {
  becomes,
  closeBrowser,
  counted,
  drawn,
  noBrowser,
  type OpenedPage,
  open,
  test,
  textOf,
} from './browser.ts';
import { type Mock, mock, onPage } from './mock.ts';

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
  if (noBrowser) return;
  run = await mock({ epochs: 29, rows: 3000, status: 'done', outcome: OUTCOME, described: DESCRIBED });
  opened = await open(run.url);
  page = opened.page;
  await drawn(page);
  await counted(page, '#table tbody tr', 7);
});
after(async () => {
  await opened?.close();
  await run?.close();
  await closeBrowser();
});

const namesOn = (page: Page) => page.locator('#table tbody tr:not([hidden]) th').allTextContents();

test('the table is sorted by a heading, up, down and back, and searched', async () => {
  const heading = page.getByRole('button', { name: 'Rows', exact: true });
  const rows = async () =>
    (await page.locator('#table tbody tr td:nth-child(2)').allTextContents()).map((text) =>
      Number(text.replaceAll(',', '')),
    );
  const before = await rows();
  await heading.focus();
  await page.keyboard.press('Enter');
  const upwards = before.toSorted((a, b) => a - b);
  assert.deepEqual(await rows(), upwards);
  assert.equal(await page.locator('#table th[aria-sort="ascending"]').textContent(), 'Rows');
  await page.keyboard.press('Enter');
  assert.deepEqual(await rows(), upwards.toReversed());
  await page.keyboard.press('Enter');
  assert.deepEqual(await namesOn(page), ['0', '1', '2', '3', '4', '5', '6']);
  assert.equal(await page.locator('#table th[aria-sort]').count(), 0);
  await page.locator('#table-search').fill(String(before[3]));
  assert.deepEqual(await namesOn(page), ['3']);
  await page.locator('#table-search').fill('');
  assert.equal((await namesOn(page)).length, 7);
});

test('a click on a cluster shows what is known of it, with images; of one without, rows of the sample', async () => {
  await page.locator('#table tbody tr').first().click();
  const body = page.locator('#rows-body');
  await body.locator('img').nth(1).waitFor();
  const text = await body.textContent();
  for (const part of ['seven.png', 'row 5', 'nearest, by separation', 'ink 0, elsewhere 1 (−1.25 sd)'])
    assert.ok(text!.includes(part), `${text} lacks ${part}`);
  assert.equal(await body.locator('.row').first().getAttribute('title'), 'row 41,234 · seven.png');
  await page.locator('#table tbody tr').nth(1).click();
  await counted(page, '#rows-body img', 10);
  assert.match((await body.textContent())!, /some of its rows/);
  await page.locator('#rows-close').click();
  assert.ok(await page.locator('#rows').isHidden());
});

test('on the map, the number of a cluster shows images of it', async () => {
  await page.locator('#on-map').click();
  await becomes(page, 'axes', /^a map$/);
  const scatter = page.locator('#scatter');
  await scatter.scrollIntoViewIfNeeded();
  const { width, height } = (await scatter.boundingBox())!;
  // Numbers are where the canvas has a disc; moving over all of it within the page is quick.
  const found = await scatter.evaluate(
    async (canvas, [width, height]) => {
      const { left, top } = canvas.getBoundingClientRect();
      const montage = document.getElementById('scatter-montage')!;
      for (let y = 8; y < height; y += 9)
        for (let x = 8; x < width; x += 9) {
          const place = { clientX: left + x, clientY: top + y, bubbles: true };
          canvas.dispatchEvent(new PointerEvent('pointermove', place));
          if (!/· [\d,]+ rows/.test(document.getElementById('scatter-tip')!.textContent!)) continue;
          await new Promise((resolve) => setTimeout(resolve, 1));
          if (!montage.hidden) return true;
        }
      return false;
    },
    [width, height],
  );
  assert.ok(found, 'no montage');
  const label = await page.locator('#scatter-montage').getAttribute('aria-label');
  assert.match(label!, /^Images of cluster \d$/);
  await page.locator('#on-map').click();
});

test('the page of texts opens on the map, and Find knows the words of topics', async () => {
  const words: Record<number, string[]> = { 2: ['tide', 'harbour'], 4: ['Hafen', 'tidy'] };
  const clusters = [0, 1, 2, 3, 4].map((cluster) => ({
    ...BARE,
    cluster,
    words: words[cluster]?.map((word) => ({ word })),
  }));
  const described = { measure: null, clusters };
  const done = { epochs: 29, rows: 600, status: 'done', outcome: OUTCOME, described, text: 'body' } as const;
  await onPage(done, async (page) => {
    await becomes(page, 'axes', /^a map$/);
    assert.equal(await page.locator('#on-map').getAttribute('aria-pressed'), 'true');
    await page.locator('#table tbody tr[title="tide, harbour"]').waitFor();
    for (const [sought, clusters] of [
      ['tid', ['2', '4']],
      ['HARBOUR tide', ['2']],
      ['hafen', ['4']],
      ['arbour', []],
    ] as const) {
      await page.locator('#table-search').fill(sought);
      assert.deepEqual(await namesOn(page), clusters, sought);
    }
    assert.match(await textOf(page, 'notice'), /dpmesh view \/home\/ada\/work\/runs\/mnist/);
    // It is the reader's choice from then on.
    await page.locator('#on-map').click();
    await becomes(page, 'axes', /scatter$/);
  });
});

test('scores and paths stand at the end; checkpoints share a line that opens', async () => {
  await page.locator('#outcome').waitFor();
  const text = await textOf(page, 'outcome-list');
  for (const part of ['0.9211', '/home/ada/runs/x/labels.npy', 'report.html'])
    assert.ok(text.includes(part), text);
  assert.doesNotMatch(text, /ACC/);
  const summary = page.locator('#log summary');
  assert.match((await summary.textContent())!, /^\d+ checkpoints, the newest of /);
  await summary.click();
  assert.match((await page.locator('#log details li').first().textContent())!, /Checkpoint: /);
  assert.deepEqual(opened.complaints, []);
});
