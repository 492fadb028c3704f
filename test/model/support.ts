// Shared by the tests of model/: rows and their statistics by definition, random inputs, comparisons.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { cholesky, invertLower } from '../../model/linalg.ts';
import type { Mixture } from '../../model/mixture.ts';
import { type Covariance, statisticsLength } from '../../model/statistics.ts';

export const COVARIANCES: Covariance[] = ['full', 'diag'];

type Arbitraries<T extends [unknown, ...unknown[]]> = { [K in keyof T]: fc.Arbitrary<T[K]> };

/** Asserts that this holds for any values, 100 times or as many as are said. */
export function forAll<T extends [unknown, ...unknown[]]>(
  arbitraries: [...Arbitraries<T>],
  ...[a, b]: [holds: (...values: T) => unknown] | [numRuns: number, holds: (...values: T) => unknown]
): void {
  const [numRuns, holds] = b ? [a as number, b] : [100, a as (...values: T) => unknown];
  fc.assert(
    fc.property(...arbitraries, (...values: T) => holds(...values) !== false),
    { numRuns },
  );
}

/** The same of what is asynchronous. */
export async function forAllAsync<T extends [unknown, ...unknown[]]>(
  arbitraries: [...Arbitraries<T>],
  numRuns: number,
  holds: (...values: T) => Promise<void>,
): Promise<void> {
  await fc.assert(fc.asyncProperty(...arbitraries, holds), { numRuns });
}

export interface ScipyValues {
  multigammaln: { a: number; d: number; value: number }[];
  marginals: (Prior & { rows: number[]; weights: number[]; full: number; diag: number })[];
  ratios: (Prior & { parts: number[][]; alpha: number; zeta: number; value: number })[];
  eigen: { d: number; a: number[]; values: number[]; vectors: number[]; logdet: number }[];
  densities: {
    d: number;
    weights: number[];
    means: number[][];
    covariances: number[][];
    x: number[];
    full: number[];
    diag: number[];
  }[];
}
interface Prior {
  d: number;
  mean: number[];
  kappa: number;
  nu: number;
  psi: number[];
}

export function scipyValues(): ScipyValues {
  return JSON.parse(readFileSync(new URL('./scipy_values.json', import.meta.url), 'utf8'));
}

/** |actual − expected| ≤ tolerance · max(1, |expected|), for numbers or, entry by entry, arrays. */
export function close(
  actual: number | ArrayLike<number>,
  expected: number | ArrayLike<number>,
  tolerance: number,
) {
  const a = typeof actual === 'number' ? [actual] : Array.from(actual);
  const e = typeof expected === 'number' ? [expected] : Array.from(expected);
  assert.equal(a.length, e.length);
  for (const [i, v] of a.entries()) {
    const within = Math.abs(v - e[i]) <= tolerance * Math.max(1, Math.abs(e[i]));
    assert.ok(within, `entry ${i}: ${v} is not within ${tolerance} of ${e[i]}`);
  }
}

/** Adds one row `x[xOffset .. xOffset + d)` with the given weight to the statistics that start at `T[offset]`. */
export function accumulate(
  T: Float64Array,
  offset: number,
  x: Float32Array | Float64Array,
  xOffset: number,
  d: number,
  cov: Covariance,
  weight: number,
): void {
  T[offset] += weight;
  let p = offset + 1 + d;
  for (let i = 0; i < d; i++) {
    const wx = weight * x[xOffset + i];
    T[offset + 1 + i] += wx;
    const end = cov === 'full' ? d : i + 1;
    for (let j = i; j < end; j++) T[p++] += wx * x[xOffset + j];
  }
}

export function statisticsOf(
  rows: ArrayLike<number>,
  d: number,
  cov: Covariance,
  weights?: number[],
): Float64Array {
  const x = Float64Array.from(rows);
  const T = new Float64Array(statisticsLength(d, cov));
  for (let i = 0; i < x.length / d; i++) accumulate(T, 0, x, i * d, d, cov, weights?.[i] ?? 1);
  return T;
}

