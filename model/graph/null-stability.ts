import { generator, type Seed } from '../random.ts';

/**
 * How stable partitions of data without clusters are: of a single Gaussian of the data's intrinsic dimension. Small parts agree
 * by themselves, as they are little more than a row and its neighbours; that depends on the rows of a part and the dimension, and
 * hardly on how many parts there are.
 */
export interface NullStability {
  /** Rows of a cluster, descending, and the stability at this size. */
  readonly rows: readonly number[];
  readonly mean: readonly number[];
}

/** Rows of a Gaussian with independent columns of these variances, [n,d]. */
export function gaussianRows(seed: Seed, n: number, variances: readonly number[]): Float32Array {
  const d = variances.length;
  const { normal } = generator(seed, 'null-rows', n, d);
  const sd = variances.map(Math.sqrt);
  return Float32Array.from({ length: n * d }, (_, i) => sd[i % d] * normal());
}

/** The null curve from points in any order: descending in `rows`, and never less stable with fewer of them. */
export function nullStability(points: readonly { rows: number; mean: number }[]): NullStability {
  const sorted = points.toSorted((p, q) => q.rows - p.rows);
  let most = 0;
  const mean = sorted.map((point) => (most = Math.max(most, point.mean)));
  return { rows: sorted.map(({ rows }) => rows), mean };
}

/** The stability by chance of clusters of so many rows: linear in their logarithm, constant beyond the ends. */
export function chanceAt({ rows, mean }: NullStability, size: number): number {
  const next = rows.findIndex((own) => own <= size);
  if (next === 0) return mean[0];
  if (next < 0) return mean.at(-1)!;
  const [a, b] = [Math.log(rows[next - 1]), Math.log(rows[next])];
  const share = a > b ? (a - Math.log(size)) / (a - b) : 0;
  return mean[next - 1] + share * (mean[next] - mean[next - 1]);
}

/** Stability beyond chance: 1 where replicates agree entirely, 0 where they agree as those of a single Gaussian do. */
export const beyondChance = (mean: number, chance: number): number => (mean - chance) / (1 - chance);
