import { nearestRows, rowsOnMap } from '../graph/map.ts';
import { momentsOf, rarityDeviate, sharesDrift } from './drift.ts';
import type { GraphDrift } from './findings.ts';

/** Are new rows like those on which a graph run was trained (docs/algorithm.md, section 13)? */

/** What is known of rows that are compared. */
export interface ComparedRows {
  /** Features [n,D]. */
  readonly rows: Float32Array;
  readonly labels: Int32Array;
  /** The share of each row's length that its features miss. */
  readonly missed: Float64Array;
}

/** Neighbours of a row that are looked at, and how many of them are new where nearly all are. */
const [NEIGHBOURS, NEARLY_ALL] = [20, 18];

/**
 * Axes see the rows that they were made of better than others. D axes of n rows that miss a share R of their length miss 2·D·R/n more of others, if
 * they stand out from noise; measured, where they do not, up to three times as much.
 */
const OPTIMISM = 6;

/** @param sample rows of which the axes were made; `arrivals`: of each of k clusters the share of the new rows */
export function graphDriftOf(
  before: ComparedRows,
  now: ComparedRows,
  { d, k, sample }: { d: number; k: number; sample: number },
): { drift: GraphDrift; arrivals: Float64Array } {
  const { arrivals, ...shares } = sharesDrift(before.labels, now.labels, k);
  const [n, m] = [before.labels.length, now.labels.length];
  const [old, fresh] = [momentsOf(before.missed), momentsOf(now.missed)];
  const missed = fresh.mean - old.mean - (OPTIMISM * d * old.mean) / sample;
  const variance = old.variance / n + Math.max(old.variance, fresh.variance) / m;
  const { share: apart, rows } = apartFrom(before.rows, now.rows, d);
  const drift = {
    rows: m,
    ...{ missed, missedZ: variance > 0 ? missed / Math.sqrt(variance) : 0 },
    ...{ apart, apartZ: rarityDeviate(apart, rows, rows) },
    ...shares,
  };
  return { drift, arrivals };
}

/**
 * The share of new rows whose neighbours are nearly all new, among twice as many earlier ones: hardly any, unless they are where none was before. What
 * the axes miss, and distances, do not show that: in many dimensions all rows are about as far.
 */
function apartFrom(before: Float32Array, now: Float32Array, d: number): { share: number; rows: number } {
  const most = rowsOnMap(d);
  const [n, m] = [before, now].map((rows) => rows.length / d);
  const earlier = Math.min(n, Math.floor((2 * most) / 3));
  const rows = Math.min(m, Math.ceil(earlier / 2));
  const pool = new Float32Array((rows + earlier) * d);
  pool.set(spread(now, d, rows));
  pool.set(spread(before, d, earlier), rows * d);
  const k = Math.min(NEIGHBOURS, rows + earlier - 1);
  const { index } = nearestRows(pool, d, k);
  let apart = 0;
  for (let row = 0; row < rows; row++) {
    let fresh = 0;
    for (let e = row * k; e < (row + 1) * k; e++) if (index[e] < rows) fresh++;
    if (fresh >= NEARLY_ALL) apart++;
  }
  return { share: apart / rows, rows };
}

/** So many of the rows, evenly. */
function spread(rows: Float32Array, d: number, count: number): Float32Array {
  const out = new Float32Array(count * d);
  const step = rows.length / d / count;
  for (let i = 0; i < count; i++) {
    const at = Math.floor(i * step) * d;
    out.set(rows.subarray(at, at + d), i * d);
  }
  return out;
}
