import { parentPort } from 'node:worker_threads';
import { type Calculations, calculations } from './calculations.ts';

/** Entry point of the thread in which the coordinator calculates. */

export type CalculationReply =
  | { value: unknown }
  | { error: { name: string; message: string; stack?: string } };

parentPort?.on('message', ({ name, args }: { name: keyof Calculations; args: unknown[] }) => {
  let value: unknown;
  try {
    value = (calculations[name] as (...args: unknown[]) => unknown)(...args);
  } catch (error) {
    const { message, stack } = error as Error;
    parentPort!.postMessage({ error: { name: (error as Error).constructor.name, message, stack } });
    return;
  }
  // Moved, not copied.
  parentPort!.postMessage({ value }, buffersIn(value));
});

/** The buffers of all arrays in a value, except shared ones. */
function buffersIn(value: unknown): ArrayBuffer[] {
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
