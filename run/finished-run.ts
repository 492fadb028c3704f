import { type Dirent, lstatSync, readdirSync, readlinkSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isAbandoned, isDraft } from '../base/drafts.ts';
import { syncFolder } from '../base/files.ts';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { isOrder } from '../model/order.ts';
import { type FileHashes, type RunFiles, readRunJson, runFiles } from './run-files.ts';

/**
 * Finished runs. Everybody opens them by `openFinished`: a run that is not finished is refused, one that a killed process left beside its
 * path is found there, and what is read is of one run, also while another takes its place.
 */

/** What run.json says of any run. */
export interface AboutRun {
  result: { k: number } | null;
  replaces?: boolean;
  files?: FileHashes;
}

/** A run that is finished. */
export interface FinishedRun<About extends AboutRun> {
  /** Where it lies: at its path, but where a killed process has left it beside that and it cannot be moved back. */
  at: string;
  about: About & { result: NonNullable<About['result']> };
  files: RunFiles;
}

/**
 * What `read` reads of the finished run at this path, all of it of the same run. `parse`: reads its run.json.
 *
 * @throws {UserError} if the run is not finished, and what `parse` and `read` throw
 */
export function openFinished<About extends AboutRun, T>(
  run: string,
  parse: (at: string) => About,
  read: (opened: FinishedRun<About>) => T,
): T {
  return ofOneRun(run, (at) => {
    const about = parse(at);
    if (!isFinished(about)) throw notFinished(run);
    return read({ at, about, files: runFiles(at, about.files) });
  });
}

export const isFinished = <About extends AboutRun>(about: About): about is FinishedRun<About>['about'] =>
  about.result !== null && !about.replaces;

export const notFinished = (run: string) =>
  new UserError(`${run} is not finished; continue it with: dpmesh resume ${run}`);

/** Times that a run may change while it is read: of one that changes all the time, what is read in the end need not fit together. */
const MOST_CHANGES = 10;

/** What `read` reads of the run at this path, once it was the same run, with the same run.json, from start to end. */
export function ofOneRun<T>(run: string, read: (at: string) => T): T {
  for (let changes = 0; ; changes++) {
    const { at, hasChanged } = watched(run);
    // It is the one that is there by now whose files are missing, or not as its run.json says.
    const isOther = () => changes < MOST_CHANGES && hasChanged();
    try {
      const found = read(at);
      if (!isOther()) return found;
    } catch (error) {
      if (!isOther()) throw error;
    }
  }
}

/** The same for what is read in steps. */
export async function gatheredOfOneRun<T>(run: string, read: (at: string) => Promise<T>): Promise<T> {
  for (let changes = 0; ; changes++) {
    const { at, hasChanged } = watched(run);
    const isOther = () => changes < MOST_CHANGES && hasChanged();
    try {
      const found = await read(at);
      if (!isOther()) return found;
    } catch (error) {
      if (!isOther()) throw error;
    }
  }
}

/** Where the run lies, and whether there has been another since then, or another run.json. */
function watched(run: string) {
  const at = placeOf(run);
  const before = stampOf(at);
  // In this order: where there is none at the moment, `placeOf` waits for it.
  return { at, hasChanged: () => placeOf(run) !== at || stampOf(at) !== before };
}

/** Changes when run.json is replaced, by the same run or another. */
function stampOf(run: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(join(run, 'run.json'), { bigint: true });
    return [dev, ino, size, mtimeNs].join();
  } catch {
    return 'missing';
  }
}

/** Where an update of a run in place is made: beside it. */
export const besideOf = (run: string) => `${run}.update`;

/** The runs of processes that were killed, or are at work, as they replaced the one at this path: its own, under the name of a draft. */
export function displacedRuns(path: string): string[] {
  const [folder, name] = [dirname(path), basename(path)];
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  // Not of one whose name begins in the same way, nor a link, which leads to somebody else's files.
  const isOwn = (other: string) =>
    other.startsWith(`${name}.`) && isDraft(other) && other.slice(name.length).split('.').length === 4;
  return entries.flatMap((entry) =>
    entry.isDirectory() && isOwn(entry.name) ? join(folder, entry.name) : [],
  );
}

