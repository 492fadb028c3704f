import { basename } from 'node:path';
import { readFully, statusOf } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { elementCount } from '../model/arrays.ts';
import type { ContainedArray } from './arrays/container.ts';
import { inARow } from './arrays/container.ts';
import { decode, decodeInto, dtypeName } from './arrays/dtype.ts';
import {
  type ContainerFormat,
  containerFormat,
  HEAD_BYTES,
  isContainer,
  openRowsIn,
  presentIn,
} from './arrays/formats.ts';
import { assertVersion, fileVersion } from './cache.ts';
import { isPattern, type TableFormat } from './file-names.ts';
import { isIdx, openIdx, openIdxGz } from './idx.ts';
import { hasImages } from './images/folder.ts';
import { withLogarithms } from './logarithm.ts';
import {
  type ArrayFile,
  assertNumeric,
  assertSize,
  assertTable,
  CHUNK_ELEMENTS,
  closeArray,
  isNpy,
  openNpy,
} from './npy.ts';
import type { OpenOptions } from './open-options.ts';
import { arraysAt } from './parts.ts';
import { areParts, isRemote } from './remote/address.ts';
import { atPlace } from './remote/place.ts';
import type { Source } from './source.ts';
import { compressionOf, headOf } from './streams.ts';
import {
  isPackedText,
  oneFile,
  type TableFile,
  tableFormatOf,
  tablesInFolder,
  tablesLike,
} from './tables/formats.ts';
import type { TrainedColumns } from './tables/table-options.ts';

/** Which reader a file, folder, pattern or address gets. The formats are in the files that it calls; whoever reads rows sees a `Source`, not a format. */

/** A strided read also reads gaps of up to this many bytes, which is faster than another system call. */
const MAX_GAP_BYTES = 1 << 15;

/**
 * Opens data: an .npy of rows × columns, or of arrays that become rows, such as images; an IDX file (plain or gzip), whose images
 * become rows of pixels; an array of an .npz, .safetensors, .h5ad or other HDF5 file; a table (text, Parquet, Arrow, JSON lines;
 * also several of them, in a folder or by a pattern); or a folder of images. The format is detected from the content, else from the
 * name. At an address, an .npy is read in place, another file from a copy. Rejects with a UserError, one line, if the file is invalid.
 */
export const openSource = async (
  path: string,
  { logged = [], ...options }: OpenOptions = {},
): Promise<Source> => withLogarithms(await openPlain(path, options), logged, path);

async function openPlain(path: string, options: OpenOptions): Promise<Source> {
  if (isRemote(path)) return openElsewhere(path, options);
  if (isSeveral(path)) return openSeveral(path, options);
  const version = fileVersion(path);
  const source = await openOne(path, options);
  return { assertSameFile: () => assertVersion(path, version), ...source };
}

/** Of what is copied from elsewhere, workers read the copy, too. */
const openElsewhere = (address: string, options: OpenOptions): Promise<Source> =>
  atPlace(address, { log: options.log, signal: options.images?.signal }, async (place) => {
    if (isRemote(place)) return openRemoteRows(place);
    const naming = (say?: (text: string) => void) =>
      say && ((text: string) => say(text.replaceAll(place, address)));
    const told = { log: naming(options.log), status: naming(options.status) };
    return { file: place, ...(await openSource(place, { ...options, ...told })) };
  });

/** Opens what is read in place at an address: an .npy, or those of a folder. */
export async function openRemoteRows(address: string): Promise<Source> {
  if (areParts(address)) return (await import('./remote/folder.ts')).openRemoteArrays(address);
  return (await import('./remote/remote-file.ts')).openRemoteNpy(address);
}

/** Is this path that of a folder, or a pattern? */
export const isSeveral = (path: string): boolean =>
  !isRemote(path) && (isPattern(path) || statusOf(path)?.isDirectory() === true);

/** A format of one file. */
interface Reader {
  /** Recognizes it by its first bytes, where that is possible, else by its name. */
  isIt(path: string, head: Buffer): boolean;
  open(path: string, options: OpenOptions): Source | Promise<Source>;
}

