import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { prepare } from '../../../coordinator/fit/preparation/prepare.ts';
import type { Moments } from '../../../data/transform.ts';
import { layoutOf } from '../../../model/layout.ts';
import type { RunConfig } from '../../../run/config.ts';

const ROWS = 1000;

/** Of columns a, b and a. */
const TWICE: Moments = {
  rows: ROWS,
  mean: new Float64Array(3),
  covariance: Float64Array.of(1, 0.2, 1, 0.2, 1, 0.2, 1, 0.2, 1),
  min: new Float64Array(3).fill(-4),
  max: new Float64Array(3).fill(4),
};

function momentsOf(columns: number[][]): Moments {
  const mean = columns.map((values) => values.reduce((a, b) => a + b) / ROWS);
  const product = (i: number, j: number) =>
    columns[i].reduce((sum, value, row) => sum + (value - mean[i]) * (columns[j][row] - mean[j]), 0);
  return {
    rows: ROWS,
    mean: Float64Array.from(mean),
    covariance: Float64Array.from(
      columns.flatMap((_, i) => columns.map((_, j) => product(i, j) / (ROWS - 1))),
    ),
    min: Float64Array.from(columns, (values) => Math.min(...values)),
    max: Float64Array.from(columns, (values) => Math.max(...values)),
  };
}

function prepared(
  change: Partial<RunConfig>,
  sampled = ROWS,
  warn: (message: string) => void = assert.fail,
  moments = TWICE,
) {
  const config = {
    data: 'x.npy',
    seed: '0',
    schedule: 'fast',
    splitMergeEvery: 6,
    transform: 'center',
    sample: 0,
    coarsening: null,
    covariance: 'full',
    priorScaleChoice: 'data-cov',
    priorScale: 0.005,
    resolution: null,
    ...change,
  } as RunConfig;
  return prepare(
    {
      config,
      layout: layoutOf(ROWS, moments.mean.length, 8, 0n),
      names: null,
    },
    {
      publish: () => {},
      round: () => assert.fail(),
      emit: () => {},
      warn,
    },
    { moments, sampleRows: [sampled], hashes: new Uint8Array(16), fences: null },
  );
}

test('an empty sample is rejected, before any round about it', async () => {
  for (const likelihood of ['gaussian', 'graph'] as const)
    await assert.rejects(prepared({ sample: 1, likelihood }, 0), {
      constructor: UserError,
      message: /^--sample 1: none of the 1000 rows was drawn/,
    });
});

test('more initial clusters than rows in the sample are rejected', async () => {
  await assert.rejects(prepared({ initK: 11, covariance: 'diag' }, 10), {
    constructor: UserError,
    message: /^--init-k 11 is more than the 10 rows in the sample/,
  });
  await prepared({ initK: 10, covariance: 'diag' }, 10);
});

describe('columns that follow from others', () => {
  test('are left out, and said', async () => {
    const said: string[] = [];
    const { transform, d } = await prepared({}, ROWS, (message) => said.push(message));
    assert.deepEqual([...transform.columns!], [0, 1]);
    assert.equal(d, 2);
    assert.deepEqual(said, ['x.npy: dropped column 2 (counted from 0), which follows from others (0)']);
  });

  test('as rows are few: these are rejected, with a remedy', async () => {
    const message = /has rank 2 only, as there are too few rows; .*--transform pca:2/;
    await assert.rejects(prepared({}, 3), { constructor: UserError, message });
    await prepared({}, 4, () => {});
  });

  test('as the code of a category beside a column for each of its values: then these are all there is', async () => {
    const codes = Array.from({ length: ROWS }, (_, row) => (row * 7) % 3);
    const values = [0, 1, 2].map((value) => codes.map((code) => Number(code === value)));
    const said: string[] = [];
    const keep = (message: string) => said.push(message);
    for (const columns of [
      [...values, codes],
      [...values, codes, values[0]],
      [codes, ...values],
    ]) {
      const { d } = await prepared({}, ROWS, keep, momentsOf(columns));
      assert.equal(d, 2);
    }
    assert.match(
      said[0],
      /dropped 2 columns, which follow from others \(3 from 0, 1; 2 from 0, 1; counted from 0\)$/,
    );
  });
});
