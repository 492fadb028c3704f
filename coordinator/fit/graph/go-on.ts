import { clustersIn, continuedPartition, withVotes } from '../../../model/graph/continued.ts';
import { labelsOf } from '../../../model/graph/mean-field.ts';
import type { OutputUnit } from '../../../model/nets/surgery.ts';
import { generator } from '../../../model/random.ts';
import type { Copies, State } from '../../../model/state.ts';
import { mostClusters } from '../../../tasks/capacity.ts';
import { publishNet } from '../publish.ts';
import type { TrainingRun } from '../run-context.ts';
import { sampledInOrder, sampleOf } from '../sample.ts';
import { withChange } from '../train.ts';
import { FEWEST_ROWS, type GraphSource, netMemberships } from './neighbour-graph.ts';
import { withClusters } from './steps.ts';

/**
 * The first step of an update with the graph likelihood (docs/algorithm.md, section 13): the graph of the sample as it is now, at the same γ, and a
 * partition of it that goes on from the clusters before, which the clustering net then learns. The workers have to have the net of `state`.
 *
 * @param before as of LikelihoodModel
 */
export async function goOn(
  run: TrainingRun,
  graphs: GraphSource,
  state: State,
  before: Int32Array,
): Promise<State> {
  const graph = await graphs.of(state.sample, run.config.keepCopies ? null : undefined);
  const { resolution, stability } = state.graph!;
  const byNet = labelsOf(await netMemberships({ run, graph, resolution }));
  const own = labelsOfRows(run, before, graph.copies);
  const start = withVotes(graph.graph, own).map((label, row) => (label < 0 ? byNet[row] : label));
  const { k } = state.mixture;
  const found =
    // At no γ are there clusters that can be reproduced.
    stability === null
      ? start
      : continuedPartition(graph, resolution, generator(run.seed, 'go-on'), start, FEWEST_ROWS);
  const isTooMany = clustersIn(found) > mostClusters(run.d, run.config.covariance);
  const { units, labels } = unitsOf(start, isTooMany ? start : found, k);
  const changed = units.some(({ fresh }) => fresh) ? Math.max(1, Math.abs(units.length - k)) : 0;
  const step = { kind: 'split' as const, changed, k: units.length, progress: null, last: true as const };
  const sample = sampleOf(state.sample.below, [...graph.shards]);
  const now = { ...state, sample, graph: { ...state.graph!, copies: graph.copies } };
  const after = withClusters(run, withChange(run, now, step), units, labels);
  publishNet(run, after.net);
  return after;
}

/** Labels of the rows of the graph, given those of all rows of the sample: a row has that of its copies, if it has none itself. */
function labelsOfRows({ layout }: TrainingRun, before: Int32Array, copies: Copies | null): Int32Array {
  const sampled = Int32Array.from(sampledInOrder(layout, 1), (row) => before[row]).filter((own) => own > -2);
  if (!copies) return sampled;
  const labels = sampled.slice();
  copies.of.forEach((first, row) => {
    if (labels[first] < 0) labels[first] = sampled[row];
  });
  return labels.filter((_, row) => copies.of[row] === row);
}

/**
 * The output units of a partition, each from the one before of which it has most rows, in the order of these; and the labels by their numbers. Those
 * that do not go on from one alone, or not alone from one, are fresh.
 */
export function unitsOf(
  before: Int32Array,
  now: Int32Array,
  k: number,
): { units: OutputUnit[]; labels: Int32Array } {
  const clusters = clustersIn(now);
  const shared = Array.from({ length: clusters }, () => new Float64Array(k));
  for (const [row, cluster] of now.entries()) shared[cluster][before[row]]++;
  const rows = shared.map((own) => own.reduce((a, b) => a + b, 0));
  const from = shared.map((own) => own.indexOf(Math.max(...own)));
  /** Of each unit that has rows the cluster that most of them are in. */
  const heirs = Array.from({ length: k }, (_, unit) => {
    const counts = shared.map((own) => own[unit]);
    const most = Math.max(...counts);
    return most > 0 ? counts.indexOf(most) : -1;
  });
  const order = [...from.keys()].sort((a, b) => from[a] - from[b] || a - b);
  const units = order.map((cluster): OutputUnit => {
    const parts = from.flatMap((unit, other) => (unit === from[cluster] ? [rows[other]] : []));
    const sources = heirs.filter((heir) => heir === cluster);
    return {
      from: from[cluster],
      share: rows[cluster] / parts.reduce((a, b) => a + b, 0),
      fresh: parts.length > 1 || sources.length > 1 || heirs[from[cluster]] !== cluster,
    };
  });
  const places = new Int32Array(clusters);
  order.forEach((cluster, place) => {
    places[cluster] = place;
  });
  return { units, labels: now.map((cluster) => places[cluster]) };
}
