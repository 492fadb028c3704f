import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { centresOf, distanceFrom, reachOf } from '../../model/description/distances.ts';
import { mStep } from '../../model/gaussian/mstep.ts';
import { niwPrior } from '../../model/gaussian/niw.ts';
import { type FarRows, missedClusters, totalOf } from '../../model/missed.ts';
import type { Covariance } from '../../model/statistics.ts';
import { COVARIANCES, normals, statisticsOf } from './support.ts';

const D = 3;
const identity = (covariance: Covariance) =>
  covariance === 'full'
    ? Float64Array.from({ length: D * D }, (_, p) => (p % (D + 1) === 0 ? 1 : 0))
    : new Float64Array(D).fill(1);
const priorOf = (covariance: Covariance) =>
  niwPrior({
    ...{ mean: new Float64Array(D), kappa: 1e-4, nu: 2 * D + 1, covariance, estimate: 'mean' },
    psi: identity(covariance).map((value) => D * value),
  });

/** The rows that are far from all of these clusters, a share of them, and the statistics of all rows. */
function farFrom(clusters: number[][][], covariance: Covariance, shareKept = 1) {
  const prior = priorOf(covariance);
  const T = clusters.map((rows) => statisticsOf(rows.flat(), D, covariance));
  const centres = centresOf(mStep(prior, T, 0));
  const reach = reachOf(D);
  const all = clusters.flatMap((rows, label) => rows.map((row) => ({ row, label })));
  const far = all.filter(({ row }) => clusters.every((_, c) => distanceFrom(centres, c, row) > reach));
  const kept = far.filter((_, i) => (i + 1) * shareKept >= 1 + Math.floor(i * shareKept));
  const given: FarRows = {
    rows: Float32Array.from(kept.flatMap(({ row }) => row)),
    labels: Int32Array.from(kept, ({ label }) => label),
    share: kept.length / far.length,
  };
  return { prior, T, given };
}

const blob = (next: () => number, rows: number, centre: number[], sd = 1) =>
  Array.from({ length: rows }, () => centre.map((value) => value + sd * next()));

describe('clusters that were missed', () => {
  for (const covariance of COVARIANCES)
    for (const share of [1, 0.5])
      test(`far from those that they are labelled with, ${covariance}, ${share} of the rows kept`, () => {
        const next = normals(5);
        const rare = [blob(next, 120, [12, 0, 0]), blob(next, 90, [0, -9, 9], 0.5)];
        const single = blob(next, 8, [0, 0, 0], 30);
        const clusters = [
          [...blob(next, 20_000, [0, 0, 0]), ...rare[0], ...rare[1].slice(30), ...single],
          [...blob(next, 20_000, [0, 30, 0]), ...rare[1].slice(0, 30)],
        ];
        const { prior, T, given } = farFrom(clusters, covariance, share);
        const by = { prior, alpha: 10, within: identity(covariance) };
        const found = missedClusters(by, T, given, 10);
        const sizes = found.map(({ parts }) => totalOf(parts)[0]).sort((a, b) => b - a);
        assert.equal(found.length, 2);
        for (const [i, { length }] of rare.entries())
          assert.ok(Math.abs(sizes[i] - length) < (share < 1 ? 0.2 : 0.03) * length, `${sizes}`);
        const [both] = found.filter(({ parts }) => parts.length === 2);
        assert.deepEqual(both.parts.map(({ label }) => label).sort(), [0, 1]);
        // No more than there is room for.
        assert.equal(missedClusters(by, T, given, 1).length, 1);
      });

  const none = (rows: number[][], least: number) => {
    const { prior, T, given } = farFrom([rows], 'full');
    assert.ok(given.labels.length >= least, `${given.labels.length}`);
    assert.deepEqual(missedClusters({ prior, alpha: 10, within: identity('full') }, T, given, 10), []);
  };

  test('are none in heavy tails on all sides', () => {
    const next = normals(8);
    const t = () => Math.sqrt(3 / (next() ** 2 + next() ** 2 + next() ** 2));
    none(
      Array.from({ length: 50_000 }, () => {
        const scale = t();
        return [next() * scale, next() * scale, next() * scale];
      }),
      300,
    );
  });

  test('are none in a heavy tail on one side, which is a part of what it is the tail of', () => {
    const next = normals(9);
    none(
      Array.from({ length: 50_000 }, () => [Math.exp(next()), next(), next()]),
      100,
    );
  });

  /** The missed clusters where these rows of a cluster are far. */
  const among = (far: number[][], rows: number[][]) => {
    const given = { rows: Float32Array.from(far.flat()), labels: new Int32Array(far.length), share: 1 };
    const by = { prior: priorOf('full'), alpha: 10, within: identity('full') };
    return missedClusters(by, [statisticsOf(rows.flat(), D, 'full')], given, 10);
  };

  test('in the same cluster, one beyond the other, of which the first is explained until the second is gone', () => {
    const next = normals(12);
    const rare = [...blob(next, 60, [14, 0, 0], 0.5), ...blob(next, 60, [28, 0, 0])];
    assert.equal(among(rare, [...blob(next, 1000, [0, 0, 0]), ...rare]).length, 2);
  });

  test('are none in a piece of a wide cluster', () => {
    const next = normals(11);
    const rows = blob(next, 20_000, [0, 0, 0], 6);
    const piece = rows.filter(([x, y, z]) => Math.hypot(x - 6, y, z) < 2);
    assert.ok(piece.length > 25);
    assert.deepEqual(among(piece, rows), []);
  });

  test('are none in a few rows, however near each other', () => {
    const next = normals(10);
    none([...blob(next, 20_000, [0, 0, 0]), ...blob(next, 20, [15, 0, 0], 0.1)], 20);
  });
});
