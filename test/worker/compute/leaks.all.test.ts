import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { eStepOf } from '../../../model/estep.ts';
import type { Task } from '../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { runTask } from '../../../worker/tasks/index.ts';
import { sampleGraphOf } from '../graph-states.ts';
import { backends, heapBytes } from '../present.ts';
import {
  adamStateOf,
  blobMixture,
  D,
  range,
  type TestWorker,
  transformState,
  weightsOf,
  world,
} from '../support.ts';

const [wasm] = backends;
const w = world({ n: 600, hidden: [50] });
const graph = sampleGraphOf(w, 3).states;
const measure = (backend: typeof wasm) => ({
  live: backend.live(),
  tensors: tf.memory().numTensors,
  heap: heapBytes(),
});

const mixture = blobMixture('full');
const product = eStepOf(mixture, w.transform.scale, 'product');
const cholesky = eStepOf(mixture, w.transform.scale, 'cholesky');

/** The target in both forms. */
function targetOf(epoch: number): { state: Tensors; form: 'product' | 'cholesky' } {
  if (product.form !== 'product') throw new Error('asked for the product form');
  const theta = nd(product.theta, product.theta.length / 3, 3);
  if (epoch % 2 === 0) return { state: { theta }, form: 'product' };
  const { weights, bias, constant } = cholesky;
  return {
    state: { weights: nd(weights, D, 3 * D), bias: nd(bias), constant: nd(constant) },
    form: 'cholesky',
  };
}

/** The targets of the sub-nets. */
const PARTS: Tensors = {
  centres: nd(new Float32Array(3 * 2 * D), 3, 2, D),
  metric: nd(new Float32Array(D).fill(1)),
};

/** One epoch on all shards with new states, and the rounds of a split or merge step at its end. */
async function epoch({ context, put }: TestWorker, count: number): Promise<void> {
  const { net, subs } = w;
  const target = targetOf(count);
  const average = count % 2 ? 'weights' : 'gradients';
  put('net', weightsOf(net));
  put('net-moments', adamStateOf(net));
  put('e-step', target.state);
  put('subs', weightsOf(subs));
  put('subs-moments', adamStateOf(subs));
  put('parts', PARTS);
  put('vectors', { rows: nd(new Float64Array(D), 1, D) });
  put('pivots', { rows: nd(new Float64Array(6 * D), 6, D) });
  put('axes', {
    rows: nd(new Float64Array(12 * D), 12, D),
    ...{ centre: nd(new Float64Array(12)), sd: nd(new Float64Array(12).fill(1)) },
  });
  put('whitening', {
    centre: nd(new Float64Array(6 * D), 6, D),
    inverse: nd(new Float64Array(6 * D * D).fill(0.1), 6, D, D),
  });
  for (const [name, tensors] of Object.entries(graph)) put(name, tensors);
  const field = { coupling: 2, resolution: 1 };
  const steps = { epoch: count, steps: 10, rate: 0.01, done: 0, average } as const;
  const cells = { groups: 'sub-net', cells: range(6), leaves: 6, vectors: 'vectors' } as const;
  const tasks: Task[] = [
    { task: 'cluster-steps', ...steps, batch: 32, diagonal: false, form: target.form },
    { task: 'statistics', diagonal: false, block: 64 },
    { task: 'sub-steps', ...steps, batch: 16 },
    { task: 'cell-sums', ...cells },
    { task: 'cell-scatter', ...cells, diagonal: false, pivots: 'pivots' },
    { task: 'cell-histogram', ...cells, axes: 'axes', bins: 16 },
    { task: 'cell-fourth-moments', ...cells, whitening: 'whitening' },
    { task: 'sample-covariance', unit: count % 2 === 0, every: 1 + (count % 3), sketch: 0 },
    { task: 'sample-rows' },
    { task: 'neighbours', k: 5 },
    { task: 'memberships' },
    { task: 'cluster-steps', ...steps, batch: 32, diagonal: false, form: 'product', field },
    { task: 'full-pass', diagonal: false, soft: true, silhouette: 0.1 },
  ];
  for (const shard of range(w.layout.shards))
    for (const task of tasks) await runTask(context, task, w.unit(shard));
}

for (const backend of backends)
  test(`50 epochs leave nothing behind, on ${backend.identity}`, async () => {
    const worker = w.newWorker(backend);
    for (let count = 0; count < 6; count++) await epoch(worker, count);
    const before = measure(backend);
    for (let count = 6; count < 56; count++) await epoch(worker, count);
    // As many as after another epoch of the same kind. The heap never shrinks.
    await epoch(worker, 5);
    assert.deepEqual(measure(backend), before);
  });

for (const backend of backends)
  test(`a replaced transform takes its sample along, on ${backend.identity}`, async () => {
    const worker = w.newWorker(backend);
    const before = backend.live();
    for (let count = 0; count < 10; count++) {
      worker.put('transform', transformState(w.transform, 0.5));
      await worker.context.sample(0);
      await worker.context.labels(0);
    }
    // The sample, and the net's four tensors.
    assert.equal(backend.live() - before, 5);
  });

describe('the WASM heap does not grow', () => {
  const repeat = async (times: number, action: () => Promise<unknown> | unknown) => {
    for (let i = 0; i < 3; i++) await action();
    const before = measure(wasm);
    for (let i = 0; i < times; i++) await action();
    assert.deepEqual(measure(wasm), before);
  };
  const square = (size: number) => wasm.upload(new Float32Array(size * size).fill(0.5), [size, size]);

  // The kernel keeps packed weights for each operand that it knows: a megabyte per product here.
  test('over products', () => {
    const [x, weights] = [wasm.upload(new Float32Array(512), [1, 512]), square(512)];
    const bias = wasm.upload(new Float32Array(512), [512]);
    return repeat(150, () => {
      wasm.free(wasm.affine(x, weights, bias, true), wasm.affine(x, weights, bias, false));
      wasm.free(wasm.gram(x, x));
    });
  });

  test('over softmaxes of as many widths as there are clusters', () =>
    repeat(20, () => {
      for (let k = 1; k <= 100; k++) {
        const x = wasm.upload(new Float32Array(64 * k), [64, k]);
        wasm.free(wasm.softmaxRows(x, 1e-5), x);
      }
    }));

  test('over uploads and reads', () =>
    repeat(300, async () => {
      const x = square(512);
      await wasm.read(x);
      wasm.free(x);
    }));
});
