import { kebabCase } from '../base/text.ts';
import { type OptionValues, options, type RunConfig, resolveConfig } from '../coordinator/config.ts';
import { DEFAULT_HTTP, RUN_OPTIONS, type RunOptions } from '../library/options.ts';
import { readConfigFile } from './config-file.ts';
import type { Flag, Flags, FlagValues } from './flag.ts';
import type { localWorkerFlags } from './worker-flags.ts';

const RUN = 'This run:';
const WATCHING = 'Watching the run:';

/** Flags that the result depends on. Defaults are defaultText but not set: what a config file says comes between. */
export const resultFlags: Flags = {
  config: {
    type: 'string',
    group: options[0][1].group,
    describe: 'YAML or JSON of these flags, or a run.json; flags win',
  },
  ...Object.fromEntries(
    options.map(([name, { group, type, describe, fast, paper, defaultText, choices }]): [string, Flag] => [
      kebabCase(name),
      {
        type,
        group,
        describe: paper === undefined ? describe : `${describe} (paper schedule: ${paper})`,
        requiresArg: type !== 'boolean',
        ...(choices && { choices }),
        ...((defaultText ?? fast) !== undefined && { defaultDescription: String(defaultText ?? fast) }),
      },
    ]),
  ),
};
export type ResultValues = OptionValues & { config?: string };

/** Flags of how a run is computed, watched and written, not of its result. */
export const runFlags = {
  out: {
    type: 'string',
    group: RUN,
    requiresArg: true,
    describe: 'run directory',
    defaultDescription: 'runs/<data>',
  },
  force: { type: 'boolean', group: RUN, default: false, describe: 'overwrite the run directory' },
  json: { type: 'boolean', group: RUN, default: false, describe: 'print the result as one JSON object' },
  report: {
    type: 'boolean',
    group: RUN,
    default: true,
    describe: 'pictures of the run and report.html in its folder report; --no-report: none',
  },
  'heartbeat-timeout': {
    type: 'number',
    group: RUN,
    default: 5,
    requiresArg: true,
    describe: 'seconds of silence after which a worker’s shards are dealt to others',
  },
  'checkpoint-every': {
    type: 'number',
    group: RUN,
    default: 30,
    requiresArg: true,
    describe: 'seconds between checkpoints at the most; 0: one an epoch. Splits and merges always have one',
  },
  mixed: {
    type: 'boolean',
    group: RUN,
    default: false,
    describe: 'let in workers of any numeric identity: bits then depend on who computes what',
  },
  'shared-files': {
    type: 'boolean',
    group: RUN,
    default: true,
    describe: 'workers read the data file themselves where they can; --no-shared-files: never',
  },
  http: {
    type: 'string',
    canBeOff: true,
    group: WATCHING,
    requiresArg: true,
    describe: 'HOST:PORT of the live page and the metrics; --no-http: none',
    defaultDescription: `${DEFAULT_HTTP.host}:${DEFAULT_HTTP.port}, or a free port`,
  },
  'http-token': {
    type: 'string',
    group: WATCHING,
    requiresArg: true,
    describe: 'whoever pauses or stops the run by HTTP must have it; needed off loopback',
    defaultDescription: 'DPMESH_HTTP_TOKEN, or none',
  },
  linger: {
    type: 'number',
    group: WATCHING,
    requiresArg: true,
    default: 0,
    describe: 'seconds for which page and metrics stay when the run is over',
  },
} as const satisfies Flags;

/** Flags of a coordinator without workers of its own. */
export const bindFlags = {
  bind: {
    type: 'string',
    group: RUN,
    default: 'tcp://127.0.0.1:5555',
    requiresArg: true,
    describe: 'address that workers connect to',
  },
  keys: {
    type: 'string',
    group: RUN,
    requiresArg: true,
    describe: 'folder of dpmesh keygen: encrypt, and let its workers in only',
    defaultDescription: 'none: not encrypted',
  },
  insecure: {
    type: 'boolean',
    group: RUN,
    default: false,
    describe: 'bind an address that other machines reach, without encryption or keys',
  },
} as const satisfies Flags;

/**
 * The run's config from flags, then the file of `--config`, then the schedule's defaults. UserError for a value out of
 * range, naming its flag, and for a key that the file should not have. `command`: all flags of the command.
 */
export async function configOf(values: ResultValues, command: readonly string[] = []): Promise<RunConfig> {
  const file = values.config === undefined ? {} : await readConfigFile(values.config, command);
  const given: OptionValues = {};
  for (const [name] of options) given[name] = values[name] ?? file[name];
  return resolveConfig(given, (name) => {
    const isOfFile = given[name] !== undefined && values[name] === undefined;
    return `${isOfFile ? `${values.config}: ` : ''}--${kebabCase(name)}`;
  });
}

type RunValues = Partial<FlagValues<typeof runFlags & typeof bindFlags & typeof localWorkerFlags>>;

/** The run's options from its flags. UserError where `--force` would remove the file of `--config`. */
export async function runOptionsOf(values: RunValues & { config?: string }): Promise<RunOptions> {
  const { out, force, config, http = true, httpToken = process.env.DPMESH_HTTP_TOKEN } = values;
  if (out !== undefined && force && config !== undefined)
    (await import('../coordinator/storage/run-path.ts')).assertUsable(out, force, { '--config': config });
  const given = Object.fromEntries(
    RUN_OPTIONS.map((name) => [name, values[name as keyof typeof values]]).filter(
      ([, value]) => value !== undefined,
    ),
  );
  return { ...given, http, httpToken };
}
