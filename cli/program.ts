import yargs, { type Argv, type CommandModule } from 'yargs';
import { dpmeshVersion } from '../base/package.ts';
import { UserError } from '../base/user-error.ts';
import {
  argumentProblem,
  commandNamed,
  missingPositional,
  numberOf,
  positionalNames,
  withoutDashes,
} from './arguments.ts';
import type { Command, Flag, Flags } from './flags.ts';
import { evaluate, synth } from './labels.ts';
import { reportProblem } from './process.ts';
import { cut, exportCommand, name, plot, predict, rename, resolutions, view } from './results.ts';
import { coordinator, finish, resume, train, update } from './runs.ts';
import { follow, serve } from './services.ts';
import { doctor, setup } from './setup.ts';
import { keygen, launch, relay, worker } from './workers.ts';

/** The groups of flags in the order of --help: first those that every run needs. */
const GROUPS = ['Data:', 'Run:', 'Monitoring:', 'Backend:', 'Model:', 'Schedule:', 'Encoder:', 'Networks:'];

/**
 * The flags with numbers read as text and then converted: as numbers, yargs counts a value of 1 that is given after another one up
 * (`--epochs 5 --epochs 1` would be 6). Of a flag that is given twice the last value counts; lists add up.
 */
const asRead = (flags: Flags): Flags =>
  Object.fromEntries(
    Object.entries(flags).map(([name, flag]): [string, Flag] => {
      if (flag.type === 'boolean' || flag.array) return [name, flag];
      if (flag.isList) return [name, { ...flag, coerce: together }];
      const coerce = flag.type === 'number' ? (value: unknown) => numberOf(lastOf(value)) : lastOf;
      return [name, { ...flag, type: 'string', coerce }];
    }),
  );
const lastOf = (value: unknown) => (Array.isArray(value) ? value.at(-1) : value);
const together = (value: unknown) => (Array.isArray(value) ? value.join(',') : value);

/**
 * A command for yargs, with checks before those of yargs, whose messages do not name the flag. Its handler throws what is to be run out
 * of the parser: if a handler returns, yargs renders the command's help, which takes 0.07 s and is not shown.
 */
const withChecks = (command: Command, args: readonly string[]) => ({
  ...command,
  builder(yargs: Argv, isHelp: boolean) {
    for (const group of GROUPS) yargs.group([], group);
    // A word is described by the flag that it stands for, or by the usage.
    for (const word of positionalNames(command)) yargs.option(word, { type: 'string', hidden: true });
    yargs.options(isHelp ? command.builder : asRead(command.builder));
    // A line that a shell completes may have mistakes.
    if (!isHelp && args[0] !== '--get-yargs-completions')
      return yargs.middleware((parsed) => {
        // The types of yargs lack this documented property.
        const { error } = (yargs as unknown as { parsed: { error: Error | null } }).parsed;
        const problem = error?.message ?? argumentProblem(parsed, args, command);
        if (problem) throw new UserError(problem);
      }, true);
    for (const [call, what] of command.examples ?? []) yargs.example(`$0 ${call}`, what);
    return yargs;
  },
  handler(values: never) {
    throw () => command.handler(values);
  },
});

const COMPLETION = 'completion';

/** The parser of these arguments. */
function parserOf(args: readonly string[]): Argv {
  const firstWord = args.find((arg) => !arg.startsWith('-')) ?? '';
  return yargs([...args])
    .scriptName('dpmesh')
    .usage(
      '$0 <command>\n\nClusters the rows of a file when you do not know how many clusters there are: finds K, a label for each row, and a model that labels new rows.',
    )
    .command(commands.map((command) => withChecks(command, args)) as unknown as CommandModule[])
    .example('$0 train x.npy', 'cluster x.npy; labels and a report are in runs/x')
    .example('$0 cut runs/x --clusters 7', 'join its clusters to fewer')
    .example('$0 predict runs/x new.npy --out labels.npy', 'label new rows with them')
    .epilogue('$0 COMMAND --help lists the flags of a command, with examples.')
    .middleware(({ _: [name] }) => {
      if (name === undefined) throw new UserError('no command given; dpmesh --help lists all commands');
      if (name !== COMPLETION && !commandNamed(name, commands))
        throw new UserError(`unknown command ${name}; dpmesh --help lists all commands`);
    }, true)
    .recommendCommands()
    .updateStrings({
      'Did you mean %s?': `unknown command ${firstWord.replaceAll('%', '%%')}; did you mean %s? dpmesh --help lists all commands`,
      'Not enough arguments following: %s': '--%s needs a value',
    })
    .completion(COMPLETION, 'print a script with which bash or zsh completes commands and flags')
    .version(dpmeshVersion())
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .help()
    .alias('help', 'h')
    .exitProcess(false)
    .fail((message, error) => {
      if (error && error.name !== 'YError') throw error;
      const command = commandNamed(firstWord, commands);
      throw new UserError((command && missingPositional(command)) ?? message);
    });
}

/** Runs the command of these arguments; sets the exit code of the process. Rejects with what is a fault of ours. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    parserOf(withoutDashes(argv)).parse();
  } catch (thrown) {
    const command = typeof thrown === 'function' ? thrown() : Promise.reject(thrown);
    await command.catch((error: unknown) => {
      if (!reportProblem(error)) throw error;
    });
  }
}

/** In the order of --help. */
export const commands: readonly Command[] = [
  train,
  update,
  follow,
  coordinator,
  resume,
  finish,
  view,
  worker,
  launch,
  relay,
  keygen,
  predict,
  serve,
  cut,
  name,
  rename,
  exportCommand,
  resolutions,
  evaluate,
  plot,
  synth,
  setup,
  doctor,
];
