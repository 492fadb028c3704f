import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../../base/user-error.ts';
import { gaussian } from '../../../../coordinator/fit/gaussian/gaussian.ts';
import type { TrainingRun } from '../../../../coordinator/fit/run-context.ts';
import type { Mixture } from '../../../../model/mixture.ts';
import type { State } from '../../../../model/state.ts';

const run = (transform: string) =>
  ({
    config: { data: 'x.npy', transform },
    transform: { scale: Float64Array.of(1, 1) },
    dispatcher: { publish: () => {} },
  }) as unknown as TrainingRun;

/** The form in which workers have the target. */
const formOf = async (of: TrainingRun, mixture: Mixture) =>
  (await gaussian.create(of).target(of, { mixture } as State)).form;

/** Two clusters, the second with this correlation. */
const mixture = (correlation: number): Mixture => ({
  k: 2,
  d: 2,
  covariance: 'full',
  weights: Float64Array.of(0.5, 0.5),
  means: [Float64Array.of(0, 0), Float64Array.of(1, 1)],
  covariances: [0, correlation].map((r) => Float64Array.of(1, r, r, 1)),
});

test('clusters of more than 32 columns have the form without products of all pairs', async () => {
  for (const [d, expected] of [
    [32, 'product'],
    [33, 'cholesky'],
  ] as const) {
    const identity = Float64Array.from({ length: d * d }, (_, p) => Number(p % (d + 1) === 0));
    const wide = {
      ...run('center'),
      transform: { scale: new Float64Array(d).fill(1) },
    } as unknown as TrainingRun;
    const [means, covariances] = [
      [new Float64Array(d), new Float64Array(d).fill(1)],
      [identity, identity],
    ];
    const form = await formOf(wide, { ...mixture(0), d, means, covariances });
    assert.equal(form, expected);
  }
});

describe('a cluster too flat for float32', () => {
  test('is a user error that names the file and a remedy', async () => {
    await assert.rejects(formOf(run('center'), mixture(1 + 1e-9)), {
      constructor: UserError,
      message: /^x\.npy: .*cluster 1 is not positive definite.*--transform pca:<axes> with as many/,
    });
    await assert.rejects(formOf(run('pca:2'), mixture(1 + 1e-9)), /with fewer axes/);
  });

  test('is not one that is only nearly so', async () => {
    assert.equal(await formOf(run('center'), mixture(1 - 1e-9)), 'cholesky');
  });

  test('does not affect other errors', async () => {
    const broken = { ...mixture(0), means: [] };
    await assert.rejects(formOf(run('center'), broken), (error: Error) => !(error instanceof UserError));
  });
});
