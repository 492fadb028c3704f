// The page in a real browser, against the mock server.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { addPages, createGuardedApp } from '../../coordinator/monitor/pages.ts';
import { COLOURS } from '../../view/palette.ts';
import { closeBrowser, drawn, noBrowser, open } from './browser.ts';
import { type Mock, mock } from './mock.ts';

const skip = noBrowser;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let run: Mock;
before(async () => {
  run = await mock({ epochs: 17, rows: 3000 });
});
after(async () => {
  await run.close();
  await closeBrowser();
});

const text = (page: Page, id: string) =>
  page
    .locator(`#${id}`)
    .textContent()
    .then((content) => content ?? '');
const becomes = (page: Page, id: string, wanted: RegExp) =>
  page.waitForFunction(
    ([elementId, source]) => new RegExp(source).test(document.getElementById(elementId)!.textContent!),
    [id, wanted.source] as const,
  );
/** Pixels by which the content is wider than the page. */
const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
/** The number of coloured (not grey) pixels of the scatter plot: is there a picture? */
const colourful = (page: Page) =>
  page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('#scatter')!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    let pixels = 0;
    for (let p = 0; p < data.length; p += 4)
      if (Math.max(data[p], data[p + 1], data[p + 2]) - Math.min(data[p], data[p + 1], data[p + 2]) > 60)
        pixels++;
    return pixels;
  });

test('the first paint comes within a second', { skip }, async () => {
  // The best of a few loads, so that other load on this machine does not count.
  let best = Number.POSITIVE_INFINITY;
  for (let load = 0; load < 5 && best > 1000; load++) {
    const { page, close } = await open(run.url);
    await drawn(page);
    const paint = await page.evaluate(
      () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
    );
    if (paint < best) best = paint;
    await close();
  }
  console.log(`first paint after ${best.toFixed(0)} ms`);
  assert.ok(best <= 1000, `first paint after ${best} ms`);
});

test('opened during a run: history, plot, table, lanes, log, configuration, no console messages', {
  skip,
}, async () => {
  const { page, complaints, close } = await open(run.url);
  await drawn(page);
  assert.equal(await text(page, 'now-k'), '3');
  assert.match(await text(page, 'now-epoch'), /^17 of 200$/);
  assert.equal(await text(page, 'now-workers'), '4');
  assert.equal(await page.locator('#table tbody tr').count(), 3);
  assert.match(await text(page, 'log'), /Split step: K 1 → 3/);
  assert.match(await text(page, 'config'), /split merge every\s*6/);
  assert.match(await text(page, 'tasks'), /statistics/);
  assert.match(
    (await page.locator('#chart-k').getAttribute('aria-label')) ?? '',
    /K over 17 epochs: 1 at first, now 3/,
  );
  assert.ok((await colourful(page)) > 2000);
  assert.equal(await overflow(page), 0);
  // Without updates: hovering a point highlights its row, and the reverse.
  await page.locator('#table tbody tr').nth(1).hover();
  assert.equal(await page.locator('#table tbody tr.lit').count(), 1);
  const box = (await page.locator('#scatter').boundingBox())!;
  let lit = 0;
  for (let x = 10; x < box.width && !lit; x += 12)
    for (let y = 10; y < box.height && !lit; y += 40) {
      await page.mouse.move(box.x + x, box.y + y);
      lit = await page.locator('#table tbody tr.lit').count();
    }
  assert.equal(lit, 1, 'a point under the pointer highlights its row');
  assert.match(await text(page, 'scatter-tip'), /^Cluster \d · [\d,]+ rows · [\d.]+ %$/);
  assert.deepEqual(complaints, []);
  await close();
});

