import { setTimeout as sleep } from 'node:timers/promises';
import { WriteError } from '../../../base/files.ts';
import { DISK_TROUBLE, UserError } from '../../../base/user-error.ts';
import { imageShape } from '../../../data/images/folder.ts';
import { shownNames, skewedColumns } from '../../../data/logarithm.ts';
import { rowTexts } from '../../../data/texts/texts.ts';
import { alikeColumns } from '../../../model/description/contrast.ts';
import type { Centres } from '../../../model/description/distances.ts';
import type { Name } from '../../../model/description/names.ts';
import { componentsOf } from '../../../model/gaussian/components.ts';
import { evidenceForK } from '../../../model/gaussian/evidence-for-k.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { placesOf } from '../../../model/order.ts';
import { priority } from '../../../model/random.ts';
import type { State } from '../../../model/state.ts';
import { alarmsOf } from '../../../model/stream/drift.ts';
import type { Lineage } from '../../../model/stream/findings.ts';
import { clusterIds, type Stream } from '../../../model/stream/stream.ts';
import { keepTexts, readBase } from '../../../run/base-run.ts';
import type { Checkpoints } from '../../../run/checkpoints.ts';
import { columnSample } from '../../../run/column-sample.ts';
import { shownRows, writeLabelFiles } from '../../../run/descriptions.ts';
import { encoderOf } from '../../../run/encoding.ts';
import { namedVariables } from '../../../run/named-columns.ts';
import { aboutClusters } from '../../../run/passes/count-words.ts';
import { notesOn, notesOnReplicates, type RunOutcome, uncountedWords } from '../../../run/passes/notes.ts';
import { IMAGES, imageLines, KEPT_ROWS, rowSlices } from '../../../run/row-files.ts';
import { type RunMetadata, runFile, type UpdateRequest } from '../../../run/run-file.ts';
import { recordedHashes, runFiles } from '../../../run/run-files.ts';
import {
  CLUSTERS,
  LINEAGE,
  readSavedClusters,
  type SavedClusters,
  savedClusters,
  savedNames,
} from '../../../run/saved-clusters.ts';
import { shownFiles } from '../../../run/shown-files.ts';
import { removeDrawn } from '../../../run/stream-files.ts';
import type { Replicates, Summary } from '../../../run/summary.ts';
import { TREE } from '../../../run/tree.ts';
import { labelParts, removeUnfinishedParts } from '../label-parts.ts';
import { densitiesOfState } from '../publish.ts';
import { summarize, writeMixture, writeModel } from '../results.ts';
import {
  isInParts,
  type MetadataPorts,
  metadataOf,
  type Ports,
  type RunStage,
  type RunState,
} from '../run-state.ts';
import { copiesInData } from '../sample.ts';
import { wordsOf } from '../words.ts';
import { type FullPasses, fullPasses } from './full-passes.ts';
import { keepForUpdates } from './keep-sample.ts';

/** The first of each row's near copies, −1 for rows without any. */
const COPIES = 'copies.npy';

/** Seconds between attempts to write the results, one minute in total. */
const RETRY_DELAYS = [1, 2, 4, 8, 15, 30];

/**
 * Labels all rows; the clusters are numbered by size. UserError, with the command that resumes the run, if the files cannot be
 * written after a minute of retries.
 */