const container = (format: ContainerFormat): Reader => ({
  isIt: (path, head) => compressionOf(head) === 'none' && containerFormat(path, head) === format,
  open: (path, options) => openContained(format, path, options),
});

const table = (format: TableFormat): Reader => ({
  isIt(path, head) {
    if (compressionOf(head) === 'none') return tableFormatOf(path, head) === format;
    return (tableFormatOf(path, new Uint8Array()) ?? 'csv') === format;
  },
  open: (path, options) => openTableFile(oneFile(path, format), options),
});

/** All formats of one file; the first that recognizes it reads it. */
const READERS = {
  npy: {
    isIt: (path, head) => isNpy(head) || /\.npy$/i.test(path),
    open: (path) => tableSource(openNpy(path)),
  },
  'idx.gz': {
    isIt: (path, head) => compressionOf(head) === 'gzip' && !isPackedText(path),
    open: async (path, { expected }) =>
      tableSource(await openIdxGz(path, (shape) => assertSize(path, shape, expected))),
  },
  npz: container('npz'),
  safetensors: container('safetensors'),
  hdf5: container('hdf5'),
  idx: { isIt: (_path, head) => isIdx(head), open: (path) => tableSource(openIdx(path)) },
  csv: table('csv'),
  parquet: table('parquet'),
  arrow: table('arrow'),
  'json lines': table('json lines'),
} satisfies Record<string, Reader>;

/** `folder`: of images, or of tables. `pattern`: of the names of tables. */
export type Format = keyof typeof READERS | 'folder' | 'pattern';

function openOne(path: string, options: OpenOptions): Source | Promise<Source> {
  const format = formatOf(path);
  if (!isContainer(format) && !isTable(format)) assertNoColumns(path, options);
  const readers: Partial<Record<Format, Reader>> = READERS;
  return readers[format]!.open(path, options);
}

async function openContained(
  format: ContainerFormat,
  path: string,
  { array, table, expected }: OpenOptions,
): Promise<Source> {
  const version = fileVersion(path);
  const columns = array === undefined ? (table?.columns ?? null) : [array];
  // New rows for a trained model may have another name.
  const chosen = columns && table?.trained ? await presentIn(format, path, columns) : columns;
  const opened = await openRowsIn(format, path, chosen, expected, table?.trained?.run);
  if (table?.trained) assertSameColumns(opened, table.trained);
  const { array: taken, arrays, copy, names, rowNames } = opened;
  return {
    ...tableSource(opened.file),
    ...(copy === undefined ? { array: taken } : { file: copy }),
    ...{ arrays, names },
    ...(rowNames && {
      id: rowNames.title,
      async *texts() {
        yield* rowNames.texts();
        assertVersion(path, version);
      },
    }),
  };
}

/** UserError if both have names of columns, and these differ. */
function assertSameColumns({ file, names }: ContainedArray, { names: known, run }: TrainedColumns): void {
  const column = names && known ? names.findIndex((name, i) => name !== known[i]) : -1;
  if (column < 0) return;
  const [here, there] = [names!, known!].map((list) => JSON.stringify(list[column]) ?? 'missing');
  closeArray(file);
  throw new UserError(
    `${file.path} has other columns than the run ${run}: column ${column + 1} is ${here}, in the run it is ${there}: pass the columns of the run, in its order`,
  );
}

/** UserError if columns are named of what has no names; new rows for a trained model may be any. */
function assertNoColumns(path: string, { table }: OpenOptions): void {
  if (table?.columns && !table.trained)
    throw new UserError(
      `${path} has no columns or arrays with names, as --columns ${table.columns.join(',')} asks for: leave it out`,
    );
}

/** Of the files of a table, if there are several. */
const sizesOf = ({ parts }: TableFile) =>
  parts.length > 1 ? parts.map((part) => ({ name: basename(part), bytes: statusOf(part)?.size ?? 0 })) : [];

