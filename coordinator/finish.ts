import { setTimeout as sleep } from 'node:timers/promises';
import { WriteError } from '../base/files.ts';
import { DISK_TROUBLE, UserError } from '../base/user-error.ts';
import { imageShape } from '../data/images/folder.ts';
import type { Labels } from '../data/labels.ts';
import { IMAGES, imageLines } from '../data/saved/row-files.ts';
import { CLUSTERS, type SavedTree, TREE } from '../data/saved/saved-clusters.ts';
import type { Source } from '../data/source.ts';
import { rowTexts } from '../data/texts.ts';
import { type Centres, reorderedCentres } from '../model/description/centres.ts';
import type { Layout } from '../model/layout.ts';
import { diagonalOf } from '../model/linalg.ts';
import type { Net } from '../model/nets/net.ts';
import { bySize, isUnchanged, unitsIn, withoutUnits } from '../model/numbering.ts';
import type { EndReason } from '../model/schedule.ts';
import type { State } from '../model/state.ts';
import type { Emit } from '../view/events.ts';
import type { Alternation, Replicates, Summary } from '../view/summary.ts';
import type { DataCheck } from './data-check.ts';
import type { EarlyFinish } from './early-finish.ts';
import type { Encoder } from './encoder/encoder.ts';
import { notesOn, notesOnReplicates, type Outcome } from './notes.ts';
import type { Server } from './scheduler/server.ts';
import type { RunTotals } from './storage/checkpoint.ts';
import type { Checkpoints } from './storage/checkpoints.ts';
import { clusterTexts, describeClusters, shownRows } from './storage/describe-clusters.ts';
import { writeLabelFiles } from './storage/label-files.ts';
import { summarize, writeCentres, writeModel } from './storage/results.ts';
import type { RunDirectory } from './storage/run-directory.ts';
import { type RunMetadata, runFile } from './storage/run-file.ts';
import { type FullPassResult, labelAllRows, OutliersAlone } from './training/full-pass.ts';
import { publishCentres, publishNet } from './training/publish.ts';
import type { DataMoments } from './training/reading/moments.ts';
import { replicate } from './training/replicates.ts';
import { resultTree } from './training/result-tree.ts';
import type { Run } from './training/run-context.ts';
import { sampledCounts } from './training/sampled-rows.ts';
import type { Observer } from './training/train.ts';

export interface FinishInput {
  run: Run;
  state: State;
  /** Why training ended. */
  reason: EndReason;
  data: DataMoments;
  layout: Layout;
  source: Pick<Source, 'names' | 'images' | 'shape' | 'table' | 'texts' | 'id'>;
  /** The rows themselves, where `source` has their codes. */
  raw?: Pick<Source, 'names' | 'images' | 'shape' | 'table' | 'texts' | 'id'>;
  encoder?: Encoder | null;
  /** What each clustering of its codes found, if there were several. */
  brought?: Alternation[];
  labels: Labels | null;
  server: Server;
  out: RunDirectory;
  checkpoints: Checkpoints;
  metadata: RunMetadata;
  spent: () => RunTotals;
  observer?: Observer;
  check?: DataCheck | null;
  emit: Emit;
  warn: (message: string) => void;
  earlyFinish: EarlyFinish;
  /** Called when the results are written, before any replicates begin. */
  written?: () => void;
  /** Ends the replicates early, once the results are written. */
  signal?: AbortSignal;
}

/** Which row of the data each row of the run is; of a table from which rows with missing values were left out. */
const KEPT_ROWS = 'kept-rows.npy';

/** Seconds between attempts to write the results, one minute in total. */
const RETRY_DELAYS = [1, 2, 4, 8, 15, 30];

/**
 * Labels all rows and writes the results, in which clusters are numbered by size, then trains the replicates, if there are to
 * be any. UserError if the results still cannot be written after a minute of retries, with the command that resumes the run.
 */
