// Rows in no cluster: what a run with --noise writes, prints and draws, what goes on from it, and what is refused.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { cut } from '../../library/cut.ts';
import { openRun } from '../../library/open-run.ts';
import { predict } from '../../library/predict-files.ts';
import { generator } from '../../model/random.ts';
import { readModel } from '../../run/model-file.ts';
import { runFiles } from '../../run/run-files.ts';
import { dpmesh, scratch, times, writeRows } from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const rng = generator(3n, 'noise');
const CENTRES = [
  [0, 0],
  [16, 0],
  [0, 16],
];

/** Rows of the blobs, so many of each, of noise about them, and of a blob that is new; −1 of noise. */
function rowsOf(name: string, each: number, noise: number, fresh = 0) {
  const of = times(3 * each, (row) => row % 3);
  const classes = [...of, ...times(noise, () => -1), ...times(fresh, () => 3)];
  const rows = classes.map((own) =>
    own < 0
      ? [0, 1].map(() => 36 * rng.uniform() - 10)
      : (CENTRES[own] ?? [16, 16]).map((at) => at + rng.normal()),
  );
  return { data: writeRows(path(name), rows), classes };
}

const labelsOf = (run: string) => [...readNpy(join(run, 'labels.npy')).data].map(Number);
const tableOf = (file: string) =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').map(Number));