async function openTableFile(file: TableFile, { table, log, status }: OpenOptions): Promise<Source> {
  const { openTable } = await import('./tables/open-table.ts');
  const opened = await openTable(file, table, { log, status });
  const { file: array, copy, names, texts, isPlain: _, ...facts } = opened;
  const version = file.version();
  return {
    ...tableSource(array),
    dtype: file.format,
    names,
    table: { ...facts, parts: sizesOf(file) },
    texts,
    file: copy,
    assertSameFile: () => assertVersion(file.path, version, file.version),
  };
}

async function openSeveral(path: string, options: OpenOptions): Promise<Source> {
  const tables = await tableFileAt(path);
  if (tables) return openTableFile(tables, options);
  const arrays = arraysIn(path);
  if (arrays.length) {
    assertNoColumns(path, options);
    return openArrays(path, arrays);
  }
  if (isPattern(path))
    throw new UserError(`${path} is a pattern of no file's name: check it, and the folder`);
  if (!options.images) throw new UserError(`${path} is a folder: name a file inside it`);
  assertNoColumns(path, options);
  const { openImages } = await import('./images/images.ts');
  const { file, copy, names, assertSame } = await openImages(path, options.images);
  return { ...tableSource(file), images: names, file: copy, assertSameFile: assertSame };
}

/** The .npy files of a folder without images, or of a pattern. */
const arraysIn = (path: string) => (isPattern(path) || !hasImages(path) ? arraysAt(path) : []);

/** Opens .npy files as one, in this order. UserError if one is invalid, or their rows differ. */
export function openArrays(path: string, files: readonly string[]): Source {
  const versions = files.map((file) => fileVersion(file));
  const opened: { name: string; source: Source }[] = [];
  try {
    for (const file of files) opened.push({ name: basename(file), source: tableSource(openNpy(file)) });
  } catch (error) {
    for (const { source } of opened) source.close();
    throw error;
  }
  return {
    ...inARow(path, opened),
    assertSameFile() {
      for (const [i, file] of files.entries()) assertVersion(file, versions[i]);
    },
  };
}

/** The table in a file, a folder or the files of a pattern; null where there is none. */
export async function tableFileAt(path: string): Promise<TableFile | null> {
  if (isRemote(path)) return null;
  if (isPattern(path)) return tablesLike(path);
  const format = formatOf(path);
  if (format === 'folder') return tablesInFolder(path);
  return isTable(format) ? oneFile(path, format) : null;
}

const isTable = (format: Format): format is TableFormat =>
  ['csv', 'parquet', 'arrow', 'json lines'].includes(format);

/** Is there a folder of images, and not of tables or arrays? */
export const isImageFolder = (path: string): boolean =>
  formatOf(path) === 'folder' && tablesInFolder(path) === null && !arraysIn(path).length;

/** The format of data. Throws a UserError if it is not supported. */
export function formatOf(path: string): Format {
  // Others are read from a copy.
  if (isRemote(path)) return 'npy';
  if (isPattern(path)) return 'pattern';
  if (statusOf(path)?.isDirectory()) return 'folder';
  const head = headOf(path, HEAD_BYTES);
  const readers = Object.entries(READERS) as [keyof typeof READERS, Reader][];
  const found = readers.find(([, { isIt }]) => isIt(path, head));
  if (found) return found[0];
  throw new UserError(
    `${path} has an unsupported format: use .npy, .npz, .safetensors, .h5ad or other HDF5, IDX, a table (.csv, .tsv, .txt, .parquet, .feather, .jsonl; text also as .gz or .zst), or a folder of tables or of PNG and JPEG images`,
  );
}

/**
 * The rows of an array file as float32; `close` closes the file. All dimensions after the first become columns, in C order. Throws
 * a UserError if there are no rows or columns, or just one dimension.
 */
