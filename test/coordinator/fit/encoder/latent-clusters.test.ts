import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clustersOf, someVectors } from '../../../../coordinator/fit/encoder/encoder.ts';
import type { Source } from '../../../../data/source.ts';
import { planTransform } from '../../../../data/transform-plan.ts';
import type { Mixture } from '../../../../model/mixture.ts';
import type { Net } from '../../../../model/nets/net.ts';
import type { State } from '../../../../model/state.ts';
import { close } from '../../../model/support.ts';

const K = 10;
const ROWS = 100_000;
/** Row i is 3 in column i mod 10, else 0; nearly none is of the last class. */
const classOf = (row: number) => (row % K === K - 1 && row > 200 ? 0 : row % K);
const source: Source = {
  rows: ROWS,
  dim: K,
  dtype: 'float32',
  read: async (start, count) =>
    Float32Array.from({ length: count * K }, (_, p) =>
      classOf(start + Math.floor(p / K)) === p % K ? 3 : 0,
    ),
  stored: () => assert.fail('not asked for'),
  close() {},
};
const { transform } = planTransform('none', {
  rows: ROWS,
  mean: new Float64Array(K).fill(0.3),
  covariance: new Float64Array(K).fill(0.8),
  min: new Float64Array(K),
  max: new Float64Array(K).fill(3),
});
/** The class is the largest number. */
const net: Net = {
  shapes: [
    [K, K],
    [1, K],
  ],
  params: [Float32Array.from({ length: K * K }, (_, p) => Number(p % (K + 1) === 0)), new Float32Array(K)],
  first: [],
  second: [],
  steps: 0,
};

/** Each class has numbers about 3 in its column, 0 in others. */
const mixture: Mixture = {
  ...{ k: K, d: K, covariance: 'diag', weights: new Float64Array(K).fill(1 / K) },
  means: Array.from({ length: K }, (_, c) =>
    Float64Array.from({ length: K }, (_, j) => (j === c ? 2.7 : -0.3)),
  ),
  covariances: Array.from({ length: K }, () => new Float64Array(K).fill(0.1)),
};

test('by the net of a graph, or by a mixture', async () => {
  const vectors = await someVectors(source, 5n);
  const other = { ...net, params: net.params.map((values) => values.map((value) => -value)) };
  const by = (state: object) => clustersOf(vectors, transform, 'fast', { net, mixture, ...state } as State);
  assert.deepEqual(by({ net: other }).labels, by({ graph: {} }).labels);
  assert.deepEqual(Object.keys(by({}).classifier), ['weights', 'bias', 'constant']);
  assert.deepEqual(Object.keys(by({ graph: {} }).classifier), ['widths', 'nets', 'params']);
});

test('clusters of codes are found in a file with a period, with their centres', async () => {
  const vectors = await someVectors(source, 5n);
  const found = clustersOf(vectors, transform, 'fast', { net, mixture, graph: {} } as unknown as State);
  assert.equal(found.labels.length, 10_000);
  const seen = new Set(found.labels);
  for (let c = 0; c < K - 1; c++) {
    assert.ok(seen.has(c), `class ${c}`);
    const centre = found.centres.subarray(c * K, (c + 1) * K);
    close(
      [...centre],
      Array.from({ length: K }, (_, j) => (j === c ? 3 : 0)),
      1e-6,
    );
  }
  // 3² · share · (1 − share), on average over the columns.
  assert.ok(Math.abs(found.variance - 0.8) < 0.05, String(found.variance));
  assert.deepEqual(await someVectors(source, 5n), vectors);
});
