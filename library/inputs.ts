import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, parse, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import { attempted, type FilesByFlag, statusOf } from '../base/files.ts';
import { withoutEnd } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { runOptions } from '../coordinator/options.ts';
import { type Labels, labelsFile, readLabels } from '../data/labels.ts';
import { writeNpy } from '../data/npy.ts';
import { assertLocal, isRemote } from '../data/remote/address.ts';
import type { Source } from '../data/source.ts';
import type { Data, LabelData, Rows, RunOptions } from './options.ts';

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

/** Names and kinds of options; a list of kinds allows each of them. */
export type OptionKinds<Options> = Record<keyof Options & string, Kind | readonly Kind[]>;

/** What a program may pass as each of `RunOptions`. */
export const RUN_OPTION_KINDS = {
  ...Object.fromEntries(
    runOptions
      .filter(([, { isForTerminals }]) => !isForTerminals)
      .map(([name, { type, types }]) => [name, types.ts.startsWith('boolean |') ? ['boolean', type] : type]),
  ),
  out: 'output',
  signal: 'signal',
  log: 'function',
  status: 'function',
} as OptionKinds<RunOptions>;

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
        throw new UserError(asGiven(error.message));
      }
    },
  };
}

/** Replaces a path, also at the start of a longer one, but not inside another one. */
function replace(text: string, path: string, as: string): string {
  const parts = text.split(path);
  return parts.reduce((before, after) => before + (/[\w.\\/-]$/.test(before) ? path : as) + after);
}

/** Data and labels in the caller's memory, for code that reads files. */

/** The files that `withFiles` makes. */
const TEMPORARY = /[\\/]dpmesh-\w{6}[\\/](data|labels)\.npy$/;

/** Throws a UserError if `rows` is not a valid matrix. */
function assertRows(rows: Rows): void {
  const { values, columns } = rows ?? {};
  if (!(values instanceof Float32Array || values instanceof Float64Array))
    throw new UserError('data must be a path, or { values, columns } with a Float32Array or Float64Array');
  if (!(Number.isInteger(columns) && columns >= 1))
    throw new UserError(`data: columns ${columns} must be a whole number, at least 1`);
  if (!values.length || values.length % columns)
    throw new UserError(
      values.length
        ? `data: ${values.length} values are not a whole number of rows of ${columns} columns`
        : 'data has no rows',
    );
}

/** Rows in memory as a `Source`. UserError if they are not a valid matrix. */
export function sourceOf(rows: Rows): Source {
  assertRows(rows);
  const { values, columns: dim } = rows;
  return {
    rows: values.length / dim,
    dim,
    dtype: values instanceof Float32Array ? 'float32' : 'float64',
    // A copy: transforms change rows in place.
    read: async (start, count) => Float32Array.from(values.subarray(start * dim, (start + count) * dim)),
    stored: async (row) => Float64Array.from(values.subarray(row * dim, (row + 1) * dim)),
    close() {},
  };
}

/** Labels in memory as int32. UserError for a label that is not a 32-bit integer. */
function int32Labels(labels: ArrayLike<number>, name: string): Int32Array {
  const values = Int32Array.from(labels);
  for (let i = 0; i < values.length; i++)
    if (values[i] !== Number(labels[i]) || typeof labels[i] !== 'number')
      throw new UserError(`${name}: label ${i}, ${String(labels[i])}, is not a 32-bit whole number`);
  return values;
}

/**
 * Labels from a file or from memory, coded by rank. UserError if they are invalid or there are none. `option`: its name,
 * for messages.
 */
export async function labelsOf(data: LabelData, option: string): Promise<Labels> {
  if (typeof data === 'string') return readLabels(data);
  const values = int32Labels(data, option);
  if (!values.length) throw new UserError(`${option} has no labels`);
  const ranks = new Map([...new Set(values)].sort((a, b) => a - b).map((value, rank) => [value, rank]));
  return { codes: values.map((value) => ranks.get(value)!), names: [...ranks.keys()].map(String) };
}

/** Throws a UserError if the run had such an input in memory, and it is given as its temporary file, now removed. */
export function assertNotInMemory(inputs: { data: Data; labels: LabelData | null }, run: string): void {
  for (const [name, path] of Object.entries(inputs))
    if (typeof path === 'string' && TEMPORARY.test(path) && !existsSync(path))
      throw new UserError(
        `${run} was started with ${name} in a program's memory: resume it from a program that passes the same ${name} again`,
      );
}

/** Absolute paths of the inputs of a run. */
export interface InputPaths {
  data: string;
  labels: string | null | undefined;
  /** Some of them were arrays. */
  inMemory: boolean;
  /** Replaces the paths of temporary files in a message by `data` and `labels`, others by what the caller gave. */
  withNames(text: string): string;
}

const isPath = (value: unknown): value is string | null | undefined =>
  typeof value === 'string' || value == null;

/**
 * Calls `work` with paths of the data and labels. Arrays are written to temporary files, which are removed when it
 * settles. `paths`: in which those of the inputs, and what else `work` may name in an error, are fixed.
 */
export function withFiles<T>(
  inputs: { data: Data; labels?: LabelData | null },
  work: (inputs: InputPaths) => Promise<T>,
  { asGiven, fixInput, naming } = fixedPaths(),
): Promise<T> {
  const [data, labels] = [fixInput(inputs.data), fixInput(inputs.labels)];
  return naming(async () => {
    if (typeof data === 'string' && isPath(labels))
      return work({ data, labels, inMemory: false, withNames: asGiven });
    const { path, remove } = temporaryFolder();
    const [dataFile, labelsFile] = [join(path, 'data.npy'), join(path, 'labels.npy')];
    const withNames = (text: string) =>
      asGiven(text.replaceAll(dataFile, 'data').replaceAll(labelsFile, 'labels'));
    try {
      if (typeof data !== 'string') {
        assertRows(data);
        const { values, columns } = data;
        const dtype = values instanceof Float32Array ? '<f4' : '<f8';
        writeNpy(dataFile, dtype, [values.length / columns, columns], values);
      }
      if (!isPath(labels)) writeNpy(labelsFile, '<i4', [labels.length], int32Labels(labels, 'labels'));
      return await work({
        data: typeof data === 'string' ? data : dataFile,
        labels: isPath(labels) ? labels : labelsFile,
        inMemory: true,
        withNames,
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UserError(withNames(error.message), { exitCode: error.exitCode });
    } finally {
      remove();
    }
  });
}

/** A folder that is removed by `remove`, or else when the process exits. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = attempted(tmpdir(), 'written', () => mkdtempSync(join(tmpdir(), 'dpmesh-')));
  const clear = () => rmSync(path, { recursive: true, force: true });
  process.once('exit', clear);
  return {
    path,
    remove() {
      process.off('exit', clear);
      clear();
    },
  };
}
