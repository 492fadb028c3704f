import { closeSync, existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { assertUnchanged } from '../../data/blocks.ts';
import { readFully } from '../../data/files.ts';
import { type Labels, readLabels } from '../../data/labels.ts';
import { block } from '../../data/layout.ts';
import { type ArrayFile, decode, openNpy } from '../../data/npy.ts';
import { openSource } from '../../data/open.ts';
import type { Source } from '../../data/source.ts';
import { UserError } from '../../data/user-error.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { newestCheckpoint } from '../checkpoint-files.ts';
import { historyOf } from '../run-directory.ts';
import { foreignTo, type RunFile, readRunFile } from '../run-file.ts';
import { type ClusterRow, clusterTable } from './cluster-table.ts';
import { type Crosstab, crosstab } from './crosstab.ts';
import { type Fitted, fittedFrom, fittedIn, isFinished } from './fitted.ts';
import { type History, historyFrom } from './history.ts';
import type { ClusterView } from './pictures/clusters.ts';
import type { SubView } from './pictures/sub-clusters.ts';
import { rowsOf } from './rows.ts';
import { clusterToOpen, clusterView, occupied, subView } from './views.ts';

/** All that the report shows; null: not known, of which `notes` say why. */
export interface Gathered {
  name: string;
  run: RunFile;
  /** Of the checkpoint, where the run is not finished. */
  epoch: number | null;
  history: History | null;
  clusters: ClusterView | null;
  sub: SubView | null;
  table: ClusterRow[] | null;
  confusion: Crosstab | null;
  classes: number | null;
  notes: string[];
}

export interface Given {
  version: string;
  /** The data, where they are open already. */
  source?: Source;
  /** The labels, where they are known already; else those that the run was given. */
  labels?: Labels;
}

/** Labels are read in pieces of this many. */
const PIECE = 1 << 18;
/** A larger table of clusters and classes is of no use to anybody. */
const MOST_CELLS = 1 << 22;

/** Reads what a run has left behind, and a few of its rows. UserError where that is not a run, or there is nothing to show. */
export async function gather(path: string, given: Given): Promise<Gathered> {
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
  const labels = await labelsOf(run, given, notes);
  const views =
    fitted && (await viewsOf(path, { run, fitted, checkpoint, history, done, notes }, given.source));
  const tabulated =
    done && fitted && labels ? tabulate(join(path, 'labels.npy'), labels, fitted, notes) : null;
  return {
    name: basename(resolve(path)),
    run,
    epoch: done ? null : (checkpoint?.state.epoch ?? null),
    history,
    clusters: views?.clusters ?? null,
    sub: views?.sub ?? null,
    table: fitted && clusterTable(fitted, history?.splits ?? []),
    confusion: tabulated,
    classes: labels?.names.length ?? null,
    notes,
  };
}

function unfinished(checkpoint: Checkpoint | null): string {
  return checkpoint
    ? `the run is not finished: clusters are those of epoch ${checkpoint.state.epoch}, the newest checkpoint; sizes and confusion are left out`
    : 'the run is not finished and has no checkpoint: only what its events tell is drawn';
}

function historyIn(path: string, notes: string[]): History | null {
  const file = join(path, 'events.jsonl');
  const history = historyFrom(historyOf(path), file);
  if (history.epochs.length) return history;
  notes.push(
    `${file} ${existsSync(file) ? 'has no epochs' : 'is missing'}: K and losses over epochs are left out`,
  );
  return null;
}

async function labelsOf({ config, data }: RunFile, given: Given, notes: string[]): Promise<Labels | null> {
  if (given.labels) return given.labels;
  if (typeof config.labels !== 'string') return null;
  try {
    const labels = await readLabels(config.labels);
    if (labels.codes.length === data.rows) return labels;
    notes.push(`${config.labels} has ${labels.codes.length} labels now: confusion is left out`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    notes.push(`${error.message}: confusion is left out`);
  }
  return null;
}

interface Basis {
  run: RunFile;
  fitted: Fitted;
  checkpoint: Checkpoint | null;
  history: History | null;
  done: boolean;
  notes: string[];
}

async function viewsOf(path: string, basis: Basis, open: Source | undefined) {
  const { run, fitted, checkpoint, history, done, notes } = basis;
  const source = open ?? (await sourceOf(basis));
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
    if (source && !open) source.close();
  }
}

/** The data, if they still are what they were. */
async function sourceOf({ run, checkpoint, notes }: Basis): Promise<Source | null> {
  const path = String(run.config.data);
  let source: Source | null = null;
  try {
    source = await openSource(path);
    const { rows, dim } = source;
    if (rows !== run.data.rows || dim !== run.data.dim)
      throw new UserError(
        `${path} has ${rows} rows × ${dim} now, and had ${run.data.rows} × ${run.data.dim}`,
      );
    if (checkpoint) {
      const first = block(checkpoint.layout, 0);
      assertUnchanged(first, await source.read(0, first.count), checkpoint.found.hashes);
    }
    return source;
  } catch (error) {
    source?.close();
    if (!(error instanceof UserError)) throw error;
    const why = error.message.startsWith('block') ? `${path} has changed since the run` : error.message;
    notes.push(`${why}: pictures have no points`);
    return null;
  }
}

/** Rows of each cluster and class. */
function tabulate(
  path: string,
  { codes, names }: Labels,
  { mixture: { k } }: Fitted,
  notes: string[],
): Crosstab | null {
  if (k * names.length > MOST_CELLS) {
    notes.push(`${k} clusters and ${names.length} classes are too many to compare: confusion is left out`);
    return null;
  }
  const counts = Array.from({ length: k }, () => new Float64Array(names.length));
  const file = openNpy(path);
  try {
    for (let at = 0; at < codes.length; at += PIECE) {
      const labels = piece(file, at, Math.min(PIECE, codes.length - at));
      for (let i = 0; i < labels.length; i++) counts[labels[i]][codes[at + i]]++;
    }
  } finally {
    closeSync(file.fd);
  }
  return crosstab(counts, names);
}

function piece(file: ArrayFile, first: number, count: number) {
  const bytes = new Uint8Array(count * file.dtype.size);
  readFully(file, bytes, file.offset + first * file.dtype.size);
  return decode(bytes, file.dtype);
}
