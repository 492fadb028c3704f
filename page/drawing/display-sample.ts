/** Which rows the live page shows: ranges of consecutive ones all over the data, so that all classes appear if it is sorted by them. */

/** The rows drawn as points, in the coordinates of the net. */
export interface DisplaySample {
  rows: Float32Array;
  dim: number;
  /** Which row of the data each is; empty if that is not known. */
  numbers: Float64Array;
}

const MAX_RANGES = 200;

export interface SampledRange {
  /** The first row of the data, and how many. */
  start: number;
  count: number;
  /** Where they are in the sample. */
  at: number;
}

/** The ranges of a sample of `rows` rows out of `all`, evenly spaced; the last one ends at the last row. */
export function sampledRanges(rows: number, all: number): SampledRange[] {
  const ranges = Math.min(MAX_RANGES, rows);
  return Array.from({ length: ranges }, (_, i) => {
    const [from, to] = [i, i + 1].map((at) => Math.floor((at * rows) / ranges));
    const count = to - from;
    const start = Math.floor((from * (all - count)) / Math.max(1, rows - count));
    return { start: Math.min(start, all - count), count, at: from };
  });
}

/** The row of the data that each row of such a sample is. */
export function sampledRows(rows: number, all: number): Float64Array {
  const numbers = new Float64Array(rows);
  for (const { start, count, at } of sampledRanges(rows, all))
    for (let i = 0; i < count; i++) numbers[at + i] = start + i;
  return numbers;
}
