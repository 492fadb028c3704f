import { accessSync, constants, existsSync, lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { dirname, extname, join, resolve, sep } from 'node:path';
import { isDraft } from '../base/drafts.ts';
import { attempted, type FilesByFlag, ioError, realPath, statusOf, WriteError } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { originalName } from '../data/cache.ts';
import { folderOf, isFileOf, isPattern } from '../data/file-names.ts';
import { labelsFile } from '../data/label-spec.ts';
import { ROW_COLUMNS } from '../model/row-columns.ts';
import { readRunJson } from './run-files.ts';

export const EVENTS = 'events.jsonl';
/** The path of a run's event log. */
export const eventsIn = (run: string) => join(run, EVENTS);

/** Which paths may be used as a run directory, and which files in it belong to the run. */

/** All files and folders that a run writes, run.json first. */
export const RUN_FILES = [
  'run.json',
  EVENTS,
  ...Object.values(ROW_COLUMNS).map(({ file }) => file),
  'labels',
  'labels.csv',
  'labels.parquet',
  'responsibilities.npy',
  'copies.npy',
  'images.txt',
  'kept-rows.npy',
  'codes.npy',
  'tree.json',
  'clusters.json',
  'names.jsonl',
  'lineage.json',
  'relabelled',
  'model',
  'mixture',
  'checkpoints',
  'stream',
  'map.bin',
  'report',
];

/** Those of them that are folders. */
export const FOLDERS = ['labels', 'model', 'mixture', 'checkpoints', 'stream', 'relabelled', 'report'];

/** Is this the name of a file or folder that a run did not complete before it was killed? */
export const isUnfinished = (name: string) =>
  isDraft(name) && RUN_FILES.some((own) => name.startsWith(`${own}.`));

/**
 * `<runs>/<name of the data>`, of a pattern the name of the folder above it; if that exists, the first free one of `…-2`, `…-3` and
 * so on.
 */
export function defaultRunPath(data: string, runs = 'runs'): string {
  const file = originalName(isPattern(data) ? resolve(folderOf(data)) : data);
  const stem = file.slice(0, -extname(file).length || undefined);
  // `.` and `..` are folders that exist.
  const name = /^\.+$/.test(stem) ? file : stem;
  for (let i = 1; ; i++) {
    const path = join(runs, i === 1 ? name : `${name}-${i}`);
    if (!existsSync(path)) return path;
  }
}

/** Why nothing can be written at `path`, or null. Checks the nearest existing folder above; creates nothing. */
export function whyUnwritable(path: string): string | null {
  let folder = resolve(path);
  try {
    while (!mayExist(folder)) folder = dirname(folder);
    if (!statSync(folder).isDirectory()) return `${path} cannot be written: ${folder} is not a directory`;
    accessSync(folder, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return writeProblem(path, error);
  }
}

/** False where something has yet to be made; a name that can never be one (a loop of links, too long) throws. */
function mayExist(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
    return false;
  }
}

/** An error from writing the directory at `path`, or a file in it, as a message. */
export function writeProblem(path: string, error: unknown): string {
  const cause = ioError(path, 'written', error);
  if (cause instanceof WriteError && cause.path.startsWith(path)) return cause.message;
  return `${path} cannot be written: ${(cause as Error).message}`;
}

/** UserError if a new run must not use this path: it is occupied, or `force` would remove files that it must not. */
export function assertUsable(path: string, force: boolean, inputs: FilesByFlag): void {
  if (!force) assertFree(path);
  if (!force || !isFolder(path)) return;
  let removed: string[];
  try {
    removed = RUN_FILES.filter((name) => lstatSync(join(path, name), { throwIfNoEntry: false }));
  } catch (error) {
    throw new UserError(`--out ${writeProblem(path, error)}`);
  }
  if (removed.length && !isRun(path))
    throw new UserError(
      `--out ${path} is not a run directory (it has no run.json of dpmesh), and --force would remove ${removed.join(', ')} there; choose another`,
    );
  for (const [flag, file] of Object.entries(inputs)) {
    const name = file && ownNameOf(path, file);
    if (name)
      throw new UserError(
        `${flag} ${file} is among the files that --force would remove (${join(path, name)}); choose another --out`,
      );
  }
}

/** Throws, before anything is removed, if one of the run's own folders cannot be emptied: the run would be lost in part. */
export function assertRemovable(path: string): void {
  for (const name of RUN_FILES) {
    const folder = join(path, name);
    if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory())
      accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  }
}

