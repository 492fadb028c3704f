import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { checkColumns } from '../../../coordinator/training/precision.ts';
import type { TransformChoice } from '../../../data/transform.ts';

/** What is said of columns with these means and standard deviations; 0: constant. */
function said(columns: [mean: number, sd: number][], transform: TransformChoice = 'center'): string[] {
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
    (message) => heard.push(message),
  );
  return heard;
}
const refused = (columns: [number, number][], message: RegExp) =>
  assert.throws(() => said(columns), { constructor: UserError, message });

describe('columns that float32 is too coarse for', () => {
  test('are refused where they are nonsense', () => {
    refused(
      [
        [0, 1],
        [1e9, 2],
      ],
      /^x\.npy: float32 represents column 1 \(counted from 0; mean 1e9, standard deviation 2\) only in steps of 64; subtract its mean first$/,
    );
    refused([[1e9, 0]], /^x\.npy: all 500 rows are equal in float32.*subtract each column's mean/);
    refused([[0, 1e-20]], /column 0 .* standard deviation 1e-20.*scale the data/);
  });

  test('are named where they may pass', () => {
    const [warning, ...more] = said([
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

  test('are silent where they are fine', () => {
    for (const mean of [0, 1, -1000, 5000]) assert.deepEqual(said([[mean, 1]]), [], String(mean));
  });

  test('count as constant, and that is not said of the file', () => {
    assert.deepEqual(
      said([
        [1, 1],
        [5, 0],
      ]),
      ['x.npy: dropped 1 constant column (1, counted from 0)'],
    );
    assert.match(
      said([
        [1, 1],
        [1.7e9, 0],
      ])[0],
      /constant column .*only in steps of 128: if it varies in the file/,
    );
  });
});

describe('columns of unlike scales', () => {
  const wide: [number, number][] = [
    [0, 1],
    [0, 2e6],
    [0, 2],
    [0, 3],
  ];
  test('are named, with the remedy, for center only', () => {
    const [warning, ...more] = said(wide);
    assert.deepEqual(more, []);
    assert.match(warning, /column 1 varies 2e6 times as much as column 0 .*--transform standard/);
    assert.deepEqual(said(wide, 'standard'), []);
  });

  test('up to a thousand, and pixels that hardly vary, are as usual', () => {
    assert.deepEqual(
      said([
        [0, 1],
        [0, 999],
      ]),
      [],
    );
    assert.deepEqual(said([[0, 1e-3], ...Array.from({ length: 20 }, (): [number, number] => [0, 50])]), []);
  });
});
