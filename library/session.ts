import { isLoopback, parseBindAddress } from '../base/address.ts';
import { seconds } from '../base/numbers.ts';
import { assertSecret } from '../base/secrets.ts';
import { UserError } from '../base/user-error.ts';
import type { RunConfig } from '../coordinator/config.ts';
import { createEarlyFinish } from '../coordinator/early-finish.ts';
import type { ResumedRun } from '../coordinator/inputs.ts';
import type { HttpOptions } from '../coordinator/monitor/port.ts';
import type { InputPaths } from './arrays.ts';
import type { FixedPaths } from './fixed-paths.ts';
import { DEFAULT_HTTP, type RunOptions } from './options.ts';
import { resultOf } from './read-result.ts';
import type { RunResult } from './result.ts';
import { AbortError, type RunHooks } from './run.ts';
import { localWorkers, remoteWorkers } from './workers.ts';

/** A new run, or a run to be resumed. */
export interface RunRequest {
  config: RunConfig;
  resume?: ResumedRun;
  /** The folder in which a new run without `out` gets its directory. */
  runs?: string;
  withNames: InputPaths['withNames'];
  /** Its data or labels are in the caller's memory. */
  inMemory: boolean;
}

/** Runs one session and reports to `hooks`. Rejects with an AbortError if it is stopped. */
export async function runSession(
  { config, resume, runs, withNames, inMemory }: RunRequest,
  options: RunOptions,
  hooks: RunHooks,
): Promise<void> {
  const { signal = new AbortController().signal, bind } = options;
  const log = (line: string) => {
    try {
      options.log?.(withNames(line));
    } catch {
      // A line that is lost must not end the run, least of all in the middle of a message from the network.
    }
  };
  const settings = settingsOf(options);
  const { stop, ...workers } =
    bind === undefined
      ? await localWorkers(config, options, log)
      : await remoteWorkers(bind, options, hooks.onRereadKeys, log);
  const earlyFinish = createEarlyFinish();
  hooks.onFinish(earlyFinish.ask);
  let result: RunResult | null = null;
  try {
    const { session } = await import('../coordinator/session.ts');
    const end = await session(config, {
      ...settings,
      ...workers,
      ...{ resume, runs, signal, earlyFinish },
      listener: {
        event: (event) =>
          hooks.event(event.type === 'warning' ? { ...event, message: withNames(event.message) } : event),
        log,
        status: options.status && ((text) => options.status!(withNames(text))),
        result(summary, report) {
          result = resultOf(summary, summary.out, {
            soft: config.soft,
            report: report && withNames(report),
            shown: withNames(summary.out),
          });
        },
        lingers(error) {
          if (result) hooks.result(result);
          else
            hooks.failed(error instanceof UserError ? new UserError(withNames(error.message), error) : error);
        },
      },
    });
    if (end.how === 'interrupted')
      throw new AbortError(
        stoppedMessage(end.directory && withNames(end.directory), inMemory),
        signal.aborted ? { cause: signal.reason } : {},
      );
  } finally {
    await stop();
  }
  hooks.result(result!);
}

/** The options with absolute paths. */
export const withFixedPaths = <Options extends RunOptions>(
  options: Options,
  { fix }: FixedPaths,
): Options => ({
  ...options,
  out: fix(options.out),
  keys: fix(options.keys),
});

function stoppedMessage(directory: string | null, inMemory: boolean): string {
  if (directory === null) return 'stopped; nothing was written yet';
  const command = inMemory
    ? `resume({ run: '${directory}', … }), passing the same data again`
    : `dpmesh resume ${directory}`;
  return `stopped; everything written so far is in ${directory}; continue with: ${command}`;
}

/** Throws a UserError for options that exclude each other. */
export function assertCompatible(options: RunOptions): void {
  for (const name of ['workers', 'gpus'] as const)
    if (options.bind !== undefined && options[name] !== undefined)
      throw new UserError(
        `--bind and --${name} exclude each other; with --bind, start workers with dpmesh worker or dpmesh launch`,
      );
  for (const name of ['keys', 'insecure'] as const)
    if (options.bind === undefined && options[name])
      throw new UserError(`--${name} needs --bind: add it, or leave --${name} out`);
}

function settingsOf(options: RunOptions) {
  const { out, force = false, report = true, mixed = false, sharedFiles = true } = options;
  const { checkpointEvery = 30, heartbeatTimeout = 5, linger = 0 } = options;
  return {
    ...{ out, force, report, mixed, sharedFiles },
    checkpointEvery: seconds('--checkpoint-every', checkpointEvery, { canBe0: true, most: Number.MAX_VALUE }),
    heartbeatTimeout: seconds('--heartbeat-timeout', heartbeatTimeout),
    linger: seconds('--linger', linger, { canBe0: true, most: 1e6 }),
    http: httpOf(options),
  };
}

/** Null for no port. UserError for an invalid address, or one that other machines can reach without a token. */
function httpOf({ http = false, httpToken }: RunOptions): HttpOptions | null {
  if (http === false) return null;
  const token = httpToken ?? null;
  if (token !== null) assertSecret('--http-token', token);
  const bound = http === true ? DEFAULT_HTTP : parseBindAddress('--http', http);
  if (token === null && !isLoopback(bound.host))
    throw new UserError(
      `--http ${http} is open to other machines, which could stop the run; set --http-token TOKEN (or DPMESH_HTTP_TOKEN), or use 127.0.0.1`,
    );
  return { ...bound, explicit: http !== true, token };
}
