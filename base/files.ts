import {
  writeFile as appendTo,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { constants as systemConstants } from 'node:os';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import { draftOf } from './drafts.ts';
import { sha256InSlices } from './hash.ts';
import { openWithSpares, refillSpareDescriptors } from './limits.ts';
import { DISK_TROUBLE, UserError } from './user-error.ts';

/** File primitives: complete reads, atomic writes, folders. */

/** Most bytes of one read or write call. */
const MAX_CALL_BYTES = 1 << 30;
/** Errors of a file system that has no links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];
/** Errors of a file system that has no sync: it writes when it likes, and nothing can be done about it. */
const NO_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];
/** Of a disk that is full or has failed. It may have room again, or be there again. */
const TROUBLE = ['ENOSPC', 'EDQUOT', 'EIO', 'ESTALE'];
/** System error codes in words. */
const REASONS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is exceeded',
  EFBIG: 'larger than the file system allows',
  EIO: 'the disk, or the network that it is on, has failed (input/output error)',
  ESTALE: 'the file is gone from its server (stale handle)',
  EROFS: 'the file system is read-only',
  EBUSY: 'it is in use',
  ENFILE: 'too many open files on this machine',
  EMFILE: 'too many open files (see ulimit -n)',
  EEXIST: 'a file of that name exists',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
};

/** A file could not be written: the disk is full, read-only or not writable by this user. May be temporary. */
export class WriteError extends UserError {
  constructor(
    readonly path: string,
    /** The cause in words. */
    readonly reason: string,
    exitCode?: number,
  ) {
    super(`${path} cannot be written: ${reason}`, { exitCode });
  }
}

/** The name of a system error, such as ENOENT. Node.js has none for some (EDQUOT, ESTALE) and says only their number. */
export function errorCode(error: unknown): string | undefined {
  const { code, errno = 0 } = error as NodeJS.ErrnoException;
  if (!code?.startsWith('Unknown system error')) return code;
  return Object.entries(systemConstants.errno).find(([, number]) => number === -errno)?.[0] ?? code;
}

/**
 * A failed system call as a UserError, "<path> cannot be <done>: <reason>" (`done`: read, written, …); if it is not for writing, the
 * call's error is its `cause`. Other errors unchanged.
 */
export function ioError(path: string, done: string, error: unknown): unknown {
  const { syscall } = error as NodeJS.ErrnoException;
  const code = errorCode(error);
  if (!code || !syscall || code === 'EBADF') return error;
  const reason = REASONS[code] ?? code;
  if (done === 'written')
    return new WriteError(path, reason, TROUBLE.includes(code) ? DISK_TROUBLE : undefined);
  return new UserError(`${path} cannot be ${done}: ${reason}`, { cause: error });
}

/** What `action` returns, which makes system calls on this file or folder; one that fails is an error as by `ioError`. */
export function attempted<T>(path: string, done: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw ioError(path, done, error);
  }
}

/** What lies at the path, at the end of links; undefined if nothing does. UserError where that cannot be told. */
export const statusOf = (path: string): Stats | undefined =>
  attempted(path, 'read', () => statSync(path, { throwIfNoEntry: false }));

/** The error of a system call on a file that nobody has put in words yet, as a UserError; null for any other, a fault of ours. */
export function fileProblem(error: unknown): UserError | null {
  const { path = 'a file' } = error as NodeJS.ErrnoException;
  const code = errorCode(error);
  // Not the fault of this file, which may be a module of ours. As cli/bundle.mjs says it.
  if (code === 'EMFILE') return new UserError('too many open files: raise the limit, as with ulimit -n 1024');
  const problem = code && Object.hasOwn(REASONS, code) ? ioError(path, 'used', error) : error;
  return problem instanceof UserError ? problem : null;
}

export interface FileOptions {
  /** The folder of a run, which may come from elsewhere: a link that leads out of it is refused. */
  within?: string;
  /** A file of no bytes is opened too. */
  canBeEmpty?: boolean;
}

/**
 * Opens a regular file for reading. UserError for anything else: a pipe would never end, nor would a device. The caller has
 * to close `fd`.
 */
