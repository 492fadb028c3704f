import { mean, median } from 'd3-array';
import { componentsOf, totalsByCluster } from '../../model/gaussian/components.ts';
import { atOnce } from '../../model/graph/map.ts';
import { placesOnMap } from '../../model/graph/map-net.ts';
import { LAID_OUT, mapNetOf } from '../../model/graph/map-training.ts';
import type { MergeTree, StateOf } from './api.ts';
import { type ClusterRow, type ClusterTable, clusterTable } from './cluster-table.ts';
import type { DisplaySample } from './display-sample.ts';
import { alignAxes, leadingAxes, pooledCovariance, projectCovariance, projectRows } from './projection.ts';

/** A state of a run as the page shows it: points and clusters on three axes or on a map, and the table of clusters. */

export interface Cluster extends ClusterRow {
  /** Identifies the cluster across states, although splits and merges renumber clusters. */
  slot: number;
  /** Index into the palette: the slot, or the label once the run is over. */
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
  /** Of components, which on a map are the clusters: their weights, [M, 3] and [M, 3, 3]. With one column, the second coordinate is the height of the component's curve. */
  weights: readonly number[];
  centres: Float64Array;
  covariances: Float64Array;
  /** Fraction along each axis of the scatter between components. */
  shares: number[];
  /** Points are on a map in place of the axes. */
  isMap: boolean;
  /** Points of the display sample [N, 3] and their labels; empty until the sample is loaded. */
  xyz: Float32Array;
  labels: Int32Array;
  /** Which row of the data each point is; empty if that is not known. */
  rows: Float64Array;
  /** For each cluster the rows of the data whose points are nearest to the mean of a component, nearest first. */
  typical: number[][];
}

/** Axes that the plot can be rotated among. */
const AXES = 3;

/** The fields of a state that a view is made from. */
export type ViewedState = Omit<StateOf, 'frozen' | 'covariance' | 'sample' | 'classifier'>;

/**
 * Turns states into views. Keeps axes and slots from one to the next, so that the plot does not jump. `labels`: the clusters of the
 * sample's rows.
 */
export function createViewer() {
  let previous: Float64Array[] = [];
  let previousSlots: ClusterSlots | null = null;
  return (
    state: ViewedState,
    sample: DisplaySample | null,
    labels: Int32Array,
    isOver: boolean,
  ): ModelView => {
    const { means, weights, covariances, scale, sizes, counts, splitRatio, tree, ids } = state;
    const dim = means[0].length;
    const groups = state.groups && Int32Array.from(state.groups);
    const members = componentsOf(weights.length, groups).map((own) =>
      own.toSorted((a, b) => weights[b] - weights[a] || a - b),
    );
    const projection = leadingAxes(weights, means, pooledCovariance(weights, covariances), AXES);
    alignAxes(projection.axes, previous);
    previous = projection.axes;
    const { slots } = (previousSlots = assignSlots(
      previousSlots,
      members.map(([largest]) => means[largest]),
    ));
    const xyz = projectRows(sample?.rows ?? new Float32Array(0), scale, projection, AXES);
    const unscaled = new Float64Array(dim).fill(1);
    const centres = Float64Array.from(
      projectRows(Float32Array.from(means.flat()), unscaled, projection, AXES),
    );
    const projected = new Float64Array(weights.length * AXES ** 2);
    for (const [c, covariance] of covariances.entries())
      projected.set(projectCovariance(covariance, projection.axes, AXES), c * AXES ** 2);
    if (dim === 1) addHeights(weights, members, centres, projected, xyz, labels);
    const table = clusterTable({
      ...{ members, weights, means, covariances, ids },
      rows: counts ?? totalsByCluster(sizes, groups),
      counted: counts !== null,
      logRatios: splitRatio,
    });
    return {
      epoch: state.epoch,
      k: members.length,
      dim,
      counted: table.counted,
      isUpdate: table.isUpdate,
      tree: tree && { ...tree, ids },
      weights,
      centres,
      xyz,
      labels,
      clusters: table.clusters.map((row, c) => ({
        ...{ ...row, slot: slots[c], colour: isOver ? row.id : slots[c] },
        group: null,
      })),
      covariances: projected,
      shares: projection.shares,
      isMap: false,
      rows: sample?.numbers ?? new Float64Array(0),
      typical: sample ? typicalRows(sample, labels, members, state) : [],
    };
  };
}

const MOST_TYPICAL = 10;

function typicalRows(
  { rows, dim, numbers }: DisplaySample,
  labels: Int32Array,
  members: readonly (readonly number[])[],
  { means, scale }: ViewedState,
): number[][] {
  const found = members.map((): { row: number; distance: number }[] => []);
  const squared = (i: number, centre: readonly number[]) => {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += (rows[i * dim + d] * scale[d] - centre[d]) ** 2;
    return sum;
  };
  for (const [i, row] of numbers.entries()) {
    const nearest = found[labels[i]];
    const distance = members[labels[i]].reduce(
      (least, component) => Math.min(least, squared(i, means[component])),
      Infinity,
    );
    if (nearest.length === MOST_TYPICAL && distance >= nearest[MOST_TYPICAL - 1].distance) continue;
    nearest.push({ row, distance });
    nearest.sort((a, b) => a.distance - b.distance).splice(MOST_TYPICAL);
  }
  return found.map((nearest) => nearest.map(({ row }) => row));
}

/** The highest curve, in units of the widest extent of the centres. */
const HIGHEST = 0.4;

