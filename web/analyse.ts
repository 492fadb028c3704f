import { argmaxRows, type Layer, logits } from '../model/forward.ts';
import type { StateOf } from '../view/api.ts';
import { type ClusterRow, type ClusterTable, clusterTable } from '../view/cluster-table.ts';
import {
  alignAxes,
  leadingAxes,
  type Projection,
  pooledCovariance,
  projectCovariance,
  projectRows,
} from '../view/projection.ts';
import { keepSlots, type Slotted } from './slots.ts';

/** Display sample: rows in the net's coordinates. */
export interface Sample {
  rows: Float32Array;
  dim: number;
}

export interface Cluster extends ClusterRow {
  /** Kept from state to state although clusters are numbered anew. */
  slot: number;
  /** Number of its colour: the slot, or its own number once the run is over, as in the report. */
  colour: number;
}

/** A state as the page draws it: nothing in it depends on D. Three coordinates each; missing axes are 0. */
export interface Picture extends ClusterTable {
  epoch: number;
  k: number;
  dim: number;
  clusters: Cluster[];
  /** [K, 3] and [K, 3, 3]. */
  centres: Float64Array;
  covariances: Float64Array;
  shares: number[];
  /** Points of the display sample [N, 3] and their labels; empty until it is there. */
  xyz: Float32Array;
  labels: Int32Array;
}

/** Among these the picture may be turned. */
const AXES = 3;

/** Turns states into pictures; remembers axes and slots from one to the next, so that the picture stays calm. */
export function analyst(): (state: StateOf, sample: Sample | null, isOver?: boolean) => Picture {
  let before: Projection | null = null;
  let known: Slotted | null = null;
  return (state, sample, isOver = false) => {
    const { k, means, weights, covariances, scale, sizes, counts, splitRatio } = state;
    const dim = means[0].length;
    const projection = leadingAxes(weights, means, pooledCovariance(weights, covariances), AXES);
    if (before) alignAxes(projection.axes, before.axes);
    before = projection;
    const { slots } = (known = keepSlots(known, means));
    const rows = sample?.dim === dim ? sample.rows : new Float32Array(0);
    const labels = argmaxRows(logits(state.net.map(layerOf), rows), k);
    const xyz = projectRows(rows, scale, projection, AXES);
    const unscaled = new Float64Array(dim).fill(1);
    const centres = projectRows(Float32Array.from(means.flat()), unscaled, projection, AXES);
    const projected = new Float64Array(k * AXES ** 2);
    covariances.forEach((covariance, c) => {
      projected.set(projectCovariance(covariance, projection.axes, AXES), c * AXES ** 2);
    });
    if (dim === 1) spreadOut(xyz, projected);
    const table = clusterTable({
      weights,
      means,
      covariances,
      rows: counts ?? sizes,
      counted: counts !== null,
      logRatios: splitRatio,
    });
    return {
      epoch: state.epoch,
      k,
      dim,
      counted: table.counted,
      clusters: table.clusters.map((row, c) => ({ ...row, slot: slots[c], colour: isOver ? c : slots[c] })),
      centres: Float64Array.from(centres),
      covariances: projected,
      shares: projection.shares,
      xyz,
      labels,
    };
  };
}

/** A layer as it comes over the wire: little-endian float32 in base64. */
function layerOf({ rows, cols, weights, bias }: StateOf['net'][number]): Layer {
  return { rows, cols, weights: floats(weights), bias: floats(bias) };
}

function floats(base64: string): Float32Array {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/** One dimension has no second axis: points are spread out across by chance, always the same, and ellipses with them. */
function spreadOut(xyz: Float32Array, covariances: Float64Array): void {
  let extent = 0;
  for (let i = 0; i < xyz.length; i += 3) extent = Math.max(extent, Math.abs(xyz[i]));
  for (let c = 0; c < covariances.length; c += 9) extent = Math.max(extent, 2 * Math.sqrt(covariances[c]));
  const sd = extent / 12;
  for (let i = 0; i < xyz.length; i += 3) xyz[i + 1] = sd * hashed(i);
  for (let c = 0; c < covariances.length; c += 9) covariances[c + 4] = sd * sd;
}

/** About normal, of unit variance: the sum of four uniform numbers drawn from `i`. */
function hashed(i: number): number {
  let all = 0;
  let x = i + 1;
  for (let draw = 0; draw < 4; draw++) {
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) + 0x9e3779b9;
    x ^= x >>> 15;
    all += (x >>> 0) / 2 ** 32 - 0.5;
  }
  return all * Math.sqrt(3);
}
