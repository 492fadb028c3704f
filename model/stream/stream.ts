import type { Drift, PastUpdate } from './findings.ts';

/** What a run keeps for its updates (docs/algorithm.md, section 13). What an update makes of it: sample.ts, lineage.ts. */

/** Rows that have come at once. */
export interface StreamPart {
  /** The update that they have come with; 0: the first run. */
  readonly update: number;
  /** Their path. */
  readonly data: string;
  readonly rows: number;
  /** The shards they were read in, on which their fingerprint depends. */
  readonly shards: number;
  readonly fingerprint: string;
}

/** What a run keeps of all the rows that its clusters come from, besides the state of training: what its next update begins with. */
export interface Stream extends StreamSample {
  /** Updates so far. */
  readonly updates: number;
  /** The data of the first run and of each update, the last ones, by their fingerprints. */
  readonly parts: readonly StreamPart[];
  /** Rows so far; and what they weigh now, by the half-lives of updates. */
  readonly seen: number;
  readonly weight: number;
  /** The id of each component of the state, and the next one that is not given yet. Unless components have been joined, they are the clusters. */
  readonly ids: readonly number[];
  readonly next: number;
  /** Once components have been joined in this stream: the id of the cluster of each, and the next one that is not given yet. */
  readonly clusters?: StreamClusters;
  /** Of each component its peak; and components that are gone. */
  readonly peaks: readonly Peak[];
  readonly gone: readonly Gone[];
  /** Of each row of the sample the id of its component; −1 of noise, and of rows that are new in an update that is not trained yet. */
  readonly labels: Int32Array;
  /** Of each row of the sample the update that it has come with; 0: the first run. */
  readonly since: Int32Array;
  /** Of each component the update in which a search for splits has last looked at it; −1: none has. */
  readonly looked: readonly number[];
  /** The first run and updates, the last ones. */
  readonly history: readonly PastUpdate[];
  /** How the rows of the last update differ from those before; null before the first. */
  readonly drift: Drift | null;
  /** With an encoder: what it has left of all rows, by some of them. */
  readonly residual?: Residual;
  /** What was said of that; null if it is nothing to worry about. */
  readonly alarm: string | null;
  /** D×D, or the D variances, of the rows of the first run after its transform. */
  readonly covariance: Float64Array;
}

/** The clusters of a stream's components. */
export interface StreamClusters {
  /** The id of the cluster of each component. */
  readonly of: readonly number[];
  readonly next: number;
}

/** The ids of the clusters, in the order of their first components. */
export const clusterIds = ({ ids, clusters }: Pick<Stream, 'ids' | 'clusters'>): readonly number[] =>
  clusters ? [...new Set(clusters.of)] : ids;

/** The id of the cluster of the component with each id, of those that are there and of those that are gone. */
export function clusterOfComponents({
  ids,
  clusters,
  gone = [],
}: Pick<Stream, 'ids' | 'clusters'> & Partial<Pick<Stream, 'gone'>>) {
  const of = new Map(ids.map((id, k) => [id, clusters?.of[k] ?? id]));
  for (const { id, cluster = id } of gone) if (!of.has(id)) of.set(id, cluster);
  return (id: number): number => of.get(id) ?? -1;
}

/** What is kept of each row. */
export interface StreamSample {
  /** u·2^(a/half-life) of each row, which grows with its age. Below 1. */
  readonly keys: Float64Array;
  /** The most rows that it may have. */
  readonly most: number;
}

/** The most that a cluster weighed, in rows, and its statistics in the sample when it last weighed at least half of that. */
export interface Peak {
  readonly weight: number;
  readonly T: Float64Array;
}

/** A cluster that is gone. */
export interface Gone {
  readonly id: number;
  /** That of its cluster, where it is another. */
  readonly cluster?: number;
  /** The update since which. */
  readonly since: number;
  readonly T: Float64Array;
}

/** Of so many rows, the mean and the variance of ‖output − input‖². */
export interface Residual {
  readonly rows: number;
  readonly mean: number;
  readonly variance: number;
  /** The share by which, at most, that of other rows like these is larger, as the encoder has not learned from them. */
  readonly gap: number;
}
