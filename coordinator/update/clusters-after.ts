import type { Transform } from '../../data/transform.ts';
import { componentsOf } from '../../model/gaussian/components.ts';
import { NOISE } from '../../model/order.ts';
import { type State, withoutClusters } from '../../model/state.ts';
import { scaleStatistics } from '../../model/statistics.ts';
import { afterUpdate, comesBack, type Named, namedClusters } from '../../model/stream/lineage.ts';
import { clusterIds, type Stream } from '../../model/stream/stream.ts';
import type { FullPassResult } from '../../run/descriptions.ts';
import type { Prepared } from '../fit/run-context.ts';
import type { Labelled, Ports, RunState } from '../fit/run-state.ts';
import type { FullPasses } from '../fit/stages/full-passes.ts';

/** The clusters after an update, by the rows of its sample: their ids, what became of those before, and the stream with them. */

/** The rows of the sample, with the labels of the update, and the ids of components and clusters that they had before. */
export interface LabelledSample {
  rows: Float32Array;
  labels: Int32Array;
  before: { components: Int32Array; clusters: Int32Array };
}

/** `state`: without clusters that have no rows; `found`: as of all rows that the sample stands for; `ids`: of clusters. */
export async function clustersAfter(
  { config, trainer, update }: Ports<'config' | 'trainer' | 'update'>,
  { run, ended, update: begun }: RunState,
  { found: sampled, state: final }: Pick<FullPasses, 'found' | 'state'>,
  sample: LabelledSample,
): Promise<
  { ids: readonly number[] } & Required<Pick<Labelled, 'found' | 'kept' | 'lineage' | 'state' | 'stream'>>
> {
  const { stream, unchanged } = begun!;
  const { labels, before } = sample;
  const alive = sampled.counts.filter((rows) => rows > 0).length;
  const members = componentsOf(final.mixture.k, final.groups);
  const state = withoutClusters(final, members.slice(alive).flat());
  const factor = stream.weight / labels.length;
  const found = asWeighed(sampled, factor);
  const components = await componentsWithRows({ trainer }, run!.transform, state, sample, alive);
  const T = components.kept.map((component) => sampled.T[component]);
  // Those that are gone were after the old transform.
  const gone = update!.refit ? [] : stream.gone;
  const named = namedClusters(
    stream.ids,
    before.components,
    components.labels,
    T.length,
    stream.next,
    (component) => comesBack(T[component], gone, final.prior, config.alpha),
  );
  const clusters =
    stream.clusters || final.groups
      ? {
          ...namedClusters(
            clusterIds(stream),
            before.clusters,
            labels,
            alive,
            stream.clusters?.next ?? stream.next,
            returningCluster(stream, named, components.of),
          ),
          ...{ of: components.of, weights: found.counts },
        }
      : null;
  const weights = clusters ? weighed(sizesOf(components), factor) : found.counts;
  const after = afterUpdate(
    stream,
    named,
    { labels: components.labels, T, weights, clusters },
    { unchanged, isSettled: ended === 'settled' },
  );
  return {
    ...{ state, found, ids: (clusters ?? named).ids, kept: components.kept, lineage: after.lineage },
    stream: update!.refit ? refitted(after.stream, run!, weights, T) : after.stream,
  };
}

/** With the statistics of clusters after the new transform; those of clusters that are gone were after the old one. */
const refitted = (
  stream: Stream,
  { covariance }: Prepared,
  weights: number[],
  T: Float64Array[],
): Stream => ({
  ...{ ...stream, covariance, gone: [] },
  peaks: stream.ids.map((_, k) => ({ weight: weights[k], T: T[k] })),
});

/** The components that have rows of the sample, and their places of these rows. */
interface ComponentsWithRows {
  kept: number[];
  /** The place in these of the component of each row, −1 of noise. */
  labels: Int32Array;
  /** The cluster of each of these. */
  of: number[];
}

/** Of rows of the sample, which have labels of the first `alive` clusters. */
async function componentsWithRows(
  { trainer }: Ports<'trainer'>,
  transform: Transform,
  state: State,
  { rows, labels }: LabelledSample,
  alive: number,
): Promise<ComponentsWithRows> {
  if (!state.groups) {
    const kept = [...Array(alive).keys()];
    return { kept, labels, of: kept };
  }
  const nearest = await trainer.componentsOf(transform, state, rows);
  const components = nearest.map((component, row) => (labels[row] === NOISE ? NOISE : component));
  const kept = [...new Set(components)].filter((component) => component !== NOISE).sort((a, b) => a - b);
  const places = new Map(kept.map((component, place) => [component, place]));
  return {
    kept,
    labels: components.map((component) => places.get(component) ?? NOISE),
    of: kept.map((component) => state.groups![component]),
  };
}

function sizesOf({ kept, labels }: ComponentsWithRows): number[] {
  const sizes = kept.map(() => 0);
  for (const label of labels) if (label !== NOISE) sizes[label]++;
  return sizes;
}

/** A cluster of which a component has returned was there before, as the cluster of that one. */
const returningCluster =
  ({ gone }: Stream, { ids, lineage }: Named, of: readonly number[]) =>
  (cluster: number): number | null => {
    const back = new Set(lineage.flatMap(({ what, id }) => (what === 'returned' ? [id] : [])));
    const component = of.findIndex((other, place) => other === cluster && back.has(ids[place]));
    const before = gone.find(({ id }) => id === ids[component]);
    return before ? (before.cluster ?? before.id) : null;
  };

const weighed = (sizes: readonly number[], factor: number): number[] =>
  sizes.map((rows) => (rows > 0 ? Math.max(1, Math.round(factor * rows)) : 0));

/** As of all rows that the sample stands for. */
const asWeighed = ({ T, counts, columns, ...rest }: FullPassResult, factor: number): FullPassResult => ({
  ...rest,
  T: T.map((statistics) => scaleStatistics(statistics, factor)),
  counts: weighed(counts, factor),
  columns: {
    sums: columns.sums.map((sums) => sums.map((value) => factor * value)),
    squares: columns.squares.map((value) => factor * value),
  },
});
