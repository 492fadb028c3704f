import { join } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { fingerprint } from '../../data/blocks.ts';
import { openSource } from '../../data/open.ts';
import { outliersIn } from '../../data/outlier-bounds.ts';
import { rowsAt } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { rowTexts } from '../../data/texts/texts.ts';
import type { Transform } from '../../data/transform.ts';
import { componentsOf } from '../../model/gaussian/components.ts';
import { NOISE } from '../../model/order.ts';
import { priority } from '../../model/random.ts';
import { ofUnits, onSample, type State, withoutClusters } from '../../model/state.ts';
import { scaleStatistics } from '../../model/statistics.ts';
import { alarmsOf } from '../../model/stream/drift.ts';
import type { Drift } from '../../model/stream/findings.ts';
import {
  afterUpdate,
  comesBack,
  type Named,
  namedClusters,
  withoutFaded,
  withPart,
} from '../../model/stream/lineage.ts';
import { pooled, residualDrift, weightAfter, withNewRows } from '../../model/stream/sample.ts';
import { clusterIds, clusterOfComponents, type Residual, type Stream } from '../../model/stream/stream.ts';
import { assertBase, hasKeptTexts, KEPT_TEXTS, keepTexts, keptTexts, readBase } from '../../run/base-run.ts';
import type { ClusterCheckpoint } from '../../run/checkpoint.ts';
import type { DataMoments } from '../../run/data-moments.ts';
import type { FullPassResult } from '../../run/descriptions.ts';
import { aboutClusters } from '../../run/passes/count-words.ts';
import { runFile, type UpdateRequest } from '../../run/run-file.ts';
import {
  knownPart,
  partOf,
  readDrawn,
  readStream,
  SAMPLE,
  trainedEncoder,
  writeDrawn,
} from '../../run/stream-files.ts';
import { drawnRows, earlierRows, rowsFor } from '../fit/drift.ts';
import { layoutFor } from '../fit/preparation/limits.ts';
import { publishHashes, publishTransform } from '../fit/publish.ts';
import { labelsOnly } from '../fit/row-writer.ts';
import type { Prepared } from '../fit/run-context.ts';
import {
  aboutCheckpoint,
  type MetadataPorts,
  metadataOf,
  type Ports,
  type RunContext,
  type RunStage,
  type RunState,
  type Update,
} from '../fit/run-state.ts';
import { readForEncoder, residualOfRows } from '../fit/stages/encode.ts';
import { fullPasses, labelWithIds } from '../fit/stages/full-passes.ts';
import { updatedMap } from '../fit/stages/map.ts';
import { aboutColumns, announce, assertUnchanged, firstReading, goOn } from '../fit/stages/read.ts';
import { assertParts, relabel } from '../fit/stages/relabel.ts';
import { wordsOf } from '../fit/words.ts';
import { changedColumn, driftText } from './drift-text.ts';

/**
 * Updates: a run whose clusters go on from those of an earlier run, trained on a bounded sample of all rows so far, and which labels new rows
 * (docs/algorithm.md, section 13).
 */

/**
 * The stages of an update, in place of those of a run: the sample is drawn, training prepared on it, and in the end its rows get their
 * clusters, these their ids, and the new rows their labels.
 */
