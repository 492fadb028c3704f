import { readFileSync } from 'node:fs';
import { closest } from 'fastest-levenshtein';
import type { RunConfig } from '../coordinator/config.ts';
import { UserError } from '../data/user-error.ts';
import { FLAGS, type FlagName, flags } from './flags.ts';

const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/**
 * The run's config from flags, then the file of `--config`, then the schedule's defaults. UserError for a value out of
 * range, naming its flag, and for a key that the file should not have.
 */
export async function resolveConfig(args: Record<string, unknown>): Promise<RunConfig> {
  const file = typeof args.config === 'string' ? await readConfig(args.config) : {};
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
    if (typeof value !== flag.type || Number.isNaN(value)) return `must be a ${flag.type}`;
    if (flag.type === 'number' && !Number.isFinite(value)) return 'must be finite';
    if (flag.choices && !flag.choices.includes(value as string))
      return `must be one of ${flag.choices.join(', ')}`;
    return flag.check?.(value as never) ?? null;
  };
  const problem = wrong();
  if (problem) throw new UserError(`${file ? `${file}: ` : ''}--${name} ${value} ${problem}`);
}

/** A number of seconds above 0 that a flag gives. */
export function seconds(args: Record<string, unknown>, name: string): number {
  const value = args[name];
  if (!(typeof value === 'number' && value > 0 && value <= 1e9))
    throw new UserError(`--${name} ${value} must be a number of seconds above 0`);
  return value;
}

/** Keys are flags' names, with dashes or in camel case. A run.json holds them under `config`. */
async function readConfig(path: string): Promise<Record<string, unknown>> {
  const { parse } = await import('yaml');
  let read: unknown;
  try {
    read = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(`--config ${path} cannot be read: ${(error as Error).message.split('\n')[0]}`);
  }
  const inside = read && typeof read === 'object' && 'config' in read ? read.config : read;
  if (!inside || typeof inside !== 'object' || Array.isArray(inside))
    throw new UserError(`--config ${path} must be a list of "flag: value"`);
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(inside)) {
    const name = kebab(key);
    if (!(name in FLAGS))
      throw new UserError(`--config ${path}: there is no flag ${key}; did you mean ${nearestFlag(name)}?`);
    if (value === null) continue;
    if (name === 'hidden') out[name] = Array.isArray(value) ? value.join(',') : String(value);
    else if (name === 'seed') {
      if (typeof value === 'number' && !Number.isSafeInteger(value))
        throw new UserError(`--config ${path}: seed ${value} loses digits as a number; put it in quotes`);
      out[name] = String(value);
    } else out[name] = value;
  }
  return out;
}

/** The flag most like `name`, as a whole or in one of its words. */
export function nearestFlag(name: string, among: readonly string[] = Object.keys(FLAGS)): string {
  const words = new Map(
    among.flatMap((flag) => [...flag.split('-').map((word) => [word, flag] as const), [flag, flag]]),
  );
  return words.get(closest(name, [...words.keys()]))!;
}
