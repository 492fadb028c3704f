import { UserError } from '../base/user-error.ts';
import { OutOfDeviceMemory } from './compute/backends/errors.ts';
import { LocalTrouble } from './trouble.ts';

/** A UserError: the process would fail again if it were restarted. */
export const USER_ERROR = 2;
/** The device is out of memory, as it would be for another worker in its place. */
export const OUT_OF_DEVICE_MEMORY = 3;

/** The exit code of a worker process that ends with this error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OutOfDeviceMemory) return OUT_OF_DEVICE_MEMORY;
  // Memory and disk may have recovered when it is started again.
  return error instanceof UserError && !(error instanceof LocalTrouble) ? USER_ERROR : 1;
}