test('shows an epoch within 200 ms; a late or reloaded page has the complete history', {
  skip,
}, async () => {
  const { page, complaints, close } = await open(run.url);
  await drawn(page);
  const waits: number[] = [];
  for (let i = 0; i < 3; i++) {
    const epoch = Number((await text(page, 'now-epoch')).split(' ')[0]) + 1;
    // Measured in the page, from the message to the number on screen.
    const delay = page.evaluate(
      (wanted) =>
        new Promise<number>((resolve) => {
          const parse = JSON.parse;
          let begun = 0;
          JSON.parse = (source, ...more) => {
            const value = parse(source, ...more);
            if (value?.type === 'epoch' && value.epoch === wanted) begun = performance.now();
            return value;
          };
          const element = document.getElementById('now-epoch')!;
          new MutationObserver((_, observer) => {
            if (!element.textContent!.startsWith(String(wanted))) return;
            observer.disconnect();
            JSON.parse = parse;
            requestAnimationFrame(() => resolve(performance.now() - begun));
          }).observe(element, { childList: true, characterData: true, subtree: true });
          document.body.dataset.awaits = String(wanted);
        }),
      epoch,
    );
    // Only then: an epoch that comes before the page looks out for it would never be seen.
    await page.locator(`body[data-awaits="${epoch}"]`).waitFor();
    run.advance();
    waits.push(await delay);
  }
  console.log(`updates after ${waits.map((wait) => wait.toFixed(0)).join(', ')} ms`);
  assert.ok(Math.min(...waits) <= 200, `updates after ${waits} ms`);
  await becomes(page, 'now-k', /^7$/);
  await page.waitForFunction(() => document.querySelectorAll('#table tbody tr').length === 7);
  await page.waitForFunction(() => /7 clusters/.test(document.getElementById('announce')!.textContent!));
  assert.match(await page.title(), /^K 7 · running · mnist_umap10$/);

  const before = await text(page, 'log');
  await page.reload();
  await drawn(page);
  assert.equal(await text(page, 'log'), before);
  assert.match(await text(page, 'now-epoch'), /^20 /);
  assert.match(
    (await page.locator('#chart-k').getAttribute('aria-label')) ?? '',
    /K over 20 epochs: 1 at first/,
  );

  // A page whose stream is cut reconnects and loads what it missed.
  run.cut();
  run.advance();
  await becomes(page, 'now-epoch', /^21 /);
  await becomes(page, 'status', /^running$/);
  assert.equal(await page.locator('#notice').isHidden(), true);
  assert.deepEqual(
    complaints.filter((complaint) => !/ERR_INCOMPLETE_CHUNKED/.test(complaint)),
    [],
  );
  await close();
});

test('a run paused at a split step shows the new K everywhere', { skip }, async () => {
  const paused = await mock({ epochs: 18, rows: 200, status: 'paused' });
  const { page, close } = await open(paused.url);
  await drawn(page);
  assert.equal(await page.locator('#table tbody tr').count(), 7);
  assert.equal(await text(page, 'now-k'), '7');
  assert.match(await page.title(), /^K 7 · paused/);
  await becomes(page, 'announce', /^paused, 7 clusters/);
  assert.match((await page.locator('#chart-k').getAttribute('aria-label')) ?? '', /1 at first, now 7$/);
  await page.locator('#chart-k').press('End');
  assert.match(await text(page, 'k-at'), /^epoch 18 · .* · K 7$/);
  await page.keyboard.press('ArrowLeft');
  assert.match(await text(page, 'k-at'), /^epoch 17 · .* · K 3$/);
  await close();
  await paused.close();
});

for (const colorScheme of ['light', 'dark'] as const)
  test(`axe reports no accessibility faults in the ${colorScheme} theme`, { skip }, async () => {
    const { page, close } = await open(run.url, { colorScheme });
    await drawn(page);
    await page.locator('#table tbody button').first().focus();
    const violationsOf = async () => {
      // The page's content security policy forbids inline scripts, but not what a debugger evaluates.
      await page.evaluate(AXE);
      return page.evaluate(async () => {
        const { violations } = await (globalThis as unknown as { axe: typeof import('axe-core') }).axe.run();
        return violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
      });
    };
    assert.deepEqual(await violationsOf(), []);
    await page.locator('#stop').click();
    assert.deepEqual(await violationsOf(), [], 'with the dialog open');
    await close();
  });

