import { UserError } from '../base/user-error.ts';
import { OutOfDeviceMemory } from './compute/backends/errors.ts';

/** A UserError: the process would fail again if it were restarted. */
export const USER_ERROR = 2;
/** The device is out of memory, as it would be for another worker in its place. */
export const OUT_OF_DEVICE_MEMORY = 3;

/** The exit code of a worker process that ends with this error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OutOfDeviceMemory) return OUT_OF_DEVICE_MEMORY;
  return error instanceof UserError ? USER_ERROR : 1;
}
