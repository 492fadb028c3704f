import { createHash } from 'node:crypto';
import { lstatSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { attempted, ioError, mkdirp, remove } from '../base/files.ts';
import { gigabytes } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { cachePath, entryName, markUsed, prune } from './cache-pruning.ts';
import { assertVersion, fileVersion } from './file-version.ts';
import type { ArrayFile } from './npy.ts';

/** Raised when a file is decoded otherwise than before. */
const FORMAT = 4;

/**
 * The folder of decoded files, created if missing: `$DPMESH_CACHE`, or `dpmesh-<uid>` in the folder for temporary files.
 * Throws a UserError unless it is a folder (not a link) that this user owns and no other user can write to.
 */
export function cacheFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const folder = cachePath();
  const unusable = (why: string) =>
    new UserError(
      `the cache folder ${folder} ${why}: set DPMESH_CACHE to a folder of your own (created if missing)`,
    );
  try {
    mkdirp(folder, 0o700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw unusable('is not a folder');
    throw ioError(`the cache folder ${folder}`, 'created', error);
  }
  const info = attempted(folder, 'read', () => lstatSync(folder));
  if (!info.isDirectory()) throw unusable('is a link');
  if (process.getuid && info.uid !== uid) throw unusable(`belongs to another user (uid ${info.uid})`);
  if (process.getuid && info.mode & 0o022) throw unusable('can be written to by other users');
  return folder;
}

/** UserError if the disk of `target`, a path that `openCached` gives, has not so many bytes left for the decoded form of `path`. */
export function assertRoom(target: string, path: string, bytes: number): void {
  const folder = dirname(target);
  const { blocks, bavail, bsize } = attempted(folder, 'read', () => statfsSync(folder));
  const left = bavail * bsize;
  // Some file systems do not say how large they are.
  if (blocks > 0 && bytes > left)
    throw new UserError(
      `${path} takes ${gigabytes(bytes)} decoded, and the cache folder ${folder} has ${gigabytes(left)} left: set DPMESH_CACHE to a folder on a larger disk`,
    );
}

interface Versions {
  versionOf?: (path: string) => string;
  /** The present one, where it is known already. */
  version?: string;
}

/**
 * Opens the decoded form of `path` from the cache. Unless the cache has a readable one for this version of the file (see
 * `fileVersion`), `decode` first writes it to the path that it is given, readable by this user only. `kind` distinguishes
 * different decodings of one file, `versionOf` its versions. Resolves to the array with the path of its `copy`. Rejects with a
 * UserError if the file changes while it is decoded.
 */
export async function openCached(
  path: string,
  kind: string,
  decode: (target: string) => Promise<void>,
  open: (target: string) => ArrayFile,
  { versionOf = fileVersion, version = versionOf(path) }: Versions = {},
): Promise<ArrayFile & { copy: string }> {
  const key = createHash('sha256')
    .update(JSON.stringify([FORMAT, kind, version]))
    .digest('hex');
  const folder = cacheFolder();
  const target = join(folder, entryName(key));
  const release = markUsed(target);
  attempted(folder, 'read', () => prune(folder));
  try {
    try {
      return { ...open(target), release, copy: target };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
    await decode(target);
    try {
      assertVersion(path, version, versionOf);
    } catch (error) {
      attempted(target, 'removed', () => remove(target));
      throw error;
    }
    return { ...open(target), release, copy: target };
  } catch (error) {
    release();
    throw error;
  }
}
