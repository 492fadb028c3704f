import { closest, distance } from 'fastest-levenshtein';
import type { InferredOptionType, Options } from 'yargs';

/** A flag, as an option of yargs. */
export interface Flag extends Options {
  /** The flag takes a value, but `--no-<flag>` is also valid. */
  canBeOff?: true;
}
export type Flags = Record<string, Flag>;

type CamelCase<Name> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** The values of these flags, as a command's handler receives them. */
export type FlagValues<Of extends Flags> = {
  [Name in keyof Of as CamelCase<Name>]: InferredOptionType<Of[Name]> | OffValue<Of[Name]>;
};
type OffValue<Of extends Flag> = Of extends { canBeOff: true } ? false : never;

/** Converts `yes`, `true`, `no` and `false` to a boolean; returns any other value unchanged. */
export function parseYesOrNo(value: unknown): unknown {
  if (value === 'yes' || value === 'true') return true;
  return value === 'no' || value === 'false' ? false : value;
}

/** The flag most similar to `name`, compared with its full name and with each of its words; null if none is like it. */
export function nearestFlag(name: string, flags: readonly string[]): string | null {
  const words = new Map(
    flags.flatMap((flag) => [...flag.split('-').map((word) => [word, flag] as const), [flag, flag]]),
  );
  const word = closest(name, [...words.keys()]);
  return distance(name, word) <= Math.max(1, name.length / 3) ? words.get(word)! : null;
}
