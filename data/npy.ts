import { closeSync, fstatSync } from 'node:fs';
import {
  type AtomicFileOptions,
  attempted,
  createAtomicFile,
  type FileOptions,
  openedFile,
  readFully,
  truncated,
} from '../base/files.ts';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { UserError } from '../base/user-error.ts';
import { elementCount } from '../model/arrays.ts';
import {
  decode,
  dtypeName,
  HOST_ORDER,
  isReadable,
  type NpyDtype,
  type NumericArray,
  parseDtype,
  swapBytes,
} from './arrays/dtype.ts';
import { NoRows } from './source.ts';

/** The format .npy: headers, whole arrays, rows at any place, and files that are written in pieces. Only bytes and types: what an array means, its callers know. */

/** An open file of elements of equal size, in C (or Fortran) order from byte `offset` on, known not to be truncated. */
export interface ArrayFile {
  readonly path: string;
  readonly fd: number;
  readonly dtype: NpyDtype;
  readonly shape: readonly number[];
  readonly fortran: boolean;
  readonly offset: number;
  /** Of a decoded copy in the cache: it is no longer in use here. */
  readonly release?: () => void;
}

export function closeArray({ fd, release }: ArrayFile): void {
  closeSync(fd);
  release?.();
}

/** The element types that `writeNpy` and `createNpy` can write. */
const WRITABLE = {
  '<i4': Int32Array,
  '<f4': Float32Array,
  '<f8': Float64Array,
  '|u1': Uint8Array,
  '|b1': Uint8Array,
};
export type WritableDtype = keyof typeof WRITABLE;

/** NumPy's headers have some hundred bytes; only records with thousands of fields need more than this. */
const MAX_HEADER_BYTES = 1 << 16;
const MAGIC = Buffer.from('\x93NUMPY', 'latin1');

/** A shape as Python prints it. */
export const tuple = (shape: readonly number[]) => `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;

/** Do these first bytes of a file have the magic number of .npy? */
export const isNpy = (head: Uint8Array) => MAGIC.equals(head.subarray(0, MAGIC.length));

/**
 * Opens an .npy (format 1 to 3) of any element type and shape. `path` is its name in messages. Throws a UserError if it is
 * not a valid .npy, or is truncated.
 */
export const openNpy = (file: string, path = file, options?: FileOptions): ArrayFile =>
  openedFile(file, (fd, size) => npyAt({ fd, path }, 0, size), options);

/** The array of an .npy that is the `size` bytes of an open file from byte `start` on. Throws as `openNpy`. */
export function npyAt(opened: Pick<ArrayFile, 'fd' | 'path'>, start: number, size: number): ArrayFile {
  const header = readHeader(opened.path, size, (into, at) => readFully(opened, into, start + at));
  const array = assertComplete({ ...opened, ...header }, size);
  return { ...array, offset: start + array.offset };
}

/** What the header of an .npy says. */
export type NpyHeader = Pick<ArrayFile, 'dtype' | 'shape' | 'fortran' | 'offset'>;

/** The header of an .npy of `size` bytes whose first bytes are `head`. Throws as `openNpy`. */
export function npyHeaderIn(path: string, head: Buffer, size: number): NpyHeader {
  return readHeader(path, size, (into, at) => {
    if (head.copy(into, 0, at) < into.length) throw truncated(path, at + into.length, head.length);
  });
}

/** Bytes from the start of an .npy that have its header. */
export const MAX_HEAD_BYTES = MAX_HEADER_BYTES + 12;

/** The number of bytes of an array's elements. Throws a UserError for a shape that no file can hold. */
export function byteCount({ path, shape, dtype }: Pick<ArrayFile, 'path' | 'shape' | 'dtype'>): number {
  const bytes = elementCount(shape) * dtype.size;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new UserError(
    `${path} has shape ${tuple(shape)}, more than any file can hold: its header is damaged; copy or save it again`,
  );
}

/** What follows the array in its file, as `NpyWriter.finish` wrote it. */
export function readAppendix(file: ArrayFile): Buffer {
  const start = file.offset + byteCount(file);
  const { size } = attempted(file.path, 'read', () => fstatSync(file.fd));
  const bytes = Buffer.alloc(size - start);
  readFully(file, bytes, start);
  return bytes;
}

/** Returns the file; throws a UserError if it has fewer bytes than its shape needs. */
export function assertComplete<File extends Omit<ArrayFile, 'fd'>>(file: File, size: number): File {
  const expected = file.offset + byteCount(file);
  if (size < expected) throw truncated(file.path, expected, size);
  return file;
}

/** `size`: of the file, of which `read` reads. */
function readHeader(path: string, size: number, read: (into: Buffer, at: number) => void): NpyHeader {
  const head = Buffer.alloc(Math.min(12, size));
  read(head, 0);
  if (!isNpy(head)) throw new UserError(`${path} is not a NumPy file: save the array with numpy.save`);
  if (size < 12) throw truncated(path, 12, size);
  const version = head[6];
  if (version < 1 || version > 3)
    throw new UserError(
      `${path} has .npy format ${version}, supported are 1 to 3: save it again with numpy.save`,
    );
  const headerStart = version === 1 ? 10 : 12;
  const length = version === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  if (length > MAX_HEADER_BYTES)
    throw new UserError(
      `${path} has a header of ${length} bytes, too long for an array of numbers: save one with numpy.save`,
    );
  if (headerStart + length > size) throw truncated(path, headerStart + length, size);
  const text = Buffer.alloc(length);
  read(text, headerStart);
  const header = parseHeader(path, text.toString(version === 3 ? 'utf8' : 'latin1'));
  // Pickled objects have any length, so the check for truncation would be wrong.
  if (header.dtype.kind === 'O')
    throw new UserError(
      `${path} contains Python objects (${header.dtype.descr}): save numbers with x.astype('float32'), labels with x.astype(str)`,
    );
  return { ...header, offset: headerStart + length };
}

function parseHeader(path: string, header: string) {
  const descr = /^(?:'([^']*)'|"([^"]*)"|(\[[^\]]*\]))/.exec(textAfterKey(header, 'descr'));
  const order = /^(True|False)/.exec(textAfterKey(header, 'fortran_order'));
  const shape = /^\(([\dL,\s]*)\)/.exec(textAfterKey(header, 'shape'));
  const parts = shape?.[1].split(',').map((part) => part.trim()) ?? [];
  // What stands behind the last comma, or in `()`.
  if (parts.at(-1) === '') parts.pop();
  const lengths = parts.map((part) => (/^\d+L?$/.test(part) ? Number.parseInt(part, 10) : Number.NaN));
  if (!descr || !order || !shape || !lengths.every(Number.isSafeInteger))
    throw new UserError(`${path} is not a NumPy file: its header is damaged; save it again with numpy.save`);
  return {
    dtype: parseDtype(descr[1] ?? descr[2] ?? descr[3]),
    fortran: order[1] === 'True',
    shape: lengths,
  };
}

/**
 * The header from the value of the key's first occurrence on; '' without the key. The caller matches only at its start, so
 * that parsing takes linear time.
 */
function textAfterKey(header: string, key: string): string {
  const match = new RegExp(`['"]${key}['"]\\s*:\\s*`).exec(header);
  return match ? header.slice(match.index + match[0].length) : '';
}

