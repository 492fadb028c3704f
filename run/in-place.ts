import { existsSync, readdirSync, realpathSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { draftOf, isAbandoned } from '../base/drafts.ts';
import { attempted, makeFolder, realPath, remove, syncFolder } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { besideOf, displacedRuns } from './finished-run.ts';
import { entriesOf } from './own-files.ts';
import { readRunJson } from './run-files.ts';
import { displacedRun, holdDirectory, leadsTo } from './run-lock.ts';
import { FOLDERS, isUnfinished } from './run-path.ts';

/**
 * An update in place: it is made in `<run>.update`, beside the run, and takes its place once it is complete. Until then the run is as it was,
 * and nobody else can update it in place. Where a process is killed between the two renames, whoever opens the run finds it (`placeOf`).
 */

/** Locks a run that is to be replaced. UserError if it is locked, or what lies where its update would be made is not an earlier attempt at one. */
export async function replaceable(run: string) {
  const path = attempted(run, 'opened', () => realpathSync(run));
  const beside = besideOf(path);
  if (existsSync(beside) && !isAttempt(beside, path))
    throw new UserError(`${beside} is where an update in place is made, and has other files: move it away`);
  const held = await holdDirectory(path);
  try {
    await discard();
    for (const left of displacedRuns(path)) if (isAbandoned(basename(left))) removeReplaced(left, path);
    for (const left of displacedRuns(beside)) if (isAbandoned(basename(left))) removeRun(left);
  } catch (error) {
    held.release();
    throw error;
  }

  /** Removes what was made, unless another process works on it. At any moment it is either an attempt or under the name of a draft. */
  async function discard(): Promise<void> {
    if (!existsSync(beside)) return;
    const own = await holdDirectory(beside).catch(() => null);
    try {
      if (!own || !isAttempt(beside, path)) return;
      const aside = draftOf(beside);
      attempted(beside, 'removed', () => renameSync(beside, aside));
      removeRun(aside);
    } finally {
      own?.release();
    }
  }

  return {
    /** Where its update is made. */
    beside,
    /** By two renames: between them there is no run at its path. */
    replace(): void {
      if (!held.isThere()) throw displacedRun(path);
      const { dev, ino } = attempted(beside, 'read', () => statSync(beside, { bigint: true }));
      const aside = draftOf(path);
      attempted(path, 'replaced', () => renameSync(path, aside));
      attempted(path, 'replaced', () => {
        try {
          renameSync(beside, path);
        } catch (error) {
          // One that found no run at the path has moved it there already.
          if (leadsTo(path, { device: String(dev), inode: String(ino) })) return;
          renameSync(aside, path);
          throw error;
        }
      });
      syncFolder(dirname(path));
      removeReplaced(aside, path);
    },
    discard,
    release: held.release,
  };
}

/** Removes a run; what is left of it where that is not finished is not taken for one. */
function removeRun(path: string): void {
  noRunAnyMore(path);
  remove(path);
}

function noRunAnyMore(path: string): void {
  const file = join(path, 'run.json');
  if (existsSync(file)) attempted(file, 'removed', () => unlinkSync(file));
}

/**
 * Removes a run that the one at `path` has replaced. What else people keep in its folder, or in its own ones, goes to the same place there, or stays
 * where that has a file of this name.
 */
function removeReplaced(run: string, path: string): void {
  const entries = entriesOf(run);
  for (const { name } of entries.filter(({ isOwn }) => !isOwn)) {
    const [from, to] = [join(run, name), join(path, name)];
    if (existsSync(to)) continue;
    makeFolder(dirname(to));
    attempted(from, 'moved', () => renameSync(from, to));
  }
  noRunAnyMore(run);
  for (const { name } of entries.filter(({ isOwn }) => isOwn)) remove(join(run, name));
  for (const folder of [...FOLDERS.map((name) => join(run, name)), run])
    if (existsSync(folder) && !readdirSync(folder).length) remove(folder);
}

/** Is there what an update in place of the run at `path` has made before it was killed? */
function isAttempt(beside: string, path: string): boolean {
  try {
    // Before it has a run.json.
    if (readdirSync(beside).every((name) => name === 'lock' || isUnfinished(name))) return true;
    const { update, result } = readRunJson(beside) as { update?: Record<string, unknown>; result?: unknown };
    if (typeof update?.run !== 'string') return false;
    return update.inPlace === true ? realPath(update.run) === path : !result;
  } catch {
    return false;
  }
}
