import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { areInData, type Labels } from '../../data/label-spec.ts';
import type { ClusterCheckpoint } from '../../run/checkpoint.ts';
import { mismatchWith, newestCheckpoint } from '../../run/checkpoints.ts';
import { linesOf, readHistory } from '../../run/event-log.ts';
import type { FileReaders } from '../../run/file-readers.ts';
import { gatheredOfOneRun } from '../../run/finished-run.ts';
import type { RunHistory } from '../../run/history.ts';
import { readImageList } from '../../run/row-files.ts';
import { type RunFile, readRunFile } from '../../run/run-file.ts';
import { type RunFiles, runFiles } from '../../run/run-files.ts';
import { eventsIn } from '../../run/run-path.ts';
import { readPastUpdates, readSavedClusters } from '../../run/saved-clusters.ts';
import { readSavedTree } from '../../run/saved-tree.ts';
import type { Outcome, RunInfo } from '../drawing/api.ts';
import { significant } from '../drawing/text.ts';
import { sampledMapOf } from '../map.ts';
import { type ContingencyTable, howRead, tabulate } from '../rows.ts';
import type { ReportContents } from './contents.ts';
import { crosstab } from './crosstab.ts';
import { hasFittedModel, modelFromCheckpoint, readFittedModel } from './fitted-model.ts';
import { viewsOf } from './views.ts';

/** What the report shows, read from a run directory and a sample of the data. It loads nothing of the trainer, and draws nothing. */

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
function aboutRun({ data, likelihood }: RunFile): ReportContents['about'] {
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
