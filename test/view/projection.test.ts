import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { symmetricEigen } from '../../model/linalg.ts';
import { generator } from '../../model/random.ts';
import {
  alignAxes,
  dot,
  inPicture,
  leadingAxes,
  notNegligible,
  pooledCovariance,
  projectCovariance,
  projectRows,
  times,
  trace,
} from '../../view/projection.ts';
import { normal, uniform } from '../web/world.ts';

const near = (a: number, b: number, what = '') =>
  assert.ok(Math.abs(a - b) < 1e-6 * (1 + Math.abs(b)), `${what} ${a} ≠ ${b}`);
const identity = (d: number) => Float64Array.from({ length: d * d }, (_, p) => Number(p % (d + 1) === 0));

test('a few clusters far from all others neither choose the axes nor the extent; more of them do', () => {
  const ring = (k: number) => Array.from({ length: k }, (_, c) => [3 * Math.cos(c), 3 * Math.sin(c), 0]);
  const shown = (far: number[][], k = 8, weights: number[] = []) => {
    const centres = [...ring(k), ...far];
    const all = centres.map((_, c) => weights[c - k] ?? 1);
    return inPicture(all, centres, new Float64Array(centres.length).fill(1)).slice(k);
  };
  const x = [0, 0, 90];
  assert.deepEqual(shown([x]), [false]);
  assert.deepEqual(shown([[0, 0, 8]]), [true], 'not far');
  assert.deepEqual(shown([x], 8, [4]), [true], 'a third of the weight');
  assert.deepEqual(shown([x], 1), [true], 'one of two');
  assert.deepEqual(shown([x, [0, 90, 0]]), [true, true], 'a fifth of the clusters');
  assert.deepEqual(shown([x, [0, 0, -900]], 18), [false, false], 'both, however unlike');
  assert.deepEqual(shown([x, [Number.NaN, 0, 0]]), [false, false]);
  const means = [...ring(8), x];
  for (const axis of leadingAxes(
    means.map(() => 1),
    means,
    identity(3),
    2,
  ).axes)
    near(axis[2], 0);
});

function random(k: number, d: number, seed = 1) {
  const draw = uniform(seed);
  const means = Array.from({ length: k }, () => Array.from({ length: d }, (_, i) => normal(draw) * (d - i)));
  const raw = means.map(() => 0.1 + draw());
  const total = raw.reduce((a, b) => a + b);
  return { means, weights: raw.map((w) => w / total) };
}

test('clusters with less than a hundredth of the weight together do not choose the axes', () => {
  const means = [
    [0, 0, 0],
    [3, 0, 0],
    [0, 2, 0],
    [0, 0, 1000],
  ];
  const weights = [400, 300, 299, 1];
  const { axes, shares } = leadingAxes(weights, means, identity(3), 2);
  for (const axis of axes) near(axis[2], 0);
  near(shares[0] + shares[1], 1);
  assert.deepEqual(notNegligible(weights), [true, true, true, false]);
  assert.deepEqual(notNegligible([98, 1, 1]), [true, true, true], 'each has a hundredth');
  assert.deepEqual(notNegligible([1000, 1]), [true, true], 'one alone has no axes');
});

/** Σ w (μ−m)(μ−m)ᵀ from its definition. */
function scatterOf(weights: number[], means: number[][]): Float64Array {
  const d = means[0].length;
  const m = means[0].map((_, i) => means.reduce((s, mean, c) => s + weights[c] * mean[i], 0));
  const out = new Float64Array(d * d);
  means.forEach((mean, c) => {
    for (let a = 0; a < d; a++)
      for (let b = 0; b < d; b++) out[a * d + b] += weights[c] * (mean[a] - m[a]) * (mean[b] - m[b]);
  });
  return out;
}

for (const [k, d] of [
  [12, 5],
  [5, 12],
  [4, 4],
])
  test(`leading axes of ${k} means in ${d} dimensions are eigenvectors, largest first`, () => {
    const { means, weights } = random(k, d);
    const scatter = scatterOf(weights, means);
    const { axes, shares } = leadingAxes(weights, means, identity(d), 3);
    assert.equal(axes.length, 3);
    axes.forEach((axis, a) => {
      axes.forEach((other, b) => {
        near(dot(axis, other), Number(a === b), 'orthonormal');
      });
      const image = times(scatter, axis, d);
      const value = dot(image, axis);
      image.forEach((v, i) => {
        near(v, value * axis[i], 'eigenvector');
      });
      near(value / trace(scatter, d), shares[a], 'share');
    });
    assert.ok(shares[0] >= shares[1] && shares[1] >= shares[2]);
    // No direction has more scatter than the first.
    const draw = uniform(5);
    for (let i = 0; i < 200; i++) {
      const v = Float64Array.from({ length: d }, () => normal(draw));
      assert.ok(dot(times(scatter, v, d), v) / dot(v, v) <= shares[0] * trace(scatter, d) * (1 + 1e-9));
    }
  });

test('one cluster: the directions of largest variance', () => {
  const within = Float64Array.of(1, 0.2, 0, 0.2, 9, 0, 0, 0, 4);
  const { axes, shares, origin } = leadingAxes([1], [[3, 4, 5]], within, 3);
  assert.deepEqual([...origin], [3, 4, 5]);
  assert.deepEqual(shares, [0, 0, 0]);
  assert.ok(Math.abs(axes[0][1]) > 0.999 && Math.abs(axes[1][2]) > 0.999, String(axes));
});

