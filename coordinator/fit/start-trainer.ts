import { type MessagePort, Worker } from 'node:worker_threads';
import { createBirpc } from 'birpc';
import { UserError } from '../../base/user-error.ts';
import { concat } from '../../model/arrays.ts';
import type { TypedArray } from '../../proto/tensors.ts';
import type { Trainer, TrainerHost } from './trainer.ts';

/** A trainer in a thread of its own: calls, results and errors are messages between it and its host, and arrays are moved. */

/** Large values are arrays, outside V8's heap: with a quarter of the usual space for new objects, the process is 10 MB smaller and no slower. */
const resourceLimits = { maxYoungGenerationSizeMb: 12 };

/** Starts the thread: the source under tsx, else the bundle. */
export function startThread(): Worker {
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('../../bundled/trainer.js', import.meta.url), { resourceLimits, execArgv: [] });
  // What loads TypeScript does so in the first thread only.
  const [tsx, entry] = ['tsx/esm/api', './trainer-thread.ts'].map((path) =>
    JSON.stringify(import.meta.resolve(path)),
  );
  const load = `import(${tsx}).then(({ register }) => { register(); return import(${entry}); })`;
  return new Worker(load, { eval: true, resourceLimits, execArgv: [] });
}

/** The trainer in this thread, which has all that it does not compute itself done by `host`. Once the thread ends, calls reject. */
export function trainerIn(thread: Worker, host: TrainerHost): Trainer {
  const trainer = createBirpc<Trainer, TrainerHost>(host, channel(thread));
  thread.on('error', (error) => trainer.$close(error as Error));
  thread.on('exit', (code) =>
    trainer.$close(new Error(`the thread of the training ended with code ${code}`)),
  );
  return trainer as unknown as Trainer;
}

/** An error as it is sent: described, or by its number at the receiver, whose own it is. */
type SentError =
  | { name: string; message: string; stack?: string; exitCode?: number; number: number }
  | { yours: number };

/** How both sides send and receive messages. An error that comes back is the one that was sent. */
export function channel(port: Worker | MessagePort) {
  const errors: unknown[] = [];
  const numbers = new WeakMap<object, number>();
  return {
    timeout: -1,
    on: (receive: (message: unknown) => void) => void port.on('message', receive),
    post(message: unknown) {
      const moved: ArrayBuffer[] = [];
      port.postMessage(detached(message, moved), moved);
    },
    serialize: (message: { e?: object }) => (message.e ? { ...message, e: sent(message.e) } : message),
    deserialize: (message: { e?: SentError }) =>
      message.e ? { ...message, e: received(message.e) } : attached(message),
  };

  function sent(error: object): SentError {
    const yours = numbers.get(error);
    if (yours !== undefined) return { yours };
    const { name, message, stack, exitCode } = error as Error & { exitCode?: number };
    return { name, message, stack, exitCode, number: errors.push(error) - 1 };
  }

  function received(error: SentError): unknown {
    if ('yours' in error) return errors[error.yours];
    const { name, message, stack, exitCode, number } = error;
    const own = name === 'UserError' ? new UserError(message, { exitCode }) : new Error(message);
    numbers.set(own, number);
    return Object.assign(own, { name, stack });
  }
}

/** Bytes from which on an array is moved; smaller ones are quickly copied with the message. */
const LARGE = 16 << 10;
/** So many arrays, such as the means of clusters, are sent as one: each takes microseconds. */
const MANY = 8;

/** The field of many arrays that are sent as one. */
const JOINED = '[arrays]';

/**
 * A value of plain objects as it is sent: large arrays are copies, whose buffers (`moved`) go to the receiver, and others are not parts of
 * larger buffers, which would be sent entirely.
 */
function detached(value: unknown, moved: ArrayBuffer[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) {
    const isLarge = value.byteLength >= LARGE;
    if (!isLarge && value.byteLength === value.buffer.byteLength) return value;
    const Kind = value instanceof Uint8Array ? Uint8Array : value.constructor;
    const copy = new (Kind as new (from: TypedArray) => TypedArray)(value as TypedArray);
    if (isLarge) moved.push(copy.buffer as ArrayBuffer);
    return copy;
  }
  if (Array.isArray(value)) {
    if (typeof value[0] === 'number') return value;
    const arrays = value as Float64Array[];
    const isMany = arrays.length >= MANY && arrays.every((item) => item instanceof Float64Array);
    if (!isMany) return value.map((item) => detached(item, moved));
    const all = concat(arrays, Float64Array);
    moved.push(all.buffer as ArrayBuffer);
    return { [JOINED]: all, lengths: arrays.map(({ length }) => length) };
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, detached(field, moved)]));
}

/** What was sent, with its many arrays apart again. */
function attached(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return typeof value[0] === 'number' ? value : value.map(attached);
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  if (JOINED in value) {
    const { [JOINED]: all, lengths } = value as { [JOINED]: Float64Array; lengths: number[] };
    let end = 0;
    return lengths.map((length) => all.subarray(end, (end += length)));
  }
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, attached(field)]));
}
