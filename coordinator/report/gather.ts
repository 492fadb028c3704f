import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { imageShape } from '../../data/images/folder.ts';
import { areInData, type Labels, readLabels } from '../../data/labels.ts';
import { type OpenOptions, openSource } from '../../data/open.ts';
import { readImageList } from '../../data/saved/row-files.ts';
import { runFiles } from '../../data/saved/run-files.ts';
import { readSavedClusters, readSavedTree, type SavedClusters } from '../../data/saved/saved-clusters.ts';
import type { Source } from '../../data/source.ts';
import { planTransform } from '../../data/transform.ts';
import { softCounts } from '../../model/mixture.ts';
import { layersOf } from '../../model/nets/forward.ts';
import { type Order, placesOf, renumbered } from '../../model/numbering.ts';
import { weightSmoothing } from '../../model/schedule.ts';
import type { ReportContents } from '../../report/contents.ts';
import { crosstab } from '../../report/crosstab.ts';
import { type ExemplarInput, exemplarView } from '../../report/exemplars.ts';
import { type FittedModel, isFinished, readFittedModel } from '../../report/fitted-model.ts';
import { historyFrom, type RunHistory, type SplitProposal } from '../../report/history.ts';
import { mapView } from '../../report/map-view.ts';
import { openRowReader } from '../../report/row-reader.ts';
import { type ContingencyTable, tabulate } from '../../report/table.ts';
import { clusterToShow, clusterView, occupied, subClusterView } from '../../report/views.ts';
import { clusterDetailsIn } from '../../view/cluster-details.ts';
import { type ClusterTable, clusterTable } from '../../view/cluster-table.ts';
import { type RunConfig, tableOptions } from '../config.ts';
import { CODES } from '../encoder/encode-all.ts';
import type { Checkpoint } from '../storage/checkpoint.ts';
import { newestCheckpoint } from '../storage/checkpoints.ts';
import { savedDecoder } from '../storage/encoder-checkpoint.ts';
import { eventsIn, linesOf } from '../storage/event-log.ts';
import { foreignTo, type RunFile, readRunFile } from '../storage/run-file.ts';
import { isSameRows } from './same-rows.ts';

export interface ReportInputs {
  version: string;
  /** True classes to use instead of the run's. */
  labels?: Labels;
  /** Clusters against classes if counted already, or why they cannot be compared. */
  table?: ContingencyTable | string;
}

/** Reads a run directory, and a sample of the data for the pictures. UserError if it is not a run, or has nothing to draw. */
export async function gatherContents(path: string, inputs: ReportInputs): Promise<ReportContents> {
  const run = readRunFile(path, inputs.version);
  const notes: string[] = [];
  const done = isFinished(path);
  const order = finalOrder(run, done);
  const history = renumberedSplits(readHistory(path, notes), order);
  const files = done ? runFiles(path, run.files) : null;
  files?.assertIntact('labels.npy');
  const saved = newestCheckpoint(path, foreignTo(run, run.config), (message) => notes.push(message));
  const checkpoint = saved?.checkpoint ?? null;
  const fitted = done ? readFittedModel(path) : checkpoint && modelFromCheckpoint(checkpoint, run.config);
  if (!done) notes.push(unfinished(checkpoint, fitted !== null));
  if (!fitted && !history)
    throw new UserError(`${path} has no events, checkpoint or results: there is nothing to draw yet`);
  const descriptions = files && readSavedClusters(files);
  const views =
    fitted &&
    (await clusterViews(path, { run, fitted, checkpoint, order, history, done, notes, descriptions }));
  const table = done && fitted ? await classTable(path, run, inputs) : null;
  if (typeof table === 'string') notes.push(`${table}: the confusion matrix is left out`);
  const counts = typeof table === 'string' ? null : table;
  return {
    name: basename(resolve(path)),
    run,
    epoch: done ? null : (checkpoint?.state.epoch ?? null),
    history,
    clusters: views?.clusters ?? null,
    map: views?.map ?? null,
    exemplars: views?.exemplars ?? null,
    subClusters: views?.subClusters ?? null,
    descriptions,
    tree: files && readSavedTree(files),
    table: fitted && tableOfClusters(fitted, history?.splits ?? []),
    confusion: counts && crosstab(counts.counts, counts.names),
    classes: counts?.names.length ?? null,
    details: files?.has('clusters.json') ? clusterDetailsIn(files.json('clusters.json')) : null,
    notes,
  };
}

