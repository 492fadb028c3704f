import {
  annealedSides,
  type CutAxes,
  type HalfLinks,
  halfLinks,
  startingSides,
} from '../../../model/graph/halves.ts';
import { quality } from '../../../model/graph/louvain.ts';
import { hardMemberships, labelsOf, linksBetween, regrouped } from '../../../model/graph/mean-field.ts';
import { GRID } from '../../../model/graph/stability.ts';
import { cutOfOccupied, occupiedOf } from '../../../model/hierarchy/dendrogram.ts';
import { mergeTree } from '../../../model/hierarchy/merge-tree.ts';
import { diagonalOf, dot } from '../../../model/linalg.ts';
import type { OutputUnit } from '../../../model/nets/net.ts';
import { bySize } from '../../../model/order.ts';
import { leadingEigen } from '../../../model/principal-axes.ts';
import type { Change } from '../../../model/schedule.ts';
import type { State } from '../../../model/state.ts';
import { mean, scatter } from '../../../model/statistics.ts';
import { mostClusters, withinLimit } from '../../../tasks/capacity.ts';
import { byCluster, createRounds } from '../../../tasks/cells/ask.ts';
import { shardSizes } from '../../rounds/sums.ts';
import type { TrainingRun } from '../run-context.ts';
import { emitProposal, withChange, withUnits } from '../step.ts';
import { FEWEST_ROWS, type GraphRun, netMemberships, sweptOften } from './neighbour-graph.ts';
import { startingPartition } from './resolution.ts';

/** Split and merge steps of the graph likelihood (docs/algorithm.md, section 11). */

/** Sweeps in which rows move once clusters are split. */
const MOVES = 4;

/** A cluster's split in two: it gains γ·vol₁·vol₂/tot − w₁₂. */
interface Cut {
  parts: readonly [number, number];
  logRatio: number;
  /** Which of the cuts. */
  cut: number;
}

/**
 * Proposes to split every cluster in two, or the single cluster that a run begins with into many. Halves start from the sub-nets
 * and along principal axes, and are refined on the cluster's part of the graph.
 */
export async function splitStep(of: GraphRun, state: State): Promise<State> {
  const { run, graph, resolution } = of;
  const { k } = state.mixture;
  if (k === 1) return splitIntoMany(of, state);
  const labels = labelsOf(await netMemberships(of));
  const found = await refinedHalves(of, state, labels);
  const { side, cuts } = found;
  const best = bestCuts(found, graph.total, resolution, k);
  const emitted = best.map((own, cluster) => {
    const accepted = own.logRatio > 0;
    const { parts, logRatio } = own;
    const reason = Number.isFinite(logRatio) ? undefined : 'too few points';
    emitProposal(run, 'split', state, {
      clusters: [cluster],
      points: [...parts],
      logRatio,
      accepted,
      reason,
    });
    return accepted ? own : null;
  });
  const splits = withinLimit(emitted, mostClusters(run.d, run.config.covariance));
  const units: OutputUnit[] = [];
  const first = new Int32Array(k);
  splits.forEach((split, cluster) => {
    first[cluster] = units.length;
    if (!split) units.push({ from: cluster, share: 1, fresh: false });
    else
      for (const rows of split.parts)
        units.push({ from: cluster, share: rows / (split.parts[0] + split.parts[1]), fresh: true });
  });
  const next = labels.map((label, row) => {
    const split = splits[label];
    return first[label] + (split && side[row * cuts + split.cut] > 0.5 ? 1 : 0);
  });
  const moved = sweptOften(of, hardMemberships(next, graph.degree, units.length), MOVES);
  return changeClusters(run, state, 'split', units, labelsOf(moved));
}

/** The start: the single cluster is split into the clusters of a partition that is finer than they will be. */
async function splitIntoMany({ run, graph, resolution }: GraphRun, state: State): Promise<State> {
  const { mostOf, stability } = { mostOf: mostClusters(run.d, run.config.covariance), ...state.graph! };
  const labels = await startingPartition(run, graph, resolution);
  const k = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const rows = countsOf(labels, k);
  const logRatio = (graph.total / 2) * (quality(graph.graph, labels, resolution) - (1 - resolution));
  const accepted = stability !== null && k > 1 && k <= mostOf && logRatio > 0;
  const reason = stability === null ? 'other samples would be split otherwise' : undefined;
  emitProposal(run, 'split', state, { clusters: [0], points: [...rows], logRatio, accepted, reason });
  const units: OutputUnit[] = accepted
    ? Array.from(rows, (own) => ({ from: 0, share: own / graph.n, fresh: true }))
    : [{ from: 0, share: 1, fresh: false }];
  return changeClusters(run, state, 'split', units, labels);
}

