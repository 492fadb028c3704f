import type { Rng } from '../random.ts';
import { aggregated, climb, ended, type Level, numbered } from './louvain.ts';
import { type DegreeGraph, type Graph, subgraph } from './weights.ts';

/** Partitions that go on from an earlier one, as rows have come and gone (docs/algorithm.md, section 13). */

/**
 * Rows with label −1 get the label that they are linked with most, the lower one of equals: first those that have neighbours with one, then those
 * that have these as neighbours, and so on. −1 is left where no path leads to a label.
 */
export function withVotes({ starts, index, weight }: Graph, labels: Int32Array): Int32Array {
  const links = new Float64Array(clustersIn(labels));
  for (let current = labels; ; ) {
    let isLast = true;
    const next = current.map((label, row) => {
      if (label >= 0) return label;
      let best = -1;
      const [from, to] = [starts[row], starts[row + 1]];
      for (let e = from; e < to; e++) if (current[index[e]] >= 0) links[current[index[e]]] += weight[e];
      for (let e = from; e < to; e++) {
        const own = current[index[e]];
        if (own < 0) continue;
        if (best < 0 || links[own] > links[best] || (links[own] === links[best] && own < best)) best = own;
      }
      for (let e = from; e < to; e++) if (current[index[e]] >= 0) links[current[index[e]]] = 0;
      if (best >= 0) isLast = false;
      return best;
    });
    if (isLast) return current;
    current = next;
  }
}

/** Times that rows move, clusters are cut and join, at most. */
const MOST_TURNS = 8;
/** What a turn gains at least, and a cut, in quality. */
const [LEAST_PROGRESS, LEAST_CUT] = [1e-6, 1e-9];
/** Rows of clusters that are too small move again as often as this, while there are any. */
const MOST_TIDIED = 5;

/**
 * A partition of no less `quality` than the one from which it goes on: rows move and clusters join, each is cut where its own part of the graph says
 * so, parts join, and rows move again, until the quality stays. Then clusters of fewer rows than `fewest` join those that they are linked with.
 *
 * @param start labels from 0 on, below the number of rows
 * @returns labels 0 … K−1
 */
export function continuedPartition(
  { graph, degree, total }: Pick<DegreeGraph, 'graph' | 'degree' | 'total'>,
  gamma: number,
  rng: Rng,
  start: Int32Array,
  fewest: number,
): Int32Array {
  const rows = { graph, degree };
  const penalty = total > 0 ? gamma / total : 0;
  const moved = (labels: Int32Array) => ended(climb(rows, labels, penalty, rng));
  let labels = start;
  let before = objective(rows, start, penalty);
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const cut = cutApart(rows, moved(labels), penalty, rng, LEAST_CUT * total);
    const k = clustersIn(cut);
    const place = ended(climb(aggregated(rows, cut, k), numbered(k), penalty, rng));
    const next = moved(cut.map((label) => place[label]));
    const after = objective(rows, next, penalty);
    if (after > before) labels = next;
    if (!(after > before + LEAST_PROGRESS * total)) break;
    before = after;
  }
  return tidied(graph, labels, fewest);
}

/** Each cluster in the parts that a partition of its rows finds, if that gains more than `least`. */
function cutApart(
  { graph, degree }: Level,
  labels: Int32Array,
  penalty: number,
  rng: Rng,
  least: number,
): Int32Array {
  const members: number[][] = Array.from({ length: clustersIn(labels) }, () => []);
  labels.forEach((label, row) => {
    members[label].push(row);
  });
  const cut = labels.slice();
  let clusters = members.length;
  for (const [label, own] of members.entries()) {
    const part = { graph: subgraph(graph, Int32Array.from(own)), degree: degree.slice(0, own.length) };
    for (const [i, row] of own.entries()) part.degree[i] = degree[row];
    const found = ended(climb(part, numbered(own.length), penalty, rng));
    const whole = objective(part, new Int32Array(own.length), penalty);
    if (!(objective(part, found, penalty) > whole + least)) continue;
    for (const [i, row] of own.entries()) cut[row] = found[i] ? clusters + found[i] - 1 : label;
    clusters += clustersIn(found) - 1;
  }
  return cut;
}

/** Rows of clusters that are too small in those that they are linked with; where none is large enough, as they are. Numbered anew. */
function tidied(graph: Graph, labels: Int32Array, fewest: number): Int32Array {
  let current = labels;
  for (let i = 0; i < MOST_TIDIED; i++) {
    const counts = new Int32Array(clustersIn(current));
    for (const label of current) counts[label]++;
    if (!counts.some((rows) => rows > 0 && rows < fewest) || !counts.some((rows) => rows >= fewest)) break;
    const large = current.map((label) => (counts[label] < fewest ? -1 : label));
    const own = current;
    current = withVotes(graph, large).map((label, row) => (label < 0 ? own[row] : label));
  }
  const used = [...new Set(current)].sort((a, b) => a - b);
  const places = new Map(used.map((label, place) => [label, place]));
  return current.map((label) => places.get(label)!);
}

/** The quality, times the sum of all degrees: of some of the rows, what they add to it. */
function objective({ graph, degree }: Level, labels: Int32Array, penalty: number): number {
  const { starts, index, weight } = graph;
  const volume = new Float64Array(clustersIn(labels));
  let within = 0;
  for (let row = 0; row < labels.length; row++) {
    volume[labels[row]] += degree[row];
    for (let e = starts[row]; e < starts[row + 1]; e++)
      if (labels[index[e]] === labels[row]) within += weight[e];
  }
  return within - penalty * volume.reduce((sum, own) => sum + own * own, 0);
}

/** One more than the largest label. */
export const clustersIn = (labels: Int32Array): number =>
  labels.reduce((most, label) => Math.max(most, label + 1), 0);