export async function finish(input: FinishInput): Promise<Summary> {
  const { run, state, layout, source, labels, out, checkpoints, spent, server, observer, emit } = input;
  input.earlyFinish.enter('labelling');
  const metadata = withGraph(input.metadata, state);
  // By size as the mixture has it, so that little or nothing is left to renumber once all rows are counted. Checkpoints keep
  // the numbers of training: from one of them, these bytes come out again.
  const guess = bySize(state.mixture.weights);
  const publish = async (net: Net) =>
    publishNet(run, await run.calculate('resizeClusteringNet', net, unitsIn(guess)));
  const centres = await run.calculate('centresOf', state.mixture);
  publishCentres(run, reorderedCentres(centres, guess));
  await publish(state.net);
  let labelled: FullPassResult | null = null;
  let tree: SavedTree | null = null;
  let final = { state, order: [...state.parts.keys()] };
  const written = () => ({ files: out.hashes(), order: final.order });
  try {
    const summary = await retryWrites(async () => {
      if (!labelled) {
        const truth = labels?.codes ?? null;
        const label = () =>
          labelAllRows(run, layout, state.mixture.k, truth, out, input.check?.finish, state.sample.below);
        const found = await label().catch(async (error) => {
          if (!(error instanceof OutliersAlone)) throw error;
          final.state = withoutUnits(
            state,
            error.units.map((unit) => guess[unit]),
          );
          await publish(final.state.net);
          return label();
        });
        const order = found.order.map((unit) => guess[unit]);
        if (!isUnchanged(order))
          final = { state: await run.calculate('renumbered', final.state, order), order };
        tree = await resultTree(run, final.state, found);
        if (!tree) input.warn(`clusters are too flat for a tree of merges: there is no ${TREE}`);
        labelled = found;
        observer?.labelled(found.counts, final, tree);
      }
      if (tree) out.json(TREE, tree);
      const { images, table, names = null } = input.raw ?? source;
      if (images) out.bytes(IMAGES, imageLines(images));
      if (table?.dropped.length)
        await out.npy(KEPT_ROWS, '<i4', [layout.rows], keptRows(table.dropped, layout.rows));
      await writeModel(run, final.state, labelled, names, input.encoder ?? null, input.data.moments, out);
      await writeDescriptions(input, labelled, { centres: reorderedCentres(centres, final.order), tree });
      await checkpoints.flush();
      const { silhouette, counts } = labelled;
      const result = await summarize(run, labelled, {
        ...{ state, layout, dim: metadata.layout.dim, spent: spent(), out: out.path },
        notes: (k) => notesOfRun(input, { k, silhouette, sizes: Array.from(counts) }),
        alternations: input.brought,
      });
      out.json('run.json', runFile(metadata, result, written()));
      return result;
    }, input.warn);
    const { tasks, workers } = server.usage();
    const { rowsRead } = spent();
    input.written?.();
    const replicates =
      run.config.replicates && input.reason !== 'asked'
        ? await replicatesOf(input, run.config.replicates, labelled!.sampledOutliers)
        : null;
    const doubts = replicates ? notesOnReplicates(summary.k, replicates) : [];
    const complete = { ...summary, replicates, notes: [...summary.notes, ...doubts] };
    if (replicates)
      await retryWrites(async () => out.json('run.json', runFile(metadata, complete, written())), input.warn);
    await checkpoints.removeRescued();
    const { k, outliers, notes, stability } = complete;
    emit({
      ...{ type: 'done', k, outliers, rowsRead, seconds: tasks, workers },
      ...(notes.length && { notes }),
      ...(replicates && { replicates }),
      ...(stability && { stability }),
    });
    return complete;
  } catch (error) {
    out.assertThere();
    if (!(error instanceof WriteError)) throw error;
    // It was there when the run began, so it may be again.
    const hint = await resumeHint(checkpoints, out.path);
    throw new UserError(`${error.message}; ${hint}`, { cause: error, exitCode: DISK_TROUBLE });
  }
}

/** The numbers in the data of the `rows` that are left without those `dropped`, ascending. */
export function keptRows(dropped: readonly number[], rows: number): Int32Array {
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
  { run: { config, transform }, layout: { rows }, source, raw = source, encoder, out, warn }: FinishInput,
  labelled: FullPassResult,
  { centres, tree }: { centres: Centres; tree: SavedTree | null },
): Promise<void> {
  const { quantiles } = labelled.shown;
  await writeCentres(centres, quantiles, out);
  const shown = shownRows(labelled);
  const hasOutliers = transform.fences !== null;
  const ids = await writeLabelFiles(out, rows, raw, config, { quantiles, hasOutliers, shown, warn });
  const k = labelled.counts.filter((own) => own > 0).length;
  const { text, data, seed } = config;
  const texts =
    text !== null && raw.texts
      ? await clusterTexts(
          out.path,
          rows,
          labelled,
          k,
          seed,
          rowTexts(raw.texts(text), `column ${text} of ${data}`),
        )
      : null;
  const { names = null } = raw;
  const areMeant = !encoder && !imageShape(raw.shape);
  out.json(
    CLUSTERS,
    await describeClusters({ k, rows, labelled, centres, tree, names, areMeant, ids, texts }),
  );
}

/** With the resolution of the graph, if one was chosen. */
function withGraph({ likelihood, ...rest }: RunMetadata, { graph }: State): RunMetadata {
  if (!likelihood || !graph) return { ...rest, likelihood };
  const { resolution, stability } = graph;
  const found = stability === null ? { stability } : { resolution, stability };
  return { ...rest, likelihood: { ...likelihood, ...found } };
}

/** Null if they end early, by the signal or an error that the user can solve: the results are there without them. */
async function replicatesOf(
  input: FinishInput,
  count: number,
  sampledOutliers: number[],
): Promise<Replicates | null> {
  const { run, state, layout, emit, out, warn, earlyFinish } = input;
  earlyFinish.enter('replicates');
  const signal = AbortSignal.any([...(input.signal ? [input.signal] : []), earlyFinish.asked()]);
  const { below } = state.sample;
  const rows = await sampledCounts(layout, below);
  const sample = { below, rows: rows.map((own, shard) => own - sampledOutliers[shard]) };
  const stopped = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  try {
    const replicates = replicate({ run, sample, count, emit, signal });
    replicates.catch(() => {});
    const result = await Promise.race([stopped, replicates]);
    if (!result) warn('stopped during the replicates; the results are complete without them');
    return result;
  } catch (error) {
    out.assertThere();
    if (!(error instanceof UserError)) throw error;
    warn(`the replicates have ended: ${error.message}; the results are complete without them`);
    return null;
  } finally {
    earlyFinish.enter('labelling');
  }
}

function notesOfRun(
  { run, state, reason, data, layout, source }: FinishInput,
  found: Pick<Outcome, 'k' | 'silhouette' | 'sizes'>,
): string[] {
  const { min, max, mean, covariance } = data.moments;
  const variance = diagonalOf(covariance, mean.length);
  const { config, d } = run;
  const sampled = state.sample.rows;
  return notesOn({
    ...found,
    ...{ config, reason, sampled, d, rows: layout.rows, steps: state.steps },
    graph: state.graph ?? null,
    columns: { mean, min, max, variance, names: source.names ?? null },
  });
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
