import type { Rng } from '../../model/random.ts';
import { encode } from '../../proto/codec.ts';
import type { Tensors } from '../../proto/tensors.ts';

/**
 * The frames of a mutated message: a valid header with one field changed, frames truncated, reordered, inserted or with
 * changed bytes, or pure noise. The result may happen to be valid, but never what the receiver had requested.
 */
export function mutated(rng: Rng, message: object, tensors: Tensors): Uint8Array[] {
  const kind = rng.below(8);
  if (kind === 0) return Array.from({ length: rng.below(4) }, () => noise(rng, rng.below(200)));
  if (kind <= 3) return encode(changed(rng, message) as object, tensors);
  const frames = encode(message, tensors).map((frame) => Uint8Array.from(frame));
  if (kind === 4) {
    const at = rng.below(frames.length);
    frames[at] = frames[at].subarray(0, rng.below(frames[at].length + 1));
  } else if (kind === 5) {
    const frame = frames[rng.below(frames.length)];
    for (let i = 1 + rng.below(4); i > 0 && frame.length; i--)
      frame[rng.below(frame.length)] = rng.below(256);
  } else if (kind === 6)
    frames.splice(rng.below(frames.length + 1), rng.below(2), noise(rng, rng.below(100)));
  else frames.reverse();
  return frames;
}

const noise = (rng: Rng, length: number) => Uint8Array.from({ length }, () => rng.below(256));

const NAMES = ['__proto__', 'constructor', 'toString', '', 'type', 'term', 'x'.repeat(70_000)];
const ODD_VALUES: unknown[] = [
  -1,
  0,
  0.5,
  2 ** 53,
  2 ** 31,
  Number.MAX_VALUE,
  '',
  'x'.repeat(70_000),
  '__proto__',
  'constructor',
  null,
  true,
  [],
  {},
  [[[[[]]]]],
  { toString: 1 },
  'hello',
  'results',
];

/** A copy with one field, at any depth, removed, renamed or replaced. */
function changed(rng: Rng, value: unknown): unknown {
  if (Array.isArray(value) && value.length && rng.below(4)) {
    const at = rng.below(value.length);
    return value.map((item, i) => (i === at ? changed(rng, item) : item));
  }
  if (value && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length) {
    const names = Object.keys(value);
    const name = names[rng.below(names.length)];
    const { [name]: old, ...rest } = value as Record<string, unknown>;
    const dice = rng.below(6);
    if (dice === 0) return rest;
    if (dice === 1) return { ...value, [NAMES[rng.below(NAMES.length)]]: old };
    return { ...value, [name]: changed(rng, old) };
  }
  if (typeof value === 'number' && rng.below(2)) return value + [-1, 1, 2 ** 32][rng.below(3)];
  return ODD_VALUES[rng.below(ODD_VALUES.length)];
}
