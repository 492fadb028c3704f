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
import { createAtomicFile, ioError, mkdirp, openFile } from '../base/files.ts';
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

/** No key file is longer; a larger one is something else. */
const MOST_BYTES = 1 << 20;
const OWNER_ONLY = 0o600;
const STICKY = 0o1000;

const serverPath = (folder: string) => join(folder, 'server.key');
/** Where a folder of keys has its allow-list. */
const allowedPath = (folder: string) => join(folder, 'allowed');

/** The coordinator's pair in a folder that keygen made. */
export const readServerKey = (folder: string): KeyPair =>
  parseServerKey(read(serverPath(folder), 0o077), serverPath(folder));

/** Whom the coordinator lets in. Not secret, but whoever writes it decides who joins. */
export const readAllowed = (folder: string): AllowList =>
  parseAllowed(read(allowedPath(folder), 0o022), allowedPath(folder));

export const readWorkerKey = (path: string): WorkerKey => parseWorkerKey(read(path, 0o077), path);

/**
 * Is it this user's own, or root's, and do others have none of these rights? Then null, else what is wrong. Windows has no
 * such owners and rights.
 */
function openness({ uid, mode }: Stats, forbidden: number): string | null {
  const own = process.getuid?.();
  if (own === undefined) return null;
  if (uid !== own && uid !== 0) return `belongs to another user (uid ${uid})`;
  return mode & forbidden
    ? `is open to other users (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`
    : null;
}

/**
 * UserError if others may put files of their own into a folder in place of those there. In one like /tmp, where each
 * removes only what is his own, they may not.
 */
function assertClosed(folder: string): void {
  const info = statSync(folder);
  const problem = openness(info, info.mode & STICKY ? 0 : 0o022);
  if (problem)
    throw new UserError(
      `the folder ${folder} ${problem}, who could change the keys in it: ${problem.startsWith('is open') ? `chmod go-w ${folder}, or ` : ''}keep them in a folder of your own`,
    );
}

/** A file's text, if it and its folder are of this user or root, and others have none of these rights. */
function read(path: string, forbidden: number): string {
  if (!existsSync(path)) {
    const folder = dirname(path);
    let isFile: boolean | undefined;
    try {
      isFile = statSync(folder, { throwIfNoEntry: false })?.isFile();
    } catch (error) {
      throw ioError(path, 'read', error);
    }
    if (isFile) throw new UserError(`${folder} is a file: name the folder of keys that it is in`);
    throw new UserError(`there is no ${path}: dpmesh keygen makes keys`);
  }
  const { fd, size } = openFile(path);
  try {
    for (const folder of new Set([path, realpathSync(path)].map(dirname))) assertClosed(folder);
    // Of the file that was opened, not of what has its name by now.
    const problem = openness(fstatSync(fd), forbidden);
    if (problem)
      throw new UserError(
        `${path} ${problem}: ${problem.startsWith('is open') ? `chmod 600 ${path}` : 'use a copy of your own'}, and make new keys if any may have used it`,
      );
    if (size > MOST_BYTES) throw new UserError(`${path} is not a key file: ${size} bytes`);
    return readFileSync(fd, 'utf8');
  } catch (error) {
    throw ioError(path, 'read', error);
  } finally {
    closeSync(fd);
  }
}

export interface MadeKeys {
  folder: string;
  server: { file: string; public: string; made: boolean };
  workers: { name: string; file: string; public: string }[];
  allowed: string;
}

/** Makes the folder for keys of these names. UserError for a name that is none. */
export function makeKeyFolder(folder: string, names: string[]): void {
  for (const [i, name] of names.entries()) {
    if (!isWorkerName(name))
      throw new UserError(
        `--workers ${name || '(an empty name)'}: a name has 1 to 64 of A–Z a–z 0–9 . _ -, begins with a letter or digit, and is not "server"`,
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
 * Makes a folder of keys: the coordinator's, one file for each worker, and the allow-list. A server key that is there
 * stays, and its list grows; a worker that is there is refused before anything is written.
 */
export function makeKeys(folder: string, names: string[]): MadeKeys {
  makeKeyFolder(folder, names);
  const made = !existsSync(serverPath(folder));
  const server = made ? newKeyPair() : readServerKey(folder);
  const list = allowedPath(folder);
  let lines =
    '# Workers that may join: a name and a public key a line. The coordinator reads it again at SIGHUP.\n';
  if (existsSync(list)) {
    const there = new Set(readAllowed(folder).values());
    const twice = names.find((name) => there.has(name));
    if (twice)
      throw new UserError(`${twice} is in ${list} already: choose another name, or take its line out`);
    lines = read(list, 0o022).replace(/\n?$/, '\n');
  }
  const workers = names.map((name) => ({ name, file: join(folder, `${name}.key`), pair: newKeyPair() }));
  const taken = workers.find(({ file }) => existsSync(file));
  if (taken) throw new UserError(`${taken.file} exists already: choose another name, or remove it`);

  // The list last: whoever is on it has a key.
  if (made) write(serverPath(folder), serverKeyText(server));
  for (const { name, file, pair } of workers)
    write(file, workerKeyText(name, { ...pair, server: server.public }));
  write(list, lines + workers.map(({ name, pair }) => allowedLine(name, pair.public)).join(''));
  return {
    folder,
    server: { file: serverPath(folder), public: server.public, made },
    workers: workers.map(({ name, file, pair }) => ({ name, file, public: pair.public })),
    allowed: list,
  };
}

function write(path: string, content: string): void {
  const file = createAtomicFile(path, OWNER_ONLY);
  try {
    file.write(Buffer.from(content), 0);
    file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}
