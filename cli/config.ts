import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { ioError } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import type { RunConfig } from '../coordinator/config.ts';
import { FLAGS, type FlagName, flags } from './flags.ts';

export const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
export const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/**
 * The run's config from flags, then the file of `--config`, then the schedule's defaults. UserError for a value out of
 * range, naming its flag, and for a key that the file should not have. `command`: all flags of the command.
 */
export async function resolveConfig(
  args: Record<string, unknown>,
  command: readonly string[] = [],
): Promise<RunConfig> {
  const file = typeof args.config === 'string' ? await readConfig(args.config, command) : {};
  const given = (name: FlagName) => args[name] ?? file[name];
  const schedule = given('schedule') === 'paper' ? 'paper' : 'fast';
  const values: Record<string, unknown> = {};
  for (const [name, flag] of flags) {
    const preset = schedule === 'paper' && flag.paper !== undefined ? flag.paper : flag.fast;
    const value = given(name) ?? preset;
    checkValue(
      name,
      value,
      given(name) !== undefined && args[name] === undefined ? String(args.config) : null,
    );
    values[camel(name)] = value;
  }
  if (!values.data) throw new UserError('--data is missing: the rows to cluster, an .npy, IDX or CSV file');
  values.hidden = String(values.hidden).split(',').map(Number);
  values.priorScale ??= values.priorScaleChoice === 'data-cov' ? 0.3 : 0.005;
  return values as unknown as RunConfig;
}

function checkValue(name: FlagName, value: unknown, file: string | null): void {
  const flag = FLAGS[name] as (typeof flags)[number][1];
  if (value === null || value === undefined) return;
  const wrong = () => {
    if (flag.type === 'boolean' && typeof value !== 'boolean') return YES_OR_NO;
    if (typeof value !== flag.type || Number.isNaN(value)) return `must be a ${flag.type}`;
    if (flag.type === 'number' && !Number.isFinite(value)) return 'must be finite';
    if (flag.choices && !flag.choices.includes(value as string))
      return `must be one of ${flag.choices.join(', ')}`;
    return flag.check?.(value as never) ?? null;
  };
  const problem = wrong();
  const shown = typeof value === 'object' ? JSON.stringify(value) : value;
  if (problem) throw new UserError(`${file ? `${file}: ` : ''}--${name} ${shown} ${problem}`);
}

/** A number of seconds above 0 that a flag gives. */
export function seconds(args: Record<string, unknown>, name: string): number {
  const value = args[name];
  if (!(typeof value === 'number' && value > 0 && value <= 1e9))
    throw new UserError(`--${name} ${value} must be a number of seconds above 0`);
  return value;
}

/** Keys are flags' names, with dashes or in camel case. A run.json holds them under `config`. */
async function readConfig(path: string, command: readonly string[]): Promise<Record<string, unknown>> {
  const wrong = (what: string) => new UserError(`--config ${path}${what}`);
  const read = await parseConfig(path);
  const within = isMap(read) && Object.hasOwn(read, 'config') && isMap(read.config) ? read.config : read;
  if (within === null || within === undefined)
    throw wrong(' is empty: it needs a line such as "max-epochs: 100"');
  if (!isMap(within)) throw wrong(' has no flags: its lines must be such as "max-epochs: 100"');
  const out: Record<string, unknown> = {};
  const keys = new Map<string, string>();
  for (const [key, value] of Object.entries(within)) {
    const name = kebab(key);
    if (!Object.hasOwn(FLAGS, name)) throw wrong(noSuchFlag(key, name, command));
    if (keys.has(name))
      throw wrong(` says both ${keys.get(name)} and ${key}, which is one flag: leave one out`);
    keys.set(name, key);
    if (value === null) continue;
    if (name === 'hidden') out[name] = Array.isArray(value) ? value.join(',') : String(value);
    else if (name === 'seed') {
      if (typeof value === 'number' && !Number.isSafeInteger(value))
        throw wrong(`: seed ${value} loses digits as a number; put it in quotes`);
      out[name] = String(value);
    } else out[name] = FLAGS[name as FlagName].type === 'boolean' ? yesOrNo(value) : value;
  }
  return out;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

async function parseConfig(path: string): Promise<unknown> {
  if (existsSync(path) && statSync(path).isDirectory()) {
    const inside = join(path, 'run.json');
    throw new UserError(
      `--config ${path} is a folder: name ${existsSync(inside) ? inside : 'a file, YAML or JSON'}`,
    );
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(`--config ${(ioError(path, 'read', error) as Error).message}`);
  }
  const { parse } = await import('yaml');
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    const why = (error as Error).message.split('\n')[0].replace(/:\s*$/, '');
    throw new UserError(`--config ${path} is neither YAML nor JSON: ${why}`);
  }
}

/** Of a key that is no flag of the run: one of the command, or a mistake. */
function noSuchFlag(key: string, name: string, command: readonly string[]): string {
  return command.includes(name.replace(/^no-/, ''))
    ? ` has ${key}, which is no part of what makes the result: say --${name} on the command line`
    : `: there is no flag ${key}; did you mean ${nearestFlag(name)}?`;
}

/** What is said where a flag is neither. */
export const YES_OR_NO = 'must be yes or no (or true, false)';

/** What YAML leaves as text, and people type, for a boolean; anything else as it is. */
export function yesOrNo(value: unknown): unknown {
  if (value === 'yes' || value === 'true') return true;
  return value === 'no' || value === 'false' ? false : value;
}

/** The flag most like `name`, as a whole or in one of its words. */
export function nearestFlag(name: string, among: readonly string[] = Object.keys(FLAGS)): string {
  const words = new Map(
    among.flatMap((flag) => [...flag.split('-').map((word) => [word, flag] as const), [flag, flag]]),
  );
  return words.get(closest(name, [...words.keys()]))!;
}
