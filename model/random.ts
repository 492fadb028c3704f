/** Random numbers that depend on seed, purpose and keys alone, never on who draws them or when. Nothing that a result depends on has another source of chance. */

/** A stream of random numbers. The same key always gives the same stream: see `generator`. */
export interface Rng {
  /** An integer in [0, 2³²). */
  uint32(): number;
  /** In [0, 1), all 53 bits random. */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** An integer in [0, n), uniformly distributed; 1 ≤ n ≤ 2⁵³. */
  below(n: number): number;
  /** Gamma-distributed with this shape (> 0) and scale 1. */
  gamma(shape: number): number;
}

const TWO32 = 2 ** 32;

/** Murmur3's 32-bit finalizer: a bijection in which each input bit flips half of the output bits. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Three 32-bit hashes of a list of words, from lanes with different initial values and constants. */
function hashWords(words: number[]): [number, number, number] {
  let [a, b, c] = [0x9e3779b9, 0x243f6a88, 0xb7e15162];
  for (const word of words) {
    a = mix(Math.imul(a, 0x2c1b3c6d) ^ word) + 0x3c6ef372;
    b = mix(Math.imul(b, 0x297a2d39) ^ a ^ word) + 0x6a09e667;
    c = mix(Math.imul(c, 0x1b56c4e9) ^ b ^ word) + 0x510e527f;
  }
  return [a | 0, b | 0, c | 0];
}

function keyWords(key: number): [number, number] {
  if (!Number.isSafeInteger(key))
    throw new RangeError(`a key of a random stream must be an integer, not ${key}`);
  return [key | 0, Math.floor(key / TWO32) | 0];
}

/** A seed of 64 bits: the text of a config, of layouts and messages, or its number. */
export type Seed = string | bigint;

function seedWords(seed: Seed): [number, number] {
  const number = BigInt(seed);
  return [Number(BigInt.asIntN(32, number)), Number(BigInt.asIntN(32, number >> 32n))];
}

/**
 * The random stream of (seed, purpose, keys). It depends on these alone, so that no random choice depends on which process
 * makes it, or when (docs/algorithm.md, section 9). The generator is sfc32 (Doty-Humphrey, PractRand).
 *
 * @param seed only the low 64 bits are used
 * @param purpose names what is drawn, such as `batches`: streams of different purposes are independent
 * @param keys integers, such as epoch and shard; RangeError otherwise
 */
export function generator(seed: Seed, purpose: string, ...keys: number[]): Rng {
  const text = Array.from(purpose, (letter) => letter.codePointAt(0)!);
  let [a, b, c] = hashWords([...seedWords(seed), text.length, ...text, ...keys.flatMap(keyWords)]);
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum;
  };
  for (let i = 0; i < 12; i++) next();

  const uint32 = (): number => next() >>> 0;
  const uint53 = (): number => (next() >>> 6) * 2 ** 27 + (next() >>> 5);
  const uniform = (): number => uint53() * 2 ** -53;
  const normal = (): number => ziggurat(next, uniform);
  const below = (n: number): number => {
    if (!(Number.isSafeInteger(n) || n === 2 ** 53) || n < 1)
      throw new RangeError(`below(${n}): n must be an integer from 1 to 2^53`);
    const [draw, range] = n <= TWO32 ? [uint32, TWO32] : [uint53, 2 ** 53];
    const limit = range - (range % n);
    let x: number;
    do x = draw();
    while (x >= limit);
    return x % n;
  };
  const gamma = (shape: number): number => {
    if (!(shape > 0)) throw new RangeError(`gamma(${shape}): the shape must be positive`);
    return shape < 1 ? marsagliaTsang(shape + 1) * (1 - uniform()) ** (1 / shape) : marsagliaTsang(shape);
  };
  /** Marsaglia & Tsang, *A simple method for generating gamma variables* (2000), for shape ≥ 1. */
  const marsagliaTsang = (shape: number): number => {
    const d = shape - 1 / 3;
    for (;;) {
      const x = normal();
      const v = (1 + x / Math.sqrt(9 * d)) ** 3;
      if (v > 0 && Math.log(1 - uniform()) < x ** 2 / 2 + d - d * v + d * Math.log(v)) return d * v;
    }
  };
  return { uint32, uniform, normal, below, gamma };
}

