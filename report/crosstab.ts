import { munkres } from 'munkres';

/** Clusters against classes, ordered for display. */
export interface Crosstab {
  /** Names of rows and columns. */
  clusters: string[];
  classes: string[];
  /** `counts[cluster][class]`: rows of the data. */
  counts: number[][];
}

/** Beyond this number of clusters or classes, the smallest are grouped. */
const MOST = 40;

/**
 * Orders clusters like the classes that they are matched with (the best one-to-one matching, as in ACC), so that matches
 * lie on the diagonal; unmatched clusters come last. Empty clusters are left out. Beyond 40 clusters or classes, the
 * smallest are grouped.
 */
export function crosstab(counts: ArrayLike<number>[], classNames: string[]): Crosstab {
  const rows = groupSmallest(counts.map((row, k) => ({ name: String(k), values: Array.from(row) })));
  const columns = groupSmallest(
    classNames.map((name, c) => ({ name, values: rows.map(({ values }) => values[c] ?? 0) })),
  );
  const table = rows.map((_, k) => columns.map(({ values }) => values[k]));
  const pairs = table.length && columns.length ? munkres(table.map((row) => row.map((n) => -n))) : [];
  const classOf = new Map(pairs.map(([k, c]) => [k, c]));
  const isGroup = (k: number) => Number(rows[k].isGroup === true);
  const position = (k: number) => classOf.get(k) ?? columns.length + k;
  const order = [...rows.keys()].sort((a, b) => isGroup(a) - isGroup(b) || position(a) - position(b));
  return {
    clusters: order.map((k) => rows[k].name),
    classes: columns.map(({ name }) => name),
    counts: order.map((k) => table[k]),
  };
}

interface NamedCounts {
  name: string;
  values: number[];
  isGroup?: boolean;
}

/** The largest in their given order, then the rest as one group; those without rows are dropped. */
function groupSmallest(all: NamedCounts[]): NamedCounts[] {
  const size = ({ values }: NamedCounts) => values.reduce((a, b) => a + b, 0);
  const nonEmpty = all.filter((one) => size(one) > 0);
  if (nonEmpty.length <= MOST) return nonEmpty;
  const large = new Set(nonEmpty.toSorted((a, b) => size(b) - size(a)).slice(0, MOST - 1));
  const small = nonEmpty.filter((one) => !large.has(one));
  const values = small[0].values.map((_, i) => small.reduce((sum, one) => sum + one.values[i], 0));
  return [
    ...nonEmpty.filter((one) => large.has(one)),
    { name: `${small.length} others`, values, isGroup: true },
  ];
}
