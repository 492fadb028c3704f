import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from './user-error.ts';

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
  const written = Object.entries(outputs).flatMap(([flag, path]) => (path ? [{ flag, path }] : []));
  const read = Object.entries(inputs).flatMap(([flag, path]) => (path ? [{ flag, path }] : []));
  for (const [i, { flag, path }] of written.entries()) {
    const same = [...written.slice(i + 1), ...read].find((other) => realPath(other.path) === realPath(path));
    if (same)
      throw new UserError(`${flag} and ${same.flag} name the same file, ${path}: use different files`);
  }
}
