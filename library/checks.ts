import { closest } from 'fastest-levenshtein';
import { UserError } from '../base/user-error.ts';

/**
 * Throws a UserError for an unknown option, which a program without type checks may have misspelt. `call`: the function's
 * name.
 */
export function assertKnown(call: string, options: object, names: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new UserError(`${call} has no option ${unknown}; did you mean ${closest(unknown, [...names])}?`);
}

/** A seed as text. UserError for a number that is too large to be exact. */
export function seedText(seed: number | bigint | string): string {
  if (typeof seed === 'number' && Number.isInteger(seed) && !Number.isSafeInteger(seed))
    throw new UserError(`--seed ${seed} is not exact as a number; pass it as text or bigint`);
  return String(seed);
}