export function updateStages(context: RunContext): Record<'begin' | 'draw' | 'prepare' | 'label', RunStage> {
  const { config, trainer, out, dispatcher, emit, observer, serve, update: request } = context;

  /** With an encoder: it is that of the run before. */
  const begin: RunStage = {
    name: 'read',
    ended: ({ encoding }) => (encoding ? 'done' : null),
    async step(state) {
      const { hashes } = await readForEncoder(context, state);
      assertUnchanged(context, hashes);
      const { stream, encoder } = readBase(request!, (at) => {
        const stream = readStream(at).stream!;
        return { stream, encoder: trainedEncoder(at, stream) };
      });
      const encoding = { ...encoder, hashes, codes: null };
      await assertNewRows(context, hashes, stream);
      await out.create(runFile(metadataOf(context, state, hashes), null));
      return { ...state, encoding };
    },
  };

  const draw: RunStage = {
    name: 'read',
    ended: ({ update }) => (update ? 'done' : null),
    async step(state) {
      const saved = state.clusters && readDrawn(out);
      const read = saved?.dataSummary ?? (await firstReading(context, state, 0));
      const { hashes } = state.encoding ?? read;
      assertUnchanged(context, hashes);
      const base = saved ?? (await drawRows(context, request!, read, state));
      const sample = await openSource(join(out.path, SAMPLE));
      const layout = layoutFor(config, sample, true);
      const { stream, transform } = base;
      const about = { rows: state, read, stream: stream!, transform: transform!, state: base.state };
      const known = { sample, layout, ...about };
      const unchanged = await unchangedClusters(context, known);
      const update = { ...known, unchanged, before: () => clustersBefore(known) };
      serve(sample, layout);
      return { ...state, update, source: sample, layout };
    },
  };

  const prepare: RunStage = {
    name: 'read',
    ended: ({ run }) => (run ? 'done' : null),
    async step(state) {
      const { clusters } = state;
      const { sample, layout, stream, transform, state: base, read } = state.update!;
      const { covariance, weight } = stream;
      const likelihood = base.graph ? ('graph' as const) : ('gaussian' as const);
      // Copies are few of the rows that still count; merges are of all that were seen.
      const seen = base.graph ? weight : stream.seen;
      const same = { likelihood, transform, covariance, seen, prior: base.prior } as const;
      const isRead = state.data !== null;
      let data = state.data ?? (await firstReading(context, state, 1));
      let run: Prepared;
      if (request!.refit) {
        // As a first run of the rows of the sample.
        const alone = { ...config, likelihood, sample: 0 };
        if (!isRead) data = await trainer.setOutliersApart({ config: alone, layout, sample: 1 }, data);
        const about = await aboutColumns(alone, context.source, state.encoding ? null : sample);
        run = await trainer.prepare({ config: alone, layout, ...about, isQuiet: isRead }, data, likelihood);
      } else run = await trainer.prepareUpdate({ config, layout, ...same }, data);
      observer?.prepared(run, sample.rows);
      const map = updatedMap(context, state.update!, run.transform);
      const next = { ...state, data, run, map };
      const { hashes } = state.encoding ?? read;
      out.json('run.json', runFile(metadataOf(context, next, hashes), null));
      announce(context, clusters, (clusters ?? base).mixture.k, sample.rows);
      if (clusters) goOn(context, clusters);
      if (clusters?.graph?.copies) publishTransform({ dispatcher, transform }, 1, clusters.graph.copies);
      return next;
    },
  };

  const label: RunStage = {
    name: 'label',
    ended: ({ labelled }) => (labelled ? 'done' : null),
    async step(state) {
      const { sample, stream, rows, read, unchanged } = state.update!;
      const run = state.run!;
      // The sample's rows first: of all rows so far they tell what clusters are.
      const labels = new Int32Array(sample.rows);
      const kept = labelsOnly(() => ({
        write: (own, first) => labels.set(own, first),
        update: async (_, change) => change(labels),
      }));
      const was = await idsBefore(context, state.update!);
      const clusterOf = clusterOfComponents(stream);
      const earlier = { rows: await sample.read(0, sample.rows), of: was.map(clusterOf) };
      const all = await fullPasses({ ...context, labels: null, out: kept, earlier }, state)();
      const { counts, order } = all.found;
      const alive = counts.filter((rows) => rows > 0).length;
      const final = all.state;
      const members = componentsOf(final.mixture.k, final.groups);
      const closed = withoutClusters(final, members.slice(alive).flat());
      const factor = stream.weight / sample.rows;
      const found = asWeighed(all.found, factor);
      const pieces = await piecesOf(context, run.transform, closed, { ...earlier, labels, alive });
      const named = namedClusters(
        stream.ids,
        was,
        pieces.labels,
        pieces.kept.length,
        stream.next,
        // Those that are gone were after the old transform.
        (piece) =>
          comesBack(
            all.found.T[pieces.kept[piece]],
            request!.refit ? [] : stream.gone,
            final.prior,
            config.alpha,
          ),
      );
      const clusters =
        stream.clusters || final.groups
          ? {
              ...namedClusters(
                clusterIds(stream),
                earlier.of,
                labels,
                alive,
                stream.clusters?.next ?? stream.next,
                returningCluster(stream, named, pieces.of),
              ),
              ...{ of: pieces.of, weights: found.counts },
            }
          : null;
      const { ids } = clusters ?? named;
      const T = pieces.kept.map((component) => all.found.T[component]);
      const weights = clusters ? weighed(sizesOf(pieces), factor) : found.counts;
      const { stream: next, lineage } = afterUpdate(
        stream,
        named,
        { labels: pieces.labels, T, weights, clusters },
        { unchanged, isSettled: state.ended === 'settled' },
      );
      const after = request!.refit ? refitted(next, run, weights, T) : next;
      for (const event of lineage) emit({ type: 'lineage', ...event });
      const tree = await trainer.tree(closed, found);
      const texts = hasKeptTexts(out.path)
        ? await wordsOf(context, {
            ...aboutClusters(all.found, tree),
            layout: state.layout,
            texts: rowTexts(keptTexts(out.path), join(out.path, KEPT_TEXTS)),
            labels: [{ start: 0, labels }],
          })
        : null;
      const silhouette = found.sampled.rows.length
        ? await trainer.silhouette(found.sampled.rows, run.d, found.sampled.labels)
        : null;
      const { centres } = all;
      if (request!.relabel)
        await relabel(
          context,
          { run, state: closed, centres, ids, encoding: state.encoding },
          stream.parts.slice(0, -1),
        );
      // Then the new ones.
      serve(rows.source, rows.layout);
      publishHashes({ dispatcher }, read.hashes);
      publishTransform({ dispatcher, transform: run.transform }, 1);
      const passed = await labelWithIds(
        { ...context, run, map: await state.map! },
        ...([rows.layout, closed, centres, ids] as const),
      );
      observer?.labelled(found.counts, { state: closed, order, ids }, tree);
      return {
        ...state,
        ...{ source: rows.source, layout: rows.layout },
        labelled: {
          found: {
            ...passed,
            ...{ order, T: found.T, counts: found.counts, columns: found.columns, sampled: found.sampled },
            shown: { ...passed.shown, quantiles: found.shown.quantiles },
          },
          ...{ silhouette, centres, state: closed, tree, added: [] },
          stream: after,
          ...{ kept: pieces.kept, lineage, texts },
        },
      };
    },
  };
  return { begin, draw, prepare, label };
}

