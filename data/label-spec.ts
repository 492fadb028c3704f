import { existsSync } from 'node:fs';
import { realPath } from '../base/files.ts';
import { isContainerName, isTableName } from './file-names.ts';
import { areParts } from './remote/address.ts';

/** How labels are named: a file, or a column or array of one after a colon. */

/** A file whose name contains the colon takes precedence over a column after the last colon. */
export function parseLabelSpec(spec: string): { path: string; column?: string } {
  const [, path, column] = /^(.+):([^:/]*)$/.exec(spec) ?? /^(.+\.h(?:5ad|5|df5)):([^:]*)$/i.exec(spec) ?? [];
  if (path === undefined || existsSync(spec)) return { path: spec };
  const isKnown = existsSync(path) || areParts(path) || isTableName(path) || isContainerName(path);
  return isKnown ? { path, column } : { path: spec };
}

/** The path of the file in a `spec` of `readLabels`. */
export const labelsFile = (spec: string): string => parseLabelSpec(spec).path;

/** Are the labels of a `spec` of `readLabels` in the file, or the folder, of the rows? By the paths at the end of links. */
export const areInData = (spec: string, data: string): boolean =>
  realPath(labelsFile(spec)) === realPath(data);

/** Row i is of class `names[codes[i]]`. Names are sorted: as numbers if all are numbers, else by UTF-16 code unit. */
export interface Labels {
  codes: Int32Array;
  names: string[];
}

/** Which rows have the labels. */
export interface LabelledRows {
  /** Of a folder of images, their paths; by default all. */
  images?: readonly string[];
  /** Rows of a table, from 0, that are left out. */
  dropped?: readonly number[];
}