test('dark and light theme: from the system, by the button, kept over a reload', { skip }, async () => {
  const { page, close } = await open(run.url, { colorScheme: 'dark' });
  await drawn(page);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const corner = () =>
    page.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>('#scatter')!;
      return canvas.getContext('2d')!.getImageData(2, 2, 1, 1).data[0];
    });
  assert.equal(await background(), 'rgb(16, 18, 21)');
  assert.ok((await corner()) < 60);
  await page.locator('#theme').click();
  assert.equal(await background(), 'rgb(244, 245, 247)');
  await page.waitForFunction(
    () =>
      document.querySelector<HTMLCanvasElement>('#scatter')!.getContext('2d')!.getImageData(2, 2, 1, 1)
        .data[0] > 200,
  );
  await page.reload();
  assert.equal(await background(), 'rgb(244, 245, 247)');
  assert.match((await page.locator('#theme').getAttribute('aria-label')) ?? '', /light/);
  await close();
});

test('keyboard: the clusters, the charts, and the stop button with its confirmation', {
  skip,
}, async () => {
  const stopping = await mock({ epochs: 30, rows: 500 });
  const { page, complaints, close } = await open(stopping.url);
  await drawn(page);
  const focused = () => page.evaluate(() => document.activeElement?.id ?? '');
  const seen: string[] = [];
  for (let i = 0; i < 12 && (await focused()) !== 'stop'; i++) {
    await page.keyboard.press('Tab');
    seen.push(await focused());
  }
  assert.equal(seen.at(-1), 'stop', `tabs went to ${seen}`);
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle), 'none');
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'confirm-no', 'the harmless choice has the focus');
  await page.keyboard.press('Escape');
  assert.deepEqual(stopping.posts, []);
  assert.equal(await focused(), 'stop');

  await page.locator('#table tbody button').first().focus();
  await page.keyboard.press('ArrowDown');
  assert.equal((await page.locator('#table tr.lit th').textContent())!, '1');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#table tbody button[aria-pressed=true]').count(), 1);
  await page.locator('#scatter').focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.locator('#reset').isVisible(), true);
  await page.keyboard.press('Home');
  assert.equal(await page.locator('#reset').isVisible(), false);
  await page.locator('#chart-k').focus();
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction(() =>
    /^epoch 29 · .* · K 7$/.test(document.getElementById('announce')!.textContent!),
  );

  await page.locator('#pause').press('Enter');
  await becomes(page, 'pause', /^Resume$/);
  await becomes(page, 'status', /^paused$/);
  await page.locator('#pause').press('Enter');
  await becomes(page, 'status', /^running$/);
  await page.locator('#checkpoint').press('Enter');
  await becomes(page, 'notice', /checkpoint/);
  await page.locator('#finish').press('Enter');
  await becomes(page, 'confirm-title', /^Finish this run now\?$/);
  await page.locator('#confirm-yes').press('Enter');
  await becomes(page, 'status', /^finishing$/);
  await page.locator('#stop').press('Enter');
  await becomes(page, 'confirm-title', /^Abort this run\?$/);
  await page.locator('#confirm-yes').press('Enter');
  await becomes(page, 'status', /^stopped$/);
  assert.deepEqual(stopping.posts, [
    '/api/pause',
    '/api/resume',
    '/api/checkpoint',
    '/api/finish',
    '/api/stop',
  ]);

  // The coordinator is gone: the picture stays, and the page requests nothing more.
  await stopping.close();
  await page.waitForTimeout(1200);
  assert.match(await text(page, 'notice'), /was stopped after 30 epochs.*last state/s);
  assert.equal(await page.locator('#stop').isVisible(), false);
  assert.equal(await text(page, 'now-k'), '10', 'K after the step at the end');
  assert.ok((await colourful(page)) > 300);
  assert.deepEqual(
    complaints.filter((complaint) => !/ERR_INCOMPLETE_CHUNKED/.test(complaint)),
    [],
  );
  await close();
});

