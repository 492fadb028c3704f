import type { Mixture } from '../model/mixture.ts';
import type { State } from '../model/state.ts';
import { mean, scatter } from '../model/statistics.ts';
import { type Fitted, layersOf, logits, networkRows } from './fitted.ts';
import type { Proposal } from './history.ts';
import { type ClusterView, type Component, indicesOf } from './pictures/clusters.ts';
import type { SubView } from './pictures/sub-clusters.ts';
import { betweenAxes, dot, leadingAxis, multiply, projected, unit, type Vector } from './projection.ts';
import { alongAxis, type Rows, stretches } from './rows.ts';

/** From what a run has found to what the pictures of points show. */

/** Rows in the picture of all clusters. */
const SHOWN = 4_000;
/** Rows in the picture of one cluster, and rows among which they are sought. */
const SHOWN_INSIDE = 1_200;
const SEARCHED = 16_000;

/** Numbers of the clusters that have rows, the largest first. */
export function occupied({ counts, mixture }: Fitted): number[] {
  const size = counts ?? mixture.weights;
  return [...size.keys()].filter((k) => size[k] > 0).sort((a, b) => size[b] - size[a] || a - b);
}

/** `rows`: null where the data cannot be read. */
export async function clusterView(
  fitted: Fitted,
  rows: Rows | null,
  { count, seed }: { count: number; seed: bigint },
): Promise<ClusterView> {
  const { transform } = fitted;
  const shown = occupied(fitted);
  const mixture = only(fitted.mixture, shown);
  const { axes, shares } = betweenAxes(mixture);
  const components = shown.map((cluster, i): Component => {
    const centre = axes.map((axis) => dot(axis, mixture.means[i]));
    return {
      cluster,
      weight: mixture.weights[i],
      centre: [centre[0], centre[1] ?? 0],
      spread: spreadAlong(mixture.covariances[i], axes),
    };
  });
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

function only(mixture: Mixture, chosen: number[]): Mixture {
  const weights = Float64Array.from(chosen, (k) => mixture.weights[k]);
  const total = weights.reduce((a, b) => a + b, 0);
  return {
    ...mixture,
    k: chosen.length,
    weights: weights.map((weight) => weight / total),
    means: chosen.map((k) => mixture.means[k]),
    covariances: chosen.map((k) => mixture.covariances[k]),
  };
}

const spreadAlong = (matrix: Vector, axes: Vector[]): [number, number, number] =>
  axes.length > 1 ? projected(matrix, axes) : [dot(axes[0], multiply(matrix, axes[0])), 0, 0];

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
  const middles = pair.map((T) => mean(T, d));
  const scatters = pair.map((T) => scatter(T, d, covariance));
  const within = scatters[0].map((value, p) => value + scatters[1][p]);
  const across = middles[1].map((value, i) => value - middles[0][i]);
  const axes = [unit(across, []) ?? leadingAxis((v) => multiply(within, v), d, [])];
  if (d > 1) axes.push(leadingAxis((v) => multiply(within, v), d, axes));
  const halves = pair.map((T, i) => {
    const centre = axes.map((axis) => dot(axis, middles[i]));
    const spread = spreadAlong(
      scatters[i].map((value) => value / T[0]),
      axes,
    );
    return { rows: T[0], centre: [centre[0], centre[1] ?? 0] as const, spread };
  });
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