/** Calls `visit(i, j, p)` for each second moment S_ij in T, with p its index in T. */
export function eachMoment(
  d: number,
  cov: Covariance,
  visit: (i: number, j: number, p: number) => void,
): void {
  let p = 1 + d;
  for (let i = 0; i < d; i++) {
    const end = cov === 'full' ? d : i + 1;
    for (let j = i; j < end; j++) visit(i, j, p++);
  }
}

/** log π_k + log N(x; μ_k, Σ_k) by definition, without dropping constants, of rows x (n×D, unscaled); n×K row-major. */
export function logDensities(mixture: Mixture, x: Float32Array | Float64Array): Float64Array {
  const { k: K, d, weights, means } = mixture;
  const n = x.length / d;
  const out = new Float64Array(n * K);
  for (let k = 0; k < K; k++) {
    const l = cholesky(fullCovariance(mixture, k), d)!;
    const inverse = invertLower(l, d);
    let constant = Math.log(weights[k]) - (d / 2) * Math.log(2 * Math.PI);
    for (let i = 0; i < d; i++) constant -= Math.log(l[i * d + i]);
    for (let r = 0; r < n; r++) {
      let squares = 0;
      for (let i = 0; i < d; i++) {
        let u = 0;
        for (let j = 0; j <= i; j++) u += inverse[i * d + j] * (x[r * d + j] - means[k][j]);
        squares += u * u;
      }
      out[r * K + k] = constant - squares / 2;
    }
  }
  return out;
}

/** Σ_k, D×D. */
export function fullCovariance({ d, covariance, covariances }: Mixture, k: number): Float64Array {
  const sigma = covariances[k];
  if (covariance === 'full') return sigma;
  return Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) ? 0 : sigma[p / (d + 1)]));
}

/** D and n×D rows of moderate size. */
export function rowsArbitrary(
  least: number,
  most: number,
  maxD = 4,
): fc.Arbitrary<{ d: number; rows: number[] }> {
  return fc
    .integer({ min: 1, max: maxD })
    .chain((d) =>
      fc
        .integer({ min: least, max: most })
        .chain((n) =>
          fc
            .array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: n * d, maxLength: n * d })
            .map((rows) => ({ d, rows })),
        ),
    );
}

/** A lower triangular D×D matrix whose inverse is not large. */
export function triangular(seed: number, d: number): Float64Array {
  const next = normals(seed);
  return Float64Array.from({ length: d * d }, (_, p) => {
    const [i, j] = [Math.floor(p / d), p % d];
    return i < j ? 0 : i === j ? Math.exp(next() / 2) : next();
  });
}

/** A positive definite D×D matrix, with `diag` the diagonal of one. */
export function positiveDefinite(seed: number, d: number, covariance: Covariance): Float64Array {
  const l = triangular(seed, d);
  const full = product(l, transposed(l, d), d);
  return covariance === 'full' ? full : full.filter((_, p) => p % (d + 1) === 0);
}

export const transposed = (a: Float64Array, d: number) => a.map((_, p) => a[(p % d) * d + Math.floor(p / d)]);

/** A·B, both D×D. */
export function product(a: Float64Array, b: Float64Array, d: number): Float64Array {
  return a.map((_, p) => {
    const [i, j] = [Math.floor(p / d), p % d];
    let sum = 0;
    for (let q = 0; q < d; q++) sum += a[i * d + q] * b[q * d + j];
    return sum;
  });
}

/** Standard normal numbers from a small generator that is independent of the code under test. */
export function normals(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** n rows of a D-dimensional standard normal, moved by `by`. */
export function normalRows(seed: number, n: number, d: number, by: number[] = []): number[] {
  const next = normals(seed);
  return Array.from({ length: n * d }, (_, p) => next() + (by[p % d] ?? 0));
}
