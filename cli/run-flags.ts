import { isLoopback, parseBindAddress } from '../base/address.ts';
import { kebabCase } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { type OptionValues, options, type RunConfig, resolveConfig } from '../coordinator/config.ts';
import type { HttpOptions } from '../coordinator/monitor/http/open.ts';
import { readConfigFile } from './config-file.ts';
import { type Flag, type Flags, type FlagValues, seconds } from './flag.ts';

const RUN = 'This run:';
const WATCHING = 'Watching the run:';

/** Where Prometheus looks for it by default. */
const DEFAULT_HTTP = { host: '127.0.0.1', port: 9464 };

/** Flags of what comes out. Defaults are shown but not set: what a config file says comes between. */
export const resultFlags: Flags = {
  config: {
    type: 'string',
    group: options[0][1].group,
    describe: 'YAML or JSON of these flags, or a run.json; flags win',
  },
  ...Object.fromEntries(
    options.map(([name, { group, type, describe, fast, paper, shown, choices }]): [string, Flag] => [
      kebabCase(name),
      {
        type,
        group,
        describe: paper === undefined ? describe : `${describe} (paper schedule: ${paper})`,
        requiresArg: type !== 'boolean',
        ...(choices && { choices }),
        ...((shown ?? fast) !== undefined && { defaultDescription: String(shown ?? fast) }),
      },
    ]),
  ),
};
export type ResultValues = OptionValues & { config?: string };

/** Flags of how a run goes, not of what comes out. */
export const courseFlags = {
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

/** What the flags say about the run's course and output. */
export async function courseOf(values: FlagValues<typeof courseFlags> & { config?: string }) {
  const { out, force, json, report, mixed, sharedFiles, checkpointEvery, heartbeatTimeout } = values;
  return {
    ...{ out, force, json, report, mixed, sharedFiles, configFile: values.config },
    checkpointEvery: seconds('--checkpoint-every', checkpointEvery, { canBe0: true, most: Number.MAX_VALUE }),
    heartbeatTimeout: seconds('--heartbeat-timeout', heartbeatTimeout),
    linger: seconds('--linger', values.linger, { canBe0: true, most: 1e6 }),
    http: await httpOf(values),
  };
}

/** Null: no port. UserError for an address that is none, or that others reach without a token. */
async function httpOf(values: FlagValues<typeof courseFlags>): Promise<HttpOptions | null> {
  const token = values.httpToken ?? process.env.DPMESH_HTTP_TOKEN ?? null;
  if (values.http === false) return null;
  if (token !== null && !/^[\x21-\x7e]+$/.test(token))
    throw new UserError('--http-token must be letters, digits and signs, without spaces');
  const bound = values.http === undefined ? DEFAULT_HTTP : parseBindAddress('--http', values.http);
  if (token === null && !isLoopback(bound.host))
    throw new UserError(
      `--http ${values.http} can be reached from other machines, which could stop the run; set --http-token TOKEN (or DPMESH_HTTP_TOKEN), or bind 127.0.0.1`,
    );
  return { ...bound, explicit: values.http !== undefined, token };
}
