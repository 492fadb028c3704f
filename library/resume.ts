import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { backendOfIdentity } from '../base/identity.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { type RunConfig, resolveConfig } from '../coordinator/config.ts';
import type { Continuation } from '../coordinator/inputs.ts';
import { encoderFile, newestCheckpoint, readCheckpoint } from '../coordinator/storage/checkpoints.ts';
import { foreignTo, type RunFile, readRunFile } from '../coordinator/storage/run-file.ts';
import { runFiles } from '../data/saved/run-files.ts';
import { assertNotInMemory, withFiles } from './arrays.ts';
import { assertOptions, type OptionKinds } from './checks.ts';
import { fixedPaths } from './fixed-paths.ts';
import { type ResumeOptions, RUN_OPTION_KINDS, type RunOptions } from './options.ts';
import { resultOf } from './read-result.ts';
import { createRun, type Run } from './run.ts';
import { assertCompatible, runSession, withFixedPaths } from './session.ts';

const KINDS: OptionKinds<ResumeOptions> = {
  run: 'string',
  from: 'string',
  data: 'any',
  labels: 'any',
  maxEpochs: 'number',
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
    assertOptions('resume', options, KINDS, ['run']);
    const { run: path } = options;
    const { out, from: checkpoint, maxEpochs, finish, log = () => {} } = options;
    // Only in its place is there nothing to continue from, and the rest is removed.
    const mayBeEarlier = [out, checkpoint, maxEpochs].every((value) => value === undefined) && !finish;
    const run = readRunFile(path, dpmeshVersion(), { mayBeEarlier });
    const { data = run.config.data, labels = run.config.labels } = options;
    assertCompatible(options);
    const paths = fixedPaths();
    const own: RunOptions = withFixedPaths({ ...options, ...backendOf(run, options) }, paths);
    const [at, from] = [paths.fix(path), paths.fix(options.from)];
    const isFinished = run.result !== null && existsSync(join(path, 'labels.npy'));
    if (isFinished && maxEpochs === undefined) {
      if (out !== undefined)
        throw new UserError(
          `${path} is finished, so nothing was written to --out ${out}; leave --out out, or copy the folder`,
        );
      // All that it wrote, but for what may be drawn again and checkpoints, which are checked when they are read.
      const files = runFiles(path, run.files);
      for (const name of Object.keys(run.files ?? {})) files.assertIntact(name);
      log(`${path} is finished: there is nothing to resume`);
      const report = join(path, 'report', 'report.html');
      const soft = run.config.soft;
      const about = { soft, files: run.files, report: existsSync(report) ? report : null };
      hooks.result(resultOf(run.result!, path, about));
      return;
    }
    if (typeof data === 'string') assertNotInMemory(data, 'data', path);
    if (labels === null || typeof labels === 'string') assertNotInMemory(labels, 'labels', path);
    const file = join(path, 'run.json');
    await withFiles({ data, labels }, async ({ withNames, inMemory, ...inputs }) => {
      const config = await resolveConfig(
        { ...run.config, ...inputs, ...(maxEpochs !== undefined && { maxEpochs }) },
        (name) => (name === 'maxEpochs' ? '--max-epochs' : `${file}: ${name}`),
      );
      const how = continuation(at, run, config, options, isFinished);
      await runSession({ config, resume: { path: at, run, from, how }, withNames, inMemory }, own, hooks);
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
    from === undefined ? newestCheckpoint(path, foreignTo(run, config), () => {}) : readCheckpoint(from);
  const checkpoint = found && 'checkpoint' in found ? found.checkpoint : null;
  if (finish) {
    if (!found && !existsSync(encoderFile(path)))
      throw new UserError(
        `${shown} has no checkpoint to finish from, so there is nothing to label yet; start it again with: dpmesh resume ${shown}`,
      );
    return 'finish';
  }
  const refused = (why: string) => new UserError(`--max-epochs ${maxEpochs}: ${why}`);
  if (config.alternations > 0 && maxEpochs !== run.config.maxEpochs)
    throw refused(
      `${shown} has --alternations, and its encoder has learned from clusters that the old limit of ${run.config.maxEpochs} ended; start a new run with dpmesh train`,
    );
  if (!checkpoint) {
    if (!isFinished) return 'to-end';
    throw refused(`${shown} has no checkpoint to go on from; start a new run with dpmesh train`);
  }
  const { ended, state } = checkpoint;
  if (isFinished && ended === 'settled')
    throw refused(
      `${shown} settled in epoch ${state.epoch}, so more epochs would change nothing; --no-early-stop of dpmesh train goes on regardless`,
    );
  if (maxEpochs! <= state.epoch)
    throw refused(`${shown} has trained for ${state.epoch} epochs already; give it more`);
  return 'beyond';
}

/** The backend of the run; another one would give other bits. */
function backendOf({ identity }: RunFile, { backend }: ResumeOptions): Pick<RunOptions, 'backend'> {
  const name = backendOfIdentity(identity ?? 'wasm');
  if (backend !== undefined && backend !== name)
    throw new UserError(
      `--backend ${backend} would change the result: the run uses ${identity}; leave --backend out`,
    );
  return { backend: name as RunOptions['backend'] };
}
