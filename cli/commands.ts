import type { Command } from './flags.ts';
import { follow } from './follow.ts';
import { evaluate, synth } from './labels.ts';
import { plan } from './plan.ts';
import { relay } from './relay.ts';
import { cut, exportCommand, name, plot, predict, rename, resolutions, view } from './results.ts';
import { coordinator, finish, resume, train, update } from './runs.ts';
import { serve } from './serve.ts';
import { doctor, setup } from './setup.ts';
import { watch } from './watch.ts';
import { keygen, launch, worker } from './workers.ts';

/** In the order of --help. */
export const commands: readonly Command[] = [
  train,
  update,
  follow,
  coordinator,
  resume,
  finish,
  view,
  watch,
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
  plan,
  setup,
  doctor,
];
