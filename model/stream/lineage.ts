import { matched } from '../scores.ts';
import type { Lineage } from './findings.ts';

/**
 * Ids of clusters that last through updates, and what became of each (docs/algorithm.md, section 13). A cluster is the one that had most of
 * its rows before; ids are never given twice.
 */

/** A cluster goes on as the one that has at least this share of its rows. */
const LEAST_SHARE = 1 / 3;
/** A new one comes from those of whose rows it has at least this share, and more than so many. */
const [PARENT_SHARE, PARENT_ROWS] = [1 / 4, 5];

export interface Named {
  /** The id of each cluster. */
  ids: number[];
  /** The next id of a new one. */
  next: number;
  lineage: Lineage[];
}

/**
 * The ids of `k` clusters, given those that there were before, and of each row of the sample its id before, −1 if it is new, and its cluster now.
 * The matching keeps as many rows as possible where they were. `back`: the id under which one without such rows was known before; null: it is new.
 */
export function namedClusters(
  before: readonly number[],
  was: Int32Array,
  now: Int32Array,
  k: number,
  next: number,
  back: (cluster: number) => number | null = () => null,
): Named {
  const places = new Map(before.map((id, place) => [id, place]));
  const shared = before.map(() => new Float64Array(k));
  const sizes = new Float64Array(k);
  for (const [row, cluster] of now.entries()) {
    sizes[cluster]++;
    if (was[row] >= 0) shared[places.get(was[row])!][cluster]++;
  }
  const totals = shared.map((counts) => counts.reduce((a, b) => a + b, 0));
  const isHeir = (old: number, cluster: number) =>
    shared[old][cluster] > PARENT_ROWS && shared[old][cluster] >= PARENT_SHARE * totals[old];
  const ids = Array<number>(k).fill(-1);
  for (const [old, cluster] of matched(shared))
    if (shared[old][cluster] > 0 && shared[old][cluster] >= LEAST_SHARE * totals[old])
      ids[cluster] = before[old];
  const lineage: Lineage[] = [];
  const bySize = [...ids.keys()].sort((a, b) => sizes[b] - sizes[a] || a - b);
  for (const cluster of bySize) {
    if (ids[cluster] >= 0) continue;
    const from = before.filter((_, old) => isHeir(old, cluster));
    const known = from.length ? null : back(cluster);
    const isBack = known !== null && !ids.includes(known);
    const id = isBack ? known : next++;
    ids[cluster] = id;
    if (isBack) lineage.push({ what: 'returned', id });
    else lineage.push(from.length ? { what: 'split', id, from } : { what: 'born', id });
  }
  for (const [old, id] of before.entries()) {
    if (ids.includes(id)) continue;
    const into = ids.filter((_, cluster) => isHeir(old, cluster));
    lineage.push(into.length ? { what: 'merged', id, into } : { what: 'gone', id });
  }
  return { ids, next, lineage };
}
