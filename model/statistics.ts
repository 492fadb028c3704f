/**
 * Sufficient statistics T = Σ w·φ(x) of a weighted set of D-dimensional rows (docs/algorithm.md, Notation), one flat float64
 * array in the order of φ:
 * full, φ(x) = (1, x, vech(xxᵀ)): `[n, s_1..s_D, S_11, S_12.., S_1D, S_22, ..]`, the upper triangle row by row;
 * diag, φ(x) = (1, x, x²): `[n, s_1..s_D, S_11, S_22, .. S_DD]`.
 */

/** Which part of S = Σ w·xxᵀ is kept: the entire matrix, or its diagonal. */
export const COVARIANCES = ['full', 'diag'] as const;
export type Covariance = (typeof COVARIANCES)[number];

/** P, the length of φ(x) and of T. */
export function statisticsLength(d: number, cov: Covariance): number {
  return cov === 'full' ? 1 + d + (d * (d + 1)) / 2 : 1 + 2 * d;
}

/**
 * The most columns of which devices compute full φ(x): of more it takes long to write, is large, and its products in float32 lose digits.
 * The coordinator then has E-steps of another form, and sums are those of (1,x)(1,x)ᵀ.
 */
export const WIDEST_PHI = 32;

/** Adds w·φ(x) of the row x that starts at `at` to T. */
export function addRow(
  T: Float64Array,
  rows: Float64Array,
  at: number,
  d: number,
  cov: Covariance,
  w = 1,
): void {
  T[0] += w;
  for (let a = 0, p = 1 + d; a < d; a++) {
    const weighted = w * rows[at + a];
    T[1 + a] += weighted;
    const end = cov === 'full' ? d : a + 1;
    for (let b = a; b < end; b++) T[p++] += weighted * rows[at + b];
  }
}

/** Adds Σ w_q·φ(x_q) of four rows, full, x[4·D] with x_q in every fourth place from q: T is read and written once for four. */
function addFour(T: Float64Array, x: Float64Array, w0: number, w1: number, w2: number, w3: number): void {
  const end = x.length;
  const d = end / 4;
  T[0] += w0 + w1 + w2 + w3;
  for (let a = 0, p = 1 + d; a < end; a += 4) {
    const v0 = w0 * x[a];
    const v1 = w1 * x[a + 1];
    const v2 = w2 * x[a + 2];
    const v3 = w3 * x[a + 3];
    T[1 + a / 4] += v0 + v1 + v2 + v3;
    for (let b = a; b < end; b += 4, p++) T[p] += v0 * x[b] + v1 * x[b + 1] + v2 * x[b + 2] + v3 * x[b + 3];
  }
}

/** Adds w_i·φ(x_i) of each of the rows with these numbers to T. */
export function addRows(
  T: Float64Array,
  rows: Float64Array,
  d: number,
  cov: Covariance,
  numbers: Int32Array,
  weights: Float64Array,
): void {
  const fours = cov === 'full' ? numbers.length - (numbers.length % 4) : 0;
  const x = new Float64Array(4 * d);
  for (let i = 0; i < fours; i += 4) {
    for (let q = 0; q < 4; q++)
      for (let a = 0, at = numbers[i + q] * d; a < d; a++) x[4 * a + q] = rows[at + a];
    addFour(T, x, weights[i], weights[i + 1], weights[i + 2], weights[i + 3]);
  }
  for (let i = fours; i < numbers.length; i++) addRow(T, rows, numbers[i] * d, d, cov, weights[i]);
}

/** Statistics of the union of two disjoint sets of rows. */
export function addStatistics(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, p) => value + b[p]);
}

/** The covariance of `rows` rows with these statistics, unbiased: D×D when full, its diagonal when diag. */
export const covarianceOf = (T: Float64Array, d: number, cov: Covariance, rows: number): Float64Array =>
  scatter(T, d, cov).map((value) => value / (rows - 1));

