/** Helpers for flat, row-major typed arrays. */

/** Squares of larger values, and their sums, could overflow float32. */
export const MAX_MAGNITUDE = 1e18;

export type FloatArray = Float32Array | Float64Array;

/** The number of elements of an array of this shape; 1 for a scalar's shape, []. */
export const elementCount = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** All elements of `parts`, in order, as a new array of type `Kind`. */
export function concat<A extends FloatArray | Int32Array>(
  parts: readonly A[],
  Kind: new (length: number) => A,
): A {
  const out = new Kind(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Copies of the `count` consecutive parts of equal length that `flat` consists of. */
export function splitEvenly(flat: Float64Array, count: number): Float64Array[] {
  const size = flat.length / count;
  return Array.from({ length: count }, (_, i) => flat.slice(i * size, (i + 1) * size));
}

/** The first `kept` of each row's `width` numbers. */
export const firstColumns = (rows: Float32Array, width: number, kept: number): Float32Array =>
  rows.filter((_, p) => p % width < kept);

/** Are all values finite? */
export function areFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
