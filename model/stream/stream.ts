import { fadedClusters, type Gone, type Peak, peakOf, remembered } from './fading.ts';
import type { Drift, Lineage } from './findings.ts';
import { type PastUpdate, withUpdate } from './history.ts';
import type { Named } from './lineage.ts';
import type { Residual } from './residual.ts';
import type { StreamSample } from './sample.ts';

/** Parts that are remembered. */
const MOST_PARTS = 10_000;

export const withPart = (parts: readonly StreamPart[], part: StreamPart): StreamPart[] =>
  [...parts, part].slice(-MOST_PARTS);

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
  /** The id of each cluster of the state, and the next one that is not given yet. */
  readonly ids: readonly number[];
  readonly next: number;
  /** Of each cluster its peak; and clusters that are gone. */
  readonly peaks: readonly Peak[];
  readonly gone: readonly Gone[];
  /** Of each row of the sample the id of its cluster; −1 of rows that are new in an update that is not trained yet. */
  readonly labels: Int32Array;
  /** Of each row of the sample the update that it has come with; 0: the first run. */
  readonly since: Int32Array;
  /** Of each cluster the update in which a search for splits has last looked at it; −1: none has. */
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

/**
 * The stream without clusters that have faded, and their rows: no other cluster is to take these. `arrivals`: of each cluster the share of the new
 * rows, which weigh `arrived`. `stays`: which rows of the sample are left, `clusters`: which clusters.
 */
export function withoutFaded(stream: Stream, arrivals: Float64Array, arrived: number) {
  const { ids, labels, keys, peaks, gone, updates, weight } = stream;
  const counts = new Map(ids.map((id) => [id, 0]));
  for (const label of labels) if (label >= 0) counts.set(label, counts.get(label)! + 1);
  const each = weight / keys.length;
  const faded = fadedClusters(
    ids.map((id, k) => each * counts.get(id)! + arrived * arrivals[k]),
    peaks,
  );
  const clusters = [...ids.keys()].filter((k) => !faded[k]);
  const more = [...ids.keys()]
    .filter((k) => faded[k])
    .map((k) => ({ id: ids[k], since: updates + 1, T: peaks[k].T }));
  const lost = new Set(more.map(({ id }) => id));
  const stays = Array.from(labels, (label) => !lost.has(label));
  const left = stays.filter(Boolean).length;
  return {
    ...{ stays, clusters },
    stream: {
      ...stream,
      ids: clusters.map((k) => ids[k]),
      peaks: clusters.map((k) => peaks[k]),
      gone: remembered(gone, more),
      keys: keys.filter((_, i) => stays[i]),
      labels: labels.filter((_, i) => stays[i]),
      since: stream.since.filter((_, i) => stays[i]),
      looked: clusters.map((k) => stream.looked[k]),
      weight: each * left,
    },
  };
}

/**
 * The stream once its clusters have their ids, and all that became of clusters in the update. `weights`: of clusters, in rows of the stream; `labels`
 * and `T`: in the sample. `unchanged`: of the clusters before, those
 * that were not looked at; `isSettled`: training has looked at the others.
 */
export function afterUpdate(
  stream: Stream,
  { ids, next, lineage }: Named,
  weights: ArrayLike<number>,
  { labels, T }: { labels: ArrayLike<number>; T: readonly Float64Array[] },
  { unchanged, isSettled }: { unchanged: readonly boolean[]; isSettled: boolean },
): { stream: Stream; lineage: Lineage[] } {
  const since = stream.updates + 1;
  const before = (id: number) => stream.peaks[stream.ids.indexOf(id)] ?? null;
  const lost = lineage.flatMap(({ what, id }) => (what === 'gone' ? [{ id, since, T: before(id)!.T }] : []));
  const faded = stream.gone.filter((own) => own.since === since);
  // What goes and returns in one update was never away.
  const back = new Set(faded.map(({ id }) => id).filter((id) => ids.includes(id)));
  const all = [
    ...faded.flatMap(({ id }) => (back.has(id) ? [] : [{ what: 'gone' as const, id }])),
    ...lineage.filter(({ what, id }) => what !== 'returned' || !back.has(id)),
  ];
  return {
    stream: {
      ...stream,
      ...{ updates: since, ids, next },
      looked: ids.map((id) => {
        const old = stream.ids.indexOf(id);
        return unchanged[old] ? stream.looked[old] : isSettled ? since : -1;
      }),
      peaks: ids.map((id, k) => peakOf(before(id), weights[k], T[k])),
      gone: remembered(
        stream.gone.filter(({ id }) => !ids.includes(id)),
        lost,
      ),
      labels: Int32Array.from(labels, (label) => ids[label]),
      history: withUpdate(stream.history, since, ids, weights, all),
    },
    lineage: all,
  };
}