/** Throws a UserError unless the elements are bools, integers or floats of at most 64 bits. */
export function assertNumeric({ path, dtype }: Pick<ArrayFile, 'path' | 'dtype'>): void {
  if (isReadable(dtype)) return;
  const content =
    { c: 'complex numbers', U: 'strings', S: 'strings', V: 'records' }[dtype.kind] ??
    'elements of an unsupported type';
  const fix = dtype.kind === 'c' ? "x.real.astype('float32')" : "x.astype('float32')";
  throw new UserError(
    `${path} contains ${content} (${dtypeName(dtype).slice(0, 60)}): save real numbers, such as ${fix}`,
  );
}

/** Throws a UserError unless the array has rows and columns. */
export function assertTable({ path, shape }: Pick<ArrayFile, 'path' | 'shape'>): void {
  if (shape.length < 2)
    throw new UserError(
      `${path} has shape ${tuple(shape)}, not (rows, columns): save it again as x.reshape(-1, 1)`,
    );
  if (shape[0] === 0)
    throw new NoRows(`${path} has no rows (its shape is ${tuple(shape)}): save it again with data`);
  if (elementCount(shape) === 0)
    throw new UserError(`${path} has no columns (its shape is ${tuple(shape)}): save it again with data`);
}

/** The expected size of rows. */
export type ExpectedSize = Readonly<{ rows: number; dim: number }>;

/** Throws a UserError if rows of another size are expected. */
export function assertSize(path: string, shape: readonly number[], expected?: ExpectedSize): void {
  if (expected && (shape[0] !== expected.rows || elementCount(shape.slice(1)) !== expected.dim))
    throw new UserError(`${path} has shape ${tuple(shape)}, not (${expected.rows}, ${expected.dim})`);
}

/** The number of elements that are read and converted at a time. */
export const CHUNK_ELEMENTS = 1 << 18;

/**
 * Reads an entire array of numbers, of any shape, in C order, as the closest native type. Throws a UserError if it is not a
 * valid .npy of real numbers.
 */
export function readNpy(path: string, options?: FileOptions): { shape: number[]; data: NumericArray } {
  const file = openNpy(path, path, options);
  try {
    assertNumeric(file);
    const shape = [...file.shape];
    const bytes = new Uint8Array(elementCount(shape) * file.dtype.size);
    readFully(file, bytes, file.offset);
    const data = decode(bytes, file.dtype);
    return { shape, data: file.fortran ? toCOrder(data, shape) : data };
  } finally {
    closeSync(file.fd);
  }
}

