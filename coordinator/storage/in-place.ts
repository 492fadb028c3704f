import { existsSync, readdirSync, realpathSync, renameSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { draftOf, isAbandoned } from '../../base/drafts.ts';
import { attempted, remove, syncFolder } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { readRunJson } from '../../data/saved/run-files.ts';
import { displacedRun, holdDirectory } from './run-lock.ts';

/**
 * An update in place: it is made in `<run>.update`, beside the run, and takes its place once it is complete. Until then the run is as it was,
 * and nobody else can update it in place.
 */

const besideOf = (run: string) => `${run}.update`;

export type Replaceable = Awaited<ReturnType<typeof replaceable>>;

/** Locks a run that is to be replaced. UserError if it is locked, or what lies where its update would be made is not an earlier attempt at one. */
export async function replaceable(run: string) {
  const path = attempted(run, 'opened', () => realpathSync(run));
  const beside = besideOf(path);
  if (existsSync(beside) && !isAttempt(beside))
    throw new UserError(`${beside} is where an update in place is made, and has other files: move it away`);
  const held = await holdDirectory(path);
  for (const left of leftOf(path)) remove(left);
  return {
    /** Where its update is made. */
    beside,
    /** By two renames: between them there is no run at its path. `restored` ends what a process did that was killed there. */
    replace(): void {
      if (!held.isThere()) throw displacedRun(path);
      const aside = draftOf(path);
      attempted(path, 'replaced', () => renameSync(path, aside));
      attempted(path, 'replaced', () => {
        try {
          renameSync(beside, path);
        } catch (error) {
          renameSync(aside, path);
          throw error;
        }
      });
      syncFolder(dirname(path));
      remove(aside);
    },
    /** Removes what was made, unless another process works on it. */
    async discard(): Promise<void> {
      if (!existsSync(beside)) return;
      const own = await holdDirectory(beside).catch(() => null);
      if (own && isAttempt(beside)) remove(beside);
      own?.release();
    },
    release: held.release,
  };
}

/** Is there an update that is not finished? */
function isAttempt(path: string): boolean {
  try {
    const { update, result } = readRunJson(path) as { update?: unknown; result?: unknown };
    return update !== undefined && !result;
  } catch {
    return false;
  }
}

/** Puts a run back in its place if a process was killed as it replaced it, by its update. */
export function restored(path: string): void {
  const run = resolve(path);
  if (existsSync(run) || !leftOf(run).length || !existsSync(besideOf(run))) return;
  attempted(run, 'replaced', () => renameSync(besideOf(run), run));
}

/** The replaced runs of processes that have ended. */
function leftOf(run: string): string[] {
  const [folder, name] = [dirname(run), basename(run)];
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((other) => other.startsWith(name) && isAbandoned(other.slice(name.length)))
    .filter((other) => other.slice(name.length).split('.').length === draftOf('').split('.').length)
    .map((other) => join(folder, other));
}
