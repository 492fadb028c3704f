import { canonicalSign, congruent, symmetricEigen, unwhitened, whitened } from './linalg.ts';
import { generator, type Seed } from './random.ts';

/** The leading eigenpairs of a large symmetric matrix, without the others, by a block Lanczos method; how many of them are signal; a sketch where columns are very many. */

/** Up to this D, the full decomposition is as fast for tens of accurate eigenpairs, and for a few rough ones. */
const SMALL = 400;
export const SMALL_IF_ROUGH = 32;
/** Residuals of a converged pair, relative to the largest eigenvalue; rounding leaves about a tenth of it. */
const TOLERANCE = 2 ** -40;
/** Vectors in a block beyond the wanted ones: they speed up the convergence of the last of these. */
const SURPLUS = 8;
/** Blocks in a basis at which it is reduced to the best vectors. */
const MOST_BLOCKS = 5;
/** Products with the matrix, per column, from which on the full decomposition would have been faster. */
const MOST_PRODUCTS = 4;

/**
 * The `count` largest eigenvalues (descending) and their orthonormal eigenvectors (row i belongs to value i) of a symmetric
 * positive semi-definite D×D matrix, to nearly machine precision; signs as in `symmetricEigen`.
 *
 * Thick-restart block Lanczos with full reorthogonalisation and Rayleigh–Ritz (Wu & Simon, SIAM J. Matrix Anal. Appl. 22,
 * 2000), from random vectors that are always the same. A block has more vectors than are wanted, so that repeated
 * eigenvalues are found as often as they occur. Where D is small, most eigenpairs are wanted, or they hardly differ from
 * the rest, it is the full decomposition instead.
 *
 * With a larger `tolerance`, of residuals relative to the largest eigenvalue, vectors may span less than the leading eigenvectors
 * do. They are orthonormal and uncorrelated (vᵀAw = 0) all the same, and each value is exactly vᵀAv.
 */
export function leadingEigen(
  a: Float64Array,
  d: number,
  count: number,
  tolerance = TOLERANCE,
): { values: Float64Array; vectors: Float64Array } {
  const images = (vectors: Float64Array[]) => multiply(a, d, vectors);
  const found =
    d > SMALL && MOST_BLOCKS * (count + SURPLUS) < d ? blockLanczos(images, d, count, tolerance) : null;
  return found ?? fullyDecomposed(a, d, count);
}

/**
 * The same for a few eigenvectors that need only span nearly as much: axes along which rows are proposed to be split. Of L·A·Lᵀ if a
 * lower triangular `l` is given. The matrix may have negative eigenvalues besides. Up to 32 columns it is the full decomposition.
 */
export function roughLeadingEigen(
  a: Float64Array,
  d: number,
  count: number,
  tolerance: number,
  l: Float64Array | null = null,
) {
  const images = (vectors: Float64Array[]) => {
    if (!l) return multiply(a, d, vectors);
    const unmapped = vectors.map((vector) => unwhitened(l, vector));
    return multiply(a, d, unmapped).map((vector) => whitened(l, vector));
  };
  const found =
    d > SMALL_IF_ROUGH && MOST_BLOCKS * (count + SURPLUS) < d
      ? blockLanczos(images, d, count, tolerance)
      : null;
  return found ?? fullyDecomposed(l ? congruent(l, a, d) : a, d, count);
}

function fullyDecomposed(a: Float64Array, d: number, count: number) {
  const { values, vectors } = symmetricEigen(a, d);
  return { values: values.slice(0, count), vectors: vectors.slice(0, count * d) };
}

/** An orthonormal basis, and the products of its vectors with the matrix. */
interface Basis {
  vectors: Float64Array[];
  products: Float64Array[];
}

/** `multiply`: the products of vectors with the matrix. Null if it does not converge. */
function blockLanczos(
  multiply: (vectors: Float64Array[]) => Float64Array[],
  d: number,
  count: number,
  tolerance: number,
) {
  const block = count + SURPLUS;
  const { normal } = generator(0n, 'leading-eigen');
  let basis: Basis = { vectors: [], products: [] };
  let candidates: Float64Array[] = Array.from({ length: block }, () =>
    Float64Array.from({ length: d }, normal),
  );
  let negligible = 0;
  let products = 0;
  while (products <= MOST_PRODUCTS * d) {
    const added = orthonormalized(candidates, basis.vectors, negligible);
    const images = multiply(added);
    products += added.length;
    basis = { vectors: [...basis.vectors, ...added], products: [...basis.products, ...images] };
    negligible = 0.1 * TOLERANCE * Math.max(...basis.products.map(norm));
    if (added.length && basis.vectors.length + block <= MOST_BLOCKS * block) {
      candidates = images;
      continue;
    }
    const { values, vectors, products: next } = rayleighRitz(basis, block);
    const residuals: Float64Array[] = vectors.map((vector, i) => plus(next[i].slice(), -values[i], vector));
    if (residuals.slice(0, count).every((residual) => norm(residual) <= tolerance * values[0]))
      return {
        values: values.slice(0, count),
        vectors: Float64Array.from({ length: count * d }, (_, p) => vectors[Math.floor(p / d)][p % d]),
      };
    if (!added.length) return null;
    basis = { vectors, products: next };
    candidates = residuals;
  }
  return null;
}