export function openFile(
  path: string,
  { within, canBeEmpty = false }: FileOptions = {},
): { fd: number; size: number } {
  let fd: number | undefined;
  try {
    assertRegular(path, statSync(path));
    // What has the name by now may be something else: opening must not wait for a writer, nor follow another link.
    const { O_RDONLY, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants;
    fd = openWithSpares(() =>
      within === undefined
        ? openSync(path, O_RDONLY | O_NONBLOCK)
        : openSync(realPathWithin(path, within), O_RDONLY | O_NONBLOCK | O_NOFOLLOW),
    );
    const info = fstatSync(fd);
    assertRegular(path, info);
    if (info.size === 0 && !canBeEmpty)
      throw new UserError(`${path} is empty (0 bytes): copy or save it again`);
    return { fd, size: info.size };
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw ioError(path, 'read', error);
  }
}

function assertRegular(path: string, info: Stats): void {
  if (info.isDirectory()) throw new UserError(`${path} is a folder: name a file inside it`);
  if (!info.isFile()) throw new UserError(`${path} is not a regular file: copy its content into one`);
}

function realPathWithin(path: string, folder: string): string {
  const real = realpathSync(path);
  if (!real.startsWith(realpathSync(folder) + sep))
    throw new UserError(`${path} is a link that leads out of ${folder}: replace it by a copy of its target`);
  return real;
}

/** What `use` makes of a file that is opened as by `openFile`, and closed afterwards. */
export function withFile<T>(
  path: string,
  use: (file: { fd: number; path: string; size: number }) => T,
  options?: FileOptions,
): T {
  const file = openFile(path, options);
  try {
    return use({ ...file, path });
  } catch (error) {
    throw ioError(path, 'read', error);
  } finally {
    closeSync(file.fd);
  }
}

/** All bytes of a regular file. UserError where it has more than `most`, or cannot be opened as by `openFile`. */
export const readWhole = (path: string, most: number, options?: FileOptions): Buffer =>
  withFile(
    path,
    ({ fd, size }) => {
      if (size > most) throw new UserError(`${path} has ${size} bytes, and should have ${most} at the most`);
      return readFileSync(fd);
    },
    options,
  );

/** What `use` makes of a file that is opened as by `openFile`, and stays open unless it throws. */
export function openedFile<T>(path: string, use: (fd: number, size: number) => T, options?: FileOptions): T {
  const { fd, size } = openFile(path, options);
  try {
    return use(fd, size);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Fills `into` from byte `at` of the file on. Throws a UserError if the file is too short or cannot be read. */
export function readFully({ fd, path }: { fd: number; path: string }, into: Uint8Array, at: number): void {
  for (let done = 0; done < into.length; ) {
    const length = Math.min(into.length - done, MAX_CALL_BYTES);
    let count: number;
    try {
      count = readSync(fd, into, done, length, at + done);
    } catch (error) {
      throw ioError(path, 'read', error);
    }
    if (!count) throw truncated(path, at + into.length, at + done);
    done += count;
  }
}

/** The error for a file with fewer bytes than it should have. */
export function truncated(path: string, expected: number, actual: number): UserError {
  return new UserError(
    `${path} is truncated: ${expected} bytes expected, ${actual} found; copy or save it again`,
  );
}

/** A file being written under a temporary name. A method that fails removes it and throws, a UserError for a failed system call. */
export interface AtomicFile {
  write(bytes: Uint8Array, at: number): void;
  /** Fills `into` with what has been written, from byte `at` on. */
  read(into: Uint8Array, at: number): void;
  resize(bytes: number): void;
  /** SHA-256 of what has been written, in hexadecimal: read from the open file, whatever its path leads to by now. */
  sha256(): Promise<string>;
  /** Syncs the content to disk, then renames it to its path. */
  finish(): void;
  /** Removes the temporary file; does nothing after `finish`. */
  abort(): void;
}

export interface AtomicFileOptions {
  mode?: number;
  /** Replace a file that has the name when this one is finished; else `finish` fails then. */
  replace?: boolean;
}

/** Starts a file that appears under its name only once it is complete. */
export function createAtomicFile(
  path: string,
  { mode = 0o666, replace = true }: AtomicFileOptions = {},
): AtomicFile {
  const draft = draftOf(path);
  let fd: number | undefined;
  const close = () => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
    refillSpareDescriptors();
  };
  const abort = () => {
    if (fd === undefined) return;
    close();
    try {
      remove(draft);
    } catch {
      // Not possible on a disk that has become read-only.
    }
  };
  const failed = (error: unknown) => {
    abort();
    return ioError(path, 'written', error);
  };
  const opened = () => {
    if (fd === undefined) throw new Error(`${path} was already finished or aborted`);
    return fd;
  };
  const attempt = <T>(action: (file: number) => T): T => {
    const file = opened();
    try {
      return action(file);
    } catch (error) {
      throw failed(error);
    }
  };
  try {
    fd = openWithSpares(() => openSync(draft, 'wx+', mode));
  } catch (error) {
    throw ioError(path, 'written', error);
  }
  return {
    abort,
    async sha256() {
      const file = opened();
      return sha256InSlices(file).catch((error) => {
        throw failed(error);
      });
    },
    resize: (bytes) => attempt((file) => ftruncateSync(file, bytes)),
    read: (into, at) => attempt((file) => readFully({ fd: file, path }, into, at)),
    write: (bytes, at) =>
      attempt((file) => {
        for (let done = 0; done < bytes.length; )
          done += writeSync(file, bytes, done, Math.min(bytes.length - done, MAX_CALL_BYTES), at + done);
      }),
    finish() {
      attempt((file) => {
        syncOpened(file);
        if (replace) renameSync(draft, path);
        else renameToFree(draft, path);
        syncFolder(dirname(path));
      });
      close();
    },
  };
}

/** Has a call that makes a link failed because this file system has none? */
export const hasNoLinks = (error: unknown): boolean => NO_LINKS.includes(String(errorCode(error)));

/** Throws the error of a failed sync, unless the file system has none. */
function unlessNoSync(error: unknown): void {
  if (!NO_SYNC.includes(String(errorCode(error)))) throw error;
}

function syncOpened(fd: number): void {
  try {
    fsyncSync(fd);
  } catch (error) {
    unlessNoSync(error);
  }
}

/** Renames a file; throws EEXIST if there is one of that name, also if it has just appeared. */
function renameToFree(draft: string, path: string): void {
  try {
    linkSync(draft, path);
    unlinkSync(draft);
  } catch (error) {
    if (!hasNoLinks(error)) throw error;
    closeSync(openSync(path, 'wx'));
    renameSync(draft, path);
  }
}

const append = promisify(appendTo);
const flush = promisify(fsync);
const sync = (fd: number) => flush(fd).catch(unlessNoSync);

/**
 * Writes the concatenated parts as a file, atomically and durably, without blocking the event loop. Resolves to the number
 * of bytes; rejects with a WriteError if the file cannot be written. `before` is called when the file is complete, before it gets its name:
 * if it throws, the file is removed.
 */
export async function writeFile(
  path: string,
  parts: Uint8Array[],
  { mode = 0o666, before = () => {} }: { mode?: number; before?: () => void } = {},
): Promise<number> {
  const draft = draftOf(path);
  // Opened and closed synchronously: a descriptor that is free for long is taken by a connection.
  const writing = async (path: string, flags: string, use: (fd: number) => Promise<void>) => {
    const fd = openWithSpares(() => openSync(path, flags, mode));
    try {
      await use(fd);
    } finally {
      closeSync(fd);
      refillSpareDescriptors();
    }
  };
  try {
    await writing(draft, 'wx', async (fd) => {
      for (const part of parts) await append(fd, part);
      await sync(fd);
    });
    before();
    await rename(draft, path);
    if (hasFolderSync) await writing(dirname(path), 'r', sync);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw ioError(path, 'written', error);
  }
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

/**
 * Removes a file, a link (not its target), or a folder with its contents; does nothing if it does not exist. Does not use
 * Node's `rmSync`, whose errors have no codes from Node 24 on.
 */
export function remove(path: string): void {
  const info = lstatSync(path, { throwIfNoEntry: false });
  if (info?.isDirectory()) {
    for (const name of readdirSync(path)) remove(join(path, name));
    rmdirSync(path);
  } else if (info) unlinkSync(path);
}

/** Creates the folder and its missing parents. Throws a WriteError if that fails. */
export const makeFolder = (path: string): void => void attempted(path, 'written', () => mkdirp(path));

/**
 * Creates the folder and its missing parents; true if it did not exist. Does not use Node's `recursive` option, which never
 * returns in an existing folder that answers ENOENT to new names (`/proc`).
 */
export function mkdirp(path: string, mode = 0o777): boolean {
  const exists = () => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (exists()) return false;
  const parent = dirname(path);
  if (!existsSync(parent)) mkdirp(parent, mode);
  try {
    mkdirSync(path, mode);
    return true;
  } catch (error) {
    if (exists()) return false;
    throw error;
  }
}

/** Windows cannot sync a folder; there the file system's journal makes a rename durable. */
const hasFolderSync = process.platform !== 'win32';

/** Makes new names in a folder durable. */
export function syncFolder(folder: string): void {
  if (!hasFolderSync) return;
  const fd = openWithSpares(() => openSync(folder, 'r'));
  try {
    syncOpened(fd);
  } finally {
    closeSync(fd);
    refillSpareDescriptors();
  }
}

/** Paths by the flag that gives them; null or undefined for a flag that was not given. */
export type FilesByFlag = Record<string, string | null | undefined>;

/** The path with symbolic links resolved. For a path that does not exist yet, those of its nearest existing parent are resolved. */
export function realPath(path: string): string {
  const full = resolve(path);
  try {
    return realpathSync(full);
  } catch {
    const parent = dirname(full);
    return parent === full ? full : join(realPath(parent), basename(full));
  }
}

/** Throws a UserError if a file to be written is also read, or is the output of two flags. */
export function assertDistinctFiles(outputs: FilesByFlag, inputs: FilesByFlag): void {
  const given = (files: FilesByFlag) =>
    Object.entries(files).flatMap(([flag, path]) => (path ? [{ flag, path, real: realPath(path) }] : []));
  const [written, read] = [given(outputs), given(inputs)];
  for (const [i, { flag, path, real }] of written.entries()) {
    const same = [...written.slice(i + 1), ...read].find((other) => other.real === real);
    if (same)
      throw new UserError(`${flag} and ${same.flag} name the same file, ${path}: use different files`);
  }
}

/** The SHA-256 of a file, in hexadecimal. UserError if it cannot be read. */
export async function sha256OfFile(path: string): Promise<string> {
  const { fd } = openFile(path, { canBeEmpty: true });
  try {
    return await sha256InSlices(fd);
  } finally {
    closeSync(fd);
  }
}
