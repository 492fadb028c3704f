import { closeSync } from 'node:fs';
import { endianness } from 'node:os';
import { aside, openFile, readFully, truncated } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';

/** An element type as NumPy spells it: `<f4` is order `<`, kind `f`, size 4 (bytes). */
export interface Dtype {
  readonly order: string;
  readonly kind: string;
  readonly size: number;
  /** NumPy's own spelling; for a record type, its list of fields. */
  readonly descr: string;
}

/** An open file of equal-sized elements in C (or Fortran) order from byte `offset` on, known to be whole. */
export interface ArrayFile {
  readonly path: string;
  readonly fd: number;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly fortran: boolean;
  readonly offset: number;
}

/** The element types `writeNpy` and `createNpy` write. */
const WRITABLE = { '<i4': Int32Array, '<f4': Float32Array, '<f8': Float64Array, '|u1': Uint8Array };
export type WritableDtype = keyof typeof WRITABLE;

/** NumPy's own are of some hundred bytes; only records with thousands of fields are longer. */
const LONGEST_HEADER = 1 << 16;
const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const KINDS: Record<string, string> = { f: 'float', i: 'int', u: 'uint', c: 'complex' };
/** This machine's byte order, as NumPy spells it. */
export const HOST = endianness() === 'LE' ? '<' : '>';

/** How many elements a shape has. */
export const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
/** A shape as Python prints it. */
export const tuple = (shape: readonly number[]) => `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
const foreign = ({ order, size }: Dtype) => size > 1 && (order === '>') !== (HOST === '>');

/** `float32`, `>f8` (not this machine's byte order), `bool`, `<U5`: an element type for people. */
export function dtypeName(dtype: Dtype): string {
  if (dtype.kind === 'b') return 'bool';
  const known = KINDS[dtype.kind];
  return known && !foreign(dtype) ? `${known}${dtype.size * 8}` : dtype.descr;
}

/** Does a file that begins with these bytes claim to be an .npy? */
export const isNpy = (head: Uint8Array) => MAGIC.equals(head.subarray(0, MAGIC.length));

/** Opens an .npy (format 1 to 3) of any element type and shape; `path` is what messages call it. */
export function openNpy(file: string, path = file): ArrayFile {
  const { fd, size } = openFile(file);
  try {
    const file = { path, fd, ...readHeader({ fd, path }, size) };
    // Pickled, of any length: nothing that could be truncated.
    if (file.dtype.kind === 'O')
      throw new UserError(
        `${path} holds Python objects (${file.dtype.descr}): save numbers with x.astype('float32'), labels with x.astype(str)`,
      );
    return whole(file, size);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The same file, if it has all the bytes its shape asks for; else a UserError. */
export function whole(file: ArrayFile, size: number): ArrayFile {
  const expected = file.offset + product(file.shape) * file.dtype.size;
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
    throw new UserError(`${file.path} is of .npy format ${version}, newer than 3: save it with numpy.save`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  if (length > LONGEST_HEADER)
    throw new UserError(
      `${file.path} has a header of ${length} bytes, more than any array of numbers: save one with numpy.save`,
    );
  if (start + length > size) throw truncated(file.path, start + length, size);
  const text = Buffer.alloc(length);
  readFully(file, text, start);
  return {
    ...parseHeader(file.path, text.toString(version === 3 ? 'utf8' : 'latin1')),
    offset: start + length,
  };
}

function parseHeader(path: string, header: string) {
  const descr = /^(?:'([^']*)'|"([^"]*)"|(\[[^\]]*\]))/.exec(behindKey(header, 'descr'));
  const order = /^(True|False)/.exec(behindKey(header, 'fortran_order'));
  const shape = /^\(([\dL,\s]*)\)/.exec(behindKey(header, 'shape'));
  const numbers = shape?.[1].split(',').filter((part) => part.trim()) ?? [];
  const lengths = numbers.map((part) => Number.parseInt(part, 10));
  if (!descr || !order || !shape || !lengths.every(Number.isSafeInteger))
    throw new UserError(`${path} is not a NumPy file: its header is damaged; save it again with numpy.save`);
  return {
    dtype: parseDtype(descr[1] ?? descr[2] ?? descr[3]),
    fortran: order[1] === 'True',
    shape: lengths,
  };
}

/** The text from a key's first value on, empty without the key. What comes behind is not searched again: in linear time. */
function behindKey(header: string, key: string): string {
  const found = new RegExp(`['"]${key}['"]\\s*:\\s*`).exec(header);
  return found ? header.slice(found.index + found[0].length) : '';
}

/** An element type from NumPy's spelling. What is not one, such as a record's list of fields, is of kind `V`. */
export function parseDtype(descr: string): Dtype {
  const [, order, kind, digits] = /^([<>|=]?)([a-zA-Z])(\d*)/.exec(descr) ?? ['', '|', 'V', '0'];
  const size = Number(digits || 0) * (kind === 'U' ? 4 : 1);
  return { order: order === '>' ? '>' : '<', kind, size, descr };
}

const READABLE = /^(f[248]|[iu][1248]|b1)$/;

/** Throws a UserError unless the elements are plain real numbers. */
export function assertNumeric({ path, dtype }: ArrayFile): void {
  if (READABLE.test(dtype.kind + dtype.size)) return;
  const what =
    { c: 'complex numbers', U: 'strings', S: 'strings', V: 'records' }[dtype.kind] ??
    'elements that dpmesh does not read';
  const fix = dtype.kind === 'c' ? "x.real.astype('float32')" : "x.astype('float32')";
  throw new UserError(
    `${path} holds ${what} (${dtypeName(dtype).slice(0, 60)}): save real numbers, such as ${fix}`,
  );
}