/** The cut of each cluster that gains most; −∞ for one without sub-clusters of enough rows. */
function bestCuts({ cuts, links }: Cuts, total: number, resolution: number, k: number): Cut[] {
  const { rows, volume, between } = links;
  return Array.from({ length: k }, (_, cluster) => {
    let best: Cut = { parts: [0, 0], logRatio: -Infinity, cut: 0 };
    for (let cut = 0; cut < cuts; cut++) {
      const at = cluster * cuts + cut;
      const parts = [rows[2 * at], rows[2 * at + 1]] as const;
      if (cut === 0) best = { ...best, parts };
      if (Math.min(...parts) < FEWEST_ROWS) continue;
      const logRatio = (resolution * volume[2 * at] * volume[2 * at + 1]) / total - between[at];
      if (logRatio > best.logRatio) best = { parts, logRatio, cut };
    }
    return best;
  });
}

/** Principal axes of a cluster along which it is cut, and sweeps, where a split step decides by the cuts. */
const [AXES, SWEEPS] = [2, 25];
/** Columns along which it is cut, and sweeps, where the cuts are only shown: heights are within a few per cent of those above. */
const [COLUMNS, FEW_SWEEPS] = [3, 8];

/** The cuts of each cluster: the sides of all rows, [n,cuts], and what links them. */
export interface Cuts {
  side: Float32Array;
  cuts: number;
  links: HalfLinks;
}

/**
 * Two-way cuts of each cluster, by its sub-net and along its two leading principal axes. The workers have to have the net of `state`.
 * `labels`: the cluster of each row.
 */
async function refinedHalves(of: GraphRun, state: State, labels: Int32Array): Promise<Cuts> {
  const { dispatcher, d, layout } = of.run;
  const { k, means } = state.mixture;
  const full = createRounds(dispatcher, shardSizes(layout), d, 'full');
  const [T] = await full.cellStatistics([byCluster(k)], [], [means]);
  const axes = new Float64Array(k * AXES * d);
  const threshold = new Float64Array(k * AXES);
  T.forEach((t, cluster) => {
    const centre = mean(t, d);
    const { vectors } = leadingEigen(scatter(t, d, 'full'), d, Math.min(AXES, d));
    for (let i = 0; i < AXES; i++) {
      const [at, column] = [cluster * AXES + i, Math.min(i, d - 1)];
      const axis = vectors.slice(column * d, (column + 1) * d);
      axes.set(axis, at * d);
      threshold[at] = dot(axis, centre);
    }
  });
  return cutsAlong(of, state, labels, { axes, threshold, count: AXES }, SWEEPS);
}

/** The same at a fraction of the cost: by its sub-net and along the columns in which the mixture says that it varies most. */
export function quickHalves(of: GraphRun, state: State, labels: Int32Array): Cuts {
  const { k, d, means, covariances } = state.mixture;
  const axes = new Float64Array(k * COLUMNS * d);
  const threshold = new Float64Array(k * COLUMNS);
  covariances.forEach((covariance, cluster) => {
    const columns = bySize(diagonalOf(covariance, d));
    for (let i = 0; i < COLUMNS; i++) {
      const [at, column] = [cluster * COLUMNS + i, columns[Math.min(i, d - 1)]];
      axes[at * d + column] = 1;
      threshold[at] = means[cluster][column];
    }
  });
  return cutsAlong(of, state, labels, { axes, threshold, count: COLUMNS }, FEW_SWEEPS);
}

/** Sides of all rows by several cuts of each cluster, and what links the halves. */
function cutsAlong(
  { run: { transform }, graph }: GraphRun,
  { subs, mixture }: State,
  labels: Int32Array,
  axes: CutAxes,
  sweeps: number,
): Cuts {
  const cuts = axes.count + 1;
  const of = { graph: graph.graph, label: labels, clusters: mixture.k };
  const starts = startingSides(graph.rows, transform.scale, labels, subs, axes);
  const side = annealedSides(of, starts, cuts, sweeps);
  return { cuts, side, links: halfLinks(of, side, cuts, graph.degree) };
}

/** Merges of one round: with more at once, the pairs that happen to be nearest join before the rows have moved. */
const SHARE_AT_ONCE = 1 / 8;
const MERGE_SWEEPS = 3;

