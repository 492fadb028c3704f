import { createHash, randomBytes } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, statfsSync, statSync, utimesSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { isDraft, isProcessAlive } from '../base/drafts.ts';
import { attempted, ioError, mkdirp, realPath, remove } from '../base/files.ts';
import { gigabytes } from '../base/quantities.ts';
import { UserError } from '../base/user-error.ts';
import type { ArrayFile } from './npy.ts';

/** The cache of decoded files and of copies from elsewhere: names by content and version, room, and what is removed. It knows no format: what writes a file is passed in. */

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

/**
 * Opens the decoded form of `path` from the cache. Unless the cache has a readable one for this version of the file (see
 * `fileVersion`), `decode` first writes it to the path that it is given, readable by this user only. `kind` distinguishes
 * different decodings of one file, `versionOf` its versions, of which `version` is the present one. Resolves to the array with the path of its `copy`. Rejects with a
 * UserError if the file changes while it is decoded.
 */
export async function openCached(
  path: string,
  kind: string,
  decode: (target: string) => Promise<void>,
  open: (target: string) => ArrayFile,
  {
    versionOf = fileVersion,
    version = versionOf(path),
  }: { versionOf?: (path: string) => string; version?: string } = {},
): Promise<ArrayFile & { copy: string }> {
  const key = createHash('sha256')
    .update(JSON.stringify([FORMAT, kind, version]))
    .digest('hex');
  const folder = cacheFolder();
  const copy = join(folder, entryName(key));
  const release = markUsed(copy);
  const opened = () => ({ ...open(copy), release, copy });
  try {
    attempted(folder, 'read', () => prune(folder));
    try {
      return opened();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
    await decode(copy);
    try {
      assertVersion(path, version, versionOf);
    } catch (error) {
      attempted(copy, 'removed', () => remove(copy));
      throw error;
    }
    return opened();
  } catch (error) {
    release();
    throw error;
  }
}

/** Which decoded files, and copies of files from elsewhere, stay in the cache folder: those in use, and of the others the last used, as far as they fit. */

const DAY_MS = 86_400_000;
/** A decoded file that was not used for this long is removed. */
const MAX_AGE_MS = 30 * DAY_MS;
/** Bytes of all decoded files together; more only while more are in use. */
const MAX_BYTES = 10 * 2 ** 30;
/** A file that is being decoded is written to more often than this. */
const MAX_PAUSE_MS = DAY_MS;

// Nothing else in the folder is ours: a user may have named one with other files in it, whose names may be hashes too.
const ENTRY = /^dpmesh-[0-9a-f]{32}(\.npy|-[\w.-]+)$/;
const DRAFT = /^dpmesh-[0-9a-f]{32}(\.npy\.\d|-)/;
const COPY = /^dpmesh-[0-9a-f]{32}-/;
/** A file in use, its process, and the host of that. */
const MARK = /^(dpmesh-[0-9a-f]{32}(?:\.npy|-[\w.-]+?))\.(\d+)\.[0-9a-f]{8}@(.*)\.use$/;

/** The name of the decoded file with this key, 32 hexadecimal digits or more. */
export const entryName = (key: string) => `dpmesh-${key.slice(0, 32)}.npy`;

/** The name of a copy with this key of a file from elsewhere, whose name tells its format. */
export const copyName = (key: string, name: string) =>
  `dpmesh-${key.slice(0, 32)}-${name.replace(/[^\w.-]/g, '_').slice(-80)}`;

/** Where decoded files and copies are kept. */
export const cachePath = () =>
  resolve(process.env.DPMESH_CACHE || join(tmpdir(), `dpmesh-${process.getuid?.() ?? 0}`));

/** Is this a copy, in the cache, of a file from elsewhere? Its content never changes: the key in its name stands for it. */
export const isCopy = (path: string) =>
  COPY.test(basename(path)) && realPath(dirname(path)) === realPath(cachePath());

/** The name of a file, and of a copy that of the file from elsewhere. */
export const originalName = (path: string) =>
  isCopy(path) ? basename(path).replace(COPY, '') : basename(path);

/**
 * Marks a decoded file, or one that is about to be, as used now and in use by this process, until the function that it
 * returns is called or the process is gone. Where that cannot be written, nothing can be removed either.
 */
export function markUsed(file: string): () => void {
  const mark = `${file}.${process.pid}.${randomBytes(4).toString('hex')}@${hostname()}.use`;
  attempt(() => closeSync(openSync(mark, 'wx', 0o600)));
  attempt(() => utimesSync(file, new Date(), new Date()));
  return () => attempt(() => remove(mark));
}

/** Removes decoded files that were not used for 30 days, then the least recently used until the rest fits into `most` bytes, and files that killed processes left. */
export function prune(folder: string, most = MAX_BYTES, now = Date.now()): void {
  const names = readdirSync(folder);
  const discard = (name: string) => attempt(() => remove(join(folder, name)));
  const isOlder = (name: string, age: number) => now - (statOf(folder, name)?.mtimeMs ?? now) > age;
  const inUse = new Set<string>();
  for (const name of names) {
    const [, entry, pid, host] = MARK.exec(name) ?? [];
    // Of a process on another machine nothing is known.
    const isLeft = host === hostname() ? !isProcessAlive(Number(pid)) : isOlder(name, MAX_AGE_MS);
    if (entry && isLeft) discard(name);
    else if (entry) inUse.add(entry);
    else if (DRAFT.test(name) && isDraft(name) && isOlder(name, MAX_PAUSE_MS)) discard(name);
  }
  const found = entriesOf(folder, names);
  let bytes = sum(found);
  for (const { name, size, mtimeMs } of found.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
    if (inUse.has(name) || (bytes <= most && now - mtimeMs <= MAX_AGE_MS)) continue;
    discard(name);
    bytes -= size;
  }
}

/** Bytes of all decoded files in the folder. */
export const cachedBytes = (folder: string): number => sum(entriesOf(folder, readdirSync(folder)));

const sum = (entries: { size: number }[]) => entries.reduce((total, { size }) => total + size, 0);

function entriesOf(folder: string, names: string[]) {
  return names
    .filter((name) => ENTRY.test(name) && !isDraft(name))
    .flatMap((name) => {
      const info = statOf(folder, name);
      return info ? [{ name, size: info.size, mtimeMs: info.mtimeMs }] : [];
    });
}

/** Undefined for a file that another process has just removed. */
const statOf = (folder: string, name: string) => lstatSync(join(folder, name), { throwIfNoEntry: false });

/** What another process has done already, or nobody may do here, is left. */
function attempt(action: () => void): void {
  try {
    action();
  } catch {}
}

/**
 * Differs when the content of a file may, or when another one has its name: also by inode and the time of its last change,
 * which no program can set, as `cp -p` sets the modification time. UserError if there is no such file.
 */
export function fileVersion(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    // The times of a copy in the cache say when it was last used.
    const times = isCopy(realPath(path)) ? [] : [mtimeNs, ctimeNs];
    return JSON.stringify([resolve(path), ...[ino, size, ...times].map(String)]);
  } catch (error) {
    throw ioError(path, 'read', error);
  }
}

/** Throws a UserError if the file is not as it was when it had this version. */
export function assertVersion(path: string, version: string, versionOf = fileVersion): void {
  if (versionOf(path) !== version)
    throw new UserError(`${path} changed while it was being read: start again once it is complete`);
}
