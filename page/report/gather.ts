import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { imageShape } from '../../data/images/folder.ts';
import { areInData, type Labels } from '../../data/label-spec.ts';
import type { Source } from '../../data/source.ts';
import type { Transform } from '../../data/transform.ts';
import { planTransform } from '../../data/transform-plan.ts';
import { splitEvenly } from '../../model/arrays.ts';
import { type Groups, totalsByCluster } from '../../model/gaussian/components.ts';
import { type Mixture, softCounts } from '../../model/mixture.ts';
import type { Order } from '../../model/order.ts';
import { weightSmoothing } from '../../model/schedule.ts';
import { type Classifier, classifierOf, classify } from '../../model/state.ts';
import type { ClusterCheckpoint } from '../../run/checkpoint.ts';
import { mismatchWith, newestCheckpoint, savedDecoder } from '../../run/checkpoints.ts';
import type { RunConfig } from '../../run/config.ts';
import { linesOf, readHistory } from '../../run/event-log.ts';
import type { FileReaders } from '../../run/file-readers.ts';
import { gatheredOfOneRun } from '../../run/finished-run.ts';
import type { RunHistory } from '../../run/history.ts';
import { MODEL } from '../../run/model-file.ts';
import { readImageList, readSavedMixture } from '../../run/row-files.ts';
import { type RunFile, readRunFile } from '../../run/run-file.ts';
import { hasLabels, type RunFiles, runFiles } from '../../run/run-files.ts';
import { type DirectoryId, displacedRun, leadsTo } from '../../run/run-lock.ts';
import { assertNoLink, eventsIn } from '../../run/run-path.ts';
import { readPastUpdates, readSavedClusters } from '../../run/saved-clusters.ts';
import { readSavedTree } from '../../run/saved-tree.ts';
import { readTrainedModel } from '../../run/trained-model.ts';
import { type MergeTree, modelOf, type Outcome, type RunInfo } from '../drawing/api.ts';
import type { Described } from '../drawing/clusters.ts';
import { createMap, createViewer, type DisplaySample, type ModelView } from '../drawing/model-view.ts';
import type { Entry } from '../drawing/panels.ts';
import { significant } from '../drawing/text.ts';
import { sampledMapOf } from '../map.ts';
import {
  type ContingencyTable,
  howRead,
  openUnchanged,
  readSample,
  sampledLabels,
  tabulate,
} from '../rows.ts';
import { clusterRatios, splitRatiosIn } from '../split-ratios.ts';
import { assertReportFolder, drawReport, type Report } from './draw.ts';
import { exemplarView } from './exemplars.ts';
import { crosstab, type ReportContents } from './page.ts';

/** What the report shows, read from a run directory and a sample of the data, and the report written. It loads nothing of the trainer, and draws nothing itself. */

export interface ReportInputs {
  version: string;
  /** True classes to use instead of the run's. */
  labels?: Labels;
  /** Clusters against classes if counted already, or why they cannot be compared. */
  table?: ContingencyTable | string;
  /** At most so many points are shown. */
  points?: number;
}

/** Points in a report. */
const SHOWN = 4_000;

/** Reads a run directory, and a sample of the data for the pictures. UserError if it is not a run, or has nothing to draw. */
export const gatherContents = (
  path: string,
  inputs: ReportInputs,
  read: FileReaders,
): Promise<ReportContents> => gatheredOfOneRun(path, (at) => contentsOf(at, inputs, read));

