import type { Anchor } from './map-labels.ts';

/** Places of a cluster's rows of which the medians are taken; of more, every second, every fourth, … */
const MOST_KEPT = 4096;

/** The place of each cluster on a map: the medians of its rows, in bounded memory. */
export function anchorCollector(k: number) {
  const clusters = Array.from({ length: k }, () => ({
    rows: 0,
    every: 1,
    x: [] as number[],
    y: [] as number[],
  }));
  return {
    /** Adds rows: the cluster of each, and two coordinates. */
    add(labels: Int32Array, places: Float32Array): void {
      for (const [i, label] of labels.entries()) {
        const own = clusters[label];
        if (own.rows++ % own.every) continue;
        own.x.push(places[2 * i]);
        own.y.push(places[2 * i + 1]);
        if (own.x.length < MOST_KEPT) continue;
        own.every *= 2;
        for (const axis of ['x', 'y'] as const) own[axis] = own[axis].filter((_, i) => i % 2 === 0);
      }
    },
    /** Null for a cluster without rows. */
    anchors: (): (Anchor | null)[] =>
      clusters.map(({ rows, x, y }) => (rows ? { rows, x: middle(x), y: middle(y) } : null)),
  };
}

const middle = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];
