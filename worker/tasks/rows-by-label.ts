/** The rows that have each of k labels, in their order. */
export function rowsByLabel(labels: Int32Array, k: number): Int32Array[] {
  const counts = new Int32Array(k);
  for (let i = 0; i < labels.length; i++) counts[labels[i]]++;
  const rows = Array.from(counts, (count) => new Int32Array(count));
  counts.fill(0);
  for (let i = 0; i < labels.length; i++) rows[labels[i]][counts[labels[i]]++] = i;
  return rows;
}
