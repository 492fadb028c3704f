import type { Drift } from './drift.ts';
import type { Gone, Heyday } from './fading.ts';
import type { StreamSample } from './sample.ts';

/** Rows that have come at once. */
export interface Part {
  /** Their path. */
  readonly data: string;
  readonly rows: number;
  readonly fingerprint: string;
}

/** What a run keeps of all the rows that its clusters come from, besides the state of training: what its next update begins with. */
export interface Stream extends StreamSample {
  /** Updates so far. */
  readonly updates: number;
  /** The data of the first run and of each update, by their fingerprints. */
  readonly parts: readonly Part[];
  /** Rows so far; and what they weigh now, by the half-lives of updates. */
  readonly seen: number;
  readonly weight: number;
  /** The id of each cluster of the state, and the next one that is not given yet. */
  readonly ids: readonly number[];
  readonly next: number;
  /** Of each cluster the heyday; and clusters that are gone. */
  readonly heydays: readonly Heyday[];
  readonly gone: readonly Gone[];
  /** Of each row of the sample the id of its cluster; −1 of rows that are new in an update that is not trained yet. */
  readonly labels: Int32Array;
  /** How the rows of the last update differ from those before; null before the first. */
  readonly drift: Drift | null;
  /** What was said of that; null if it is nothing to worry about. */
  readonly alarm: string | null;
  /** D×D, or the D variances, of the rows of the first run after its transform. */
  readonly covariance: Float64Array;
}
