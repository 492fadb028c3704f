import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import type { RunConfig } from '../../../coordinator/config.ts';
import type { RoundDispatcher } from '../../../coordinator/scheduler/dispatcher.ts';
import type { RoundSpec } from '../../../coordinator/scheduler/round.ts';
import {
  momentsRound,
  type Reading,
  transformChoice,
} from '../../../coordinator/training/reading/moments.ts';
import { blockHash } from '../../../data/blocks.ts';
import { type Block, blockCount, type Layout, layoutOf, shardBlocks } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { sampledRows } from '../../../worker/context.ts';
import { assertClose, blobs, type Point, statisticsOf } from '../support.ts';

const config = (over: Partial<RunConfig> = {}) =>
  ({ data: 'rows.npy', covariance: 'full', transform: 'center', ...over }) as RunConfig;

/** The coordinator's file is bad in these rows. */
const inputOf = (dispatcher: RoundDispatcher, badRows: number[] = [], isLarge = false): Reading => ({
  ...dispatcher,
  staleShards: async () => [],
  diagnose: async (row) => ({ where: `row ${row}`, isLarge, isValid: !badRows.includes(row) }),
  describe: async (worker) => `${worker} on far`,
});

/** A dispatcher whose workers have these rows; each shard's result can be tampered with. */
function workersWith(
  rows: Point[],
  layout: Layout,
  /** `time`: 0 when a shard is read first, 1 when it is read again. */
  tamper: (part: Tensors, shard: number, time: number) => void = () => {},
) {
  const asked: RoundSpec[] = [];
  const published: Record<string, Tensors> = {};
  const times: number[] = [];
  const dispatcher = {
    publish: (name: string, tensors: Tensors) => void (published[name] = tensors),
    async round(spec: RoundSpec) {
      asked.push(spec);
      const [task] = spec.tasks;
      assert.ok(task.task === 'moments');
      const [origin] = [published.origin.row.data];
      return spec.units.map(({ shard, from, to }) => {
        const blocks = shardBlocks(layout)[shard].slice(from, to);
        const own = blocks.map(({ start, count }) => rows.slice(start, start + count));
        const all = own.flat();
        const column = (d: number) => all.map((row) => row[d]);
        const part: Tensors = {
          T: nd(
            statisticsOf(
              all.map((row) => row.map((v, d) => v - origin[d])),
              task.diagonal ? 'diag' : 'full',
            ),
          ),
          min: nd(Float64Array.from(all[0], (_, d) => Math.min(...column(d)))),
          max: nd(Float64Array.from(all[0], (_, d) => Math.max(...column(d)))),
          hashes: nd(
            Uint8Array.from(own.flatMap((block) => [...blockHash(Float32Array.from(block.flat()))])),
          ),
          counts: nd(Float64Array.of(sampledIn(blocks, layout, task.sample), 0, -1)),
        };
        times[shard] = (times[shard] ?? -1) + 1;
        tamper(part, shard, times[shard]);
        // The second time, the next worker.
        return { from: shard, to: shard + 1, tasks: [part], worker: `w${shard + times[shard]}` };
      });
    },
  } as unknown as RoundDispatcher;
  return { dispatcher, asked };
}

const sampledIn = (blocks: Block[], { seed }: Layout, below: number) =>
  blocks.reduce((sum, block) => sum + sampledRows(block, priority(BigInt(seed)), below).length, 0);