export function labelStage(
  context: MetadataPorts &
    Ports<'checkpoints' | 'observer' | 'out' | 'resume' | 'trainer' | 'warn' | 'dispatcher' | 'labels'>,
): RunStage {
  const { trainer, observer, warn } = context;
  return {
    name: 'label',
    ended: ({ labelled }) => (labelled ? 'done' : null),
    async step(state) {
      const run = state.run!;
      // From now on the results of a run that went on beyond its end are replaced.
      if (context.resume?.how === 'beyond') await writeResult(context, state, null);
      const { out } = context;
      const parts = isInParts(context) ? (key: string) => labelParts(out, key) : undefined;
      const map = await state.map!;
      const label = fullPasses({ ...context, parts, map }, state);
      return orHint(context, async () => {
        const { found, state: final, centres } = await label();
        const { k } = state.clusters!.mixture;
        const added = componentsOf(final.mixture.k, final.groups).flatMap(([first], cluster) =>
          found.order[first] >= k ? [found.counts[cluster]] : [],
        );
        const { rows, labels } = found.sampled;
        const tree = await trainer.tree(final, { T: found.T, counts: found.counts });
        const silhouette = rows.length ? await trainer.silhouette(rows, run.d, labels) : null;
        if (!tree) warn(`clusters are too flat for a tree of merges: there is no ${TREE}`);
        observer?.labelled(found.counts, { state: final, order: found.order }, tree);
        return { ...state, labelled: { found, silhouette, centres, state: final, tree, added } };
      });
    },
  };
}

/** Writes what all rows and clusters are: the model, descriptions, and the summary. UserError as of `labelStage`. */
export function describeStage(
  context: MetadataPorts &
    Ports<'checkpoints' | 'dispatcher' | 'out' | 'spent' | 'trainer' | 'warn' | 'written'>,
): RunStage {
  const { source, out, checkpoints, trainer, written } = context;
  return {
    name: 'describe',
    ended: ({ summary }) => (summary ? 'done' : null),
    async step(state) {
      const { layout, encoding } = state;
      const { found, silhouette, centres, tree, state: final } = state.labelled!;
      const run = state.run!;
      const summary = await orHint(context, async () => {
        if (tree) out.json(TREE, tree);
        const { stream, lineage } = state.labelled!;
        if (stream) out.json(LINEAGE, lineageFile(stream, lineage!));
        const { images, table, names = null } = source;
        if (images) out.bytes(IMAGES, imageLines(images));
        if (table?.dropped.length)
          await out.npy(KEPT_ROWS, '<i4', [layout.rows], keptRows(table.dropped, layout.rows));
        const encoder = encoding && encoderOf(encoding);
        const { T, sampledOutliers } = found;
        const { graph, sample, steps } = state.clusters!;
        // Of an update they are in its sample, not among the rows of the data.
        if (graph?.copies && !stream) {
          const copies = copiesInData(layout, sample.below, graph.copies, sampledOutliers);
          await out.npy(COPIES, '<i4', [layout.rows], copies);
        }
        const all = { T, mixture: await trainer.mixtureOf(final.prior, T) };
        await writeMixture(run, final, all, out);
        const densities = densitiesOfState(run, final, centres);
        const { quantiles } = found.shown;
        const rows = { centres, quantiles, densities, map: await state.map! };
        writeModel(run, final, { names, logged: source.logged }, encoder, state.data!.moments, rows, out);
        const kept = await keepForUpdates(context, state);
        const described = await writeDescriptions(context, state, centres, kept);
        const { wordsError = 0 } = described;
        await checkpoints.flush();
        const scores = found.table && (await trainer.scores(found.table));
        const ids = stream ? clusterIds(stream) : null;
        const labels = Array.from(placesOf(found.order), (place) => ids?.[place] ?? place);
        // Of the number of components, where some are joined.
        const evidence = graph || final.groups || final.background ? null : evidenceForK(steps, labels);
        const isOfColumns = !graph && !encoding && !images;
        const skewed = isOfColumns ? await skewedColumns(source) : [];
        const { columns } = found;
        // Where components are joined, clusters may differ by their shapes in columns in which their means are alike.
        const alike =
          isOfColumns && !final.groups && T.length > 1
            ? alikeColumns(
                T.map(([rows]) => rows),
                columns.sums.slice(0, T.length),
                columns.squares,
              )
            : [];
        const result = summarize(found, {
          ...{
            state: state.clusters!,
            layout,
            dim: context.layout.dim,
            spent: context.spent(),
            scores,
            silhouette,
            out: out.path,
            evidence,
          },
          notes: (k) => [
            ...notesOfRun(state, {
              k,
              silhouette,
              sizes: Array.from(found.counts),
              ids,
              evidence,
              skewed,
              alike,
            }),
            ...uncountedWords(wordsError, (state.update?.layout ?? layout).rows / k),
          ],
          alternations: encoding && run.config.alternations ? encoding.brought : undefined,
        });
        await writeResult(context, state, result);
        if (state.update) removeDrawn(out);
        removeUnfinishedParts(out);
        return result;
      });
      written?.();
      return { ...state, summary };
    },
  };
}

