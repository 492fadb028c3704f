import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readWhole, statusOf } from '../base/files.ts';
import { camelCase, kebabCase, oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { assertLocal } from '../data/remote/address.ts';
import type { RunOptions } from '../library/options.ts';
import { type OptionValues, type RunConfig, resolveConfig } from '../run/config.ts';
import { flagName } from '../run/option.ts';
import { OPTIONS, type OptionName, options } from '../run/options.ts';
import { MOST_RUN_JSON } from '../run/run-files.ts';
import { runOptions } from '../run/session-options.ts';
import { nearestFlag, parseYesOrNo, type ResultValues, type RunValues } from './flags.ts';

/** From flags and the file of `--config` to the config and the options of a run. Which options there are, and what they accept, say run/options.ts and run/config.ts. */

/**
 * The run's config from its flags, the file of `--config`, and the schedule's defaults, in this order of precedence.
 * UserError for an invalid value, with the name of its flag, or an invalid key in the file. `commandFlags`: all flags of the
 * command.
 */
export async function configOf(
  values: ResultValues,
  commandFlags: readonly string[] = [],
): Promise<RunConfig> {
  const file = values.config === undefined ? {} : await readConfigFile(values.config, commandFlags);
  const merged: OptionValues = {};
  for (const [name] of options) merged[name] = values[name] ?? file[name];
  return resolveConfig(merged, (name) => {
    const isFromFile = merged[name] !== undefined && values[name] === undefined;
    return `${isFromFile ? `${values.config}: ` : ''}${flagName(name)}`;
  });
}

/** The run's options from its flags. UserError if `--force` would remove the file of `--config`. */
export async function runOptionsOf(values: RunValues & ResultValues): Promise<RunOptions> {
  const { out, force, config, http = true, httpToken = process.env.DPMESH_HTTP_TOKEN } = values;
  assertLocal('--out', out);
  if (out !== undefined && force && config !== undefined)
    (await import('../run/run-path.ts')).assertUsable(out, force, { '--config': config });
  const given = runOptions.filter(([name, own]) => !own.isForTerminals && values[name] !== undefined);
  return { ...Object.fromEntries(given.map(([name]) => [name, values[name]])), http, httpToken };
}

/**
 * Reads the options from the file of `--config`. Its keys are names of flags, with dashes or in camel case; in a run.json they
 * are under `config`. UserError for any other key. `commandFlags`: all flags of the command.
 */
async function readConfigFile(path: string, commandFlags: readonly string[]): Promise<OptionValues> {
  const failure = (problem: string) => new UserError(`--config ${path}${problem}`);
  const content = await parseFile(path);
  const config =
    isMap(content) && Object.hasOwn(content, 'config') && isMap(content.config) ? content.config : content;
  if (config === null || config === undefined)
    throw failure(' is empty; add lines such as "max-epochs: 100"');
  if (!isMap(config)) throw failure(' has no flags; its lines must look like "max-epochs: 100"');
  const values: OptionValues = {};
  const keys = new Map<OptionName, string>();
  for (const [key, value] of Object.entries(config)) {
    const name = optionNamed(key);
    if (!name) throw failure(unknownKey(oneLine(key.slice(0, MOST_SHOWN)), commandFlags));
    if (keys.has(name))
      throw failure(` has both ${keys.get(name)} and ${key}, which are the same flag; leave one out`);
    keys.set(name, key);
    if (name === 'seed' && typeof value === 'number' && !Number.isSafeInteger(value))
      throw failure(`: seed ${value} is not exact as a number; put it in quotes`);
    values[name] = OPTIONS[name].type === 'boolean' ? parseYesOrNo(value) : value;
  }
  return values;
}

/** Characters of a key in a message. */
const MOST_SHOWN = 80;

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function optionNamed(key: string): OptionName | null {
  const name = camelCase(kebabCase(key));
  return Object.hasOwn(OPTIONS, name) ? (name as OptionName) : null;
}

/** Bytes of a file of settings that is no run.json. */
const MOST_YAML = 1 << 20;

async function parseFile(path: string): Promise<unknown> {
  if (existsSync(path) && statusOf(path)?.isDirectory()) {
    const runFile = join(path, 'run.json');
    const file = existsSync(runFile) ? runFile : 'a YAML or JSON file';
    throw new UserError(`--config ${path} is a folder; pass ${file}`);
  }
  let text: string;
  try {
    text = readWhole(path, MOST_RUN_JSON, { canBeEmpty: true }).toString();
  } catch (error) {
    throw new UserError(`--config ${(error as Error).message}`);
  }
  const repeated = (key: unknown) =>
    new UserError(`--config ${path} has ${oneLine(String(key).slice(0, MOST_SHOWN))} twice; leave one out`);
  // A run.json may be long, and YAML takes its time.
  const json = parseJson(text);
  if (json) {
    const key = repeatedKey(text);
    if (key !== null) throw repeated(key);
    return json.content;
  }
  const { length } = text;
  if (length > MOST_YAML)
    throw new UserError(`--config ${path} has ${length} bytes, and should have ${MOST_YAML} at the most`);
  const { isScalar, parse } = await import('yaml');
  let twice: unknown;
  const uniqueKeys = (a: unknown, b: unknown) => {
    if (!isScalar(a) || !isScalar(b) || a.value !== b.value) return false;
    twice ??= a.value;
    return true;
  };
  try {
    return parse(text, { logLevel: 'error', uniqueKeys });
  } catch (error) {
    if (twice !== undefined) throw repeated(twice);
    const why = (error as Error).message.split('\n')[0].replace(/:\s*$/, '');
    throw new UserError(`--config ${path} is neither YAML nor JSON: ${why}`);
  }
}

/** What is in a text of JSON; null if it is none. */
function parseJson(text: string): { content: unknown } | null {
  try {
    return { content: JSON.parse(text) };
  } catch {
    return null;
  }
}

/** The first key that an object of this valid JSON has twice, of which `JSON.parse` takes the last; null if there is none. */
function repeatedKey(json: string): string | null {
  /** Of each object or list that is open, the innermost last. */
  const keys: Set<string>[] = [];
  for (const [token, text, colon] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]/g))
    if (token === '{' || token === '[') keys.push(new Set());
    else if (token === '}' || token === ']') keys.pop();
    else if (colon) {
      const key: string = JSON.parse(text);
      if (keys.at(-1)!.has(key)) return key;
      keys.at(-1)!.add(key);
    }
  return null;
}

/** The message for a key that is not an option: it is another flag of the command, or unknown. */
function unknownKey(key: string, commandFlags: readonly string[]): string {
  const name = kebabCase(key);
  if (commandFlags.includes(name.replace(/^no-/, '')))
    return ` has ${key}, which does not determine the result; set --${name} on the command line instead`;
  const nearest = nearestFlag(name, Object.keys(OPTIONS).map(kebabCase));
  return `: unknown flag ${key}; ${nearest ? `did you mean ${nearest}?` : 'dpmesh train --help lists all flags'}`;
}
