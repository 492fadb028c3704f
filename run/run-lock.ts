import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isProcessAlive } from '../base/drafts.ts';
import { attempted, errorCode, hasNoLinks, ioError, readWhole, remove } from '../base/files.ts';
import { openWithSpares } from '../base/limits.ts';
import { UserError } from '../base/user-error.ts';

/** One process at a time in a directory, and whether its path still leads to it. It knows no file of a run. */

/** More than the number of any process has. */
const MOST_DIGITS = 20;

/**
 * Locks a directory for this process; returns a function that releases the lock. UserError if another process holds it; `by`
 * names that process in the message. The lock ends with the process, even after a crash. It works on one machine only:
 * coordinators on two machines that share a disk do not see each other's locks.
 */
export async function lockDirectory(path: string, by = 'coordinator'): Promise<() => void> {
  const { dev, ino } = attempted(path, 'locked', () => statSync(path));
  if (process.platform === 'linux') {
    // An abstract socket name, freed by the kernel. By inode, so that every path to the directory gives the same name.
    const lock = await listen(`\0dpmesh-run-${dev}-${ino}`);
    if (lock === 'in use') throw inUse(path, by);
    if (lock) return lock;
  }
  return lockFile(path, by);
}

const inUse = (path: string, by: string) =>
  new UserError(`${path} is in use by another ${by}; wait for it to finish, or stop it first`);

/** Binds an abstract socket name; null if the system does not support them. */
function listen(name: string): Promise<'in use' | (() => void) | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EADDRINUSE' ? 'in use' : null),
    );
    server.listen(name, () => {
      server.unref();
      resolve(() => server.close());
    });
  });
}

/** Creates a lock file with this process's pid, atomically. Takes over the lock of a process that no longer exists. */
export function lockFile(folder: string, by = 'coordinator'): () => void {
  const path = join(folder, 'lock');
  const draft = `${path}.${process.pid}`;
  try {
    // Not through a link of that name, nor into what an earlier process of this number left.
    remove(draft);
    writeFileSync(draft, String(process.pid), { flag: 'wx' });
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        take(draft, path);
        // The folder may have been replaced by one that another process has locked.
        return () => {
          if (existsSync(path) && readFileSync(path, 'utf8') === String(process.pid)) remove(path);
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = readWhole(path, MOST_DIGITS, { canBeEmpty: true }).toString();
      if (isProcessAlive(Number(owner))) break;
      // Moved aside rather than removed: another process may have taken the lock over since it was read.
      const stale = `${draft}.stale`;
      renameSync(path, stale);
      const moved = readFileSync(stale, 'utf8');
      if (moved !== owner) take(stale, path);
      remove(stale);
    }
  } catch (error) {
    throw ioError(path, 'written', error);
  } finally {
    attempted(draft, 'removed', () => remove(draft));
  }
  throw inUse(folder, by);
}

/** Gives what lies at `from` the name `path` too; throws EEXIST where something has it. */
function take(from: string, path: string): void {
  try {
    linkSync(from, path);
  } catch (error) {
    if (!hasNoLinks(error)) throw error;
    copyFileSync(from, path, constants.COPYFILE_EXCL);
  }
}

/** Which folder it is, wherever it lies: device and inode, in decimal. */
export interface DirectoryId {
  device: string;
  inode: string;
}

export type HeldDirectory = Awaited<ReturnType<typeof holdDirectory>>;

/** The path of a run, or of a file or folder in it, leads elsewhere by now: nothing may be written there. */
export class Displaced extends UserError {}

/** The path does not lead to the run's directory any more. */
export const displacedRun = (path: string) =>
  new Displaced(
    `${path} is no longer the directory that this run began in (it was moved or removed): the run stops here; if it was moved, go on with: dpmesh resume ITS-NEW-PATH`,
  );

/** A file or folder of the run has become a symbolic link. */
export const linkedAway = (file: string, run: string) =>
  new Displaced(
    `${file} has become a symbolic link, and a run does not write through links: the run stops here; remove the link, then go on with: dpmesh resume ${run}`,
  );

/** Locks a folder for this process and holds it open, so that no new folder gets its inode. UserError if another process has it. */
export async function holdDirectory(path: string) {
  // Windows cannot open a folder; there one that is in use cannot be removed either.
  const { O_RDONLY, O_DIRECTORY } = constants;
  const fd =
    process.platform === 'win32'
      ? null
      : attempted(path, 'opened', () => openWithSpares(() => openSync(path, O_RDONLY | O_DIRECTORY)));
  const close = () => fd !== null && closeSync(fd);
  try {
    const id = idOf(fd === null ? statSync(path, { bigint: true }) : fstatSync(fd, { bigint: true }));
    const unlock = await lockDirectory(path);
    let isReleased = false;
    return {
      id,
      /** The path still leads to this folder. */
      isThere: () => leadsTo(path, id),
      /** Releases the lock. */
      release(): void {
        if (isReleased) return;
        isReleased = true;
        unlock();
        close();
      },
    };
  } catch (error) {
    close();
    throw ioError(path, 'opened', error);
  }
}

/** Does the path lead to this folder? So too where that cannot be told: writing will show. */
export function leadsTo(path: string, { device, inode }: DirectoryId): boolean {
  try {
    const found = idOf(statSync(path, { bigint: true }));
    return found.device === device && found.inode === inode;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR', 'ESTALE'].includes(String(errorCode(error)));
  }
}

const idOf = ({ dev, ino }: { dev: bigint; ino: bigint }): DirectoryId => ({
  device: String(dev),
  inode: String(ino),
});
