import { closest, distance } from 'fastest-levenshtein';
import type { InferredOptionType, Options } from 'yargs';
import { kebabCase } from '../base/text.ts';
import type { OptionValues } from '../run/config.ts';
import { type Option, type RunCommand, shownDefault, type ValuesOf } from '../run/option.ts';
import { options } from '../run/options.ts';
import { type RUN_OPTIONS, runOptions } from '../run/session-options.ts';

/** Commands and their flags, as yargs reads them. */

/** A flag, as an option of yargs. */
export interface Flag extends Options {
  /** The flag takes a value, but `--no-<flag>` is also valid. */
  canBeOff?: boolean;
  /** Its value is a list with commas between: given twice, it adds up. */
  isList?: boolean;
}
export type Flags = Record<string, Flag>;

type CamelCase<Name> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** A flag that takes text. */
export const textFlag = <const More extends Flag>(describe: string, more = {} as More) =>
  ({ type: 'string', requiresArg: true, describe, ...more }) as const;
export const numberFlag = <const More extends Flag>(describe: string, more = {} as More) =>
  ({ type: 'number', requiresArg: true, describe, ...more }) as const;
/** A flag that is off unless it is given. */
export const switchFlag = (describe: string) => ({ type: 'boolean', default: false, describe }) as const;

export const REQUIRED = { demandOption: true } as const;
/** Of commands that use a finished run. */
export const RUN = textFlag('run directory', REQUIRED);

/** The values of these flags, as a command's handler receives them. */
export type FlagValues<Of extends Flags> = {
  [Name in keyof Of as CamelCase<Name>]: InferredOptionType<Of[Name]>;
};

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

/** A command whose handler has values of the types of its flags. */
export const defineCommand = <const Of extends Flags, const Name extends string>(
  command: Omit<Command, 'command' | 'builder' | 'handler'> & {
    command: Name;
    builder: Of;
    handler(values: FlagValues<Of> & Positional<Name>): Promise<void>;
  },
): Command => command;

/** The value of a required positional argument, `view <runs..>` or `keygen <folder>`. */
type Positional<Name extends string> = Name extends `${string} <${infer Word}..>`
  ? Record<Word, (string | number)[]>
  : Name extends `${string} <${infer Word}>`
    ? Record<Word, string | number>
    : unknown;

export const nameOf = ({ command }: Pick<Command, 'command'>) => command.split(' ')[0];

const flagFrom = ({ type, group, help, choices, alias, isList }: Option): Flag => ({
  ...{ type, group: `${group}:`, describe: help, requiresArg: type !== 'boolean' },
  ...(choices && { choices }),
  ...(alias && { alias }),
  ...(isList && { isList }),
});

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
export const flagsOf = (table: Readonly<Record<string, Option>>): Flags =>
  Object.fromEntries(Object.entries(table).map(([name, option]) => [kebabCase(name), runFlag(option)]));

export type RunValues = Partial<ValuesOf<typeof RUN_OPTIONS>>;

/** The values of the options of such a table, which a command hands on. */
export const pickOptions = <const Of extends Readonly<Record<string, Option>>>(
  table: Of,
  values: Partial<ValuesOf<Of>>,
): Partial<ValuesOf<Of>> =>
  Object.fromEntries(Object.keys(table).map((name) => [name, values[name as keyof Of]])) as Partial<
    ValuesOf<Of>
  >;

function runFlag(option: Option): Flag {
  const { fast, defaultText, canBeOff } = option;
  return {
    ...flagFrom(option),
    ...(canBeOff && { canBeOff }),
    ...(defaultText ? { defaultDescription: shownDefault(option) } : { default: fast }),
  };
}

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