/**
 * Merges clusters of the graph likelihood: two gain by it if w_ab > γ·vol_a·vol_b/tot for the sums of memberships over all rows.
 * Of these the pairs that gain most for the smaller volume come first, each cluster at most once and not too many at a time;
 * then rows move, by sweeps of the mean field, and the next pairs merge.
 */
export async function mergeStep(of: GraphRun, state: State): Promise<State> {
  const { run, graph, resolution } = of;
  const byNet = await netMemberships(of);
  // Two curves that the net has learned overlap by more than so low a γ.
  let memberships = resolution < GRID[0] ? sweptOften(of, byNet, 1) : byNet;
  let units: OutputUnit[] = Array.from({ length: state.mixture.k }, (_, from) => ({
    from,
    share: 1,
    fresh: false,
  }));
  for (;;) {
    const k = units.length;
    const rows = countsOf(labelsOf(memberships), k);
    const W = linksBetween(graph.graph, memberships);
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
    memberships = sweptOften(of, regrouped(memberships, place, units.length), MERGE_SWEEPS);
  }
  return changeClusters(run, state, 'merge', units, labelsOf(memberships));
}

/** The pairs that merge now, as a map from each of both to the other. Emits them, and those that do not merge in this step. */
function acceptedPairs(
  run: TrainingRun,
  state: State,
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
    emitProposal(run, 'merge', state, {
      clusters: [units[a].from, units[b].from],
      points: [rows[a], rows[b]],
      ...{ logRatio: gain, accepted },
      reason: accepted && gain <= 0 ? `fewer than ${FEWEST_ROWS} points` : undefined,
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

/** A merge step for `--clusters`: the clusters are those of a cut of the tree of merges. */
export async function joinStep(of: GraphRun, state: State, clusters: number): Promise<State> {
  const { run, graph } = of;
  const { k } = state.mixture;
  const memberships = await netMemberships(of);
  const W = linksBetween(graph.graph, memberships);
  const rows = [...countsOf(labelsOf(memberships), k)];
  const occupied = occupiedOf(rows);
  const joins = mergeTree(
    Float64Array.from(occupied.flatMap((a) => occupied.map((b) => W[a * k + b]))),
    Float64Array.from(occupied, (cluster) => memberships.volume[cluster]),
  );
  const { groups, place } = cutOfOccupied(rows, joins, clusters);
  const units = groups.map(({ from, largest }) => ({ from: largest, share: 1, fresh: from.length > 1 }));
  const joined = sweptOften(of, regrouped(memberships, place, units.length), MERGE_SWEEPS);
  return changeClusters(run, state, 'merge', units, labelsOf(joined), true);
}

/** The state after a step of the graph likelihood. */
function changeClusters(
  run: TrainingRun,
  state: State,
  kind: Change,
  units: OutputUnit[],
  labels: Int32Array,
  joined = false,
): State {
  const changed = units.some(({ fresh }) => fresh)
    ? Math.max(1, Math.abs(units.length - state.mixture.k))
    : 0;
  const after = withChange(run, state, {
    ...{ kind, changed, k: units.length, progress: null },
    ...(kind === 'split' && { exhaustive: true as const }),
    ...(joined && { joined: true as const }),
  });
  return changed ? withClusters(run, after, units, labels) : after;
}

/**
 * The state with other clusters: units of the nets are copied or dropped, and the rows keep the clusters that they have been given (`labels`) until the
 * clustering net has learned them. The mixture, which describes the clusters but decides nothing, follows with the next epoch.
 */
export function withClusters(run: TrainingRun, state: State, units: OutputUnit[], labels: Int32Array): State {
  const { mixture } = state;
  const of = <T>(values: readonly T[]) => units.map(({ from }) => values[from]);
  const weights = units.map(({ from, share }) => mixture.weights[from] * share);
  const sum = weights.reduce((a, b) => a + b, 0);
  return {
    ...withUnits(run, state, units),
    mixture: {
      ...mixture,
      k: units.length,
      weights: Float64Array.from(weights, (weight) => weight / sum),
      means: of(mixture.means),
      covariances: of(mixture.covariances),
    },
    parts: of(state.parts),
    graph: { ...state.graph!, labels },
    frozen: Math.max(1, run.config.freeze),
  };
}

/** The number of rows with each label. */
function countsOf(labels: Int32Array, k: number): Int32Array {
  const counts = new Int32Array(k);
  for (const label of labels) counts[label]++;
  return counts;
}
