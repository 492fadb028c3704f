import { closeSync } from 'node:fs';
import { endianness } from 'node:os';
import {
  type AtomicFile,
  type AtomicFileOptions,
  createAtomicFile,
  type OpenOptions,
  openFile,
  readFully,
  truncated,
} from '../base/files.ts';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { UserError } from '../base/user-error.ts';
import { elementCount } from '../model/arrays.ts';

/** An element type of NumPy: `<f4` has byte order `<`, kind `f` and size 4 (bytes). */
export interface NpyDtype {
  readonly order: string;
  readonly kind: string;
  readonly size: number;
  /** NumPy's notation, such as `<f4`; for a record type, its list of fields. */
  readonly descr: string;
}

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
const KIND_NAMES: Record<string, string> = { f: 'float', i: 'int', u: 'uint', c: 'complex' };
/** This machine's byte order, in NumPy's notation. */
export const HOST_ORDER = endianness() === 'LE' ? '<' : '>';

/** A shape as Python prints it. */
export const tuple = (shape: readonly number[]) => `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
const isForeignOrder = ({ order, size }: NpyDtype) => size > 1 && (order === '>') !== (HOST_ORDER === '>');

/** The name of an element type for messages: `float32`, `>f8` (not this machine's byte order), `bool`, `<U5`. */
export function dtypeName(dtype: NpyDtype): string {
  if (dtype.kind === 'b') return 'bool';
  const name = KIND_NAMES[dtype.kind];
  return name && !isForeignOrder(dtype) ? `${name}${dtype.size * 8}` : dtype.descr;
}

/** Do these first bytes of a file have the magic number of .npy? */
export const isNpy = (head: Uint8Array) => MAGIC.equals(head.subarray(0, MAGIC.length));

/**
 * Opens an .npy (format 1 to 3) of any element type and shape. `path` is its name in messages. Throws a UserError if it is
 * not a valid .npy, or is truncated.
 */
export function openNpy(file: string, path = file, options?: OpenOptions): ArrayFile {
  const { fd, size } = openFile(file, options);
  try {
    const file = { path, fd, ...readHeader({ fd, path }, size) };
    // Pickled objects have any length, so the check for truncation would be wrong.
    if (file.dtype.kind === 'O')
      throw new UserError(
        `${path} contains Python objects (${file.dtype.descr}): save numbers with x.astype('float32'), labels with x.astype(str)`,
      );
    return assertComplete(file, size);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The number of bytes of an array's elements. Throws a UserError for a shape that no file can hold. */
export function byteCount({ path, shape, dtype }: Pick<ArrayFile, 'path' | 'shape' | 'dtype'>): number {
  const bytes = elementCount(shape) * dtype.size;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new UserError(
    `${path} has shape ${tuple(shape)}, more than any file can hold: its header is damaged; copy or save it again`,
  );
}

/** Returns the file; throws a UserError if it has fewer bytes than its shape needs. */
export function assertComplete(file: ArrayFile, size: number): ArrayFile {
  const expected = file.offset + byteCount(file);
  if (size < expected) throw truncated(file.path, expected, size);
  return file;
}

function readHeader(file: Pick<ArrayFile, 'fd' | 'path'>, size: number) {
  const head = Buffer.alloc(Math.min(12, size));
  readFully(file, head, 0);
  if (!isNpy(head)) throw new UserError(`${file.path} is not a NumPy file: save the array with numpy.save`);
  if (size < 12) throw truncated(file.path, 12, size);
  const version = head[6];
  if (version < 1 || version > 3)
    throw new UserError(
      `${file.path} has .npy format ${version}, supported are 1 to 3: save it again with numpy.save`,
    );
  const headerStart = version === 1 ? 10 : 12;
  const length = version === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  if (length > MAX_HEADER_BYTES)
    throw new UserError(
      `${file.path} has a header of ${length} bytes, too long for an array of numbers: save one with numpy.save`,
    );
  if (headerStart + length > size) throw truncated(file.path, headerStart + length, size);
  const text = Buffer.alloc(length);
  readFully(file, text, headerStart);
  return {
    ...parseHeader(file.path, text.toString(version === 3 ? 'utf8' : 'latin1')),
    offset: headerStart + length,
  };
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

/** Parses NumPy's notation of an element type. Anything else, such as a record's list of fields, gets kind `V`. */
export function parseDtype(descr: string): NpyDtype {
  const [, order, kind, digits] = /^([<>|=]?)([a-zA-Z])(\d*)/.exec(descr) ?? ['', '|', 'V', '0'];
  const size = Number(digits || 0) * (kind === 'U' ? 4 : 1);
  return { order: order === '>' ? '>' : '<', kind, size, descr };
}

const READABLE = /^(f[248]|[iu][1248]|b1)$/;

/** Throws a UserError unless the elements are bools, integers or floats of at most 64 bits. */
export function assertNumeric({ path, dtype }: ArrayFile): void {
  if (READABLE.test(dtype.kind + dtype.size)) return;
  const content =
    { c: 'complex numbers', U: 'strings', S: 'strings', V: 'records' }[dtype.kind] ??
    'elements of an unsupported type';
  const fix = dtype.kind === 'c' ? "x.real.astype('float32')" : "x.astype('float32')";
  throw new UserError(
    `${path} contains ${content} (${dtypeName(dtype).slice(0, 60)}): save real numbers, such as ${fix}`,
  );
}

/** The number of elements that are read and converted at a time. */
export const CHUNK_ELEMENTS = 1 << 18;

const VIEWS = {
  f4: Float32Array,
  f8: Float64Array,
  i1: Int8Array,
  i2: Int16Array,
  i4: Int32Array,
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
  b1: Uint8Array,
};

type IntegerArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;
export type NumericArray = Float32Array | Float64Array | IntegerArray;

/** The elements in `bytes`, which must be 8-byte aligned and may be byte-swapped in place. 64-bit integers become float64. */
export function decode(bytes: Uint8Array<ArrayBuffer>, dtype: NpyDtype): NumericArray {
  if (isForeignOrder(dtype)) swapBytes(bytes, dtype.size);
  const { buffer, byteOffset } = bytes;
  const type = dtype.kind + dtype.size;
  const length = bytes.length / dtype.size;
  if (type === 'f2')
    return halfToFloat(new Uint16Array(buffer, byteOffset, length), new Float32Array(length));
  if (type === 'i8') return toFloat64(new BigInt64Array(buffer, byteOffset, length));
  if (type === 'u8') return toFloat64(new BigUint64Array(buffer, byteOffset, length));
  return new VIEWS[type as keyof typeof VIEWS](buffer, byteOffset, length);
}

/** The same, into an array of as many numbers. */
export function decodeInto(
  out: Float32Array | Float64Array,
  bytes: Uint8Array<ArrayBuffer>,
  dtype: NpyDtype,
): void {
  if (dtype.kind === 'f' && dtype.size === 2) {
    if (isForeignOrder(dtype)) swapBytes(bytes, 2);
    halfToFloat(new Uint16Array(bytes.buffer, bytes.byteOffset, out.length), out);
  } else out.set(decode(bytes, dtype));
}

function swapBytes({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>, size: number): void {
  const bytes = Buffer.from(buffer, byteOffset, length);
  if (size === 2) bytes.swap16();
  else if (size === 4) bytes.swap32();
  else bytes.swap64();
}

function toFloat64(wide: BigInt64Array | BigUint64Array): Float64Array {
  const out = new Float64Array(wide.length);
  for (let i = 0; i < out.length; i++) out[i] = Number(wide[i]);
  return out;
}

let halfValues: Float32Array | undefined;

function halfToFloat<T extends Float32Array | Float64Array>(bits: Uint16Array, out: T): T {
  halfValues ??= Float32Array.from({ length: 65536 }, (_, half) => halfValue(half));
  for (let i = 0; i < out.length; i++) out[i] = halfValues[bits[i]];
  return out;
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

/**
 * Reads an entire array of numbers, of any shape, in C order, as the closest native type. Throws a UserError if it is not a
 * valid .npy of real numbers.
 */
export function readNpy(path: string, options?: OpenOptions): { shape: number[]; data: NumericArray } {
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

/** Writes an .npy in chunks to a temporary file; `finish` renames it to `path`, `abort` removes it. */
export interface NpyWriter<Data> {
  /** Writes `data` from element `first` on (for bytes: from byte `first` on), in C order. Chunks may come in any order. */
  write(data: Data, first: number): void;
  /**
   * Makes the file durable under its name, with another shape than announced if `shape` is given. Elements that were not
   * written are zeros. `appendix`: what follows the array, which readers of arrays ignore.
   */
  finish(shape?: readonly number[], appendix?: Uint8Array): void;
  /** SHA-256, in hexadecimal, of the file that `finish` makes with what has been written. */
  sha256(): Promise<string>;
  abort(): void;
}

/** Numbers that can be changed in place. */
export interface MutableNumbers {
  readonly length: number;
  [index: number]: number;
}

export interface NpyNumbersWriter extends NpyWriter<NumericArray | readonly number[]> {
  /**
   * Changes what has been written: reads the file in pieces, each of them some times `width` elements, and writes each
   * back once `change` has changed it. In bounded memory, and without holding up the event loop.
   */
  update(width: number, change: (piece: MutableNumbers) => void): Promise<void>;
}

/**
 * Starts an .npy of any element type, written as raw bytes. Throws a UserError if the disk is full,
 * or the folder is missing or not writable.
 */
export function createNpyBytes(
  path: string,
  descr: string,
  shape: readonly number[],
  options?: AtomicFileOptions,
): NpyWriter<Uint8Array> & Pick<AtomicFile, 'read'> {
  const { size } = parseDtype(descr);
  const header = npyHeader(descr, shape);
  const file = createAtomicFile(path, options);
  file.resize(header.length + elementCount(shape) * size);
  return {
    write: (bytes, first) => file.write(bytes, header.length + first),
    read: (into, first) => file.read(into, header.length + first),
    sha256() {
      file.write(header, 0);
      return file.sha256();
    },
    finish(finalShape = shape, appendix = new Uint8Array()) {
      const end = header.length + elementCount(finalShape) * size;
      file.resize(end);
      file.write(appendix, end);
      file.write(npyHeader(descr, finalShape), 0);
      file.finish();
    },
    abort: file.abort,
  };
}

function npyHeader(descr: string, shape: readonly number[]): Buffer {
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple(shape)}, }`;
  const length = Math.ceil((dict.length + 11) / 64) * 64;
  const head = Buffer.from(`\x93NUMPY\x01\0\0\0${dict.padEnd(length - 11)}\n`, 'latin1');
  head.writeUInt16LE(length - 10, 8);
  return head;
}

/** Starts an .npy of numbers: see `NpyWriter`. Writing outside of `shape` throws a RangeError. */
export function createNpy(
  path: string,
  dtype: WritableDtype,
  shape: readonly number[],
  options?: AtomicFileOptions,
): NpyNumbersWriter {
  const { read, ...file } = createNpyBytes(path, dtype, shape, options);
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
    async update(width, change) {
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
