import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from './user-error.ts';

/** Files by the flag that names them; flags that were not given are left out. */
export type Files = Record<string, string | null | undefined>;

/** The path without links; what is not there yet, below the real path of the folder that is. */
export function realPath(path: string): string {
  const full = resolve(path);
  try {
    return realpathSync(full);
  } catch {
    const above = dirname(full);
    return above === full ? full : join(realPath(above), basename(full));
  }
}

/** UserError where a file to be written is one that is read, or is written as something else too. */
export function assertApart(outputs: Files, inputs: Files): void {
  const written = Object.entries(outputs).flatMap(([flag, path]) => (path ? [{ flag, path }] : []));
  const read = Object.entries(inputs).flatMap(([flag, path]) => (path ? [{ flag, path }] : []));
  for (const [i, { flag, path }] of written.entries()) {
    const same = [...written.slice(i + 1), ...read].find((other) => realPath(other.path) === realPath(path));
    if (same)
      throw new UserError(`${flag} and ${same.flag} name the same file, ${path}: write to another one`);
  }
}
