import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import type { RunConfig } from '../../../coordinator/config.ts';
import type { Dispatcher } from '../../../coordinator/scheduler/dispatcher.ts';
import type { RoundSpec } from '../../../coordinator/scheduler/round.ts';
import type { OwnData } from '../../../coordinator/training/reading/claims.ts';
import { momentsRound } from '../../../coordinator/training/reading/moments.ts';
import { blockHash } from '../../../data/blocks.ts';
import { normalizeRows } from '../../../data/transform.ts';
import { type Block, blockCount, type Layout, layoutOf, shardBlocks } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { sampledRows } from '../../../worker/samples.ts';
import { assertClose, blobs, calculate, type Point, statisticsOf } from '../support.ts';

const config = (over: Partial<RunConfig> = {}) =>
  ({ data: 'rows.npy', covariance: 'full', transform: 'center', ...over }) as RunConfig;

/** The coordinator's file is bad in these rows. */
function ownData(badRows: number[] = [], isLarge = false) {
  const dismissed: [how: string, worker: string, claim: string][] = [];
  const own: OwnData = {
    diagnose: async (row) => ({ where: `row ${row}`, isLarge, isValid: !badRows.includes(row) }),
    workers: {
      misread: (worker, claim) => void dismissed.push(['misread', worker, claim]),
      sendAway: (worker, claim) => void dismissed.push(['sent away', worker, claim]),
    },
  };
  return { own, dismissed };
}
const { own } = ownData();

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
  } as unknown as Dispatcher;
  return { dispatcher, asked };
}

const sampledIn = (blocks: Block[], { seed }: Layout, below: number) =>
  blocks.reduce((sum, block) => sum + sampledRows(block, priority(BigInt(seed)), below).length, 0);

