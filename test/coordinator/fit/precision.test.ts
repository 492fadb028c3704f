import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { checkColumns } from '../../../coordinator/fit/reading/precision.ts';
import type { TransformChoice } from '../../../data/transform-choice.ts';

/** Warnings for columns with these means and standard deviations; 0: constant. */
function warningsOf(
  columns: [mean: number, sd: number][],
  transform: TransformChoice = 'center',
  names: string[] | null = null,
): string[] {
  const dim = columns.length;
  const heard: string[] = [];
  const covariance = new Float64Array(dim * dim);
  columns.forEach(([, sd], i) => {
    covariance[i * dim + i] = sd ** 2;
  });
  checkColumns(
    { data: 'x.npy', transform },
    {
      rows: 500,
      mean: Float64Array.from(columns, ([mean]) => mean),
      covariance,
      min: Float64Array.from(columns, ([mean, sd]) => mean - 3 * sd),
      max: Float64Array.from(columns, ([mean, sd]) => mean + 3 * sd),
    },
    names,
    (message) => heard.push(message),
  );
  return heard;
}
const assertRejected = (columns: [number, number][], message: RegExp) =>
  assert.throws(() => warningsOf(columns), { constructor: UserError, message });

describe('columns for which float32 is too coarse', () => {
  test('are rejected if the result would be meaningless', () => {
    assertRejected(
      [
        [0, 1],
        [1e9, 2],
      ],
      /^x\.npy: float32 represents column 1 \(counted from 0; mean 1e9, standard deviation 2\) only in steps of 64; subtract its mean first$/,
    );
    assertRejected([[1e9, 0]], /^x\.npy: all 500 rows are equal in float32.*subtract each column's mean/);
    assertRejected([[0, 1e-20]], /column 0 .* standard deviation 1e-20.*scale the data/);
  });

  test('count as constant where their squares are 0, unless all are so', () => {
    const columns: [number, number][] = [
      [3, 1],
      [0, 1e-33],
    ];
    const [warning, ...more] = warningsOf(columns, 'center', ['a', 'noise']);
    assert.deepEqual(more, []);
    assert.match(
      warning,
      /^x\.npy: dropped 1 column that hardly varies \(noise\): .*deviation 1e-33, .*scale it/,
    );
  });

  test('cause a warning if they may be acceptable', () => {
    const [warning, ...more] = warningsOf([
      [3, 1],
      [-1e7, 20],
      [1e6, 20],
    ]);
    assert.deepEqual(more, []);
    assert.match(
      warning,
      /float32 represents column 1 .*mean -1e7, .*only in steps of 1, and 1 more column too coarsely;/,
    );
  });

  test('cause no warning if float32 is precise enough', () => {
    for (const mean of [0, 1, -1000, 5000]) assert.deepEqual(warningsOf([[mean, 1]]), [], String(mean));
  });

  test('count as constant, without claiming that they are constant in the file', () => {
    assert.deepEqual(
      warningsOf([
        [1, 1],
        [5, 0],
      ]),
      ['x.npy: dropped 1 constant column (1, counted from 0)'],
    );
    assert.deepEqual(
      warningsOf(
        [
          [1, 1],
          [5, 0],
        ],
        'center',
        ['age', 'flat'],
      ),
      ['x.npy: dropped 1 constant column (flat)'],
    );
    assert.match(
      warningsOf([
        [1, 1],
        [1.7e9, 0],
      ])[0],
      /constant column .*only in steps of 128: if it varies in the file/,
    );
  });
});

describe('columns of different scales', () => {
  const wide: [number, number][] = [
    [0, 1],
    [0, 2e6],
    [0, 2],
    [0, 3],
  ];
  test('cause a warning with a remedy, for center only', () => {
    const [warning, ...more] = warningsOf(wide);
    assert.deepEqual(more, []);
    assert.match(warning, /column 1 varies 2e6 times as much as column 0 .*--transform standard/);
    assert.deepEqual(warningsOf(wide, 'standard'), []);
  });

  test('cause none up to a factor of 1000, or if few columns hardly vary', () => {
    assert.deepEqual(
      warningsOf([
        [0, 1],
        [0, 999],
      ]),
      [],
    );
    assert.deepEqual(
      warningsOf([[0, 1e-3], ...Array.from({ length: 20 }, (): [number, number] => [0, 50])]),
      [],
    );
  });
});
