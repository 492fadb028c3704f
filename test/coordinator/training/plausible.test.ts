import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  areCovarianceSums,
  areMoments,
  areShown,
  isLabelling,
  isPlausible,
} from '../../../coordinator/training/plausible.ts';
import { sampledPlaces } from '../../../coordinator/training/sampled-rows.ts';
import { MOST_SHOWN } from '../../../model/description/extremes.ts';
import { shardBlocks } from '../../../model/layout.ts';
import type { Task } from '../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { backends } from '../../worker/present.ts';
import { D, randomMatrix, range } from '../../worker/support.ts';
import { centreState, clusterTask, eStepState, run, subTask, w } from '../../worker/tasks/support.ts';

const [backend] = backends;
const partition = { groups: 'sub-net', cells: range(6), leaves: 6, vectors: 'vectors' } as const;
const worker = w.newWorker(backend);
worker.put('origin', { row: nd(new Float64Array(D)) });
worker.put('centres', { rows: nd(Float64Array.of(1, 2, 0)) });
worker.put('e-step', eStepState('product', 'full'));
worker.put('parts', centreState());
worker.put('vectors', { rows: nd(new Float64Array(D)) });
worker.put('pivots', { rows: nd(new Float64Array(6 * D)) });
worker.put('means', { rows: nd(Float64Array.from(randomMatrix(9, 3, D).flat()), 3, D) });
worker.put('axes', {
  rows: nd(Float64Array.from(randomMatrix(8, 12, D).flat())),
  ...{ centre: nd(new Float64Array(12)), sd: nd(new Float64Array(12).fill(9)) },
});
worker.put('whitening', {
  centre: nd(Float64Array.from(randomMatrix(10, 6, D).flat()), 6, D),
  inverse: nd(Float64Array.from(randomMatrix(11, 6, D * D).flat()), 6, D, D),
});

const blocks = shardBlocks(w.layout)[0];
const rows = w.rowsOf(0).length;
const P = 1 + D + (D * (D + 1)) / 2;
/** A place in a result, and values that are impossible there. */
type Lies = Record<string, [index: number, values: number[]][]>;
const WILD = [Number.NaN, Infinity, -Infinity, 1e300, -1e300];
const NO_COUNT = [...WILD, -1, 0.5, rows + 1];
const HARD = {
  T: [
    [0, NO_COUNT],
    [1, WILD],
    [1 + D, [...WILD, -1, 0]],
    [2 + D, WILD],
  ],
} satisfies Lies;
const TOO_LARGE = [1e300, -1e300];

const CASES: [Task, Lies][] = [
  [
    { task: 'seed-distances', centres: 1, draw: 1 },
    { weight: [[0, [...WILD, -1]]], row: [[0, WILD]] },
  ],
  [
    clusterTask(),
    {
      params: [[3, TOO_LARGE]],
      second: [[0, [...TOO_LARGE, -1]]],
      count: [[0, [...WILD, -1, 2, 0.5]]],
      shards: [[0, NO_COUNT]],
      loss: [[0, TOO_LARGE]],
    },
  ],
  [clusterTask({ average: 'gradients' }), { gradients: [[0, TOO_LARGE]] }],
  [subTask(), { params: [[9, TOO_LARGE]], count: [[1, NO_COUNT]], loss: [[0, TOO_LARGE]] }],
  [
    { task: 'statistics', diagonal: false, block: 32 },
    {
      T: [
        [P, [-1, 2 * rows, 1e300]],
        [P + 1, TOO_LARGE],
        [P + 1 + D, [-1, 1e300]],
      ],
    },
  ],
  [{ task: 'pivoted-statistics', diagonal: true, least: 0 }, { T: [[0, [-1, 1e300]]] }],
  [
    { task: 'cell-sums', ...partition },
    { n: [[2, NO_COUNT]], s: [[0, WILD]] },
  ],
  [{ task: 'cell-scatter', ...partition, diagonal: false, pivots: 'pivots' }, HARD],
  // Two axes for each leaf, of 32 bins.
  [
    { task: 'cell-histogram', ...partition, axes: 'axes', bins: 32 },
    {
      counts: [
        [7, NO_COUNT],
        [12 * 32 - 1, NO_COUNT],
      ],
    },
  ],
  [
    { task: 'cell-fourth-moments', ...partition, whitening: 'whitening' },
    {
      F: [
        [0, [...WILD, -1, rows * (4 * D) ** 2 * 1.01]],
        [1, [...WILD, rows * (4 * D) ** 2 * 1.01, -rows * (4 * D) ** 2 * 1.01]],
        [6 * D * D - 1, [...WILD, -1]],
      ],
    },
  ],
];

test('each row counts once along each axis, and in one leaf', () => {
  const task = { task: 'cell-histogram', ...partition, leaves: 2, axes: 'axes', bins: 4 } as const;
  // Two axes for each of two leaves; six rows in the one leaf, four in the other.
  const counts = [
    [1, 2, 3, 0],
    [6, 0, 0, 0],
    [0, 0, 0, 4],
    [1, 1, 1, 1],
  ];
  const isSound = (of: number[][], rows: number) =>
    isPlausible(task, { counts: nd(Float64Array.from(of.flat()), 4, 4) }, { units: 1, rows }, D);
  assert.ok(isSound(counts, 10));
  assert.ok(!isSound(counts, 9), 'more rows than there are');
  assert.ok(isSound([counts[0], counts[0], counts[1], counts[3]], 12));
  assert.ok(!isSound([counts[0], counts[0], counts[1], counts[1]], 11), 'along the second axis');
});

function changed(result: Tensors, name: string, index: number, value: number): Tensors {
  const { data, shape } = result[name];
  const copy = data.slice() as typeof data;
  copy[index] = value;
  return { ...result, [name]: nd(copy, ...shape) };
}

