import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mStep } from '../../../model/gaussian/mstep.ts';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { generator } from '../../../model/random.ts';
import { addRow, statisticsLength } from '../../../model/statistics.ts';
import { alarmsOf, driftOf } from '../../../model/stream/drift.ts';
import type { Alarm } from '../../../model/stream/findings.ts';

const [K, D, ROWS] = [6, 8, 1500];

/** A mixture estimated from rows of K Gaussians about random centres, and more rows of these, each number of which is changed. */
function stream(seed: number) {
  const rng = generator(String(seed), 'drift-test');
  const centres = Array.from({ length: K }, () => Float64Array.from({ length: D }, () => 5 * rng.normal()));
  const draw = (n: number, change = (x: number) => x, clusters = K) => {
    const labels = Int32Array.from({ length: n }, () => rng.below(clusters));
    const rows = Float32Array.from({ length: n * D }, (_, p) =>
      change(centres[labels[Math.floor(p / D)]][p % D] + rng.normal()),
    );
    return { rows, labels };
  };
  const { rows: before, labels } = draw(ROWS);
  const T = centres.map(() => new Float64Array(statisticsLength(D, 'full')));
  const sums = Float64Array.from(before);
  for (const [i, label] of labels.entries()) addRow(T[label], sums, i * D, D, 'full');
  const psi = Float64Array.from({ length: D * D }, (_, p) => (p % (D + 1) === 0 ? D : 0));
  const prior = niwPrior({
    ...{ mean: new Float64Array(D), kappa: 1e-4, nu: 2 * D + 1 },
    ...{ psi, covariance: 'full', estimate: 'mean' },
  });
  const mixture = mStep(prior, T, 0);
  return {
    of: (...args: Parameters<typeof draw>) => driftOf(mixture, prior, before, draw(...args).rows).drift,
    /** By every tenth of the earlier rows. */
    bySome: (rows: Float32Array) => driftOf(mixture, prior, everyTenth(before), rows, ROWS).drift,
    draw,
    normal: () => rng.normal(),
  };
}

const everyTenth = (rows: Float32Array) =>
  Float32Array.from({ length: rows.length / 10 }, (_, p) => rows[10 * D * Math.floor(p / D) + (p % D)]);

describe('drift', () => {
  test('by some of the rows that a mixture was trained on', () => {
    const nats = Array.from({ length: 10 }, (_, seed) => {
      const { bySome, draw } = stream(seed);
      return bySome(draw(2000).rows).nats;
    });
    const mean = nats.reduce((sum, own) => sum + own, 0) / nats.length;
    // With the numbers of these as those of the clusters' rows it would be −2.
    assert.ok(Math.abs(mean) < 0.3, `${mean} nats`);
  });

  test('of rows of the same distribution: deviates about 0, and no alarm in a hundred batches', () => {
    const deviates: number[] = [];
    const alarms: Alarm[] = [];
    for (let seed = 0; seed < 10; seed++) {
      const { of } = stream(seed);
      for (let batch = 0; batch < 10; batch++) {
        const drift = of(batch % 2 ? 500 : 2000);
        deviates.push(drift.likelihoodZ);
        alarms.push(...alarmsOf(drift));
      }
    }
    assert.deepEqual(alarms, []);
    const mean = deviates.reduce((sum, z) => sum + z, 0) / deviates.length;
    // Batches share the earlier rows. Log-densities of these as they are would give about −2.
    assert.ok(Math.abs(mean) < 0.7, `mean deviate ${mean}`);
  });

  for (const [what, changed] of [
    ['moved by a quarter of a standard deviation', (x: number) => x + 1.3],
    ['5 % larger', (x: number) => 1.05 * x],
  ] as const)
    test(`rows that are ${what} are found in batches of 500`, () => {
      const found = Array.from(
        { length: 10 },
        (_, seed) => alarmsOf(stream(seed).of(500, changed)).length > 0,
      );
      assert.ok(found.filter(Boolean).length >= 9, `${found}`);
    });

  test('rows with more noise, and of some of the clusters alone', () => {
    const { of, normal } = stream(3);
    assert.ok(alarmsOf(of(500, (x) => x + 1.5 * normal())).includes('unlike'));
    const some = of(500, (x) => x, 3);
    assert.deepEqual(alarmsOf(some), ['shares']);
    assert.ok(Math.abs(some.moved - 0.5) < 0.1);
  });

  test('a single row is no drift', () => {
    const { of } = stream(5);
    for (let i = 0; i < 20; i++) assert.deepEqual(alarmsOf(of(1)), []);
  });
});