function tableSource(file: ArrayFile): Source {
  try {
    assertNumeric(file);
    assertTable(file);
  } catch (error) {
    closeArray(file);
    throw error;
  }
  const rows = file.shape[0];
  const shape = file.shape.slice(1);
  const dim = elementCount(shape);
  const places = file.fortran && dim > 1 ? placesInC(shape) : null;
  let open = true;
  const fill = <T extends RowBuffer>(out: T, start: number, count: number): T => {
    if (!open) throw new Error(`${file.path} is closed`);
    if (!(start >= 0 && count >= 0 && start + count <= rows))
      throw new RangeError(
        `rows ${start} to ${start + count} are outside of ${file.path}, which has ${rows} rows`,
      );
    if (places) readColumns(file, places, start, out);
    else readContiguous(file, start * dim, out);
    return out;
  };
  return {
    rows,
    dim,
    dtype: dtypeName(file.dtype),
    ...(shape.length > 1 && { shape }),
    read: async (start, count, into = new Float32Array(count * dim)) => fill(into, start, count),
    stored: async (row) => fill(new Float64Array(dim), row, 1),
    close() {
      if (open) closeArray(file);
      open = false;
    },
  };
}

type RowBuffer = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** Fills `out` with consecutive elements of the file, from element `first` on. */
function readContiguous(file: ArrayFile, first: number, out: RowBuffer): void {
  const { dtype, offset } = file;
  if (dtype.kind === 'f' && dtype.size === 4 && out instanceof Float32Array) {
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    readFully(file, bytes, offset + first * 4);
    decode(bytes, dtype);
    return;
  }
  for (let at = 0; at < out.length; at += CHUNK_ELEMENTS) {
    const count = Math.min(CHUNK_ELEMENTS, out.length - at);
    const bytes = scratchOf(count * dtype.size);
    readFully(file, bytes, offset + (first + at) * dtype.size);
    decodeInto(out.subarray(at, at + count), bytes, dtype);
  }
}

let scratch = new Uint8Array();

/** Room for so many bytes, until the next call: allocating it for each block keeps the garbage collector busy. */
function scratchOf(bytes: number): Uint8Array<ArrayBuffer> {
  if (scratch.length < bytes) scratch = new Uint8Array(bytes);
  return scratch.subarray(0, bytes);
}

/**
 * Fills `out` with rows, from row `start` on, of a file in Fortran order; `places`: of each of its columns in `out`. Short gaps between
 * columns are read, too.
 */
function readColumns(file: ArrayFile, places: Int32Array, start: number, out: RowBuffer): void {
  const { dtype, offset, shape } = file;
  const rows = shape[0];
  const dim = places.length;
  const count = out.length / dim;
  const readsGaps = (rows - count) * dtype.size <= MAX_GAP_BYTES;
  const columnsPerRead = readsGaps ? Math.max(1, Math.floor(CHUNK_ELEMENTS / rows)) : 1;
  const scratch = new Uint8Array(Math.min(rows * dim, CHUNK_ELEMENTS) * dtype.size);
  for (let column = 0; column < dim; column += columnsPerRead) {
    const width = Math.min(columnsPerRead, dim - column);
    for (let row = 0; row < count; row += CHUNK_ELEMENTS) {
      const height = Math.min(CHUNK_ELEMENTS, count - row);
      const bytes = scratch.subarray(0, ((width - 1) * rows + height) * dtype.size);
      readFully(file, bytes, offset + (column * rows + start + row) * dtype.size);
      const values = decode(bytes, dtype);
      for (let c = 0; c < width; c++)
        for (let r = 0; r < height; r++) out[(row + r) * dim + places[column + c]] = values[c * rows + r];
    }
  }
}

/** Of each element of an array of this shape, in Fortran order, its place in C order. */
function placesInC(shape: readonly number[]): Int32Array {
  const places = new Int32Array(elementCount(shape));
  for (let p = 0; p < places.length; p++)
    for (let axis = 0, rest = p; axis < shape.length; axis++) {
      places[p] = places[p] * shape[axis] + (rest % shape[axis]);
      rest = Math.floor(rest / shape[axis]);
    }
  return places;
}
