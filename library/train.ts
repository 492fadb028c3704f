import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { assertSecret, isLoopback, parseBindAddress } from '../base/address.ts';
import { backendOfIdentity } from '../base/identity.ts';
import { UserError } from '../base/user-error.ts';
import type { Continuation, ResumedRun } from '../coordinator/fit/inputs.ts';
import { createEarlyFinish } from '../coordinator/fit/stage.ts';
import type { HttpOptions } from '../page/port.ts';
import { encoderFile, mismatchWith, newestCheckpoint, readCheckpoint } from '../run/checkpoints.ts';
import { type OptionValues, type RunConfig, resolveConfig } from '../run/config.ts';
import { kindsOf, settingsOf } from '../run/option.ts';
import { options as modelOptions } from '../run/options.ts';
import type { Endpoint } from '../run/passes/naming.ts';
import { type RunFile, readRunFile, type UpdateRequest } from '../run/run-file.ts';
import { hasLabels, runFiles } from '../run/run-files.ts';
import { RUN_OPTIONS } from '../run/session-options.ts';
import { AbortError } from './abort-error.ts';
import {
  assertOptions,
  type FixedPaths,
  fixedPaths,
  HOOKS,
  type OptionKinds,
  seedText,
} from './arguments.ts';
import { RESUME } from './command-options.ts';
import { DEFAULT_HTTP, type ResumeOptions, type RunOptions, type TrainOptions } from './options.ts';
import { type RunResult, reportOf, resultOf } from './result.ts';
import { createRun, type Run, type RunHooks } from './run.ts';
import { assertNotInMemory, type InputPaths, withFiles } from './temporary-files.ts';
import { remoteWorkers, starting } from './workers.ts';

/** `train` and `resume` of the public library: options → a session of a run (session.ts) → result. It knows no terminal, and handles no signals. */

/** What a program may pass as each of `RunOptions`. */
export const RUN_OPTION_KINDS = {
  ...kindsOf(RUN_OPTIONS),
  ...HOOKS,
} satisfies OptionKinds<RunOptions>;

const TRAIN_KINDS = {
  // Their values are checked with the config.
  ...Object.fromEntries(modelOptions.map(([name]) => [name, 'any'])),
  ...RUN_OPTION_KINDS,
} as OptionKinds<TrainOptions>;

/**
 * Clusters rows. Returns at once, while the run continues in the background. The run starts its worker processes and stops
 * them at the end. Several runs may be in progress in one process.
 *
 * @returns the run: await it for its result, iterate over it for its events
 * @throws {UserError} (rejection) for problems that the caller can solve, such as an invalid option, a missing file or a
 *   full disk; the message is one line
 * @throws {AbortError} (rejection) if the run is stopped, by `signal` or over HTTP
 */
export function train(options: TrainOptions): Run {
  return createRun(async (hooks) => {
    assertOptions('train', options, TRAIN_KINDS, ['data']);
    assertCompatible(options);
    const paths = fixedPaths();
    const own = withFixedPaths(options, paths);
    const runs = options.out === undefined ? paths.fix('runs') : undefined;
    const work = async ({ withNames, inMemory, ...inputs }: InputPaths) => {
      const config = resolveConfig({ ...modelValues(options), ...inputs });
      await runSession({ config, runs, withNames, inMemory }, own, hooks);
    };
    await withFiles(options, work, paths);
  });
}

/** Those of `options` that determine the result, except data and labels. */
function modelValues(options: TrainOptions): OptionValues {
  const given = modelOptions.map(([name]) => [name, (options as OptionValues)[name]] as const);
  return { ...Object.fromEntries(given), seed: options.seed == null ? undefined : seedText(options.seed) };
}

const RESUME_KINDS: OptionKinds<ResumeOptions> = {
  run: 'string',
  ...kindsOf(RESUME),
  finish: 'boolean',
  ...RUN_OPTION_KINDS,
};

