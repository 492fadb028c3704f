/**
 * Float32 numbers as 32-bit keys in the same order: neighbours differ by 1. Halving a range of keys narrows a range of numbers
 * to any one of them in at most 32 steps, however far apart its ends are.
 */

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);
const SIGN = 0x80000000;

/** The key of a float32 number; −0 has that of 0. NaN has none. */
export function keyOf(value: number): number {
  float[0] = value + 0;
  return (word[0] & SIGN ? ~word[0] : word[0] | SIGN) >>> 0;
}

/** The number with this key. */
export function numberOf(key: number): number {
  word[0] = key & SIGN ? key & ~SIGN : ~key;
  return float[0];
}

/** Writes the keys of one column of rows [n,dim] to `out`. */
export function keysOf(rows: Float32Array, column: number, dim: number, out: Uint32Array): void {
  const words = new Uint32Array(rows.buffer, rows.byteOffset, rows.length);
  for (let i = 0, o = column; i < out.length; i++, o += dim) {
    const bits = words[o];
    out[i] = bits === SIGN ? SIGN : bits & SIGN ? ~bits : bits | SIGN;
  }
}
