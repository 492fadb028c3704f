import { existsSync } from 'node:fs';
import { camelCase, kebabCase } from '../base/text.ts';
import { yesOrNo } from '../run/domains.ts';
import { type Command, type Flag, type Flags, nameOf, nearestFlag, parseYesOrNo } from './flags.ts';

/** The words of a command line, parsed and checked against a command's flags. It knows of no command what it does; a mistake is one line for people. */

/** The arguments as parsed by yargs: words under `_`, each flag under all of its names. */
export interface Parsed extends Record<string, unknown> {
  _: (string | number)[];
}

/** Stands for `--`, after which yargs finds no positional arguments. */
const END_OF_FLAGS = 'end-of-flags';

/** The arguments with those after `--` as words that no flag before them takes, and none of which looks like a flag. */
export function withoutDashes(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  if (end < 0) return [...args];
  const words = args.slice(end + 1).map((word) => (word.startsWith('-') ? `./${word}` : word));
  return [...args.slice(0, end), `--${END_OF_FLAGS}=true`, ...words];
}

const positionalsOf = ({ command }: Command) => command.split(' ').slice(1);
/** Of `resume <run>`: `run`; of `view <runs..>`: `runs`. */
export const positionalNames = (command: Command) =>
  positionalsOf(command).map((name) => name.slice(1, -1).replace('..', ''));

export const commandNamed = (name: unknown, commands: readonly Command[]) =>
  commands.find((command) => nameOf(command) === name);

/** The message for a missing positional argument of a command; null if the command requires none. */
export function missingPositional(command: Command): string | null {
  const required = positionalsOf(command).find((name) => name.startsWith('<'));
  return required ? `${required} is missing; usage: dpmesh ${command.command}` : null;
}

/**
 * The message for the first problem in the arguments of a command; null if there is none. `args`: the arguments as typed.
 * Also sets booleans given as `--flag=yes` or `--flag=no`, as yargs reads every value but `true` as false.
 */
export function argumentProblem(parsed: Parsed, args: readonly string[], command: Command): string | null {
  const flags = command.builder;
  const typed = typedFlags(args, flags);
  return (
    assignWords(parsed, command) ??
    missingFlag(parsed, flags) ??
    unknownArgument(parsed, args, command) ??
    emptyValue(typed) ??
    invalidChoice(parsed, flags) ??
    invalidNegation(args, flags) ??
    invalidNumber(parsed, args, flags) ??
    setBooleans(parsed, typed)
  );
}

/** The known flags among the arguments, with what comes after `=`, and what may be their value: that, or the next argument. */
function typedFlags(args: readonly string[], flags: Flags) {
  return args.flatMap((arg, i) => {
    const [, typed, , value] = /^--([^=]+)(=(.*))?$/s.exec(arg) ?? [];
    const name = typed === undefined ? '' : kebabCase(typed);
    return Object.hasOwn(flags, name) ? [{ name, flag: flags[name], value, next: args[i + 1] }] : [];
  });
}

/** Gives the words of a command line to those of its flags that are not given themselves. */
function assignWords(parsed: Parsed, command: Command): string | null {
  const { words: flags = [] } = command;
  if (!flags.length) return null;
  const words = positionalNames(command).flatMap((name) => (parsed[name] as string | undefined) ?? []);
  const free = flags.filter((flag) => parsed[flag] === undefined);
  const surplus = words[free.length];
  if (surplus !== undefined) {
    const flag = flags.at(-1)!;
    const fix = isOfPattern(surplus, command) ? IN_QUOTES : 'leave one out';
    return `${surplus} and --${flag} ${parsed[flag]} are both given for --${flag}; ${fix}`;
  }
  for (const [i, word] of words.entries()) {
    const flag = free[i];
    const value = command.builder[flag].type === 'number' ? numberOf(word) : word;
    if (Number.isNaN(value)) return notNumber(flag, word);
    parsed[flag] = value;
  }
  return null;
}

/** NaN for a text that is not a number; what is no text (a default, or `false` of `--no-…`) stays. */
export const numberOf = (value: unknown) =>
  typeof value !== 'string' ? value : value.trim() === '' ? Number.NaN : Number(value);

