// An encoder of neighbours: the same bytes for any number of workers, killed and resumed in its midst; what comes of its codes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import { readNpy, writeNpy } from '../../data/npy.ts';
import {
  dpmesh,
  embeddedData,
  eventsOf,
  jsonOf,
  killedWhen,
  labelsOf,
  ofType,
  resultHashes,
  resumed,
  scratch,
  trainArgs,
  undisturbedHashes,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const FLAGS = [
  ...['--encoder', 'neighbour', '--encoder-hidden', '32', '--latent', 6, '--encoder-epochs', 4],
  ...['--encoder-batch', 64, '--encoder-weight-decay', 0.01, '--likelihood', 'gaussian', '--no-http'],
  ...['--max-epochs', 30, '--checkpoint-every', 0],
] as const;
const { data, labels, rows } = embeddedData(folder, 'rows', 1200);
const epochsOf = (run: string) => ofType(eventsOf(run), 'encoder-epoch');

describe('a run with an encoder of neighbours', { concurrency: 2 }, () => {
  const run = path('run');
  let expected: string[];
  before(async () => {
    expected = await undisturbedHashes(data, run, ...FLAGS, '--labels', labels);
  });

  test('learns to tell neighbours, finds clusters, and has the same bytes for three workers', async () => {
    const losses = epochsOf(run).map(({ loss }) => loss);
    assert.equal(losses.length, 4);
    assert.ok(losses[3] < losses[0] - 0.2, losses.join(' → '));
    assert.ok(epochsOf(run)[0].seconds['neighbour-steps'] > 0);
    const out = path('three');
    const others = ['--workers', 3, '--no-shared-files'];
    const { nmi } = jsonOf(await dpmesh(trainArgs(data, out, ...FLAGS, '--labels', labels, ...others)));
    assert.ok(nmi > 0.6, `NMI ${nmi}`);
    assert.deepEqual(resultHashes(out), expected);
  });

  test('killed while it learns, it resumes to the same bytes', async () => {
    const out = path('killed');
    const learns = () => epochsOf(out).length >= 2;
    await killedWhen('epoch 2', learns, data, out, ...FLAGS, '--labels', labels);
    jsonOf(await resumed(out, '--workers', 1));
    assert.deepEqual(resultHashes(out), expected);
    assert.ok(epochsOf(out).length <= 5, 'at most the epoch that was in progress is trained again');
  });

  test('labels new rows as its own, and so does the exported model; its report decodes nothing', async () => {
    const out = path('again.npy');
    await dpmesh(['predict', '--run', run, '--data', data, '--out', out]);
    const own = labelsOf(run).data;
    assert.deepEqual(readNpy(out).data, own);
    const json = JSON.parse(readFileSync(join(run, 'model/model.json'), 'utf8'));
    const { modelTopology, weightsManifest } = json;
    const weightData = new Uint8Array(readFileSync(join(run, 'model/weights.bin'))).buffer;
    const weightSpecs = weightsManifest[0].weights;
    const model = await loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
    const outputs = model.predict(tf.tensor2d(rows, [1200, 40])) as tf.Tensor;
    const same = [...tf.argMax(outputs, -1).dataSync()].filter((label, row) => label === own[row]).length;
    assert.ok(same >= 1198, `${same} of 1,200 labels`);
    const { code, stderr } = await dpmesh(['plot', '--run', run]);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(readFileSync(join(run, 'report/report.html'), 'utf8'), /decoded/);
  });
});

for (const [what, flags, message] of [
  [
    'alternations',
    ['--alternations', 1],
    /--alternations: an encoder of neighbours does not learn from clusters/,
  ],
  ['one pair a batch', ['--encoder-batch', 1], /--encoder-batch 1: .* use at least 2/],
  ['codes longer than rows', ['--latent', 40], /--latent 40: codes have to be shorter than the 40 columns/],
  ['a rate that diverges', ['--encoder-lr', 1e15], /lower --encoder-lr than 1(e\+|0{15})/],
] as const)
  test(`${what}: a mistake of the user`, async () => {
    const { code, stderr } = await dpmesh(
      trainArgs(data, path(what), '--encoder', 'neighbour', '--no-http', ...flags),
    );
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  });

for (const encoder of ['autoencoder', 'neighbour'])
  test(`rows that are all equal have no features to learn: ${encoder}`, async () => {
    const same = path('same.npy');
    writeNpy(same, '<f4', [100, 40], new Float32Array(4000).fill(1));
    const { code, stderr } = await dpmesh(trainArgs(same, path('same'), '--encoder', encoder, '--no-http'));
    assert.equal(code, 2, stderr);
    assert.match(stderr, /same\.npy: all 100 rows are equal; use data with different rows/);
  });
