import { elementCount } from '../model/arrays.ts';
/** Named arrays: the inputs and results of tasks. */
export type Tensors = Record<string, Nd>;

/** A dense row-major array with its shape. */
export interface Nd<A extends TypedArray = TypedArray> {
  shape: readonly number[];
  data: A;
}

export type TypedArray = Float64Array | Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

const ARRAYS = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
} as const;

export type TensorDtype = keyof typeof ARRAYS;
export const DTYPES = Object.keys(ARRAYS) as [TensorDtype, ...TensorDtype[]];

/** The narrowest type for labels 0 … k−1. */
export const labelDtype = (k: number) => (k <= 256 ? 'uint8' : k <= 65536 ? 'uint16' : 'int32');

/** An array of zeros. */
export const zeros = (dtype: TensorDtype, length: number): TypedArray => new ARRAYS[dtype](length);

export function nd<A extends TypedArray>(data: A, ...shape: number[]): Nd<A> {
  return { shape: shape.length ? shape : [data.length], data };
}

export function dtypeOf(data: TypedArray): TensorDtype {
  return DTYPES.find((name) => data instanceof ARRAYS[name])!;
}

export const bytesIn = (dtype: TensorDtype, shape: readonly number[]) =>
  elementCount(shape) * ARRAYS[dtype].BYTES_PER_ELEMENT;

/** The number of bytes of all of these. */
export const byteLengthOf = (tensors: Tensors): number =>
  Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);

/** The bytes of an array, not copied: it must not change until they are sent. */
export function bytesOf(data: TypedArray): Buffer {
  return Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** An array of these bytes, copied only if they are not aligned. RangeError if their number is wrong. */
export function arrayOf(dtype: TensorDtype, shape: readonly number[], bytes: Uint8Array): TypedArray {
  const ArrayType = ARRAYS[dtype];
  const length = elementCount(shape);
  if (bytes.byteLength !== length * ArrayType.BYTES_PER_ELEMENT)
    throw new RangeError(
      `${dtype}[${shape}] needs ${length * ArrayType.BYTES_PER_ELEMENT} bytes, not ${bytes.byteLength}`,
    );
  // Not `slice`, as that of a Buffer does not copy.
  const aligned = bytes.byteOffset % ArrayType.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new ArrayType(aligned.buffer as ArrayBuffer, aligned.byteOffset, length);
}

/** The array of this name. Throws unless it has this dtype and, if given, this length. */
export function take<D extends TensorDtype>(
  tensors: Tensors,
  name: string,
  dtype: D,
  length?: number,
): InstanceType<(typeof ARRAYS)[D]> {
  const data = tensors[name]?.data;
  if (!(data instanceof ARRAYS[dtype])) throw new TypeError(`${name} is missing or not ${dtype}`);
  if (length !== undefined && data.length !== length)
    throw new RangeError(`${name} has ${data.length} elements, not ${length}`);
  return data as InstanceType<(typeof ARRAYS)[D]>;
}
