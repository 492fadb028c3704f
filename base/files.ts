import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from './user-error.ts';

/** File primitives: whole reads, and files that appear under their name only when they are finished. */

const LONGEST_READ = 1 << 30;
const REASONS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'larger than the file system allows',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many open files (see ulimit -n)',
  EEXIST: 'there is a file of that name',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
};

/** A file could not be written: the disk is full, read-only, or not ours to write on. It may pass. */
export class WriteError extends UserError {
  constructor(
    readonly path: string,
    /** In words. */
    readonly reason: string,
  ) {
    super(`${path} cannot be written: ${reason}`);
  }
}

/** A failed system call as a UserError, "<path> cannot be <done>: <why>"; any other error as it is. */
export function ioError(path: string, done: string, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (!code || !syscall || code === 'EBADF') return error;
  const reason = REASONS[code] ?? code;
  if (done === 'written') return new WriteError(path, reason);
  return new UserError(`${path} cannot be ${done}: ${reason}`);
}

/** Opens a regular file that is not empty, for reading; anything else is a UserError. The caller closes `fd`. */
export function openFile(path: string): { fd: number; size: number } {
  try {
    const info = statSync(path);
    if (info.isDirectory()) throw new UserError(`${path} is a folder: name a file inside it`);
    if (!info.isFile()) throw new UserError(`${path} is not a regular file: copy its content into one`);
    if (info.size === 0) throw new UserError(`${path} is empty (0 bytes): copy or save it again`);
    const fd = openSync(path, 'r');
    return { fd, size: fstatSync(fd).size };
  } catch (error) {
    throw ioError(path, 'read', error);
  }
}

/** Fills `into` from byte `at` of the file, or throws a UserError: the file has become shorter, or the disk fails. */
export function readFully({ fd, path }: { fd: number; path: string }, into: Uint8Array, at: number): void {
  for (let done = 0; done < into.length; ) {
    const length = Math.min(into.length - done, LONGEST_READ);
    let got: number;
    try {
      got = readSync(fd, into, done, length, at + done);
    } catch (error) {
      throw ioError(path, 'read', error);
    }
    if (!got) throw truncated(path, at + into.length, at + done);
    done += got;
  }
}

export function truncated(path: string, expected: number, found: number): UserError {
  return new UserError(
    `${path} is truncated: ${expected} bytes expected, ${found} found; copy or save it again`,
  );
}

/** A name beside `path` for what is to become it: of this process, and no other's. */
export const draftOf = (path: string) => `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;

/** Is this the name of what a process had begun to write? */
export const isDraft = (name: string) => /\.\d+\.[0-9a-f]{8}\.tmp$/.test(name);

/** A file being written beside `path`. A call that fails leaves nothing behind and throws, a UserError if it can. */
export interface Aside {
  write(bytes: Uint8Array, at: number): void;
  resize(bytes: number): void;
  /** Makes the content and then the name durable; replaces what was there. */
  finish(): void;
  abort(): void;
}

/** Starts a file that appears under its name, whole, only when it is finished. */
export function aside(path: string, mode = 0o666): Aside {
  const draft = draftOf(path);
  let fd: number | undefined;
  const close = () => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  const abort = () => {
    if (fd === undefined) return;
    close();
    try {
      remove(draft);
    } catch {
      // A disk that has become read-only keeps it.
    }
  };
  const attempt = (action: (file: number) => void) => {
    if (fd === undefined) throw new Error(`${path} is finished or aborted`);
    try {
      action(fd);
    } catch (error) {
      abort();
      throw ioError(path, 'written', error);
    }
  };
  try {
    fd = openSync(draft, 'wx', mode);
  } catch (error) {
    throw ioError(path, 'written', error);
  }
  return {
    abort,
    resize: (bytes) => attempt((file) => ftruncateSync(file, bytes)),
    write: (bytes, at) =>
      attempt((file) => {
        for (let done = 0; done < bytes.length; )
          done += writeSync(file, bytes, done, Math.min(bytes.length - done, LONGEST_READ), at + done);
      }),
    finish() {
      attempt((file) => {
        fsyncSync(file);
        renameSync(draft, path);
        syncFolder(dirname(path));
      });
      close();
    },
  };
}

/**
 * The parts, one after the other, as a file that appears whole, with its folder. Waits for the disk on other threads.
 * Rejects with a WriteError if the disk refuses. Returns its bytes.
 */
export async function writeFile(path: string, parts: Uint8Array[], mode = 0o666): Promise<number> {
  const draft = draftOf(path);
  try {
    const file = await open(draft, 'wx', mode).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      mkdirp(dirname(path));
      return open(draft, 'wx', mode);
    });
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    if (hasFolderSync) {
      const folder = await open(dirname(path), 'r');
      await folder.sync().finally(() => folder.close());
    }
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw ioError(path, 'written', error);
  }
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

/**
 * Removes a file, a link, or a folder with all in it, if it is there; nothing that a link points at. Not by Node's `rmSync`,
 * which from Node 24 on has no error codes.
 */
export function remove(path: string): void {
  const info = lstatSync(path, { throwIfNoEntry: false });
  if (info?.isDirectory()) {
    for (const name of readdirSync(path)) remove(join(path, name));
    rmdirSync(path);
  } else if (info) unlinkSync(path);
}

/** Makes the folder with all above it. A WriteError if that is not possible. */
export function makeFolder(path: string): void {
  try {
    mkdirp(path);
  } catch (error) {
    throw ioError(path, 'written', error);
  }
}

/**
 * Makes the folder with all above it; true if it was not there. Not by Node's `recursive`, which never returns where a
 * folder that is there takes no new names and says ENOENT (`/proc`).
 */
export function mkdirp(path: string, mode = 0o777): boolean {
  const isThere = () => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isThere()) return false;
  const above = dirname(path);
  if (!existsSync(above)) mkdirp(above, mode);
  try {
    mkdirSync(path, mode);
    return true;
  } catch (error) {
    if (isThere()) return false;
    throw error;
  }
}

/** Windows has no call that makes the names in a folder durable: there a rename is in the journal. */
const hasFolderSync = process.platform !== 'win32';

/** Makes the names in a folder durable. */
function syncFolder(folder: string): void {
  if (!hasFolderSync) return;
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
