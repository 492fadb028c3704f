import { logSplitRatio } from '../gaussian/hastings.ts';
import type { Niw } from '../gaussian/niw.ts';
import { matched } from '../scores.ts';
import type { Drift, Lineage } from './findings.ts';
import { type PastUpdate, withUpdate } from './findings.ts';

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
  /** The id of each component of the state, and the next one that is not given yet. Unless components have been joined, they are the clusters. */
  readonly ids: readonly number[];
  readonly next: number;
  /** Once components have been joined in this stream: the id of the cluster of each, and the next one that is not given yet. */
  readonly clusters?: StreamClusters;
  /** Of each component its peak; and components that are gone. */
  readonly peaks: readonly Peak[];
  readonly gone: readonly Gone[];
  /** Of each row of the sample the id of its component; −1 of rows that are new in an update that is not trained yet. */
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
  /** The component of each row, by its place among those that are named. */
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
      labels: Int32Array.from(labels, (label) => ids[label]),
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

/**
 * The bounded sample of a stream of rows, on which its clusters are trained (docs/algorithm.md, section 13). A row of age a, in rows that have
 * come since, is in it if u·2^(a/half-life) is below 1 and among the smallest, u its priority: with a chance that is its weight, so that
 * those in it weigh the same. That is forward decay (Cormode et al. 2009) by thinning: the union of samples is the sample of the union, in any order.
 */

/** What is kept of each row. */
export interface StreamSample {
  /** u·2^(a/half-life) of each row, which grows with its age. Below 1. */
  readonly keys: Float64Array;
  /** The most rows that it may have. */
  readonly most: number;
}

/** What a sample becomes with new rows. */
export interface Drawn {
  /** The places of the earlier rows that stay, ascending. */
  kept: number[];
  /** The numbers of the new rows that join, from 0, ascending. */
  joining: number[];
  /** The keys of the earlier rows that stay, then of these. */
  keys: Float64Array;
}

/** What rows weigh once all of them have come, and rows before them that weighed this much: Σ 2^(−a/half-life). */
export function weightAfter(
  before: number,
  rows: number,
  halfLife: number | null,
): { before: number; rows: number } {
  if (halfLife === null) return { before, rows };
  const left = 2 ** (-rows / halfLife);
  return { before: left * before, rows: (1 - left) / -Math.expm1(-Math.LN2 / halfLife) };
}

/** Rows that are waiting to be compared, as a multiple of those that stay. */
const WAITING = 2;

/**
 * The sample after `rows` more rows with these priorities.
 *
 * @param halfLife in rows; null: rows never lose weight
 */
export function withNewRows(
  { keys, most }: StreamSample,
  rows: number,
  priorityOf: (row: number) => number,
  halfLife: number | null,
): Drawn {
  const doubling = halfLife === null ? 0 : 1 / halfLife;
  const aged = 2 ** (rows * doubling);
  let bound = 1;
  /** Earlier rows have negative numbers, so that they come first where keys are equal. */
  let waiting: { row: number; key: number }[] = [];
  const settle = () => {
    if (waiting.length <= most) return;
    waiting = waiting.sort((a, b) => a.key - b.key || a.row - b.row).slice(0, most);
    bound = waiting.at(-1)!.key;
  };
  const offer = (row: number, key: number) => {
    if (!(key < bound)) return;
    waiting.push({ row, key });
    if (waiting.length > WAITING * most) settle();
  };
  keys.forEach((key, i) => {
    offer(i - keys.length, key * aged);
  });
  for (let row = 0; row < rows; row++) offer(row, priorityOf(row) * 2 ** ((rows - 1 - row) * doubling));
  settle();
  waiting.sort((a, b) => a.row - b.row);
  return {
    kept: waiting.flatMap(({ row }) => (row < 0 ? [row + keys.length] : [])),
    joining: waiting.flatMap(({ row }) => (row < 0 ? [] : [row])),
    keys: Float64Array.from(waiting, ({ key }) => key),
  };
}

/** Clusters without new rows fade, are gone at last, and may come back (docs/algorithm.md, section 13). */

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

/** What an encoder does not see of rows: the error with which it rebuilds them (docs/algorithm.md, section 13). */

/** Of so many rows, the mean and the variance of ‖output − input‖². */
export interface Residual {
  readonly rows: number;
  readonly mean: number;
  readonly variance: number;
  /** The share by which, at most, that of other rows like these is larger, as the encoder has not learned from them. */
  readonly gap: number;
}

export function residualOf(errors: Float64Array, gap: number): Residual {
  const { length: rows } = errors;
  const mean = errors.reduce((sum, error) => sum + error, 0) / rows;
  const variance = errors.reduce((sum, error) => sum + (error - mean) ** 2, 0) / rows;
  return { rows, mean, variance, gap };
}

/** How much larger it is of new rows than it should be, as a share of that, and in standard errors. */
export function residualDrift(
  { rows, mean, variance, gap }: Residual,
  now: Residual,
): { residual: number; residualZ: number } {
  const expected = (1 + gap) * mean;
  // A few rows may happen to be alike.
  const error = Math.sqrt(variance / rows + Math.max(variance, now.variance) / now.rows);
  const larger = now.mean - expected;
  return { residual: larger / (expected || 1), residualZ: larger / (error || 1) };
}

/** Of rows of these weights together. */
export function pooled(a: Residual, weightA: number, b: Residual, weightB: number): Residual {
  const share = weightB / (weightA + weightB);
  const mixed = (of: (one: Residual) => number) => (1 - share) * of(a) + share * of(b);
  const mean = mixed((one) => one.mean);
  return {
    // As many as give the mean the same variance.
    rows: 1 / ((1 - share) ** 2 / a.rows + share ** 2 / b.rows),
    mean,
    variance: mixed((one) => one.variance + (one.mean - mean) ** 2),
    gap: mixed((one) => one.gap),
  };
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
 * The ids of `k` clusters, given those that there were before, and of each row of the sample its id before, −1 if it is new, and its cluster now.
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