/** UserError if rows of these hashes are in the run already, or rows that are to be labelled anew are not there. */
async function assertNewRows(
  context: Ports<'config' | 'layout' | 'signal' | 'source' | 'update' | 'warn'>,
  hashes: Uint8Array,
  { parts }: Stream,
): Promise<void> {
  const { config, source, layout, update } = context;
  const { run, relabel } = update!;
  const known = await knownPart(parts, source, new Map([[layout.shards, fingerprint(hashes)]]));
  if (known)
    throw new UserError(
      `${config.data}: its rows are in ${run} already (${known.update ? `update ${known.update}` : 'the first run'}), and each counts once; pass other rows`,
    );
  if (relabel) await assertParts(context, parts);
}

/** What an update begins with, as its rows were drawn. */
type Drawn = Omit<Update, 'unchanged' | 'before'>;

/** Of each row of the sample the cluster that it had, −1 of new ones, −2 of outliers: as training begins with. */
async function clustersBefore({ stream, sample, transform }: Drawn): Promise<Int32Array> {
  const places = new Map(stream.ids.map((id, k) => [id, k]));
  const clusters = stream.labels.map((label) => places.get(label) ?? -1);
  if (transform.fences) {
    const flags = outliersIn(await sample.read(0, sample.rows), sample.dim, transform.fences);
    flags.forEach((isOutlier, row) => {
      if (isOutlier) clusters[row] = -2;
    });
  }
  return clusters;
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

/** Rows by which a cluster is found again. */
const ENOUGH_ROWS = 6;

/**
 * The id before of each row of the sample, −1 of new ones; but where a cluster has hardly any rows left, as with a short half-life, new ones that it
 * would have had count too.
 */
async function idsBefore(
  { trainer }: Ports<'trainer'>,
  { stream: { ids, labels }, state, sample, transform }: Update,
): Promise<Int32Array> {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const few = new Set(ids.filter((id) => (counts.get(id) ?? 0) < ENOUGH_ROWS));
  if (!few.size) return labels;
  const found = await trainer.explained(transform, state, await sample.read(0, sample.rows));
  return labels.map((label, i) => (label < 0 && few.has(ids[found[i]]) ? ids[found[i]] : label));
}

/** Which clusters are as the last search for splits left them; of a graph, where there is no such search, none. */
async function unchangedClusters(
  { trainer }: Ports<'trainer'>,
  { stream: { ids, labels, since, looked }, state, sample, transform }: Drawn,
): Promise<boolean[]> {
  if (state.graph) return [];
  const rows = await sample.read(0, sample.rows);
  const places = new Map(ids.map((id, k) => [id, k]));
  const known = labels.map((label) => places.get(label) ?? -1);
  return trainer.unchanged(transform, state, rows, known, since, looked);
}

/** The components that have rows of the sample, and their places of these rows. */
interface Pieces {
  kept: number[];
  /** The place in these of the component of each row, −1 of noise. */
  labels: Int32Array;
  /** The cluster of each of these. */
  of: number[];
}

/** Of rows of the sample, which have these `labels` in the first `alive` clusters. */
async function piecesOf(
  { trainer }: Ports<'trainer'>,
  transform: Transform,
  state: State,
  { rows, labels, alive }: { rows: Float32Array; labels: Int32Array; alive: number },
): Promise<Pieces> {
  if (!state.groups) {
    const kept = [...Array(alive).keys()];
    return { kept, labels, of: kept };
  }
  const found = await trainer.componentsOf(transform, state, rows);
  const components = found.map((component, row) => (labels[row] === NOISE ? NOISE : component));
  const kept = [...new Set(components)].filter((component) => component !== NOISE).sort((a, b) => a - b);
  const places = new Map(kept.map((component, place) => [component, place]));
  return {
    kept,
    labels: components.map((component) => places.get(component) ?? NOISE),
    of: kept.map((component) => state.groups![component]),
  };
}

function sizesOf({ kept, labels }: Pieces): number[] {
  const sizes = kept.map(() => 0);
  for (const label of labels) if (label !== NOISE) sizes[label]++;
  return sizes;
}

/** A cluster of which a component has returned was there before, as the cluster of that one. */
const returningCluster =
  ({ gone }: Stream, { ids, lineage }: Named, of: readonly number[]) =>
  (cluster: number): number | null => {
    const back = new Set(lineage.flatMap(({ what, id }) => (what === 'returned' ? [id] : [])));
    const piece = of.findIndex((own, place) => own === cluster && back.has(ids[place]));
    const before = gone.find(({ id }) => id === ids[piece]);
    return before ? (before.cluster ?? before.id) : null;
  };

const weighed = (sizes: readonly number[], factor: number): number[] =>
  sizes.map((rows) => (rows > 0 ? Math.max(1, Math.round(factor * rows)) : 0));

/** As of all rows that the sample stands for. */
const asWeighed = ({ T, counts, columns, ...rest }: FullPassResult, factor: number): FullPassResult => ({
  ...rest,
  T: T.map((own) => scaleStatistics(own, factor)),
  counts: weighed(counts, factor),
  columns: {
    sums: columns.sums.map((own) => own.map((value) => factor * value)),
    squares: columns.squares.map((value) => factor * value),
  },
});

/** Draws the sample of all rows so far, and writes it with the state from which the clusters go on. */
async function drawRows(
  context: MetadataPorts & Ports<'emit' | 'out' | 'signal' | 'spent' | 'trainer' | 'warn'>,
  request: UpdateRequest,
  read: DataMoments,
  state: RunState,
): Promise<ClusterCheckpoint> {
  const { config, out } = context;
  const { source, layout, encoding } = state;
  const { run, halfLife = null } = request;
  const base = readBase(request, readStream);
  const stream = base.stream!;
  const { hashes } = encoding ?? read;
  if (!encoding) await assertNewRows(context, hashes, stream);
  const before = await openSource(join(run, SAMPLE));
  try {
    const { drift, arrivals, alarm, residual } = await driftFrom(context, state, base, before);
    const drawn = withNewRows(stream, source.rows, priority(config.seed), halfLife);
    const weight = weightAfter(stream.weight, source.rows, halfLife);
    const aged = {
      ...{
        ...stream,
        drift,
        alarm,
        parts: withPart(stream.parts, partOf(config, layout, hashes, stream.updates + 1)),
        keys: drawn.keys,
        seen: stream.seen + source.rows,
        ...(residual && { residual: pooled(stream.residual!, weight.before, residual, weight.rows) }),
      },
      weight: weight.before + weight.rows,
      labels: Int32Array.from(drawn.keys, (_, i) => stream.labels[drawn.kept[i] ?? -1] ?? -1),
      since: Int32Array.from(drawn.keys, (_, i) => stream.since[drawn.kept[i] ?? -1] ?? stream.updates + 1),
    };
    const { stream: next, stays, clusters } = withoutFaded(aged, arrivals, weight.rows);
    const kept = drawn.kept.filter((_, i) => stays[i]);
    const [old, fresh] = [await rowsAt(before, kept), await rowsAt(source, drawn.joining)];
    const rows = next.keys.length;
    const after: ClusterCheckpoint = {
      stage: 'cluster',
      ...aboutCheckpoint(context, layout),
      dataSummary: { ...read, sampleRows: Array<number>(layout.shards).fill(1) },
      transform: base.transform,
      state: onSample(ofUnits(base.state, clusters), { below: 1, rows: layout.rows, smallestShard: 1 }),
      ended: null,
      stream: next,
    };
    await out.create(runFile(metadataOf(context, state, hashes), null));
    const file = out.pieces(SAMPLE, '<f4', [rows, source.dim]);
    file.write(old, 0);
    file.write(fresh, old.length);
    await file.finish();
    await drawTexts(context, run, kept, drawn.joining);
    assertBase(request);
    await writeDrawn(out, after);
    return after;
  } catch (error) {
    assertBase(request);
    throw error;
  } finally {
    before.close();
  }
}

/** Keeps the texts of the rows that are drawn, if the run has texts: none of rows whose texts are unknown. */
async function drawTexts(
  { out, source: { described } }: Ports<'out' | 'source'>,
  run: string,
  before: readonly number[],
  joining: readonly number[],
): Promise<void> {
  if (!described && !hasKeptTexts(run)) return;
  const file = keepTexts(out);
  try {
    for (const [texts, rows] of [
      [hasKeptTexts(run) ? keptTexts(run) : null, before],
      [described?.read() ?? null, joining],
    ] as const) {
      let [next, start] = [0, 0];
      for await (const slice of texts ?? []) {
        for (; rows[next] < start + slice.length; next++) file.add(slice[rows[next] - start]);
        start += slice.length;
      }
      for (; next < rows.length; next++) file.add('');
    }
    file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}

/** Operations for log-densities of rows, which take a few seconds. */
const MOST_OPERATIONS = 2e9;

/** How the new rows differ from the sample of those before, by the clusters as they are. */
async function driftFrom(
  context: Ports<'config' | 'emit' | 'source' | 'trainer' | 'warn'>,
  { source, encoding }: RunState,
  { transform, state, stream }: ClusterCheckpoint,
  sample: Source,
): Promise<{ drift: Drift; arrivals: Float64Array; alarm: string | null; residual: Residual | null }> {
  const { config, trainer, emit, warn } = context;
  const most = rowsFor(MOST_OPERATIONS, state);
  const drawn = drawnRows(source, most, config.seed);
  const [old, fresh] = [await earlierRows(sample, most), await rowsAt(source, drawn)];
  const found = await trainer.drift(transform!, state, old, fresh);
  const residual = encoding && (await residualOfRows(context, encoding, drawn));
  const drift = { ...found.drift, ...(residual && residualDrift(stream!.residual!, residual)) };
  const alarms = alarmsOf(drift);
  emit({ type: 'drift', update: stream!.updates + 1, ...drift, alarms });
  const alarm = alarms.length
    ? driftText(config.data, drift, alarms, encoding ? null : changedColumn(source, old, fresh))
    : null;
  if (alarm !== null) warn(alarm);
  return { ...found, drift, alarm, residual };
}
