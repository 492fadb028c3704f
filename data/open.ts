import { closeSync } from 'node:fs';
import { openFile, readFully } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { isGzip, isIdx, openIdx, openIdxGz } from './idx.ts';
import {
  type ArrayFile,
  assertNumeric,
  decode,
  dtypeName,
  isNpy,
  openNpy,
  PIECE,
  product,
  tuple,
} from './npy.ts';
import type { Source } from './source.ts';

export type Format = 'npy' | 'idx' | 'idx.gz' | 'csv';

/** A strided read takes unwanted bytes along up to this many, rather than calling the system once more. */
const WORTHWHILE_GAP = 1 << 15;

export interface Opening {
  /** A column of a text table, by name or number, that is no data. */
  without?: string | null;
  /** Of any other size it is a UserError, before anything is unpacked. */
  expected?: Readonly<{ rows: number; dim: number }>;
}

/**
 * Opens data: an .npy of rows × columns, an IDX file (plain or gzip; images become rows of pixels), or text
 * (.csv, .tsv, .txt). The content decides, then the name. Every fault of the file is a UserError of one line.
 */
export async function openSource(path: string, { without = null, expected }: Opening = {}): Promise<Source> {
  switch (formatOf(path)) {
    case 'npy':
      return tableSource(openNpy(path));
    case 'idx':
      return tableSource(openIdx(path), true);
    case 'idx.gz':
      return tableSource(
        await openIdxGz(path, (shape) => {
          if (expected && (shape[0] !== expected.rows || product(shape.slice(1)) !== expected.dim))
            throw new UserError(`${path} has shape ${tuple(shape)}, not (${expected.rows}, ${expected.dim})`);
        }),
        true,
      );
    case 'csv':
      return { ...tableSource(await (await import('./csv.ts')).openCsv(path, without)), dtype: 'csv' };
  }
}

/** Text tables are known by their name only. */
export const isCsvName = (path: string) => /\.(csv|tsv|txt)$/i.test(path);

/** What kind of file this is, or a UserError if none that dpmesh reads. */
export function formatOf(path: string): Format {
  const { fd, size } = openFile(path);
  const head = Buffer.alloc(Math.min(size, 8));
  try {
    readFully({ fd, path }, head, 0);
  } finally {
    closeSync(fd);
  }
  if (isNpy(head) || /\.npy$/i.test(path)) return 'npy';
  if (isGzip(head)) return 'idx.gz';
  if (isIdx(head)) return 'idx';
  if (isCsvName(path)) return 'csv';
  throw new UserError(
    head.toString('latin1', 0, 2) === 'PK'
      ? `${path} is a zip archive (.npz?): save the one array to use with numpy.save, as .npy`
      : `${path} is in no format that dpmesh reads: .npy, IDX (also .gz), or .csv, .tsv, .txt by its name`,
  );
}

/**
 * The rows of an array file as float32; closes the file with it. With `flatten`, further dimensions count as
 * columns. A UserError if there are no rows or columns, or too few or too many dimensions.
 */
function tableSource(file: ArrayFile, flatten = false): Source {
  try {
    assertNumeric(file);
    assertTable(file, flatten);
  } catch (error) {
    closeSync(file.fd);
    throw error;
  }
  const rows = file.shape[0];
  const dim = product(file.shape.slice(1));
  let open = true;
  const fill = <T extends Rows>(out: T, start: number, count: number): T => {
    if (!open) throw new Error(`${file.path} is closed`);
    if (!(start >= 0 && count >= 0 && start + count <= rows))
      throw new RangeError(`rows ${start} to ${start + count} of ${file.path}, which has ${rows}`);
    if (file.fortran && dim > 1) readColumns(file, start, out);
    else readRun(file, start * dim, out);
    return out;
  };
  return {
    rows,
    dim,
    dtype: dtypeName(file.dtype),
    read: async (start, count) => fill(new Float32Array(count * dim), start, count),
    stored: async (row) => fill(new Float64Array(dim), row, 1),
    close() {
      if (open) closeSync(file.fd);
      open = false;
    },
  };
}

function assertTable({ path, shape }: ArrayFile, flatten: boolean): void {
  const fix = shape.length < 2 ? 'x.reshape(-1, 1)' : 'x.reshape(len(x), -1)';
  if (shape.length < 2 || (shape.length > 2 && !flatten))
    throw new UserError(`${path} has shape ${tuple(shape)}, not (rows, columns): save it again as ${fix}`);
  if (shape[0] === 0)
    throw new UserError(`${path} has no rows (its shape is ${tuple(shape)}): save it again with some`);
  if (product(shape) === 0)
    throw new UserError(`${path} has no columns (its shape is ${tuple(shape)}): save it again with some`);
}

type Rows = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** Elements `first …` as they lie in the file. */
function readRun(file: ArrayFile, first: number, out: Rows): void {
  const { dtype, offset } = file;
  if (dtype.kind === 'f' && dtype.size === 4 && out instanceof Float32Array) {
    const bytes = new Uint8Array(out.buffer);
    readFully(file, bytes, offset + first * 4);
    decode(bytes, dtype);
    return;
  }
  const scratch = new Uint8Array(Math.min(out.length, PIECE) * dtype.size);
  for (let at = 0; at < out.length; at += PIECE) {
    const bytes = scratch.subarray(0, Math.min(PIECE, out.length - at) * dtype.size);
    readFully(file, bytes, offset + (first + at) * dtype.size);
    out.set(decode(bytes, dtype), at);
  }
}

/** Rows `start …` of a file that lies column by column; short gaps between columns are read along. */
function readColumns(file: ArrayFile, start: number, out: Rows): void {
  const { dtype, offset, shape } = file;
  const [rows, dim] = shape;
  const count = out.length / dim;
  const near = (rows - count) * dtype.size <= WORTHWHILE_GAP;
  const together = near ? Math.max(1, Math.floor(PIECE / rows)) : 1;
  const scratch = new Uint8Array(Math.min(rows * dim, PIECE) * dtype.size);
  for (let column = 0; column < dim; column += together) {
    const width = Math.min(together, dim - column);
    for (let row = 0; row < count; row += PIECE) {
      const height = Math.min(PIECE, count - row);
      const bytes = scratch.subarray(0, ((width - 1) * rows + height) * dtype.size);
      readFully(file, bytes, offset + (column * rows + start + row) * dtype.size);
      const values = decode(bytes, dtype);
      for (let c = 0; c < width; c++)
        for (let r = 0; r < height; r++) out[(row + r) * dim + column + c] = values[c * rows + r];
    }
  }
}
