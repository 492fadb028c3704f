import { runOptions } from '../run/options.ts';
import type { OptionKinds } from './arguments.ts';
import type { RunOptions } from './options.ts';

/** What a program may pass as each of `RunOptions`. */
export const RUN_OPTION_KINDS = {
  ...Object.fromEntries(
    runOptions
      .filter(([, { isForTerminals }]) => !isForTerminals)
      .map(([name, { type, types }]) => [name, types.ts.startsWith('boolean |') ? ['boolean', type] : type]),
  ),
  out: 'output',
  signal: 'signal',
  log: 'function',
  status: 'function',
} as OptionKinds<RunOptions>;
