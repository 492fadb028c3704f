import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  areFeatures,
  areMemberships,
  areNeighbours,
  areNullPartitions,
  arePartitions,
  isStartPartition,
} from '../../../../coordinator/training/graph/plausible.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../../../model/graph/mean-field.ts';
import { directedWeights, symmetrized } from '../../../../model/graph/weights.ts';
import type { Task } from '../../../../proto/tasks.ts';
import { nd, type Tensors, type TypedArray } from '../../../../proto/tensors.ts';
import { neighbourKernel } from '../../../../worker/compute/kernels/neighbour-kernel.ts';
import { backends } from '../../../worker/present.ts';
import { D } from '../../../worker/support.ts';
import { K, N, newWorker, of, run } from '../../../worker/tasks/graph/support.ts';

const SHARD = 1;
const rows = { from: of.starts[SHARD], to: of.starts[SHARD + 1] };
const n = rows.to - rows.from;
const NEIGHBOURS = 5;
const worker = newWorker(backends[0]);
const WILD = [Number.NaN, Infinity, -Infinity, 1e300, -1e300];
const NEGATIVE = [...WILD, -1, -1e-3];

/** Numbers of some places of a result's arrays, which no honest result has. */
type Lie = Record<string, [at: number, value: number][]>;

function changed(result: Tensors, lie: Lie): Tensors {
  const copy = { ...result };
  for (const [name, values] of Object.entries(lie)) {
    const { data, shape } = result[name];
    const other = data.slice() as TypedArray;
    for (const [at, value] of values) other[at] = value;
    copy[name] = nd(other, ...shape);
  }
  return copy;
}

/** An honest result is taken; each lie, and each of the values at a place, is refused. */
async function refuses(
  task: Task,
  isSound: (result: Tensors) => boolean,
  {
    places = [],
    lies = () => [],
  }: {
    places?: [name: string, at: number, values: number[]][];
    lies?: (honest: Tensors) => Lie[];
  },
): Promise<void> {
  const honest = await run(worker, task, SHARD);
  assert.ok(isSound(honest), 'an honest result');
  const all = [
    ...places.flatMap(([name, at, values]) => values.map((value): Lie => ({ [name]: [[at, value]] }))),
    ...lies(honest),
  ];
  for (const lie of all) assert.ok(!isSound(changed(honest, lie)), JSON.stringify(lie));
}

