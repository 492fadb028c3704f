#!/usr/bin/env node
import './current-folder.ts';
import { setFlagsFromString } from 'node:v8';
import yargs, { type Argv, type CommandModule } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { printable } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { type Command, commandNamed, type Parsed, problemOf, wordMissing } from './arguments.ts';
import * as coordinator from './coordinator.ts';
import * as doctor from './doctor.ts';
import * as evaluate from './evaluate.ts';
import * as keygen from './keygen.ts';
import * as launch from './launch.ts';
import { bearLostOutput } from './lost-output.ts';
import * as plot from './plot.ts';
import * as predict from './predict.ts';
import * as resume from './resume.ts';
import * as setup from './setup.ts';
import { INTERRUPTED } from './signals.ts';
import * as synth from './synth.ts';
import * as train from './train.ts';
import * as watch from './watch.ts';
import * as worker from './worker.ts';

const commands = [
  train,
  coordinator,
  resume,
  watch,
  worker,
  launch,
  keygen,
  predict,
  evaluate,
  plot,
  synth,
  setup,
  doctor,
];

// A short program: the optimizing compiler is for its hottest loops only (worker/host/supervised-worker.ts).
if (Number.parseInt(process.versions.node, 10) < 22) setFlagsFromString('--interrupt-budget=1000000');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=60');

const args = hideBin(process.argv);
const firstWord = args.find((arg) => !arg.startsWith('-')) ?? '';

/**
 * The chosen command, to be run when yargs is done. It is thrown out of the parser: for a handler that returns, yargs
 * renders all of the command's help, 0.07 s for a text that nobody has asked for.
 */
class Chosen {
  constructor(readonly run: () => Promise<void>) {}
}

/** A command for yargs, with our checks before its own: those would not name the flag. */
const checked = (command: (typeof commands)[number]) => ({
  ...command,
  builder(yargs: Argv, isHelp: boolean) {
    yargs.options(command.builder);
    return isHelp ? yargs : yargs.middleware((parsed) => check(parsed, yargs, command), true);
  },
  handler(values: never) {
    throw new Chosen(() => command.handler(values));
  },
});

/** UserError for the first thing that is wrong with what stands behind this command. */
function check(parsed: Parsed, yargs: Argv, command: Command): void {
  // Its types lack what its documentation has.
  const { error } = (yargs as unknown as { parsed: { error: Error | null } }).parsed;
  const problem = error?.message ?? problemOf(parsed, args, command);
  if (problem) throw new UserError(problem);
}

const parser = yargs(args)
  .scriptName('dpmesh')
  .usage('$0 <command>\n\nDeep clustering when you do not know how many clusters there are.')
  .parserConfiguration({ 'duplicate-arguments-array': false })
  .command(commands.map(checked) as unknown as CommandModule[])
  .example('$0 train --data x.npy', 'cluster, one worker a core; results in runs/x')
  .example('$0 train --data x.npy --labels y.npy --json', 'the same, scored, as JSON')
  .middleware(({ _: [name] }) => {
    if (name === undefined) throw new UserError('Name a command; dpmesh --help lists them.');
    if (!commandNamed(name, commands))
      throw new UserError(`there is no command ${name}; dpmesh --help lists them`);
  }, true)
  .recommendCommands()
  .updateStrings({
    'Did you mean %s?': `there is no command ${firstWord.replaceAll('%', '%%')}; did you mean %s? dpmesh --help lists them`,
    'Not enough arguments following: %s': '--%s needs a value behind it',
  })
  .version(dpmeshVersion())
  .wrap(Math.min(110, process.stdout.columns ?? 110))
  .help()
  .alias('help', 'h')
  .exitProcess(false)
  .fail((message, error) => {
    if (error && error.name !== 'YError') throw error;
    const command = commandNamed(firstWord, commands);
    throw new UserError((command && wordMissing(command)) ?? message);
  });

/** Null where help or the version was all that was asked for. */
function chosen(): Chosen | null {
  try {
    parser.parse();
  } catch (thrown) {
    if (thrown instanceof Chosen) return thrown;
    throw thrown;
  }
  return null;
}

bearLostOutput();
try {
  await chosen()?.run();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(printable(`dpmesh: ${error.message}`));
  process.exitCode = 2;
}
// Left to end by itself, Node gives signals back to the system some milliseconds before it is gone: the second Ctrl-C
// that npx passes on would then kill it, and the exit code with it.
if (process.exitCode === INTERRUPTED) process.exit();
