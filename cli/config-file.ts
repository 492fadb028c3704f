import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readTextFile } from '../base/files.ts';
import { camelCase, kebabCase } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { OPTIONS, type OptionName, type OptionValues } from '../coordinator/config.ts';
import { nearestFlag, yesOrNo } from './flag.ts';

/**
 * The options in the file of `--config`. Keys are flags' names, with dashes or in camel case; a run.json holds them under
 * `config`. UserError for a key that the file should not have. `command`: all flags of the command.
 */
export async function readConfigFile(path: string, command: readonly string[]): Promise<OptionValues> {
  const wrong = (what: string) => new UserError(`--config ${path}${what}`);
  const read = await parseFile(path);
  const within = isMap(read) && Object.hasOwn(read, 'config') && isMap(read.config) ? read.config : read;
  if (within === null || within === undefined)
    throw wrong(' is empty: it needs a line such as "max-epochs: 100"');
  if (!isMap(within)) throw wrong(' has no flags: its lines must be such as "max-epochs: 100"');
  const given: OptionValues = {};
  const keys = new Map<OptionName, string>();
  for (const [key, value] of Object.entries(within)) {
    const name = optionNamed(key);
    if (!name) throw wrong(noSuchFlag(key, command));
    if (keys.has(name))
      throw wrong(` says both ${keys.get(name)} and ${key}, which is one flag: leave one out`);
    keys.set(name, key);
    if (name === 'seed' && typeof value === 'number' && !Number.isSafeInteger(value))
      throw wrong(`: seed ${value} loses digits as a number; put it in quotes`);
    given[name] = OPTIONS[name].type === 'boolean' ? yesOrNo(value) : value;
  }
  return given;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function optionNamed(key: string): OptionName | null {
  const name = camelCase(kebabCase(key));
  return Object.hasOwn(OPTIONS, name) ? (name as OptionName) : null;
}

async function parseFile(path: string): Promise<unknown> {
  if (existsSync(path) && statSync(path).isDirectory()) {
    const inside = join(path, 'run.json');
    throw new UserError(
      `--config ${path} is a folder: name ${existsSync(inside) ? inside : 'a file, YAML or JSON'}`,
    );
  }
  let text: string;
  try {
    text = readTextFile(path);
  } catch (error) {
    throw new UserError(`--config ${(error as Error).message}`);
  }
  const { parse } = await import('yaml');
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    const why = (error as Error).message.split('\n')[0].replace(/:\s*$/, '');
    throw new UserError(`--config ${path} is neither YAML nor JSON: ${why}`);
  }
}

/** Of a key that is no option: a flag of the command, or a mistake. */
function noSuchFlag(key: string, command: readonly string[]): string {
  const name = kebabCase(key);
  return command.includes(name.replace(/^no-/, ''))
    ? ` has ${key}, which is no part of what makes the result: say --${name} on the command line`
    : `: there is no flag ${key}; did you mean ${nearestFlag(name, Object.keys(OPTIONS).map(kebabCase))}?`;
}