/** Statistics of the same rows with all weights multiplied by `w`. */
export function scaleStatistics(t: Float64Array, w: number): Float64Array {
  return t.map((value) => value * w);
}

/** x̄ = s/n; zeros for an empty set. */
export function mean(T: Float64Array, d: number): Float64Array {
  const out = new Float64Array(d);
  if (T[0] > 0) for (let i = 0; i < d; i++) out[i] = T[1 + i] / T[0];
  return out;
}

/** The scatter matrix S − n·x̄x̄ᵀ: D×D when full, its diagonal (D) when diag. */
export function scatter(T: Float64Array, d: number, cov: Covariance): Float64Array {
  const centre = mean(T, d);
  if (cov === 'diag') {
    const out = new Float64Array(d);
    for (let i = 0; i < d; i++) out[i] = T[1 + d + i] - T[1 + i] * centre[i];
    return out;
  }
  const out = new Float64Array(d * d);
  let p = 1 + d;
  for (let i = 0; i < d; i++) {
    for (let j = i; j < d; j++) out[i * d + j] = out[j * d + i] = T[p++] - T[1 + i] * centre[j];
  }
  return out;
}

/** Statistics of x, given those of y = x/scale (per dimension). */
export function unscale(T: Float64Array, scale: Float64Array, cov: Covariance): Float64Array {
  const d = scale.length;
  const out = T.slice();
  let p = 1 + d;
  for (let i = 0; i < d; i++) {
    out[1 + i] *= scale[i];
    const end = cov === 'full' ? d : i + 1;
    for (let j = i; j < end; j++) out[p++] *= scale[i] * scale[j];
  }
  return out;
}

/** Statistics of x + by, given those of x. */
export function shift(T: Float64Array, d: number, cov: Covariance, by: Float64Array): Float64Array {
  const out = T.slice();
  let p = 1 + d;
  for (let i = 0; i < d; i++) {
    out[1 + i] += T[0] * by[i];
    const end = cov === 'full' ? d : i + 1;
    for (let j = i; j < end; j++) out[p++] += T[1 + i] * by[j] + by[i] * T[1 + j] + T[0] * by[i] * by[j];
  }
  return out;
}

/** W, the numbers of a cluster's centre: its mean, and the root of its precision (model/description/distances.ts). */
export const centreWidth = (d: number, covariance: Covariance): number =>
  d + (covariance === 'full' ? (d * (d + 1)) / 2 : d);

/** Responsibilities too small to matter. */
export const NEGLIGIBLE = 1e-12;

/** Statistics of rows with these weights, [n,m], for each of m parts. */
export function softStatistics(
  rows: Float64Array,
  d: number,
  r: Float64Array,
  m: number,
  covariance: Covariance,
): Float64Array[] {
  const firsts = new Int32Array(m + 1);
  for (let p = 0; p < r.length; ) for (let j = 1; j <= m; j++, p++) if (!(r[p] < NEGLIGIBLE)) firsts[j]++;
  for (let j = 0; j < m; j++) firsts[j + 1] += firsts[j];
  const ends = firsts.slice(0, m);
  const numbers = new Int32Array(firsts[m]);
  const weights = new Float64Array(firsts[m]);
  for (let i = 0, p = 0; p < r.length; i++)
    for (let j = 0; j < m; j++, p++) {
      if (r[p] < NEGLIGIBLE) continue;
      numbers[ends[j]] = i;
      weights[ends[j]++] = r[p];
    }
  return Array.from({ length: m }, (_, j) => {
    const T = new Float64Array(statisticsLength(d, covariance));
    const [from, to] = [firsts[j], ends[j]];
    addRows(T, rows, d, covariance, numbers.subarray(from, to), weights.subarray(from, to));
    return T;
  });
}

/** Statistics of all rows together. */
export const totalOfRows = (rows: Float64Array, d: number, covariance: Covariance): Float64Array =>
  softStatistics(rows, d, new Float64Array(rows.length / d).fill(1), 1, covariance)[0];
