import { labelsOf, regrouped } from '../../../model/graph/mean-field.ts';
import type { OutputUnit } from '../../../model/nets/surgery.ts';
import type { State } from '../../../model/state.ts';
import type { Run } from '../run-context.ts';
import { changeClusters } from './change-clusters.ts';
import { sweptOften } from './field.ts';
import { graphOfRun } from './graph-run.ts';
import { netMemberships } from './membership-rounds.ts';

/** Clusters with fewer rows join the one that they are linked with most, whatever the resolution. */
export const FEWEST_ROWS = 10;

/** Merges of one round: with more at once, the pairs that happen to be nearest join before the rows have moved. */
const SHARE_AT_ONCE = 1 / 8;
export const SWEEPS = 3;

/**
 * Merges clusters of the graph likelihood: two gain by it if w_ab > γ·vol_a·vol_b/tot for the sums of memberships over all rows.
 * Of these the pairs that gain most for the smaller volume come first, each cluster at most once and not too many at a time;
 * then rows move, by sweeps of the mean field, and the next pairs merge.
 */
export async function graphMergeStep(run: Run, state: State): Promise<State> {
  const { graph, resolution } = await graphOfRun(run, state);
  let memberships = await netMemberships(run, graph, state.mixture.k);
  let units: OutputUnit[] = Array.from({ length: state.mixture.k }, (_, from) => ({
    from,
    share: 1,
    fresh: false,
  }));
  for (;;) {
    const k = units.length;
    const rows = countsOf(labelsOf(memberships), k);
    const W = await run.calculate('clusterLinks', graph.graph, memberships);
    const pairs = mergePairs(W, memberships.volume, graph.total, resolution, rows);
    const partner = acceptedPairs(run, state, pairs, units, rows, Math.max(1, Math.floor(k * SHARE_AT_ONCE)));
    if (!partner.size) break;
    const next: OutputUnit[] = [];
    const place = new Int32Array(k);
    for (let a = 0; a < k; a++) {
      const b = partner.get(a);
      if (b !== undefined && b < a) place[a] = place[b];
      else {
        place[a] = next.length;
        next.push(b === undefined ? units[a] : { ...units[rows[b] > rows[a] ? b : a], fresh: true });
      }
    }
    units = next;
    memberships = await sweptOften(run, state, regrouped(memberships, place, units.length), SWEEPS);
  }
  return changeClusters(run, state, 'merge', units, labelsOf(memberships));
}

/** The pairs that merge now, as a map from each of both to the other. Emits them, and those that do not merge in this step. */
function acceptedPairs(
  run: Run,
  { epoch }: State,
  pairs: MergePair[],
  units: OutputUnit[],
  rows: Int32Array,
  most: number,
): Map<number, number> {
  const partner = new Map<number, number>();
  const isAccepted = ({ a, b, gain }: MergePair) => gain > 0 || Math.min(rows[a], rows[b]) < FEWEST_ROWS;
  const isLast = !pairs.some(isAccepted);
  for (const pair of pairs) {
    const { a, b, gain } = pair;
    const accepted = isAccepted(pair) && partner.size < 2 * most && !partner.has(a) && !partner.has(b);
    if (!accepted && !isLast) continue;
    run.emit({
      type: 'merge',
      epoch,
      clusters: [units[a].from, units[b].from],
      points: [rows[a], rows[b]],
      logRatio: gain,
      accepted,
      ...(accepted && gain <= 0 && { reason: `fewer than ${FEWEST_ROWS} points` }),
    });
    if (accepted) partner.set(a, b).set(b, a);
  }
  return partner;
}

/** A pair of clusters and what their union gains: w_ab − γ·vol_a·vol_b/tot, times J = 1. */
interface MergePair {
  a: number;
  b: number;
  gain: number;
}

/**
 * The linked pairs that gain, or of which one has too few rows, and of each other cluster the pair that would gain most; by gain
 * for the smaller volume, the largest first.
 */
function mergePairs(
  W: Float64Array,
  volume: Float64Array,
  total: number,
  resolution: number,
  rows: Int32Array,
): MergePair[] {
  const k = volume.length;
  const pairs: (MergePair & { rank: number })[] = [];
  const isListed = new Uint8Array(k * k);
  for (let a = 0; a < k; a++) {
    let best: { b: number; gain: number; rank: number } | null = null;
    for (let b = 0; b < k; b++) {
      if (a === b) continue;
      const gain = W[a * k + b] - (resolution * volume[a] * volume[b]) / total;
      const rank = gain / Math.max(Math.min(volume[a], volume[b]), Number.MIN_VALUE);
      if (gain > 0) list(a, b, gain, rank);
      if (!best || rank > best.rank) best = { b, gain, rank };
    }
    if (best) list(a, best.b, best.gain, rows[a] < FEWEST_ROWS ? Math.max(best.rank, 0) : best.rank);
  }
  return pairs.sort((p, q) => q.rank - p.rank || p.a - q.a || p.b - q.b);

  function list(a: number, b: number, gain: number, rank: number): void {
    const at = Math.min(a, b) * k + Math.max(a, b);
    if (isListed[at]) return;
    isListed[at] = 1;
    pairs.push({ a: Math.min(a, b), b: Math.max(a, b), gain, rank });
  }
}

/** The number of rows with each label. */
export function countsOf(labels: Int32Array, k: number): Int32Array {
  const counts = new Int32Array(k);
  for (const label of labels) counts[label]++;
  return counts;
}