/** Orthonormal vectors that span, with `basis`, all of `candidates`, but for what is shorter than `negligible`. */
function orthonormalized(
  candidates: Float64Array[],
  basis: Float64Array[],
  negligible: number,
): Float64Array[] {
  const added: Float64Array[] = [];
  for (const candidate of candidates) {
    const vector = candidate.slice();
    // Twice is enough (Giraud et al. 2005); normalized in between, as what is left of a vector is mostly rounding error.
    let isNew = true;
    for (let pass = 0; pass < 2 && isNew; pass++) {
      for (const other of basis) plus(vector, -dot(vector, other), other);
      for (const other of added) plus(vector, -dot(vector, other), other);
      const length = norm(vector);
      isNew = pass === 0 ? length > negligible : length > 0;
      for (let i = 0; i < vector.length; i++) vector[i] /= length;
    }
    if (isNew) added.push(vector);
  }
  return added;
}

/** The best approximations of eigenpairs in the span of a basis, at most `most`, and their products with the matrix. */
function rayleighRitz({ vectors, products }: Basis, most: number) {
  const size = vectors.length;
  const projected = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j <= i; j++)
      projected[i * size + j] = projected[j * size + i] =
        (dot(vectors[i], products[j]) + dot(vectors[j], products[i])) / 2;
  const ritz = symmetricEigen(projected, size);
  const combine = (rows: Float64Array[], i: number) => {
    const out = new Float64Array(rows[0].length);
    for (let j = 0; j < size; j++) plus(out, ritz.vectors[i * size + j], rows[j]);
    return out;
  };
  const kept = [...Array(Math.min(most, size)).keys()].map((i) => {
    const vector = combine(vectors, i);
    const sign = canonicalSign(vector);
    const signed = (values: Float64Array) => values.map((value) => sign * value);
    return { vector: signed(vector), product: signed(combine(products, i)) };
  });
  return {
    values: ritz.values,
    vectors: kept.map(({ vector }) => vector),
    products: kept.map(({ product }) => product),
  };
}

/** The products of vectors with a symmetric D×D matrix. */
function multiply(a: Float64Array, d: number, vectors: Float64Array[]): Float64Array[] {
  const out = vectors.map(() => new Float64Array(d));
  for (let i = 0; i < d; i++) {
    const row = a.subarray(i * d, (i + 1) * d);
    for (let v = 0; v < vectors.length; v++) out[v][i] = dot(row, vectors[v]);
  }
  return out;
}

function dot(x: Float64Array, y: Float64Array): number {
  // Four sums: a single one would wait for each addition.
  let [a, b, c, e] = [0, 0, 0, 0];
  let i = 0;
  for (const end = x.length - 3; i < end; i += 4) {
    a += x[i] * y[i];
    b += x[i + 1] * y[i + 1];
    c += x[i + 2] * y[i + 2];
    e += x[i + 3] * y[i + 3];
  }
  for (; i < x.length; i++) a += x[i] * y[i];
  return a + b + (c + e);
}

const norm = (x: Float64Array) => Math.sqrt(dot(x, x));

/** Adds factor·y to x, in place. */
function plus(x: Float64Array, factor: number, y: Float64Array): Float64Array {
  for (let i = 0; i < x.length; i++) x[i] += factor * y[i];
  return x;
}

/** How many principal axes of a covariance carry structure, and how many only noise. */

/** Above the edge of the noise's spectrum by this factor, an eigenvalue is no fluctuation of it, as real noise is not quite white. */
const MARGIN = 1.05;
/** Nor is one above this quantile, the 99.9 %, of the Tracy–Widom distribution (of real matrices). */
const QUANTILE = 3.2724;
/** Axes that together have less than this share of the variance are noise, whatever its shape. */
const NEGLIGIBLE_SHARE = 0.02;

