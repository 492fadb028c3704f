// Rows far from all others, small and difficult data, and data of odd shapes, with the default flags.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { openRun, predict } from '../../index.ts';
import { generator } from '../../model/random.ts';
import { normals } from '../model/support.ts';
import {
  dpmesh,
  eventsOf,
  jsonOf,
  ofType,
  refused,
  runFileOf,
  scratch,
  synth,
  times,
  trainArgs,
  writeRows,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const next = normals(12);
/** Writes rows, and their classes if there are any. */
function save(name: string, rows: readonly number[][], classes?: number[]) {
  const [data, labels] = [writeRows(path(`${name}.npy`), rows), path(`${name}-y.npy`)];
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
  const ROWS = 1010;
  const rows = [...five(1000), ...times(10, () => [1e4 * next(), 1e4 * next()])];
  // Anywhere in the file, the first row among them.
  const far = times(10, (i) => 101 * i);
  for (const [i, row] of far.entries()) [rows[row], rows[1000 + i]] = [rows[1000 + i], rows[row]];
  const classOf = (row: number) => (far.includes(row) ? 5 : row < 1000 ? row % 5 : (101 * (row - 1000)) % 5);
  const { data, labels } = save('far', rows, times(ROWS, classOf));
  const run = path('run');
  let result: Record<string, unknown>;
  let stderr: string;
  before(async () => {
    const flags = ['--labels', labels, '--workers', 1];
    const ended = await dpmesh(['train', '--data', data, '--out', run, '--json', ...flags]);
    result = jsonOf(ended);
    stderr = ended.stderr;
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
    assert.ok(flagged.filter((row) => !far.includes(row)).length <= 2, flagged.join());
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
    const { data: about, result: saved, files } = runFileOf(run);
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

  test('five clusters with another --transform', async () => {
    const json = jsonOf(await dpmesh(trainArgs(data, path('min-max'), '--transform', 'min-max')));
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
  test('duplicates by the thousand, and one row far off', async () => {
    const duplicates = times(900, (i) => CENTRES[i % 3]);
    const { k, outliers } = await trained('duplicates', [...duplicates, [1e5, 1e5]]);
    assert.deepEqual([k, outliers], [3, 1]);
  });
  test('a column of two values', async () => {
    const rows = five(500).map((row, i) => [...row, i % 7 < 3 ? 1 : 0]);
    const { k, outliers } = await trained('two', rows);
    assert.ok(k >= 5 && k <= 10 && outliers === 0, `K ${k}`);
  });
  test('a column that only an outlier has is dropped', async () => {
    const rows = five(500).map((row, i) => [...row, i === 17 ? 1 : 0]);
    rows[17][0] = 1e7;
    const { k, outliers } = await trained('dropped', rows);
    assert.deepEqual([k, outliers], [5, 1]);
  });
  test('rows that are equal up to noise, or but for one', async () => {
    const noise = (sd: number) => times(600, () => [7 + sd * next(), 7 + sd * next()]);
    const { k, outliers } = await trained('noise-far', [...noise(1e-3), [7, 1e5]]);
    assert.deepEqual([k, outliers], [1, 1]);
    for (const [rows, says] of [
      [noise(1e-7), 'float32'],
      [times(500, () => [7, 7]), 'all 500 rows are equal'],
    ] as [number[][], string][])
      refused(await dpmesh(trainArgs(save('equal', rows).data, path('equal'))), says);
    // Two points are on a line.
    const line = await trained('line', [...times(500, () => [7, 7]), [1e5, 3]]);
    assert.equal(line.k, 1);
  });
});

test('1,500 rows, 750 per shard, are enough to find eight clusters with the default flags', async () => {
  const { data, labels } = await synth(folder, 'x', { clusters: 8, points: 1500, dim: 5, seed: 1 });
  const out = join(folder, 'eight');
  const { k, nmi } = jsonOf(await dpmesh(trainArgs(data, out, '--labels', labels)));
  assert.equal(k, 8);
  assert.ok(nmi > 0.98, `NMI ${nmi}`);
});

test('three clusters that overlap in 333 rows, as measurements of three species do, are found whatever the number of shards', async () => {
  // Of each: rows, means, standard deviations, and the correlation of all columns.
  const species = [
    { n: 146, mean: [38.8, 18.3, 190.1, 3706], sd: [2.66, 1.22, 6.52, 459], correlation: 0.45 },
    { n: 68, mean: [48.8, 18.4, 195.8, 3733], sd: [3.34, 1.14, 7.13, 384], correlation: 0.58 },
    { n: 119, mean: [47.6, 15, 217.2, 5092], sd: [3.11, 0.99, 6.59, 501], correlation: 0.68 },
  ];
  const { normal } = generator(0n, 'three species');
  const rows = species.flatMap(({ n, mean, sd, correlation }, label) =>
    Array.from({ length: n }, () => {
      const common = normal();
      return [
        ...mean.map(
          (m, j) => m + sd[j] * (Math.sqrt(correlation) * common + Math.sqrt(1 - correlation) * normal()),
        ),
        label,
      ];
    }),
  );
  const data = join(folder, 'species.csv');
  writeFileSync(data, ['length,depth,flipper,mass,species', ...rows.map((row) => row.join())].join('\n'));
  for (const flags of [[], ['--shards', 16]]) {
    const out = join(folder, `species${flags.join('')}`);
    const { k, ari } = jsonOf(await dpmesh(trainArgs(data, out, '--labels', `${data}:species`, ...flags)));
    assert.equal(k, 3, flags.join(' '));
    assert.ok(ari > 0.9, `${flags.join(' ')} ARI ${ari}`);
  }
});

for (const [flag, rest] of [
  ['--lr', []],
  ['--sub-lr', ['--lr', '0.01']],
] as const)
  test(`if training diverges because of ${flag}, the error names it; exit code 2, no stack trace`, async () => {
    const { data } = await synth(folder, flag, { clusters: 4, points: 400, dim: 5, seed: 2 });
    const out = join(folder, `run${flag}`);
    const run = await dpmesh(['train', '--data', data, '--no-http', '--out', out, flag, '1e30', ...rest]);
    assert.equal(run.code, 2);
    assert.match(
      run.stderr,
      new RegExp(`\ndpmesh: training diverged in epoch \\d+: ${flag} 1e\\+30 is too large`),
    );
    assert.doesNotMatch(run.stderr, /\n {4}at /);
  });

test('a column that nearly repeats another costs time, not the result', async () => {
  const { data, labels } = await synth(folder, 'clean', { clusters: 5, points: 1000, dim: 3, seed: 3 });
  const { data: values } = readNpy(data);
  const noise = normals(5);
  const row = (i: number) => [...values.subarray(3 * i, 3 * i + 3), values[3 * i] + 1e-3 * noise()];
  const [nearly, out] = [writeRows(join(folder, 'nearly.npy'), times(1000, row)), join(folder, 'nearly')];
  const { k, nmi } = jsonOf(await dpmesh(trainArgs(nearly, out, '--labels', labels, '--no-http')));
  assert.ok(k === 5 && nmi > 0.98, `K ${k}, NMI ${nmi}`);
  // Plain float32 sums were too imprecise.
  assert.ok(ofType(eventsOf(out), 'epoch').some(({ seconds }) => 'pivoted-statistics' in seconds));
});
