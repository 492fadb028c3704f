import { logSplitRatio } from '../gaussian/hastings.ts';
import type { Niw } from '../gaussian/niw.ts';

/** Clusters without new rows fade, are gone at last, and may come back (docs/algorithm.md, section 13). */

/** The most that a cluster weighed, in rows, and its statistics in the sample when it last weighed at least half of that. */
export interface Peak {
  readonly weight: number;
  readonly T: Float64Array;
}

/** A cluster that is gone. */
export interface Gone {
  readonly id: number;
  /** The update since which. */
  readonly since: number;
  readonly T: Float64Array;
}

/** A cluster is gone when it weighs less than this part of its peak: after six half-lives without rows. */
const GONE = 1 / 64;
/** Clusters that are gone and remembered. */
const MOST_GONE = 1000;

/** Which clusters of these weights are gone; none, if all were. */
export function fadedClusters(weights: ArrayLike<number>, peaks: readonly Peak[]): boolean[] {
  const faded = peaks.map(({ weight }, k) => weights[k] < GONE * weight);
  return faded.every(Boolean) ? faded.map(() => false) : faded;
}

export const remembered = (gone: readonly Gone[], more: readonly Gone[]): Gone[] =>
  [...gone, ...more].slice(-MOST_GONE);

/** The peak after an update that found this weight and these statistics; `before`: null of a new cluster. */
export function peakOf(before: Peak | null, weight: number, T: Float64Array): Peak {
  const most = Math.max(before?.weight ?? 0, weight);
  return { weight: most, T: before && weight < most / 2 ? before.T : T };
}

/** The id of the cluster that a new one with these statistics is one with: the evidence of their union is larger than of the two. Null: of none. */
export function comesBack(T: Float64Array, gone: readonly Gone[], prior: Niw, alpha: number): number | null {
  let best: { id: number; ratio: number } | null = null;
  for (const { id, T: before } of gone) {
    const ratio = logSplitRatio(prior, [T, before], alpha, 1);
    if (ratio < 0 && !(best && best.ratio <= ratio)) best = { id, ratio };
  }
  return best?.id ?? null;
}
