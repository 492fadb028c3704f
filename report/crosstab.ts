import { munkres } from 'munkres';

/** Clusters against classes, in the order in which they are to be read. */
export interface Crosstab {
  /** Names of rows and columns. */
  clusters: string[];
  classes: string[];
  /** `counts[cluster][class]`: rows of the data. */
  counts: number[][];
}

/** More clusters or classes than this: the smallest go together. */
const MOST = 40;

/**
 * Orders clusters so that each stands where the class is that it is matched with (the best one-to-one matching, as in
 * ACC); those without a class come last. Empty clusters are left out. Beyond 40 clusters or classes, the smallest
 * become one.
 */
export function crosstab(counts: ArrayLike<number>[], classNames: string[]): Crosstab {
  const rows = lumped(counts.map((row, k) => ({ name: String(k), values: Array.from(row) })));
  const columns = lumped(
    classNames.map((name, c) => ({ name, values: rows.map(({ values }) => values[c] ?? 0) })),
  );
  const table = rows.map((_, k) => columns.map(({ values }) => values[k]));
  const pairs = table.length && columns.length ? munkres(table.map((row) => row.map((n) => -n))) : [];
  const classOf = new Map(pairs.map(([k, c]) => [k, c]));
  const isOthers = (k: number) => Number(rows[k].others === true);
  const place = (k: number) => classOf.get(k) ?? columns.length + k;
  const order = [...rows.keys()].sort((a, b) => isOthers(a) - isOthers(b) || place(a) - place(b));
  return {
    clusters: order.map((k) => rows[k].name),
    classes: columns.map(({ name }) => name),
    counts: order.map((k) => table[k]),
  };
}

interface Named {
  name: string;
  values: number[];
  others?: boolean;
}

/** The largest of them in their order, the rest as one; those without any rows are dropped. */
function lumped(all: Named[]): Named[] {
  const size = ({ values }: Named) => values.reduce((a, b) => a + b, 0);
  const some = all.filter((one) => size(one) > 0);
  if (some.length <= MOST) return some;
  const large = new Set(some.toSorted((a, b) => size(b) - size(a)).slice(0, MOST - 1));
  const small = some.filter((one) => !large.has(one));
  const values = small[0].values.map((_, i) => small.reduce((sum, one) => sum + one.values[i], 0));
  return [...some.filter((one) => large.has(one)), { name: `${small.length} others`, values, others: true }];
}
