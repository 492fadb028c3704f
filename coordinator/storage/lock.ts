import { linkSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ioError, remove } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';

/**
 * Holds a run directory (or keys, for `by`) for this process; UserError if another one holds it. The lock ends with its
 * process, however that ends. It is this machine's: coordinators on two machines that share a disk do not see each other.
 */
export async function lockDirectory(path: string, by = 'coordinator'): Promise<() => void> {
  const { dev, ino } = statSync(path);
  if (process.platform === 'linux') {
    // A name without a file, which the kernel frees. Of the folder itself, by whatever path.
    const held = await listen(`\0dpmesh-run-${dev}-${ino}`);
    if (held === 'taken') throw inUse(path, by);
    if (held) return held;
  }
  return lockFile(path, by);
}

const inUse = (path: string, by: string) =>
  new UserError(`${path} is in use by another ${by}; wait for its end, or stop it first`);

/** Null where the system knows no such names. */
function listen(name: string): Promise<'taken' | (() => void) | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EADDRINUSE' ? 'taken' : null),
    );
    server.listen(name, () => {
      server.unref();
      resolve(() => server.close());
    });
  });
}

/** A file with the pid of its owner, whole from the start; one whose owner is gone is taken over. */
export function lockFile(folder: string, by = 'coordinator'): () => void {
  const path = join(folder, 'lock');
  const own = `${path}.${process.pid}`;
  try {
    writeFileSync(own, String(process.pid));
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        linkSync(own, path);
        return () => remove(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = readFileSync(path, 'utf8');
      if (isAlive(Number(owner))) break;
      // Moved aside rather than removed: another coordinator may have taken it over since it was read.
      const stale = `${own}.stale`;
      renameSync(path, stale);
      const moved = readFileSync(stale, 'utf8');
      if (moved !== owner) linkSync(stale, path);
      remove(stale);
    }
  } catch (error) {
    throw ioError(path, 'written', error);
  } finally {
    remove(own);
  }
  throw inUse(folder, by);
}

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
