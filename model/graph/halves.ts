import type { Graph } from './weights.ts';

/**
 * Two-way cuts of all clusters' subgraphs at once by an annealed mean field (docs/algorithm.md, section 11): a row's side is 1 with
 * the probability q, log q/(1−q) = J·(w₁ − w₀ − d′·(vol₁ − vol₀)/(vol₀ + vol₁)), where w, d′ and vol count only edges within its
 * cluster. `cuts` of each cluster are found at a time.
 */
export interface Halves {
  readonly graph: Graph;
  /** The cluster of each row. */
  readonly label: Int32Array;
  /** K. */
  readonly clusters: number;
  readonly cuts: number;
}

/** Sides q of the rows `from … to−1`, [rows,cuts], and vol₀ and vol₁ that they give, by cluster and cut [K,cuts,2]. */
export interface HalfSides {
  side: Float32Array;
  volume: Float64Array;
}

/** The rows' sides with the volumes that they give. */
export function withVolumes(halves: Halves, side: Float32Array, from: number, to: number): HalfSides {
  const { label, clusters, cuts } = halves;
  const volume = new Float64Array(clusters * cuts * 2);
  for (let row = from; row < to; row++) {
    const degree = innerDegree(halves, row);
    for (let cut = 0; cut < cuts; cut++) {
      const q = side[(row - from) * cuts + cut];
      const at = (label[row] * cuts + cut) * 2;
      volume[at] += degree * (1 - q);
      volume[at + 1] += degree * q;
    }
  }
  return { side, volume };
}

/** One sweep: the sides of the rows `from … to−1` by those of their neighbours, given those and the volumes of all rows. */
export function sweepHalves(
  halves: Halves,
  { side, volume }: HalfSides,
  coupling: number,
  from: number,
  to: number,
): HalfSides {
  const { graph, label, cuts } = halves;
  const next = new Float32Array((to - from) * cuts);
  const links = new Float64Array(cuts);
  for (let row = from; row < to; row++) {
    const own = label[row];
    let degree = 0;
    links.fill(0);
    for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
      const other = graph.index[e];
      if (label[other] !== own) continue;
      degree += graph.weight[e];
      for (let cut = 0; cut < cuts; cut++) links[cut] += graph.weight[e] * side[other * cuts + cut];
    }
    for (let cut = 0; cut < cuts; cut++) {
      const at = (own * cuts + cut) * 2;
      const [zero, one] = [volume[at], volume[at + 1]];
      const balance = zero + one > 0 ? (one - zero) / (zero + one) : 0;
      next[(row - from) * cuts + cut] =
        1 / (1 + Math.exp(-coupling * (2 * links[cut] - degree * (1 + balance))));
    }
  }
  return withVolumes(halves, next, from, to);
}

/** Rows and volume (of all edges) of both halves by hard sides, [K,cuts,2], and the weight between the halves, [K,cuts]. */
export interface HalfLinks {
  rows: Float64Array;
  volume: Float64Array;
  between: Float64Array;
}

/** What the rows `from … to−1` add. `side`: of all rows. */
export function halfLinks(
  { graph, label, clusters, cuts }: Halves,
  side: Float32Array,
  degree: Float64Array,
  from: number,
  to: number,
): HalfLinks {
  const rows = new Float64Array(clusters * cuts * 2);
  const volume = new Float64Array(clusters * cuts * 2);
  const between = new Float64Array(clusters * cuts);
  for (let row = from; row < to; row++) {
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

function innerDegree({ graph, label }: Halves, row: number): number {
  let degree = 0;
  for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++)
    if (label[graph.index[e]] === label[row]) degree += graph.weight[e];
  return degree;
}
