/** Named arrays, as tasks take and give them. */
export type Tensors = Record<string, Nd>;

/** A dense row-major array with its shape. */
export interface Nd<A extends TypedArray = TypedArray> {
  shape: readonly number[];
  data: A;
}

export type TypedArray = Float64Array | Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

const KINDS = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
} as const;

export type TensorDtype = keyof typeof KINDS;
export const DTYPES = Object.keys(KINDS) as [TensorDtype, ...TensorDtype[]];

/** The narrowest type of labels 0 … k−1. */
export const labelDtype = (k: number) => (k <= 256 ? 'uint8' : k <= 65536 ? 'uint16' : 'int32');

/** An array of zeros. */
export const zeros = (dtype: TensorDtype, length: number): TypedArray => new KINDS[dtype](length);

export function nd<A extends TypedArray>(data: A, ...shape: number[]): Nd<A> {
  return { shape: shape.length ? shape : [data.length], data };
}

export const elements = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

export function dtypeOf(data: TypedArray): TensorDtype {
  return DTYPES.find((name) => data instanceof KINDS[name])!;
}

export const bytesIn = (dtype: TensorDtype, shape: readonly number[]) =>
  elements(shape) * KINDS[dtype].BYTES_PER_ELEMENT;

/** The bytes behind an array, not copied. The array must not change until they are sent. */
export function bytesOf(data: TypedArray): Buffer {
  return Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** The array behind bytes; copied only where they start off the element's alignment. Throws on a wrong length. */
export function arrayOf(dtype: TensorDtype, shape: readonly number[], bytes: Uint8Array): TypedArray {
  const Kind = KINDS[dtype];
  const length = elements(shape);
  if (bytes.byteLength !== length * Kind.BYTES_PER_ELEMENT)
    throw new RangeError(
      `${dtype}[${shape}] needs ${length * Kind.BYTES_PER_ELEMENT} bytes, not ${bytes.byteLength}`,
    );
  // A Buffer's own `slice` does not copy.
  const aligned = bytes.byteOffset % Kind.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new Kind(aligned.buffer as ArrayBuffer, aligned.byteOffset, length);
}

/** The named array, which must be of this dtype and, if given, of this length. */
export function take<D extends TensorDtype>(
  tensors: Tensors,
  name: string,
  dtype: D,
  length?: number,
): InstanceType<(typeof KINDS)[D]> {
  const found = tensors[name]?.data;
  if (!(found instanceof KINDS[dtype])) throw new TypeError(`${name} is missing or not ${dtype}`);
  if (length !== undefined && found.length !== length)
    throw new RangeError(`${name} has ${found.length} elements, not ${length}`);
  return found as InstanceType<(typeof KINDS)[D]>;
}