describe('a run with noise', () => {
  const run = path('run');
  const first = rowsOf('first.npy', 400, 400);
  let printed: string;
  before(async () => {
    const { code, stdout, stderr } = await dpmesh([
      'train',
      first.data,
      '--noise',
      '--soft',
      '--components',
      '--out',
      run,
    ]);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /warning/);
    printed = stdout;
  });

  test('counts it, and no cluster has it', () => {
    const labels = labelsOf(run);
    const noise = labels.filter((label) => label === -1).length;
    assert.match(printed, new RegExp(`^noise +${noise} rows, 2\\d\\.\\d %$`, 'm'));
    assert.match(printed, /^clusters \(K\) +3\b/m, printed);
    const { result } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    assert.deepEqual([result.k, result.noise], [3, noise]);
    const { clusters } = JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8'));
    const sizes = clusters.map(({ size }: { size: number }) => size);
    assert.equal(sizes.reduce((a: number, b: number) => a + b) + noise, labels.length);
    // Covariances of the blobs are not widened by the noise between them.
    const covariances = readNpy(join(run, 'mixture/covariances.npy')).data;
    const { deviation } = readModel(runFiles(run)).model.moments!;
    for (const at of [0, 3, 4, 7, 8, 11]) {
      const own = covariances[at] * deviation[at % 2] ** 2;
      assert.ok(own > 0.75 && own < 1.3, `${own}`);
    }
    const [weight] = readNpy(join(run, 'mixture/background.npy')).data;
    assert.ok(Math.abs(weight - 0.25) < 0.03, `${weight}`);
  });

  test('is right about most of its rows', () => {
    const labels = labelsOf(run);
    const found = labels.map((label, row) => [label === -1, first.classes[row] < 0]);
    const both = found.filter(([a, b]) => a && b).length;
    assert.ok(both / found.filter(([, b]) => b).length > 0.85, 'recall');
    assert.ok(both / found.filter(([a]) => a).length > 0.95, 'precision');
  });

  test('tables and responsibilities have it', () => {
    const labels = labelsOf(run);
    const { shape, data } = readNpy(join(run, 'responsibilities.npy'));
    assert.deepEqual(shape, [labels.length, 3]);
    for (const [row, [, cluster, , confidence, , score]] of tableOf(join(run, 'labels.csv')).entries()) {
      assert.equal(cluster, labels[row]);
      const sum = data[3 * row] + data[3 * row + 1] + data[3 * row + 2];
      if (cluster === -1) assert.ok(Math.abs(1 - sum - confidence) < 1e-5 && score === 1);
      else assert.ok(score < 1 || confidence < 1);
    }
  });

  test('it is of no component', async () => {
    const components = [...readNpy(join(run, 'components.npy')).data].map(Number);
    assert.deepEqual(components, labelsOf(run));
    const { components: predicted } = await predict({ run, data: first.data, components: true });
    assert.deepEqual([...predicted!], components);
  });

  test('its report is drawn, its clusters are joined, and a cut keeps it', async () => {
    assert.ok(existsSync(join(run, 'report/report.html')));
    const { labels } = await cut({ run, clusters: 2 });
    const own = labelsOf(run);
    assert.ok(own.every((label, row) => (label === -1) === (labels[row] === -1)));
    assert.deepEqual(
      [...new Set(labels)].sort((a, b) => a - b),
      [-1, 0, 1],
    );
  });

  test('parts that workers write have the same labels', async () => {
    const out = path('parts');
    const { code, stderr } = await dpmesh([
      ...['train', first.data, '--noise', '--labels-out', 'shards', '--no-report', '--out', out],
    ]);
    assert.equal(code, 0, stderr);
    const { labels, confidences, noise } = (await openRun(out)).result!;
    const whole = (await openRun(run)).result!;
    assert.deepEqual([labels, confidences, noise], [whole.labels, whole.confidences, whole.noise]);
  });

  test('a model without details says the same', async () => {
    const { labels } = await predict({ run, data: first.data });
    assert.deepEqual([...labels], labelsOf(run));
    // However far: noise. Nearly at a centre: not.
    const far = await predict({ run, data: { values: Float32Array.of(1e6, -1e6, 0, 0), columns: 2 } });
    assert.deepEqual([...far.labels], [-1, labelsOf(run)[0]]);
  });

  test('keywords are of the rows in clusters', async () => {
    const { data } = readNpy(first.data);
    const said = ['apple pie', 'river boat', 'moon rocket'];
    const lines = first.classes.map((own, row) =>
      [data[2 * row], data[2 * row + 1], said[own] ?? 'spam'].join(),
    );
    const table = path('texts.csv');
    writeFileSync(table, ['a,b,t', ...lines, ''].join('\n'));
    const out = path('texts');
    const { code, stderr } = await dpmesh([
      ...['train', table, '--text', 't', '--noise', '--no-report', '--out', out],
    ]);
    assert.equal(code, 0, stderr);
    const { clusters } = JSON.parse(readFileSync(join(out, 'clusters.json'), 'utf8'));
    const names = clusters.map(({ name }: { name: string }) => name.split(', ').sort().join(' '));
    assert.deepEqual(names.sort(), ['apple pie', 'boat river', 'moon rocket']);
  });

  test('--clusters joins clusters, not noise', async () => {
    const out = path('joined');
    const { code, stdout } = await dpmesh([
      ...['train', first.data, '--noise', '--clusters', '2', '--no-report', '--out', out],
    ]);
    assert.equal(code, 0);
    assert.match(stdout, /^note: --clusters 2: 3 components .* joined/m);
    const [own, all] = [labelsOf(out), labelsOf(run)];
    const differ = own.filter((label, row) => (label === -1) !== (all[row] === -1)).length;
    assert.ok(differ < 10, `${differ}`);
    assert.deepEqual(
      [...new Set(own)].sort((a, b) => a - b),
      [-1, 0, 1],
    );
  });

  test('an update keeps ids, and rows that were noise may be born as a cluster', async () => {
    const more = rowsOf('more.npy', 200, 200);
    const again = path('again');
    const { code, stderr } = await dpmesh([
      'update',
      run,
      '--data',
      more.data,
      '--no-report',
      '--out',
      again,
    ]);
    assert.equal(code, 0, stderr);
    const { lineage, ids } = JSON.parse(readFileSync(join(again, 'lineage.json'), 'utf8'));
    assert.deepEqual([lineage, ids.toSorted()], [[], [0, 1, 2]]);
    // The same id in the same place.
    const place = (of: readonly number[], classes: readonly number[]) =>
      [0, 1, 2].map((own) => of[classes.indexOf(own)]);
    assert.deepEqual(place(labelsOf(again), more.classes), place(labelsOf(run), first.classes));
    // Few rows of a new cluster among noise, then more of it.
    const third = rowsOf('third.npy', 100, 100, 60);
    const born = path('born');
    assert.equal(
      (await dpmesh(['update', again, '--data', third.data, '--no-report', '--out', born])).code,
      0,
    );
    const after = JSON.parse(readFileSync(join(born, 'lineage.json'), 'utf8'));
    assert.deepEqual(after.lineage, [{ what: 'born', id: 3 }]);
    const labels = labelsOf(born);
    const fresh = labels.slice(-60);
    assert.ok(fresh.filter((label) => label === 3).length > 50);
    assert.ok(labels.slice(300, 400).filter((label) => label === -1).length > 80);
  });
});

test('where clusters have no density it is refused, or said why there is none', async () => {
  const { data } = rowsOf('plain.npy', 100, 0);
  for (const [flag, value] of [
    ['--likelihood', 'graph'],
    ['--schedule', 'paper'],
  ]) {
    const { code, stderr } = await dpmesh(['train', data, '--noise', flag, value, '--out', path('none')]);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`^dpmesh: --noise needs the density .* ${flag} ${value} does not have`));
  }
  const { code, stdout } = await dpmesh(['train', data, '--noise', '--no-report', '--out', path('plain')]);
  assert.equal(code, 0);
  assert.match(stdout, /^note: --noise: no row is noise: a background explains the rows no better/m);
  assert.ok(!labelsOf(path('plain')).includes(-1));
});
