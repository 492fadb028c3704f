/** Long synchronous work in slices, between which the event loop does what else has come: messages, timers, HTTP. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long work may keep the event loop, ms. */
const SLICE_MS = 20;
/** Numbers that are copied without yielding. */
const PIECE = 1 << 17;

/** When work last let the event loop go on. Shared by all of it, as an `await` of a computed value is not a turn. */
let turned = performance.now();
/** The turn after which the last of those that wait goes on. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Lets the event loop go on if that was last done more than 20 ms ago. To be awaited between pieces of work. Of several that wait, one goes
 * on in each turn: all in one turn would keep the event loop for as long as all of them may.
 */
export async function yieldToEventLoop(): Promise<void> {
  if (performance.now() - turned <= SLICE_MS) return;
  last = last.then(() => nextTurn());
  await last;
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

/** Copies `parts` into `out`, one behind the other. */
export async function concatenated<T extends NodeJS.TypedArray>(parts: readonly T[], out: T): Promise<T> {
  let offset = 0;
  for (const part of parts)
    for (const { from, to } of ranges(part.length, PIECE)) {
      if (offset) await yieldToEventLoop();
      out.set(part.subarray(from, to) as never, offset);
      offset += to - from;
    }
  return out;
}

/** All numbers of `parts`, in order. */
export async function concatInSlices(parts: readonly Float64Array[]): Promise<Float64Array> {
  return concatenated(parts, new Float64Array(parts.reduce((sum, { length }) => sum + length, 0)));
}

/** Consecutive ranges `from … to−1` of at most `most` that cover 0 … length−1; at least one. */
export function ranges(length: number, most: number): { from: number; to: number }[] {
  return Array.from({ length: Math.max(1, Math.ceil(length / most)) }, (_, i) => ({
    from: i * most,
    to: Math.min(length, (i + 1) * most),
  }));
}