function missingFlag(parsed: Parsed, flags: Flags): string | null {
  for (const [name, { demandOption, describe }] of Object.entries(flags))
    if (demandOption && parsed[name] === undefined) return `--${name} is missing: ${describe}`;
  return null;
}

/** An unknown flag, or a word that belongs to no flag. */
function unknownArgument(parsed: Parsed, args: readonly string[], command: Command): string | null {
  const { builder: flags } = command;
  const positionals = positionalNames(command);
  const aliases = Object.values(flags).flatMap(({ alias }) => alias ?? []);
  const always = ['help', 'h', 'version', '_', '--', '$0', END_OF_FLAGS];
  const known = [...Object.keys(flags), ...aliases, ...positionals, ...always];
  const isKnown = new Set(known.flatMap((name) => [name, camelCase(name)]));
  const isTyped = (name: string) => args.some((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
  const name =
    Object.keys(parsed).find((name) => !isKnown.has(name)) ??
    positionals.find((name) => isTyped(name) && command.words);
  if (name !== undefined) return unknownFlag(name, flags, nameOf(command));
  if (parsed._.length < 2) return null;
  const text = String(parsed._[1]);
  const fix = isOfPattern(text, command) ? `; ${IN_QUOTES}` : '';
  return `unexpected argument ${text.trim() ? text : `"${text}"`}: no flag takes it${fix}`;
}

const IN_QUOTES = 'for several files, put their pattern in quotes, or name their folder';

/** Is a word too many a file, as a shell makes of a pattern without quotes? */
const isOfPattern = (word: string, { words }: Command) => words?.includes('data') && existsSync(word);

function unknownFlag(name: string, flags: Flags, command: string): string {
  const typed = `unknown flag ${name.length > 1 ? '--' : '-'}${name}`;
  const visible = Object.entries(flags).flatMap(([flag, { hidden }]) => (hidden ? [] : flag));
  const nearest = nearestFlag(name, visible);
  return `${typed}; ${nearest ? `did you mean --${nearest}?` : `dpmesh ${command} --help lists all flags`}`;
}

/** An empty text after a flag that takes a value, such as that of a variable that is not set: as a number, it would be 0. */
function emptyValue(typed: ReturnType<typeof typedFlags>): string | null {
  const empty = typed.find(({ flag, value, next }) => flag.type !== 'boolean' && (value ?? next) === '');
  return empty ? `--${empty.name} needs a value; what was given is empty` : null;
}

function invalidChoice(parsed: Parsed, flags: Flags): string | null {
  for (const [name, value] of Object.entries(parsed)) {
    const choices = Object.hasOwn(flags, name) ? flags[name].choices : undefined;
    if (choices && value !== undefined && !choices.includes(value as string))
      return `--${name} ${value} must be one of ${choices.join(', ')}`;
  }
  return null;
}

/** `--no-<flag>` for a flag that takes a value. */
function invalidNegation(args: readonly string[], flags: Flags): string | null {
  for (const arg of args) {
    const [, name] = /^--no-([\w-]+)/.exec(arg) ?? [];
    const flag: Flag | undefined = flags[name];
    if (flag && flag.type !== 'boolean' && !flag.canBeOff)
      return `unknown flag --no-${name}: --${name} takes a value; leave it out to use its default`;
  }
  return null;
}

function invalidNumber(parsed: Parsed, args: readonly string[], flags: Flags): string | null {
  for (const [name, { type }] of Object.entries(flags)) {
    if (type !== 'number' || !Number.isNaN(parsed[name])) continue;
    const index = args.findLastIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
    const [, value = args[index + 1] ?? ''] = /=(.*)$/s.exec(args[index] ?? '=') ?? [];
    return notNumber(name, value);
  }
  return null;
}

const notNumber = (flag: string, value: string) => `--${flag} ${value} must be a number`.replace('  ', ' ');

function setBooleans(parsed: Parsed, typed: ReturnType<typeof typedFlags>): string | null {
  for (const { name, flag, value: text } of typed) {
    if (flag.type !== 'boolean' || text === undefined) continue;
    const value = parseYesOrNo(text);
    if (typeof value !== 'boolean') return `--${name} ${text} must be ${yesOrNo().limit}`;
    parsed[name] = parsed[camelCase(name)] = value;
  }
  return null;
}
