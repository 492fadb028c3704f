import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { linesOf } from '../data/texts/texts.ts';
import { ofOneRun, placeOf } from './finished-run.ts';
import type { RunDirectory } from './run-directory.ts';
import { type RunFile, readRunFile } from './run-file.ts';

/**
 * The run that an update goes on from, its base. It is read several times while the update is at work, and again when that is resumed, and
 * another run may have taken its place meanwhile: which run it was is noted when it is first read, and compared from then on.
 */

/** A run, and which one it was when the update began. */
export type BaseRun = Pick<NonNullable<RunFile['update']>, 'run' | 'base'>;

/** Is the run at this path another one than that of this identity, or has it gone on? UserError if there is none. */
export const hasChanged = (run: string, identity: string): boolean =>
  identityOf(readRunFile(run, { mayBeEarlier: true })) !== identity;

/** UserError unless the run at the path of the base is still the one that it was. */
export function assertBase({ run, base }: BaseRun): void {
  if (!existsSync(join(placeOf(run), 'run.json')))
    throw new UserError(
      `${run} is gone, and its update is not complete: bring it back and go on with dpmesh resume, or update another run`,
    );
  if (hasChanged(run, base))
    throw new UserError(
      `${run} is not the run any more that this update began with: another has taken its place, or it has gone on; start the update again: dpmesh update ${run}`,
    );
}

/** What `read` reads of the base, which lies at `at`, all of it at one time. UserError as of `assertBase`. */
export function readBase<T>(base: BaseRun, read: (at: string) => T): T {
  return ofOneRun(base.run, (at) => {
    assertBase(base);
    return read(at);
  });
}

/** The final state of a run, from which updates go on. */
export const STATE = 'stream/state.ckpt';

/**
 * Which run it is, by its run.json, at which time: its id, and the hash of its final state, which is another one once it has gone on. New names change
 * neither.
 */
export const identityOf = ({ id, files = {} }: { id: string; files?: Record<string, string> }): string =>
  `${id} ${files[STATE] ?? ''}`;

/** The texts of the rows of the sample that updates go on from: a line each, in their order. */
export const KEPT_TEXTS = 'stream/texts.txt';

/** Characters that are kept of a text. */
const MOST_KEPT = 4000;

export const hasKeptTexts = (run: string): boolean => existsSync(join(run, KEPT_TEXTS));

/** The texts of a finished run that is updated. */
export const keptTexts = (run: string): AsyncGenerator<string[]> => linesOf(join(run, KEPT_TEXTS));

/** Starts the file. */
export function keepTexts(out: Pick<RunDirectory, 'path' | 'stream'>) {
  makeFolder(join(out.path, KEPT_TEXTS, '..'));
  const file = out.stream(KEPT_TEXTS);
  return {
    add: (text: string) => file.write(Buffer.from(`${text.slice(0, MOST_KEPT).replace(/[\r\n]+/g, ' ')}\n`)),
    finish: file.finish,
    abort: file.abort,
  };
}
