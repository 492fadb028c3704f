import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  readFileSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { attempted, createAtomicFile, ioError, mkdirp, openFile, remove, statusOf } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import {
  type AllowList,
  allowedLine,
  isWorkerName,
  type KeyPair,
  newKeyPair,
  parseAllowed,
  parseServerKey,
  parseWorkerKey,
  serverKeyText,
  type WorkerKey,
  workerKeyText,
} from './keys.ts';

/** Key files on disk: made, read, and refused where others could read or write them. What keys are for, sockets.ts knows. */

/** Maximum size of a key file; a larger file is something else. */
const MAX_BYTES = 1 << 20;
const OWNER_ONLY = 0o600;
const STICKY = 0o1000;

const serverPath = (folder: string) => join(folder, 'server.key');
const allowedPath = (folder: string) => join(folder, 'allowed');

/** The coordinator's key pair in a folder that keygen made. */
export const readServerKey = (folder: string): KeyPair =>
  parseServerKey(read(serverPath(folder), 0o077), serverPath(folder));

/** The workers that may join. Not secret, but nobody else may write it. */
export const readAllowed = (folder: string): AllowList =>
  parseAllowed(read(allowedPath(folder), 0o022), allowedPath(folder));

export const readWorkerKey = (path: string): WorkerKey => parseWorkerKey(read(path, 0o077), path);

/**
 * Null if a file or folder belongs to this user or root and other users have none of the `forbidden` permissions; else what
 * is wrong. Not checked on Windows, which has no such owners and modes.
 */
function accessProblem({ uid, mode }: Stats, forbidden: number): string | null {
  const own = process.getuid?.();
  if (own === undefined) return null;
  if (uid !== own && uid !== 0) return `belongs to another user (uid ${uid})`;
  return mode & forbidden
    ? `is open to other users (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`
    : null;
}

/**
 * UserError if other users can replace files in a folder. In one with the sticky bit, such as /tmp, everyone can remove only
 * their own files.
 */
function assertClosed(folder: string): void {
  const stat = attempted(folder, 'read', () => statSync(folder));
  const problem = accessProblem(stat, stat.mode & STICKY ? 0 : 0o022);
  if (problem)
    throw new UserError(
      `the folder ${folder} ${problem}, who could change the keys in it: ${problem.startsWith('is open') ? `run chmod go-w ${folder}, or ` : ''}keep the keys in a folder of your own`,
    );
}

/** The text of a file. UserError unless it and its folder are closed to other users (`accessProblem`). */
function read(path: string, forbidden: number): string {
  if (!existsSync(path)) {
    const folder = dirname(path);
    if (statusOf(folder)?.isFile())
      throw new UserError(`${folder} is a file: give the folder of keys that it is in`);
    throw new UserError(`there is no ${path}: create keys with dpmesh keygen`);
  }
  const { fd, size } = openFile(path);
  try {
    for (const folder of new Set([path, realpathSync(path)].map(dirname))) assertClosed(folder);
    // The opened file's own status: its name may refer to another file by now.
    const problem = accessProblem(fstatSync(fd), forbidden);
    if (problem)
      throw new UserError(
        `${path} ${problem}: ${problem.startsWith('is open') ? `run chmod 600 ${path}` : 'use a copy of your own'}, and make new keys if others may have used it`,
      );
    if (size > MAX_BYTES) throw new UserError(`${path} is not a key file: it has ${size} bytes`);
    return readFileSync(fd, 'utf8');
  } catch (error) {
    throw ioError(path, 'read', error);
  } finally {
    closeSync(fd);
  }
}

/** Makes a folder for the keys of these workers. UserError for invalid names. */
export function makeKeyFolder(folder: string, names: string[]): void {
  for (const [i, name] of names.entries()) {
    if (!isWorkerName(name))
      throw new UserError(
        `--workers ${name || '(an empty name)'}: a name must have 1 to 64 characters of A–Z a–z 0–9 . _ -, begin with a letter or digit, and not be "server"`,
      );
    if (names.indexOf(name) < i) throw new UserError(`--workers names ${name} twice`);
  }
  try {
    if (mkdirp(folder, 0o700)) chmodSync(folder, 0o700);
  } catch (error) {
    throw ioError(folder, 'made', error);
  }
  assertClosed(folder);
}

/**
 * Makes a folder of keys: the coordinator's, one file for each worker, and the allow-list. An existing server key is kept and
 * its list extended. UserError, before anything is written, for a worker that exists already; for a full disk, with no new key
 * left: one that is not on the list would only be in the way of the next attempt. Returns what was written; `server.made`: whether
 * the server key is new.
 */
export function makeKeys(folder: string, names: string[]) {
  makeKeyFolder(folder, names);
  const made = !existsSync(serverPath(folder));
  const server = made ? newKeyPair() : readServerKey(folder);
  const list = allowedPath(folder);
  let lines =
    '# Workers that may join: a name and a public key per line. The coordinator rereads this file at SIGHUP.\n';
  if (existsSync(list)) {
    const existing = new Set(readAllowed(folder).values());
    const duplicate = names.find((name) => existing.has(name));
    if (duplicate)
      throw new UserError(`${duplicate} is already in ${list}: choose another name, or remove its line`);
    lines = read(list, 0o022).replace(/\n?$/, '\n');
  }
  const workers = names.map((name) => ({ name, file: join(folder, `${name}.key`), pair: newKeyPair() }));
  const taken = workers.find(({ file }) => existsSync(file));
  if (taken) throw new UserError(`${taken.file} already exists: choose another name, or remove the file`);

  const written: string[] = [];
  const add = (path: string, content: string) => {
    write(path, content);
    written.push(path);
  };
  try {
    if (made) add(serverPath(folder), serverKeyText(server));
    for (const { name, file, pair } of workers)
      add(file, workerKeyText(name, { ...pair, server: server.public }));
    // Last, so that every worker on it has a key.
    write(list, lines + workers.map(({ name, pair }) => allowedLine(name, pair.public)).join(''));
  } catch (error) {
    for (const path of written)
      try {
        remove(path);
      } catch {
        // Of the problems, the first is the one to tell; the next attempt names a key that is left.
      }
    throw error;
  }
  return {
    folder,
    server: { file: serverPath(folder), public: server.public, made },
    workers: workers.map(({ name, file, pair }) => ({ name, file, public: pair.public })),
    allowed: list,
  };
}

function write(path: string, content: string): void {
  const file = createAtomicFile(path, { mode: OWNER_ONLY });
  try {
    file.write(Buffer.from(content), 0);
    file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}
