import { closest } from 'fastest-levenshtein';
import type { InferredOptionType, Options } from 'yargs';

/** A flag as yargs takes it. */
export interface Flag extends Options {
  /** It takes a value, and `--no-` before its name is one too. */
  canBeOff?: true;
}
export type Flags = Record<string, Flag>;

type CamelCase<Name> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** What a handler gets of these flags. */
export type FlagValues<Of extends Flags> = {
  [Name in keyof Of as CamelCase<Name>]: InferredOptionType<Of[Name]> | OffValue<Of[Name]>;
};
type OffValue<Of extends Flag> = Of extends { canBeOff: true } ? false : never;

/** What YAML leaves as text, and people type, for a boolean; anything else as it is. */
export function yesOrNo(value: unknown): unknown {
  if (value === 'yes' || value === 'true') return true;
  return value === 'no' || value === 'false' ? false : value;
}

/** The flag most like `name`, as a whole or in one of its words. */
export function nearestFlag(name: string, among: readonly string[]): string {
  const words = new Map(
    among.flatMap((flag) => [...flag.split('-').map((word) => [word, flag] as const), [flag, flag]]),
  );
  return words.get(closest(name, [...words.keys()]))!;
}
