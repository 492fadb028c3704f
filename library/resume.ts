import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { backendOfIdentity } from '../base/identity.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { resolveConfig } from '../coordinator/config.ts';
import { type RunFile, readRunFile } from '../coordinator/storage/run-file.ts';
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
  ...RUN_OPTION_KINDS,
};

/**
 * Continues a run that was stopped or killed, from its newest checkpoint. The result has the same bytes as that of a run that
 * was not interrupted. For a finished run, returns its result.
 *
 * @returns the run: await it for its result, iterate over it for its events
 * @throws {UserError} (rejection) if there is no such run, its data have changed, or an option is invalid
 * @throws {AbortError} (rejection) if the run is stopped, by `signal` or over HTTP
 */
export function resume(options: ResumeOptions): Run {
  return createRun(async (hooks) => {
    assertOptions('resume', options, KINDS, ['run']);
    const { run: path, out, log = () => {} } = options;
    const run = readRunFile(path, dpmeshVersion());
    const { data = run.config.data, labels = run.config.labels } = options;
    assertCompatible(options);
    const paths = fixedPaths();
    const own: RunOptions = withFixedPaths({ ...options, ...backendOf(run, options) }, paths);
    const [at, from] = [paths.fix(path), paths.fix(options.from)];
    if (run.result && existsSync(join(path, 'labels.npy'))) {
      if (out !== undefined)
        throw new UserError(
          `${path} is finished, so nothing was written to --out ${out}; leave --out out, or copy the folder`,
        );
      runFiles(path, run.files).assertIntact('labels.npy');
      log(`${path} is finished: there is nothing to resume`);
      const report = join(path, 'report', 'report.html');
      const soft = run.config.soft;
      const about = { soft, files: run.files, report: existsSync(report) ? report : null };
      hooks.result(resultOf(run.result, path, about));
      return;
    }
    if (typeof data === 'string') assertNotInMemory(data, 'data', path);
    if (labels === null || typeof labels === 'string') assertNotInMemory(labels, 'labels', path);
    const file = join(path, 'run.json');
    await withFiles({ data, labels }, async ({ withNames, inMemory, ...inputs }) => {
      const config = await resolveConfig({ ...run.config, ...inputs }, (name) => `${file}: ${name}`);
      await runSession({ config, resume: { path: at, run, from }, withNames, inMemory }, own, hooks);
    });
  });
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
