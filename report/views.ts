import { networkRows } from '../data/transform.ts';
import { layersOf, logits } from '../model/nets/net.ts';
import type { Seed } from '../model/random.ts';
import type { State } from '../model/state.ts';
import { mean, scatter } from '../model/statistics.ts';
import { nonEmpty } from '../view/cluster-table.ts';
import { alignAxes, dot, leadingAxes, pooledCovariance, projectCovariance } from '../view/projection.ts';
import type { FittedModel } from './fitted-model.ts';
import type { SplitProposal } from './history.ts';
import { type ClusterView, type Component, indicesOf } from './pictures/clusters.ts';
import type { SubClusterView } from './pictures/sub-clusters.ts';
import { alongAxis, type RowReader, sampleRanges } from './row-reader.ts';

/** Derives what the pictures of points show from the fitted model. */

/** Dimensions of a picture. */
const AXES = 2;
/** Rows in the picture of all clusters. */
const SHOWN = 4_000;
/** Rows in the picture of one cluster, and rows that are searched for them. */
const SHOWN_INSIDE = 1_200;
const SEARCHED = 16_000;

/** Indices of the clusters that have rows, largest first. */
export const occupied = ({ rows }: FittedModel): number[] =>
  nonEmpty(rows).sort((a, b) => rows[b] - rows[a] || a - b);

/** All clusters on the two leading axes. `rows`: null if the data cannot be read. */
export async function clusterView(
  fitted: FittedModel,
  rows: RowReader | null,
  { count, seed }: { count: number; seed: Seed },
): Promise<ClusterView> {
  const { transform, mixture } = fitted;
  const shown = occupied(fitted);
  const [weights, means, covariances] = [
    shown.map((k) => mixture.weights[k]),
    shown.map((k) => mixture.means[k]),
    shown.map((k) => mixture.covariances[k]),
  ];
  const { axes, shares } = leadingAxes(weights, means, pooledCovariance(weights, covariances), AXES);
  const components = shown.map(
    (cluster, i): Component => ({
      cluster,
      weight: weights[i],
      centre: projectPoint(means[i], axes),
      spread: projectSpread(covariances[i], axes),
    }),
  );
  const ranges = rows ? sampleRanges(count, SHOWN, seed) : [];
  const total = ranges.reduce((sum, range) => sum + range.count, 0);
  const points = {
    x: new Float64Array(total),
    y: new Float64Array(total),
    cluster: new Int32Array(total),
    row: new Float64Array(total),
  };
  const along = axes.map((axis) => alongAxis(transform, axis));
  let at = 0;
  let next = 0;
  for await (const raw of rows?.readEach(ranges) ?? []) {
    const range = ranges[next++];
    points.cluster.set(await rows!.labels(range), at);
    for (let i = 0; i < range.count; i++, at++) {
      points.x[at] = along[0](raw, i);
      points.y[at] = along[1]?.(raw, i) ?? 0;
      points.row[at] = range.start + i;
    }
  }
  return { dim: mixture.d, shares, components, points };
}

const projectPoint = (centre: Float64Array, [across, up]: Float64Array[]): [number, number] => [
  dot(across, centre),
  up ? dot(up, centre) : 0,
];

/** Variance along x, covariance, variance along y. */
function projectSpread(covariance: Float64Array, axes: Float64Array[]): [number, number, number] {
  const [xx, xy, , yy] = projectCovariance(covariance, axes, AXES);
  return [xx, xy, yy];
}

/** The cluster that was closest to being split, if known; else the largest with two sub-clusters; null if there is none. */
export function clusterToShow(
  { parts }: Pick<State, 'parts'>,
  splits: SplitProposal[],
  shown: number[],
): number | null {
  const hasTwo = (k: number) => parts[k]?.length === 2 && parts[k].every((T) => T[0] > 0);
  const likeliest = likeliestSplit(
    splits.filter(({ cluster }) => shown.includes(cluster) && hasTwo(cluster)),
  );
  return likeliest ? likeliest.cluster : (shown.find(hasTwo) ?? null);
}

/** Of these proposals the one of the largest log H; null if none is known. */
export function likeliestSplit(splits: SplitProposal[]): (SplitProposal & { logRatio: number }) | null {
  let best: (SplitProposal & { logRatio: number }) | null = null;
  for (const split of splits) {
    const { logRatio } = split;
    if (logRatio !== null && !(best && best.logRatio >= logRatio)) best = { ...split, logRatio };
  }
  return best;
}

/** The two sub-clusters of one cluster. `rows`: null if the data cannot be read. */
export async function subClusterView(
  { transform }: FittedModel,
  { parts, subs, mixture }: State,
  cluster: number,
  rows: RowReader | null,
  { count, seed }: { count: number; seed: Seed },
): Promise<SubClusterView> {
  const { d, covariance } = mixture;
  const pair = parts[cluster];
  const sizes = pair.map((T) => T[0]);
  const centres = pair.map((T) => mean(T, d));
  const covariances = pair.map((T) => scatter(T, d, covariance).map((value) => value / T[0]));
  const { axes } = leadingAxes(sizes, centres, pooledCovariance(sizes, covariances), AXES);
  // The first sub-cluster is on the left.
  alignAxes(axes, [centres[1].map((value, i) => value - centres[0][i])]);
  const halves = pair.map((_, i) => ({
    rows: sizes[i],
    centre: projectPoint(centres[i], axes),
    spread: projectSpread(covariances[i], axes),
  }));
  const along = axes.map((axis) => alongAxis(transform, axis));
  const net = layersOf(subs, cluster);
  const points: { x: number; y: number; responsibility: number; row: number }[] = [];
  for (const range of rows ? sampleRanges(count, SEARCHED, seed) : []) {
    if (points.length >= SHOWN_INSIDE) break;
    const labels = await rows!.labels(range);
    if (!labels.includes(cluster)) continue;
    const chosen = indicesOf(labels, cluster);
    const own = rowsAt(chosen, await rows!.read(range), transform.input);
    const out = logits(net, networkRows(transform, own));
    for (let i = 0; 2 * i < out.length; i++) {
      const responsibility = 1 / (1 + Math.exp(out[2 * i] - out[2 * i + 1]));
      points.push({
        x: along[0](own, i),
        y: along[1]?.(own, i) ?? 0,
        responsibility,
        row: range.start + chosen[i],
      });
    }
  }
  const column = (key: 'x' | 'y' | 'responsibility' | 'row') =>
    Float64Array.from(points, (point) => point[key]);
  return {
    cluster,
    dim: d,
    halves,
    points: { x: column('x'), y: column('y'), responsibility: column('responsibility'), row: column('row') },
  };
}

function rowsAt(chosen: number[], raw: Float32Array, dim: number): Float32Array {
  const out = new Float32Array(chosen.length * dim);
  chosen.forEach((row, i) => {
    out.set(raw.subarray(row * dim, (row + 1) * dim), i * dim);
  });
  return out;
}
