import { camelCase, kebabCase } from '../base/text.ts';
import { YES_OR_NO } from '../coordinator/config.ts';
import { type Flag, type Flags, nearestFlag, yesOrNo } from './flag.ts';

export interface Command {
  /** Its name, and the words behind it: `resume <run>`. */
  command: string;
  describe: string;
  builder: Flags;
}

/** What yargs has made of the arguments: words under `_`, each flag under all of its names. */
export interface Parsed extends Record<string, unknown> {
  _: (string | number)[];
}

const nameOf = ({ command }: Command) => command.split(' ')[0];
const wordsOf = ({ command }: Command) => command.split(' ').slice(1);

export const commandNamed = (name: unknown, commands: readonly Command[]) =>
  commands.find((command) => nameOf(command) === name);

/** What is said of a command whose word is not there; null for one that needs none. */
export function wordMissing(command: Command): string | null {
  const word = wordsOf(command).find((word) => word.startsWith('<'));
  return word ? `${word} is missing: dpmesh ${command.command}` : null;
}

/**
 * What is wrong with the arguments of a command, the first thing, in words that name it; or null. Booleans that are given as
 * `--flag=yes` or `--flag=no` are set: yargs takes all but `true` for no. `args`: as they were typed.
 */
export function problemOf(parsed: Parsed, args: readonly string[], command: Command): string | null {
  const flags = command.builder;
  return (
    missing(parsed, flags) ??
    unknown(parsed, command) ??
    notAChoice(parsed, flags) ??
    cannotBeOff(args, flags) ??
    notANumber(parsed, args, flags) ??
    setYesAndNo(parsed, args, flags)
  );
}

function missing(parsed: Parsed, flags: Flags): string | null {
  for (const [name, { demandOption, describe }] of Object.entries(flags))
    if (demandOption && parsed[name] === undefined) return `--${name} is missing: ${describe}`;
  return null;
}

/** A flag that there is not, or a word that no flag takes. */
function unknown(parsed: Parsed, command: Command): string | null {
  const flags = command.builder;
  const words = wordsOf(command).map((word) => word.slice(1, -1));
  const aliases = Object.values(flags).flatMap(({ alias }) => alias ?? []);
  const known = [...Object.keys(flags), ...aliases, ...words, 'help', 'h', 'version', '_', '--', '$0'];
  const isKnown = new Set(known.flatMap((name) => [name, camelCase(name)]));
  const name = Object.keys(parsed).find((name) => !isKnown.has(name));
  if (name !== undefined) {
    const shown = Object.entries(flags).flatMap(([flag, { hidden }]) => (hidden ? [] : flag));
    return `there is no flag --${name}; did you mean --${nearestFlag(name, shown)}?`;
  }
  if (parsed._.length < 2) return null;
  const text = String(parsed._[1]);
  const word = text.trim() ? text : `"${text}"`;
  const hint = flags.data && !flags.data.hidden ? ` For data to cluster: --data ${word}` : '';
  return `${word} stands alone: which flag is it for?${hint}`;
}

function notAChoice(parsed: Parsed, flags: Flags): string | null {
  for (const [name, value] of Object.entries(parsed)) {
    const choices = Object.hasOwn(flags, name) ? flags[name].choices : undefined;
    if (choices && value !== undefined && !choices.includes(value as string))
      return `--${name} ${value} must be one of ${choices.join(', ')}`;
  }
  return null;
}

/** `--no-<flag>` of a flag that takes a value. */
function cannotBeOff(args: readonly string[], flags: Flags): string | null {
  for (const arg of args) {
    const [, name] = /^--no-([\w-]+)/.exec(arg) ?? [];
    const flag: Flag | undefined = name === undefined ? undefined : flags[name];
    if (flag && flag.type !== 'boolean' && !flag.canBeOff)
      return `there is no flag --no-${name}: --${name} takes a value; leave it out for its default`;
  }
  return null;
}

function notANumber(parsed: Parsed, args: readonly string[], flags: Flags): string | null {
  for (const [name, { type }] of Object.entries(flags)) {
    if (type !== 'number' || !Number.isNaN(parsed[name])) continue;
    const at = args.findLastIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
    const given =
      at < 0 ? '' : args[at].includes('=') ? args[at].replace(/^[^=]*=/, '') : (args[at + 1] ?? '');
    return `--${name} ${given} must be a number`.replace('  ', ' ');
  }
  return null;
}

function setYesAndNo(parsed: Parsed, args: readonly string[], flags: Flags): string | null {
  for (const arg of args) {
    const [, given, text] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (given === undefined) continue;
    const name = kebabCase(given);
    if (flags[name]?.type !== 'boolean') continue;
    const value = yesOrNo(text);
    if (typeof value !== 'boolean') return `--${name} ${text} ${YES_OR_NO}`;
    parsed[name] = value;
    parsed[camelCase(name)] = value;
  }
  return null;
}
