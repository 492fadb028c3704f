import type { Lineage } from './findings.ts';

/** What the last updates of a stream found, of which a picture of clusters over updates is made. */

/** The clusters at the end of a run: the first of a stream, or an update. */
export interface PastUpdate {
  /** 0: the first run. */
  readonly update: number;
  /** Rows so far, as they count by half-lives; and of these, by their ids, those of the largest clusters. */
  readonly rows: number;
  readonly sizes: Readonly<Record<string, number>>;
  /** What became of clusters in the update. */
  readonly lineage: readonly Lineage[];
}

/** Updates that are remembered, and clusters of each. */
const [MOST_UPDATES, MOST_CLUSTERS] = [100, 200];

/** The history with one more update. `sizes`: of the clusters with these ids, in their order, which is that of size. */
export function withUpdate(
  history: readonly PastUpdate[],
  update: number,
  ids: readonly number[],
  sizes: ArrayLike<number>,
  lineage: readonly Lineage[],
): PastUpdate[] {
  const rows = ids.reduce((sum, _, k) => sum + sizes[k], 0);
  const largest = ids.slice(0, MOST_CLUSTERS).map((id, k) => [id, sizes[k]]);
  return [...history, { update, rows, sizes: Object.fromEntries(largest), lineage }].slice(-MOST_UPDATES);
}
