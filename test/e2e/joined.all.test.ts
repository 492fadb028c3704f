// Clusters of several components: labels, models for other programs, cuts and updates are of clusters.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { readNpy } from '../../data/npy.ts';
import { openRun } from '../../library/open-run.ts';
import { predict as librarysPredict } from '../../library/predict-files.ts';
import { generator } from '../../model/random.ts';
import type { SavedTree } from '../../run/tree.ts';
import { assertOnnxPredicts, exportedLabels } from './exported.ts';
import {
  changedCopy,
  dpmesh,
  jsonOf,
  labelsOf,
  refused,
  runFileOf,
  scratch,
  times,
  trainArgs,
  writeRows,
} from './support.ts';
import { lineageOf, purity, stateOf, updateArgs } from './updates.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);

/** Two of five rows are of a ring, the others of three Gaussians beside it and within. */
function ringAndBlobs(seed: bigint, rows: number) {
  const rng = generator(seed, 'ring and blobs');
  const classOf = (i: number) => [0, 0, 1, 2, 3][i % 5];
  const centres = [[], [0, 0], [11, 0], [0, 12]];
  const row = (i: number) => {
    if (classOf(i)) return centres[classOf(i)].map((value) => value + 0.7 * rng.normal());
    const [angle, radius] = [2 * Math.PI * rng.uniform(), 5 + 0.15 * rng.normal()];
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  };
  return { values: times(rows, row), classes: Int32Array.from({ length: rows }, (_, i) => classOf(i)) };
}

const first = ringAndBlobs(1n, 4000);
const more = [2n, 3n].map((seed) => ringAndBlobs(seed, 500));
const data = writeRows(path('first.npy'), first.values);
const flat = Float32Array.from(first.values.flat());
const [run, apart] = ['run', 'apart'].map(path);
const componentsOf = (of: string) => readNpy(join(of, 'mixture/clusters.npy')).data as Int32Array;

const rowComponentsOf = (of: string) => readNpy(join(of, 'components.npy')).data as Int32Array;
const columnOf = (table: string, name: string) =>
  (parse(readFileSync(table, 'utf8'), { columns: true }) as Record<string, string>[]).map((row) =>
    Number(row[name]),
  );

const treeOf = (of: string): SavedTree => JSON.parse(readFileSync(join(of, 'tree.json'), 'utf8'));

/** The tree has the joins of the components of the ring, the one cluster that has several. */
function assertJoined(of: string) {
  const clusters = [...componentsOf(of)];
  const ring = clusters.find((cluster, component) => clusters.indexOf(cluster) < component)!;
  assert.deepEqual(
    treeOf(of).components!.map(({ cluster, components }) => [cluster, components]),
    [[ring, [...clusters.keys()].filter((component) => clusters[component] === ring)]],
  );
}

/** Each component is of one cluster, that of `mixture/`, whose labels are ids in an update. */
function assertRefined(of: string, components: Int32Array) {
  const { ids } = runFileOf(of);
  const clusters = componentsOf(of);
  const labels = Array.from(components, (component) => clusters[component]);
  assert.deepEqual(
    labels.map((cluster) => ids?.[cluster] ?? cluster),
    [...labelsOf(of).data],
  );
}

