import { argmaxRows, layersOf, logits, type Net } from '../nets/net.ts';
import type { Graph } from './weights.ts';

/** Two-way cuts of each cluster's part of a graph: where they start, sweeps of an annealed mean field, and what links the halves. Arrays alone; steps.ts decides which cuts count. */

/** Two-way cuts of each cluster's part of a graph, several of each at a time (docs/algorithm.md, section 11). */
export interface Clusters {
  readonly graph: Graph;
  /** The cluster of each row. */
  readonly label: Int32Array;
  /** K. */
  readonly clusters: number;
}

/** J of the annealed mean field, in its first sweep and in its last. */
const [FIRST_COUPLING, LAST_COUPLING] = [0.5, 4.1];

/** Where a cluster's rows are cut at first: directions [K,count,D], and a threshold along each, [K,count]. */
export interface CutAxes {
  readonly axes: Float64Array;
  readonly threshold: Float64Array;
  readonly count: number;
}

/**
 * Sides of all rows to start from, [n,1 + count]: by the sub-net of their cluster, then 1 beyond the threshold along each of its axes.
 *
 * @param rows [n,D], in the coordinates of the model; those of the nets are divided by `scale`
 */
export function startingSides(
  rows: Float32Array,
  scale: Float64Array,
  label: Int32Array,
  subs: Net,
  { axes, threshold, count }: CutAxes,
): Float32Array {
  const d = scale.length;
  const cuts = count + 1;
  const side = new Float32Array(label.length * cuts);
  sidesBySubNets(rows, scale, label, subs).forEach((own, row) => {
    side[row * cuts] = own;
  });
  for (let row = 0; row < label.length; row++)
    for (let axis = 0; axis < count; axis++) {
      const own = label[row] * count + axis;
      let along = 0;
      for (let j = 0; j < d; j++) along += rows[row * d + j] * axes[own * d + j];
      side[row * cuts + 1 + axis] = along > threshold[own] ? 1 : 0;
    }
  return side;
}

/** Which of its cluster's two sub-clusters the sub-net assigns each row to. */
function sidesBySubNets(rows: Float32Array, scale: Float64Array, label: Int32Array, subs: Net): Int32Array {
  const d = scale.length;
  const side = new Int32Array(label.length);
  const members: number[][] = Array.from({ length: subs.shapes[0][0] }, () => []);
  label.forEach((cluster, row) => {
    members[cluster].push(row);
  });
  for (const [cluster, own] of members.entries()) {
    if (!own.length) continue;
    const y = new Float32Array(own.length * d);
    for (const [i, row] of own.entries())
      for (let j = 0; j < d; j++) y[i * d + j] = rows[row * d + j] / scale[j];
    const found = argmaxRows(logits(layersOf(subs, cluster), y), 2);
    for (const [i, row] of own.entries()) side[row] = found[i];
  }
  return side;
}

/**
 * The sides after so many sweeps of the annealed mean field: in each, a row's side is 1 with the probability q,
 * log q/(1−q) = J·(w₁ − w₀ − d′·(vol₁ − vol₀)/(vol₀ + vol₁)), where w, d′ and vol count only edges within its cluster.
 */
export function annealedSides(of: Clusters, start: Float32Array, cuts: number, sweeps: number): Float32Array {
  const inner = innerEdges(of);
  const rise = (LAST_COUPLING - FIRST_COUPLING) / (sweeps - 1);
  let side = start;
  for (let sweep = 0; sweep < sweeps; sweep++)
    side = sweptSides({ ...of, graph: inner }, side, cuts, FIRST_COUPLING + rise * sweep);
  return side;
}

/** The edges between rows of the same cluster. */
function innerEdges({ graph, label }: Clusters): Graph {
  const starts = new Int32Array(graph.starts.length);
  const index = new Int32Array(graph.index.length);
  const weight = new Float64Array(graph.index.length);
  let end = 0;
  for (let row = 0; row < label.length; row++) {
    for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
      if (label[graph.index[e]] !== label[row]) continue;
      index[end] = graph.index[e];
      weight[end++] = graph.weight[e];
    }
    starts[row + 1] = end;
  }
  return { starts, index: index.subarray(0, end), weight: weight.subarray(0, end) };
}

/** One sweep with the coupling J, of a graph without edges between clusters. */
export function sweptSides(
  { graph, label, clusters }: Clusters,
  side: Float32Array,
  cuts: number,
  coupling: number,
): Float32Array {
  const n = label.length;
  const degree = new Float64Array(n);
  const links = new Float64Array(n * cuts);
  const volume = new Float64Array(clusters * cuts * 2);
  for (let row = 0; row < n; row++) {
    for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
      const other = graph.index[e] * cuts;
      degree[row] += graph.weight[e];
      for (let cut = 0; cut < cuts; cut++) links[row * cuts + cut] += graph.weight[e] * side[other + cut];
    }
    for (let cut = 0; cut < cuts; cut++) {
      const at = (label[row] * cuts + cut) * 2;
      volume[at] += degree[row] * (1 - side[row * cuts + cut]);
      volume[at + 1] += degree[row] * side[row * cuts + cut];
    }
  }
  return side.map((_, p) => {
    const row = Math.floor(p / cuts);
    const at = (label[row] * cuts + (p % cuts)) * 2;
    const [zero, one] = [volume[at], volume[at + 1]];
    const balance = zero + one > 0 ? (one - zero) / (zero + one) : 0;
    return 1 / (1 + Math.exp(-coupling * (2 * links[p] - degree[row] * (1 + balance))));
  });
}

/** Rows and volume (of all edges) of both halves by hard sides, [K,cuts,2], and the weight between the halves, [K,cuts]. */
export interface HalfLinks {
  rows: Float64Array;
  volume: Float64Array;
  between: Float64Array;
}

/** `degree`: of all edges. */
export function halfLinks(
  { graph, label, clusters }: Clusters,
  side: Float32Array,
  cuts: number,
  degree: Float64Array,
): HalfLinks {
  const rows = new Float64Array(clusters * cuts * 2);
  const volume = new Float64Array(clusters * cuts * 2);
  const between = new Float64Array(clusters * cuts);
  for (let row = 0; row < label.length; row++) {
    const own = label[row] * cuts;
    for (let cut = 0; cut < cuts; cut++) {
      const half = +(side[row * cuts + cut] > 0.5);
      rows[(own + cut) * 2 + half]++;
      volume[(own + cut) * 2 + half] += degree[row];
      if (half === 0) continue;
      for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
        const other = graph.index[e];
        if (label[other] === label[row] && side[other * cuts + cut] <= 0.5)
          between[own + cut] += graph.weight[e];
      }
    }
  }
  return { rows, volume, between };
}
