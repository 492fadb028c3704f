import { setTimeout as sleep } from 'node:timers/promises';
import { WriteError } from '../../base/files.ts';
import { DISK_TROUBLE, UserError } from '../../base/user-error.ts';
import type { Checkpoints } from '../../run/checkpoints.ts';
import type { Ports } from './run-state.ts';

/** What a run does where its results cannot be written. */

/** Seconds between attempts to write the results, one minute in total. */
const RETRY_DELAYS = [1, 2, 4, 8, 15, 30];

/** Repeats `write` for a minute where the disk cannot be written. UserError, with the command that resumes the run, if that does not help. */
export async function writeAgain<T>(
  { out, checkpoints, warn }: Ports<'checkpoints' | 'out' | 'warn'>,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await retryWrites(write, warn);
  } catch (error) {
    out.assertThere();
    if (!(error instanceof WriteError)) throw error;
    // It was there when the run began, so it may be again.
    const hint = await resumeHint(checkpoints, out.path);
    throw new UserError(`${error.message}; ${hint}`, { cause: error, exitCode: DISK_TROUBLE });
  }
}

/** Repeats `attempt` while it fails with a WriteError, after each of `delays` (seconds) in turn. */
export async function retryWrites<T>(
  attempt: () => Promise<T>,
  warn: (message: string) => void,
  delays: readonly number[] = RETRY_DELAYS,
): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof WriteError) || i >= delays.length) throw error;
      warn(`${error.message}; trying again in ${delays[i]} s`);
      // Without a reference: the wait does not keep the process alive after Ctrl-C.
      await sleep(delays[i] * 1000, undefined, { ref: false });
    }
  }
}

/** Says where the trained state is saved, and how to resume from it. */
async function resumeHint(checkpoints: Checkpoints, run: string): Promise<string> {
  await checkpoints.flush();
  const saved = checkpoints.saved();
  const resume = `dpmesh resume ${run}`;
  const advice = (command: string) =>
    `run ${command} when space is available, or with --out ELSEWHERE right away`;
  if (saved?.checkpoint.ended) return `training is complete and saved in ${saved.path}; ${advice(resume)}`;
  const rescued = await checkpoints.rescue();
  if (rescued) {
    const { path, isFound } = rescued;
    return `training is complete and saved in ${path}; ${advice(isFound ? resume : `${resume} --from ${path}`)}`;
  }
  return saved
    ? `the last state of training could not be saved, the newest checkpoint is ${saved.path}; ${advice(resume)}`
    : `there is no checkpoint, so training has to start again; ${advice(resume)}`;
}