function assertFree(path: string): void {
  if (!existsSync(path)) return;
  let names: string[];
  try {
    names = readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR')
      throw new UserError(`--out ${path} is not a directory`);
    throw ioError(`--out ${path}`, 'read', error);
  }
  if (!names.every(isUnfinished))
    throw new UserError(`--out ${path} already exists; choose another, or overwrite it with --force`);
}

function isRun(path: string): boolean {
  try {
    return typeof (readRunJson(path) as { dpmesh?: unknown }).dpmesh === 'string';
  } catch {
    return false;
  }
}

/** The name of the run's own file or folder that `file`, which may be a folder or a pattern too, has, is or lies in. */
function ownNameOf(run: string, file: string): string | undefined {
  const real = realPath(file);
  return RUN_FILES.find((name) => {
    const ofRun = realPath(join(run, name));
    return real === ofRun || real.startsWith(ofRun + sep) || isFileOf(file, ofRun);
  });
}

/** The files, folders and patterns that the run has read, as its run.json names them; none where that cannot be read. */
function inputsOf(run: string): string[] {
  try {
    const { config } = readRunJson(run) as { config: Partial<Record<string, unknown>> };
    const files = [config.data, config.labels, config.texts].filter((path) => typeof path === 'string');
    return files.map(labelsFile);
  } catch {
    return [];
  }
}

/** UserError if one of these output files is one of the run's own, or one that it has read. */
export function assertNotOfRun(run: string, outputs: FilesByFlag): void {
  const inputs = inputsOf(run);
  for (const [flag, path] of Object.entries(outputs)) {
    if (path && ownNameOf(run, path))
      throw new UserError(`${flag} ${path} is one of the run's own files; choose another path`);
    if (path && inputs.some((input) => isFileOf(input, path)))
      throw new UserError(`${flag} ${path} is a file that the run has read; choose another path`);
  }
}

/**
 * UserError if one of the run's files is a symbolic link, or the one that is appended to has a second name: a directory from
 * elsewhere may link to any file.
 */
export function assertNoLinks(path: string): void {
  for (const name of RUN_FILES) assertNoLink(join(path, name));
  const file = join(path, EVENTS);
  const events = attempted(file, 'read', () => lstatSync(file, { throwIfNoEntry: false }));
  if (events) assertOwnFile(file, events);
}

/** The first of the run's files and folders that is a symbolic link; undefined if none is, or where that cannot be told. */
export const linkIn = (run: string): string | undefined =>
  RUN_FILES.map((name) => join(run, name)).find((file) => {
    try {
      return isLink(file);
    } catch {
      return false;
    }
  });

const isLink = (file: string) => lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;

/** UserError if it is a symbolic link. */
export function assertNoLink(file: string): void {
  if (attempted(file, 'read', () => isLink(file)))
    throw new UserError(
      `${file} is a symbolic link, and a run does not write through links; replace it by a copy, or use --out ELSEWHERE`,
    );
}

export const isFolder = (path: string) => statusOf(path)?.isDirectory() === true;

/** UserError where appending would change a file elsewhere that has this one as a second name, or would not make a file. */
export function assertOwnFile(path: string, info: Stats): void {
  if (info.isFile() && info.nlink > 1)
    throw new UserError(
      `${path} has another name too (a hard link), where what is appended would appear; replace it by a copy, or use --out ELSEWHERE`,
    );
  // A character device cannot be there unless root made it; writing to one does no harm.
  if (!info.isFile() && !info.isCharacterDevice())
    throw new UserError(`${path} is not a regular file; remove it, or use --out ELSEWHERE`);
}
