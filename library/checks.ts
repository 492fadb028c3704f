import { closest } from 'fastest-levenshtein';
import { UserError } from '../base/user-error.ts';

/** UserError for an option that there is not: a program without types may misspell one. */
export function assertKnown(call: string, options: object, names: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new UserError(`${call} has no option ${unknown}; did you mean ${closest(unknown, [...names])}?`);
}

/** A seed as text. UserError for a number that has lost digits. */
export function seedText(seed: number | bigint | string): string {
  if (typeof seed === 'number' && Number.isInteger(seed) && !Number.isSafeInteger(seed))
    throw new UserError(`--seed ${seed} loses digits as a number; give it as text or bigint`);
  return String(seed);
}
