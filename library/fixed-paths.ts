import { parse, resolve } from 'node:path';
import { UserError } from '../base/user-error.ts';
import { isRemote } from '../data/remote/address.ts';

/**
 * Paths of a caller, made absolute once, before anything waits: its working directory may be changed or renamed while they
 * are in use. In messages they are what the caller gave.
 */
export interface FixedPaths {
  /** The absolute path; null, undefined and the address of a remote file as they are. */
  fix<Path extends string | null | undefined>(path: Path): Path;
  /** The text with these paths as they were given. */
  asGiven(text: string): string;
  /** What `work` returns; a UserError has the paths as they were given. */
  naming<T>(work: () => Promise<T>): Promise<T>;
}

export function fixedPaths(): FixedPaths {
  const given = new Map<string, string>();
  const asGiven = (text: string) =>
    [...given]
      .sort(([a], [b]) => b.length - a.length)
      .reduce((shown, [path, as]) => replace(shown, path, as), text);
  return {
    asGiven,
    fix(path) {
      if (!path || isRemote(path)) return path;
      const absolute = resolve(path);
      if (absolute !== path && absolute !== parse(absolute).root)
        given.set(absolute, path.replace(/(?<=.)[\\/]+$/, ''));
      return absolute as typeof path;
    },
    async naming(work) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof UserError) || asGiven(error.message) === error.message) throw error;
        throw new UserError(asGiven(error.message));
      }
    },
  };
}

/** Replaces a path, also at the start of a longer one, but not inside another one. */
function replace(text: string, path: string, as: string): string {
  const parts = text.split(path);
  return parts.reduce((before, after) => before + (/[\w.\\/-]$/.test(before) ? path : as) + after);
}
