#!/usr/bin/env node
import yargs, { type Options } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { UserError } from '../data/user-error.ts';
import { nearestFlag } from './config.ts';
import * as coordinator from './coordinator.ts';
import * as doctor from './doctor.ts';
import * as evaluate from './evaluate.ts';
import * as keygen from './keygen.ts';
import * as launch from './launch.ts';
import * as predict from './predict.ts';
import * as resume from './resume.ts';
import * as setup from './setup.ts';
import * as synth from './synth.ts';
import * as train from './train.ts';
import { dpmeshVersion } from './version.ts';
import * as worker from './worker.ts';

const commands = [
  train,
  coordinator,
  resume,
  worker,
  launch,
  keygen,
  predict,
  evaluate,
  synth,
  setup,
  doctor,
];

/** The chosen command, to be run when yargs is done: for a handler that it awaits, it renders all help first. */
let chosen: (() => Promise<void>) | null = null;
const later = (module: { handler: (args: never) => Promise<void> }) =>
  ({
    ...module,
    handler(args: never) {
      chosen = () => module.handler(args);
    },
  }) as never;

const parser = yargs(hideBin(process.argv))
  .scriptName('dpmesh')
  .usage('$0 <command>\n\nDeep clustering when you do not know how many clusters there are.')
  .parserConfiguration({ 'duplicate-arguments-array': false })
  .command(later(train))
  .command(later(coordinator))
  .command(later(resume))
  .command(later(worker))
  .command(later(launch))
  .command(later(keygen))
  .command(later(predict))
  .command(later(evaluate))
  .command(later(synth))
  .command(later(setup))
  .command(later(doctor))
  .example('$0 train --data x.npy', 'cluster, one worker a core; results in runs/x')
  .example('$0 train --data x.npy --labels y.npy --json', 'the same, scored, as JSON')
  .demandCommand(1, 'Name a command; dpmesh --help lists them.')
  .strict()
  .recommendCommands()
  .version(dpmeshVersion())
  .wrap(Math.min(110, process.stdout.columns ?? 110))
  .help()
  .alias('help', 'h')
  .exitProcess(false)
  .fail((message, error) => {
    if (error && error.name !== 'YError') throw error;
    const unknown = /^Unknown arguments?: (.+)$/.exec(message);
    if (!unknown) throw new UserError(message.replace(/\s*\n\s*/g, ' '));
    const name = unknown[1].split(', ')[0];
    if (process.argv.slice(3).includes(name))
      throw new UserError(`${name} stands alone: which flag is it for? For data to cluster: --data ${name}`);
    const command = commands.find((module) => process.argv.includes(module.command.split(' ')[0]));
    const known = Object.entries<Options>(command?.builder ?? {}).flatMap(([flag, { hidden }]) =>
      hidden ? [] : flag,
    );
    throw new UserError(`there is no flag --${name}; did you mean --${nearestFlag(name, known)}?`);
  });

try {
  await parser.parseAsync();
  await (chosen as (() => Promise<void>) | null)?.();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`dpmesh: ${error.message}`);
  process.exitCode = 2;
}