/** A row as workers normalize it. */
function normalized(row: Point): Point {
  const values = Float32Array.from(row);
  normalizeRows(values, row.length);
  return [...values];
}

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
  const mean = [0, 1].map((d) => rows.reduce((sum, row) => sum + row[d], 0) / rows.length);
  const covariance = [0, 1].flatMap((i) =>
    [0, 1].map(
      (j) => rows.reduce((sum, row) => sum + (row[i] - mean[i]) * (row[j] - mean[j]), 0) / (rows.length - 1),
    ),
  );

  test('returns the mean, covariance and extremes of all rows', async () => {
    const { dispatcher, asked } = workersWith(rows, layout);
    const {
      data: { moments, sampleRows },
    } = await momentsRound({ dispatcher, calculate, own }, config(), layout, origin, 0.25);
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
      const { data } = await momentsRound({ dispatcher, calculate, own }, config(over), layout, origin, 1);
      const [task] = asked[0].tasks;
      assert.ok(task.task === 'moments');
      return { ...task, covariance: data.moments.covariance };
    };
    const diagonal = await of({ covariance: 'diag', transform: 'normalize' });
    assert.deepEqual([diagonal.diagonal, diagonal.normalize], [true, true]);
    assertClose(diagonal.covariance, [covariance[0], covariance[3]], 1e-11);
    assert.equal((await of({ covariance: 'diag', transform: 'pca:1' })).diagonal, false);
    assert.equal((await of({ covariance: 'full' })).diagonal, false);
  });

  test('returns block hashes in the order of the file', async () => {
    const {
      data: { hashes },
    } = await momentsRound(
      { dispatcher: workersWith(rows, layout).dispatcher, calculate, own },
      config(),
      layout,
      origin,
      1,
    );
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
    await assert.rejects(
      momentsRound({ dispatcher, calculate, own: ownData([44, 170]).own }, config(), layout, origin, 1),
      (error) => {
        assert.ok(error instanceof UserError);
        assert.match(
          error.message,
          /^rows\.npy: 5 of 300 rows have NaN or infinite values, the first is row 44; remove or fill them$/,
        );
        return true;
      },
    );
  });

  test('reports values that are too large as such', async () => {
    const { dispatcher } = workersWith(rows, layout, (part, shard) => {
      if (shard === 2) part.counts = nd(Float64Array.of(part.counts.data[0], 1, 7));
    });
    const large = ownData([7], true).own;
    await assert.rejects(
      momentsRound({ dispatcher, calculate, own: large }, config(), layout, origin, 1),
      /1 of 300 rows have values larger than the supported maximum \(1e18\), the first is row 7; scale/,
    );
  });

  test('bad rows that only a worker sees end nothing: it gets the rows of the coordinator, and its shards are read again', async () => {
    const { own, dismissed } = ownData();
    const { dispatcher, asked } = workersWith(rows, layout, (part, shard, time) => {
      if (shard === 2 && time === 0) part.counts = nd(Float64Array.of(part.counts.data[0], 1, 44));
    });
    const { data } = await momentsRound({ dispatcher, calculate, own }, config(), layout, origin, 1);
    assertClose(data.moments.mean, mean, 1e-14);
    assert.deepEqual(dismissed, [
      ['misread', 'w2', 'it found a bad value in row 44, which is valid in rows.npy'],
    ]);
    assert.deepEqual(
      asked.map(({ units }) => units.map(({ shard }) => shard)),
      [[0, 1, 2, 3], [2]],
    );
  });

  test('bad rows that the coordinator sees too are reported without those that only a worker sees', async () => {
    const { own, dismissed } = ownData([170]);
    const { dispatcher } = workersWith(rows, layout, (part, shard) => {
      const kept = part.counts.data[0];
      if (shard === 1) part.counts = nd(Float64Array.of(kept, 9, 44));
      if (shard === 3) part.counts = nd(Float64Array.of(kept, 1, 170));
    });
    await assert.rejects(
      momentsRound({ dispatcher, calculate, own }, config(), layout, origin, 1),
      /^UserError: rows\.npy: 1 of 300 rows have NaN or infinite values, the first is row 170/,
    );
    assert.deepEqual(dismissed, []);
  });

  test('a worker that keeps another number of rows for the sample is sent away', async () => {
    for (const sample of [0.25, 1]) {
      const { own, dismissed } = ownData();
      const { dispatcher, asked } = workersWith(rows, layout, (part, shard, time) => {
        if (shard === 1 && time === 0) part.counts = nd(Float64Array.of(0, 0, -1));
      });
      const found = await momentsRound({ dispatcher, calculate, own }, config(), layout, origin, sample);
      const expected = shardBlocks(layout).map((blocks) => sampledIn(blocks, layout, sample));
      assert.deepEqual(found.data.sampleRows, expected);
      assert.deepEqual(dismissed, [
        ['sent away', 'w1', `it kept 0 rows of shard 1 for the sample, not ${expected[1]}`],
      ]);
      assert.equal(asked.length, 2);
    }
  });

  test('moments that would end the run are compared with the coordinator’s own, and those of a liar read again', async () => {
    const flat = Float32Array.from(rows.flat());
    const read = async (start: number, count: number) => flat.slice(2 * start, 2 * (start + count));
    const lies: ((part: Tensors) => void)[] = [
      (part) => void (part.min = nd(Float64Array.from(part.max.data))),
      (part) => void (part.T.data[2] += 1),
      (part) => void (part.T.data[4] *= 1.001),
    ];
    const exact = rows.map((row) => row.map(Math.fround));
    for (const transform of ['center', 'normalize'] as const)
      for (const lie of lies) {
        const { own, dismissed } = ownData();
        const { dispatcher, asked } = workersWith(
          transform === 'center' ? exact : exact.map(normalized),
          layout,
          (part, shard, time) => {
            if (shard === 1 && time === 0) lie(part);
          },
        );
        const first = await momentsRound(
          { dispatcher, calculate, own: { ...own, read } },
          config({ transform }),
          layout,
          origin,
          1,
        );
        const second = await first.reread();
        assert.deepEqual(dismissed, [['misread', 'w1', 'its sums of shard 1 are false']]);
        assert.deepEqual(
          asked[1].units.map(({ shard }) => shard),
          [1],
        );
        assert.equal(await second!.reread(), null);
      }
  });

  test('rejects a malformed result', async () => {
    for (const tamper of [
      (part: Tensors) => void delete part.counts,
      (part: Tensors) => void (part.min = nd(Float64Array.of(1))),
      (part: Tensors) => void (part.hashes = nd(new Uint8Array(3))),
      (part: Tensors) => void (part.T = nd(new Float32Array(6))),
    ]) {
      const { dispatcher } = workersWith(rows, layout, tamper);
      await assert.rejects(
        momentsRound({ dispatcher, calculate, own }, config(), layout, origin, 1),
        /missing|elements/,
      );
    }
  });
});