/**
 * With one column, the second coordinate of a centre becomes the height of its component's curve, which is its density times its weight,
 * and points are spread below the highest of their cluster.
 */
function addHeights(
  weights: readonly number[],
  members: readonly (readonly number[])[],
  centres: Float64Array,
  covariances: Float64Array,
  xyz: Float32Array,
  labels: Int32Array,
): void {
  const variances = weights.map((_, c) => covariances[9 * c] || 1e-12);
  const ends = weights.flatMap((_, c) =>
    [-3, 3].map((sds) => centres[3 * c] + sds * Math.sqrt(variances[c])),
  );
  const peaks = weights.map((weight, c) => weight / Math.sqrt(variances[c]));
  const unit = (HIGHEST * (Math.max(...ends) - Math.min(...ends))) / Math.max(...peaks);
  for (const [c, peak] of peaks.entries()) centres[3 * c + 1] = unit * peak;
  for (const [i, label] of labels.entries()) {
    const heights = members[label].map((c) => curveHeight(centres, covariances, c, xyz[3 * i]));
    xyz[3 * i + 1] = goldenSequence(i) * Math.max(...heights);
  }
}

/** The height at `x` of the curve of a component of one column. */
export const curveHeight = (centres: Float64Array, covariances: Float64Array, c: number, x: number): number =>
  centres[3 * c + 1] * Math.exp(-((x - centres[3 * c]) ** 2) / (2 * (covariances[9 * c] || 1e-12)));

/** A low-discrepancy sequence in [0, 1): any run of consecutive indices is evenly spread. */
const goldenSequence = (index: number) => (index * 0.6180339887498949) % 1;

/** Returns a function that puts a view's points on a map, which is made once: it depends on the sample alone. For runs that have no map of all rows yet. */
export function createMap(): (view: ModelView, sample: DisplaySample, scale: readonly number[]) => ModelView {
  let places: Float32Array | null = null;
  return (view, { rows, dim }, scale) => {
    if (dim <= 2 || !view.labels.length) return view;
    const n = Math.min(view.labels.length, LAID_OUT);
    // Evenly spaced: the rows are in the order of the file.
    const shown = Int32Array.from({ length: n }, (_, i) => Math.floor((i * view.labels.length) / n));
    const scaled = (_: unknown, p: number) =>
      rows[shown[Math.floor(p / dim)] * dim + (p % dim)] * scale[p % dim];
    if (!places) {
      const own = Float32Array.from({ length: n * dim }, scaled);
      places = placesOnMap(atOnce(mapNetOf(own, dim)), own);
    }
    const labels = Int32Array.from(shown, (row) => view.labels[row]);
    const xyz = new Float32Array(3 * n);
    for (let i = 0; i < n; i++) xyz.set(places.subarray(2 * i, 2 * i + 2), 3 * i);
    const numbers = view.rows.length ? Float64Array.from(shown, (row) => view.rows[row]) : view.rows;
    return {
      ...{ ...view, ...spreadOf(xyz, labels, view.k), isMap: true, xyz, labels, rows: numbers },
      weights: view.clusters.map(({ weight }) => weight),
      clusters: view.clusters.map((cluster, c) => ({ ...cluster, components: [c] })),
    };
  };
}

/** Medians and covariances of each cluster's points; the median of none is NaN. */
function spreadOf(xyz: Float32Array, labels: Int32Array, k: number) {
  const centres = new Float64Array(3 * k);
  const covariances = new Float64Array(9 * k);
  const points = Array.from({ length: k }, () => [[], []] as number[][]);
  for (const [i, label] of labels.entries())
    for (const axis of [0, 1]) points[label][axis].push(xyz[3 * i + axis]);
  for (const [c, xy] of points.entries())
    for (const a of [0, 1]) {
      centres[3 * c + a] = median(xy[a]) ?? Number.NaN;
      for (const b of [0, 1])
        covariances[9 * c + 3 * a + b] = (xy[0].length > 1 && covariance(xy[a], xy[b])) || 0;
    }
  return { centres, covariances };
}

function covariance(x: number[], y: number[]): number {
  const [mx, my] = [mean(x)!, mean(y)!];
  return mean(x, (value, i) => (value - mx) * (y[i] - my))!;
}

/** A slot identifies a cluster across states and decides its colour. The means are those of the last state. */
export interface ClusterSlots {
  means: number[][];
  slots: number[];
}

/**
 * Slots for the clusters of a new state. Splits and merges renumber clusters, so old and new means are matched greedily,
 * closest pairs first; a new cluster without a match gets the smallest free slot.
 */
export function assignSlots(before: ClusterSlots | null, means: number[][]): ClusterSlots {
  if (!before || before.means[0]?.length !== means[0]?.length) return { means, slots: [...means.keys()] };
  const squared = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);
  const pairs = before.means
    .flatMap((a, from) => means.map((b, to) => ({ from, to, squared: squared(a, b) })))
    .sort((a, b) => a.squared - b.squared);
  const slots = Array<number>(means.length).fill(-1);
  const taken = new Set<number>();
  for (const { from, to } of pairs) {
    const slot = before.slots[from];
    if (slots[to] >= 0 || taken.has(slot)) continue;
    slots[to] = slot;
    taken.add(slot);
  }
  for (let to = 0, free = 0; to < slots.length; to++) {
    if (slots[to] >= 0) continue;
    while (taken.has(free)) free++;
    slots[to] = free++;
  }
  return { means, slots };
}
