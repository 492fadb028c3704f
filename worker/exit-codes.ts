import { UserError } from '../base/user-error.ts';
import { OutOfDeviceMemory } from './compute/backends/errors.ts';

/** Exit code of a worker process that would fare no better if it were started again. */
export const MISTAKE = 2;
/** The same where its device has no room: one in its place would have none either. */
export const NO_ROOM = 3;

/** By which a worker process that ends with this error tells whoever started it what to expect of another one. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OutOfDeviceMemory) return NO_ROOM;
  return error instanceof UserError ? MISTAKE : 1;
}
