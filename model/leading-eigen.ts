/** The leading eigenpairs of a large symmetric matrix, without the others: a block Lanczos method. */
import { canonicalSign, congruent, symmetricEigen, unwhitened, whitened } from './linalg.ts';
import { generator } from './random.ts';

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
  const images = (vectors: Float64Array[]) =>
    l
      ? multiply(
          a,
          d,
          vectors.map((vector) => unwhitened(l, vector)),
        ).map((vector) => whitened(l, vector))
      : multiply(a, d, vectors);
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
    basis = {
      vectors: [...basis.vectors, ...added],
      products: [...basis.products, ...images],
    };
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
