import { kebabCase, oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { type Domain, isWord, type Kind, limitFor, nullable } from './domains.ts';

/**
 * One option, whatever has it: a run, an update, a command. Each is an entry of one table, in the file of what it is for; from the tables follow the
 * flags of commands with their checks, the options of the library, their types (`npm run options`), the parameters of the Python client,
 * and what run.json has. Nothing here knows which options there are.
 */

/** The commands that have a session of a run. */
export type RunCommand = 'train' | 'update' | 'coordinator' | 'resume' | 'finish';

export interface Description<T> {
  /** What it is for, with other options as flags; the library and Python show them by their names there. */
  help: string;
  /** The default. Null if it depends on the data or on other options, as `defaultText` says. */
  fast?: T | null;
  /** The default with `--schedule paper`, if it differs. */
  paper?: T | null;
  defaultText?: string;
  /** Another name of the flag. */
  alias?: string;
  /** Of a session: the commands that have it. */
  commands?: readonly RunCommand[];
  /** The flag has to be given; of programs their types say it. */
  isRequired?: boolean;
  /** The flag is not shown: there is a word for it, or a better one. */
  isHidden?: boolean;
  /** It is for terminals: no option of programs. */
  isForTerminals?: boolean;
  /** The default in programs, if it differs. */
  inPrograms?: string;
  /** The flag takes a value, but `--no-<flag>` is valid too. */
  canBeOff?: boolean;
  /** Of an update: its stages need it, and so do those of a later session, which has it from run.json. Its name there. */
  stored?: string;
}

export type Option = Domain<unknown> & Description<unknown> & { group?: string };
export type Options = Readonly<Record<string, Option>>;

export const option = <T, const About extends Description<NoInfer<T>>>(domain: Domain<T>, about: About) => ({
  ...domain,
  ...about,
});
/** An option without a default of its own, as it depends on the data or on other options; `none` says how. */
export const optional = <T>(domain: Domain<T>, none: string, about: Omit<Description<T>, 'defaultText'>) =>
  option(nullable(domain), { fast: null, defaultText: none, ...about });
/** Options that are shown together. */
export const of = <T extends object>(group: string, options: T) =>
  Object.fromEntries(Object.entries(options).map(([name, option]) => [name, { group, ...option }])) as {
    [Name in keyof T]: T[Name] & { group: string };
  };

/** The values of these options, as a run has them. */
export type ValuesOf<Table extends Record<string, { read(value: unknown): unknown }>> = {
  [Name in keyof Table]: Exclude<ReturnType<Table[Name]['read']>, undefined>;
};

/** The same with the defaults of those that are not given; undefined without one. */
export type Settings<Of extends Record<string, { read(value: unknown): unknown }>> = {
  [Name in keyof Of]:
    | ValuesOf<Of>[Name]
    | (Of[Name] extends { fast: unknown } | { isRequired: true } ? never : undefined);
};

/** What these options are, by their defaults where they are not given. UserError for a value that is not accepted. */
export const settingsOf = <const Of extends Options>(table: Of, given: object): Settings<Of> =>
  Object.fromEntries(
    Object.entries(table).map(([name, option]) => {
      const value = (given as Record<string, unknown>)[name];
      return [name, value === undefined ? option.fast : accepted(option, value, flagName(name))];
    }),
  ) as Settings<Of>;

const accepted = (option: Option, value: unknown, name: string) =>
  value === null && option.isNullable ? null : validated(option, value, name);

/** The values of options that are stored, by their names there. */
export type Stored<Of extends Record<string, { read(value: unknown): unknown }>> = {
  [Name in keyof Of as Of[Name] extends { stored: infer As extends string } ? As : never]?:
    | ValuesOf<Of>[Name]
    | (Of[Name] extends { fast: unknown } ? never : null);
};

/** Of these values those that are stored, and differ from the default; null where an option without one is not given. */
export const storedOf = <const Of extends Options>(table: Of, values: Settings<Of>): Stored<Of> =>
  Object.fromEntries(
    Object.entries(table).flatMap(([name, { stored, fast }]) => {
      const value = values[name as keyof Of];
      return stored && (fast === undefined || value !== fast) ? [[stored, value ?? null]] : [];
    }),
  ) as Stored<Of>;

/** What a program may pass as each of these options, but for those of terminals. */
export const kindsOf = <const Of extends Options>(table: Of) =>
  Object.fromEntries(
    Object.entries(table).flatMap(([name, { isForTerminals, kind, type }]) =>
      isForTerminals ? [] : [[name, kind ?? type]],
    ),
  ) as {
    [Name in keyof Of as Of[Name] extends { isForTerminals: true } ? never : Name]: Kind | readonly Kind[];
  };

/** The value as a run has it. UserError, which calls the option `name`, where it accepts no such value. */
export function validated<T>(option: Domain<T>, value: unknown, name: string): T {
  const own = option.read(value);
  if (own !== undefined) return own;
  throw new UserError(`${name} ${shortened(asText(value))} must be ${limitFor(option, value)}`);
}

/** Characters of a value in a message: that of a file may be long, and have any characters. */
const MOST_SHOWN = 80;
const shortened = (text: string) =>
  oneLine(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text);

/** Lists of words as they are typed, other objects as JSON, which those of a program may not have. */
export function asText(value: unknown): string {
  if (typeof value !== 'object' || (Array.isArray(value) && value.length && value.every(isWord)))
    return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return 'an object';
  }
}

/** What flags show as the default of an option; undefined where there is none. */
export const shownDefault = ({ fast, defaultText }: Description<unknown>): string | undefined =>
  defaultText ?? (fast === undefined || fast === null ? undefined : String(fast));

/** A text about options, with each `--flag` as `name` calls it; `off`: what `--no-flag` is called. */
export const withNames = (text: string, name: (flag: string) => string, off: (flag: string) => string) =>
  text
    .replace(/--no-([a-z][\w-]*)/g, (_, flag: string) => off(flag))
    .replace(/--([a-z][\w-]*)/g, (_, flag: string) => name(flag));

/** An option as a flag. */
export const flagName = (name: string) => `--${kebabCase(name)}`;
