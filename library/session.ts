import { createDisposers } from '../base/disposers.ts';
import { fileProblem } from '../base/files.ts';
import { dpmeshVersion } from '../base/package.ts';
import { INTERRUPTED } from '../base/user-error.ts';
import { runStages } from '../coordinator/fit/stage.ts';
import type { Labels } from '../data/label-spec.ts';
import type { Drawing } from '../page/report/drawing.ts';
import type { RunConfig } from '../run/config.ts';
import type { RunDirectory } from '../run/run-directory.ts';
import { openSession, type SessionOptions, type SessionProgress } from './open-session.ts';

/** How a session ended. `directory`: where an interrupted run can be resumed; null if nothing was written. */
export type SessionEnd = { how: 'done' } | { how: 'interrupted'; directory: string | null };

/**
 * One session of a run, from its options to its files: checks the inputs, starts the server, trains, and writes the results.
 * An interrupt ends it in an orderly way. Uses neither the terminal nor process signals. UserError for a user's mistake.
 */
export async function session(config: RunConfig, options: SessionOptions): Promise<SessionEnd> {
  const { listener, signal, report, earlyFinish, resume, mixed } = options;
  const stopping = new AbortController();
  const interrupted = new Promise<null>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const stop = () => stopping.abort();
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  const closing = createDisposers();
  const progress: SessionProgress = { over: false };
  try {
    const opening = openSession(config, options, { stopping, interrupted, closing, progress });
    opening.catch(() => {});
    // `interrupted` comes first: if `signal` was already aborted, both have settled.
    const opened = await Promise.race([interrupted, opening]);
    if (!opened) return interruptedEnd(progress);
    const { workers, checkpoints, labels, drawing, out } = opened;
    // Loaded while the workers start.
    const loaded = Promise.all([
      import('../coordinator/fit/recipe.ts'),
      import('../run/checkpoints.ts'),
      workers.ready,
    ]);
    const finished = loaded.then(async ([{ recipe }, { mismatchWith }]) => {
      const { update = null } = options;
      const { stages, start, driver } = await recipe({
        ...opened,
        ...{ config, mixed, earlyFinish, signal: stopping.signal, update },
        ...(update && { updateStages: (await import('../coordinator/update/stages.ts')).updateStages }),
        resume: resume
          ? {
              ...{ from: opened.from, how: resume.how, fingerprint: resume.run.data.fingerprint },
              mismatch: mismatchWith(resume.run, config),
            }
          : null,
        written: () => void (progress.written = true),
      });
      return (await runStages(stages, start, driver)).summary!;
    });
    finished.catch(() => {});
    const ends = [interrupted, finished, out.displaced, ...(workers.failed ? [workers.failed] : [])];
    let summary = await Promise.race(ends);
    // Only replicates were interrupted, and they end at once.
    if (!summary && progress.written) summary = await finished;
    if (!summary) {
      opened.monitor?.ended('stopped');
      await checkpoints.flush();
      return interruptedEnd(progress);
    }
    opened.monitor?.ended('done');
    progress.over = true;
    progress.ended = { how: 'done', code: 0 };
    out.assertThere();
    earlyFinish.enter('describe');
    const drawn = report && !stopping.signal.aborted ? drawReport(drawing, out, labels, listener.log) : null;
    drawn?.catch(() => {});
    const path = await Promise.race([drawn, interrupted]);
    out.assertThere();
    earlyFinish.enter('over');
    listener.result(summary, path);
    return { how: 'done' };
  } catch (error) {
    progress.monitor?.ended('failed');
    progress.ended = { how: 'failed', code: fileProblem(error)?.exitCode ?? 1 };
    Object.assign(progress, { over: true, error });
    throw error;
  } finally {
    // Until everything is closed, an interrupt also ends the time for which page and metrics linger.
    await closing.dispose();
    signal.removeEventListener('abort', stop);
  }
}

function interruptedEnd(progress: SessionProgress): SessionEnd {
  const { out } = progress;
  progress.ended = { how: 'stopped', code: INTERRUPTED };
  if (!out?.isOpen()) return { how: 'interrupted', directory: null };
  out.assertThere();
  return { how: 'interrupted', directory: out.path };
}

/**
 * Draws the report and returns the path of report.html. If that fails, logs why and returns null: the results are
 * complete. Rejects with Displaced.
 */
async function drawReport(
  drawing: () => Promise<Drawing>,
  out: RunDirectory,
  labels: Labels | null,
  log: (line: string) => void,
): Promise<string | null> {
  const run = out.path;
  try {
    const { tabulate } = await import('../page/rows.ts');
    const { readRunFile } = await import('../run/run-file.ts');
    const { ids } = readRunFile(run);
    const table = labels ? tabulate(run, labels, ids) : undefined;
    const request = { run, version: dpmeshVersion(), table, directory: out.id()! };
    const { path, notes } = await (await drawing()).draw(request);
    for (const note of notes) log(`dpmesh: report: ${note}`);
    return path;
  } catch (error) {
    out.assertThere();
    log(
      `dpmesh: warning: no report was drawn: ${(error as Error).message}; try again with: dpmesh plot --run ${run}`,
    );
    return null;
  }
}