/**
 * Continues a run that was stopped or killed, from its newest checkpoint. The result has the same bytes as that of a run that
 * was not interrupted. For a finished run, returns its result, unless `maxEpochs` lets it go on.
 *
 * @returns the run: await it for its result, iterate over it for its events
 * @throws {UserError} (rejection) if there is no such run, its data have changed, or an option is invalid
 * @throws {AbortError} (rejection) if the run is stopped, by `signal` or over HTTP
 */
export function resume(options: ResumeOptions): Run {
  return createRun(async (hooks) => {
    assertOptions('resume', options, RESUME_KINDS, ['run']);
    const { run: path } = options;
    const { out, from: checkpoint, maxEpochs, finish, log = () => {} } = options;
    // Only in its place is there nothing to continue from, and the rest is removed.
    const mayBeEarlier = [out, checkpoint, maxEpochs].every((value) => value === undefined) && !finish;
    const run = readRunFile(path, { mayBeEarlier });
    const { data = run.config.data, labels = run.config.labels } = options;
    assertCompatible(options);
    const paths = fixedPaths();
    const own: RunOptions = withFixedPaths({ ...options, ...backendOf(run, options) }, paths);
    const [at, from] = [paths.fix(path), paths.fix(options.from)];
    const isFinished = run.result !== null && hasLabels(path);
    if (isFinished && maxEpochs === undefined) {
      if (out !== undefined)
        throw new UserError(
          `${path} is finished, so nothing was written to --out ${out}; leave --out out, or copy the folder`,
        );
      // All that it wrote, but for what may be drawn again and checkpoints, which are checked when they are read.
      const files = runFiles(path, run.files);
      for (const name of Object.keys(run.files ?? {})) files.assertIntact(name);
      log(`${path} is finished: there is nothing to resume`);
      const { soft } = run.config;
      return hooks.result(resultOf(run.result!, path, { soft, files: run.files, report: reportOf(path) }));
    }
    assertNotInMemory({ data, labels }, path);
    const file = join(path, 'run.json');
    await withFiles({ data, labels }, async ({ withNames, inMemory, ...inputs }) => {
      const config = resolveConfig(
        { ...run.config, ...inputs, ...(maxEpochs !== undefined && { maxEpochs }) },
        (name) => (name === 'maxEpochs' ? '--max-epochs' : `${file}: ${name}`),
      );
      const how = continuation(at, run, config, options, isFinished);
      const { update } = run;
      await runSession(
        { config, resume: { path: at, run, from, how }, update, withNames, inMemory },
        own,
        hooks,
      );
    });
  });
}

/** How the run continues. UserError where it has nothing to finish from, or cannot go on to this `--max-epochs`. */
function continuation(
  path: string,
  run: RunFile,
  config: RunConfig,
  { run: shown, from, maxEpochs, finish = false }: ResumeOptions,
  isFinished: boolean,
): Continuation {
  if (maxEpochs === undefined && !finish) return 'to-end';
  if (maxEpochs !== undefined && finish)
    throw new UserError('--max-epochs is for a run that goes on: leave it out to finish it as it is');
  const found =
    from === undefined ? newestCheckpoint(path, mismatchWith(run, config), () => {}) : readCheckpoint(from);
  const checkpoint = found && 'checkpoint' in found ? found.checkpoint : null;
  if (finish) {
    if (!found && !existsSync(encoderFile(path)))
      throw new UserError(
        `${shown} has no checkpoint to finish from, so there is nothing to label yet; start it again with: dpmesh resume ${shown}`,
      );
    return 'finish';
  }
  const refused = (why: string) => new UserError(`--max-epochs ${maxEpochs}: ${shown} ${why}`);
  if (config.alternations > 0 && maxEpochs !== run.config.maxEpochs)
    throw refused(
      `has --alternations, and its encoder has learned from clusters that the old limit of ${run.config.maxEpochs} ended; start a new run with dpmesh train`,
    );
  if (!checkpoint) {
    if (!isFinished) return 'to-end';
    throw refused('has no checkpoint to go on from; start a new run with dpmesh train');
  }
  const { ended, state } = checkpoint;
  if (isFinished && ended === 'settled')
    throw refused(
      `settled in epoch ${state.epoch}, so more epochs would change nothing; --no-early-stop of dpmesh train goes on regardless`,
    );
  if (maxEpochs! <= state.epoch) throw refused(`has trained for ${state.epoch} epochs already; give it more`);
  return 'beyond';
}

