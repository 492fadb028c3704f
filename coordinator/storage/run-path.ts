import { accessSync, constants, existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve, sep } from 'node:path';
import { ioError, WriteError } from '../../base/files.ts';
import { type FilesByFlag, realPath } from '../../base/same-file.ts';
import { UserError } from '../../base/user-error.ts';
import { EVENTS } from './event-log.ts';

/** Which path may become a run's directory, and which files in it are the run's own. */

/** All files and folders that a run writes, run.json first. */
export const RUN_FILES = [
  'run.json',
  EVENTS,
  'labels.npy',
  'responsibilities.npy',
  'model',
  'mixture',
  'checkpoints',
  'report',
];

/** `runs/<name of the data>`, with the first number behind it that is free. */
export function defaultRunPath(data: string): string {
  const name = basename(data).slice(0, -extname(data).length || undefined);
  for (let i = 1; ; i++) {
    const path = join('runs', i === 1 ? name : `${name}-${i}`);
    if (!existsSync(path)) return path;
  }
}

/** Why nothing can be written at `path`, or null: looks at the nearest folder above that is there, and makes nothing. */
export function whyUnwritable(path: string): string | null {
  let folder = resolve(path);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    if (!statSync(folder).isDirectory()) return `${path} cannot be written: ${folder} is not a directory`;
    accessSync(folder, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return writeProblem(path, error);
  }
}

/** What an error says of the directory at `path`, or of a file in it. */
export function writeProblem(path: string, error: unknown): string {
  const found = ioError(path, 'written', error);
  if (found instanceof WriteError && found.path.startsWith(path)) return found.message;
  return `${path} cannot be written: ${(found as Error).message}`;
}

/** UserError where a new run may not have this path: by what is there, or what `force` would remove of it. */
export function assertUsable(path: string, force: boolean, inputs: FilesByFlag): void {
  if (!force) assertFree(path);
  if (!force || !isFolder(path)) return;
  const found = RUN_FILES.filter((name) => lstatSync(join(path, name), { throwIfNoEntry: false }));
  if (found.length && !isRun(path))
    throw new UserError(
      `--out ${path} is not the directory of a run (it has no run.json of dpmesh), and --force would remove ${found.join(', ')} there; choose another`,
    );
  for (const [flag, file] of Object.entries(inputs)) {
    const name = file && ownNameOf(path, file);
    if (name)
      throw new UserError(
        `${flag} ${file} is among what --force would remove (${join(path, name)}); choose another --out`,
      );
  }
}

function assertFree(path: string): void {
  if (!existsSync(path)) return;
  let found: string[];
  try {
    found = readdirSync(path);
  } catch {
    throw new UserError(`--out ${path} is not a directory`);
  }
  if (found.length)
    throw new UserError(`--out ${path} exists already; choose another or overwrite it with --force`);
}

function isRun(path: string): boolean {
  try {
    return typeof JSON.parse(readFileSync(join(path, 'run.json'), 'utf8')).dpmesh === 'string';
  } catch {
    return false;
  }
}

/** The file or folder of a run that `file` is, or lies in. */
function ownNameOf(run: string, file: string): string | undefined {
  const real = realPath(file);
  return RUN_FILES.find((name) => {
    const own = realPath(join(run, name));
    return real === own || real.startsWith(own + sep);
  });
}

/** UserError where one of these files, to be written, is one of the run's own. */
export function assertNotOfRun(run: string, outputs: FilesByFlag): void {
  for (const [flag, path] of Object.entries(outputs))
    if (path && ownNameOf(run, path))
      throw new UserError(`${flag} ${path} is a file of the run itself: write to another one`);
}

/** What is written must lie in the directory itself: one that came from elsewhere may have links to any file. */
export function assertNoLinks(path: string): void {
  for (const name of RUN_FILES) {
    const file = join(path, name);
    if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new UserError(
        `${file} is a symbolic link, which a run does not write through: put a copy in its place, or --out ELSEWHERE`,
      );
  }
}

export const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
