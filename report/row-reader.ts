import { closeSync } from 'node:fs';
import { readFully } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { decode } from '../data/arrays/dtype.ts';
import { moveOutliers } from '../data/fences.ts';
import { readSpans } from '../data/remote/read-ahead.ts';
import { openRunLabels } from '../data/saved/run-files.ts';
import type { Source } from '../data/source.ts';
import { networkRows, type Transform, unitRows } from '../data/transform.ts';
import { argmaxRows, logits } from '../model/nets/net.ts';
import type { Seed } from '../model/random.ts';
import { generator } from '../model/random.ts';
import type { FittedModel } from './fitted-model.ts';
import { goldenSequence } from './scatter.ts';

/** A sample of rows for the pictures: short ranges all over the file, so that the data need not be read a third time. */

export interface RowRange {
  start: number;
  count: number;
}

/** Rows read at once: enough to be worth the call, few enough for all classes of sorted data to appear. */
const RANGE_ROWS = 16;

/**
 * About `wanted` of the rows (all, if there are no more) as short ranges: one at a random position in each of equal parts
 * of the file. They are ordered so that any prefix is spread over the file too.
 */
export function sampleRanges(rows: number, wanted: number, seed: Seed): RowRange[] {
  const all = rows <= wanted;
  const parts = Math.ceil(Math.min(rows, wanted) / RANGE_ROWS);
  const edge = (part: number) =>
    all ? Math.min(rows, part * RANGE_ROWS) : Math.floor((part * rows) / parts);
  const draw = generator(seed, 'report');
  const ranges = Array.from({ length: parts }, (_, part) => {
    const [from, to] = [edge(part), edge(part + 1)];
    const count = Math.min(RANGE_ROWS, to - from);
    return { start: from + draw.below(to - from - count + 1), count };
  });
  const order = ranges.map((_, part) => goldenSequence(part));
  return [...ranges.keys()].sort((a, b) => order[a] - order[b]).map((part) => ranges[part]);
}

/** Random access to a run's data and labels. */
export interface RowReader {
  /** Rows after `unitRows`: raw, unless the transform scales them to unit length. */
  read(range: RowRange): Promise<Float32Array>;
  /** Those of each range, in this order, valid until the next are asked for. */
  readEach(ranges: readonly RowRange[]): AsyncGenerator<Float32Array>;
  /** Cluster of each row. */
  labels(range: RowRange): Promise<Int32Array>;
  close(): void;
}

/** `labels`: path of `labels.npy`; if null, as the run is not finished, rows are labelled by the net. */
export function openRowReader(
  source: Source,
  { transform, net, mixture }: FittedModel,
  labels: string | null,
): RowReader {
  const file = labels === null ? null : openRunLabels(labels, source.rows);
  return {
    async read({ start, count }) {
      const rows = await source.read(start, count);
      unitRows(transform, rows);
      return rows;
    },
    async *readEach(ranges) {
      for await (const rows of readSpans(source, ranges)) {
        unitRows(transform, rows);
        yield rows;
      }
    },
    async labels(range) {
      if (!file) {
        const rows = await source.read(range.start, range.count);
        if (transform.fences) moveOutliers(rows, transform.input, transform.fences);
        unitRows(transform, rows);
        return argmaxRows(logits(net, networkRows(transform, rows)), mixture.k);
      }
      const bytes = new Uint8Array(range.count * file.dtype.size);
      readFully(file, bytes, file.offset + range.start * file.dtype.size);
      const values = Int32Array.from(decode(bytes, file.dtype));
      if (values.every((value) => value >= 0 && value < mixture.k)) return values;
      throw new UserError(`${file.path} is damaged: it has labels that are not from 0 to ${mixture.k - 1}`);
    },
    close: () => file && closeSync(file.fd),
  };
}

/** Returns a function for the coordinate of a row, after `unitRows`, along an axis given in model coordinates. */
export function alongAxis(
  { input, dim, columns, weights, bias, scale }: Transform,
  axis: Float64Array,
): (rows: Float32Array, row: number) => number {
  const factors = new Float64Array(input);
  let constant = 0;
  for (let d = 0; d < dim; d++) {
    const by = scale[d] * axis[d];
    constant += bias[d] * by;
    if (columns) factors[columns[d]] += weights[d] * by;
    else for (let i = 0; i < input; i++) factors[i] += weights[i * dim + d] * by;
  }
  return (rows, row) => {
    let sum = constant;
    for (let i = 0; i < input; i++) sum += factors[i] * rows[row * input + i];
    return sum;
  };
}
