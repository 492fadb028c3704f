import assert from 'node:assert/strict';
import test from 'node:test';
import { symmetricEigen } from '../../../model/linalg.ts';
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
} from '../../../page/drawing/projection.ts';
import { normal, uniform } from '../browser/world.ts';

const near = (a: number, b: number, what = '') =>
  assert.ok(Math.abs(a - b) < 1e-6 * (1 + Math.abs(b)), `${what} ${a} ≠ ${b}`);
const identity = (d: number) => Float64Array.from({ length: d * d }, (_, p) => Number(p % (d + 1) === 0));

function random(k: number, d: number, seed = 1) {
  const draw = uniform(seed);
  const means = Array.from({ length: k }, () => Array.from({ length: d }, (_, i) => normal(draw) * (d - i)));
  const raw = means.map(() => 0.1 + draw());
  const total = raw.reduce((a, b) => a + b);
  return { means, weights: raw.map((w) => w / total) };
}

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
  const { axes } = leadingAxes(Array(9).fill(1), [...ring(8), x], identity(3), 2);
  for (const axis of axes) near(axis[2], 0);
});

test('clusters with less than a hundredth of the weight together do not choose the axes', () => {
  const means = ['0 0 0', '3 0 0', '0 2 0', '0 0 1000'].map((row) => row.split(' ').map(Number));
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
  test(`axes of ${k} means in ${d} dimensions are the leading eigenvectors of their scatter`, () => {
    for (let seed = 1; seed < 5; seed++) {
      const { means, weights } = random(k, d, seed);
      const scatter = scatterOf(weights, means);
      const { values, vectors } = symmetricEigen(scatter, d);
      const { axes, shares } = leadingAxes(weights, means, identity(d), 3);
      assert.equal(axes.length, 3);
      for (const [a, axis] of axes.entries()) {
        near(Math.abs(dot(axis, vectors.subarray(a * d, (a + 1) * d))), 1, 'eigenvector');
        near(shares[a], values[a] / trace(scatter, d), 'share');
        // The largest component is positive, whichever product was decomposed.
        assert.ok(axis.reduce((best, v) => (Math.abs(v) > Math.abs(best) ? v : best), 0) > 0);
      }
    }
  });

test('of one cluster the widest directions; of two the line between them first; also of diagonals', () => {
  const within = Float64Array.of(1, 0.2, 0, 0.2, 9, 0, 0, 0, 4);
  const one = leadingAxes([1], [[3, 4, 5]], within, 3);
  assert.deepEqual([...one.origin], [3, 4, 5]);
  assert.deepEqual(one.shares, [0, 0, 0]);
  assert.ok(Math.abs(one.axes[0][1]) > 0.999 && Math.abs(one.axes[1][2]) > 0.999, String(one.axes));
  const ends = [
    [0, 0, 0],
    [2, 0, 0],
  ];
  const two = leadingAxes([0.5, 0.5], ends, Float64Array.of(50, 1, 3), 3);
  for (const [axis, i] of [0, 2, 1].entries()) near(Math.abs(two.axes[axis][i]), 1);
  near(two.shares[0], 1);
});

test('one dimension has one axis; equal means and no variance give no NaN', () => {
  assert.deepEqual(leadingAxes([0.3, 0.7], [[1], [2]], Float64Array.of(1), 3).axes, [Float64Array.of(1)]);
  const same = Array.from({ length: 2 }, () => [1, 1]);
  const { axes } = leadingAxes([0.5, 0.5], same, new Float64Array(4), 3);
  assert.equal(axes.length, 2);
  for (const axis of axes) near(dot(axis, axis), 1);
});

test('covariances are pooled by weight; axes keep their direction', () => {
  const pooled = pooledCovariance(
    [1, 3],
    [
      [4, 8],
      [0, 4],
    ],
  );
  assert.deepEqual([...pooled], [1, 5]);
  const axes = [Float64Array.of(0, 1), Float64Array.of(1, 0)];
  alignAxes(axes, [Float64Array.of(0.1, -0.9), Float64Array.of(0.9, 0.1)]);
  assert.deepEqual(axes, [Float64Array.of(-0, -1), Float64Array.of(1, 0)]);
  alignAxes(axes, [Float64Array.of(1, 0, 0)]);
  assert.deepEqual(axes[0], Float64Array.of(-0, -1), 'axes of another dimension are ignored');
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
  const full = scatterOf(weights, means);
  const small = projectCovariance(full, frame.axes, 3);
  for (let a = 0; a < 3; a++)
    for (let b = 0; b < 3; b++) near(small[3 * a + b], dot(times(full, frame.axes[a], 4), frame.axes[b]));
  const diagonal = projectCovariance([1, 2, 3, 4], frame.axes, 3);
  const same = projectCovariance([1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4], frame.axes, 3);
  for (const [i, v] of diagonal.entries()) near(v, same[i]);
});