async function contentsOf(path: string, inputs: ReportInputs, read: FileReaders): Promise<ReportContents> {
  const run = readRunFile(path);
  const notes: string[] = [];
  const done = hasFittedModel(path, run.result);
  const history = historyOf(path, notes);
  const files = done ? runFiles(path, run.files) : null;
  files?.assertIntact('labels.npy');
  const saved = newestCheckpoint(path, mismatchWith(run, run.config), (message) => notes.push(message));
  const checkpoint = saved?.checkpoint ?? null;
  const fitted = done ? readFittedModel(path) : checkpoint && modelFromCheckpoint(checkpoint, run.config);
  if (!done) notes.push(unfinished(checkpoint, fitted !== null));
  if (!fitted && !history)
    throw new UserError(`${path} has no events, checkpoint or results: there is nothing to draw yet`);
  const described = files && readSavedClusters(files);
  const whole = done ? await sampledMapOf(path, run, notes) : null;
  const views =
    fitted &&
    (await viewsOf(path, {
      ...{ run, fitted, checkpoint, history, done, notes, described },
      tree: files && readSavedTree(files),
      points: inputs.points ?? SHOWN,
      hasMap: whole !== null,
      open: read.open,
    }));
  const table = done && fitted ? await classTable(path, run, inputs, read) : null;
  if (typeof table === 'string') notes.push(`${table}: the confusion matrix is left out`);
  const counts = typeof table === 'string' ? null : table;
  return {
    run: savedInfo(path, run, done),
    about: aboutRun(run),
    history,
    view: views?.view ?? null,
    map: views?.map ?? null,
    whole,
    exemplars: views?.exemplars ?? null,
    withoutPoints: views?.withoutPoints ?? null,
    described,
    confusion: counts && crosstab(counts.counts, counts.names, run.ids),
    updates: files && readUpdates(files),
    classes: counts?.names.length ?? null,
    outcome: done ? savedOutcome(run) : null,
    notes,
  };
}

/** Null but of an update. */
function readUpdates(files: RunFiles) {
  const updates = readPastUpdates(files);
  return updates && updates.length > 1 ? updates : null;
}

function savedInfo(path: string, run: RunFile, done: boolean): RunInfo {
  const { config, versions, identity, data, result } = run;
  return {
    name: basename(resolve(path)),
    out: result?.out ?? path,
    status: done ? 'done' : 'stopped',
    ...{ config: { ...config }, versions, identity },
    workers: [],
    data: { path: config.data, rows: data.rows, dim: data.dim, sample: null },
    controls: false,
  };
}

const savedOutcome = ({ result }: RunFile): Outcome | null =>
  result && { result, directory: result.out, report: `${result.out}/report/report.html` };

/** What the report says of a run beside its options. */
function aboutRun({ data, likelihood }: RunFile): Entry[] {
  return [
    ['type of numbers', data.dtype],
    ['fingerprint', data.fingerprint],
    ...(likelihood ? [['likelihood', likelihoodText(likelihood)] as const] : []),
  ];
}

function likelihoodText({ name, why, resolution, stability }: NonNullable<RunFile['likelihood']>): string {
  const found = [
    why,
    ...(resolution === undefined ? [] : [`resolution γ ${significant(resolution)}`]),
    ...(stability === undefined
      ? []
      : [stability === null ? 'no partition is stable' : `stability ${stability.toFixed(2)}`]),
  ];
  return `${name}: ${found.join('; ')}`;
}

/** Null without the transform on which the sample decided. */
function modelFromCheckpoint(
  { dataSummary, transform: saved, state }: ClusterCheckpoint,
  { transform: choice, schedule }: RunConfig,
): FittedModel | null {
  const transform = saved ?? planTransform(choice, dataSummary.moments, dataSummary.fences).transform;
  if (transform.dim !== state.mixture.d || (!saved && state.graph && choice === 'auto')) return null;
  return {
    transform,
    mixture: state.mixture,
    groups: null,
    rows: softCounts(state.mixture.weights, state.sample.rows, weightSmoothing(schedule)),
    counted: false,
    classifier: classifierOf(schedule, state, transform.scale),
  };
}

/** `isDrawn`: its transform is known. */
function unfinished(checkpoint: ClusterCheckpoint | null, isDrawn: boolean): string {
  if (!checkpoint)
    return 'the run is not finished and has no checkpoint: only pictures of its events are drawn';
  if (!isDrawn)
    return 'the run is not finished, and its newest checkpoint lacks the transform of the rows: the pictures of clusters are left out';
  return `the run is not finished: clusters are those of epoch ${checkpoint.state.epoch}, the newest checkpoint; the confusion matrix is left out`;
}

/** Null, and a note, without epochs. UserError for a line that is not an event. */
function historyOf(path: string, notes: string[]): RunHistory | null {
  const file = eventsIn(path);
  const { past } = readHistory(linesOf(file), (line) => {
    throw new UserError(
      `${file} line ${line} is not an event of a run: the file is damaged; restore or remove it`,
    );
  });
  if (past.epochs.epoch.length) return past;
  notes.push(
    `${file} ${existsSync(file) ? 'has no epochs' : 'is missing'}: K and losses over epochs are left out`,
  );
  return null;
}

