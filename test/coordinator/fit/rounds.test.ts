import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createDispatcher, type Dispatcher } from '../../../coordinator/rounds/dispatcher.ts';
import { type Layout, layoutOf, shardBlocks } from '../../../model/layout.ts';
import { clusteringNet, type Net, subNets } from '../../../model/nets/net.ts';
import type { Covariance } from '../../../model/statistics.ts';
import { prefixed, unprefixed } from '../../../proto/codec.ts';
import { netStates } from '../../../proto/model-tensors.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { createRounds, type Partition } from '../../../tasks/cells/ask.ts';
import { createStates } from '../../../tasks/compute/context.ts';
import { runTask } from '../../../tasks/compute/table.ts';
import { TASKS, type Task } from '../../../tasks/table.ts';
import type { ReadBlocks } from '../../../worker/blocks.ts';
import { cpuBackend } from '../../../worker/compute/backends/host.ts';
import { contextOf, hashesState } from '../../worker/support.ts';
import { assertClose, blobs, memoryRounds, type Point, randomNumbers } from './support.ts';

const D = 2;
const SHARDS = 5;
const corners: Point[] = [
  [-8, -8],
  [8, -8],
  [-8, 8],
  [8, 8],
];
const made = blobs(1, corners, 40);
const rows = made.rows.map((row) => row.map(Math.fround));
const layout = layoutOf(rows.length, D, SHARDS, 3n);

/** A net whose label is the blob's number: the logits are the rows' products with the corners. */
const net: Net = {
  ...clusteringNet(1n, D, [], 4),
  params: [Float32Array.from([0, 1].flatMap((d) => corners.map((corner) => corner[d]))), new Float32Array(4)],
};
/** Sub-nets that split their cluster by the sign of x₁ − centre: side 1 is to the right. */
const subs: Net = (() => {
  const fresh = subNets(1n, D, 4);
  const [w1, b1, w2, b2] = fresh.params.map((values) => new Float32Array(values.length));
  corners.forEach((corner, k) => {
    w1.set([1], k * D * 50);
    b1.set([-corner[0] + 100], k * 50);
    w2.set([0, 1], k * 100);
    b2.set([100, 0], k * 2);
  });
  return { ...fresh, params: [w1, b1, w2, b2] };
})();
const z = made.blob;
const side = rows.map((row, i) => Number(row[0] > corners[z[i]][0]));

const read: ReadBlocks = async function* (blocks) {
  for (const block of blocks)
    yield [block, Float32Array.from(rows.slice(block.start, block.start + block.count).flat())];
};

/** A dispatcher with this many in-process workers, each with its own states and context. */
function dispatcherOf(workers: number, { seed = 1 }: { seed?: number } = {}): Dispatcher {
  const { below } = randomNumbers(seed);
  const contexts = new Map(
    Array.from({ length: workers }, (_, i) => {
      const backend = cpuBackend();
      const states = createStates(backend);
      return [`w${i}`, { states, context: contextOf(backend, states, read, layout as Layout) }];
    }),
  );
  const dispatcher = createDispatcher({
    tasks: TASKS,
    layout,
    now: () => 0,
    async send(worker, message, tensors) {
      const { states, context } = contexts.get(worker)!;
      for (const { name, version } of message.states) states.put(name, version, unprefixed(tensors, name));
      const results: [(typeof message.units)[number], Tensors][] = [];
      for (const unit of message.units) {
        const own: [number, Tensors][] = [];
        for (const [i, task] of message.tasks.entries())
          own.push([i, await runTask(context, task as Task, unit)]);
        results.push([unit, prefixed(own)]);
      }
      while (results.length) {
        const [[unit, tensors]] = results.splice(below(results.length), 1);
        dispatcher.result(worker, { round: message.round, units: [unit] }, tensors);
      }
    },
  });
  for (const worker of contexts.keys()) dispatcher.join(worker);
  dispatcher.publish('hashes', hashesState(Float32Array.from(rows.flat()), layout));
  dispatcher.publish('transform', {
    shape: nd(Int32Array.of(0, D)),
    columns: nd(Int32Array.of(0, 1)),
    weights: nd(Float32Array.of(1, 1)),
    bias: nd(Float32Array.of(0, 0)),
    scale: nd(Float64Array.of(1, 1)),
    offset: nd(Float64Array.of(0, 0)),
    below: nd(Float64Array.of(1)),
  });
  dispatcher.publish('net', netStates(net).weights);
  dispatcher.publish('subs', netStates(subs).weights);
  return dispatcher;
}

const roundsOf = (workers: number, covariance: Covariance = 'full') =>
  createRounds(
    dispatcherOf(workers),
    shardBlocks(layout).map((blocks) => blocks.reduce((sum, { count }) => sum + count, 0)),
    D,
    covariance,
  );

