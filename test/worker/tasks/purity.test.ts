import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Task } from '../../../proto/tasks.ts';
import { nd } from '../../../proto/tensors.ts';
import type { ReadBlocks } from '../../../worker/blocks.ts';
import type { Backend } from '../../../worker/compute/backends/backend.ts';
import { createContext } from '../../../worker/context.ts';
import { sampleGraphOf } from '../graph-states.ts';
import { backends } from '../present.ts';
import {
  allBlocks,
  bytes,
  D,
  encoderStates,
  memoryBlocks,
  randomMatrix,
  range,
  type TestWorker,
  transformFor,
  transformState,
  weightsOf,
  world,
} from '../support.ts';
import { centreState, clusterTask, eStepState, run, SHARDS, subTask, w } from './support.ts';

const [wasm] = backends;

describe('purity', () => {
  const partition = { groups: 'sub-net', cells: range(6), leaves: 6, vectors: 'vectors' } as const;
  const field = { coupling: 2, resolution: 1 };
  const TASKS: Task[] = [
    { task: 'moments', normalize: false, diagonal: false, sample: w.below },
    { task: 'seed-distances', centres: 1, draw: 1 },
    clusterTask(),
    { task: 'statistics', diagonal: false, block: 32 },
    { task: 'statistics', diagonal: true, block: 32 },
    { task: 'statistics', diagonal: false, block: 4096 },
    { task: 'pivoted-statistics', diagonal: false, least: 0 },
    { task: 'pivoted-statistics', diagonal: true, least: 0 },
    subTask(),
    { task: 'cell-sums', ...partition },
    { task: 'cell-scatter', ...partition, diagonal: false, pivots: 'pivots' },
    { task: 'cell-histogram', ...partition, axes: 'axes', bins: 64 },
    { task: 'cell-fourth-moments', ...partition, whitening: 'whitening' },
    { task: 'sample-covariance', unit: true, every: 2, sketch: 0 },
    { task: 'sample-covariance', unit: true, every: 1, sketch: 8 },
    { task: 'sample-rows' },
    { task: 'neighbours', k: 5 },
    { task: 'partitions', resolutions: [0.5, 2], replicates: 2, share: 0.6 },
    {
      task: 'null-partitions',
      variances: [3, 2, 1],
      rows: 60,
      neighbours: 5,
      resolutions: [1, 4],
      replicates: 2,
      share: 0.6,
    },
    { task: 'start-partition', resolution: 1 },
    { task: 'memberships' },
    clusterTask({ field }),
    {
      ...{ task: 'encoder-steps', epoch: 2, batch: 16, rate: 0.01, pull: 0, noise: 0.1 },
      ...{ done: 3.5, length: 0.5, total: 20, steps: 30 },
    },
    { task: 'encode' },
    { task: 'full-pass', diagonal: false, soft: true, silhouette: 0.3 },
  ];
  const graph = sampleGraphOf(w, 3).states;
  const joined = (backend: Backend, worker = w.newWorker(backend)) => {
    worker.put('origin', { row: nd(new Float64Array(D)) });
    worker.put('centres', { rows: nd(Float64Array.of(1, 2, 0)) });
    worker.put('e-step', eStepState('product', 'full'));
    worker.put('parts', centreState());
    worker.put('vectors', { rows: nd(new Float64Array(D)) });
    worker.put('pivots', { rows: nd(new Float64Array(6 * D)) });
    worker.put('means', { rows: nd(Float64Array.from(randomMatrix(9, 3, D).flat()), 3, D) });
    const axes = randomMatrix(8, 12, D).flat();
    const [centre, sd] = [new Float64Array(12), new Float64Array(12).fill(9)];
    worker.put('axes', { rows: nd(Float64Array.from(axes)), centre: nd(centre), sd: nd(sd) });
    worker.put('whitening', {
      centre: nd(Float64Array.from(randomMatrix(10, 6, D).flat()), 6, D),
      inverse: nd(Float64Array.from(randomMatrix(11, 6, D * D).flat()), 6, D, D),
    });
    for (const [name, tensors] of Object.entries({ ...graph, ...encoderStates() })) worker.put(name, tensors);
    return worker;
  };
  type Results = Record<string, ReturnType<typeof bytes>>;
  async function results(shards: number[], tasks: Task[], workerFor: () => TestWorker): Promise<Results> {
    const results: [string, ReturnType<typeof bytes>][] = [];
    for (const shard of shards)
      for (const task of tasks)
        results.push([`${JSON.stringify(task)} ${shard}`, bytes(await run(workerFor(), task, shard))]);
    return Object.fromEntries(results);
  }

  for (const backend of backends)
    test(`a result does not depend on what the worker did before, on ${backend.identity}`, async () => {
      const fresh = await results(SHARDS, TASKS, () => joined(backend));
      for (const [shards, tasks] of [
        [SHARDS, TASKS],
        [[2, 0, 1], TASKS],
        [[1, 2, 0], TASKS.toReversed()],
      ]) {
        const worker = joined(backend);
        const here = await results(shards as number[], tasks as Task[], () => worker);
        for (const [what, expected] of Object.entries(fresh)) assert.deepEqual(here[what], expected, what);
      }
    });

  test('nor on earlier states', async () => {
    const fresh = await results(SHARDS, TASKS, () => joined(wasm));
    const worker = w.newWorker(wasm);
    const other = world({ hidden: [5, 4], k: 2 });
    worker.put('transform', transformState(transformFor('min-max', w.raw, D), 0.9));
    worker.put('net', weightsOf(other.net));
    worker.put('subs', weightsOf(other.subs));
    for (const shard of SHARDS) {
      await run(worker, { task: 'statistics', diagonal: false, block: 32 }, shard);
      await run(worker, { task: 'statistics', diagonal: false, block: 4096 }, shard);
      await worker.context.labels(shard);
    }
    worker.put('transform', transformState(w.transform, w.below));
    worker.put('net', weightsOf(w.net));
    worker.put('subs', weightsOf(w.subs));
    const here = await results(SHARDS, TASKS, () => joined(wasm, worker));
    for (const [what, expected] of Object.entries(fresh)) assert.deepEqual(here[what], expected, what);
  });

  test('nor on how rows arrive', async () => {
    const fresh = await results(SHARDS, TASKS, () => joined(wasm));
    const later: ReadBlocks = async function* (blocks) {
      for await (const item of memoryBlocks(w.raw, D)(blocks)) {
        await new Promise(setImmediate);
        yield item;
      }
    };
    const worker = joined(wasm);
    const slow = { ...worker, context: createContext(wasm, worker.context.states, later, w.layout) };
    assert.deepEqual(await results(SHARDS, TASKS, () => slow), fresh);
  });

  test('each block of a layout belongs to exactly one shard', () => {
    const dealt = SHARDS.flatMap((shard) => w.rowsOf(shard)).sort((a, b) => a - b);
    assert.deepEqual(dealt, range(300));
    assert.equal(allBlocks(w.layout).at(-1)!.count, 300 % w.layout.blockRows);
  });
});