/** Trains the replicates, if there are to be any; then the run is done. UserError as of `labelStage`. */
export function replicateStage(
  context: MetadataPorts &
    Ports<'checkpoints' | 'earlyFinish' | 'emit' | 'out' | 'signal' | 'spent' | 'trainer' | 'warn'>,
): RunStage {
  const { config, server, checkpoints, emit, spent } = context;
  return {
    name: 'replicate',
    ended: ({ isDone }) => (isDone ? 'done' : null),
    async step(state) {
      // What follows is not work for the labels.
      const { tasks, workers } = server.usage();
      const { rowsRead } = spent();
      const replicates =
        config.replicates && state.ended !== 'asked' ? await replicatesOf(context, state) : null;
      const before = state.summary!;
      // They are of the sample.
      const k = before.k - state.labelled!.added.length;
      const doubts = replicates ? notesOnReplicates(k, replicates) : [];
      const summary = { ...before, replicates, notes: [...before.notes, ...doubts] };
      if (replicates) await orHint(context, async () => writeResult(context, state, summary));
      await checkpoints.removeRescued();
      const { outliers, notes, stability } = summary;
      emit({
        ...{ type: 'done', k: summary.k, outliers, rowsRead, seconds: tasks, workers },
        ...(notes.length && { notes }),
        ...(replicates && { replicates }),
        ...(stability && { stability }),
      });
      return { ...state, summary, isDone: true };
    },
  };
}

/** `drift`: as in the event; `lineage`: what became of clusters in this update, `history`: in all. */
const lineageFile = (stream: Stream, lineage: readonly Lineage[]) => ({
  ...{ update: stream.updates, ids: clusterIds(stream) },
  drift: stream.drift && { ...stream.drift, alarms: alarmsOf(stream.drift) },
  ...{ lineage, history: stream.history },
});

/** `summary`: null before there is one. */
async function writeResult(
  context: MetadataPorts & Ports<'out'>,
  state: RunState,
  summary: Summary | null,
): Promise<void> {
  const { data, encoding, clusters, labelled, update } = state;
  const hashes = (encoding ?? update?.read ?? data!).hashes;
  const { config, source } = context;
  const shown = summary ? await shownFiles(config, source) : undefined;
  const metadata = { ...metadataOf(context, state, hashes), shown };
  const written = labelled && {
    ...{ files: context.out.hashes(), order: labelled.found.order },
    ids: labelled.stream && clusterIds(labelled.stream),
  };
  context.out.json(
    'run.json',
    runFile(summary ? withGraph(metadata, clusters!) : metadata, summary, written ?? undefined),
  );
}

/** Tries again where the disk cannot be written. UserError that says how to go on, if that does not help. */
async function orHint<T>(
  { out, checkpoints, warn }: Ports<'checkpoints' | 'out' | 'warn'>,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await retryWrites(write, warn);
  } catch (error) {
    out.assertThere();
    if (!(error instanceof WriteError)) throw error;
    // It was there when the run began, so it may be again.
    const hint = await resumeHint(checkpoints, out.path);
    throw new UserError(`${error.message}; ${hint}`, { cause: error, exitCode: DISK_TROUBLE });
  }
}

/** The numbers in the data of the `rows` that are left without those `dropped`, ascending. */
function keptRows(dropped: readonly number[], rows: number): Int32Array {
  const kept = new Int32Array(rows);
  let d = 0;
  for (let i = 0; i < rows; i++) {
    while (dropped[d] === i + d) d++;
    kept[i] = i + d;
  }
  return kept;
}

