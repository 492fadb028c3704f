import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { backendOfIdentity } from '../base/identity.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { type OptionValues, resolveConfig } from '../coordinator/config.ts';
import { type RunFile, readRunFile } from '../coordinator/storage/run-file.ts';
import { assertNotInMemory, withFiles } from './arrays.ts';
import { assertKnown } from './checks.ts';
import { type ResumeOptions, RUN_OPTIONS, type RunOptions } from './options.ts';
import { resultOf } from './read-result.ts';
import { createRun, type Run } from './run.ts';
import { assertCompatible, runSession } from './session.ts';

/**
 * Goes on with a run that was stopped or killed, from its newest checkpoint, to the same bytes. Of a run that is finished
 * it gives the result again.
 *
 * @returns the run, as `train` does
 * @throws {UserError} (rejection) where there is no such run, or its data have changed
 * @throws {AbortError} (rejection) where `signal` stopped it
 */
export function resume(options: ResumeOptions): Run {
  return createRun(async (hooks) => {
    assertKnown('resume', options, ['run', 'from', 'data', 'labels', ...RUN_OPTIONS]);
    const { run: path, out, log = () => {} } = options;
    const run = readRunFile(path, dpmeshVersion());
    const { data = String(run.config.data), labels = run.config.labels as string | null } = options;
    assertCompatible(options);
    const own: RunOptions = { ...options, ...backendOf(run, options) };
    if (run.result && existsSync(join(path, 'labels.npy'))) {
      if (out !== undefined)
        throw new UserError(
          `${path} is finished: there is nothing to resume, and nothing was written to --out ${out}; leave --out away, or copy the folder`,
        );
      log(`${path} is finished: there is nothing to resume`);
      const report = join(path, 'report', 'report.html');
      const soft = run.config.soft === true;
      hooks.result(resultOf(run.result, path, { soft, report: existsSync(report) ? report : null }));
      return;
    }
    if (typeof data === 'string') assertNotInMemory(data, 'data', path);
    if (labels === null || typeof labels === 'string') assertNotInMemory(labels, 'labels', path);
    const file = join(path, 'run.json');
    await withFiles({ data, labels }, async ({ withNames, ...inputs }) => {
      const config = await resolveConfig(
        { ...(run.config as OptionValues), ...inputs },
        (name) => `${file}: ${name}`,
      );
      await runSession({ config, resume: { path, run, from: options.from }, withNames }, own, hooks);
    });
  });
}

/** The bits of a run are those of its backend. */
function backendOf({ identity }: RunFile, { backend }: ResumeOptions): Pick<RunOptions, 'backend'> {
  const name = backendOfIdentity(identity ?? 'wasm');
  if (backend !== undefined && backend !== name)
    throw new UserError(
      `--backend ${backend} would change the result, the run is of ${identity}; leave it out`,
    );
  return { backend: name as RunOptions['backend'] };
}