describe('momentsRound', () => {
  const { rows } = blobs(
    1,
    [
      [1e4, 5],
      [1e4 + 3, -5],
    ],
    150,
  );
  const layout = layoutOf(rows.length, 2, 4, 9n);
  const origin = Float64Array.from(rows[0]);
  const request = (config: RunConfig, sample: number) => ({ config, layout, origin, sample });
  const mean = [0, 1].map((d) => rows.reduce((sum, row) => sum + row[d], 0) / rows.length);
  const covariance = [0, 1].flatMap((i) =>
    [0, 1].map(
      (j) => rows.reduce((sum, row) => sum + (row[i] - mean[i]) * (row[j] - mean[j]), 0) / (rows.length - 1),
    ),
  );

  test('returns the mean, covariance and extremes of all rows', async () => {
    const { dispatcher, asked } = workersWith(rows, layout);
    const { moments, sampleRows } = await momentsRound(inputOf(dispatcher), request(config(), 0.25));
    assert.equal(moments.rows, 300);
    assertClose(moments.mean, mean, 1e-14);
    assertClose(moments.covariance, covariance, 1e-11);
    assert.deepEqual(
      [...moments.min],
      [0, 1].map((d) => Math.min(...rows.map((row) => row[d]))),
    );
    assert.deepEqual(
      [...moments.max],
      [0, 1].map((d) => Math.max(...rows.map((row) => row[d]))),
    );
    assert.deepEqual(
      sampleRows,
      shardBlocks(layout).map((blocks) => sampledIn(blocks, layout, 0.25)),
    );
    assert.deepEqual(asked[0].tasks, [{ task: 'moments', normalize: false, diagonal: false, sample: 0.25 }]);
    assert.deepEqual(
      asked[0].units,
      shardBlocks(layout).map((blocks, shard) => ({ shard, from: 0, to: blocks.length })),
    );
  });

  test('asks only for the diagonal unless PCA needs the covariance', async () => {
    const of = async (over: Partial<RunConfig>) => {
      const { dispatcher, asked } = workersWith(rows, layout);
      const { moments } = await momentsRound(inputOf(dispatcher), request(config(over), 1));
      const [task] = asked[0].tasks;
      assert.ok(task.task === 'moments');
      return { ...task, covariance: moments.covariance };
    };
    const diagonal = await of({ covariance: 'diag', transform: 'normalize' });
    assert.deepEqual([diagonal.diagonal, diagonal.normalize], [true, true]);
    assertClose(diagonal.covariance, [covariance[0], covariance[3]], 1e-11);
    assert.equal((await of({ covariance: 'diag', transform: 'pca:1' })).diagonal, false);
    assert.equal((await of({ covariance: 'full' })).diagonal, false);
  });

  test('returns block hashes in the order of the file', async () => {
    const { dispatcher } = workersWith(rows, layout);
    const { hashes } = await momentsRound(inputOf(dispatcher), request(config(), 1));
    assert.equal(hashes.length, 16 * blockCount(layout));
    for (let index = 0; index < blockCount(layout); index++) {
      const block = rows.slice(index * layout.blockRows, (index + 1) * layout.blockRows);
      const expected = blockHash(Float32Array.from(block.flat()));
      assert.deepEqual(Buffer.from(hashes.subarray(16 * index, 16 * index + 16)), Buffer.from(expected));
    }
  });

  test('rejects bad rows, and reports how many and the first of them', async () => {
    const bad: Record<number, [number, number]> = { 1: [3, 170], 3: [2, 44] };
    const { dispatcher } = workersWith(rows, layout, (part, shard) => {
      if (bad[shard]) part.counts = nd(Float64Array.of(part.counts.data[0], ...bad[shard]));
    });
    await assert.rejects(momentsRound(inputOf(dispatcher, [44, 170]), request(config(), 1)), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(
        error.message,
        /^rows\.npy: 5 of 300 rows have NaN or infinite values, the first is row 44; remove or fill them$/,
      );
      return true;
    });
  });

  test('reports values that are too large as such', async () => {
    const { dispatcher } = workersWith(rows, layout, (part, shard) => {
      if (shard === 2) part.counts = nd(Float64Array.of(part.counts.data[0], 1, 7));
    });
    await assert.rejects(
      momentsRound(inputOf(dispatcher, [7], true), request(config(), 1)),
      /1 of 300 rows have values larger than the supported maximum \(1e18\), the first is row 7; scale/,
    );
  });

  test('bad rows that only a worker has end the run with its name', async () => {
    const { dispatcher } = workersWith(rows, layout, (part, shard) => {
      if (shard === 2) part.counts = nd(Float64Array.of(part.counts.data[0], 1, 44));
    });
    await assert.rejects(
      momentsRound(inputOf(dispatcher), request(config(), 1)),
      /^UserError: worker w2 on far found a bad value in row 44, which is valid in rows.npy here: replace its copy/,
    );
  });

  test('shards of a worker with a stale copy are read again, and their new sums count', async () => {
    const { dispatcher, asked } = workersWith(rows, layout, (part, shard, time) => {
      if (shard === 2 && time === 0) part.counts = nd(Float64Array.of(part.counts.data[0], 1, 44));
    });
    const stale = [[2], []];
    const staleShards = async () => stale.shift()!;
    const input = { ...inputOf(dispatcher), staleShards };
    const { moments } = await momentsRound(input, request(config(), 1));
    assertClose(moments.mean, mean, 1e-14);
    assert.deepEqual(
      asked.map(({ units }) => units.map(({ shard }) => shard)),
      [[0, 1, 2, 3], [2]],
    );
  });

  test('rejects a malformed result', async () => {
    for (const tamper of [
      (part: Tensors) => void delete part.counts,
      (part: Tensors) => void (part.min = nd(Float64Array.of(1))),
      (part: Tensors) => void (part.hashes = nd(new Uint8Array(3))),
      (part: Tensors) => void (part.T = nd(new Float32Array(6))),
    ]) {
      const { dispatcher } = workersWith(rows, layout, tamper);
      await assert.rejects(momentsRound(inputOf(dispatcher), request(config(), 1)), /missing|elements/);
    }
  });
});

test('the paper scales rows to unit length, but not points of up to four numbers', () => {
  const of = (dim: number, config: object = {}) =>
    transformChoice(
      { transform: 'auto', schedule: 'paper', likelihood: 'gaussian', encoder: 'none', ...config },
      dim,
    );
  assert.deepEqual([of(2), of(4), of(5), of(400)], ['center', 'center', 'normalize', 'normalize']);
  assert.deepEqual([of(2, { transform: 'normalize' }), of(9, { transform: 'none' })], ['normalize', 'none']);
  assert.deepEqual([of(2, { schedule: 'fast' }), of(400, { likelihood: 'graph' })], ['auto', 'auto']);
});
