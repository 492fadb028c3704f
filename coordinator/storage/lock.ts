import { existsSync, linkSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isProcessAlive } from '../../base/drafts.ts';
import { attempted, ioError, readWhole, remove } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';

/** Of the number of a process. */
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
  const own = `${path}.${process.pid}`;
  try {
    // Not through a link of that name, nor into what an earlier process of this number left.
    remove(own);
    writeFileSync(own, String(process.pid), { flag: 'wx' });
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        linkSync(own, path);
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
      const stale = `${own}.stale`;
      renameSync(path, stale);
      const moved = readFileSync(stale, 'utf8');
      if (moved !== owner) linkSync(stale, path);
      remove(stale);
    }
  } catch (error) {
    throw ioError(path, 'written', error);
  } finally {
    attempted(own, 'removed', () => remove(own));
  }
  throw inUse(folder, by);
}