interface ViewInputs {
  run: RunFile;
  fitted: FittedModel;
  checkpoint: ClusterCheckpoint | null;
  history: RunHistory | null;
  done: boolean;
  notes: string[];
  described: Described | null;
  tree: MergeTree | null;
  points: number;
  /** All rows have places on a map: the sample needs none. */
  hasMap: boolean;
  open: FileReaders['open'];
}

/** The rows of a sample that are in clusters. */
function inClusters(sample: DisplaySample, labels: Int32Array) {
  const isKept = (i: number) => labels[i] >= 0;
  const { rows, dim, numbers } = sample;
  return {
    sample: {
      ...sample,
      rows: rows.filter((_, p) => isKept(Math.floor(p / dim))),
      numbers: numbers.filter((_, i) => isKept(i)),
    },
    labels: labels.filter((label) => label >= 0),
  };
}

/** Points and clusters on axes and on a map, and images; without points if the data cannot be read. */
async function viewsOf(path: string, inputs: ViewInputs) {
  const { run, fitted, history, done, tree, points } = inputs;
  const { transform, mixture, groups, counted } = fitted;
  let withoutPoints: string | null = null;
  const source = await openUnchanged(path, inputs, inputs.open, (why) => {
    withoutPoints = `${why}: the pictures show no points`;
    inputs.notes.push(withoutPoints);
  });
  try {
    const all = source && (await readSample(source, transform, points));
    const hasNoise = Boolean(run.result?.noise);
    const found = !all
      ? new Int32Array(0)
      : done
        ? sampledLabels(path, run.data.rows, all.numbers.length, fitted.rows.length, run.ids, hasNoise)
        : classify(fitted.classifier!, all.rows);
    // Pictures of clusters show no noise.
    const { sample, labels } = all && hasNoise ? inClusters(all, found) : { sample: all, labels: found };
    const rows = Array.from(fitted.rows);
    const state = {
      ...modelOf(mixture, transform),
      groups: groups ? [...groups] : undefined,
      epoch: run.result?.epochs ?? inputs.checkpoint?.state.epoch ?? 0,
      sizes: rows,
      counts: counted ? rows : null,
      splitRatio: clusterRatios(ratiosOf(history, finalOrder(run, done), mixture.k), groups),
      tree,
      ids: done ? run.ids : undefined,
    };
    const view = createViewer()(state, sample, labels, true);
    const map = sample && !inputs.hasMap ? createMap()(view, sample, state.scale) : null;
    const exemplars = source && (await imagesOf(path, inputs, source, { ...view, labels: found }));
    return { view, map: map?.isMap ? map : null, exemplars, withoutPoints };
  } finally {
    source?.close();
  }
}

/** For each of the K components the log-ratio of the last proposal to split it; null: none is known. */
function ratiosOf(history: RunHistory | null, order: Order | null, k: number): (number | null)[] {
  const ratios = history ? splitRatiosIn(history.events, history.epochs.k[0] ?? 1) : [];
  const numbered = order ? order.map((old) => ratios[old] ?? null) : ratios;
  return numbered.length === k ? numbered : Array<null>(k).fill(null);
}

/**
 * For each component of the results the number that it has in events; null: the same; none where that is not known, of a run that was
 * killed as it wrote its results.
 */
function finalOrder({ order, result }: RunFile, done: boolean): Order | null {
  if (!done) return null;
  return order ?? (result ? null : []);
}

