import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { prepare } from '../../../coordinator/fit/preparation/prepare.ts';
import { layoutOf } from '../../../model/layout.ts';
import type { RunConfig } from '../../../run/config.ts';

const ROWS = 1000;

/** A run on columns a, b and a. */
function prepared(change: Partial<RunConfig>, sampled = ROWS, warn: (message: string) => void = assert.fail) {
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
  const covariance = Float64Array.of(1, 0.2, 1, 0.2, 1, 0.2, 1, 0.2, 1);
  const moments = {
    rows: ROWS,
    mean: new Float64Array(3),
    covariance,
    min: new Float64Array(3).fill(-4),
    max: new Float64Array(3).fill(4),
  };
  return prepare(
    {
      config,
      layout: layoutOf(ROWS, 3, 8, 0n),
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

  test('as rows are few', async () => {
    const said: string[] = [];
    await prepared({}, 3, (message) => said.push(message));
    assert.match(said.join(), /which follows from others: 3 rows tell 2 columns apart at most$/);
  });
});