/** Null without the transform on which the sample decided. */
function modelFromCheckpoint(
  { dataSummary, transform: saved, state }: Checkpoint,
  { transform: choice, schedule }: RunConfig,
): FittedModel | null {
  const transform = saved ?? planTransform(choice, dataSummary.moments, dataSummary.fences).transform;
  if (transform.dim !== state.mixture.d || (!saved && state.graph && choice === 'auto')) return null;
  return {
    transform,
    mixture: state.mixture,
    rows: softCounts(state.mixture.weights, state.sample.rows, weightSmoothing(schedule)),
    counted: false,
    net: layersOf(state.net),
  };
}

function tableOfClusters({ mixture, rows, counted }: FittedModel, splits: SplitProposal[]): ClusterTable {
  return clusterTable({ ...mixture, rows, counted, logRatios: logRatiosOf(splits, mixture.k) });
}

function logRatiosOf(splits: SplitProposal[], k: number): (number | null)[] {
  const logRatios = Array<number | null>(k).fill(null);
  for (const { cluster, logRatio, reason } of splits)
    if (cluster in logRatios && !reason) logRatios[cluster] = logRatio;
  return logRatios;
}

/** For each of the K clusters of a finished run the log-ratio of the last proposal to split it; null: none is known. */
export function lastLogRatios(path: string, run: RunFile, k: number): (number | null)[] {
  const history = renumberedSplits(readHistory(path, []), finalOrder(run, true));
  return logRatiosOf(history?.splits ?? [], k);
}

/** `isDrawn`: its transform is known. */
function unfinished(checkpoint: Checkpoint | null, isDrawn: boolean): string {
  if (!checkpoint)
    return 'the run is not finished and has no checkpoint: only pictures of its events are drawn';
  if (!isDrawn)
    return 'the run is not finished, and its newest checkpoint lacks the transform of the rows: the pictures of clusters are left out';
  return `the run is not finished: clusters are those of epoch ${checkpoint.state.epoch}, the newest checkpoint; cluster sizes and the confusion matrix are left out`;
}

function readHistory(path: string, notes: string[]): RunHistory | null {
  const file = eventsIn(path);
  const history = historyFrom(linesOf(file), file);
  if (history.epochs.length) return history;
  notes.push(
    `${file} ${existsSync(file) ? 'has no epochs' : 'is missing'}: K and losses over epochs are left out`,
  );
  return null;
}

/**
 * For each cluster of the results the number that it has in events and checkpoints; null: the same; none where that is not
 * known, of a run that was killed as it wrote its results.
 */
function finalOrder({ order, result }: RunFile, done: boolean): Order | null {
  if (!done) return null;
  return order ?? (result ? null : []);
}

/** The history with the clusters' final numbers in its split proposals. */
function renumberedSplits(history: RunHistory | null, order: Order | null): RunHistory | null {
  if (!history || !order) return history;
  const places = placesOf(order);
  const splits = history.splits.flatMap((split) =>
    split.cluster in places ? [{ ...split, cluster: places[split.cluster] }] : [],
  );
  return { ...history, splits };
}