/** What the clusters of images look like; null if rows are none, or the file is another one now. */
async function imagesOf(
  path: string,
  { run, described, done, open }: ViewInputs,
  clustered: Source,
  view: ModelView,
) {
  const { data, config } = run;
  let source = clustered;
  try {
    if (data.codes) source = await open(config.data, howRead(path, run));
    const shape = imageShape(source.shape);
    if (!shape || source.rows !== data.rows || source.dim !== data.dim) return null;
    const decode = data.codes && done ? savedDecoder(path) : null;
    return await exemplarView({
      view,
      images: { source, shape },
      codes: decode && { source: clustered, decode },
      border: (cluster) => described?.clusters[cluster]?.border.map(({ row }) => row) ?? [],
      typical: (cluster) =>
        (described?.clusters[cluster]?.exemplars.map(({ row }) => row) ?? view.typical[cluster] ?? []).filter(
          (row) => row < data.rows,
        ),
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return null;
  } finally {
    if (source !== clustered) source.close();
  }
}

/** Clusters against classes; null if classes are not known, the reason as text if they cannot be compared. */
async function classTable(
  path: string,
  run: RunFile,
  inputs: ReportInputs,
  read: FileReaders,
): Promise<ContingencyTable | string | null> {
  if (inputs.table) return inputs.table;
  const file = run.config.labels;
  try {
    const isSame = file !== null && areInData(file, run.config.data);
    const problem = inputs.labels ? null : await read.changed(run, [isSame ? 'data' : 'labels']);
    if (problem) return problem;
    const images = isSame ? readImageList(runFiles(path, run.files)) : undefined;
    const dropped =
      isSame && run.config.impute === 'drop' ? await droppedRows(path, run, read.open) : undefined;
    const labels = inputs.labels ?? (file === null ? null : await read.labels(file, { images, dropped }));
    if (labels && labels.codes.length !== run.data.rows)
      return `${file} now has ${labels.codes.length} labels, the run has ${run.data.rows} rows`;
    return labels && tabulate(path, labels, run.ids, Boolean(run.result?.noise));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}

/** The rows of a table that were left out of the run. */
async function droppedRows(
  path: string,
  run: RunFile,
  open: FileReaders['open'],
): Promise<readonly number[] | undefined> {
  const source = await open(run.config.data, howRead(path, run));
  source.close();
  return source.table?.dropped;
}

export interface ReportOptions extends ReportInputs {
  /** Output folder; by default `report` in the run directory. */
  out?: string;
  /** The run directory, where its path must lead to that one still. */
  directory?: DirectoryId;
}

/** Draws the report of a run. UserError if `run` is not a run directory or the folder cannot be written. */
export async function writeReport(run: string, options: ReportOptions, read: FileReaders): Promise<Report> {
  const { out, directory } = options;
  const folder = out ?? join(run, 'report');
  if (out === undefined) assertNoLink(folder);
  else assertReportFolder(folder);
  return drawReport(folder, await gatherContents(run, options, read), () => {
    if (directory && !leadsTo(run, directory)) throw displacedRun(run);
    if (out === undefined) assertNoLink(folder);
  });
}

/** The fitted model: from `model/` and `mixture/` of a finished run, else from a checkpoint. */
interface FittedModel {
  transform: Transform;
  /** In model coordinates, centred on the mean of the data, as in a checkpoint. */
  mixture: Mixture;
  /** The cluster of each component; null: each is one. */
  groups: Groups | null;
  /** Rows of each cluster. `counted`: by the labels of all rows (finished runs); else soft counts of the sample. */
  rows: ArrayLike<number>;
  counted: boolean;
  /** What labels rows; null of finished runs, whose labels are in a file. */
  classifier: Classifier | null;
}

/** Reads the model of a finished run. UserError if files are missing or damaged. */
function readFittedModel(run: string): FittedModel {
  const { transform, classifier, groups, k: clusters, files } = readTrainedModel(run);
  const { k, dim: d, covariance, weights, means, covariances, counts } = readSavedMixture(files);
  if (d !== transform.dim || k !== classifier.at(-1)!.values.length)
    throw files.damaged('mixture/means.npy', `its shape (${k}, ${d}) is not that of the model`);
  const centred = splitEvenly(means, k).map((mean) => mean.map((value, i) => value - transform.offset[i]));
  return {
    transform,
    classifier: null,
    groups,
    rows: labelCounts(files, clusters) ?? totalsByCluster(counts, groups),
    counted: true,
    mixture: { k, d, covariance, weights, means: centred, covariances: splitEvenly(covariances, k) },
  };
}

/** Rows with each label where the mixture's counts lack some: those that were set apart as outliers. */
function labelCounts(files: RunFiles, k: number): Float64Array | null {
  const described = files.has('outliers.npy') ? readSavedClusters(files) : null;
  return described && Float64Array.from({ length: k }, (_, c) => described.clusters[c]?.size ?? 0);
}

/** Does the run have a model that is drawn? `result`: of its run.json. */
const hasFittedModel = (run: string, result: object | null) =>
  result !== null &&
  hasLabels(run) &&
  [MODEL, 'mixture/counts.npy'].every((name) => existsSync(join(run, name)));
