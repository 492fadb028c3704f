import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { momentsRound, readingUnits, transformChoice } from '../../../coordinator/fit/reading/moments.ts';
import type { Reading } from '../../../coordinator/fit/reading/reading.ts';
import type { RoundDispatcher } from '../../../coordinator/rounds/dispatcher.ts';
import type { HeldSample, RoundSpec } from '../../../coordinator/rounds/round.ts';
import { blockHash } from '../../../data/blocks.ts';
import { type Block, blockCount, type Layout, layoutOf, shardBlocks } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../../run/config.ts';
import { sampledRows } from '../../../tasks/compute/context.ts';
import type { Task } from '../../../tasks/table.ts';
import { assertClose, blobs, type Point, statisticsOf } from './support.ts';

const config = (over: Partial<RunConfig> = {}) =>
  ({ data: 'rows.npy', covariance: 'full', transform: 'center', ...over }) as RunConfig;

/** The coordinator's file is bad in these rows. */
const inputOf = (dispatcher: RoundDispatcher, badRows: number[] = [], isLarge = false): Reading => ({
  ...dispatcher,
  staleUnits: async () => [],
  hold: () => {},
  diagnose: async (row) => ({ where: `row ${row}`, isLarge, isValid: !badRows.includes(row) }),
  describe: (worker) => `${worker} on far`,
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
      const [task] = spec.tasks as Task[];
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
    assert.deepEqual(asked[0].tasks, [
      { task: 'moments', normalize: false, diagonal: false, sample: 0.25, sends: false },
    ]);
    assert.deepEqual(
      asked[0].units,
      shardBlocks(layout).map((blocks, shard) => ({ shard, from: 0, to: blocks.length })),
    );
  });

  test('asks only for the diagonal unless PCA needs the covariance', async () => {
    const of = async (over: Partial<RunConfig>) => {
      const { dispatcher, asked } = workersWith(rows, layout);
      const { moments } = await momentsRound(inputOf(dispatcher), request(config(over), 1));
      const [task] = asked[0].tasks as Task[];
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

  test('units of a worker with a stale copy are read again, and their new sums count', async () => {
    const { dispatcher, asked } = workersWith(rows, layout, (part, shard, time) => {
      if (shard === 2 && time === 0) part.counts = nd(Float64Array.of(part.counts.data[0], 1, 44));
    });
    const stale = [[2], []];
    const staleUnits = async () => stale.shift()!;
    const input = { ...inputOf(dispatcher), staleUnits };
    const { moments } = await momentsRound(input, request(config(), 1));
    assertClose(moments.mean, mean, 1e-14);
    assert.deepEqual(
      asked.map(({ units }) => units.map(({ shard }) => shard)),
      [[0, 1, 2, 3], [2]],
    );
  });

  test('adds up ranges of blocks, and keeps a sample that workers send', async () => {
    const large = layoutOf(5_000_000, 2, 2, 9n);
    const shards = shardBlocks(large);
    const units = readingUnits(large, 6);
    assert.equal(units.length, 6);
    const held: HeldSample[] = [];
    const dispatcher = {
      publish() {},
      async round({ units: asked, tasks: [task], streams }: RoundSpec) {
        assert.ok(streams && task.task === 'moments' && task.sends);
        assert.deepEqual(asked, units);
        return asked.map(({ shard, from, to }, i) => {
          const blocks = shards[shard].slice(from, to);
          const n = blocks.reduce((sum, { count }) => sum + count, 0);
          const part: Tensors = {
            T: nd(Float64Array.of(n, n * i, 0, n * i * i, 0, n)),
            min: nd(Float64Array.of(-i, 1)),
            max: nd(Float64Array.of(i, 1)),
            hashes: nd(Uint8Array.from(blocks.flatMap(({ index }) => Array<number>(16).fill(index % 251)))),
            counts: nd(Float64Array.of(1, 0, -1)),
            sampled: nd(Float32Array.of(shard, i), 1, 2),
          };
          return { from: i, to: i + 1, tasks: [part], worker: 'w' };
        });
      },
    } as unknown as RoundDispatcher;
    const reading = { ...inputOf(dispatcher), hold: (sample: HeldSample | null) => void held.push(sample!) };
    const found = await momentsRound(reading, {
      ...{ config: config(), layout: large, origin: new Float64Array(2), sample: 0.01 },
    });
    const sizes = units.map(({ shard, from, to }) =>
      shards[shard].slice(from, to).reduce((sum, { count }) => sum + count, 0),
    );
    const mean = sizes.reduce((sum, n, i) => sum + n * i, 0) / large.rows;
    assertClose(found.moments.mean, [mean, 0], 1e-12);
    assert.deepEqual([...found.moments.min, ...found.moments.max], [-5, 1, 5, 1]);
    assert.deepEqual(found.sampleRows, [3, 3]);
    assert.ok(found.hashes.every((byte, p) => byte === (p >> 4) % 251));
    const rowsOf = (shard: number, all: number[]) => Float32Array.from(all.flatMap((i) => [shard, i]));
    assert.deepEqual(held, [{ below: 0.01, shards: [rowsOf(0, [0, 1, 2]), rowsOf(1, [3, 4, 5])] }]);
  });

  test('units are aligned ranges of every shard, few enough to be held', () => {
    for (const [size, columns, shards, numbers] of [
      [1000, 3, 2, 10],
      [1e7, 32, 8, 561],
      [1e9, 768, 8, 1537],
      [1e6, 768, 8, 296_065],
      [1e5, 2, 1024, 6],
    ]) {
      const layout = layoutOf(size, columns, shards, 1n);
      const units = readingUnits(layout, numbers);
      assert.ok(units.length <= Math.max(shards, 4096 + shards), `${units.length} units`);
      assert.ok(units.length * numbers * 8 <= Math.max(shards * numbers * 8, 2 ** 29));
      let next = 0;
      const length = units[0].to;
      for (const { shard, from, to } of units) {
        if (from === 0) next = 0;
        assert.equal(from, next);
        assert.ok(to - from <= length && from % length === 0);
        next = to;
        if (to === shardBlocks(layout)[shard].length) next = 0;
      }
    }
    const thousand = readingUnits(layoutOf(1e8, 32, 8, 1n), 561);
    assert.ok(thousand.length >= 1000, 'for as many workers');
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