function refuses(result: Tensors, lies: Lies, isSound: (result: Tensors) => boolean): void {
  assert.ok(isSound(result), 'an honest result');
  for (const [name, places] of Object.entries(lies))
    for (const [index, values] of places)
      for (const value of values)
        assert.ok(!isSound(changed(result, name, index, value)), `${name}[${index}] = ${value}`);
}

describe('impossible values', () => {
  for (const [task, lies] of CASES)
    test(`of ${task.task}`, async () => {
      const result = await run(worker, task);
      refuses(result, lies, (other) => isPlausible(task, other, { units: 1, rows }, D));
    });

  test('of moments', async () => {
    const result = await run(worker, { task: 'moments', normalize: false, diagonal: false, sample: w.below });
    const isSound = (other: Tensors) => areMoments(other, blocks, D, 'full');
    refuses(
      result,
      {
        ...HARD,
        counts: [
          [0, NO_COUNT],
          [1, [...NO_COUNT, 1]],
          [2, [...WILD, 0, -2, 0.5]],
        ],
        min: [[0, [...WILD, 1e17]]],
        max: [[1, [...WILD, -1e17]]],
      },
      isSound,
    );
    // Rows that are left out, and a shard without any other.
    const counts = (bad: number, first: number) => nd(Float64Array.of(0, bad, first));
    const none = {
      ...{ T: nd(new Float64Array(P)), min: nd(new Float64Array(D).fill(Infinity)) },
      max: nd(new Float64Array(D).fill(-Infinity)),
    };
    assert.ok(isSound({ ...none, counts: counts(rows, blocks[0].start) }));
    assert.ok(!isSound({ ...none, counts: counts(rows, w.layout.rows) }));
    assert.ok(!isSound({ ...none, counts: counts(rows, -1) }));
    assert.ok(!isSound({ ...none, counts: counts(0, -1) }));
  });

  for (const unit of [true, false])
    test(`of sample-covariance, ${unit ? 'unit rows' : 'any rows'}`, async () => {
      worker.put('columns', {
        ...{ shift: nd(new Float32Array(D).fill(-5)), factor: nd(new Float32Array(D).fill(1)) },
        below: nd(Float64Array.of(w.below)),
      });
      const result = await run(worker, { task: 'sample-covariance', unit, every: 1, sketch: 0 });
      const sampled = w.sampleOf(0).length;
      refuses(
        result,
        {
          n: [[0, [...WILD, -1, 0.5, sampled - 1, sampled + 1]]],
          s: [[0, [...WILD, 1e30, -1e30]]],
          S: [
            // Σx² below (Σx)²/n, or of more than rows of length 1.
            [0, [...WILD, -1, 0, ...(unit ? [1.05 * sampled] : [])]],
            // |Σxy| above √(Σx²·Σy²), or other than Σyx.
            [1, [...WILD, 1e30, -result.S.data[1] || 1]],
            [D * D - 1, [...WILD, -1, 0]],
          ],
        },
        (other) => areCovarianceSums(other, sampled, D, unit),
      );
    });

  test('sums of sample-covariance are possible of very small and very large rows', async () => {
    for (const factor of [1e-19, 1e-21, 1e17]) {
      worker.put('columns', {
        shift: nd(new Float32Array(D).fill(-5 * factor)),
        factor: nd(new Float32Array(D).fill(factor)),
        below: nd(Float64Array.of(w.below)),
      });
      for (const unit of [true, false]) {
        const result = await run(worker, { task: 'sample-covariance', unit, every: 1, sketch: 0 });
        assert.ok(areCovarianceSums(result, w.sampleOf(0).length, D, unit), `${factor} ${unit}`);
      }
    }
  });

  test('of full-pass', async () => {
    const task: Task = { task: 'full-pass', diagonal: false, soft: true, silhouette: 0.3 };
    const result = await run(worker, task);
    const places = sampledPlaces(blocks, BigInt(w.layout.seed), 0.3);
    refuses(
      result,
      {
        ...HARD,
        labels: [[0, [3, 255]]],
        seen: [[0, WILD]],
        seenLabels: [[0, [-1, 0, 1, 2, 3].filter((z) => z !== result.seenLabels.data[0])]],
        soft: [[0, [-0.5, 1.5]]],
      },
      (other) => isLabelling(other, rows, places, 3, D, 'full'),
    );
    const [z] = result.labels.data;
    const notOfFirst = [...result.labels.data].findIndex((label) => label !== 0);
    refuses(
      result,
      {
        confidence: [[0, [-0.5, 1.5]]],
        distance: [[0, [-1, ...WILD]]],
        columns: [[0, WILD]],
        exemplars: [
          [0, [-2, rows, notOfFirst]],
          [10 * ((z + 1) % 3), [0]],
        ],
        border: [[0, [-2, rows, notOfFirst]]],
        rival: [[0, [-1, 3]]],
        margin: [[0, [-2, 1.5]]],
      },
      (other) => areShown(other, rows, 3, MOST_SHOWN),
    );
  });
});

test('what is not finite where training may diverge is possible', async () => {
  for (const [task, name] of [
    [clusterTask(), 'params'],
    [clusterTask(), 'loss'],
    [clusterTask({ average: 'gradients' }), 'gradients'],
    [subTask(), 'first'],
    [{ task: 'statistics', diagonal: false, block: 32 }, 'T'],
    [{ task: 'pivoted-statistics', diagonal: false, least: 0 }, 'T'],
  ] as [Task, string][]) {
    const result = await run(worker, task);
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const lie = changed(result, name, 0, value);
      assert.ok(isPlausible(task, lie, { units: 1, rows }, D), `${task.task} ${name}`);
    }
  }
});