test('two clusters: the line between them, then the widest orthogonal direction; also with diagonals', () => {
  const { axes, shares } = leadingAxes(
    [0.5, 0.5],
    [
      [0, 0, 0],
      [2, 0, 0],
    ],
    Float64Array.of(50, 1, 3),
    3,
  );
  near(Math.abs(axes[0][0]), 1);
  near(Math.abs(axes[1][2]), 1);
  near(Math.abs(axes[2][1]), 1);
  near(shares[0], 1);
});

test('one dimension has one axis, two have two; equal means and no variance give no NaN', () => {
  assert.equal(leadingAxes([0.3, 0.7], [[1], [2]], Float64Array.of(1), 3).axes.length, 1);
  const { axes } = leadingAxes(
    [0.5, 0.5],
    [
      [1, 1],
      [1, 1],
    ],
    new Float64Array(4),
    3,
  );
  assert.equal(axes.length, 2);
  for (const axis of axes) near(dot(axis, axis), 1);
});

test('axes keep their direction', () => {
  const axes = [Float64Array.of(0, 1), Float64Array.of(1, 0)];
  alignAxes(axes, [Float64Array.of(0.1, -0.9), Float64Array.of(0.9, 0.1)]);
  assert.deepEqual(
    axes.map((axis) => [...axis]),
    [
      [-0, -1],
      [1, 0],
    ],
  );
  alignAxes(axes, [Float64Array.of(1, 0, 0)]);
  assert.deepEqual([...axes[0]], [-0, -1], 'axes of another dimension are ignored');
});

test('rows and covariances are projected on the same axes, with the scale', () => {
  const { means, weights } = random(6, 4, 3);
  const frame = leadingAxes(weights, means, identity(4), 3);
  const scale = [2, 1, 0.5, 3];
  const row = [0.3, -1, 2, 0.7];
  const found = projectRows(Float32Array.from(row), scale, frame, 3);
  frame.axes.forEach((axis, a) => {
    const want = row.reduce((s, v, i) => s + (v * scale[i] - frame.origin[i]) * axis[i], 0);
    assert.ok(Math.abs(found[a] - want) < 1e-5);
  });
  const draw = uniform(9);
  const l = Float64Array.from({ length: 16 }, () => normal(draw));
  const full = Float64Array.from({ length: 16 }, (_, p) =>
    dot(l.slice(4 * (p >> 2), 4 * (p >> 2) + 4), l.slice(4 * (p % 4), 4 * (p % 4) + 4)),
  );
  const small = projectCovariance(full, frame.axes, 3);
  for (let a = 0; a < 3; a++)
    for (let b = 0; b < 3; b++) near(small[3 * a + b], dot(times(full, frame.axes[a], 4), frame.axes[b]));
  const diagonal = projectCovariance([1, 2, 3, 4], frame.axes, 3);
  const same = projectCovariance([1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4], frame.axes, 3);
  diagonal.forEach((v, i) => {
    near(v, same[i]);
  });
});

describe('with two axes', () => {
  const projected = (means: number[][], covariance: number[], weights = means.map(() => 1 / means.length)) =>
    leadingAxes(
      weights,
      means,
      pooledCovariance(
        weights,
        means.map(() => covariance),
      ),
      2,
    );

  test('the axes are the leading eigenvectors of the scatter between clusters', () => {
    const d = 6;
    const draw = generator(1n, 'axes');
    const means = Array.from({ length: 9 }, () =>
      Array.from({ length: d }, (_, i) => draw.normal() * (i + 1)),
    );
    const raw = means.map(() => draw.uniform());
    const total = raw.reduce((a, b) => a + b);
    const weights = raw.map((weight) => weight / total);
    const { values, vectors } = symmetricEigen(scatterOf(weights, means), d);
    const { axes, shares } = projected(means, Array(d).fill(1), weights);
    const all = values.reduce((a, b) => a + b);
    for (const i of [0, 1]) {
      assert.ok(Math.abs(dot(axes[i], vectors.subarray(i * d, (i + 1) * d))) > 1 - 1e-6);
      assert.ok(Math.abs(shares[i] - values[i] / all) < 1e-6);
    }
    assert.ok(Math.abs(dot(axes[0], axes[1])) < 1e-9);
  });

  test('K = 1: the leading axes within the cluster; K = 2: one between, one within', () => {
    const covariance = [1, 0, 0, 0, 9, 0, 0, 0, 4];
    const one = projected([[5, 5, 5]], covariance);
    assert.deepEqual(one.shares, [0, 0]);
    assert.ok(Math.abs(one.axes[0][1]) > 0.999 && Math.abs(one.axes[1][2]) > 0.999);
    const two = projected(
      [
        [0, 0, 0],
        [8, 0, 0],
      ],
      covariance,
    );
    assert.deepEqual([two.shares[0].toFixed(6), two.shares[1]], ['1.000000', 0]);
    assert.ok(Math.abs(two.axes[0][0]) > 0.999 && Math.abs(two.axes[1][1]) > 0.999);
  });

  test('D = 1 has one axis; a mixture with zero covariances still has two', () => {
    assert.deepEqual(projected([[0], [3]], [1]).axes, [Float64Array.of(1)]);
    assert.equal(projected([[1, 2, 3]], [0, 0, 0]).axes.length, 2);
  });
});

test('the largest component of each axis is positive, whichever product was decomposed', () => {
  for (const [k, d] of [
    [12, 5],
    [5, 12],
    [2, 4],
  ])
    for (let seed = 0; seed < 5; seed++) {
      const { means, weights } = random(k, d, seed);
      for (const axis of leadingAxes(weights, means, identity(d), 3).axes)
        assert.ok(axis.reduce((best, v) => (Math.abs(v) > Math.abs(best) ? v : best), 0) > 0);
    }
});
