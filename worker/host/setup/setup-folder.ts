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
import { isProcessAlive } from '../../../base/drafts.ts';
import { attempted, createAtomicFile, makeFolder, remove } from '../../../base/files.ts';
import { UserError } from '../../../base/user-error.ts';
import { dataFolder, manifestPath, type PackageManifest, type SetupName } from '../../compute/installed.ts';

const GB = 1e9;
/** A folder with this file was made by `dpmesh setup`, so `dpmesh setup` may delete it. */
const MARKER = 'made-by-dpmesh-setup';
const STAGING_INFIX = '.making-';

/** Where a setup goes: a folder of its own in the data folder, or in `--dir`. */
export const setupFolder = (name: SetupName, within?: string) => join(resolve(within ?? dataFolder()), name);

/** UserError unless the folder may be created (or replaced) and its disk has this many bytes free. */
export function assertDiskSpace(folder: string, bytes: number): void {
  if (existsSync(folder) && !existsSync(join(folder, MARKER)))
    throw new UserError(
      `${folder} exists and was not made by dpmesh setup; move it away, or choose another folder with --dir`,
    );
  const parent = dirname(folder);
  makeFolder(parent);
  const { bavail, bsize } = attempted(parent, 'read', () => statfsSync(parent));
  const free = Number(bavail) * Number(bsize);
  if (free < bytes)
    throw new UserError(
      `${parent} has ${(free / GB).toFixed(1)} GB free, but ${(bytes / GB).toFixed(0)} GB are needed; free some space, or choose another folder with --dir`,
    );
}

/** Creates an empty folder beside `folder` to build a setup in. Deletes what interrupted setups left there. */
export function makeStagingFolder(folder: string): string {
  const staging = `${folder}${STAGING_INFIX}${process.pid}`;
  attempted(staging, 'written', () => {
    removeStale(folder);
    mkdirSync(staging);
    writeFileSync(join(staging, MARKER), '');
  });
  return staging;
}

/** Deletes staging folders of processes that no longer run. Returns whether there were any. */
function removeStale(folder: string): boolean {
  const parent = dirname(folder);
  const prefix = `${basename(folder)}${STAGING_INFIX}`;
  const isNumbered = (name: string) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length));
  const stale = existsSync(parent)
    ? readdirSync(parent).filter(
        (name) => isNumbered(name) && !isProcessAlive(Number(name.slice(prefix.length))),
      )
    : [];
  for (const name of stale) remove(join(parent, name));
  return stale.length > 0;
}

/** Moves a finished staging folder to `folder`, replacing an older setup. It counts as set up only after `writeManifest`. */
export function install(name: SetupName, staging: string, folder: string): void {
  const old = folderInManifest(name);
  attempted(folder, 'written', () => {
    remove(manifestPath(name));
    for (const each of new Set([folder, old])) if (each && existsSync(join(each, MARKER))) remove(each);
    renameSync(staging, folder);
  });
}

/** The last step of a setup. */
export function writeManifest(
  name: SetupName,
  setup: Omit<PackageManifest, 'files'> & { files: string[] },
): void {
  const files = Object.fromEntries(setup.files.map((file) => [file, statSync(join(setup.dir, file)).size]));
  const path = manifestPath(name);
  makeFolder(dirname(path));
  const file = createAtomicFile(path);
  file.write(Buffer.from(`${JSON.stringify({ ...setup, files }, null, 2)}\n`), 0);
  file.finish();
}

/** Where the manifest says that the setup is, broken or not. */
function folderInManifest(name: SetupName): string | null {
  try {
    const { dir } = JSON.parse(readFileSync(manifestPath(name), 'utf8'));
    return typeof dir === 'string' ? dir : null;
  } catch {
    return null;
  }
}

/** Removes a setup and the remains of unfinished ones. Returns the folder; null if there was nothing to remove. */
export function removeSetup(name: SetupName): string | null {
  const folder = folderInManifest(name) ?? setupFolder(name);
  const hadStale = [folder, setupFolder(name)].map(removeStale).includes(true);
  const existed = hadStale || existsSync(manifestPath(name)) || existsSync(join(folder, MARKER));
  remove(manifestPath(name));
  if (existsSync(join(folder, MARKER))) remove(folder);
  return existed ? folder : null;
}
