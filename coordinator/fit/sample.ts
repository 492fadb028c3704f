import { coarsening } from '../../model/gaussian/hastings.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import { priority } from '../../model/random.ts';
import type { Copies, Sample, State } from '../../model/state.ts';
import { shardSizes } from '../rounds/sums.ts';
import { publishTransform } from './publish.ts';
import type { Prepared, TrainingRun } from './run-context.ts';

/** The rows on which a run is trained, and how many of them its decisions count: both grow with K. */

/** With fewer rows for each cluster, on average, two of them cannot be told from one. */
export const rowsPerCluster = (d: number) => Math.max(100, 5 * d);

/** Given the number of sampled rows of each shard. */
export function sampleOf(below: number, counts: number[]): Sample {
  return {
    below,
    rows: counts.reduce((a, b) => a + b, 0),
    smallestShard: Math.min(...counts.filter((rows) => rows > 0)),
  };
}

/** n₀, the rows that decisions count at most (coarsening, Miller & Dunson 2019): without, Fashion-MNIST's K grows with N. */
const countedRows = ({ config, d }: Pick<Prepared, 'config' | 'd'>, { mixture }: State): number =>
  config.coarsening ?? Math.max(10_000, 1_000 * d, rowsPerCluster(d) * mixture.k);

/** ζ, by which the statistics of the sample are tempered. */
export const tempering = (run: Pick<Prepared, 'config' | 'd'>, state: State): number =>
  coarsening(state.sample.rows, countedRows(run, state));

/**
 * The same for merges: in an update as though the sample had as many rows as the stream. Else clusters would merge because the rows that told them apart
 * have faded.
 */
export function mergeTempering(run: Pick<Prepared, 'config' | 'd' | 'seen'>, state: State): number {
  const { rows } = state.sample;
  const seen = Math.max(rows, run.seen ?? 0);
  return (seen / rows) * coarsening(seen, countedRows(run, state));
}

/**
 * The state with a sample that is large enough for its clusters: doubled until it is, unless its size was given. The sample
 * before is a part of it. Workers read the rows of their shards again, and leave out outliers: these are counted among the rows
 * that join, but are few.
 */
export function withLargeSample(run: TrainingRun, state: State): State {
  const { config, layout, d } = run;
  if (config.sample !== null) return state;
  const sample = largerSample(layout, state.sample, rowsPerCluster(d) * state.mixture.k);
  if (sample === state.sample) return state;
  publishTransform(run, sample.below);
  // Statistics of more rows cannot be compared with those of fewer.
  return { ...state, sample, merged: [] };
}

/** The sample, doubled until it has so many rows, or all. */
export function largerSample(layout: Layout, sample: Sample, wanted: number): Sample {
  let larger = sample;
  while (larger.below < 1 && larger.rows < wanted) {
    const below = Math.min(1, 2 * larger.below);
    larger = sampleOf(below, sampledCounts(layout, below));
  }
  return larger;
}

/**
 * Which rows workers have to sample. That is a pure function of the seed and the row's index (15 ns each), so that no worker
 * needs to be believed about it.
 */

/** The number of sampled rows of each shard. */
export function sampledCounts(layout: Layout, below: number): number[] {
  const counts = shardSizes(layout);
  // Priorities are below 1.
  if (below >= 1) return counts;
  counts.fill(0);
  eachSampled(layout, below, (_, shard) => counts[shard]++);
  return counts;
}

/** Visits the sampled rows, shard by shard, each in file order. */
function eachSampled(layout: Layout, below: number, visit: (row: number, shard: number) => void): void {
  const priorityOf = priority(BigInt(layout.seed));
  for (const [shard, blocks] of shardBlocks(layout).entries())
    for (const { start, count } of blocks)
      for (let row = start; row < start + count; row++) if (priorityOf(row) < below) visit(row, shard);
}

/** The sampled rows, shard by shard, each in file order. */
export function sampledInOrder(layout: Layout, below: number): number[] {
  const rows: number[] = [];
  eachSampled(layout, below, (row) => rows.push(row));
  return rows;
}

/**
 * For each row of the data the first one of its group of near copies, −1 for one that has none or is not in the sample. `outliers`: rows
 * of the sample's shards that are not in it, as outliers.
 */
export function copiesInData(
  layout: Layout,
  below: number,
  copies: Copies,
  outliers: readonly number[][],
): Int32Array {
  const apart = new Set(outliers.flat());
  const rows = sampledInOrder(layout, below).filter((row) => !apart.has(row));
  const first = new Map<number, number>();
  const groups = new Map<number, number>();
  copies.of.forEach((group, i) => {
    first.set(group, Math.min(first.get(group) ?? rows[i], rows[i]));
    groups.set(group, (groups.get(group) ?? 0) + 1);
  });
  const found = new Int32Array(layout.rows).fill(-1);
  copies.of.forEach((group, i) => {
    if (groups.get(group)! > 1) found[rows[i]] = first.get(group)!;
  });
  return found;
}
