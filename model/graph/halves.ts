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
    for (let cut = 0; cut < cuts; cut++)
      addSide(volume, (label[row] * cuts + cut) * 2, degree, side[(row - from) * cuts + cut]);
  }
  return { side, volume };
}

/** Adds a row with side q to vol₀ and vol₁, at index `at`. */
function addSide(volume: Float64Array, at: number, degree: number, q: number): void {
  volume[at] += degree * (1 - q);
  volume[at + 1] += degree * q;
}

/** One sweep: the sides of the rows `from … to−1` by those of their neighbours, given those and the volumes of all rows. */
export function sweepHalves(
  halves: Halves,
  { side, volume }: HalfSides,
  coupling: number,
  from: number,
  to: number,
): HalfSides {
  const { graph, label, clusters, cuts } = halves;
  const next: HalfSides = {
    side: new Float32Array((to - from) * cuts),
    volume: new Float64Array(clusters * cuts * 2),
  };
  const links = new Float64Array(cuts);
  for (let row = from; row < to; row++) {
    const cluster = label[row];
    let degree = 0;
    links.fill(0);
    for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
      const other = graph.index[e];
      if (label[other] !== cluster) continue;
      degree += graph.weight[e];
      for (let cut = 0; cut < cuts; cut++) links[cut] += graph.weight[e] * side[other * cuts + cut];
    }
    for (let cut = 0; cut < cuts; cut++) {
      const at = (cluster * cuts + cut) * 2;
      const [zero, one] = [volume[at], volume[at + 1]];
      const balance = zero + one > 0 ? (one - zero) / (zero + one) : 0;
      const own = (row - from) * cuts + cut;
      next.side[own] = 1 / (1 + Math.exp(-coupling * (2 * links[cut] - degree * (1 + balance))));
      addSide(next.volume, at, degree, next.side[own]);
    }
  }
  return next;
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
