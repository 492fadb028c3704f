import { munkres } from 'munkres';

/** Clusters against classes, ordered for display. */
export type Crosstab = ReturnType<typeof crosstab>;

/** Beyond this number of clusters or classes, only the largest matches are shown, and all others as one group. */
const MOST = 40;
const MOST_MIXED_UP = 10;

/**
 * Clusters beside the classes that they are matched with (the best one-to-one matching of all, as in ACC), so that matches lie on
 * the diagonal, in the order of the classes; after them those without a match. Empty ones are left out. Beyond 40 clusters or
 * classes, the largest matches are kept, and the rest is summed. `ids`: labels of clusters, where these are not their numbers. Returns their names, `counts[cluster][class]`, and those that are mixed up.
 */
export function crosstab(counts: ArrayLike<number>[], classNames: string[], ids?: readonly number[]) {
  const clusterName = (cluster: number) => String(ids?.[cluster] ?? cluster);
  const rowsOf = counts.map((row) => sum(row));
  const classRows = classNames.map((_, c) => counts.reduce((all, row) => all + row[c], 0));
  const clusters = [...rowsOf.keys()].filter((k) => rowsOf[k] > 0);
  const classes = [...classRows.keys()].filter((c) => classRows[c] > 0);
  const cost = clusters.map((k) => classes.map((c) => -counts[k][c]));
  const pairs = (cost.length ? munkres(cost) : []).map(([k, c]) => ({ k: clusters[k], c: classes[c] }));
  const largest = pairs.toSorted((a, b) => counts[b.k][b.c] - counts[a.k][a.c]);
  const isCut = clusters.length > MOST || classes.length > MOST;
  const shown = (isCut ? largest.slice(0, MOST - 1) : pairs).toSorted((a, b) => a.c - b.c);
  const [ownK, ownC] = [shown.map(({ k }) => k), shown.map(({ c }) => c)];
  const rows = grouped(ownK, clusters, rowsOf);
  const columns = grouped(ownC, classes, classRows);
  return {
    clusters: rows.map((group) => nameOf(group, clusterName)),
    classes: columns.map((group) => nameOf(group, (c) => classNames[c])),
    counts: rows.map((own) =>
      columns.map((of) => sum(own.map((k) => of.reduce((all, c) => all + counts[k][c], 0)))),
    ),
    mixedUp: mixedUp(counts, classNames, new Map(pairs.map(({ k, c }) => [k, c])), clusterName),
  };
}

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

/** Groups of one: the matched ones, then the largest of the others where there is room; last the rest as one group. */
function grouped(matched: number[], all: number[], sizes: number[]): number[][] {
  const others = all.filter((one) => !matched.includes(one));
  if (all.length <= MOST) return [...matched, ...others].map((one) => [one]);
  const bySize = others.toSorted((a, b) => sizes[b] - sizes[a]);
  const room = MOST - 1 - matched.length;
  return [...[...matched, ...bySize.slice(0, room)].map((one) => [one]), bySize.slice(room)];
}

const nameOf = (group: number[], name: (one: number) => string) =>
  group.length === 1 ? name(group[0]) : `${group.length} others`;

/** Clusters and classes that have rows in common although others are their match, those with the most in front; `share`: of the cluster. */
function mixedUp(
  counts: ArrayLike<number>[],
  classNames: string[],
  classOf: ReadonlyMap<number, number>,
  clusterName: (cluster: number) => string,
) {
  const found: { cluster: string; class: string; rows: number; share: number }[] = [];
  for (const [k, row] of counts.entries()) {
    const all = sum(row);
    for (const [c, name] of classNames.entries()) {
      if (!row[c] || classOf.get(k) === c) continue;
      if (found.length === MOST_MIXED_UP && row[c] <= found[MOST_MIXED_UP - 1].rows) continue;
      const at = found.findIndex((other) => other.rows < row[c]);
      const one = { cluster: clusterName(k), class: name, rows: row[c], share: row[c] / all };
      found.splice(at < 0 ? found.length : at, 0, one);
      found.length = Math.min(found.length, MOST_MIXED_UP);
    }
  }
  return found;
}