test('the map: by its button, without rotation, and back', { skip }, async () => {
  const { page, complaints, close } = await open(run.url);
  await drawn(page);
  await page.locator('#scatter').focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.locator('#reset').isVisible(), true);
  await page.locator('#on-map').click();
  await becomes(page, 'axes', /^a map$/);
  assert.equal(await page.locator('#on-map').getAttribute('aria-pressed'), 'true');
  assert.equal(await page.locator('#map-hint').isVisible(), true);
  for (const id of ['turn-hint', 'ellipse-hint', 'reset'])
    assert.equal(await page.locator(`#${id}`).isVisible(), false, id);
  assert.match((await page.locator('#scatter').getAttribute('aria-label'))!, /^2,500 sample points/);
  await page.waitForTimeout(100);
  assert.ok((await colourful(page)) > 1000);
  await page.locator('#on-map').click();
  await becomes(page, 'axes', /between-cluster scatter/);
  assert.equal(await page.locator('#reset').isVisible(), true);
  assert.deepEqual(complaints, []);
  await close();
});

test('after the run, rows are counts of all rows, and colours are those of the report', {
  skip,
}, async () => {
  const ending = await mock({ epochs: 17, rows: 500 });
  const { page, close } = await open(ending.url);
  await drawn(page);
  await becomes(page, 'table-legend', /^Rows: soft counts in the training sample\./);
  // The split renumbers clusters.
  ending.advance();
  await page.waitForFunction(() => document.querySelectorAll('#table tbody tr').length === 7);
  const colours = () =>
    page.evaluate(() =>
      [...document.querySelectorAll('#table .swatch path')].map((path) => path.getAttribute('fill')),
    );
  const wanted = COLOURS.slice(0, 7);
  assert.notDeepEqual(await colours(), wanted);
  assert.deepEqual((await colours()).toSorted(), wanted.toSorted());
  ending.setStatus('done');
  await becomes(page, 'table-legend', /^Rows: all rows of the data, by their label\./);
  assert.deepEqual(await colours(), wanted);
  const rows = await page.locator('#table tbody td:nth-child(2)').allTextContents();
  const sum = rows.reduce((total, text) => total + Number(text.replace(',', '')), 0);
  assert.ok(Math.abs(sum - 70_000) < 7, `${sum} rows`);
  await close();
  await ending.close();
});

test('a link with the token opens the page, wherever it is followed; the token leaves the address', {
  skip,
}, async (t) => {
  const app = createGuardedApp({ bound: { host: '127.0.0.1', port: 0 }, token: 'let-me' });
  addPages(app);
  t.after(() => app.close());
  app.get('/api/run', async () => ({}));
  app.post('/api/pause', async (_request, reply) => reply.code(204).send());
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  // A site of its own, as the log of a cluster is.
  const log = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end(`<a href="${address}/?token=let-me">page</a>`),
  );
  t.after(() => void log.close());
  await new Promise<void>((resolve) => log.listen(0, 'localhost', resolve));
  const { page, close } = await open(`http://localhost:${(log.address() as AddressInfo).port}/`);
  await page.locator('a').click();
  await page.locator('#pause').waitFor({ state: 'attached' });
  assert.equal(page.url(), `${address}/`);
  const statusOf = (path: string, method: string) =>
    page.evaluate(async ([path, method]) => (await fetch(path, { method })).status, [path, method]);
  assert.deepEqual([await statusOf('api/run', 'GET'), await statusOf('api/pause', 'POST')], [200, 204]);
  await close();
});

test('the page works in a browser that denies storage', { skip }, async () => {
  const plain = await mock({ epochs: 8, rows: 200 });
  const { page, complaints, close } = await open(plain.url, {}, () => {
    for (const storage of ['localStorage', 'sessionStorage'])
      Object.defineProperty(window, storage, {
        get() {
          throw new DOMException('Access is denied for this document.', 'SecurityError');
        },
      });
  });
  await drawn(page);
  await page.locator('#theme').click();
  assert.match((await page.locator('#theme').getAttribute('aria-label')) ?? '', /dark/);
  await page.locator('#pause').click();
  await becomes(page, 'status', /^paused$/);
  assert.deepEqual(complaints, []);
  await close();
  await plain.close();
});

