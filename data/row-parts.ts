import * as z from 'zod/mini';
import { list } from '../base/schema.ts';
import { columnShape, ROW_COLUMNS } from '../model/row-columns.ts';
import { decode, type NumericArray, parseDtype } from './arrays/dtype.ts';
import type { WritableDtype } from './npy.ts';

/** What a run says of each row: the files, and parts of them. */

export const LABELS = ROW_COLUMNS.labels.file;
export const ROW_COMPONENTS = ROW_COLUMNS.component.file;
export const LOG_DENSITIES = ROW_COLUMNS.log_density.file;
export const MAP = ROW_COLUMNS.map.file;
export const OUTLIERS = ROW_COLUMNS.outliers.file;
/** The latent vectors of all rows, in a run directory: [rows,latent] float32. */
export const CODES = 'codes.npy';

/** What there is of each row in parts, each of consecutive rows: a file for each part and column. */

/** The folder of the parts in a run directory, and its index. */
export const PARTS = 'labels';
export const PARTS_INDEX = 'labels/index.json';

/** By this file in the folder workers see that it is that of the run. */
export const SEEN = 'seen';

const COLUMNS = Object.values(ROW_COLUMNS);
/** The file of a column without its ending: its name in the index of parts. */
export const stemOf = (file: string): string => file.replace(/\.npy$/, '');
export type StemOf<Column> = Column extends { file: `${infer Stem}.npy` } ? Stem : never;

/** The shape of the column in this file with so many rows; one number a row where it is no such column. */
export const rowShape = (file: string, rows: number): number[] =>
  columnShape(COLUMNS.find((column) => column.file === file) ?? { width: 1 }, rows);

const DIGITS = 12;
const place = (row: number) => String(row).padStart(DIGITS, '0');

/** The name of the file with the rows `from … to−1` of the column that is otherwise the file `column`. */
export const partName = (column: string, from: number, to: number): string =>
  `${stemOf(column)}-${place(from)}-${place(to)}.npy`;

/** The last numbers of a whole file, so many. */
export function rowsIn(bytes: Uint8Array, descr: WritableDtype, count: number): NumericArray {
  const dtype = parseDtype(descr);
  return decode(bytes.slice(bytes.length - count * dtype.size), dtype);
}

const row = z.int().check(z.nonnegative());
/** `file`: in the folder of the index. */
const partFile = z.object({ file: z.string(), sha256: z.string() });

/** Where each column of a part is, by the stem of its file. */
const partFiles = Object.fromEntries(
  COLUMNS.map(({ file, isOptional }) => [stemOf(file), isOptional ? z.optional(partFile) : partFile]),
) as PartFiles;
type Columns = (typeof ROW_COLUMNS)[keyof typeof ROW_COLUMNS];
type PartFiles = {
  [Column in Columns as StemOf<Column>]: Column['isOptional'] extends true
    ? z.ZodMiniOptional<typeof partFile>
    : typeof partFile;
};

/** The index: parts in the order of their rows. */
export const partsIndex = z.object({
  rows: row,
  parts: list(
    z.object({
      ...{ from: row, to: row },
      ...partFiles,
    }),
  ),
});
export type PartsIndex = z.infer<typeof partsIndex>;
