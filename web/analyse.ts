import { argmaxRows, type Layer, logits } from '../model/nets/net.ts';
import type { MergeTree, StateOf } from '../view/api.ts';
import { type ClusterRow, type ClusterTable, clusterTable } from '../view/cluster-table.ts';
import {
  alignAxes,
  leadingAxes,
  type Projection,
  pooledCovariance,
  projectCovariance,
  projectRows,
} from '../view/projection.ts';
import { assignSlots, type ClusterSlots } from './slots.ts';

/** The rows drawn as points, in the coordinates of the net. */
export interface DisplaySample {
  rows: Float32Array;
  dim: number;
  /** Which row of the data each is; empty if that is not known. */
  numbers: Float64Array;
}

export interface Cluster extends ClusterRow {
  /** Identifies the cluster across states, although splits and merges renumber clusters. */
  slot: number;
  /** Index into the palette: the slot, or the cluster number once the run is over, as in the report. */
  colour: number;
  /** The group that it is in, by its clusters, where the tree of merges is cut; null outside one. */
  group: string | null;
}

/** A model state prepared for drawing: projected to three axes, of which missing ones are 0. */
export interface ModelView extends ClusterTable {
  epoch: number;
  k: number;
  dim: number;
  clusters: Cluster[];
  /** That of merges above the clusters, once all rows are labelled. */
  tree: MergeTree | null;
  /** [K, 3] and [K, 3, 3]. */
  centres: Float64Array;
  covariances: Float64Array;
  /** Fraction of the between-cluster scatter along each axis. */
  shares: number[];
  /** Points are on a map in place of the axes. */
  isMap: boolean;
  /** Points of the display sample [N, 3] and their labels; empty until the sample is loaded. */
  xyz: Float32Array;
  labels: Int32Array;
  /** Which row of the data each point is; empty if that is not known. */
  rows: Float64Array;
  /** For each cluster the rows of the data whose points are nearest to its mean, nearest first. */
  typical: number[][];
}

/** Axes that the plot can be rotated among. */
const AXES = 3;

/** Turns states into views. Keeps axes and slots from one to the next, so that the plot does not jump. */
export function createAnalyser(): (
  state: StateOf,
  sample: DisplaySample | null,
  isOver?: boolean,
) => ModelView {
  let previous: Projection | null = null;
  let previousSlots: ClusterSlots | null = null;
  return (state, sample, isOver = false) => {
    const { k, means, weights, covariances, scale, sizes, counts, splitRatio, tree } = state;
    const dim = means[0].length;
    const projection = leadingAxes(weights, means, pooledCovariance(weights, covariances), AXES);
    if (previous) alignAxes(projection.axes, previous.axes);
    previous = projection;
    const { slots } = (previousSlots = assignSlots(previousSlots, means));
    const rows = sample?.dim === dim ? sample.rows : new Float32Array(0);
    const labels = argmaxRows(logits(state.net.map(layerOf), rows), k);
    const xyz = projectRows(rows, scale, projection, AXES);
    const unscaled = new Float64Array(dim).fill(1);
    const centres = projectRows(Float32Array.from(means.flat()), unscaled, projection, AXES);
    const projected = new Float64Array(k * AXES ** 2);
    covariances.forEach((covariance, c) => {
      projected.set(projectCovariance(covariance, projection.axes, AXES), c * AXES ** 2);
    });
    if (dim === 1) addJitter(xyz, projected);
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
      clusters: table.clusters.map((row, c) => ({
        ...row,
        slot: slots[c],
        colour: isOver ? c : slots[c],
        group: null,
      })),
      tree,
      centres: Float64Array.from(centres),
      covariances: projected,
      shares: projection.shares,
      isMap: false,
      xyz,
      labels,
      rows: sample?.dim === dim ? sample.numbers : new Float64Array(0),
      typical: sample?.dim === dim ? typicalRows(sample, labels, state) : [],
    };
  };
}

const MOST_TYPICAL = 10;

function typicalRows(
  { rows, dim, numbers }: DisplaySample,
  labels: Int32Array,
  { means, scale }: StateOf,
): number[][] {
  const found = means.map((): { row: number; distance: number }[] => []);
  for (const [i, row] of numbers.entries()) {
    const mean = means[labels[i]];
    const own = found[labels[i]];
    let distance = 0;
    for (let d = 0; d < dim; d++) distance += (rows[i * dim + d] * scale[d] - mean[d]) ** 2;
    if (own.length === MOST_TYPICAL && distance >= own[MOST_TYPICAL - 1].distance) continue;
    own.push({ row, distance });
    own.sort((a, b) => a.distance - b.distance).splice(MOST_TYPICAL);
  }
  return found.map((own) => own.map(({ row }) => row));
}

/** Decodes a layer: little-endian float32 in base64. */
function layerOf({ rows, cols, weights, bias }: StateOf['net'][number]): Layer {
  return { rows, cols, weights: floats(weights), bias: floats(bias) };
}

function floats(base64: string): Float32Array {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/** Data of one dimension have no second axis: repeatable random jitter separates the points. */
function addJitter(xyz: Float32Array, covariances: Float64Array): void {
  let extent = 0;
  for (let i = 0; i < xyz.length; i += 3) extent = Math.max(extent, Math.abs(xyz[i]));
  for (let c = 0; c < covariances.length; c += 9) extent = Math.max(extent, 2 * Math.sqrt(covariances[c]));
  const sd = extent / 12;
  for (let i = 0; i < xyz.length; i += 3) xyz[i + 1] = sd * hashNormal(i);
  for (let c = 0; c < covariances.length; c += 9) covariances[c + 4] = sd * sd;
}

/** Approximately standard normal: the scaled sum of four uniform numbers hashed from `i`. */
function hashNormal(i: number): number {
  let sum = 0;
  let x = i + 1;
  for (let draw = 0; draw < 4; draw++) {
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) + 0x9e3779b9;
    x ^= x >>> 15;
    sum += (x >>> 0) / 2 ** 32 - 0.5;
  }
  return sum * Math.sqrt(3);
}
