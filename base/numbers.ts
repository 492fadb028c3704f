import { UserError } from './user-error.ts';

/** Checks of numbers that users give. `name` is what they call it: a flag, or an option. */

/** The number itself. UserError where it is not whole, or out of range. */
export function wholeNumber(name: string, value: number, least: number, most?: number): number {
  if (Number.isInteger(value) && value >= least && (most === undefined || value <= most)) return value;
  const range = most === undefined ? `at least ${least}` : `${least} to ${most}`;
  throw new UserError(`${name} ${value} must be a whole number, ${range}`);
}

/** A number of seconds. UserError where it is none, or 0 where that is no time. */
export function seconds(name: string, value: number, { canBe0 = false, most = 1e9 } = {}): number {
  if (typeof value === 'number' && (canBe0 ? value >= 0 : value > 0) && value <= most) return value;
  throw new UserError(`${name} ${value} must be a number of seconds${canBe0 ? ', at least 0' : ' above 0'}`);
}