/** Fortran order to C order. */
function toCOrder(data: NumericArray, shape: number[]): NumericArray {
  const out = data.slice();
  const index = shape.map(() => 0);
  const strides = shape.map((_, axis) => elementCount(shape.slice(0, axis)));
  for (let i = 0, from = 0; i < data.length; i++) {
    out[i] = data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/**
 * Starts an .npy of any element type, written as raw bytes, in chunks, to a temporary file. Throws a UserError if the disk is full,
 * or the folder is missing or not writable.
 */
export function createNpyBytes(
  path: string,
  descr: string,
  shape: readonly number[],
  options?: AtomicFileOptions,
) {
  const { size } = parseDtype(descr);
  const header = npyHeader(descr, shape);
  const file = createAtomicFile(path, options);
  file.resize(header.length + elementCount(shape) * size);
  return {
    /** Writes from byte `first` of the array on, in C order. Chunks may come in any order. */
    write: (bytes: Uint8Array, first: number) => file.write(bytes, header.length + first),
    read: (into: Uint8Array, first: number) => file.read(into, header.length + first),
    /** SHA-256, in hexadecimal, of the file that `finish` makes with what has been written. */
    sha256() {
      file.write(header, 0);
      return file.sha256();
    },
    /**
     * Makes the file durable under its name, with another shape than announced if one is given. Elements that were not written are
     * zeros. `appendix`: what follows the array, which readers of arrays ignore.
     */
    finish(finalShape = shape, appendix = new Uint8Array()): void {
      const end = header.length + elementCount(finalShape) * size;
      file.resize(end);
      file.write(appendix, end);
      file.write(npyHeader(descr, finalShape), 0);
      file.finish();
    },
    /** Removes the temporary file. */
    abort: file.abort,
  };
}

/** The header of an array of this type, in C order. */
export function npyHeader(descr: string, shape: readonly number[]): Buffer {
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple(shape)}, }`;
  const length = Math.ceil((dict.length + 11) / 64) * 64;
  const head = Buffer.from(`\x93NUMPY\x01\0\0\0${dict.padEnd(length - 11)}\n`, 'latin1');
  head.writeUInt16LE(length - 10, 8);
  return head;
}

/** Numbers that can be changed in place. */
export interface MutableNumbers {
  readonly length: number;
  [index: number]: number;
}

/** Starts an .npy of numbers as `createNpyBytes` does. Writing outside of `shape` throws a RangeError. */
export function createNpy(
  path: string,
  dtype: WritableDtype,
  shape: readonly number[],
  options?: AtomicFileOptions,
) {
  const { read, ...file } = createNpyBytes(path, dtype, shape, options);
  /** From element `first` on. */
  const write = (data: NumericArray | readonly number[], first: number) => {
    if (first < 0 || first + data.length > elementCount(shape))
      throw new RangeError(
        `cannot write ${data.length} elements at ${first} of ${path}, which has shape ${tuple(shape)}`,
      );
    const converted = data instanceof WRITABLE[dtype] ? data : WRITABLE[dtype].from(data);
    file.write(littleEndian(converted), first * converted.BYTES_PER_ELEMENT);
  };
  return {
    ...file,
    write,
    /**
     * Changes what has been written: reads the file in pieces, each of them some times `width` elements, and writes each
     * back once `change` has changed it. In bounded memory, and without holding up the event loop.
     */
    async update(width: number, change: (piece: MutableNumbers) => void): Promise<void> {
      const element = parseDtype(dtype);
      const most = width * Math.max(1, Math.floor(CHUNK_ELEMENTS / width));
      for (const { from, to } of ranges(elementCount(shape), most)) {
        await yieldToEventLoop();
        const bytes = new Uint8Array((to - from) * element.size);
        read(bytes, from * element.size);
        const piece = decode(bytes, element);
        change(piece);
        write(piece, from);
      }
    },
  };
}

function littleEndian({ buffer, byteOffset, byteLength, BYTES_PER_ELEMENT }: NumericArray): Uint8Array {
  const bytes = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
  if (HOST_ORDER === '<' || BYTES_PER_ELEMENT === 1) return bytes;
  const copy = bytes.slice();
  swapBytes(copy, BYTES_PER_ELEMENT);
  return copy;
}

/** Writes an entire .npy atomically and durably. `data` is in C order and is converted as by assignment to a typed array. */
export function writeNpy(
  path: string,
  dtype: WritableDtype,
  shape: readonly number[],
  data: NumericArray | readonly number[],
): void {
  if (data.length !== elementCount(shape))
    throw new RangeError(`${data.length} elements do not fill ${path}, which has shape ${tuple(shape)}`);
  const file = createNpy(path, dtype, shape);
  file.write(data, 0);
  file.finish();
}
