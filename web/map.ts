import { mean, median } from 'd3-array';
import { mapOf, rowsOnMap } from '../model/graph/map.ts';
import type { DisplaySample, ModelView } from './analyse.ts';

/** Returns a function that puts a view's points on a map, which is made once: it depends on the sample alone. */
export function createMap(): (view: ModelView, sample: DisplaySample, scale: readonly number[]) => ModelView {
  let places: Float64Array | null = null;
  return (view, { rows, dim }, scale) => {
    if (dim <= 2 || !view.labels.length) return view;
    const n = Math.min(view.labels.length, rowsOnMap(dim));
    // Evenly spaced: the rows are in the order of the file.
    const shown = Int32Array.from({ length: n }, (_, i) => Math.floor((i * view.labels.length) / n));
    places ??= mapOf(
      Float32Array.from({ length: n * dim }, (_, p) => {
        const d = p % dim;
        return rows[shown[(p - d) / dim] * dim + d] * scale[d];
      }),
      dim,
    );
    const labels = Int32Array.from(shown, (row) => view.labels[row]);
    const xyz = new Float32Array(3 * n);
    for (let i = 0; i < n; i++) xyz.set(places.subarray(2 * i, 2 * i + 2), 3 * i);
    const numbers = view.rows.length ? Float64Array.from(shown, (row) => view.rows[row]) : view.rows;
    return { ...view, ...spreadOf(xyz, labels, view.k), isMap: true, xyz, labels, rows: numbers };
  };
}

/** Medians and covariances of each cluster's points; the median of none is NaN. */
function spreadOf(xyz: Float32Array, labels: Int32Array, k: number) {
  const centres = new Float64Array(3 * k);
  const covariances = new Float64Array(9 * k);
  const points = Array.from({ length: k }, () => [[], []] as number[][]);
  for (const [i, label] of labels.entries())
    for (const axis of [0, 1]) points[label][axis].push(xyz[3 * i + axis]);
  for (const [c, own] of points.entries())
    for (const a of [0, 1]) {
      centres[3 * c + a] = median(own[a]) ?? Number.NaN;
      for (const b of [0, 1])
        covariances[9 * c + 3 * a + b] = (own[0].length > 1 && covariance(own[a], own[b])) || 0;
    }
  return { centres, covariances };
}

function covariance(x: number[], y: number[]): number {
  const [mx, my] = [mean(x)!, mean(y)!];
  return mean(x, (value, i) => (value - mx) * (y[i] - my))!;
}
