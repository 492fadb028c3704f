import { closeSync } from 'node:fs';
import { readFully } from '../base/files.ts';
import { decode, openNpy } from '../data/npy.ts';
import type { Source } from '../data/source.ts';
import { networkRows, normalizeRows, type Transform } from '../data/transform.ts';
import { argmaxRows, logits } from '../model/forward.ts';
import { generator } from '../model/random.ts';
import type { Fitted } from './fitted.ts';
import { scattered } from './scatter.ts';

/** Rows for the pictures: a few here and there, so that the data are not read a third time. */

export interface Stretch {
  start: number;
  count: number;
}

/** Rows read at once: enough to be worth the call, few enough that sorted data show all of their classes. */
const TOGETHER = 16;

/**
 * About `wanted` of the rows (all, if there are no more), as short stretches: one at a place drawn by the seed in each
 * of equal parts of the file. In an order in which any first few are spread over the file too.
 */
export function stretches(rows: number, wanted: number, seed: bigint): Stretch[] {
  const all = rows <= wanted;
  const parts = Math.ceil(Math.min(rows, wanted) / TOGETHER);
  const edge = (part: number) => (all ? Math.min(rows, part * TOGETHER) : Math.floor((part * rows) / parts));
  const draw = generator(seed, 'report');
  const found = Array.from({ length: parts }, (_, part) => {
    const [from, to] = [edge(part), edge(part + 1)];
    const count = Math.min(TOGETHER, to - from);
    return { start: from + draw.below(to - from - count + 1), count };
  });
  const place = found.map((_, part) => scattered(part));
  return [...found.keys()].sort((a, b) => place[a] - place[b]).map((part) => found[part]);
}

/** The data and labels of a run, to be read here and there. */
export interface Rows {
  /** Raw rows, of unit length where the transform asks for that. */
  read(stretch: Stretch): Promise<Float32Array>;
  /** Cluster of each row. */
  labels(stretch: Stretch): Promise<Int32Array>;
  close(): void;
}

/** Labels are those in `labels.npy`; those that the net gives, where there is no such file yet. */
export function rowsOf(source: Source, { transform, net, mixture }: Fitted, labels: string | null): Rows {
  const file = labels === null ? null : openNpy(labels);
  const read = async ({ start, count }: Stretch) => {
    const raw = await source.read(start, count);
    if (transform.normalize) normalizeRows(raw, transform.input);
    return raw;
  };
  return {
    read,
    async labels(stretch) {
      if (!file) return argmaxRows(logits(net, networkRows(transform, await read(stretch))), mixture.k);
      const bytes = new Uint8Array(stretch.count * file.dtype.size);
      readFully(file, bytes, file.offset + stretch.start * file.dtype.size);
      return Int32Array.from(decode(bytes, file.dtype));
    },
    close: () => file && closeSync(file.fd),
  };
}

/** Where a raw row lies along an axis of the model's coordinates. */
export function alongAxis(
  { input, dim, columns, weights, bias, scale }: Transform,
  axis: Float64Array,
): (raw: Float32Array, row: number) => number {
  const factors = new Float64Array(input);
  let constant = 0;
  for (let d = 0; d < dim; d++) {
    const by = scale[d] * axis[d];
    constant += bias[d] * by;
    if (columns) factors[columns[d]] += weights[d] * by;
    else for (let i = 0; i < input; i++) factors[i] += weights[i * dim + d] * by;
  }
  return (raw, row) => {
    let sum = constant;
    for (let i = 0; i < input; i++) sum += factors[i] * raw[row * input + i];
    return sum;
  };
}
