import type { Worker } from 'node:worker_threads';
import { ranges, yieldToEventLoop } from '../../../base/slices.ts';
import type { TypedArray } from '../../../proto/tensors.ts';
import { type Calculations, ERRORS } from './calculations.ts';
import type { CalculationReply } from './thread.ts';

/** The value of a pure function of the state. However long it takes, the event loop goes on meanwhile. */
export type Calculate = <N extends keyof Calculations>(
  name: N,
  ...args: Parameters<Calculations[N]>
) => Promise<ReturnType<Calculations[N]>>;

export interface Calculator {
  calculate: Calculate;
  /** Ends the thread, if there is one; a calculation that goes on, or is asked for later, rejects. */
  close(): Promise<void>;
}

interface Waiting {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

/** Calculations are made in a thread that starts with the first of them, one after another. */
export function createCalculator(): Calculator {
  let thread: Worker | null = null;
  let waiting: Waiting | null = null;
  let over = false;

  function rejectWaiting(error: Error): void {
    waiting?.reject(error);
    waiting = null;
  }

  function assertOn(): void {
    if (over) throw new Error('the run is over');
  }

  async function started(): Promise<Worker> {
    const { startThread } = await import('./start-thread.ts');
    assertOn();
    const worker = startThread();
    worker.on('message', (reply: CalculationReply) => {
      if ('error' in reply) rejectWaiting(errorOf(reply));
      else waiting?.resolve(reply.value as never);
      waiting = null;
    });
    const died = (error: Error) => {
      if (thread === worker) thread = null;
      rejectWaiting(error);
    };
    worker.on('error', died);
    worker.on('exit', (code) => died(new Error(`the thread of long calculations ended with code ${code}`)));
    return worker;
  }

  async function inThread(name: keyof Calculations, args: unknown[]) {
    const shared = await share(args);
    assertOn();
    thread ??= await started();
    const worker = thread;
    return new Promise<never>((resolve, reject) => {
      waiting = { resolve, reject };
      worker.postMessage({ name, args: shared });
    });
  }

  /** The end of the calculation before: there is one at a time. */
  let last: Promise<unknown> = Promise.resolve();

  return {
    async calculate(name, ...args) {
      assertOn();
      const value = last.then(() => inThread(name, args));
      last = value.catch(() => {});
      return value;
    },
    async close() {
      over = true;
      rejectWaiting(new Error('the run is over'));
      await thread?.terminate();
    },
  };
}

function errorOf({ error }: Extract<CalculationReply, { error: unknown }>): Error {
  const Kind = ERRORS[error.name as keyof typeof ERRORS] ?? Error;
  return Object.assign(new Kind(error.message), { stack: error.stack });
}

/** How values get from one thread to another without holding up the event loop. */

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