/** Elements to convert at a time: what a read holds besides its answer. */
export const PIECE = 1 << 18;

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

type Integers = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;
export type Numbers = Float32Array | Float64Array | Integers;

/** The elements in `bytes` (8-byte aligned; may be swapped in place). 64-bit integers come as float64. */
export function decode(bytes: Uint8Array<ArrayBuffer>, dtype: Dtype): Numbers {
  if (foreign(dtype)) swap(bytes, dtype.size);
  const { buffer, byteOffset } = bytes;
  const type = dtype.kind + dtype.size;
  const length = bytes.length / dtype.size;
  if (type === 'f2') return halves(new Uint16Array(buffer, byteOffset, length));
  if (type === 'i8') return doubles(new BigInt64Array(buffer, byteOffset, length));
  if (type === 'u8') return doubles(new BigUint64Array(buffer, byteOffset, length));
  return new VIEWS[type as keyof typeof VIEWS](buffer, byteOffset, length);
}

function swap({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>, size: number): void {
  const bytes = Buffer.from(buffer, byteOffset, length);
  if (size === 2) bytes.swap16();
  else if (size === 4) bytes.swap32();
  else bytes.swap64();
}

function doubles(wide: BigInt64Array | BigUint64Array): Float64Array {
  const out = new Float64Array(wide.length);
  for (let i = 0; i < out.length; i++) out[i] = Number(wide[i]);
  return out;
}

let halfValues: Float32Array | undefined;

function halves(bits: Uint16Array): Float32Array {
  halfValues ??= Float32Array.from({ length: 65536 }, (_, half) => halfValue(half));
  const out = new Float32Array(bits.length);
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

/** A whole array, of any shape and of numbers, in C order and the closest native type. For arrays that fit in memory. */
export function readNpy(path: string): { shape: number[]; data: Numbers } {
  const file = openNpy(path);
  try {
    assertNumeric(file);
    const shape = [...file.shape];
    const bytes = new Uint8Array(product(shape) * file.dtype.size);
    readFully(file, bytes, file.offset);
    const data = decode(bytes, file.dtype);
    return { shape, data: file.fortran ? transposed(data, shape) : data };
  } finally {
    closeSync(file.fd);
  }
}

/** Fortran order to C order. */
function transposed(data: Numbers, shape: number[]): Numbers {
  const out = data.slice();
  const index = shape.map(() => 0);
  const strides = shape.map((_, axis) => product(shape.slice(0, axis)));
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

/** An .npy being written aside, in pieces; `finish` puts it in place of `path`, `abort` leaves nothing behind. */
export interface NpyWriter<Data> {
  /** Puts `data` at element `first` (for bytes: at byte `first`), in C order; pieces may come in any order. */
  write(data: Data, first: number): void;
  /** Makes it durable under its name. Elements never written are zeros. `shape`, if the first one was a guess. */
  finish(shape?: readonly number[]): void;
  abort(): void;
}

/**
 * Writes an .npy of any element type from its bytes as they are to lie in the file, with permissions `mode`. A
 * UserError if the disk is full, or the folder missing or not writable.
 */
export function createNpyBytes(
  path: string,
  descr: string,
  shape: readonly number[],
  mode?: number,
): NpyWriter<Uint8Array> {
  const { size } = parseDtype(descr);
  const header = npyHeader(descr, shape);
  const file = aside(path, mode);
  file.resize(header.length + product(shape) * size);
  return {
    write: (bytes, first) => file.write(bytes, header.length + first),
    finish(final = shape) {
      file.resize(header.length + product(final) * size);
      file.write(npyHeader(descr, final), 0);
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

/** Writes an .npy of `shape` in pieces: see `NpyWriter`. A RangeError for a piece outside of it. */
export function createNpy(
  path: string,
  dtype: WritableDtype,
  shape: readonly number[],
): NpyWriter<Numbers | readonly number[]> {
  const file = createNpyBytes(path, dtype, shape);
  return {
    ...file,
    write(data, first) {
      if (first < 0 || first + data.length > product(shape))
        throw new RangeError(`${data.length} elements at ${first} of ${path}, of shape ${tuple(shape)}`);
      const own = data instanceof WRITABLE[dtype] ? data : WRITABLE[dtype].from(data);
      file.write(littleEndian(own), first * own.BYTES_PER_ELEMENT);
    },
  };
}

function littleEndian({ buffer, byteOffset, byteLength, BYTES_PER_ELEMENT }: Numbers): Uint8Array {
  const bytes = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
  if (HOST === '<' || BYTES_PER_ELEMENT === 1) return bytes;
  const copy = bytes.slice();
  swap(copy, BYTES_PER_ELEMENT);
  return copy;
}

/** Writes a whole .npy: aside, then durably in place. `data` is in C order, converted as a typed array would. */
export function writeNpy(
  path: string,
  dtype: WritableDtype,
  shape: readonly number[],
  data: Numbers | readonly number[],
): void {
  if (data.length !== product(shape))
    throw new RangeError(`${data.length} elements for ${path}, of shape ${tuple(shape)}`);
  const file = createNpy(path, dtype, shape);
  file.write(data, 0);
  file.finish();
}
