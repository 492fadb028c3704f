import { yieldToEventLoop } from '../../../base/slices.ts';
import { normalizeRows } from '../../../data/transform.ts';
import { MAX_MAGNITUDE } from '../../../data/value-range.ts';
import type { Block } from '../../../model/layout.ts';
import { accumulate, type Covariance, statisticsLength } from '../../../model/statistics.ts';
import { type Tensors, take } from '../../../proto/tensors.ts';

/** Multiplications (about 1 ns each) beyond which the data are too large to be summed up here. */
const MOST_WORK = 1e10;
/** Multiplications after which the event loop may go on. */
const WORK_AT_ONCE = 1e6;
/** Relative to the size of the terms: sums may be added up in another order. */
const TOLERANCE = 1e-9;

/** How the moments of shards are computed. */
export interface MomentsOf {
  shards: Block[][];
  dim: number;
  covariance: Covariance;
  normalize: boolean;
  origin: Float64Array;
  /** Rows of the coordinator's own file. */
  read(start: number, count: number): Promise<Float32Array>;
}

/**
 * The shards whose moments (`parts`) are not those of the coordinator's own file, which is read for that. None where that would
 * take long. Yields to the event loop.
 */
export async function falseMoments(parts: Tensors[], of: MomentsOf): Promise<number[]> {
  const { shards, dim, covariance } = of;
  const rows = shards.flat().reduce((sum, { count }) => sum + count, 0);
  if (rows * statisticsLength(dim, covariance) > MOST_WORK) return [];
  const found: number[] = [];
  for (const [shard, part] of parts.entries()) {
    const own = await ownMoments(shards[shard], of);
    const isSame = (name: 'min' | 'max') =>
      take(part, name, 'float64', dim).every((value, d) => value === own[name][d]);
    const isTrue =
      isSame('min') && isSame('max') && areClose(take(part, 'T', 'float64'), own.T, dim, covariance);
    if (!isTrue) found.push(shard);
  }
  return found;
}

async function ownMoments(blocks: Block[], { dim, covariance, normalize, origin, read }: MomentsOf) {
  const T = new Float64Array(statisticsLength(dim, covariance));
  const min = new Float64Array(dim).fill(Infinity);
  const max = new Float64Array(dim).fill(-Infinity);
  const x = new Float64Array(dim);
  let since = 0;
  for (const { start, count } of blocks) {
    const rows = await read(start, count);
    if (normalize) normalizeRows(rows, dim);
    for (let at = 0; at < rows.length; at += dim) {
      if (++since * T.length > WORK_AT_ONCE) {
        since = 0;
        await yieldToEventLoop();
      }
      const row = rows.subarray(at, at + dim);
      if (!row.every((value) => Math.abs(value) <= MAX_MAGNITUDE)) continue;
      for (let d = 0; d < dim; d++) {
        x[d] = row[d] - origin[d];
        min[d] = Math.min(min[d], row[d]);
        max[d] = Math.max(max[d], row[d]);
      }
      accumulate(T, 0, x, 0, dim, covariance, 1);
    }
  }
  return { T, min, max };
}

/** Are the sums equal, but for rounding? */
function areClose(T: Float64Array, own: Float64Array, d: number, covariance: Covariance): boolean {
  const [n] = own;
  if (T[0] !== n) return false;
  const roots = new Float64Array(d);
  for (let i = 0, p = 1 + d; i < d; p += covariance === 'full' ? d - i : 1, i++) roots[i] = Math.sqrt(own[p]);
  const isClose = (p: number, size: number) => Math.abs(T[p] - own[p]) <= TOLERANCE * size;
  for (let i = 0, p = 1 + d; i < d; i++) {
    if (!isClose(1 + i, Math.sqrt(n) * roots[i])) return false;
    const end = covariance === 'full' ? d : i + 1;
    for (let j = i; j < end; j++) if (!isClose(p++, roots[i] * roots[j])) return false;
  }
  return true;
}