/** Clusters against classes; null if classes are not known, the reason as text if they cannot be compared. */
async function classTable(
  path: string,
  run: RunFile,
  inputs: ReportInputs,
): Promise<ContingencyTable | string | null> {
  if (inputs.table) return inputs.table;
  const file = run.config.labels;
  try {
    const isSame = file !== null && areInData(file, run.config.data);
    const images = isSame ? readImageList(runFiles(path, run.files)) : undefined;
    const dropped = isSame && run.config.impute === 'drop' ? await droppedRows(path, run) : undefined;
    const labels = inputs.labels ?? (file === null ? null : await readLabels(file, { images, dropped }));
    if (labels && labels.codes.length !== run.data.rows)
      return `${file} now has ${labels.codes.length} labels, the run has ${run.data.rows} rows`;
    return labels && tabulate(join(path, 'labels.npy'), labels);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}

/** The rows of a table that were left out of the run. */
async function droppedRows(path: string, run: RunFile): Promise<readonly number[] | undefined> {
  const source = await openSource(run.config.data, howRead(path, run));
  source.close();
  return source.table?.dropped;
}

interface ViewInputs {
  run: RunFile;
  fitted: FittedModel;
  checkpoint: Checkpoint | null;
  /** As `finalOrder` returns it. */
  order: Order | null;
  history: RunHistory | null;
  done: boolean;
  notes: string[];
  descriptions: SavedClusters | null;
}

/** The pictures of points: all clusters, and the sub-clusters of one; without points if the data cannot be read. */
async function clusterViews(path: string, inputs: ViewInputs) {
  const { run, fitted, checkpoint, order, history, done, notes, descriptions } = inputs;
  const source = await openUnchanged(path, inputs);
  const rows = source && openRowReader(source, fitted, done ? join(path, 'labels.npy') : null);
  try {
    const sampling = { count: run.data.rows, seed: run.config.seed };
    const clusters = await clusterView(fitted, rows, sampling);
    const map = rows && (await mapView(fitted, rows, sampling));
    const exemplars =
      source && rows && (await imagesOf(path, run, { fitted, reader: rows, source }, descriptions));
    const { k } = fitted.mixture;
    // With the graph likelihood, there are no sub-clusters: clusters are cut in the graph.
    if (checkpoint?.state.graph) return { clusters, map, exemplars, subClusters: null };
    const trained = checkpoint && checkpoint.state.mixture.k === k ? checkpoint.state : null;
    const state = trained && order ? (order.length === k ? renumbered(trained, order) : null) : trained;
    const shown = state && clusterToShow(state, history?.splits ?? [], occupied(fitted));
    if (!state)
      notes.push('there is no checkpoint of the final state: the picture of sub-clusters is left out');
    else if (shown === null) notes.push('no cluster has two sub-clusters: their picture is left out');
    const subClusters =
      state && shown !== null ? await subClusterView(fitted, state, shown, rows, sampling) : null;
    return { clusters, map, exemplars, subClusters };
  } finally {
    rows?.close();
    source?.close();
  }
}

/** What the clusters of images look like; null if rows are none, or the file is another one now. */
async function imagesOf(
  path: string,
  run: RunFile,
  clustered: Pick<ExemplarInput, 'fitted' | 'reader' | 'source'>,
  descriptions: SavedClusters | null,
) {
  const { data, config } = run;
  let own = clustered.source;
  try {
    if (data.codes) own = await openSource(config.data, howRead(path, run));
    const shape = imageShape(own.shape);
    if (!shape || own.rows !== data.rows || own.dim !== data.dim) return null;
    const decode = data.codes ? savedDecoder(path) : null;
    return await exemplarView({
      ...clustered,
      images: { source: own, shape },
      decode,
      seed: config.seed,
      typical:
        descriptions &&
        new Map(
          descriptions.clusters.map(({ cluster, exemplars }) => [
            cluster,
            exemplars.map(({ row }) => row).filter((row) => row < data.rows),
          ]),
        ),
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return null;
  } finally {
    if (own !== clustered.source) own.close();
  }
}

/** How its rows are read from its data. UserError if its list of images is damaged. */
const howRead = (path: string, { data, config, files }: RunFile): OpenOptions => ({
  table: tableOptions(config, data.leftOut ?? null),
  images: {
    size: config.imageSize,
    skipBad: config.skipBad,
    expected: { rows: data.rows, names: readImageList(runFiles(path, files)) },
  },
});

/** The run's data; null, and a note, if they cannot be read or have changed. */
export async function openUnchanged(
  folder: string,
  { run, checkpoint, notes }: Pick<ViewInputs, 'run' | 'checkpoint' | 'notes'>,
): Promise<Source | null> {
  const { codes } = run.data;
  const path = codes ? join(folder, CODES) : run.config.data;
  const columns = codes?.dim ?? run.data.dim;
  let source: Source | null = null;
  try {
    source = await openSource(path, codes ? {} : howRead(folder, run));
    const { rows, dim } = source;
    if (rows !== run.data.rows || dim !== columns)
      throw new UserError(`${path} now has ${rows} rows × ${dim}; the run had ${run.data.rows} × ${columns}`);
    if (!(await isSameRows(source, run, checkpoint)))
      throw new UserError(`${path} has changed since the run`);
    return source;
  } catch (error) {
    source?.close();
    if (!(error instanceof UserError)) throw error;
    notes.push(`${error.message}: the pictures show no points`);
    return null;
  }
}