/** The start of the ziggurat's tail, and the area of each of its 256 layers. */
const TAIL = 3.654152885361009;
const AREA = 0.004928673233974658;
const density = (x: number): number => Math.exp((-x * x) / 2);

/** The right edges of the layers from the base up, and the density at each. */
const edges = new Float64Array(257);
edges[0] = AREA / density(TAIL);
edges[1] = TAIL;
for (let i = 2; i < 256; i++)
  edges[i] = Math.sqrt(-2 * Math.log(AREA / edges[i - 1] + density(edges[i - 1])));
const heights = edges.map(density);

/**
 * A standard normal: Marsaglia & Tsang, *The ziggurat method for generating random variables* (2000), with layer and
 * position from separate bits.
 */
function ziggurat(next: () => number, uniform: () => number): number {
  for (;;) {
    const bits = next();
    const layer = bits & 255;
    const x = ((bits >> 11) * TWO32 + (next() >>> 0)) * 2 ** -52 * edges[layer];
    if (Math.abs(x) < edges[layer + 1]) return x;
    if (layer === 0) {
      const tail = normalTail(uniform);
      return x < 0 ? -tail : tail;
    }
    if (heights[layer] + uniform() * (heights[layer + 1] - heights[layer]) < density(x)) return x;
  }
}

/** A standard normal conditioned on exceeding TAIL (Marsaglia 1964). */
function normalTail(uniform: () => number): number {
  for (;;) {
    const x = -Math.log(1 - uniform()) / TAIL;
    if (-2 * Math.log(1 - uniform()) > x * x) return TAIL + x;
  }
}

/**
 * The priority of each row: a hash of (seed, row) in [0, 1), all 53 bits random. The rows whose priority is below a
 * threshold are a uniform random sample that does not depend on the assignment of rows to workers (docs/algorithm.md,
 * section 1).
 *
 * @param seed only the low 64 bits are used
 * @returns a function of a row index in [0, 2⁵³)
 */
export function priority(seed: Seed): (row: number) => number {
  const [a, b, c] = hashWords([...seedWords(seed), 0x70726930]);
  return (row) => {
    const first = mix(mix(mix(row ^ a) ^ (row / TWO32)) ^ b);
    const second = mix(mix(first + c) ^ row);
    return (first >>> 6) * 2 ** -26 + (second >>> 5) * 2 ** -53;
  };
}

/**
 * `count` distinct indices of 0 … n−1 in random order, by a partial Fisher–Yates shuffle.
 *
 * @param n at most 2³²; RangeError if count > n
 */
export function shuffledPrefix(rng: Rng, n: number, count: number): Uint32Array {
  if (!(count >= 0 && count <= n)) throw new RangeError(`cannot draw ${count} distinct indices of ${n}`);
  const indices = new Uint32Array(n);
  for (let i = 0; i < n; i++) indices[i] = i;
  for (let i = 0; i < count; i++) {
    const j = i + rng.below(n - i);
    [indices[i], indices[j]] = [indices[j], indices[i]];
  }
  return indices.slice(0, count);
}

/** The values of a seed, as part of a message. */
export const SEED_RANGE = 'a whole number from 0 to 2^64 − 1';

/** Is this the decimal text of a 64-bit seed? */
export const isSeed = (text: string) => /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n;

/** The numbers of `count` of `rows` rows, ascending: one by chance of each of as many equal parts. */
export const stratified = (rows: number, count: number, { uniform }: Pick<Rng, 'uniform'>): number[] =>
  Array.from({ length: count }, (_, i) => {
    const [from, to] = [i, i + 1].map((at) => Math.floor((at * rows) / count));
    return from + Math.floor(uniform() * (to - from));
  });
