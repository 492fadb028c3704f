import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { openRun } from '../../library/open-run.ts';
import { eStepOf } from '../../model/gaussian/estep.ts';
import { renumbered } from '../../model/state.ts';
import { gatherContents } from '../../page/report/gather.ts';
import { checkpointFolder, newestCheckpoint } from '../../run/checkpoints.ts';
import { READ_FILES } from '../../run/read-files.ts';
import { readTrainedModel } from '../../run/trained-model.ts';
import {
  changedCopy,
  checkpointsOf,
  D,
  dpmesh,
  easyData,
  jsonOf,
  resultHashes,
  runFileOf,
  scratch,
  trainArgs,
  unfinish,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 3000);
const path = (name: string) => join(folder, name);
/** Of a sample so small that its order of the clusters is not that of all rows; and more clusters than there are. */
const FLAGS = [
  ...['--split-merge-every', 3, '--batch-size', 16, '--labels', easy.labels, '--soft'],
  ...['--sample', 400, '--transform', 'none', '--init-k', 14, '--max-epochs', 5],
];

const array = (run: string, name: string) => readNpy(join(path(run), name)).data;

function countsOf(labels: ArrayLike<number>, k: number): number[] {
  const counts = Array<number>(k).fill(0);
  for (let i = 0; i < labels.length; i++) counts[labels[i]]++;
  return counts;
}

describe('clusters are numbered by size', () => {
  let result: Record<string, unknown>;
  let k: number;
  before(async () => {
    result = jsonOf(await dpmesh(trainArgs(easy.data, path('run'), '--workers', 1, ...FLAGS)));
    k = array('run', 'mixture/counts.npy').length;
  });

  test('over all rows, in labels, mixture, responsibilities and model alike', async () => {
    const labels = array('run', 'labels.npy');
    const counts = countsOf(labels, k);
    assert.ok(k > 6, `${k}`);
    for (let c = 1; c < k; c++) assert.ok(counts[c] <= counts[c - 1], `${counts}`);
    assert.deepEqual([...array('run', 'mixture/counts.npy')], counts);
    assert.equal(result.k, counts.filter((count) => count > 0).length);
    const soft = array('run', 'responsibilities.npy');
    for (let row = 0; row < labels.length; row++) {
      const own = soft.subarray(row * k, (row + 1) * k);
      assert.equal(own.indexOf(Math.max(...own)), labels[row]);
    }
    const weights = [...array('run', 'mixture/weights.npy')];
    assert.deepEqual(
      weights,
      weights.toSorted((a, b) => b - a),
    );
    const means = array('run', 'mixture/means.npy');
    // The prior pulls a little, far less than clusters are apart.
    const [sums, d] = [new Float64Array(D * k), D];
    for (let i = 0; i < easy.rows.length; i++) sums[labels[Math.floor(i / d)] * d + (i % d)] += easy.rows[i];
    for (let i = 0; i < sums.length; i++) {
      const count = counts[Math.floor(i / d)];
      if (count > 100) assert.ok(Math.abs(sums[i] / count - means[i]) < 0.05, `${i}`);
    }
    const { labels: read, responsibilities } = (await openRun(path('run'))).result!;
    assert.deepEqual([...read], [...labels]);
    assert.deepEqual(responsibilities, soft);
  });

  test('as predict and evaluate have them', async () => {
    const out = path('predicted.npy');
    const args = ['predict', '--run', path('run'), '--data', easy.data, '--out', out];
    assert.equal((await dpmesh(args)).code, 0);
    assert.deepEqual([...readNpy(out).data], [...array('run', 'labels.npy')]);
    const labels = join(path('run'), 'labels.npy');
    const scores = jsonOf(await dpmesh(['evaluate', '--pred', labels, '--labels', easy.labels, '--json']));
    for (const name of ['nmi', 'ari', 'acc']) assert.equal(scores[name], result[name], name);
  });

  test('the checkpoint has the numbers of training, and run.json the order that leads from them', () => {
    const { order } = runFileOf(path('run'));
    const { state, ended } = newestCheckpoint(path('run'), () => null, assert.fail)!.checkpoint;
    assert.ok(ended);
    assert.equal(order.length, k);
    assert.notDeepEqual(
      order,
      order.toSorted((a: number, b: number) => a - b),
    );
    const { classifier, transform } = readTrainedModel(path('run'));
    const { constant } = eStepOf(renumbered(state, order).mixture, transform.scale, 'cholesky');
    assert.deepEqual(classifier.at(-1)!.values, constant);
  });

  test('and the report has them in that order', async () => {
    const { view } = await gatherContents(path('run'), { version: '999.0.0' }, READ_FILES);
    const rows = view!.clusters.map((cluster) => cluster.rows);
    assert.deepEqual(
      rows,
      rows.toSorted((a, b) => b - a),
    );
  });

  test('to the same bytes when it is resumed: after training, while results are written, from before', async () => {
    for (const [name, prepare] of [
      ['labels', (run: string) => rmSync(join(run, 'labels.npy'))],
      // Killed before run.json: all files have their names.
      ['written', () => {}],
      // Before the end of training.
      ['earlier', (run: string) => rmSync(join(checkpointFolder(run), checkpointsOf(run).at(-1)!))],
    ] as const) {
      const run = changedCopy(path('run'), path(name), (at) => unfinish(at));
      prepare(run);
      jsonOf(await dpmesh(['resume', run, '--json', '--no-report', '--workers', 2]));
      assert.deepEqual(resultHashes(run), resultHashes(path('run')), name);
      assert.deepEqual(runFileOf(run).order, runFileOf(path('run')).order);
    }
  });
});
