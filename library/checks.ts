import { distance } from 'fastest-levenshtein';
import { UserError } from '../base/user-error.ts';
import { assertLocal } from '../data/remote/address.ts';

/** Options of the public functions as programs without type checks may pass them. */

/** What the value of an option must be. `output`: the path of what is written. */
type Kind = 'boolean' | 'number' | 'bigint' | 'string' | 'output' | 'function' | 'signal' | 'any';

const ARTICLES: Record<Exclude<Kind, 'any'>, string> = {
  boolean: 'true or false',
  number: 'a number',
  bigint: 'a bigint',
  string: 'a string',
  output: 'a string',
  function: 'a function',
  signal: 'an AbortSignal',
};

/** Names and kinds of options; a list of kinds allows each of them. */
export type OptionKinds<Options> = Record<keyof Options & string, Kind | readonly Kind[]>;

/** Throws a UserError for an unknown or missing option, and for a value of the wrong type. `call`: the function's name. */
export function assertOptions<Options extends object>(
  call: string,
  options: Options,
  kinds: OptionKinds<Options>,
  required: readonly (keyof Options & string)[] = [],
): void {
  if (typeof options !== 'object' || options === null)
    throw new UserError(`${call} expects an object of options`);
  for (const name of required)
    if (options[name] === undefined) throw new UserError(`${call} needs the option ${name}`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(kinds, name)) throw new UserError(unknownOption(call, name, Object.keys(kinds)));
    if (value === undefined) continue;
    const allowed = [kinds[name as keyof Options & string]].flat() as Kind[];
    if (!allowed.some((kind) => isOf(kind, value)))
      throw new UserError(
        `${call}: ${name} must be ${allowed.map((kind) => ARTICLES[kind as keyof typeof ARTICLES]).join(' or ')}`,
      );
    if (allowed.includes('output') && typeof value === 'string') assertLocal(`--${name}`, value);
  }
}

function isOf(kind: Kind, value: unknown): boolean {
  if (kind === 'any') return true;
  if (kind === 'output') return typeof value === 'string';
  return kind === 'signal' ? value instanceof AbortSignal : typeof value === kind;
}

/** With a suggestion where a name is close enough to be meant. */
function unknownOption(call: string, name: string, known: string[]): string {
  const nearest = known.reduce((a, b) => (distance(name, b) < distance(name, a) ? b : a));
  const isClose = distance(name, nearest) <= 1 + name.length / 3;
  return `${call} has no option ${name}${isClose ? `; did you mean ${nearest}?` : ''}`;
}

/** A seed as text. UserError for a number that is too large to be exact. */
export function seedText(seed: number | bigint | string): string {
  if (typeof seed === 'number' && Number.isInteger(seed) && !Number.isSafeInteger(seed))
    throw new UserError(`--seed ${seed} is not exact as a number; pass it as text or bigint`);
  return String(seed);
}
