/** Long synchronous work in slices, between which the event loop does what else has come: messages, timers, HTTP. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long work may keep the event loop, ms. */
const SLICE_MS = 20;
/** Numbers that are copied without yielding. */
const PIECE = 1 << 17;

/** When work last let the event loop go on. Shared by all of it, as an `await` of a computed value is not a turn. */
let turned = performance.now();

/** Lets the event loop go on if that was last done more than 20 ms ago. To be awaited between pieces of work. */
export async function yieldToEventLoop(): Promise<void> {
  if (performance.now() - turned <= SLICE_MS) return;
  await nextTurn();
  turned = performance.now();
}

/** What a computation in steps returns, yielding in between. */
export async function inSlices<R>(steps: Generator<void, R>): Promise<R> {
  for (;;) {
    await yieldToEventLoop();
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** All numbers of `parts`, in order. */
export async function concatInSlices(parts: readonly Float64Array[]): Promise<Float64Array> {
  const out = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts)
    for (const { from, to } of ranges(part.length, PIECE)) {
      await yieldToEventLoop();
      out.set(part.subarray(from, to), offset);
      offset += to - from;
    }
  return out;
}

/** Consecutive ranges `from … to−1` of at most `most` that cover 0 … length−1; at least one. */
export function ranges(length: number, most: number): { from: number; to: number }[] {
  return Array.from({ length: Math.max(1, Math.ceil(length / most)) }, (_, i) => ({
    from: i * most,
    to: Math.min(length, (i + 1) * most),
  }));
}
