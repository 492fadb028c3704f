import { UserError } from '../base/user-error.ts';
import { OutOfDeviceMemory } from './compute/backends/errors.ts';

/** Exit code of a worker process that would fare no better if it were started again. */
export const USER_ERROR = 2;
/** The same where its device has no room: one in its place would have none either. */
export const OUT_OF_DEVICE_MEMORY = 3;

/** By which a worker process that ends with this error tells whoever started it what to expect of another one. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OutOfDeviceMemory) return OUT_OF_DEVICE_MEMORY;
  return error instanceof UserError ? USER_ERROR : 1;
}