/** The backend of the run; another one would give other bits. */
export function backendOf({ identity }: RunFile, { backend }: ResumeOptions): Pick<RunOptions, 'backend'> {
  const name = backendOfIdentity(identity ?? 'wasm');
  if (backend !== undefined && backend !== name)
    throw new UserError(
      `--backend ${backend} would change the result: the run uses ${identity}; leave --backend out`,
    );
  return { backend: name as RunOptions['backend'] };
}

/** A new run, or a run to be resumed. */
interface RunRequest extends Pick<InputPaths, 'withNames' | 'inMemory'> {
  config: RunConfig;
  resume?: ResumedRun;
  update?: UpdateRequest;
  /** The folder in which a new run without `out` gets its directory. */
  runs?: string;
  /** Brings the finished run to its place, which it returns. */
  placed?: () => string;
}

/** Runs one session and reports to `hooks`. Rejects with an AbortError if it is stopped. */
export async function runSession(
  { config, resume, update, runs, placed, withNames, inMemory }: RunRequest,
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
  const { out, force, report, mixed, sharedFiles, checkpointEvery, heartbeatTimeout, linger } = settingsOf(
    RUN_OPTIONS,
    options,
  );
  const settings = { out, force, report, mixed, sharedFiles, checkpointEvery, heartbeatTimeout, linger };
  const http = httpOf(options);
  const naming = await namingOf(options);
  const { stop, ...workers } =
    bind === undefined
      ? await starting.localWorkers(config, options, log)
      : await remoteWorkers(bind, config, options, hooks.onRereadKeys, log);
  const earlyFinish = createEarlyFinish();
  hooks.onFinish(earlyFinish.ask);
  let result: RunResult | null = null;
  let directory = '';
  try {
    const { session } = await import('./session.ts');
    const end = await session(config, {
      ...settings,
      ...workers,
      ...{ http, resume, update, runs, signal, earlyFinish },
      listener: {
        event: (event) =>
          hooks.event(event.type === 'warning' ? { ...event, message: withNames(event.message) } : event),
        log,
        status: options.status && ((text) => options.status!(withNames(text))),
        result(summary, report) {
          directory = placed?.() ?? summary.out;
          result = resultOf(summary, directory, {
            soft: config.soft,
            report: report && withNames(report),
            shown: withNames(directory),
          });
        },
        lingers(error) {
          if (result) return hooks.result(result);
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
  if (naming) await nameAfter(directory, naming, { log, status: options.status, signal });
  hooks.result(result!);
}

/** Null: no model is asked. UserError for an address that is none. */
async function namingOf(options: RunOptions): Promise<Endpoint | null> {
  if (options.nameWith === undefined && options.nameModel === undefined) return null;
  const { endpointOf, givenModel } = await import('./names.ts');
  const { nameWith, nameModel } = givenModel(options)!;
  return endpointOf(nameWith, nameModel);
}

/** The results are complete without names of a model: whatever is wrong is only said. */
async function nameAfter(
  run: string,
  endpoint: Endpoint,
  { log, ...how }: { log: (line: string) => void; status?: (text: string) => void; signal?: AbortSignal },
): Promise<void> {
  const { namedByModel, namesText } = await import('./names.ts');
  const again = `dpmesh name ${run} does it again`;
  try {
    const found = await namedByModel(run, endpoint, how);
    for (const note of found.notes) log(`warning: ${note}`);
    log(`${namesText(found)}${found.notes.length ? `; ${again}` : ''}`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    log(`warning: no names by a model: ${error.message}; ${again}`);
  }
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
  const inProgram = `resume({ run: '${directory}', … }), passing the same data again`;
  const command = inMemory ? inProgram : `dpmesh resume ${directory}`;
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
