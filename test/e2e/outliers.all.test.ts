// Rows far from all others, and data of odd shapes, with the default flags.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { CliArgs } from '../../bench/processes.ts';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { openRun, predict } from '../../index.ts';
import { normals } from '../model/support.ts';
import { dpmesh, eventsOf, jsonOf, ofType, resultHashes, scratch, sha256, trainArgs } from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const next = normals(12);
const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));

/** Writes rows, and their classes if there are any. */
function save(name: string, rows: number[][], classes?: number[]) {
  const [data, labels] = [path(`${name}.npy`), path(`${name}-y.npy`)];
  writeNpy(data, '<f4', [rows.length, rows[0].length], rows.flat());
  if (classes) writeNpy(labels, '<i4', [rows.length], classes);
  return { data, labels };
}

const CENTRES = [
  [0, 0],
  [10, 0],
  [0, 10],
  [10, 10],
  [5, 20],
];
const five = (count: number) => times(count, (i) => CENTRES[i % 5].map((centre) => centre + next()));

describe('five Gaussians and ten rows a thousand times as far off', () => {
  const ROWS = 6010;
  const rows = [...five(6000), ...times(10, () => [1e4 * next(), 1e4 * next()])];
  // Anywhere in the file, the first row among them.
  const far = times(10, (i) => 601 * i);
  for (const [i, row] of far.entries()) [rows[row], rows[6000 + i]] = [rows[6000 + i], rows[row]];
  const classOf = (row: number) => (far.includes(row) ? 5 : row < 6000 ? row % 5 : (601 * (row - 6000)) % 5);
  const { data, labels } = save('far', rows, times(ROWS, classOf));
  const run = path('run');
  const files = () => [...resultHashes(run), `outliers.npy ${sha256(join(run, 'outliers.npy'))}`];
  let result: Record<string, unknown>;
  let stderr: string;
  let expected: string[];
  before(async () => {
    const flags = ['--labels', labels, '--workers', 2, '--checkpoint-every', 0];
    const ended = await dpmesh(['train', '--data', data, '--out', run, '--json', ...flags]);
    result = jsonOf(ended);
    stderr = ended.stderr;
    expected = files();
  });

  test('are five clusters', () => {
    assert.equal(result.k, 5);
    assert.ok((result.acc as number) > 0.99 && (result.nmi as number) > 0.95, JSON.stringify(result));
  });

  test('outliers.npy has the ten rows and at most one in a thousand of the others', async () => {
    const { shape, data: flags } = readNpy(join(run, 'outliers.npy'));
    assert.deepEqual(shape, [ROWS]);
    assert.match(readFileSync(join(run, 'outliers.npy'), 'latin1').slice(0, 80), /'\|b1'/);
    const flagged = [...flags.keys()].filter((row) => flags[row]);
    assert.ok(far.filter((row) => flags[row]).length >= 9, flagged.join());
    assert.ok(flagged.filter((row) => !far.includes(row)).length <= 6, flagged.join());
    assert.equal(result.outliers, flagged.length);
    const labels = readNpy(join(run, 'labels.npy')).data;
    assert.ok(flagged.every((row) => labels[row] >= 0 && labels[row] < 5));
    const { data: counts } = readNpy(join(run, 'mixture/counts.npy'));
    assert.equal(
      [...(counts as Float64Array)].reduce((a, b) => a + b),
      ROWS - flagged.length,
    );
    assert.equal((await openRun(run)).result!.outliers, flagged.length);
  });

  test('the count is in run.json, events and report, and a warning says where they begin', () => {
    const { data: about, result: saved, files } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    assert.equal(saved.outliers, result.outliers);
    assert.ok('outliers.npy' in files);
    assert.deepEqual(
      about.fences.map(({ column }: { column: number }) => column),
      [0, 1],
    );
    const [done] = ofType(eventsOf(run), 'done');
    assert.equal(done.outliers, result.outliers);
    assert.match(
      readFileSync(join(run, 'report/report.html'), 'utf8'),
      new RegExp(`<dt>outliers</dt><dd>${result.outliers}<`),
    );
    assert.match(
      stderr,
      /warning: .*rows with column 0 \(counted from 0\) below -\d+ or above \d+, column 1 .*outliers\.npy/,
    );
  });

  test('the table of the report counts them as clusters.json does', () => {
    const html = readFileSync(join(run, 'report/report.html'), 'utf8');
    const shown = [
      ...html.matchAll(/<tr data-cluster="\d+"[^>]*><th[^>]*>.*?<\/th><td class="n">([\d,]+)<\/td>/g),
    ];
    const { clusters } = JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8'));
    assert.deepEqual(
      shown.map(([, rows]) => Number(rows.replace(',', ''))),
      clusters.map(({ size }: { size: number }) => size),
    );
    assert.equal(
      clusters.reduce((sum: number, { size }: { size: number }) => sum + size, 0),
      ROWS,
    );
  });

  for (const [workers, ...flags] of [[1], [3, '--no-shared-files']] as CliArgs[])
    test(`the same bytes from ${workers} workers ${flags}`, async () => {
      const other = path(`workers-${workers}`);
      jsonOf(await dpmesh(trainArgs(data, other, '--labels', labels, '--workers', workers, ...flags)));
      assert.deepEqual(
        [...resultHashes(other), `outliers.npy ${sha256(join(other, 'outliers.npy'))}`],
        expected,
      );
    });

  test('predict gives the labels of the run, and the number of outliers', async () => {
    const found = await predict({ run, data });
    assert.deepEqual(found.labels, readNpy(join(run, 'labels.npy')).data);
    assert.equal(found.outliers, result.outliers);
    const { data: few } = save('new', [
      [1e9, 10],
      [10, -1e5],
      [0, 0],
    ]);
    const { stdout } = await dpmesh(['predict', '--run', run, '--data', few, '--out', path('p.npy')]);
    assert.match(stdout, /; 2 outliers$/m);
    const labels = (await predict({ run, data: few })).labels;
    // The nearest cluster, however far off.
    assert.equal(labels[0], found.labels[times(ROWS, classOf).indexOf(3)]);
    assert.equal(labels[1], found.labels[times(ROWS, classOf).indexOf(1)]);
  });

  test('a resumed run does not look for them again, and ends with the same bytes', async () => {
    const names = readdirSync(join(run, 'checkpoints')).sort();
    for (const name of names.slice(1)) rmSync(join(run, 'checkpoints', name));
    for (const name of ['labels.npy', 'outliers.npy', 'model', 'mixture', 'report'])
      rmSync(join(run, name), { recursive: true });
    const file = join(run, 'run.json');
    const { files: _, ...before } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...before, result: null }));
    const resumed = jsonOf(await dpmesh(['resume', run, '--json', '--no-report', '--workers', 3]));
    assert.equal(resumed.outliers, result.outliers);
    assert.deepEqual(files(), expected);
    const { seconds } = ofType(eventsOf(run), 'done').at(-1)!;
    assert.ok(!('column-histogram' in seconds));
  });

  test('with --schedule paper no row is set apart', async () => {
    const out = path('paper');
    const flags = ['--schedule', 'paper', '--transform', 'standard', '--max-epochs', 3];
    const json = jsonOf(await dpmesh(trainArgs(data, out, ...flags)));
    assert.equal(json.outliers, 0);
    assert.ok(!existsSync(join(out, 'outliers.npy')));
  });

  for (const transform of ['center', 'min-max', 'pca:2'])
    test(`five clusters with --transform ${transform}`, async () => {
      const out = path(transform.replace(':', ''));
      const json = jsonOf(await dpmesh(trainArgs(data, out, '--transform', transform)));
      assert.deepEqual([json.k, json.outliers], [5, result.outliers]);
    });
});

