import { closest, distance } from 'fastest-levenshtein';
import type { Options as YargsOptions } from 'yargs';
import { kebabCase } from '../base/text.ts';
import type { OptionValues } from '../run/config.ts';
import {
  type Option,
  type Options,
  type RunCommand,
  type Settings,
  settingsOf,
  type ValuesOf,
} from '../run/option.ts';
import { options } from '../run/options.ts';
import { type RUN_OPTIONS, runOptions } from '../run/session-options.ts';

/** Commands and their flags, as yargs reads them. */

/** A flag, as an option of yargs. */
export interface Flag extends YargsOptions {
  /** The flag takes a value, but `--no-<flag>` is also valid. */
  canBeOff?: boolean;
  /** Its value is a list with commas between: given twice, it adds up. */
  isList?: boolean;
}
export type Flags = Record<string, Flag>;

export interface Command {
  /** The name and positional arguments: `resume <run>`. */
  command: string;
  describe: string;
  builder: Flags;
  /** Flags for which words may stand, in this order: `predict runs/x new.npy` for `--run` and `--data`. */
  words?: readonly string[];
  /** Calls, without the program's name, and what they do. */
  examples?: readonly (readonly [call: string, what: string])[];
  /** What it does. It imports what it needs, so that `--help` and other commands do not load that. */
  handler(values: never): Promise<void>;
}

/** A command from the table of its options; its handler has their values, checked. */
export const defineCommand = <const Of extends Options, const Name extends string>({
  options,
  handler,
  ...command
}: Omit<Command, 'command' | 'builder' | 'handler'> & {
  command: Name;
  options: Of;
  handler(values: Settings<Of> & Positional<Name>): Promise<void>;
}): Command => ({
  ...command,
  builder: flagsOf(options),
  handler: async (values: object & Positional<Name>) =>
    handler({ ...values, ...settingsOf(options, values) }),
});

/** The value of a positional argument, `view <runs..>`, `keygen <folder>` or `setup [what]`. */
type Positional<Name extends string> = Name extends `${string} <${infer Word}..>`
  ? Record<Word, string[]>
  : Name extends `${string} <${infer Word}>`
    ? Record<Word, string>
    : Name extends `${string} [${infer Word}]`
      ? Partial<Record<Word, string>>
      : unknown;

export const nameOf = ({ command }: Pick<Command, 'command'>) => command.split(' ')[0];

/** An option as a flag, but for its default. */
function flagFrom(option: Option): Flag {
  const { type, group, help, choices, alias, isList, isArray, isRequired, isHidden, canBeOff } = option;
  return {
    ...{ type, describe: help, requiresArg: type !== 'boolean' },
    ...(group && { group: `${group}:` }),
    ...(choices && { choices }),
    ...(alias && { alias }),
    ...(isList && { isList }),
    ...(isArray && { array: true }),
    ...(isRequired && { demandOption: true }),
    ...(isHidden && { hidden: true }),
    ...(canBeOff && { canBeOff }),
  };
}

/** Flags that determine the result. Their defaults are only shown, not set, because those of a config file take precedence. */
export const resultFlags: Flags = {
  config: {
    type: 'string',
    group: `${options[0][1].group}:`,
    describe:
      'YAML or JSON file with flags that determine the result, or a run.json; the command line overrides it',
  },
  ...Object.fromEntries(
    options.map(([name, option]): [string, Flag] => {
      const { help, paper, fast, defaultText } = option;
      const onPaper = paper === undefined ? '' : ` (paper schedule: ${paper})`;
      const data = '; required, but also without --data (train x.npy) or in --config';
      const shown = defaultText ?? fast;
      return [
        kebabCase(name),
        {
          ...flagFrom(option),
          describe: `${help}${onPaper}${name === 'data' ? data : ''}`,
          ...(shown !== undefined && { defaultDescription: String(shown) }),
        },
      ];
    }),
  ),
};
export type ResultValues = OptionValues & { config?: string };

/** The flags of a command for how a run proceeds, which do not affect its result. */
export const flagsFor = (command: RunCommand): Flags =>
  Object.fromEntries(
    runOptions
      .filter(([, { commands }]) => commands.includes(command))
      .map(([name, option]) => [kebabCase(name), runFlag(option)]),
  );
/** The options of such a table as flags. */
export const flagsOf = (table: Options): Flags =>
  Object.fromEntries(Object.entries(table).map(([name, option]) => [kebabCase(name), runFlag(option)]));

export type RunValues = Partial<ValuesOf<typeof RUN_OPTIONS>>;

/** The options of such a table that a program has too, as a command hands them on. */
export const pickOptions = <const Of extends Options, Values extends object>(table: Of, values: Values) =>
  Object.fromEntries(
    Object.keys(table).flatMap((name) =>
      table[name].isForTerminals ? [] : [[name, values[name as keyof Values]]],
    ),
  ) as Pick<Values, keyof ProgramOptionsOf<Of> & keyof Values>;

type ProgramOptionsOf<Of extends Options> = {
  [Name in keyof Of as Of[Name] extends { isForTerminals: true } ? never : Name]: unknown;
};

const runFlag = (option: Option): Flag => ({
  ...flagFrom(option),
  ...(option.defaultText !== undefined && { defaultDescription: option.defaultText }),
  ...(option.fast !== undefined && { default: option.fast }),
});

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
