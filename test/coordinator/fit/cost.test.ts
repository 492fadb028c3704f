import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { graphCost } from '../../../coordinator/fit/graph/graph.ts';
import { gaussianCost } from '../../../coordinator/fit/preparation/limits.ts';
import { layoutOf } from '../../../model/layout.ts';
import { resolveConfig } from '../../../run/config.ts';

const cost = async (rows: number, dim: number, options: object = { likelihood: 'gaussian' }) =>
  gaussianCost(await resolveConfig({ data: 'x.npy', ...options }), layoutOf(rows, dim, 8, 0n));

describe('the cost of full covariance', () => {
  test('is said where it is large: parameters, memory, time, and what to do', async () => {
    assert.equal(
      await cost(3000, 1536),
      'full covariance in 1,536 columns is 1,181,952 parameters for each cluster (9.5 MB in each of 8 shards) and takes about 2 s of a core for each cluster in each epoch: 16 min for 10 clusters in 50 epochs; if that is too long, leave out --likelihood gaussian, or use --transform pca:16 or --covariance diag',
    );
  });

  test('grows with rows up to the sample', async () => {
    assert.equal(await cost(3000, 128), null);
    const large = (await cost(10 ** 7, 128))!;
    assert.match(large, /about 0.3 s of a core .*: 2 min for 10 clusters/);
    assert.equal(await cost(10 ** 8, 128), large);
    assert.equal(await cost(10 ** 7, 128, { likelihood: 'gaussian', sample: 20_000 }), null);
  });

  test('is that of the axes, if there are fewer than columns', async () => {
    const advice = /in 700 axes .*; if that is too long, use --transform pca:16$/;
    assert.match((await cost(3000, 1536, { transform: 'pca:700' }))!, advice);
    assert.equal(await cost(3000, 1536, { transform: 'pca:16' }), null);
  });

  test('is not said of what the data have yet to decide, of graphs and of variances alone', async () => {
    assert.equal(await cost(3000, 1536, {}), null);
    assert.equal(await cost(3000, 1536, { likelihood: 'graph', transform: 'standard' }), null);
    assert.equal(await cost(3000, 1536, { likelihood: 'gaussian', covariance: 'diag' }), null);
    const standard = (await cost(3000, 1536, { transform: 'standard' }))!;
    assert.match(standard, /too long, use --transform pca:16 or --covariance diag$/);
    assert.match((await cost(3000, 1536, { schedule: 'paper' }))!, /too long, use --transform pca:16 or/);
  });

  test('is not said of ordinary runs', async () => {
    for (const [rows, dim] of [
      [10 ** 8, 10],
      [10 ** 6, 32],
      [9298, 10],
      [1797, 64],
      [3000, 200],
    ])
      assert.equal(await cost(rows, dim), null, `${rows} × ${dim}`);
  });
});

test('the cost of a neighbour search is said where so large a sample was asked for', () => {
  assert.equal(
    graphCost({ sample: 0 }, 200_000, 64),
    '--sample 0: the graph likelihood compares each of 200,000 rows with all others, 2.6e12 differences of coordinates, which take about 4 min of a core; if that is too long, leave --sample out, to train on 20,000 rows, or more where there are many clusters; all are labelled',
  );
  assert.match(
    graphCost({ sample: 10 ** 6 }, 1_000_321, 64)!,
    /^--sample 1000000: .* about 110 min of a core/,
  );
  assert.equal(graphCost({ sample: 0 }, 150_000, 64), null);
  assert.equal(graphCost({ sample: null }, 200_000, 64), null);
});
