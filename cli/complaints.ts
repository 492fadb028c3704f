import type { Options } from 'yargs';
import { camel, kebab, nearestFlag, YES_OR_NO, yesOrNo } from './config.ts';

export interface Command {
  command: string;
  builder: unknown;
}

/** What yargs complains about, in words that name the flag. `args`: all that stands behind `dpmesh`. */
export function inOurWords(message: string, args: string[], commands: readonly Command[]): string {
  const command = commands.find((module) => nameOf(module) === args[0]);
  const options = (command?.builder ?? {}) as Record<string, Options>;
  const text = message.replace(/\s*\n\s*/g, ' ').trim();

  const unknown = /^Unknown arguments?: (.+)$/.exec(text);
  if (unknown) return nameless(unknown[1].split(', ')[0], args, options);
  const near = /^Did you mean (\S+)\?$/.exec(text);
  if (near) return `there is no command ${args[0]}; did you mean ${near[1]}? dpmesh --help lists them`;
  const choice =
    /^Invalid values: Argument: ([\w-]+), Given: "?(.*?)"?, Choices: ("[^"]*"(?:, "[^"]*")*)/.exec(text);
  if (choice) return `--${choice[1]} ${choice[2]} must be one of ${choice[3].replaceAll('"', '')}`;
  const valueless = /^Not enough arguments following: ([\w-]+)/.exec(text);
  if (valueless) return `--${valueless[1]} needs a value behind it`;
  const missing = /^Missing required arguments?: ([\w-]+)/.exec(text);
  if (missing) return `--${missing[1]} is missing: ${options[missing[1]]?.describe}`;
  if (command && /^Not enough non-option arguments/.test(text))
    return `${command.command.split(' ')[1]} is missing: dpmesh ${command.command}`;
  return text;
}

/** What is wrong with the first flag that takes a number and was given none, or null. */
export function notANumber(values: Record<string, unknown>, args: string[], builder: unknown): string | null {
  for (const [flag, { type }] of Object.entries(builder as Record<string, Options>)) {
    if (type !== 'number' || !Number.isNaN(values[flag])) continue;
    const at = args.findLastIndex((arg) => arg === `--${flag}` || arg.startsWith(`--${flag}=`));
    const given =
      at < 0 ? '' : args[at].includes('=') ? args[at].replace(/^[^=]*=/, '') : (args[at + 1] ?? '');
    return `--${flag} ${given} must be a number`.replace('  ', ' ');
  }
  return null;
}

/** What is wrong with the first `--no-<flag>` of a flag that cannot be switched off, or null. */
export function cannotBeOff(args: string[], builder: unknown): string | null {
  const options = builder as Record<string, Options>;
  for (const arg of args) {
    const [, flag] = /^--no-([\w-]+)/.exec(arg) ?? [];
    const option = flag && options[flag];
    // The flags with a value that can be say so in their help.
    if (option && option.type !== 'boolean' && !option.describe?.includes(`--no-${flag}`))
      return `there is no flag --no-${flag}: --${flag} takes a value; leave it out for its default`;
  }
  return null;
}

/**
 * Sets the flags that are given as `--flag=yes` or `--flag=no`, and says what is wrong with the first that has another word
 * behind it, or null: yargs takes all but `true` for no.
 */
export function yesAndNo(values: Record<string, unknown>, args: string[], builder: unknown): string | null {
  const options = builder as Record<string, Options>;
  for (const arg of args) {
    const [, given, text] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (given === undefined) continue;
    const flag = kebab(given);
    if (options[flag]?.type !== 'boolean') continue;
    const value = yesOrNo(text);
    if (typeof value !== 'boolean') return `--${flag} ${text} ${YES_OR_NO}`;
    values[flag] = value;
    values[camel(flag)] = value;
  }
  return null;
}

const nameOf = ({ command }: Command) => command.split(' ')[0];

/** For a word that no flag takes, and for a flag that there is not. */
function nameless(name: string, args: string[], options: Record<string, Options>): string {
  if (args[0] === name) return `there is no command ${name}; dpmesh --help lists them`;
  if (args.slice(1).includes(name)) {
    const hint = options.data && !options.data.hidden ? ` For data to cluster: --data ${name}` : '';
    return `${name} stands alone: which flag is it for?${hint}`;
  }
  const known = Object.entries(options).flatMap(([flag, { hidden }]) => (hidden ? [] : flag));
  return `there is no flag --${name}; did you mean --${nearestFlag(name, known)}?`;
}