/** How often, and how long each time, is waited for a process that is between its two renames, ms. */
const [WAITS, WAIT_MS] = [100, 5];

/**
 * Where the run of this path lies: there, unless a process was killed as it replaced it by its update, between two renames. Then the
 * complete update, or else the run before, is moved there; where that is not possible (a disk that cannot be written), it is opened
 * where it lies.
 */
export function placeOf(run: string): string {
  const path = endOfLink(resolve(run));
  for (let waits = 0; !isThere(path); waits++) {
    const displaced = displacedRuns(path);
    if (!displaced.length) return run;
    if (waits < WAITS && !displaced.every((other) => isAbandoned(basename(other)))) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
      continue;
    }
    const copy = [besideOf(path), ...displaced].find((other) => isComplete(other));
    if (copy === undefined) return run;
    try {
      renameSync(copy, path);
      syncFolder(dirname(path));
    } catch {
      if (!isThere(path)) return copy;
    }
  }
  return run;
}

const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Where a link to a run leads that is not there. */
function endOfLink(path: string): string {
  try {
    return resolve(dirname(path), readlinkSync(path));
  } catch {
    return path;
  }
}

function isComplete(run: string): boolean {
  const about = savedRun(run);
  return about !== null && isFinished(about);
}

/** What the run.json of dpmesh in this folder says; null if there is none. UserError if it is of another format. */
export function savedRun(folder: string): AboutRun | null {
  let content: unknown;
  try {
    content = readRunJson(folder);
  } catch {
    return null;
  }
  assertReadable(join(folder, 'run.json'), content);
  const { dpmesh, result = null, ...about } = (content ?? {}) as AboutRun & { dpmesh?: unknown };
  return typeof dpmesh === 'string' ? { ...about, result } : null;
}

/** Labels are written as int32. */
const MOST_LABEL = 2 ** 31 - 1;

/** What is said of each cluster in run.json. */
export interface ClusterLists {
  result: { k: number; replicates?: { clusters: readonly unknown[] } | null } | null;
  ids?: readonly number[] | null;
  order?: readonly number[] | null;
}

/** What is wrong with the lists of a run.json that are indexed by clusters; null if nothing is. */
export function problemOfLists({ result, ids, order }: ClusterLists): string | null {
  if (!result) return null;
  if (ids && ids.length !== result.k) return `it has ${ids.length} ids of ${result.k} clusters`;
  if (ids?.some((id) => id > MOST_LABEL)) return `one of its ids is larger than ${MOST_LABEL}`;
  if (ids && new Set(ids).size !== ids.length) return 'two of its clusters have the same id';
  if (order && (order.length < result.k || !isOrder([...order])))
    return `its order is not one of ${result.k} clusters`;
  const again = result.replicates?.clusters ?? [];
  if (again.length > result.k) return `its replicates are of ${again.length} clusters, not of ${result.k}`;
  return null;
}

/**
 * The format of what dpmesh writes: run.json with all files of a run directory, checkpoints, and follow.json with its folder. Raised with
 * every change of what they hold; no other format is read.
 */
export const FORMAT = 2;

/** UserError if what this file has is of another format. `content`: as it was parsed, which may be anything. */
export function assertReadable(path: string, content: unknown): void {
  const { dpmesh, format = 1 } = (content ?? {}) as { dpmesh?: unknown; format?: unknown };
  if (typeof dpmesh === 'string' && format !== FORMAT)
    throw new UserError(
      `${path} has format ${oneLine(String(format))}, this dpmesh reads format ${FORMAT}: use the version that wrote it (${oneLine(dpmesh)}), or repeat the run`,
    );
}
