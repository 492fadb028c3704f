// `dpmesh view`: the page of a finished run, and of several.
import assert from 'node:assert/strict';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeNpy } from '../../../data/npy.ts';
import { colourOf } from '../../../page/drawing/svg.ts';
import { readSavedMixture } from '../../../run/row-files.ts';
import { runFiles } from '../../../run/run-files.ts';
import { readSavedClusters } from '../../../run/saved-clusters.ts';
import {
  D,
  dpmesh,
  easyData,
  jsonOf,
  K,
  type RunningProcess,
  scratch,
  start,
  trainArgs,
  until,
} from '../../e2e/support.ts';
import { fitted, flagsOf, ROWS } from '../../fitted.ts';
import { becomes, closeBrowser, colours, drawn, labelOf, noBrowser, open, textOf } from './browser.ts';
import { normal, uniform } from './world.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
after(closeBrowser);

/** A port of `dpmesh view` on these. */
async function viewing(...runs: string[]): Promise<{ url: string; running: RunningProcess }> {
  const running = start(['view', ...runs, '--http', '127.0.0.1:0']);
  const url = await until('an address', () => /(http:\S+\/) \(until/.exec(running.stderr())?.[1], running);
  return { url, running };
}

async function ended({ kill, ended }: RunningProcess): Promise<void> {
  kill('SIGINT');
  assert.equal((await ended).code, 0);
}

const statusOf = (url: string, options: object) =>
  new Promise<number>((resolve) => {
    request(url, options, (response) => resolve(response.resume().statusCode!)).end();
  });

describe('view', { skip: noBrowser }, () => {
  before(async () => {
    const { data, labels } = await fitted('gaussian', path('s0'));
    const flags = ['--labels', labels, '--labels-parquet', '--seed', 1, ...flagsOf('gaussian')];
    jsonOf(await dpmesh(trainArgs(data, path('s1'), ...flags)));
    await fitted('logarithm', path('others'));
  });

  test('shows a finished run with points, table, tree and history, and lets nobody change anything', async () => {
    const { url, running } = await viewing(path('s0'));
    const { page, complaints, close } = await open(url);
    await drawn(page);
    await page.locator('#tree').waitFor();
    assert.equal(await textOf(page, 'status'), 'done');
    assert.equal(await textOf(page, 'now-k'), String(K));
    assert.equal(await page.locator('#table tbody tr').count(), K);
    assert.match(await labelOf(page, 'chart-k'), /epochs: 1 at first/);
    assert.match(await textOf(page, 'log'), /Training ended/);
    assert.equal(await page.locator('#controls').isHidden(), true);
    // What a finished run has not is left out, and time and workers are those of the result.
    await page.locator('#outcome').waitFor();
    assert.equal(await page.locator('#workers').isHidden(), true);
    const outcome = await textOf(page, 'outcome-list');
    const time = /training([\d.]+ m?s)/.exec(outcome)![1];
    await becomes(page, 'now-time', new RegExp(`^${time}$`));
    assert.equal(await textOf(page, 'now-workers'), '1');
    assert.match(outcome, /labels\.npy, labels\.csv/);
    const config = await textOf(page, 'config');
    for (const unset of ['dropnone', 'imputenone', 'columnsall', 'sampleautomatic'])
      assert.ok(config.includes(unset), `${config} lacks ${unset}`);
    for (const action of ['stop', 'finish', 'pause'])
      assert.equal(await statusOf(`${url}api/${action}`, { method: 'POST' }), 404);
    assert.equal(await statusOf(url, { headers: { host: 'evil.example' } }), 421);
    assert.deepEqual(complaints, []);
    await close();
    await ended(running);
  });

  test('shows an update: its clusters have the names and colours of the run before, and a picture over updates', async () => {
    const { rows } = easyData(folder, 'more', 2 * ROWS);
    writeNpy(path('new.npy'), '<f4', [ROWS, D], rows.slice(ROWS * D));
    const flags = ['--out', path('s0-2'), '--json', '--no-report', '--no-http', '--workers', 1];
    jsonOf(await dpmesh(['update', path('s0'), '--data', path('new.npy'), ...flags]));
    const looks: Record<string, string>[] = [];
    for (const run of ['s0', 's0-2']) {
      const { url, running } = await viewing(path(run));
      const { page, complaints, close } = await open(url);
      await drawn(page);
      const names = await page.locator('#table tbody th').allTextContents();
      looks.push(Object.fromEntries((await colours(page)).map((colour, i) => [names[i], colour!])));
      assert.equal(await page.locator('#river').isVisible(), run === 's0-2');
      assert.deepEqual(complaints, []);
      await close();
      await ended(running);
    }
    assert.equal(Object.keys(looks[0]).length, K);
    assert.deepEqual(looks[1], looks[0]);
  });

  test('shows clusters of several components as the live page did at the end: a number, a colour and a line for each', async () => {
    const random = uniform(5);
    const ring = () => {
      const [angle, radius] = [2 * Math.PI * random(), Math.sqrt(4 + 12 * random())];
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    };
    const ball = () => [8 + normal(random) / 2, normal(random) / 2];
    const rows = Array.from({ length: 4000 }, (_, i) => (i % 4 ? ring() : ball())).flat();
    writeNpy(path('ring.npy'), '<f4', [4000, 2], Float32Array.from(rows));
    const flags = ['--workers', 1, '--http', '127.0.0.1:0', '--linger', 600];
    const live = start(trainArgs(path('ring.npy'), path('ring'), ...flags));
    const looks: object[] = [];
    const look = async (url: string) => {
      const { page, complaints, close } = await open(url);
      await drawn(page);
      await page.locator('#tree').waitFor({ timeout: 60_000 });
      await becomes(page, 'table-legend', /all rows of the data[\s\S]*several components/);
      assert.deepEqual(complaints, []);
      looks.push({
        k: await textOf(page, 'now-k'),
        ids: await page.locator('#table tbody th').allTextContents(),
        rows: await page.locator('#table tbody td:nth-child(2)').allTextContents(),
        colours: await colours(page),
        cut: await textOf(page, 'cut'),
        points: await labelOf(page, 'scatter'),
        ellipses: await textOf(page, 'ellipse-hint'),
        joins: await page.locator('#tree g.components title').allTextContents(),
      });
      await close();
    };
    const pageOf = /watch it at (http:\S+\/)/;
    const address = await until('an address', () => pageOf.exec(live.stderr())?.[1], live);
    // A page that has seen training gives clusters the colours of their components then.
    const summary = join(path('ring'), 'clusters.json');
    await until('results', () => existsSync(summary) || undefined, live);
    await look(address);
    live.kill('SIGINT');
    await live.ended;
    const { url, running } = await viewing(path('ring'));
    await look(url);
    await ended(running);
    assert.deepEqual(looks[1], looks[0]);
    const files = runFiles(path('ring'));
    const { weights } = readSavedMixture(files);
    const { clusters } = readSavedClusters(files)!;
    assert.ok(clusters.length < weights.length, `${weights.length} components`);
    assert.deepEqual(looks[0], {
      k: String(clusters.length),
      ids: clusters.map(({ cluster }) => String(cluster)),
      rows: clusters.map(({ size }) => size.toLocaleString('en')),
      colours: clusters.map(({ cluster }) => colourOf(cluster)),
      cut: (looks[0] as { cut: string }).cut,
      points: `4,000 sample points in ${clusters.length} clusters`,
      ellipses: 'Ellipses: two standard deviations; dashed, those of components of one cluster.',
      joins: [`Cluster 0: ${weights.length - 1} components, joined as rows show no valleys between them`],
    });
  });

  test('shows several in a table with what differs, and the clusters of two against each other', async () => {
    const { url, running } = await viewing(path('s0'), folder, path('s1'), path('others'));
    assert.match(running.stderr(), /warning: .* is not a run directory .* left out\n/);
    const { page, complaints, close } = await open(url);
    await page.locator('#pairs tbody tr').first().waitFor();
    const heads = await page.locator('#runs thead th').allTextContents();
    assert.ok(heads.includes('seed') && heads.includes('data') && !heads.includes('alpha'), heads.join());
    assert.equal(await page.locator('#runs tbody tr').count(), 3);
    assert.match(await textOf(page, 'scores'), /^ARI 1\.00, NMI 1\.000?; 600 rows, 100.0 %/);
    const cells = await page.locator('#pairs tbody td').allTextContents();
    assert.equal(cells.length, K * K);
    assert.deepEqual(
      cells.flatMap((text, i) => (text ? [i % (K + 1)] : [])),
      Array(K).fill(0),
      'only the diagonal has rows',
    );
    await page.locator('#b').selectOption('others');
    await becomes(page, 'scores', /different rows/);
    assert.deepEqual(
      complaints.filter((text) => !/409/.test(text)),
      [],
    );
    await page.locator('#runs a', { hasText: 's1' }).click();
    await drawn(page);
    assert.equal(new URL(page.url()).pathname, '/runs/1/');
    assert.equal(await textOf(page, 'name'), 's1');
    await page.locator('#outcome').waitFor();
    assert.match(await textOf(page, 'outcome-list'), /labels\.npy, labels\.csv, labels\.parquet/);
    assert.equal(await statusOf(`${url}runs/0`, {}), 302);
    assert.equal(await statusOf(`${url}api/compare?a=0&b=9`, {}), 404);
    await close();
    await ended(running);
  });

  test('on a phone nothing is wider than the screen, whatever the names of runs', async () => {
    const long = (name: string) =>
      path(`${'a_name_without_any_place_where_it_could_break_'.repeat(4)}${name}`);
    for (const name of ['s0', 'others']) cpSync(path(name), long(name), { recursive: true });
    const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
    for (const runs of [[long('s0')], [long('s0'), long('others')]]) {
      const { url, running } = await viewing(...runs);
      const { page, close } = await open(url, phone);
      if (runs.length > 1) await becomes(page, 'scores', /different rows/);
      else await page.locator('#outcome').waitFor();
      assert.equal(await page.evaluate(() => document.scrollingElement!.scrollWidth), 390);
      await close();
      await ended(running);
    }
  });

  test('says what it cannot show', async () => {
    const cases: [string[], RegExp][] = [
      [[folder], /is not a run directory/],
      [[folder, path('new.npy')], /none of these is a run directory/],
      [[path('s0'), '--http', '0.0.0.0:0'], /open to other machines/],
      [[], /<runs\.\.> is missing/],
    ];
    for (const [args, says] of cases) {
      const { code, stderr } = await dpmesh(['view', ...args]);
      assert.equal(code, 2, stderr);
      assert.match(stderr.trimEnd().split('\n').at(-1)!, says);
    }
    rmSync(join(path('s1'), 'labels.npy'));
    const { code, stderr } = await dpmesh(['view', path('s1')]);
    assert.equal(code, 2);
    assert.match(stderr, /not finished; .*dpmesh finish /);
  });
});