/** Writes what is said of single rows, and of each cluster. */
async function writeDescriptions(
  context: Ports<'config' | 'dispatcher' | 'out' | 'server' | 'source' | 'trainer' | 'update' | 'warn'>,
  state: RunState,
  centres: Centres,
  kept: Stream,
): Promise<SavedClusters> {
  const { run, layout, encoding, labelled } = state;
  const { config, source, out, trainer, warn, update } = context;
  const { found, tree, stream } = labelled!;
  const labels = stream && clusterIds(stream);
  const { quantiles } = found.shown;
  const hasOutliers = run!.transform.fences !== null;
  const shown = shownRows(found);
  const { counts, T, columns } = found;
  const k = counts.filter((count) => count > 0).length;
  const areMeant = !encoding && !imageShape(source.shape);
  const variables = areMeant ? namedVariables(source) : [];
  const texts = update ? (labelled!.texts ?? null) : await describedTexts(context, state);
  const { called, telling } = await trainer.names({
    texts,
    variables,
    sample: variables.length ? await columnSample(out.path, kept, counts.slice(0, k)) : null,
    joins: tree?.joins ?? [],
    labels: clusterIds(kept),
    before: update ? namesBefore(update) : new Map(),
  });
  // Parts have no table of all rows, nor names.
  const ids = isInParts(context)
    ? new Map<number, string>()
    : await writeLabelFiles(out, source, config, {
        quantiles,
        ...{ rows: layout.rows, ids: labels },
        has: {
          component: config.components,
          ...{ log_density: !labelled!.state.graph, map: true, outliers: hasOutliers },
        },
        ...{ called: called.slice(0, k), shown, warn },
      });
  const names = shownNames(source);
  const rows = counts.reduce((a, b) => a + b, 0);
  const groups = labelled!.state.groups ?? null;
  const about = { k, rows, labelled: { counts, T, columns, shown: found.shown }, centres, groups, tree };
  const said = { names, areMeant, ids, texts, called, telling, clusterIds: labels ?? null };
  const described = await trainer.describe({ ...about, ...said });
  out.json(CLUSTERS, savedClusters(described));
  return described;
}

/** What the texts are about, if there are some: those of the sample are kept for updates. */
async function describedTexts(
  context: Ports<'config' | 'dispatcher' | 'out' | 'server' | 'source' | 'trainer'>,
  { layout, clusters, labelled }: RunState,
) {
  const { config, source, out } = context;
  if (!source.described) return null;
  const { found, tree } = labelled!;
  const priorityOf = priority(config.seed);
  const { below } = clusters!.sample;
  const kept = keepTexts(out);
  try {
    const described = await wordsOf(context, {
      ...aboutClusters(found, tree),
      layout,
      texts: rowTexts(source.described.read(), source.described.name),
      labels: rowSlices(out.path, layout.rows),
      each(row, text) {
        if (priorityOf(row) < below) kept.add(text);
      },
    });
    kept.finish();
    return described;
  } catch (error) {
    kept.abort();
    throw error;
  }
}

/** What clusters of the run that is updated are called. */
const namesBefore = (update: UpdateRequest): Map<number, Name> =>
  savedNames(readBase(update, (at) => readSavedClusters(runFiles(at, recordedHashes(at)))));

/** With the resolution of the graph, if one was chosen. */
function withGraph({ likelihood, ...rest }: RunMetadata, { graph }: State): RunMetadata {
  if (!likelihood || !graph) return { ...rest, likelihood };
  const { resolution, stability } = graph;
  const found = stability === null ? { stability } : { resolution, stability };
  return { ...rest, likelihood: { ...likelihood, ...found } };
}

