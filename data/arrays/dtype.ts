import { endianness } from 'node:os';

/** Element types of arrays in files, and their bytes as numbers. */

/** An element type of NumPy: `<f4` has byte order `<`, kind `f` and size 4 (bytes). */
export interface NpyDtype {
  readonly order: string;
  readonly kind: string;
  readonly size: number;
  /** NumPy's notation, such as `<f4`; for a record type, its list of fields. */
  readonly descr: string;
}

const KIND_NAMES: Record<string, string> = { f: 'float', bf: 'bfloat', i: 'int', u: 'uint', c: 'complex' };
/** This machine's byte order, in NumPy's notation. */
export const HOST_ORDER = endianness() === 'LE' ? '<' : '>';

const isForeignOrder = ({ order, size }: NpyDtype) => size > 1 && (order === '>') !== (HOST_ORDER === '>');

/** The name of an element type for messages: `float32`, `>f8` (not this machine's byte order), `bool`, `<U5`. */
export function dtypeName(dtype: NpyDtype): string {
  if (dtype.kind === 'b') return 'bool';
  const name = KIND_NAMES[dtype.kind];
  return name && !isForeignOrder(dtype) ? `${name}${dtype.size * 8}` : dtype.descr;
}

/** Parses NumPy's notation of an element type. Anything else, such as a record's list of fields, gets kind `V`. */
export function parseDtype(descr: string): NpyDtype {
  const [, order, kind, digits] = /^([<>|=]?)([a-zA-Z])(\d*)/.exec(descr) ?? ['', '|', 'V', '0'];
  const size = Number(digits || 0) * (kind === 'U' ? 4 : 1);
  return { order: order === '>' ? '>' : '<', kind, size, descr };
}

/** Google's float of 16 bits, which NumPy does not have: the upper half of a float32. */
export const BFLOAT16: NpyDtype = { order: '<', kind: 'bf', size: 2, descr: 'bfloat16' };

const READABLE = /^(b?f2|f[48]|[iu][1248]|b1)$/;

/** Can `decode` read it: is it a bool, or an integer or float of at most 64 bits? */
export const isReadable = ({ kind, size }: NpyDtype) => READABLE.test(kind + size);

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
  if (isHalf(type)) return widen(new Uint16Array(buffer, byteOffset, length), type, new Float32Array(length));
  if (type === 'i8') return toFloat64(new BigInt64Array(buffer, byteOffset, length));
  if (type === 'u8') return toFloat64(new BigUint64Array(buffer, byteOffset, length));
  return new VIEWS[type as keyof typeof VIEWS](buffer, byteOffset, length);
}

/** Decodes into an array of as many numbers. */
export function decodeInto(
  out: Float32Array | Float64Array,
  bytes: Uint8Array<ArrayBuffer>,
  dtype: NpyDtype,
): void {
  const type = dtype.kind + dtype.size;
  if (isHalf(type)) {
    if (isForeignOrder(dtype)) swapBytes(bytes, 2);
    widen(new Uint16Array(bytes.buffer, bytes.byteOffset, out.length), type, out);
  } else out.set(decode(bytes, dtype));
}

/** Reverses the bytes of each element, in place. */
export function swapBytes({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>, size: number): void {
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

/** Floats of 16 bits: the value of each of their bit patterns. */
const HALVES = {
  f2: () => Float32Array.from({ length: 1 << 16 }, (_, bits) => halfValue(bits)),
  bf2: () => new Float32Array(Uint32Array.from({ length: 1 << 16 }, (_, bits) => bits << 16).buffer),
};
const halfValues: { [Type in keyof typeof HALVES]?: Float32Array } = {};
const isHalf = (type: string): type is keyof typeof HALVES => type in HALVES;

function widen<T extends Float32Array | Float64Array>(
  halves: Uint16Array,
  type: keyof typeof HALVES,
  out: T,
): T {
  halfValues[type] ??= HALVES[type]();
  const values = halfValues[type];
  for (let i = 0; i < out.length; i++) out[i] = values[halves[i]];
  return out;
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}
