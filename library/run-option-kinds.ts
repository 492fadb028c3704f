import { type Option, runOptions } from '../run/options.ts';
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

/** What a program may pass as each option of such a table. */
export const kindsOf = <const Table extends Readonly<Record<string, Option>>>(table: Table) =>
  Object.fromEntries(
    Object.entries(table).map(([name, { type, types }]) => [name, types.ts.includes('null') ? 'any' : type]),
  ) as Record<keyof Table & string, 'any' | Option['type']>;
