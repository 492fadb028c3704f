import { kebabCase } from '../base/text.ts';
import { type OptionValues, options, type RunConfig, resolveConfig } from '../coordinator/config.ts';
import { assertLocal } from '../data/remote/address.ts';
import { DEFAULT_HTTP, RUN_OPTIONS, type RunOptions } from '../library/options.ts';
import { readConfigFile } from './config-file.ts';
import type { Flag, Flags, FlagValues } from './flag.ts';
import type { localWorkerFlags } from './worker-flags.ts';

const RUN = 'Run:';
const MONITORING = 'Monitoring:';

/** Flags that determine the result. Their defaults are only shown, not set, because those of a config file take precedence. */
export const resultFlags: Flags = {
  config: {
    type: 'string',
    group: options[0][1].group,
    describe:
      'YAML or JSON file with flags that determine the result, or a run.json; the command line overrides it',
  },
  ...Object.fromEntries(
    options.map(([name, { group, type, describe, fast, paper, defaultText, choices }]): [string, Flag] => [
      kebabCase(name),
      {
        type,
        group,
        describe: `${describe}${paper === undefined ? '' : ` (paper schedule: ${paper})`}${name === 'data' ? '; required, but also without --data (train x.npy) or in --config' : ''}`,
        requiresArg: type !== 'boolean',
        ...(choices && { choices }),
        ...((defaultText ?? fast) !== undefined && { defaultDescription: String(defaultText ?? fast) }),
      },
    ]),
  ),
};
export type ResultValues = OptionValues & { config?: string };

/** Flags for how a run is computed, monitored and saved, which do not affect the result. */
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
  events: {
    type: 'boolean',
    group: RUN,
    default: false,
    describe:
      'for programs: print each event as one line of JSON on stdout, and the result as the last; the run stops if its reader is gone',
  },
  report: {
    type: 'boolean',
    group: RUN,
    default: true,
    describe: 'draw pictures of the run and report.html in its folder report; --no-report: none',
  },
  'heartbeat-timeout': {
    type: 'number',
    group: RUN,
    default: 5,
    requiresArg: true,
    describe: 'seconds of silence after which a worker’s shards are reassigned',
  },
  'checkpoint-every': {
    type: 'number',
    group: RUN,
    default: 30,
    requiresArg: true,
    describe: 'maximum seconds between checkpoints; 0: one per epoch. Split and merge steps always write one',
  },
  mixed: {
    type: 'boolean',
    group: RUN,
    default: false,
    describe: 'accept workers of any numeric identity; bits then depend on which worker computes what',
  },
  'shared-files': {
    type: 'boolean',
    group: RUN,
    default: true,
    describe: 'let workers read the data file themselves if they can; --no-shared-files: never',
  },
  http: {
    type: 'string',
    canBeOff: true,
    group: MONITORING,
    requiresArg: true,
    describe: 'HOST:PORT of the live page and metrics; --no-http: none',
    defaultDescription: `${DEFAULT_HTTP.host}:${DEFAULT_HTTP.port}, or a free port`,
  },
  'http-token': {
    type: 'string',
    group: MONITORING,
    requiresArg: true,
    describe:
      'token required for the page, its rows and to change the run over HTTP, not for metrics; mandatory unless --http is a loopback address',
    defaultDescription: 'DPMESH_HTTP_TOKEN, or none',
  },
  linger: {
    type: 'number',
    group: MONITORING,
    requiresArg: true,
    default: 0,
    describe: 'seconds for which page and metrics stay available after the run',
  },
} as const satisfies Flags;

/** Flags of a coordinator that starts no workers. */
export const bindFlags = {
  bind: {
    type: 'string',
    group: RUN,
    default: 'tcp://127.0.0.1:5555',
    requiresArg: true,
    describe: 'address that workers connect to, tcp://HOST:PORT',
  },
  keys: {
    type: 'string',
    group: RUN,
    requiresArg: true,
    describe: 'folder made by dpmesh keygen: encrypt connections and accept only its workers',
    defaultDescription: 'none, no encryption',
  },
  insecure: {
    type: 'boolean',
    group: RUN,
    default: false,
    describe: 'allow a --bind address that other machines can reach, without encryption or keys',
  },
} as const satisfies Flags;

/**
 * The run's config from its flags, the file of `--config`, and the schedule's defaults, in this order of precedence.
 * UserError for an invalid value, with the name of its flag, or an invalid key in the file. `commandFlags`: all flags of the
 * command.
 */
export async function configOf(
  values: ResultValues,
  commandFlags: readonly string[] = [],
): Promise<RunConfig> {
  const file = values.config === undefined ? {} : await readConfigFile(values.config, commandFlags);
  const merged: OptionValues = {};
  for (const [name] of options) merged[name] = values[name] ?? file[name];
  return resolveConfig(merged, (name) => {
    const isFromFile = merged[name] !== undefined && values[name] === undefined;
    return `${isFromFile ? `${values.config}: ` : ''}--${kebabCase(name)}`;
  });
}

type RunValues = Partial<FlagValues<typeof runFlags & typeof bindFlags & typeof localWorkerFlags>>;

/** The run's options from its flags. UserError if `--force` would remove the file of `--config`. */
export async function runOptionsOf(values: RunValues & { config?: string }): Promise<RunOptions> {
  const { out, force, config, http = true, httpToken = process.env.DPMESH_HTTP_TOKEN } = values;
  assertLocal('--out', out);
  if (out !== undefined && force && config !== undefined)
    (await import('../coordinator/storage/run-path.ts')).assertUsable(out, force, { '--config': config });
  const runOptions = Object.fromEntries(
    RUN_OPTIONS.map((name) => [name, values[name as keyof typeof values]]).filter(
      ([, value]) => value !== undefined,
    ),
  );
  return { ...runOptions, http, httpToken };
}
