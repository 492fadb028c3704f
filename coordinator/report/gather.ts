import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { assertUnchanged, BlockChanged } from '../../data/blocks.ts';
import { type Labels, readLabels } from '../../data/labels.ts';
import { openSource } from '../../data/open.ts';
import type { Source } from '../../data/source.ts';
import { planTransform } from '../../data/transform.ts';
import { layersOf } from '../../model/forward.ts';
import { block } from '../../model/layout.ts';
import { softCounts } from '../../model/mixture.ts';
import type { Contents } from '../../report/contents.ts';
import { crosstab } from '../../report/crosstab.ts';
import { type Fitted, fittedFrom, isFinished } from '../../report/fitted.ts';
import { type History, historyFrom, type Proposal } from '../../report/history.ts';
import { rowsOf } from '../../report/rows.ts';
import { type Table, tabulate } from '../../report/table.ts';
import { clusterToOpen, clusterView, occupied, subView } from '../../report/views.ts';
import { type ClusterTable, clusterTable } from '../../view/cluster-table.ts';
import type { RunConfig } from '../config.ts';
import type { Checkpoint } from '../storage/checkpoint.ts';
import { newestCheckpoint } from '../storage/checkpoints.ts';
import { eventsIn, linesOf } from '../storage/event-log.ts';
import { foreignTo, type RunFile, readRunFile } from '../storage/run-file.ts';

export interface Given {
  version: string;
  /** True classes, in place of those that the run was given. */
  labels?: Labels;
  /** The clusters against the classes, where that is known already, or why not. */
  table?: Table | string;
}

/** Reads what a run has left behind, and a few of its rows. UserError where that is not a run, or there is nothing to show. */
export async function gather(path: string, given: Given): Promise<Contents> {
  const run = readRunFile(path, given.version);
  const notes: string[] = [];
  const history = historyIn(path, notes);
  const done = isFinished(path);
  const saved = newestCheckpoint(path, foreignTo(run), (message) => notes.push(message));
  const checkpoint = saved?.checkpoint ?? null;
  const fitted = done ? fittedFrom(path) : checkpoint && fittedIn(checkpoint);
  if (!done) notes.push(unfinished(checkpoint));
  if (!fitted && !history)
    throw new UserError(
      `${path} has neither events nor a checkpoint nor results: there is nothing to draw yet`,
    );
  const views = fitted && (await viewsOf(path, { run, fitted, checkpoint, history, done, notes }));
  const table = done && fitted ? await tableOf(path, run, given) : null;
  if (typeof table === 'string') notes.push(`${table}: confusion is left out`);
  const compared = typeof table === 'string' ? null : table;
  return {
    name: basename(resolve(path)),
    run,
    epoch: done ? null : (checkpoint?.state.epoch ?? null),
    history,
    clusters: views?.clusters ?? null,
    sub: views?.sub ?? null,
    table: fitted && clustersOf(fitted, history?.splits ?? []),
    confusion: compared && crosstab(compared.counts, compared.names),
    classes: compared?.names.length ?? null,
    notes,
  };
}

function fittedIn({ config, dataSummary, state }: Checkpoint): Fitted {
  const { transform: choice, weightSmoothing } = config as RunConfig;
  const sample = dataSummary.sampleRows.reduce((a, b) => a + b, 0);
  return {
    transform: planTransform(choice, dataSummary.moments).transform,
    mixture: state.mixture,
    rows: softCounts(state.mixture.weights, sample, weightSmoothing),
    counted: false,
    net: layersOf(state.net),
  };
}

function clustersOf({ mixture, rows, counted }: Fitted, splits: Proposal[]): ClusterTable {
  const logRatios = Array<number | null>(mixture.k).fill(null);
  for (const { cluster, logRatio } of splits) logRatios[cluster] = logRatio;
  return clusterTable({ ...mixture, rows, counted, logRatios });
}

function unfinished(checkpoint: Checkpoint | null): string {
  return checkpoint
    ? `the run is not finished: clusters are those of epoch ${checkpoint.state.epoch}, the newest checkpoint; sizes and confusion are left out`
    : 'the run is not finished and has no checkpoint: only what its events tell is drawn';
}

function historyIn(path: string, notes: string[]): History | null {
  const file = eventsIn(path);
  const history = historyFrom(linesOf(file), file);
  if (history.epochs.length) return history;
  notes.push(
    `${file} ${existsSync(file) ? 'has no epochs' : 'is missing'}: K and losses over epochs are left out`,
  );
  return null;
}

/** The clusters against the classes; null where those are not known, a sentence where they cannot be compared. */
async function tableOf(path: string, run: RunFile, given: Given): Promise<Table | string | null> {
  if (given.table) return given.table;
  const file = run.config.labels;
  try {
    const labels = given.labels ?? (typeof file === 'string' ? await readLabels(file) : null);
    if (labels && labels.codes.length !== run.data.rows)
      return `${file} has ${labels.codes.length} labels now`;
    return labels && tabulate(join(path, 'labels.npy'), labels);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}

interface Basis {
  run: RunFile;
  fitted: Fitted;
  checkpoint: Checkpoint | null;
  history: History | null;
  done: boolean;
  notes: string[];
}

async function viewsOf(path: string, basis: Basis) {
  const { run, fitted, checkpoint, history, done, notes } = basis;
  const source = await sourceOf(basis);
  const rows = source && rowsOf(source, fitted, done ? join(path, 'labels.npy') : null);
  try {
    const place = { count: run.data.rows, seed: BigInt(String(run.config.seed)) };
    const clusters = await clusterView(fitted, rows, place);
    const usable = checkpoint && checkpoint.state.mixture.k === fitted.mixture.k ? checkpoint.state : null;
    const opened = usable && clusterToOpen(usable, history?.splits ?? [], occupied(fitted));
    if (!usable) notes.push('no checkpoint of the end is left: the picture of sub-clusters is left out');
    else if (opened === null) notes.push('no cluster has two sub-clusters: their picture is left out');
    const sub = usable && opened !== null ? await subView(fitted, usable, opened, rows, place) : null;
    return { clusters, sub };
  } finally {
    rows?.close();
    source?.close();
  }
}

/** The data, if they still are what they were. */
async function sourceOf({ run, checkpoint, notes }: Basis): Promise<Source | null> {
  const path = String(run.config.data);
  let source: Source | null = null;
  try {
    source = await openSource(path, { without: run.data.leftOut });
    const { rows, dim } = source;
    if (rows !== run.data.rows || dim !== run.data.dim)
      throw new UserError(
        `${path} has ${rows} rows × ${dim} now, and had ${run.data.rows} × ${run.data.dim}`,
      );
    if (checkpoint) {
      const first = block(checkpoint.layout, 0);
      assertUnchanged(first, await source.read(0, first.count), checkpoint.dataSummary.hashes);
    }
    return source;
  } catch (error) {
    source?.close();
    if (!(error instanceof UserError)) throw error;
    const why = error instanceof BlockChanged ? `${path} has changed since the run` : error.message;
    notes.push(`${why}: pictures have no points`);
    return null;
  }
}
