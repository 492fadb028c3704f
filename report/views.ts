import { networkRows } from '../data/transform.ts';
import { layersOf, logits } from '../model/forward.ts';
import type { State } from '../model/state.ts';
import { mean, scatter } from '../model/statistics.ts';
import { nonEmpty } from '../view/cluster-table.ts';
import { alignAxes, dot, leadingAxes, pooledCovariance, projectCovariance } from '../view/projection.ts';
import type { Fitted } from './fitted.ts';
import type { Proposal } from './history.ts';
import { type ClusterView, type Component, indicesOf } from './pictures/clusters.ts';
import type { SubView } from './pictures/sub-clusters.ts';
import { alongAxis, type Rows, stretches } from './rows.ts';

/** From what a run has found to what the pictures of points show. */

/** Of paper. */
const AXES = 2;
/** Rows in the picture of all clusters. */
const SHOWN = 4_000;
/** Rows in the picture of one cluster, and rows among which they are sought. */
const SHOWN_INSIDE = 1_200;
const SEARCHED = 16_000;

/** Numbers of the clusters that have rows, the largest first. */
export const occupied = ({ rows }: Fitted): number[] =>
  nonEmpty(rows).sort((a, b) => rows[b] - rows[a] || a - b);

/** `rows`: null where the data cannot be read. */
export async function clusterView(
  fitted: Fitted,
  rows: Rows | null,
  { count, seed }: { count: number; seed: bigint },
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
      centre: placeOf(means[i], axes),
      spread: spreadAlong(covariances[i], axes),
    }),
  );
  const places = rows ? stretches(count, SHOWN, seed) : [];
  const total = places.reduce((sum, stretch) => sum + stretch.count, 0);
  const points = {
    x: new Float64Array(total),
    y: new Float64Array(total),
    cluster: new Int32Array(total),
  };
  const along = axes.map((axis) => alongAxis(transform, axis));
  let at = 0;
  for (const stretch of places) {
    const raw = await rows!.read(stretch);
    points.cluster.set(await rows!.labels(stretch), at);
    for (let i = 0; i < stretch.count; i++, at++) {
      points.x[at] = along[0](raw, i);
      points.y[at] = along[1]?.(raw, i) ?? 0;
    }
  }
  return { dim: mixture.d, shares, components, points };
}

const placeOf = (centre: Float64Array, [across, up]: Float64Array[]): [number, number] => [
  dot(across, centre),
  up ? dot(up, centre) : 0,
];

/** Variance, covariance, variance. */
function spreadAlong(covariance: Float64Array, axes: Float64Array[]): [number, number, number] {
  const [xx, xy, , yy] = projectCovariance(covariance, axes, AXES);
  return [xx, xy, yy];
}

/** The cluster that came nearest to being split, where that is known; else the largest with two sub-clusters. */
export function clusterToOpen(
  { parts }: Pick<State, 'parts'>,
  splits: Proposal[],
  shown: number[],
): number | null {
  const has = (k: number) => parts[k]?.length === 2 && parts[k].every((T) => T[0] > 0);
  const tried = splits.filter(
    ({ cluster, logRatio }) => logRatio !== null && shown.includes(cluster) && has(cluster),
  );
  if (tried.length) return tried.reduce((a, b) => (b.logRatio! > a.logRatio! ? b : a)).cluster;
  return shown.find(has) ?? null;
}

/** The inside of one cluster. `rows`: null where the data cannot be read. */
export async function subView(
  { transform }: Fitted,
  { parts, subs, mixture }: State,
  cluster: number,
  rows: Rows | null,
  { count, seed }: { count: number; seed: bigint },
): Promise<SubView> {
  const { d, covariance } = mixture;
  const pair = parts[cluster];
  const sizes = pair.map((T) => T[0]);
  const middles = pair.map((T) => mean(T, d));
  const covariances = pair.map((T) => scatter(T, d, covariance).map((value) => value / T[0]));
  const { axes } = leadingAxes(sizes, middles, pooledCovariance(sizes, covariances), AXES);
  // The first sub-cluster on the left.
  alignAxes(axes, [middles[1].map((value, i) => value - middles[0][i])]);
  const halves = pair.map((_, i) => ({
    rows: sizes[i],
    centre: placeOf(middles[i], axes),
    spread: spreadAlong(covariances[i], axes),
  }));
  const along = axes.map((axis) => alongAxis(transform, axis));
  const net = layersOf(subs, cluster);
  const found: { x: number; y: number; share: number }[] = [];
  for (const stretch of rows ? stretches(count, SEARCHED, seed) : []) {
    if (found.length >= SHOWN_INSIDE) break;
    const labels = await rows!.labels(stretch);
    if (!labels.includes(cluster)) continue;
    const own = rowsWhere(labels, cluster, await rows!.read(stretch), transform.input);
    const out = logits(net, networkRows(transform, own));
    for (let i = 0; 2 * i < out.length; i++) {
      const share = 1 / (1 + Math.exp(out[2 * i] - out[2 * i + 1]));
      found.push({ x: along[0](own, i), y: along[1]?.(own, i) ?? 0, share });
    }
  }
  const column = (key: 'x' | 'y' | 'share') => Float64Array.from(found, (point) => point[key]);
  return {
    cluster,
    dim: d,
    halves,
    points: { x: column('x'), y: column('y'), share: column('share') },
  };
}

function rowsWhere(labels: Int32Array, cluster: number, raw: Float32Array, dim: number): Float32Array {
  const chosen = indicesOf(labels, cluster);
  const out = new Float32Array(chosen.length * dim);
  chosen.forEach((row, i) => {
    out.set(raw.subarray(row * dim, (row + 1) * dim), i * dim);
  });
  return out;
}