describe('impossible results', () => {
  test('of sample-rows', () =>
    refuses({ task: 'sample-rows' }, (result) => areFeatures(result, D, n, n), {
      places: [['rows', 7, [...WILD, 1e30]]],
    }));

  test('of sample-rows, with rows that the shard has not', async () => {
    const { rows } = await run(worker, { task: 'sample-rows' }, SHARD);
    const of = (length: number) => ({ rows: nd(rows.data.slice(0, length) as TypedArray) });
    for (const [least, most] of [
      [n, n],
      [n - 3, n],
      [n, n + 3],
    ])
      assert.ok(areFeatures({ rows }, D, least, most));
    assert.ok(!areFeatures({ rows }, D, n - 3, n - 1) && !areFeatures({ rows }, D, n + 1, n + 3));
    assert.ok(areFeatures(of(D * (n - 1)), D, n - 1, n));
    for (const length of [D * (n - 1), D * n - 1, 0]) assert.ok(!areFeatures(of(length), D, n, n));
    assert.ok(!areFeatures(of(D * n - 1), D, n - 1, n));
  });

  test('of neighbours', () =>
    refuses({ task: 'neighbours', k: NEIGHBOURS }, (result) => areNeighbours(result, rows, N, NEIGHBOURS), {
      places: [
        ['index', 3, [-1, N, 2 ** 31 - 1]],
        // Its own row, of the first and of the last of the shard.
        ['index', 0, [rows.from]],
        ['index', n * NEIGHBOURS - 1, [rows.to - 1]],
        ['weight', 0, [...NEGATIVE, 0, 0.999, 1.001]],
        ['weight', 2, [...NEGATIVE, 1.001]],
        ['nearest', 4, [...NEGATIVE, 1e9]],
        ['nearest', 5, [...NEGATIVE, 0]],
      ],
      lies: ({ index, weight }): Lie[] => [
        // One twice; weights that ascend.
        { index: [[11, index.data[10]]] },
        { index: [[14, index.data[10]]] },
        {
          weight: [
            [13, weight.data[14]],
            [14, weight.data[13]],
          ],
        },
      ],
    }));

  test('of partitions', () =>
    refuses(
      { task: 'partitions', resolutions: [1, 4], replicates: 3, share: 0.6 },
      (result) => arePartitions(result, Math.floor(0.6 * N)),
      {
        places: [
          ['labels', 0, [-1, 1, N]],
          ['labels', 5, [-1, N, 2 ** 31 - 1]],
          // The first row of the second partition.
          ['labels', Math.floor(0.6 * N), [1, 2]],
        ],
        lies: ({ labels }): Lie[] => {
          // A cluster without rows: the numbers after it are too large by one.
          const at = labels.data.indexOf(2);
          return [
            { labels: [...labels.data.keys()].filter((i) => labels.data[i] === 2).map((i) => [i, 3]) },
            { labels: [[at, 4]] },
          ];
        },
      },
    ));

  test('of null-partitions', () =>
    refuses(
      {
        ...{ task: 'null-partitions', variances: [1, 1, 1], rows: 80, neighbours: 6 },
        ...{ resolutions: [0.5, 1, 2, 4, 8], replicates: 3, share: 0.6 },
      },
      (result) => areNullPartitions(result, 80),
      {
        places: [
          ['mean', 0, [...WILD, -1.01, 1]],
          ['size', 1, [...NEGATIVE, 0, 0.5, 81]],
        ],
      },
    ));

  test('of start-partition', () =>
    refuses({ task: 'start-partition', resolution: 2 }, (result) => isStartPartition(result, N, 2), {
      places: [
        ['labels', 0, [-1, 1]],
        ['labels', N - 1, [-1, N, 2 ** 31 - 1]],
        ['quality', 0, [...WILD, 1.01, -2.01]],
      ],
    }));

  test('of memberships', () =>
    refuses({ task: 'memberships' }, (result) => areMemberships(result, rows, of, K), {
      places: [
        ['cluster', 0, [-1, K, 2 ** 31 - 1]],
        ['share', 0, [...NEGATIVE, 0, 1.01]],
        ['share', KEPT - 1, [...NEGATIVE, 1]],
        ['volume', 0, [...NEGATIVE, 2 * of.total, of.total]],
      ],
      lies: ({ cluster, share, volume }): Lie[] => {
        const row = [...Array(n).keys()].find((i) => share.data[KEPT * i + 1] > 0)!;
        const [a, b] = [KEPT * row, KEPT * row + 1];
        return [
          // The smaller share first; one cluster twice; other sums; memberships that volumes do not count.
          {
            share: [
              [a, 0.2],
              [b, 0.8],
            ],
          },
          { cluster: [[b, cluster.data[a]]] },
          { share: [[a, share.data[a] / 2]] },
          {
            cluster: [
              [a, [...Array(K).keys()].find((k) => !cluster.data.subarray(a, a + KEPT).includes(k))!],
            ],
          },
          {
            volume: [
              [0, volume.data[0] + 1],
              [1, volume.data[1] - 1],
            ],
          },
        ];
      },
    }));
});

test('a net that has diverged knows no memberships', () => {
  const none = {
    cluster: nd(new Int32Array(n * KEPT), n, KEPT),
    share: nd(new Float32Array(n * KEPT), n, KEPT),
    volume: nd(new Float64Array(K)),
  };
  assert.ok(areMemberships(none, rows, of, K));
  assert.ok(!areMemberships({ ...none, volume: nd(new Float64Array(K).fill(1)) }, rows, of, K));
});

test('results about no rows are possible', () => {
  const none = { from: 9, to: 9 };
  const empty = {
    ...{ index: nd(new Int32Array(0)), weight: nd(new Float64Array(0)), nearest: nd(new Float32Array(0)) },
    ...{ cluster: nd(new Int32Array(0)), share: nd(new Float32Array(0)), volume: nd(new Float64Array(K)) },
    ...{ rows: nd(new Float32Array(0)), labels: nd(new Int32Array(0)) },
  };
  assert.ok(areFeatures(empty, D, 0, 9) && areNeighbours(empty, none, N, 5) && arePartitions(empty, 0));
  assert.ok(areMemberships(empty, none, of, K));
});

test('what follows from features that are possible is possible too, however far rows are apart', () => {
  const k = 6;
  for (const size of [1, 1e9, 1e18]) {
    // A few rows are far away, and several at one place.
    const features = of.rows.map((value, p) => {
      const row = Math.floor(p / D);
      return row % 11 === 0 ? size * (row % 2 ? -1 : 1) : row % 7 === 0 ? 0.5 : value;
    });
    assert.ok(areFeatures({ rows: nd(features) }, D, N, N));
    const { index, distance } = neighbourKernel()(features, features, D, k, 0);
    const weight = directedWeights(distance, k);
    const nearest = Float32Array.from({ length: 2 * N }, (_, i) => distance[(i >> 1) * k + (i % 2)]);
    const found = { index: nd(index), weight: nd(weight), nearest: nd(nearest) };
    assert.ok(areNeighbours(found, { from: 0, to: N }, N, k), `${size}`);
    symmetrized(index, weight, k);
  }
});
