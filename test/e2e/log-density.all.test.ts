// How dense the clusters are where a row is: among the results, of new rows, and of runs that do not have it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { openRun } from '../../library/open-run.ts';
import { generator } from '../../model/random.ts';
import { assertOnnxPredicts } from './exported.ts';
import { dpmesh, QUICK, scratch } from './support.ts';

const folder = scratch();
const BLOBS = [
  [-9, -8],
  [8, -9],
  [0, 0],
  [-7, 9],
  [9, 8],
];

/** Five blobs of 300 rows, then 150 rows from all over a square. */
function noisyBlobs() {
  const { normal, uniform } = generator(5n, 'noisy blobs');
  const rows = BLOBS.flatMap((centre) => Array.from({ length: 300 }, () => centre.map((c) => c + normal())));
  for (let i = 0; i < 150; i++) rows.push([36 * uniform() - 18, 36 * uniform() - 18]);
  return rows;
}

async function train(name: string, rows: number[][], ...flags: (string | number)[]): Promise<string> {
  const [data, run] = [join(folder, `${name}.npy`), join(folder, name)];
  writeNpy(data, '<f4', [rows.length, rows[0].length], Float32Array.from(rows.flat()));
  const args = ['train', '--data', data, '--no-http', '--no-report', '--json', ...QUICK, '--workers', 1];
  await dpmesh([...args, '--out', run, ...flags]);
  return run;
}

const records = (path: string) =>
  parse(readFileSync(path, 'utf8'), {
    columns: true,
    cast: (value, { header }) => (header ? value : Number(value)),
  }) as Record<string, number>[];

/** The share of pairs of one of `rows` from `first` on and one before it of which that one has the larger score. */
function auc(scores: ArrayLike<number>, first: number): number {
  const all = Array.from(scores);
  const [others, own] = [all.slice(0, first), all.slice(first)];
  const wins = own.map((score) => others.reduce((sum, other) => sum + Number(other < score), 0));
  return wins.reduce((a, b) => a + b, 0) / own.length / others.length;
}

test('it tells noise from clusters, is in every table, and goes where it is not known', async () => {
  const rows = noisyBlobs();
  const run = await train('noisy', rows, '--labels-parquet');
  const { result } = await openRun(run);
  const densities = result!.logDensities!;
  assert.deepEqual(densities, readNpy(join(run, 'log-densities.npy')).data);
  const table = records(join(run, 'labels.csv'));
  for (const [i, { log_density }] of table.entries()) assert.ok(Math.abs(log_density - densities[i]) < 1e-6);
  const score = table.map(({ outlier_score }) => outlier_score);
  assert.ok(
    auc(
      densities.map((one) => -one),
      1500,
    ) > 0.9,
    `${auc(
      densities.map((one) => -one),
      1500,
    )}`,
  );
  assert.ok(auc(score, 1500) < 0.8, `${auc(score, 1500)}`);
  const out = join(folder, 'predicted.csv');
  const predict = ['predict', '--run', run, '--data', join(folder, 'noisy.npy'), '--out', out, '--force'];
  await dpmesh(predict);
  for (const [i, { cluster, log_density }] of records(out).entries()) {
    assert.equal(cluster, table[i].cluster);
    assert.ok(Math.abs(log_density - table[i].log_density) < 1e-5);
  }
  await assertOnnxPredicts(run, Float32Array.from(rows.flat()), 2, 2);
  await dpmesh(['rename', run, '0', 'first']);
  assert.ok('log_density' in records(join(run, 'labels.csv'))[0]);
});

test('a wide cluster is less dense than noise beside a narrow one', async () => {
  const { normal } = generator(6n, 'wide and narrow');
  const rows = [1, 20].flatMap((sd) =>
    Array.from({ length: 500 }, () => [normal() * sd + (sd > 1 ? 200 : 0), normal() * sd]),
  );
  for (let i = 0; i < 10; i++) rows.push([5 + normal(), 5 + normal()]);
  const run = await train('wide', rows, '--clusters', 2);
  const densities = readNpy(join(run, 'log-densities.npy')).data as Float32Array;
  const meanOf = (part: Float32Array) => part.reduce((a, b) => a + b, 0) / part.length;
  const gap = meanOf(densities.subarray(0, 500)) - meanOf(densities.subarray(500, 1000));
  assert.ok(Math.abs(gap - 2 * Math.log(20)) < 0.7, `${gap}`);
});

test('by a net, as by the mixture; the graph has none', async () => {
  const rows = noisyBlobs();
  const paper = await train('paper', rows, '--schedule', 'paper', '--max-epochs', 20);
  assert.ok('log_density' in records(join(paper, 'labels.csv'))[0]);
  await assertOnnxPredicts(paper, Float32Array.from(rows.flat()), 2, 2);
  const graph = await train('graph', rows, '--likelihood', 'graph');
  assert.ok(!existsSync(join(graph, 'log-densities.npy')));
  assert.ok(!('log_density' in records(join(graph, 'labels.csv'))[0]));
  await assertOnnxPredicts(graph, Float32Array.from(rows.flat()), 2, 2);
});

test('in parts that workers write', async () => {
  const rows = noisyBlobs();
  const whole = await train('whole', rows, '--clusters', 5);
  const parts = await train('parts', rows, '--clusters', 5, '--labels-out', 'shards');
  const of = async (run: string) => (await openRun(run)).result!.logDensities;
  assert.deepEqual(await of(parts), await of(whole));
});
