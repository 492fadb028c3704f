import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import {
  type Calculate,
  createCalculator,
  share,
} from '../../../coordinator/training/calculation/calculator.ts';
import { sumInSlices } from '../../../coordinator/training/rounds.ts';
import { NotPositiveDefiniteError } from '../../../model/linalg.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { niwPrior } from '../../../model/niw.ts';
import { treeSum } from '../../../model/tree.ts';
import { blobs, calculate, randomNumbers, statisticsOf } from '../support.ts';

/** The longest that a timer had to wait while this was computed, and how long it took in all, ms. */
async function held<T>(compute: () => Promise<T>): Promise<{ value: T; longest: number; total: number }> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const start = performance.now();
  const value = await compute();
  const total = performance.now() - start;
  delay.disable();
  return { value, longest: delay.max / 1e6, total };
}

const mixtureOf = (k: number, d: number, correlation = 0.5): Mixture => ({
  k,
  d,
  covariance: 'full',
  weights: new Float64Array(k).fill(1 / k),
  means: Array.from({ length: k }, (_, c) => new Float64Array(d).fill(c)),
  covariances: Array.from({ length: k }, () =>
    Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) ? correlation : 1)),
  ),
});

describe('a calculation', () => {
  const here = { calculate };
  const there = createCalculator();
  after(there.close);

  test('gives the same bits in the thread as without it', async () => {
    const d = 12;
    const { rows } = blobs(1, [Array(d).fill(0), Array(d).fill(9)], 80);
    const T = [statisticsOf(rows.slice(0, 80)), statisticsOf(rows.slice(80))];
    const identity = Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) ? 0 : 1));
    const mean = new Float64Array(d);
    const prior = niwPrior({ mean, kappa: 0.1, nu: d + 2, psi: identity, covariance: 'full' });
    const both = async <T>(run: (calculate: Calculate) => Promise<T>) =>
      assert.deepEqual(await run(there.calculate), await run(here.calculate));
    await both((own) => own('mStep', prior, T, 0.1));
    await both((own) => own('principalAxes', T, d, 'full', null));
    await both((own) => own('principalAxes', T, d, 'full', identity));
    await both((own) => own('learnedPrior', prior, 1, mixtureOf(2, d), identity));
    await both((own) =>
      own('nearestRules', [[rows.slice(0, 3).map((row) => Float64Array.from(row)), []]], identity, 'full'),
    );
    await both((own) => own('discriminantRules', prior, [T, []]));
    await both((own) => own('whitenings', prior, T));
    await both((own) => own('shapeAxes', [identity], d, [identity]));
    await both((own) => own('evidence', prior, [T, []], 10, 0.5));
    await both((own) => own('splitRatios', prior, [T], 10, 0.5));
    await both((own) => own('mergeRatios', prior, T, [{ a: 0, b: 1 }], 10, 0.5));
    await both((own) => own('eStepOf', mixtureOf(3, d), new Float64Array(d).fill(2)));
  });

  test('keeps the class and the message of its error', async () => {
    for (const { calculate } of [here, there]) {
      const flat = mixtureOf(2, 3, 1.5);
      await assert.rejects(calculate('eStepOf', flat, new Float64Array(3).fill(1)), {
        constructor: NotPositiveDefiniteError,
        message: 'the covariance matrix of cluster 0 is not positive definite',
      });
      const one = Float64Array.of(1);
      const moments = { rows: 5, mean: one, covariance: one, min: one, max: one };
      await assert.rejects(calculate('planTransform', 'center', moments, null), {
        constructor: UserError,
        message: /all 5 rows are equal/,
      });
    }
  });

  test('leaves its arguments as they are, and takes views of larger arrays', async () => {
    const points = Float64Array.from({ length: 6000 }, (_, i) => i * i);
    const means = [0, 1, 2].map((i) => points.subarray(i * 2000, (i + 1) * 2000));
    const mixture: Mixture = {
      ...{ k: 3, d: 2000, covariance: 'diag', weights: Float64Array.of(0.2, 0.3, 0.5), means },
      covariances: means.map(() => new Float64Array(2000).fill(4)),
    };
    assert.deepEqual(
      await there.calculate('nearestPairs', mixture, 1),
      await here.calculate('nearestPairs', mixture, 1),
    );
    assert.equal(points[5999], 5999 ** 2);
  });

  test('that is long does not hold up the event loop: 300 columns', async () => {
    const { calculate, close } = createCalculator();
    const d = 300;
    const covariance = mixtureOf(1, d, 0.2).covariances[0];
    const { longest, total } = await held(() => calculate('rank', covariance, d));
    await close();
    assert.ok(longest < total / 2, `timers waited up to ${longest} ms of ${total}`);
  });

  test('that is long rejects at once when the run is over, and a later one too', async () => {
    const { calculate, close } = createCalculator();
    const d = 700;
    const T = statisticsOf([Array(d).fill(1), Array(d).fill(2)]);
    const rejected = assert.rejects(
      calculate('principalAxes', Array(4000).fill(T), d, 'full', null),
      /the run is over/,
    );
    // It has begun: a minute of work.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const start = performance.now();
    await close();
    await rejected;
    assert.ok(performance.now() - start < 5000);
    await assert.rejects(calculate('principalAxes', [T], d, 'full', null), /the run is over/);
  });
});

describe('in slices', () => {
  test('sums have the bits of the tree, for missing parts too', async () => {
    const { normal } = randomNumbers(1);
    const parts = Array.from({ length: 5 }, () => Float64Array.from({ length: 150_000 }, normal));
    const sparse = [parts[0], undefined, parts[2], parts[3], parts[4]];
    for (const some of [parts, sparse]) assert.deepEqual(await sumInSlices(some), treeSum(some));
  });

  test('large sums and copies let timers in', async () => {
    const parts = Array.from({ length: 8 }, () => new Float64Array(4e6).fill(1));
    const sum = await held(() => sumInSlices(parts));
    assert.equal(sum.value[3e6], 8);
    assert.ok(sum.longest < sum.total / 2, `sum: ${sum.longest} ms of ${sum.total}`);
    const copy = await held(() => share({ parts, again: parts[0] }));
    assert.ok(copy.longest < copy.total / 2, `copy: ${copy.longest} ms of ${copy.total}`);
    const { parts: shared, again } = copy.value as { parts: Float64Array[]; again: Float64Array };
    assert.equal(shared[0], again);
    assert.deepEqual([shared[7][5], shared[7].buffer instanceof SharedArrayBuffer], [1, true]);
  });
});
