import { UserError } from './user-error.ts';

/** Checks of numbers that users give. `name` is what they call it: a flag, or an option. */

/** The number itself. UserError where it is not whole, or out of range. */
export function wholeNumber(name: string, value: number, least: number, most?: number): number {
  if (Number.isInteger(value) && value >= least && (most === undefined || value <= most)) return value;
  const range = most === undefined ? `at least ${least}` : `${least} to ${most}`;
  throw new UserError(`${name} ${value} must be a whole number, ${range}`);
}
