import * as z from 'zod/mini';
import { list } from '../base/schema.ts';
import { decode, type NumericArray, parseDtype } from './arrays/dtype.ts';
import type { WritableDtype } from './npy.ts';

/** What a run says of each row, in .npy files of one number a row, or two. */

/** The cluster. */
export const LABELS = 'labels.npy';
/** The largest responsibility. */
export const CONFIDENCES = 'confidences.npy';
/** From the centre of the row's cluster. */
export const DISTANCES = 'distances.npy';
/** Where it is on the map: two numbers. */
export const MAP = 'map.npy';
export const OUTLIERS = 'outliers.npy';
/** The latent vectors of all rows, in a run directory: [rows,latent] float32. */
export const CODES = 'codes.npy';

/** What there is of each row in parts, each of consecutive rows: a file for each part and column. */

/** The folder of the parts in a run directory, and its index. */
export const PARTS = 'labels';
export const PARTS_INDEX = 'labels/index.json';

/** By this file in the folder workers see that it is that of the run. */
export const SEEN = 'seen';

/** The tensor, file and type of each column. */
const COLUMNS = [
  ['labels', LABELS, '<i4'],
  ['confidence', CONFIDENCES, '<f4'],
  ['distance', DISTANCES, '<f4'],
  ['map', MAP, '<f4'],
  ['outliers', OUTLIERS, '|b1'],
] as const satisfies readonly (readonly [string, string, WritableDtype])[];

/** Those columns that there are, in the order of their hashes: runs of earlier versions have no map, and only some have outliers. */
export const rowFiles = (has: { map: boolean; outliers: boolean }) =>
  COLUMNS.filter(([name]) => (name !== 'map' || has.map) && (name !== 'outliers' || has.outliers));

/** The shape of a column with so many rows. */
export const rowShape = (file: string, rows: number): number[] => (file === MAP ? [rows, 2] : [rows]);

const DIGITS = 12;
const place = (row: number) => String(row).padStart(DIGITS, '0');

/** The name of the file with the rows `from … to−1` of the column that is otherwise the file `column`. */
export const partName = (column: string, from: number, to: number): string =>
  `${column.replace(/\.npy$/, '')}-${place(from)}-${place(to)}.npy`;

/** The last numbers of a whole file, so many. */
export function rowsIn(bytes: Uint8Array, descr: WritableDtype, count: number): NumericArray {
  const dtype = parseDtype(descr);
  return decode(bytes.slice(bytes.length - count * dtype.size), dtype);
}

const row = z.int().check(z.nonnegative());
/** `file`: in the folder of the index. */
const partFile = z.object({ file: z.string(), sha256: z.string() });

/** The index: parts in the order of their rows. */
export const partsIndex = z.object({
  rows: row,
  parts: list(
    z.object({
      ...{ from: row, to: row },
      ...{ labels: partFile, confidences: partFile, distances: partFile },
      ...{ map: z.optional(partFile), outliers: z.optional(partFile) },
    }),
  ),
});
export type PartsIndex = z.infer<typeof partsIndex>;
