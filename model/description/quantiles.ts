/**
 * Quantiles of distances by cluster, counted in bounded memory and in any order of the rows. They are exact while a cluster has few
 * different distances; else those count as equal that agree in so many digits that few are left.
 */
import { keyOf, numberOf } from '../sampling/float-order.ts';

/** A cluster's quantiles are those of 0, 1/1000, …, 1. */
export const QUANTILE_STEPS = 1000;
/** Different distances that are counted: of each cluster at least so many, and of all of them about so many. */
const [LEAST_BINS, ALL_BINS] = [1 << 10, 1 << 20];

/** Rows of one cluster by their distance. */
interface Counts {
  rows: number;
  least: number;
  most: number;
  /** Binary digits of keys that do not count. */
  shift: number;
  /** By the key of the distance without these. */
  bins: Map<number, number>;
}

export interface DistanceCounts {
  add(cluster: number, distance: number): void;
  /** [K, 1001]; zeros for a cluster without rows. */
  quantiles(order: readonly number[]): Float32Array;
}

export function distanceCounts(k: number): DistanceCounts {
  const mostBins = Math.max(LEAST_BINS, Math.floor(ALL_BINS / k));
  const clusters = Array.from(
    { length: k },
    (): Counts => ({ rows: 0, least: Infinity, most: 0, shift: 0, bins: new Map() }),
  );
  return {
    add(cluster, distance) {
      const own = clusters[cluster];
      own.rows++;
      own.least = Math.min(own.least, distance);
      own.most = Math.max(own.most, distance);
      count(own.bins, keyOf(distance) >>> own.shift, 1);
      while (own.bins.size > mostBins) coarsen(own);
    },
    quantiles(order) {
      const out = new Float32Array(order.length * (QUANTILE_STEPS + 1));
      for (const [c, old] of order.entries())
        if (clusters[old].rows) out.set(quantilesOf(clusters[old]), c * (QUANTILE_STEPS + 1));
      return out;
    },
  };
}

const count = (bins: Map<number, number>, key: number, rows: number) =>
  bins.set(key, (bins.get(key) ?? 0) + rows);

/** With one digit less. As bins only become more with more rows, how many digits are left does not depend on the rows' order. */
function coarsen(own: Counts): void {
  const bins = new Map<number, number>();
  for (const [key, rows] of own.bins) count(bins, key >>> 1, rows);
  own.bins = bins;
  own.shift++;
}

/** As NumPy's default, between the two rows beside a place in proportion. Rows in a bin of several distances are at equal steps. */
function quantilesOf({ rows, least, most, shift, bins }: Counts): Float32Array {
  const keys = [...bins.keys()].sort((a, b) => a - b);
  const edge = (key: number) => Math.min(most, numberOf((key << shift) >>> 0));
  let at = 0;
  let before = 0;
  /** The distance of the row of this rank; ranks do not fall. */
  const distanceAt = (rank: number): number => {
    while (before + bins.get(keys[at])! <= rank) before += bins.get(keys[at++])!;
    if (shift === 0) return edge(keys[at]);
    const share = (rank - before + 0.5) / bins.get(keys[at])!;
    const low = edge(keys[at]);
    return Math.max(least, low + share * (edge(keys[at] + 1) - low));
  };
  return Float32Array.from({ length: QUANTILE_STEPS + 1 }, (_, step) => {
    if (step === QUANTILE_STEPS) return most;
    const place = (step / QUANTILE_STEPS) * (rows - 1);
    const rank = Math.floor(place);
    const low = distanceAt(rank);
    const high = rank + 1 < rows ? peek(rank + 1) : low;
    return low + (place - rank) * (high - low);
  });

  /** Like `distanceAt`, without going on. */
  function peek(rank: number): number {
    const [oldAt, oldBefore] = [at, before];
    const distance = distanceAt(rank);
    [at, before] = [oldAt, oldBefore];
    return distance;
  }
}

/** The share of a cluster's rows that are nearer to its centre, between quantiles in proportion; 1 beyond all of them. */
export function outlierScore(quantiles: Float32Array, cluster: number, distance: number): number {
  const first = cluster * (QUANTILE_STEPS + 1);
  let [low, high] = [0, QUANTILE_STEPS];
  if (!(distance <= quantiles[first + high])) return 1;
  if (distance <= quantiles[first]) return 0;
  // The least quantile that is not nearer.
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (quantiles[first + middle] >= distance) high = middle;
    else low = middle;
  }
  const [below, above] = [quantiles[first + low], quantiles[first + high]];
  return (low + (distance - below) / (above - below)) / QUANTILE_STEPS;
}
