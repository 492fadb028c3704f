import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sampleThreshold } from '../../../coordinator/fit/preparation/limits.ts';
import type { TrainingRun } from '../../../coordinator/fit/run-context.ts';
import { copiesInData, sampleOf, tempering, withLargeSample } from '../../../coordinator/fit/sample.ts';
import { layoutOf, shardBlocks } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import type { Sample, State } from '../../../model/state.ts';
import { type Tensors, take } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../../run/config.ts';
import { transformFor } from '../../worker/support.ts';

const SEED = 5n;
const ROWS = 20_000;
const SHARDS = 3;
const priorityOf = priority(SEED);

/** The sample below a threshold, counted row by row. */
function counted(below: number, rows = ROWS): Sample {
  const layout = layoutOf(rows, 2, SHARDS, SEED);
  const counts = shardBlocks(layout).map((blocks) =>
    blocks.reduce((sum, { start, count }) => {
      let own = 0;
      for (let row = start; row < start + count; row++) if (priorityOf(row) < below) own++;
      return sum + own;
    }, 0),
  );
  return sampleOf(below, counts);
}

function sceneOf(k: number, below: number, config: Partial<RunConfig> = {}, d = 2) {
  const published: [string, Tensors][] = [];
  const run = {
    config: { sample: null, coarsening: null, transform: 'center', ...config },
    d,
    layout: layoutOf(ROWS, 2, SHARDS, SEED),
    transform: transformFor('center', Float64Array.of(0, 1, 2, 4, 5, 3) as never, 2),
    dispatcher: { publish: (name: string, tensors: Tensors) => void published.push([name, tensors]) },
  } as unknown as TrainingRun;
  const merged = [Float64Array.of(1, 2)];
  const state = { sample: counted(below), mixture: { k }, merged, epoch: 6 } as unknown as State;
  return { run, state, published };
}

describe('the sample', () => {
  test('begins with 20,000 rows, 1,000 a column, or as many as are given', () => {
    const of = (config: object, dim: number) =>
      sampleThreshold(
        { sample: null, transform: 'center', ...config } as RunConfig,
        layoutOf(1e6, dim, 2, 1n),
      );
    assert.equal(of({}, 3), 0.02);
    assert.equal(of({}, 50), 0.05);
    assert.equal(of({ transform: 'pca:30' }, 50), 0.03);
    assert.deepEqual([of({ sample: 700 }, 3), of({ sample: 0 }, 3), of({ sample: 2e6 }, 3)], [0.0007, 1, 1]);
  });

  test('the smallest shard is the smallest of those that have rows', () => {
    assert.deepEqual(sampleOf(0.5, [7, 0, 4, 9]), { below: 0.5, rows: 20, smallestShard: 4 });
  });

  test('is doubled until it has a hundred rows a cluster, all of them those before and more', async () => {
    for (const [k, expected] of [
      [11, 0.1],
      [25, 0.2],
      [50, 0.4],
      [90, 0.8],
    ]) {
      const { run, state, published } = sceneOf(k, 0.05);
      const { rows } = state.sample;
      assert.ok(rows > 900 && rows < 1100, `${rows} rows`);
      const after = await withLargeSample(run, state);
      assert.deepEqual(after.sample, counted(expected), `K ${k}`);
      assert.ok(after.sample.rows >= 100 * k);
      assert.deepEqual(after, { ...state, sample: after.sample, merged: [] });
      assert.deepEqual(
        published.map(([name, tensors]) => [name, take(tensors, 'below', 'float64')[0]]),
        [['transform', expected]],
        'once',
      );
    }
  });

  test('has five rows a column and cluster of wide data', async () => {
    const { run, state } = sceneOf(10, 0.1, {}, 100);
    assert.equal((await withLargeSample(run, state)).sample.below, 0.4);
  });

  test('grows no further than to all rows', async () => {
    const { run, state } = sceneOf(5000, 0.3);
    const after = await withLargeSample(run, state);
    assert.deepEqual(after.sample, counted(1));
    assert.equal(after.sample.rows, ROWS);
    assert.equal(await withLargeSample(run, after), after);
  });

  test('stays as it is if it is large enough, or its size was given', async () => {
    for (const [k, config] of [
      [9, {}],
      [5000, { sample: 1000 }],
      [5000, { sample: 0 }],
    ] as const) {
      const { run, state, published } = sceneOf(k, 0.05, config);
      assert.equal(await withLargeSample(run, state), state);
      assert.deepEqual(published, []);
    }
  });
});

test('near copies have the number of the first of their group in the data', () => {
  const layout = layoutOf(ROWS, 2, SHARDS, SEED);
  const rows = shardBlocks(layout).map((blocks) =>
    blocks.flatMap(({ start, count }) =>
      Array.from({ length: count }, (_, i) => start + i).filter((row) => priorityOf(row) < 0.4),
    ),
  );
  const outliers = [[rows[0][0]], [], [rows[2][5]]];
  const sampled = rows.flatMap((own, shard) => own.filter((row) => !outliers[shard].includes(row)));
  const of = Int32Array.from(sampled, (_, i) => i);
  const groups = [
    [3, 4, sampled.length - 1],
    [10, sampled.length - 2],
  ];
  for (const group of groups) for (const i of group) of[i] = group[0];
  const found = copiesInData(layout, 0.4, { of, starts: new Int32Array(SHARDS + 1) }, outliers);
  const expected = new Int32Array(ROWS).fill(-1);
  for (const group of groups) {
    const own = group.map((i) => sampled[i]);
    for (const row of own) expected[row] = Math.min(...own);
  }
  assert.deepEqual(found, expected);
});

test('tempering counts 10,000 rows, 1,000 a column, 100 or 5 a column a cluster, or as many as are given', () => {
  const of = (rows: number, k: number, d: number, coarsening: number | null = null) =>
    tempering(
      { config: { coarsening }, d } as unknown as TrainingRun,
      { sample: { below: 1, rows, smallestShard: 1 }, mixture: { k } } as unknown as State,
    );
  assert.equal(of(40_000, 3, 2), 0.25);
  assert.equal(of(40_000, 3, 20), 0.5);
  assert.equal(of(40_000, 300, 2), 0.75);
  assert.equal(of(40_000, 100, 60), 1, 'n₀ is 60,000');
  assert.equal(of(400_000, 1000, 64), 0.8);
  assert.equal(of(9_000, 3, 2), 1);
  assert.equal(of(40_000, 300, 2, 4000), 0.1, 'as given, however many clusters');
  assert.equal(of(40_000, 300, 2, 0), 1);
});