describe('odd data', () => {
  /** The result; checks that all of its numbers are numbers. */
  async function trained(name: string, rows: number[][]) {
    const { data } = save(name, rows);
    const json = jsonOf(await dpmesh(trainArgs(data, path(`odd-${name}`))));
    assert.ok(json.k >= 1);
    for (const file of ['weights', 'means', 'covariances'])
      assert.ok(
        [...(readNpy(join(path(`odd-${name}`), `mixture/${file}.npy`)).data as Float64Array)].every(
          Number.isFinite,
        ),
      );
    return json;
  }
  /** One line that says what is wrong. */
  async function refused(name: string, rows: number[][], says: RegExp) {
    const { code, stderr } = await dpmesh(trainArgs(save(name, rows).data, path(`odd-${name}`)));
    const lines = stderr.split('\n').filter((line) => /^dpmesh: (?!warning)/.test(line));
    assert.deepEqual([code, lines.length], [2, 1], stderr);
    assert.match(lines[0], says);
  }

  const duplicates = times(3000, (i) => CENTRES[i % 3]);
  test('duplicates by the thousand', async () => {
    assert.deepEqual([(await trained('duplicates', duplicates)).k], [3]);
    const { k, outliers } = await trained('duplicates-far', [...duplicates, [1e5, 1e5]]);
    assert.deepEqual([k, outliers], [3, 1]);
  });
  test('a grid of integers', async () => {
    const { k, outliers } = await trained(
      'grid',
      times(3600, (i) => [i % 60, Math.floor(i / 60)]),
    );
    assert.ok(k <= 4 && outliers === 0, `K ${k}`);
    const few = await trained(
      'grid-few',
      times(3600, (i) => [i % 3, Math.floor(i / 3) % 3]),
    );
    assert.ok(few.k <= 9 && few.outliers === 0, `K ${few.k}`);
  });
  test('a column of two values', async () => {
    const { k, outliers } = await trained(
      'two',
      five(3000).map((row, i) => [...row, i % 7 < 3 ? 1 : 0]),
    );
    assert.ok(k >= 5 && k <= 10 && outliers === 0, `K ${k}`);
  });
  test('a column that differs in a single row', async () => {
    const { k } = await trained(
      'single',
      five(3000).map((row, i) => [...row, i === 17 ? 1e6 : 0]),
    );
    assert.ok(k >= 5 && k <= 6, `K ${k}`);
    assert.equal(
      (
        await trained(
          'single-only',
          times(2000, (i) => [i === 17 ? 1e6 : 0]),
        )
      ).k,
      1,
    );
  });
  test('a column that only an outlier has is dropped', async () => {
    const rows = five(3000).map((row, i) => [...row, i === 17 ? 1 : 0]);
    rows[17][0] = 1e7;
    const { k, outliers } = await trained('dropped', rows);
    assert.deepEqual([k, outliers], [5, 1]);
  });
  test('rows that are equal up to noise', async () => {
    const noise = (sd: number) => times(2000, () => [7 + sd * next(), 7 + sd * next()]);
    assert.equal((await trained('noise', noise(1e-3))).k, 1);
    const { k, outliers } = await trained('noise-far', [...noise(1e-3), [7, 1e5]]);
    assert.deepEqual([k, outliers], [1, 1]);
    await refused('noise-fine', noise(1e-7), /float32/);
  });
  test('all rows equal', () =>
    refused(
      'equal',
      times(500, () => [7, 7]),
      /all 500 rows are equal/,
    ));
  test('all rows equal but one', () =>
    refused('equal-far', [...times(500, () => [7, 7]), [1e5, 3]], /rank 1 only/));
});
