import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../base/files.ts';
import { linesOf } from '../data/texts/texts.ts';
import type { RunDirectory } from './run-directory.ts';

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
