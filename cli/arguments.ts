import { camelCase, kebabCase } from '../base/text.ts';
import { YES_OR_NO } from '../coordinator/config.ts';
import { type Flag, type Flags, nearestFlag, parseYesOrNo } from './flag.ts';

export interface Command {
  /** The name and positional arguments: `resume <run>`. */
  command: string;
  describe: string;
  builder: Flags;
}

/** The arguments as parsed by yargs: words under `_`, each flag under all of its names. */
export interface Parsed extends Record<string, unknown> {
  _: (string | number)[];
}

const nameOf = ({ command }: Command) => command.split(' ')[0];
const positionalsOf = ({ command }: Command) => command.split(' ').slice(1);

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
  return (
    missingFlag(parsed, flags) ??
    unknownArgument(parsed, command) ??
    emptyValue(args, flags) ??
    invalidChoice(parsed, flags) ??
    invalidNegation(args, flags) ??
    invalidNumber(parsed, args, flags) ??
    setBooleans(parsed, args, flags)
  );
}

function missingFlag(parsed: Parsed, flags: Flags): string | null {
  for (const [name, { demandOption, describe }] of Object.entries(flags))
    if (demandOption && parsed[name] === undefined) return `--${name} is missing: ${describe}`;
  return null;
}

/** An unknown flag, or a word that belongs to no flag. */
function unknownArgument(parsed: Parsed, command: Command): string | null {
  const flags = command.builder;
  const positionals = positionalsOf(command).map((name) => name.slice(1, -1));
  const aliases = Object.values(flags).flatMap(({ alias }) => alias ?? []);
  const known = [...Object.keys(flags), ...aliases, ...positionals, 'help', 'h', 'version', '_', '--', '$0'];
  const isKnown = new Set(known.flatMap((name) => [name, camelCase(name)]));
  const name = Object.keys(parsed).find((name) => !isKnown.has(name));
  if (name !== undefined) {
    const visible = Object.entries(flags).flatMap(([flag, { hidden }]) => (hidden ? [] : flag));
    return `unknown flag --${name}; did you mean --${nearestFlag(name, visible)}?`;
  }
  if (parsed._.length < 2) return null;
  const text = String(parsed._[1]);
  const word = text.trim() ? text : `"${text}"`;
  const hint = flags.data && !flags.data.hidden ? `; for data, use --data ${word}` : '';
  return `unexpected argument ${word}: no flag takes it${hint}`;
}

/** An empty text after a flag that takes a value, such as that of a variable that is not set: as a number, it would be 0. */
function emptyValue(args: readonly string[], flags: Flags): string | null {
  for (const [i, arg] of args.entries()) {
    const [, typed, equals] = /^--([^=]+)(=?)$/s.exec(arg) ?? [];
    if (typed === undefined || (!equals && args[i + 1] !== '')) continue;
    const name = kebabCase(typed);
    const flag: Flag | undefined = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (flag && flag.type !== 'boolean') return `--${name} needs a value; what was given is empty`;
  }
  return null;
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
    const flag: Flag | undefined = name === undefined ? undefined : flags[name];
    if (flag && flag.type !== 'boolean' && !flag.canBeOff)
      return `unknown flag --no-${name}: --${name} takes a value; leave it out to use its default`;
  }
  return null;
}

function invalidNumber(parsed: Parsed, args: readonly string[], flags: Flags): string | null {
  for (const [name, { type }] of Object.entries(flags)) {
    if (type !== 'number' || !Number.isNaN(parsed[name])) continue;
    const index = args.findLastIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
    const value =
      index < 0
        ? ''
        : args[index].includes('=')
          ? args[index].replace(/^[^=]*=/, '')
          : (args[index + 1] ?? '');
    return `--${name} ${value} must be a number`.replace('  ', ' ');
  }
  return null;
}

function setBooleans(parsed: Parsed, args: readonly string[], flags: Flags): string | null {
  for (const arg of args) {
    const [, typed, text] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (typed === undefined) continue;
    const name = kebabCase(typed);
    if (flags[name]?.type !== 'boolean') continue;
    const value = parseYesOrNo(text);
    if (typeof value !== 'boolean') return `--${name} ${text} ${YES_OR_NO}`;
    parsed[name] = value;
    parsed[camelCase(name)] = value;
  }
  return null;
}
