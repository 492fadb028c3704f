import { join } from 'node:path';
import { readWhole } from '../../base/files.ts';
import type { RunFiles } from './run-files.ts';

/** Which image each row of a run is. */

/** The file in a run directory: the paths of the images below their folder, one a line, by row. No name has a line break. */
export const IMAGES = 'images.txt';
/** Fewer than a string can have: a run with more does not begin. */
export const MOST_LIST_BYTES = 2 ** 28;

export const imageLines = (names: readonly string[]): Buffer =>
  Buffer.from(names.map((name) => `${name}\n`).join(''));

/** The images of a finished run; undefined if its rows are none. UserError if the file is damaged. */
export function readImageList(files: RunFiles): string[] | undefined {
  if (!files.has(IMAGES)) return undefined;
  files.assertIntact(IMAGES);
  const lines = readWhole(join(files.run, IMAGES), MOST_LIST_BYTES, { within: files.run })
    .toString()
    .split('\n');
  return lines.slice(0, -1);
}
