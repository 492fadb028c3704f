import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { createAtomicFile, makeFolder, remove } from '../../../base/files.ts';
import { isProcessAlive } from '../../../base/process-alive.ts';
import { UserError } from '../../../base/user-error.ts';
import { dataFolder, type Manifest, manifestPath, type SetupName } from '../../compute/installed.ts';

const GB = 1e9;
/** A folder with this file is of our making, and ours to delete. */
const MARK = 'made-by-dpmesh-setup';
const MAKING = '.making-';

/** Where a setup goes: a folder of its own in the data folder, or in `--dir`. */
export const placeOf = (name: SetupName, within?: string) => join(resolve(within ?? dataFolder()), name);

/** UserError unless the folder may be made there and its disk has this many bytes free. */
export function assertRoom(place: string, bytes: number): void {
  if (existsSync(place) && !existsSync(join(place, MARK)))
    throw new UserError(
      `${place} is not of dpmesh setup's making; move it away, or name another folder with --dir`,
    );
  const above = dirname(place);
  makeFolder(above);
  const { bavail, bsize } = statfsSync(above);
  const free = Number(bavail) * Number(bsize);
  if (free < bytes)
    throw new UserError(
      `${above} has ${(free / GB).toFixed(1)} GB free, ${(bytes / GB).toFixed(0)} GB are needed; make room, or name another folder with --dir`,
    );
}

/** An empty folder beside `place`, in which a setup is made; what tries that were killed left there is deleted. */
export function workshop(place: string): string {
  discardAbandoned(place);
  const made = `${place}${MAKING}${process.pid}`;
  mkdirSync(made);
  writeFileSync(join(made, MARK), '');
  return made;
}

/** Deletes what tries that were killed left beside `place`. Were there any? */
function discardAbandoned(place: string): boolean {
  const above = dirname(place);
  const prefix = `${basename(place)}${MAKING}`;
  const left = existsSync(above)
    ? readdirSync(above).filter(
        (name) => name.startsWith(prefix) && !isProcessAlive(Number(name.slice(prefix.length))),
      )
    : [];
  for (const name of left) discard(join(above, name));
  return left.length > 0;
}

export const discard = remove;

/** Moves what was made to its place, where nothing counts it as a setup before `writeManifest`. */
export function moveToPlace(name: SetupName, made: string, place: string): void {
  const old = setupFolder(name);
  remove(manifestPath(name));
  for (const folder of new Set([place, old])) if (folder && existsSync(join(folder, MARK))) discard(folder);
  renameSync(made, place);
}

/** The last thing that a setup does. */
export function writeManifest(name: SetupName, about: Omit<Manifest, 'files'> & { files: string[] }): void {
  const files = Object.fromEntries(about.files.map((file) => [file, statSync(join(about.dir, file)).size]));
  const path = manifestPath(name);
  makeFolder(dirname(path));
  const file = createAtomicFile(path);
  file.write(Buffer.from(`${JSON.stringify({ ...about, files }, null, 2)}\n`), 0);
  file.finish();
}

/** Where the manifest says that the setup is, broken or not. */
function setupFolder(name: SetupName): string | null {
  try {
    const { dir } = JSON.parse(readFileSync(manifestPath(name), 'utf8'));
    return typeof dir === 'string' ? dir : null;
  } catch {
    return null;
  }
}

/** Takes a setup away, and what is left of those that were not finished. Returns where it was; null if there was none. */
export function removeSetup(name: SetupName): string | null {
  const place = setupFolder(name) ?? placeOf(name);
  const abandoned = [place, placeOf(name)].map(discardAbandoned).includes(true);
  const was = abandoned || existsSync(manifestPath(name)) || existsSync(join(place, MARK));
  remove(manifestPath(name));
  if (existsSync(join(place, MARK))) discard(place);
  return was ? place : null;
}
