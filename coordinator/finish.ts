import { setTimeout as sleep } from 'node:timers/promises';
import { WriteError } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import type { Labels } from '../data/labels.ts';
import type { Layout } from '../model/layout.ts';
import type { State } from '../model/state.ts';
import type { Emit } from '../view/events.ts';
import type { Summary } from '../view/summary.ts';
import type { DataCheck } from './data-check.ts';
import type { Server } from './scheduler/server.ts';
import type { RunTotals } from './storage/checkpoint.ts';
import type { Checkpoints } from './storage/checkpoints.ts';
import { summarize, writeModel } from './storage/results.ts';
import type { RunDirectory } from './storage/run-directory.ts';
import { type RunMetadata, runFile } from './storage/run-file.ts';
import { type FullPassResult, labelAllRows } from './training/full-pass.ts';
import type { Run } from './training/run-context.ts';
import type { Observer } from './training/train.ts';

export interface Finishing {
  run: Run;
  state: State;
  loss: number | null;
  layout: Layout;
  labels: Labels | null;
  server: Server;
  out: RunDirectory;
  checkpoints: Checkpoints;
  facts: RunMetadata;
  spent: () => RunTotals;
  observer?: Observer;
  check?: DataCheck | null;
  emit: Emit;
  warn: (message: string) => void;
}

/** Seconds between attempts to write the results: about a minute in all. */
const PAUSES = [1, 2, 4, 8, 15, 30];

/** The full pass and all that comes of it. UserError where the disk refuses the results until patience ends. */
export async function finish(input: Finishing): Promise<Summary> {
  const { run, state, loss, layout, labels, out, checkpoints, facts, spent, server, observer, emit } = input;
  let labelled: FullPassResult | null = null;
  try {
    const summary = await persistently(async () => {
      if (!labelled) {
        const truth = labels?.codes ?? null;
        labelled = await labelAllRows(run, layout, state.mixture.k, truth, out, input.check?.finish);
        observer?.labelled(labelled.T.map(([rows]) => rows));
      }
      writeModel(run, state, labelled, out);
      await checkpoints.flush();
      const found = summarize(labelled, { loss, state, layout, spent: spent(), out: out.path });
      out.json('run.json', runFile(facts, found));
      return found;
    }, input.warn);
    const { tasks, workers } = server.usage();
    emit({ type: 'done', k: summary.k, rowsRead: spent().rowsRead, seconds: tasks, workers });
    return summary;
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    throw new UserError(`${error.message}; ${await whatIsSaved(checkpoints, out.path)}`);
  }
}

/** Tries again, after growing pauses, what the disk has refused. */
export async function persistently<T>(
  attempt: () => Promise<T>,
  warn: (message: string) => void,
  pauses: readonly number[] = PAUSES,
): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof WriteError) || i >= pauses.length) throw error;
      warn(`${error.message}; trying again in ${pauses[i]} s`);
      // Ctrl-C need not wait for it.
      await sleep(pauses[i] * 1000, undefined, { ref: false });
    }
  }
}

/** Where the trained state is, and how to go on from it. */
async function whatIsSaved(checkpoints: Checkpoints, run: string): Promise<string> {
  await checkpoints.flush();
  const saved = checkpoints.saved();
  const resume = `dpmesh resume ${run}`;
  const ways = (how: string) => `${how} when there is room, or with --out ELSEWHERE at once`;
  if (saved?.checkpoint.ended) return `training is over and saved in ${saved.path}: ${ways(resume)}`;
  const rescued = await checkpoints.rescue();
  if (rescued) return `training is over and saved in ${rescued}: ${ways(`${resume} --from ${rescued}`)}`;
  return saved
    ? `the end of training could not be saved, the newest checkpoint is ${saved.path}: ${ways(resume)}`
    : `nothing could be saved, as there is no checkpoint: ${ways(resume)}, from the start`;
}
