/** How values get from one thread to another without holding up the event loop. */
import { ranges, yieldToEventLoop } from '../../../base/slices.ts';
import type { TypedArray } from '../../../proto/tensors.ts';

/** Bytes from which on an array is shared; smaller ones are quickly copied by `postMessage`. */
const LARGE = 16 << 10;
/** Bytes that are copied without yielding. */
const PIECE = 1 << 20;

/** The same value, with its large arrays copied into shared memory, in slices: the original may not leave this thread. */
export async function share(value: unknown, known = new Map<unknown, unknown>()): Promise<unknown> {
  if (typeof value !== 'object' || value === null) return value;
  if (known.has(value)) return known.get(value);
  const copy = ArrayBuffer.isView(value)
    ? await shareArray(value as TypedArray)
    : await shareFields(value, known);
  known.set(value, copy);
  return copy;
}

async function shareArray(array: TypedArray): Promise<TypedArray> {
  const Kind = array.constructor as new (from: SharedArrayBuffer | TypedArray) => TypedArray;
  // A copy even of a small one, as with a view its entire buffer would be sent.
  if (array.byteLength < LARGE) return new Kind(array);
  const copy = new Kind(new SharedArrayBuffer(array.byteLength));
  for (const { from, to } of ranges(array.length, PIECE / array.BYTES_PER_ELEMENT)) {
    await yieldToEventLoop();
    copy.set(array.subarray(from, to), from);
  }
  return copy;
}

async function shareFields(value: object, known: Map<unknown, unknown>): Promise<unknown> {
  if (Array.isArray(value)) {
    if (typeof value[0] === 'number') return value;
    const out: unknown[] = [];
    for (const item of value) out.push(await share(item, known));
    return out;
  }
  const out: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) out[name] = await share(field, known);
  return out;
}

/** The buffers of all arrays in a value, except shared ones. */
export function buffersIn(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    if (ArrayBuffer.isView(part)) {
      if (part.buffer instanceof ArrayBuffer) found.add(part.buffer);
    } else for (const field of Object.values(part)) visit(field);
  };
  visit(value);
  return [...found];
}
