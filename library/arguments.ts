import { parse, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import { type FilesByFlag, statusOf } from '../base/files.ts';
import { withoutEnd } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { labelsFile } from '../data/label-spec.ts';
import { assertLocal, isRemote } from '../data/remote/address.ts';

/** Options of the public functions as programs without type checks may pass them. */

/** What the value of an option must be, in words. `output`: the path of what is written. */
const KINDS = {
  boolean: 'true or false',
  number: 'a number',
  bigint: 'a bigint',
  string: 'a string',
  output: 'a string',
  function: 'a function',
  signal: 'an AbortSignal',
  any: '',
};
type Kind = keyof typeof KINDS;

/** Options of a function that may take long. */
export const HOOKS = { signal: 'signal', log: 'function', status: 'function' } as const;

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
      throw new UserError(`${call}: ${name} must be ${allowed.map((kind) => KINDS[kind]).join(' or ')}`);
    if (allowed.includes('output') && typeof value === 'string') assertLocal(`--${name}`, value);
  }
}

function isOf(kind: Kind, value: unknown): boolean {
  if (kind === 'signal') return value instanceof AbortSignal;
  return kind === 'any' || typeof value === (kind === 'output' ? 'string' : kind);
}

/** With a suggestion where a name is close enough to be meant. */
function unknownOption(call: string, name: string, known: string[]): string {
  const nearest = known.reduce((a, b) => (distance(name, b) < distance(name, a) ? b : a));
  const isClose = distance(name, nearest) <= 1 + name.length / 3;
  return `${call} has no option ${name}${isClose ? `; did you mean ${nearest}?` : ''}`;
}

/** Throws a UserError for an output, by its flag, that is no file, or one that there is already and may not be replaced. */
export function assertWritable(outputs: FilesByFlag, force: boolean): void {
  const found = Object.entries(outputs).flatMap(([flag, path]) => {
    const status = path && statusOf(path);
    return status ? [{ flag, path, status }] : [];
  });
  for (const { flag, path, status } of found)
    if (!status.isFile())
      throw new UserError(`${flag} ${path} exists and is not a file; choose another path`);
  if (found.length && !force)
    throw new UserError(`${found[0].path} already exists; choose another path, or overwrite it with --force`);
}

/** A seed as text. UserError for a number that is too large to be exact. */
export function seedText(seed: number | bigint | string): string {
  if (typeof seed === 'number' && Number.isInteger(seed) && !Number.isSafeInteger(seed))
    throw new UserError(`--seed ${seed} is not exact as a number; pass it as text or bigint`);
  return String(seed);
}

export type FixedPaths = ReturnType<typeof fixedPaths>;

/**
 * Paths of a caller, made absolute once, before anything waits: its working directory may be changed or renamed while they
 * are in use. In messages they are what the caller gave.
 */
export function fixedPaths() {
  const given = new Map<string, string>();
  /** The text with these paths as they were given. */
  const asGiven = (text: string) =>
    [...given]
      .sort(([a], [b]) => b.length - a.length)
      .reduce((shown, [path, as]) => replace(shown, path, as), text);
  /** The absolute path; null, undefined and the address of a remote file as they are. */
  const fix = <Path extends string | null | undefined>(path: Path): Path => {
    if (!path || isRemote(path)) return path;
    const absolute = resolve(path);
    if (absolute !== path && absolute !== parse(absolute).root)
      given.set(absolute, withoutEnd(path, /[\\/]/, 1));
    return absolute as Path;
  };
  return {
    asGiven,
    /** An absolute path is called so in messages. */
    call: (path: string, as: string) => void given.set(path, as),
    fix,
    /** The same for data or labels, which may be no path, or one with a column after a colon. */
    fixInput<Input>(input: Input): Input {
      if (typeof input !== 'string') return input;
      fix(labelsFile(input));
      return fix(input);
    },
    /** What `work` returns; a UserError has the paths as they were given. */
    async naming<T>(work: () => Promise<T>): Promise<T> {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof UserError) || asGiven(error.message) === error.message) throw error;
        throw new UserError(asGiven(error.message), { cause: error });
      }
    },
  };
}

/** Replaces a path, also at the start of a longer one, but not inside another one. */
function replace(text: string, path: string, as: string): string {
  const parts = text.split(path);
  return parts.reduce((before, after) => before + (/[\w.\\/-]$/.test(before) ? path : as) + after);
}