test('the page reports a lost coordinator and reconnects', { skip }, async () => {
  const first = await mock({ epochs: 8, rows: 200 });
  const port = Number(new URL(first.url).port);
  const { page, close } = await open(first.url);
  await drawn(page);
  await first.close();
  await becomes(page, 'status', /^connection lost$/);
  assert.match(await text(page, 'notice'), /reconnects automatically/);
  assert.equal(await page.locator('#stop').isDisabled(), true);
  const second = await mock({ epochs: 7, rows: 200, port });
  await becomes(page, 'status', /^running$/);
  await becomes(page, 'now-epoch', /^7 /);
  assert.equal(await page.locator('#notice').isHidden(), true);
  await close();
  await second.close();
});

test('no controls if the coordinator offers none', { skip }, async () => {
  const watched = await mock({ epochs: 8, rows: 200, controls: false });
  const { page, close } = await open(watched.url);
  await drawn(page);
  assert.equal(await page.locator('#controls').isVisible(), false);
  await close();
  await watched.close();
});

for (const [clusters, dim] of [
  [1, 1],
  [3, 1],
  [1, 6],
  [2, 2],
])
  test(`K = ${clusters}, D = ${dim}`, { skip }, async () => {
    const small = await mock({ clusters, dim, epochs: 40, rows: 1000 });
    const { page, complaints, close } = await open(small.url);
    await drawn(page);
    assert.equal(await text(page, 'now-k'), String(clusters));
    assert.ok((await colourful(page)) > 500);
    await page.locator('#scatter').press('ArrowRight');
    assert.equal(await page.locator('#reset').isVisible(), dim >= 3, 'rotates only if there is a third axis');
    assert.equal(
      /NaN|undefined|Infinity/.test(await page.evaluate(() => document.querySelector('main')!.textContent!)),
      false,
    );
    assert.deepEqual(complaints, []);
    await close();
    await small.close();
  });

test('the notice is aligned with the panels', { skip }, async () => {
  const ended = await mock({ epochs: 8, rows: 200, status: 'done' });
  const { page, close } = await open(ended.url);
  await drawn(page);
  await becomes(page, 'notice', /finished/);
  for (const width of [390, 720, 721, 800, 1280, 1640, 1660, 1920]) {
    await page.setViewportSize({ width, height: 800 });
    const [notice, panel] = await page.evaluate(() =>
      ['#notice', '.panel.workers'].map((selector) => {
        const { left, right } = document.querySelector(selector)!.getBoundingClientRect();
        return [left, right].map(Math.round);
      }),
    );
    assert.deepEqual(notice, panel, `${width} px`);
  }
  await close();
  await ended.close();
});

test('on phones the header has two rows', { skip }, async () => {
  const paused = await mock({ epochs: 8, rows: 200, status: 'paused' });
  for (const width of [320, 360, 390]) {
    const { page, close } = await open(paused.url, { viewport: { width, height: 780 }, isMobile: true });
    await becomes(page, 'pause', /^Resume$/);
    const rows = await page.evaluate(() => {
      const middles = [...document.querySelectorAll('.top :is(h1, #status, button, input)')]
        .map((element) => element.getBoundingClientRect())
        .filter((box) => box.height)
        .map((box) => Math.round((box.top + box.bottom) / 2));
      return middles.filter((y, i) => middles.findIndex((other) => Math.abs(other - y) < 8) === i);
    });
    assert.equal(rows.length, 2, `rows at ${rows} at ${width} px`);
    assert.equal(await overflow(page), 0, `${width} px`);
    await close();
  }
  await paused.close();
});

test('on phones nothing is wider than the screen', { skip }, async () => {
  const host = 'ip-10-0-12-34.eu-west-1.compute.internal';
  const wide = await mock({ clusters: 50, epochs: 100, rows: 1000, host });
  for (const width of [360, 390, 768]) {
    const { page, complaints, close } = await open(wide.url, {
      viewport: { width, height: 780 },
      hasTouch: true,
      isMobile: width < 500,
    });
    await drawn(page);
    await becomes(page, 'lanes-table', /internal/);
    assert.equal(await overflow(page), 0, `${width} px`);
    assert.equal(
      await page.evaluate(
        () =>
          document.querySelector('#table-scroll')!.scrollWidth -
          document.querySelector('#table-scroll')!.clientWidth,
      ),
      0,
      `the table at ${width} px`,
    );
    assert.deepEqual(complaints, []);
    await close();
  }
  await wide.close();
});
