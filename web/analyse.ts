import type { StateOf } from '../view/api.ts';
import { argmaxLabels, type Layer } from './forward.ts';
import {
  type Axes,
  alignAxes,
  dot,
  leadingAxes,
  projectCovariance,
  projectRows,
  times,
  trace,
} from './projection.ts';
import { keepSlots, type Slotted } from './slots.ts';

/** Display sample: rows in the net's coordinates. */
export interface Sample {
  rows: Float32Array;
  dim: number;
}

/** A row of the table of clusters. */
export interface Cluster {
  weight: number;
  /** Rows, by the training sample's soft counts; by the labels of the display sample where there are none. */
  size: number;
  /** Standard deviation of an average direction. */
  spread: number;
  neighbour: number | null;
  /** Distance to the neighbour over the sum of both standard deviations along the line between the centres. */
  separation: number | null;
  /** log H of its last split proposal. */
  splitRatio: number | null;
  /** Colour number, kept from state to state although clusters are numbered anew. */
  slot: number;
}

/** A state as the page draws it: nothing in it depends on D. Three coordinates each; missing axes are 0. */
export interface Picture {
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
  labels: Uint16Array;
}

/** Centres that are looked at closely when the nearest neighbour of a cluster is sought. */
const CLOSE = 5;

/** Turns states into pictures; remembers axes and colours from one to the next, so that the picture stays calm. */
export function analyst(): (state: StateOf, sample: Sample | null) => Picture {
  let before: Axes | null = null;
  let known: Slotted | null = null;
  return (state, sample) => {
    const { k, means, weights, covariances, scale } = state;
    const dim = means[0].length;
    const axes = leadingAxes(weights, means, averageCovariance(weights, covariances));
    if (before) alignAxes(axes.axes, before.axes);
    before = axes;
    known = keepSlots(known, means);
    const rows = sample?.dim === dim ? sample.rows : new Float32Array(0);
    const labels = rows.length ? argmaxLabels(state.net.map(layerOf), rows, dim) : new Uint16Array(0);
    const xyz = projectRows(rows, scale, axes);
    const centres = projectRows(Float32Array.from(means.flat()), new Float64Array(dim).fill(1), axes);
    const projected = new Float64Array(9 * k);
    covariances.forEach((covariance, c) => {
      projected.set(projectCovariance(covariance, axes), 9 * c);
    });
    if (dim === 1) spreadOut(xyz, projected);
    const counts = state.sizes ?? countsOf(labels, k);
    return {
      epoch: state.epoch,
      k,
      dim,
      clusters: means.map((_, c) => ({
        weight: weights[c],
        size: counts[c],
        spread: Math.sqrt(trace(covariances[c], dim) / dim),
        ...nearestOf(c, means, covariances),
        splitRatio: state.splitRatio?.[c] ?? null,
        slot: known!.slots[c],
      })),
      centres: Float64Array.from(centres),
      covariances: projected,
      shares: axes.shares,
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

function averageCovariance(weights: number[], covariances: number[][]): Float64Array {
  const out = new Float64Array(covariances[0].length);
  covariances.forEach((covariance, c) => {
    for (let i = 0; i < out.length; i++) out[i] += weights[c] * covariance[i];
  });
  return out;
}

function countsOf(labels: Uint16Array, k: number): number[] {
  const counts = Array<number>(k).fill(0);
  for (const label of labels) if (label < k) counts[label]++;
  return counts;
}

function nearestOf(c: number, means: number[][], covariances: number[][]) {
  const apart = means.map((mean) => Float64Array.from(mean, (value, i) => value - means[c][i]));
  const squared = apart.map((v) => dot(v, v));
  const close = [...means.keys()]
    .filter((other) => other !== c)
    .sort((a, b) => squared[a] - squared[b])
    .slice(0, CLOSE);
  let best: { neighbour: number | null; separation: number | null } = { neighbour: null, separation: null };
  for (const other of close) {
    const v = apart[other];
    const sds = [c, other].map((which) =>
      Math.sqrt(Math.max(0, dot(v, times(covariances[which], v, v.length)))),
    );
    const both = sds[0] + sds[1];
    const separation = both > 0 ? squared[other] / both : Number.POSITIVE_INFINITY;
    if (best.separation === null || separation < best.separation) best = { neighbour: other, separation };
  }
  return best;
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
