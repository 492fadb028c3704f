import { createHash } from 'node:crypto';
import { lstatSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ioError, mkdirp, remove } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';

const FORMAT = 1;

/**
 * The folder of decoded files, created if missing: `$DPMESH_CACHE`, or `dpmesh-<uid>` in the folder for temporary files.
 * Throws a UserError unless it is a folder (not a link) that this user owns and no other user can write to.
 */
export function cacheFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const folder = resolve(process.env.DPMESH_CACHE || join(tmpdir(), `dpmesh-${uid}`));
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
  const info = lstatSync(folder);
  if (!info.isDirectory()) throw unusable('is a link');
  if (process.getuid && info.uid !== uid) throw unusable(`belongs to another user (uid ${info.uid})`);
  if (process.getuid && info.mode & 0o022) throw unusable('can be written to by other users');
  return folder;
}

/**
 * Opens the decoded form of `path` from the cache. Unless the cache has a readable one for this path, size and modification
 * time, `decode` first writes it to the path that it is given, readable by this user only. `kind` distinguishes different
 * decodings of one file. Rejects with a UserError if the file changes while it is decoded.
 */
export async function openCached<Opened>(
  path: string,
  kind: string,
  decode: (target: string) => Promise<void>,
  open: (target: string) => Opened,
): Promise<Opened> {
  const version = fileVersion(path);
  const key = createHash('sha256')
    .update(JSON.stringify([FORMAT, kind, version]))
    .digest('hex');
  const target = join(cacheFolder(), `${key.slice(0, 32)}.npy`);
  try {
    return open(target);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
  await decode(target);
  if (String(fileVersion(path)) !== String(version)) {
    remove(target);
    throw new UserError(`${path} changed while it was being read: start again once it is complete`);
  }
  return open(target);
}

function fileVersion(path: string): string[] {
  try {
    const { size, mtimeNs } = statSync(path, { bigint: true });
    return [resolve(path), String(size), String(mtimeNs)];
  } catch (error) {
    throw ioError(path, 'read', error);
  }
}