/**
 * The number of signal axes: the first q such that the others could be noise, or have next to no variance together. One axis after
 * the other is tested as by Kritchman & Nadler (Chemometrics and Intelligent Laboratory Systems 94, 2008). `values.length` if none of
 * these leading eigenvalues is where noise begins.
 *
 * What is left of n rows of D numbers, once their mean and q axes are taken away, spans n − 1 − q dimensions of rows and D − q of
 * columns: without this correction, a few rows leave so little variance for the others that these seem to stand out.
 *
 * @param values leading eigenvalues, descending
 * @param trace the sum of all
 * @param d how many there are in all
 * @param n rows of which it is the covariance
 */
export function signalAxes(values: ArrayLike<number>, trace: number, d: number, n: number): number {
  let rest = trace;
  for (let q = 0; q < values.length; q++) {
    if (rest <= NEGLIGIBLE_SHARE * trace) return q;
    if (values[q] <= largestOfNoise(n - 1 - q, d - q) * rest) return q;
    rest -= values[q];
  }
  return values.length;
}

/** Have the axes after the first `count` so little variance that they are noise, whatever its shape? */
export const isNegligible = (values: Float64Array, trace: number, count: number): boolean =>
  trace - values.subarray(0, count).reduce((a, b) => a + b, 0) <= NEGLIGIBLE_SHARE * trace;

/**
 * The largest share of the variance of n × D numbers of white noise that is along one axis: their largest squared singular value is
 * about (√n + √D)², the edge of its spectrum (Marchenko & Pastur 1967), and scatters about it as Johnstone (Annals of Statistics 29,
 * 2001) found, with the centre and scale of Ma (Bernoulli 18, 2012), which hold for a few rows or columns too; in all they have n·D.
 * n and D may be exchanged.
 */
function largestOfNoise(n: number, d: number): number {
  if (n <= 1 || d <= 1) return 1;
  const [a, b] = [Math.sqrt(n - 0.5), Math.sqrt(d - 0.5)];
  const scale = (a + b) * (1 / a + 1 / b) ** (1 / 3);
  return Math.max(MARGIN * (a + b) ** 2, (a + b) ** 2 + QUANTILE * scale) / (n * d);
}

/**
 * A random linear map from many columns to fewer that nearly keeps distances (Kane & Nelson, *Sparser Johnson–Lindenstrauss
 * transforms*, J. ACM 61, 2014): each column is added to a few of the new ones, with random signs. So the covariance of very many
 * columns need not be formed to find the axes along which rows differ most.
 */
export interface Sketch {
  readonly width: number;
  /** New columns of each column, [columns,PLACES], and the factors ±1/√PLACES. */
  readonly place: Int32Array;
  readonly factor: Float32Array;
}

const PLACES = 4;

/** Depends on seed, columns and width alone. */
export function columnSketch(seed: Seed, columns: number, width: number): Sketch {
  const rng = generator(seed, 'sketch', columns, width);
  const place = new Int32Array(columns * PLACES);
  const factor = new Float32Array(columns * PLACES);
  // One place in each of as many equal parts of the new columns: a column's places differ.
  const part = Math.floor(width / PLACES);
  for (let p = 0; p < place.length; p++) {
    place[p] = (p % PLACES) * part + rng.below(part);
    factor[p] = (rng.below(2) ? 1 : -1) / Math.sqrt(PLACES);
  }
  return { width, place, factor };
}

/** Rows [n,columns] → [n,width]. */
export function sketched({ width, place, factor }: Sketch, rows: Float32Array): Float32Array {
  const columns = place.length / PLACES;
  const n = rows.length / columns;
  const out = new Float32Array(n * width);
  for (let i = 0; i < n; i++)
    for (let j = 0, p = 0; j < columns; j++) {
      const value = rows[i * columns + j];
      for (let end = p + PLACES; p < end; p++) out[i * width + place[p]] += factor[p] * value;
    }
  return out;
}

/** Weights [width,d] of sketched rows as weights [columns,d] of the rows themselves. */
export function unsketched({ place, factor }: Sketch, weights: Float32Array, d: number): Float32Array {
  const columns = place.length / PLACES;
  const out = new Float32Array(columns * d);
  for (let j = 0; j < columns; j++)
    for (let p = j * PLACES; p < (j + 1) * PLACES; p++)
      for (let a = 0; a < d; a++) out[j * d + a] += factor[p] * weights[place[p] * d + a];
  return out;
}
