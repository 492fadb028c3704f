import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Mixture } from '../../../model/mixture.ts';
import { cellAround, withCells } from '../../../model/nets/cells.ts';
import { argmaxRows, clusteringNet, layersOf, logits, netShapes } from '../../../model/nets/net.ts';
import type { Covariance } from '../../../model/statistics.ts';
import { COVARIANCES, normals } from '../support.ts';

const D = 2;
const K = 3;
const next = normals(6);
const rowsAround = (rows: number, centre: number[], sd = 1) =>
  Array.from({ length: rows }, () => centre.map((value) => value + sd * next())).flat();

for (const hidden of [[6], [5, 4, 3]])
  describe(`cells of a net with ${hidden.length} hidden layers`, () => {
    const net = clusteringNet(3n, D, hidden, K);
    const gains = [12, 20];
    const after = withCells(net, [
      {
        ...{ from: 1, gain: gains[0] },
        sides: [
          { weights: Float64Array.of(-1, 0), bias: 2 },
          { weights: Float64Array.of(0, -0.5), bias: 0 },
        ],
      },
      { from: 0, gain: gains[1], sides: [{ weights: Float64Array.of(1, 1), bias: 3 }] },
    ]);

    test('leave the logits of other units as they are', () => {
      const widths = [D, ...hidden.map((width) => width + 3), K + 2];
      assert.deepEqual(after.shapes, netShapes(widths, 0));
      for (const arrays of [after.params, after.first, after.second])
        assert.deepEqual(
          arrays.map(({ length }) => length),
          after.shapes.map((shape) => shape.reduce((a, b) => a * b)),
        );
      const rows = Float32Array.from(rowsAround(100, [0, 0], 4));
      const [before, now] = [net, after].map((one) => logits(layersOf(one), rows));
      for (let i = 0; i < 100; i++)
        assert.deepEqual([...now.subarray(5 * i, 5 * i + K)], [...before.subarray(K * i, K * (i + 1))]);
    });

    test('give their units the logit of another, more within and less with the distance outside', () => {
      const rows = [3, 1, 1, 1, 0, -2, -3, -4];
      const now = logits(layersOf(after), Float32Array.from(rows));
      const outside = [
        [0, 7],
        [1, 5],
        [3, 1],
        [5 + 2, 0],
      ];
      for (const [i, [first, second]] of outside.entries()) {
        const own = now.subarray(5 * i, 5 * (i + 1));
        assert.ok(Math.abs(own[3] - (own[1] + gains[0] * (1 - first))) < 1e-3, `${i}`);
        assert.ok(Math.abs(own[4] - (own[0] + gains[1] * (1 - second))) < 1e-3, `${i}`);
      }
    });
  });

/** Three clusters, of which one is small and in reach of the second. */
function mixture(covariance: Covariance): Mixture {
  const of = (sd: number) =>
    covariance === 'full' ? Float64Array.of(sd ** 2, 0, 0, sd ** 2) : Float64Array.of(sd ** 2, sd ** 2);
  return {
    ...{ k: K, d: D, covariance, weights: Float64Array.of(0.6, 0.399, 0.001) },
    means: [
      [0, 0],
      [40, 0],
      [49, 0],
    ].map((mean) => Float64Array.from(mean)),
    covariances: [of(2), of(1), of(0.5)],
  };
}

for (const covariance of COVARIANCES)
  test(`the cell around a cluster has its rows and no others, ${covariance}`, () => {
    const scale = Float64Array.of(10, 5);
    // The second cluster cuts off the first.
    const sides = cellAround(mixture(covariance), 2, scale);
    assert.equal(sides.length, 1);
    const net = withCells(clusteringNet(1n, D, [4], 2), [{ from: 1, gain: 15, sides }]);
    const labels = (rows: number[]) =>
      argmaxRows(
        logits(
          layersOf(net),
          Float32Array.from(rows, (value, i) => value / scale[i % D]),
        ),
        K,
      );
    const own = labels(rowsAround(500, [49, 0], 0.5));
    assert.ok(own.every((label) => label === 2));
    for (const [sd, centre] of [
      [1, [40, 0]],
      [2, [0, 0]],
    ] as const)
      assert.ok(labels(rowsAround(500, [...centre], sd)).every((label) => label !== 2));
    // Where both densities are equal: farther from the cluster with more rows and the larger variance.
    const border = (x: number) => labels([x, 0])[0];
    assert.deepEqual(
      [border(44), border(46.1), border(46.4)].map((label) => label === 2),
      [false, false, true],
    );
  });