const vectors = [
  Float64Array.of(-8, -9),
  Float64Array.of(-8, -7),
  Float64Array.of(0, 1),
  Float64Array.of(1, 0),
];
const partitions: Partition[] = [
  { groups: 'all', cells: [{ axis: 3, at: 0, into: [1, 0] }], leaves: 2 },
  {
    groups: 'net',
    cells: [{ near: [0, 1], into: [2, 1] }, -1, 0, { axis: 2, at: 8, into: [3, -1] }],
    leaves: 4,
  },
  {
    groups: 'sub-net',
    cells: [0, { linear: [2, 3, 0], offsets: [1, 0, -70], into: [1, 2, 0] }, -1, 2, 3, 3, 4, 5],
    leaves: 6,
  },
];

describe('createRounds', () => {
  const memory = memoryRounds({ rows, z, side });

  test('gives the sums of the leaves of several partitions', async () => {
    const sums = await roundsOf(2).cellSums(partitions, vectors);
    const expected = await memory.cellSums(partitions, vectors);
    for (const [i, leaves] of expected.entries()) {
      assert.deepEqual(
        sums[i].map(({ n }) => n),
        leaves.map(({ n }) => n),
      );
      assert.ok(leaves.filter(({ n }) => n > 0).length > 1, 'several leaves have rows');
      assertClose(
        sums[i].flatMap(({ s }) => [...s]),
        leaves.flatMap(({ s }) => [...s]),
        1e-12,
      );
    }
  });

  for (const covariance of ['full', 'diag'] as Covariance[]) {
    test(`gives the same statistics about any pivots (${covariance})`, async () => {
      const exact = memoryRounds({ rows, z, side, covariance });
      const pivots = partitions.map(({ leaves }) =>
        Array.from({ length: leaves }, (_, i) => Float64Array.of(i, -2 * i)),
      );
      const statistics = await roundsOf(2, covariance).cellStatistics(partitions, vectors, pivots);
      const expected = await exact.cellStatistics(partitions, vectors, pivots);
      for (const [i, leaves] of expected.entries())
        assertClose(
          statistics[i].flatMap((T) => [...T]),
          leaves.flatMap((T) => [...T]),
          1e-12,
        );
    });
  }

  const axesOf = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      axis: Float64Array.of(Math.cos(i), Math.sin(i)),
      centre: 0.1 * i,
      sd: 1 + i,
    }));
  for (const [count, bins] of [
    [4, 1024],
    [12, 100],
  ])
    test(`gives histograms of four leaves along ${count} axes`, async () => {
      const histograms = await roundsOf(2).cellHistograms(partitions[1], vectors, axesOf(count), bins);
      assert.deepEqual(histograms, await memory.cellHistograms(partitions[1], vectors, axesOf(count), bins));
      assert.deepEqual(
        histograms.map(({ length }) => length),
        Array(count).fill(bins),
      );
    });

  const whiteningOf = (leaves: number) =>
    Array.from({ length: leaves }, (_, i) => ({
      centre: Float64Array.of(i, -i),
      inverse: Float64Array.of(0.3, 0, 0.1 * i, 0.2),
    }));

  test('gives the fourth moments of each leaf', async () => {
    for (const partition of partitions) {
      const whitening = whiteningOf(partition.leaves);
      const F = await roundsOf(2).cellFourthMoments(partition, vectors, whitening);
      const expected = await memory.cellFourthMoments(partition, vectors, whitening);
      assert.equal(F.length, partition.leaves);
      assertClose(
        F.flatMap((f) => [...f]),
        expected.flatMap((f) => [...f]),
        1e-12,
      );
    }
  });

  test('gives the same bits with any number of workers', async () => {
    const all = async (workers: number) => {
      const rounds = roundsOf(workers);
      const pivots = partitions.map(({ leaves }) =>
        Array.from({ length: leaves }, () => Float64Array.of(0.1, 0.7)),
      );
      return [
        await rounds.cellSums(partitions, vectors),
        await rounds.cellStatistics(partitions, vectors, pivots),
        await rounds.cellHistograms(partitions[1], vectors, axesOf(8), 64),
        await rounds.cellFourthMoments(partitions[2], vectors, whiteningOf(6)),
      ];
    };
    const one = await all(1);
    assert.deepEqual(await all(3), one);
    assert.deepEqual(await all(SHARDS + 2), one);
  });

  test('without vectors and pivots: an empty partition has one empty leaf', async () => {
    const empty: Partition = { groups: 'net', cells: [-1, -1, -1, -1], leaves: 1 };
    const rounds = roundsOf(1);
    assert.equal((await rounds.cellSums([empty], []))[0][0].n, 0);
    assert.equal((await rounds.cellStatistics([empty], [], [[]]))[0][0][0], 0);
  });
});
