import type { Worker } from 'node:worker_threads';
import { yieldToEventLoop } from '../../../base/slices.ts';
import { type Calculation, type Calculations, calculations, ERRORS } from './calculations.ts';
import { share } from './shared-memory.ts';
import type { CalculationReply } from './thread.ts';

/** The value of a pure function of the state. However long it takes, the event loop goes on meanwhile. */
export type Calculate = <N extends keyof Calculations>(
  name: N,
  ...args: Parameters<Calculations[N]['compute']>
) => Promise<ReturnType<Calculations[N]['compute']>>;

export interface Calculator {
  calculate: Calculate;
  /** Ends the thread, if there is one; a calculation that goes on, or is asked for later, rejects. */
  close(): Promise<void>;
}

/** Estimated time of a calculation from which on it is made in the thread, ns; it is exceeded on slow machines. */
const LONG = 10e6;

interface Waiting {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

/**
 * Short calculations are made at once, long ones in a thread that starts with the first of them. It runs the same code, so
 * the bits are the same.
 */
export function createCalculator(long = LONG): Calculator {
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
      const { cost, compute } = calculations[name] as unknown as Calculation<typeof args, never>;
      if (cost(...args) < long) {
        await yieldToEventLoop();
        return compute(...args);
      }
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
