import { logSplitRatio } from '../gaussian/hastings.ts';
import type { Niw } from '../gaussian/niw.ts';
import { NOISE } from '../order.ts';
import { matched } from '../scores.ts';
import { type Lineage, withUpdate } from './findings.ts';
import { clusterIds, type Gone, type Peak, type Stream, type StreamPart } from './stream.ts';

/** What becomes of clusters in an update: those that go on keep their ids, others are new, merged, gone, or there again (docs/algorithm.md, section 13). */

/** Parts that are remembered. */
const MOST_PARTS = 10_000;

export const withPart = (parts: readonly StreamPart[], part: StreamPart): StreamPart[] =>
  [...parts, part].slice(-MOST_PARTS);

/**
 * The stream without clusters that have faded, and their rows: no other cluster is to take these. `arrivals`: of each cluster the share of the new
 * rows, which weigh `arrived`. `stays`: which rows of the sample are left, `clusters`: which clusters.
 */
export function withoutFaded(stream: Stream, arrivals: Float64Array, arrived: number) {
  const { ids, labels, keys, peaks, gone, updates, weight, clusters: joined } = stream;
  const counts = new Map(ids.map((id) => [id, 0]));
  for (const label of labels) if (label >= 0) counts.set(label, counts.get(label)! + 1);
  const each = weight / keys.length;
  const faded = fadedClusters(
    ids.map((id, k) => each * counts.get(id)! + arrived * arrivals[k]),
    peaks,
  );
  const clusters = [...ids.keys()].filter((k) => !faded[k]);
  const more = [...ids.keys()].filter((k) => faded[k]).map((k) => goneFrom(stream, k, updates + 1));
  const lost = new Set(more.map(({ id }) => id));
  const stays = Array.from(labels, (label) => !lost.has(label));
  const left = stays.filter(Boolean).length;
  return {
    ...{ stays, clusters },
    stream: {
      ...stream,
      ids: clusters.map((k) => ids[k]),
      ...(joined && { clusters: { ...joined, of: clusters.map((k) => joined.of[k]) } }),
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

const goneFrom = ({ ids, peaks, clusters }: Stream, k: number, since: number): Gone => ({
  ...{ id: ids[k], since, T: peaks[k].T },
  ...(clusters && { cluster: clusters.of[k] }),
});

/** What an update has found, in the sample. */
export interface UpdateFound {
  /** The component of each row, by its place among those that are named; −1 of noise. */
  labels: ArrayLike<number>;
  /** Of each component. */
  T: readonly Float64Array[];
  /** Rows of the stream that each component has. */
  weights: ArrayLike<number>;
  /** The clusters, where some have several components: their ids, what became of them, and which each component is in. */
  clusters: (Named & { of: readonly number[]; weights: ArrayLike<number> }) | null;
}

/**
 * The stream once its components and clusters have their ids, and all that became of clusters in the update. `unchanged`: of the components before, those
 * that were not looked at; `isSettled`: training has looked at the others.
 */
export function afterUpdate(
  stream: Stream,
  named: Named,
  { labels, T, weights, clusters }: UpdateFound,
  { unchanged, isSettled }: { unchanged: readonly boolean[]; isSettled: boolean },
): { stream: Stream; lineage: Lineage[] } {
  const since = stream.updates + 1;
  const { ids, next } = named;
  const placeOf = (id: number) => stream.ids.indexOf(id);
  const lost = named.lineage.flatMap(({ what, id }) =>
    what === 'gone' ? [goneFrom(stream, placeOf(id), since)] : [],
  );
  const all = lineageWithFaded(stream, clusters ?? named, since);
  const shown = clusters ?? { ids, weights };
  return {
    stream: {
      ...stream,
      ...{ updates: since, ids, next },
      ...(clusters && {
        clusters: { of: clusters.of.map((cluster) => clusters.ids[cluster]), next: clusters.next },
      }),
      looked: ids.map((id) => {
        const old = placeOf(id);
        return unchanged[old] ? stream.looked[old] : isSettled ? since : -1;
      }),
      peaks: ids.map((id, k) => peakOf(stream.peaks[placeOf(id)] ?? null, weights[k], T[k])),
      gone: remembered(
        stream.gone.filter(({ id }) => !ids.includes(id)),
        lost,
      ),
      labels: Int32Array.from(labels, (label) => ids[label] ?? NOISE),
      history: withUpdate(stream.history, since, shown.ids, shown.weights, all),
    },
    lineage: all,
  };
}

/** What became of clusters, with those that had faded before the update. What goes and returns in one update was never away. */
function lineageWithFaded(stream: Stream, { ids, lineage }: Named, since: number): Lineage[] {
  const before = new Set(clusterIds(stream));
  const gone = stream.gone.filter((own) => own.since === since).map(({ id, cluster = id }) => cluster);
  const faded = [...new Set(gone)].filter((id) => !before.has(id));
  const back = new Set(faded.filter((id) => ids.includes(id)));
  return [
    ...faded.flatMap((id) => (back.has(id) ? [] : [{ what: 'gone' as const, id }])),
    ...lineage.filter(({ what, id }) => what !== 'returned' || !back.has(id)),
  ];
}

/** Clusters without new rows fade, are gone at last, and may come back (docs/algorithm.md, section 13). */

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

/** A cluster goes on as the one that has at least this share of its rows. */
const LEAST_SHARE = 1 / 3;
/** A new one comes from those of whose rows it has at least this share, and more than so many. */
const [PARENT_SHARE, PARENT_ROWS] = [1 / 4, 5];

export interface Named {
  /** The id of each cluster. */
  ids: number[];
  /** The next id of a new one. */
  next: number;
  lineage: Lineage[];
}

/**
 * The ids of `k` clusters, given those that there were before, and of each row of the sample its id before, −1 if it is new or was noise, and its cluster now, −1 of noise.
 * The matching keeps as many rows as possible where they were. `back`: the id under which one without such rows was known before; null: it is new.
 */
export function namedClusters(
  before: readonly number[],
  was: Int32Array,
  now: Int32Array,
  k: number,
  next: number,
  back: (cluster: number) => number | null = () => null,
): Named {
  const places = new Map(before.map((id, place) => [id, place]));
  const shared = before.map(() => new Float64Array(k));
  const sizes = new Float64Array(k);
  for (const [row, cluster] of now.entries()) {
    if (cluster === NOISE) continue;
    sizes[cluster]++;
    if (was[row] >= 0) shared[places.get(was[row])!][cluster]++;
  }
  const totals = shared.map((counts) => counts.reduce((a, b) => a + b, 0));
  const isHeir = (old: number, cluster: number) =>
    shared[old][cluster] > PARENT_ROWS && shared[old][cluster] >= PARENT_SHARE * totals[old];
  const ids = Array<number>(k).fill(-1);
  for (const [old, cluster] of matched(shared))
    if (shared[old][cluster] > 0 && shared[old][cluster] >= LEAST_SHARE * totals[old])
      ids[cluster] = before[old];
  const lineage: Lineage[] = [];
  const bySize = [...ids.keys()].sort((a, b) => sizes[b] - sizes[a] || a - b);
  for (const cluster of bySize) {
    if (ids[cluster] >= 0) continue;
    const from = before.filter((_, old) => isHeir(old, cluster));
    const known = from.length ? null : back(cluster);
    const isBack = known !== null && !ids.includes(known);
    const id = isBack ? known : next++;
    ids[cluster] = id;
    if (isBack) lineage.push({ what: 'returned', id });
    else lineage.push(from.length ? { what: 'split', id, from } : { what: 'born', id });
  }
  for (const [old, id] of before.entries()) {
    if (ids.includes(id)) continue;
    const into = ids.filter((_, cluster) => isHeir(old, cluster));
    lineage.push(into.length ? { what: 'merged', id, into } : { what: 'gone', id });
  }
  return { ids, next, lineage };
}
