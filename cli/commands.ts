import type { Command } from './arguments.ts';
import * as coordinator from './coordinator.ts';
import * as cut from './cut.ts';
import * as doctor from './doctor.ts';
import * as evaluate from './evaluate.ts';
import * as finish from './finish.ts';
import * as keygen from './keygen.ts';
import * as launch from './launch.ts';
import * as plot from './plot.ts';
import * as predict from './predict.ts';
import * as resolutions from './resolutions.ts';
import * as resume from './resume.ts';
import * as setup from './setup.ts';
import * as synth from './synth.ts';
import * as train from './train.ts';
import * as view from './view.ts';
import * as watch from './watch.ts';
import * as worker from './worker.ts';

/** A command with what it does. */
export interface RunnableCommand extends Command {
  handler(values: never): Promise<void>;
}

/** In the order of --help. */
export const commands: readonly RunnableCommand[] = [
  train,
  coordinator,
  resume,
  finish,
  view,
  watch,
  worker,
  launch,
  keygen,
  predict,
  cut,
  resolutions,
  evaluate,
  plot,
  synth,
  setup,
  doctor,
];