/** Null if they end early, by the signal or an error that the user can solve: the results are there without them. */
async function replicatesOf(
  context: Ports<'earlyFinish' | 'out' | 'signal' | 'trainer' | 'warn'>,
  state: RunState,
): Promise<Replicates | null> {
  const { out, warn, earlyFinish, trainer } = context;
  const signal = AbortSignal.any([...(context.signal ? [context.signal] : []), earlyFinish.asked()]);
  const { below } = state.clusters!.sample;
  const outliers = state.labelled!.found.sampledOutliers.map(({ length }) => length);
  const stopped = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  try {
    const replicates = trainer.replicate({
      below,
      outliers,
      trained: state.labelled!.state,
      k: state.summary!.k,
    });
    replicates.catch(() => {});
    const result = await Promise.race([stopped, replicates]);
    if (!result) {
      trainer.stopReplicates().catch(() => {});
      warn('stopped during the replicates; the results are complete without them');
    }
    return result;
  } catch (error) {
    out.assertThere();
    if (!(error instanceof UserError)) throw error;
    warn(`the replicates have ended: ${error.message}; the results are complete without them`);
    return null;
  }
}

const componentsWithRows = ({ state: { mixture }, found: { T } }: FullPasses): number =>
  T.slice(0, mixture.k).filter(([rows]) => rows > 0).length;

function notesOfRun(
  { run, clusters, ended, data, source, labelled }: RunState,
  outcome: Pick<RunOutcome, 'k' | 'silhouette' | 'sizes' | 'ids' | 'evidence' | 'skewed' | 'alike'>,
): string[] {
  const { min, max, mean, covariance } = data!.moments;
  const variance = diagonalOf(covariance, mean.length);
  const { config, d } = run!;
  const { sample, steps, graph = null } = clusters!;
  const { found, added } = labelled!;
  const alarm = labelled!.stream?.alarm ?? null;
  const notes = notesOn({
    ...outcome,
    ...{
      unexplained: found.unexplained,
      noise: found.noise,
      isMixed: Boolean(clusters!.mixture.kinds),
      added,
      components: componentsWithRows(labelled!),
      unknown: run!.unknown,
    },
    ...{ config, reason: ended!, d, rows: outcome.sizes.reduce((a, b) => a + b, 0), steps },
    // Copies among the rows of a stream have no file that says which they are.
    graph: graph && labelled!.stream ? { ...graph, copies: null } : graph,
    sampled: graph?.copies?.of.length ?? sample.rows,
    columns: { mean, min, max, variance, names: source.names ?? null },
  });
  return [...(alarm === null ? [] : [alarm]), ...notes];
}

/** Repeats `attempt` while it fails with a WriteError, after each of `delays` (seconds) in turn. */
export async function retryWrites<T>(
  attempt: () => Promise<T>,
  warn: (message: string) => void,
  delays: readonly number[] = RETRY_DELAYS,
): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof WriteError) || i >= delays.length) throw error;
      warn(`${error.message}; trying again in ${delays[i]} s`);
      // Without a reference: the wait does not keep the process alive after Ctrl-C.
      await sleep(delays[i] * 1000, undefined, { ref: false });
    }
  }
}

/** Says where the trained state is saved, and how to resume from it. */
async function resumeHint(checkpoints: Checkpoints, run: string): Promise<string> {
  await checkpoints.flush();
  const saved = checkpoints.saved();
  const resume = `dpmesh resume ${run}`;
  const advice = (command: string) =>
    `run ${command} when space is available, or with --out ELSEWHERE right away`;
  if (saved?.checkpoint.ended) return `training is complete and saved in ${saved.path}; ${advice(resume)}`;
  const rescued = await checkpoints.rescue();
  if (rescued) {
    const { path, isFound } = rescued;
    return `training is complete and saved in ${path}; ${advice(isFound ? resume : `${resume} --from ${path}`)}`;
  }
  return saved
    ? `the last state of training could not be saved, the newest checkpoint is ${saved.path}; ${advice(resume)}`
    : `there is no checkpoint, so training has to start again; ${advice(resume)}`;
}
