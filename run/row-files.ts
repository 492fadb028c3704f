import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readWhole } from '../base/files.ts';
import { MOST_LIST_BYTES } from '../base/limits.ts';
import { yieldToEventLoop } from '../base/slices.ts';
import { LABELS } from '../data/row-parts.ts';
import {
  NONE_OPTIONAL,
  type OptionalColumns,
  ROW_COLUMNS,
  type RowColumnName,
  type RowValues,
  rowColumns,
} from '../model/row-columns.ts';
import { numberOfLabel, openRows, type RowReader, type RunFiles, readRows } from './run-files.ts';

/** What there is of each row in whole files, and what else a run says of its rows. */

/** Rows that are read at once. */
const SLICE_ROWS = 1 << 16;

/** Consecutive rows, from row `start` on. */
export interface RowSlice extends RowValues {
  start: number;
}

/**
 * All rows of a run in their order, slice by slice, with the numbers of their clusters. `ids`: as of `numberOfLabel`; `wanted`: only slices that have one of these
 * rows. UserError if a file has other elements, or another number of rows.
 */
export async function* rowSlices(
  run: string,
  rows: number,
  {
    has = NONE_OPTIONAL,
    ids,
    wanted,
  }: { has?: OptionalColumns; ids?: readonly number[]; wanted?: readonly number[] } = {},
): AsyncGenerator<RowSlice> {
  const numberOf = numberOfLabel(ids);
  const opened: [RowColumnName, RowReader][] = [];
  try {
    for (const [name, { file, dtype }] of rowColumns(has))
      opened.push([name, openRows(run, file, dtype, rows)]);
    for (let start = 0; start < rows; start += SLICE_ROWS) {
      const end = Math.min(rows, start + SLICE_ROWS);
      if (wanted && !wanted.some((row) => row >= start && row < end)) continue;
      await yieldToEventLoop();
      const values = Object.fromEntries(
        opened.map(([name, reader]) => [name, reader.read(start, end - start)]),
      ) as unknown as RowValues;
      const none = { component: null, log_density: null, map: null, outliers: null };
      yield { ...none, ...values, start, labels: values.labels.map(numberOf) };
    }
  } finally {
    for (const [, { close }] of opened) close();
  }
}

/** Which optional columns a run has in whole files. */
export const optionalColumnsOf = (run: string): OptionalColumns => ({
  component: existsSync(join(run, ROW_COLUMNS.component.file)),
  log_density: existsSync(join(run, ROW_COLUMNS.log_density.file)),
  map: existsSync(join(run, ROW_COLUMNS.map.file)),
  outliers: existsSync(join(run, ROW_COLUMNS.outliers.file)),
});

/** Rows that are read at once where only some are wanted: a few of them take no longer than one. */
const SPAN_ROWS = 1 << 12;

/** The labels of the rows of these numbers, ascending, of so many. */
export function labelsAt(run: string, numbers: readonly number[], rows: number): Int32Array {
  const labels = openRows(run, LABELS, '<i4', rows);
  try {
    let [start, span] = [0, labels.read(0, 0)];
    return Int32Array.from(numbers, (row) => {
      if (row >= start + span.length)
        [start, span] = [row, labels.read(row, Math.min(SPAN_ROWS, rows - row))];
      return span[row - start];
    });
  } finally {
    labels.close();
  }
}

/** One of the columns of float32 numbers. UserError unless it has a number for each row. */
export const readRowColumn = (run: string, name: string, rows: number): Float32Array =>
  readRows(run, name, '<f4', rows) as Float32Array;

/** Which row of the data each row of a run is; of a table from which rows with missing values were left out. */
export const KEPT_ROWS = 'kept-rows.npy';

/** UserError where one of the whole files of what a run says of each row is not the one that run.json has the hash of. */
export function assertRows(files: RunFiles): void {
  for (const { file } of Object.values(ROW_COLUMNS)) files.assertIntact(file);
}

/** Which image each row of a run is. */

/** The file in a run directory: the paths of the images below their folder, one a line, by row. No name has a line break. */
export const IMAGES = 'images.txt';

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

/** The cluster of each component of the mixture, of runs in which some clusters have several. */
export const COMPONENTS = 'mixture/clusters.npy';
/** The weight of the background and log of its density, float64 [2], of runs in which rows are in no cluster. */
export const BACKGROUND = 'mixture/background.npy';
/** An array of finite numbers of one of these shapes, of which −1 is any length. */
function finiteArray(files: RunFiles, name: string, ...shapes: number[][]) {
  const found = files.array(
    name,
    (shape) =>
      shapes.some((other) => other.length === shape.length && other.every((n, i) => n < 0 || n === shape[i])),
    shapes.map((shape) => `shape (${shape.join(', ').replaceAll('-1', 'N')})`).join(' or '),
  );
  if (!found.data.every(Number.isFinite)) throw files.damaged(name, 'it has values that are not finite');
  return found;
}

/** `mixture/` of a run directory. Arrays are row-major. */
export interface SavedMixture {
  k: number;
  dim: number;
  /** K. */
  weights: Float64Array;
  /** K×D. */
  means: Float64Array;
  /** K×D×D, or K×D: the diagonals. */
  covariances: Float64Array;
  covariance: 'full' | 'diag';
  /** K. */
  counts: Float64Array;
}

/** Reads the mixture of a finished run. UserError where a file is missing or damaged, or does not fit the others. */
export function readSavedMixture(files: RunFiles): SavedMixture {
  const array = (name: string, ...shapes: number[][]) => finiteArray(files, `mixture/${name}.npy`, ...shapes);
  /** Numbers of which none is negative, nor are all zero. */
  const amounts = (name: string, length: number) => {
    const { data } = array(name, [length]);
    if (data.every((value) => value >= 0) && data.some((value) => value > 0)) return data;
    throw files.damaged(`mixture/${name}.npy`, 'it has negative values, or only zeros');
  };
  const means = array('means', [-1, -1]);
  const [k, dim] = means.shape;
  if (!k || !dim) throw files.damaged('mixture/means.npy', 'it has no numbers');
  const covariances = array('covariances', [k, dim, dim], [k, dim]);
  return {
    k,
    dim,
    weights: amounts('weights', k),
    means: means.data,
    covariances: covariances.data,
    covariance: covariances.shape.length === 3 ? 'full' : 'diag',
    counts: amounts('counts', k),
  };
}
