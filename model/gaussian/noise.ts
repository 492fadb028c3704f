import { logSum } from '../log-sum.ts';
import type { RowClusters } from './components.ts';

/** What noise is once there is a background (background.ts finds it), and which rows are noise. */

/** What rows of no cluster have in common. */
export interface Background {
  /** Its share of the rows; the weights of the mixture's components and this sum to 1. */
  readonly weight: number;
  /** −log of the volume in which its rows are. */
  readonly logDensity: number;
}

/** log of the density of the background times its weight, wherever a row is. */
export const logBackground = ({ weight, logDensity }: Background): number => Math.log(weight) + logDensity;

/** The same where rows may be noise: those have the label K of K clusters. */
export interface RowsInBackground extends RowClusters {
  /** The log density of each row under clusters and background. */
  logDensities: Float32Array;
}

/**
 * What rows have of K clusters and of a background, whose responsibility is the last of K + 1; `logDensities`: under the clusters, `noise`: under the
 * background, of any row. A row of noise keeps its most likely component.
 */
export function withNoise(
  { labels, responsibilities, components }: RowClusters,
  logDensities: Float32Array,
  noise: number,
): RowsInBackground {
  const n = labels.length;
  const k = responsibilities.length / n;
  const r = new Float32Array(n * (k + 1));
  const out = labels.slice();
  const together = new Float32Array(n);
  for (let i = 0, at = 0; i < n; i++, at += k + 1) {
    const share = 1 / (1 + Math.exp(logDensities[i] - noise));
    // Of a row so far from all that its densities are 0.
    const isFar = Number.isNaN(responsibilities[i * k]);
    for (let c = 0; c < k; c++) r[at + c] = isFar ? 0 : responsibilities[i * k + c] * (1 - share);
    r[at + k] = isFar ? 1 : share;
    if (r[at + k] > r[at + labels[i]]) out[i] = k;
    together[i] = logSum(logDensities[i], noise);
  }
  return { labels: out, responsibilities: r, components, logDensities: together };
}
