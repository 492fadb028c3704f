import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { readFully } from '../../base/files.ts';
import { yieldToEventLoop } from '../../base/slices.ts';
import { decode } from '../arrays/dtype.ts';
import { type ArrayFile, openNpy, readNpy, tuple } from '../npy.ts';
import { runFiles } from './run-files.ts';

/** What a run says of each row, in .npy files of one number a row. */

/** The largest responsibility. */
export const CONFIDENCES = 'confidences.npy';
/** From the centre of the row's cluster. */
export const DISTANCES = 'distances.npy';
const OUTLIERS = 'outliers.npy';

/** Rows that are read at once. */
const SLICE_ROWS = 1 << 16;

/** Consecutive rows, from row `start` on. */
export interface RowSlice {
  start: number;
  labels: Int32Array;
  confidence: Float32Array;
  distance: Float32Array;
  /** 1 for rows that were set apart; null where none were. */
  outliers: Uint8Array | null;
}

/** All rows of a run with these labels in their order, slice by slice. */
export async function* rowSlices(
  run: string,
  labels: { length: number; subarray(from: number, to: number): ArrayLike<number> },
  hasOutliers: boolean,
): AsyncGenerator<RowSlice> {
  const rows = labels.length;
  const files: ArrayFile[] = [];
  const open = (name: string) => {
    const file = openNpy(join(run, name), name, { within: run });
    files.push(file);
    return file;
  };
  try {
    const confidence = open(CONFIDENCES);
    const distance = open(DISTANCES);
    const outliers = hasOutliers ? open(OUTLIERS) : null;
    for (let start = 0; start < rows; start += SLICE_ROWS) {
      await yieldToEventLoop();
      const count = Math.min(SLICE_ROWS, rows - start);
      yield {
        start,
        labels: Int32Array.from(labels.subarray(start, start + count)),
        confidence: Float32Array.from(readAt(confidence, start, count)),
        distance: Float32Array.from(readAt(distance, start, count)),
        outliers: outliers && Uint8Array.from(readAt(outliers, start, count)),
      };
    }
  } finally {
    for (const { fd } of files) closeSync(fd);
  }
}

function readAt(file: ArrayFile, start: number, count: number) {
  const bytes = new Uint8Array(count * file.dtype.size);
  readFully(file, bytes, file.offset + start * file.dtype.size);
  return decode(bytes, file.dtype);
}

/** One of the columns of float32 numbers. UserError unless it has a number for each row. */
export function readRowColumn(run: string, name: string, rows: number): Float32Array {
  const { shape, data } = readNpy(join(run, name), { within: run });
  if (data instanceof Float32Array && shape.length === 1 && shape[0] === rows) return data;
  throw runFiles(run).damaged(name, `it is not float32 of shape ${tuple([rows])}`);
}
