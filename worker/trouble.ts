import { UserError } from '../base/user-error.ts';
import { Unreachable } from '../data/remote/address.ts';
import { BackendFailure, OutOfDeviceMemory } from './compute/backends/backend.ts';
import { OUT_OF_DEVICE_MEMORY, USER_ERROR } from './exit-codes.ts';

/** This worker's machine cannot do what others may: the worker leaves, and the run goes on without it. */
export class LocalTrouble extends UserError {}

/** How V8 and WebAssembly say that there is no memory. */
const NO_MEMORY =
  /allocation failed|out of memory|Invalid (typed )?array (buffer )?length|could not allocate memory|Memory\.grow|grow .*memory/i;

/** The error as one of this machine's own: memory, or a system call that failed. Null where the task itself is to blame. */
export function localTrouble(error: unknown): UserError | null {
  if (error instanceof BackendFailure) return error;
  if (error instanceof Unreachable) return new LocalTrouble(error.message);
  if (!(error instanceof Error) || error instanceof UserError) return null;
  const { code, syscall } = error as NodeJS.ErrnoException;
  const isMemory = code === 'ENOMEM' || code === 'ERR_MEMORY_ALLOCATION_FAILED';
  if (isMemory || (error instanceof RangeError && NO_MEMORY.test(error.message)))
    return new LocalTrouble(
      `this machine is out of memory: ${error.message}; use fewer workers on it, or fewer rows (--sample)`,
    );
  if (code !== undefined && syscall !== undefined) return new LocalTrouble(error.message);
  return null;
}

/** The exit code of a worker process that ends with this error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OutOfDeviceMemory) return OUT_OF_DEVICE_MEMORY;
  // Memory and disk may have recovered when it is started again.
  return error instanceof UserError && !(error instanceof LocalTrouble) ? USER_ERROR : 1;
}