describe('a ring beside Gaussians', () => {
  let result: ReturnType<typeof jsonOf>;
  before(async () => {
    result = jsonOf(await dpmesh(trainArgs(data, run, '--components')));
  });

  test('is one cluster, of several components; a note says so', () => {
    assert.equal(result.k, 4);
    assert.ok(purity(labelsOf(run).data as Int32Array, first.classes) > 0.99);
    const components = componentsOf(run);
    assert.ok(components.length > 8, `${components.length} components`);
    assert.deepEqual(new Set(components), new Set([0, 1, 2, 3]));
    assert.match(result.notes.join('\n'), new RegExp(`K is 4, of ${components.length} components`));
  });

  test('in whose middle is the other: no column carries nothing', async () => {
    const both = first.values.filter((_, i) => first.classes[i] < 2);
    const { k, notes } = jsonOf(await dpmesh(trainArgs(writeRows(path('both.npy'), both), path('both'))));
    assert.equal(k, 2);
    assert.doesNotMatch(notes.join('\n'), /carry nothing/);
  });

  test('has a component of the mixture for each row, in tables too, whoever writes them', async () => {
    const components = rowComponentsOf(run);
    assertRefined(run, components);
    assert.deepEqual(
      times(componentsOf(run).length, (component) => components.filter((own) => own === component).length),
      [...readNpy(join(run, 'mixture/counts.npy')).data],
    );
    assert.deepEqual(columnOf(join(run, 'labels.csv'), 'component'), [...components]);
    const parts = path('parts');
    jsonOf(await dpmesh(trainArgs(data, parts, '--components', '--labels-out', 'shards', '--workers', 2)));
    assert.deepEqual((await openRun(parts)).result!.components, components);
    assert.deepEqual((await openRun(run)).result!.components, components);

    const named = changedCopy(run, path('named'), () => {});
    const renamed = await dpmesh(['rename', named, '0', 'the ring']);
    assert.equal(renamed.code, 0, renamed.stderr);
    assert.deepEqual(columnOf(join(named, 'labels.csv'), 'component'), [...components]);

    const predict = ['predict', '--run', run, '--data', data, '--components', '--out'];
    const out = path('predicted.csv');
    for (const how of [[], ['--clusters', 2]]) {
      const { code, stderr } = await dpmesh([...predict, out, '--force', ...how]);
      assert.equal(code, 0, stderr);
      assert.deepEqual(columnOf(out, 'component'), [...components]);
    }
    refused(await dpmesh([...predict, path('none.npy')]), '--components is a column of a table');
    const fresh = { values: flat, columns: 2 };
    assert.deepEqual((await librarysPredict({ run, data: fresh, components: true })).components, components);
    assert.equal((await librarysPredict({ run, data: fresh })).components, null);
  });

  test('is what predict, TensorFlow.js and ONNX label', async () => {
    const out = path('predicted.npy');
    const { code, stderr } = await dpmesh([
      ...['predict', '--run', run, '--data', data, '--out', out, '--soft', path('soft.npy')],
    ]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(readNpy(out).data, labelsOf(run).data);
    const soft = readNpy(path('soft.npy'));
    assert.deepEqual(soft.shape, [4000, 4]);
    const labels = await exportedLabels(run, flat, 2);
    const differ = labels.filter((label, row) => label !== labelsOf(run).data[row]).length;
    assert.ok(differ <= 4, `${differ} labels differ`);
    await assertOnnxPredicts(run, flat, 2, 4);
  });

  test('is a leaf of the tree, of which a cut has fewer clusters', async () => {
    const { code, stderr } = await dpmesh(['cut', '--run', run, '--clusters', 3, '--out', path('cut.npy')]);
    assert.equal(code, 0, stderr);
    assert.equal(new Set(readNpy(path('cut.npy')).data).size, 3);
    const tree = treeOf(run);
    assert.deepEqual([tree.clusters, tree.joins.length], [4, 3]);
    assertJoined(run);
    const [within] = tree.components!;
    assert.equal(within.joins.at(-1)!.size, tree.sizes[within.cluster]);
    assert.ok(tree.next!.every(({ cluster }) => cluster !== within.cluster));
  });

  test('is in pieces with --shapes off', async () => {
    const { k } = jsonOf(await dpmesh(trainArgs(data, apart, '--shapes', 'off')));
    assert.equal(k, componentsOf(run).length);
    assert.ok(!existsSync(join(apart, 'mixture/clusters.npy')));
    // Without --components.
    assert.ok(!existsSync(join(apart, 'components.npy')));
    assert.equal((await openRun(apart)).result!.components, null);
  });
});

describe('updates of a ring beside Gaussians', () => {
  test('keep the ids of clusters, whatever components come and go, and need no more than their state', async () => {
    let before = run;
    for (const [i, { values, classes }] of more.entries()) {
      const [rows, out] = [writeRows(path(`more-${i}.npy`), values), path(`update-${i}`)];
      const { k } = jsonOf(await dpmesh(updateArgs(before, rows, out)));
      assert.equal(k, 4);
      const { ids, lineage } = lineageOf(out);
      assert.deepEqual([[...ids].sort(), lineage], [[0, 1, 2, 3], []]);
      assert.deepEqual(runFileOf(out).ids, ids);
      assert.ok(purity(labelsOf(out).data as Int32Array, classes) > 0.99);
      assertRefined(out, rowComponentsOf(out));
      assertJoined(out);
      before = out;
    }
    const again = path('again');
    jsonOf(await dpmesh(updateArgs(path('update-0'), path('more-1.npy'), again)));
    assert.deepEqual(stateOf(again), stateOf(path('update-1')));
  });
});
