import { parentPort } from 'node:worker_threads';
import { type Calculation, type Calculations, calculations } from './calculations.ts';
import { buffersIn } from './shared-memory.ts';

/** Entry point of the thread in which the coordinator makes long calculations, one after another. */

export type CalculationReply =
  | { value: unknown }
  | { error: { name: string; message: string; stack?: string } };

parentPort?.on('message', ({ name, args }: { name: keyof Calculations; args: unknown[] }) => {
  let value: unknown;
  try {
    value = (calculations[name] as unknown as Calculation<unknown[], unknown>).compute(...args);
  } catch (error) {
    const { message, stack } = error as Error;
    parentPort!.postMessage({ error: { name: (error as Error).constructor.name, message, stack } });
    return;
  }
  // Moved, not copied.
  parentPort!.postMessage({ value }, buffersIn(value));
});
