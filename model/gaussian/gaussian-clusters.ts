import { mean as average } from 'simple-statistics';
import { cholesky, invertLower, whitenedRows } from '../linalg.ts';
import { generator, type Rng, type Seed } from '../random.ts';
import { mean, scatter, totalOfRows } from '../statistics.ts';
import { CLOSE } from './evidence-for-k.ts';
import { chooseByWeight } from './kmeans.ts';
import { bestSoftSplit, type PriorOf, rowsAt, type SoftParts, splitFurther } from './soft-split.ts';

/** Are clusters Gaussian? A mixture of Gaussians fits curved or skewed ones too, by pieces, which are not. */

/** Times that all parts are split in turn. */
const ROUNDS = 4;
/** Rows of a part that are looked at, and rows for each column that it needs. */
const MOST_ROWS = 1000;
const ROWS_PER_COLUMN = 3;
/** Skewness for each column: an exponential has 4, pieces of skewed and curved clusters have 1 and more, Gaussians by chance up to .3. */
const LITTLE = 0.5;
/** Mean skewness of the first parts, for each column, that those of Gaussians do not have: .1 to 1.5, of images and texts 2.3 to 10, of exponentials 2.9. */
const NO_UNION = 2;
/** Draws that tell the skewness of a Gaussian. */
const DRAWS = 3;

/**
 * The share of the rows that are in clusters without skewness, as Gaussians of any covariance are, when EM has split all rows as far as
 * that has evidence (without a single-cluster model: its pieces are told by their skewness). 0 at once where the first parts are
 * far too skewed.
 *
 * @param rows [n,D], about their mean
 */
export function shareInGaussians(rows: Float64Array, priorOf: PriorOf, alpha: number, seed: Seed): number {
  const { d } = priorOf([]);
  const rng = generator(seed, 'gaussian-clusters');
  let best = bestSoftSplit(rows, priorOf, alpha, 1, rng);
  if (!best) return 0;
  const first = partsOf(rows, d, best, rng).flatMap((own) => skewnessBeyondChance(own, d, rng) ?? []);
  if (first.length && average(first) > NO_UNION * d) return 0;
  for (let round = 0; round < ROUNDS; round++) {
    const next = splitFurther(rows, best, priorOf, alpha, 1, rng);
    if (!next || next.logRatio < best.logRatio + CLOSE) break;
    best = next;
  }
  const gaussian = partsOf(rows, d, best, rng).filter((own) => {
    const beyond = skewnessBeyondChance(own, d, rng);
    return beyond !== null && beyond < LITTLE * d;
  });
  return gaussian.reduce((sum, own) => sum + own.length, 0) / rows.length;
}

/** The rows of each part, drawn by responsibilities: cut off where neighbours begin, none would look like a Gaussian. */
function partsOf(rows: Float64Array, d: number, { T, r }: SoftParts, rng: Rng): Float64Array[] {
  const m = T.length;
  const members: number[][] = T.map(() => []);
  for (let i = 0; i < rows.length / d; i++)
    members[chooseByWeight(r.subarray(i * m, (i + 1) * m), rng.uniform())].push(i);
  return members.map((own) => rowsAt(rows, d, own));
}

/** The skewness b₁ of these rows, or of a thousand of them, less that of as many of a Gaussian; null where there are too few. */
function skewnessBeyondChance(all: Float64Array, d: number, rng: Rng): number | null {
  const rows = all.subarray(0, MOST_ROWS * d);
  const own = rows.length < ROWS_PER_COLUMN * d * d ? null : skewness(rows, d);
  if (own === null) return null;
  let byChance = 0;
  for (let draw = 0; draw < DRAWS; draw++)
    byChance +=
      skewness(
        Float64Array.from(rows, () => rng.normal()),
        d,
      )! / DRAWS;
  return own - byChance;
}

/** Multivariate skewness b₁ (Mardia 1970), the mean of (z_iᵀz_j)³ over all pairs of whitened rows; null where their covariance is singular. */
export function skewness(rows: Float64Array, d: number): number | null {
  const n = rows.length / d;
  const T = totalOfRows(rows, d, 'full');
  const root = cholesky(
    scatter(T, d, 'full').map((value) => value / n),
    d,
  );
  if (!root) return null;
  const z = whitenedRows(rows, mean(T, d), invertLower(root, d));
  let sum = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let product = 0;
      for (let a = 0; a < d; a++) product += z[i * d + a] * z[j * d + a];
      sum += (i === j ? 1 : 2) * product ** 3;
    }
  return sum / n ** 2;
}
