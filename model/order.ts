/** The numbers of the clusters in the results: 0 for the one with the most rows. */

/** For each new number the old one. */
export type Order = readonly number[];

/** The order by size, the largest first. Those of equal size keep theirs. */
export const bySize = (sizes: ArrayLike<number>): Order =>
  Array.from({ length: sizes.length }, (_, cluster) => cluster).sort((a, b) => sizes[b] - sizes[a] || a - b);

/** Is each of the numbers 0, 1, … in it once? */
export const isOrder = (numbers: readonly number[]): boolean =>
  new Set(numbers).size === numbers.length && numbers.every((old) => old >= 0 && old < numbers.length);

export const isUnchanged = (order: Order): boolean => order.every((old, cluster) => old === cluster);

/** The new number of each old one. */
export function placesOf(order: Order): Int32Array {
  const places = new Int32Array(order.length);
  order.forEach((old, cluster) => {
    places[old] = cluster;
  });
  return places;
}

/** The label of rows that are in no cluster. */
export const NOISE = -1;

/** Replaces the old numbers in place; negative ones, which are no clusters, stay. */
export function renumberLabels(
  labels: { length: number; [row: number]: number },
  places: ArrayLike<number>,
): void {
  for (let row = 0; row < labels.length; row++) if (labels[row] >= 0) labels[row] = places[labels[row]];
}

/** Reorders the K columns of a row-major matrix in place. */
export function reorderColumns(matrix: { length: number; [at: number]: number }, order: Order): void {
  const k = order.length;
  const row = new Float64Array(k);
  for (let at = 0; at < matrix.length; at += k) {
    for (let c = 0; c < k; c++) row[c] = matrix[at + order[c]];
    for (let c = 0; c < k; c++) matrix[at + c] = row[c];
  }
}
