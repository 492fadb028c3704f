import { UserError } from '../../../base/user-error.ts';
import { notesOnReplicates } from '../../../run/passes/notes.ts';
import type { Replicates } from '../../../run/summary.ts';
import { writeRunFile } from '../results.ts';
import type { MetadataPorts, Ports, RunStage, RunState } from '../run-state.ts';
import { writeAgain } from '../write-again.ts';

/** Trains the replicates, if there are to be any; then the run is done. UserError as of `writeAgain`. */
export function replicateStage(
  context: MetadataPorts &
    Ports<'checkpoints' | 'earlyFinish' | 'emit' | 'out' | 'signal' | 'spent' | 'trainer' | 'warn'>,
): RunStage {
  const { config, server, checkpoints, emit, spent } = context;
  return {
    name: 'replicate',
    ended: ({ isDone }) => (isDone ? 'done' : null),
    async step(state) {
      // What follows is not work for the labels.
      const { tasks, workers } = server.usage();
      const { rowsRead } = spent();
      const replicates =
        config.replicates && state.ended !== 'asked' ? await replicatesOf(context, state) : null;
      const before = state.summary!;
      // They are of the sample.
      const k = before.k - state.labelled!.added.length;
      const doubts = replicates ? notesOnReplicates(k, replicates) : [];
      const summary = { ...before, replicates, notes: [...before.notes, ...doubts] };
      if (replicates) await writeAgain(context, async () => writeRunFile(context, state, summary));
      await checkpoints.removeRescued();
      const { outliers, notes, stability } = summary;
      emit({
        ...{ type: 'done', k: summary.k, outliers, rowsRead, seconds: tasks, workers },
        ...(notes.length && { notes }),
        ...(replicates && { replicates }),
        ...(stability && { stability }),
      });
      return { ...state, summary, isDone: true };
    },
  };
}

/** Null if they end early, by the signal or an error that the user can solve: the results are there without them. */
async function replicatesOf(
  context: Ports<'earlyFinish' | 'out' | 'signal' | 'trainer' | 'warn'>,
  state: RunState,
): Promise<Replicates | null> {
  const { out, warn, earlyFinish, trainer } = context;
  const signal = AbortSignal.any([...(context.signal ? [context.signal] : []), earlyFinish.asked()]);
  const { below } = state.clusters!.sample;
  const outliers = state.labelled!.found.sampledOutliers.map(({ length }) => length);
  const stopped = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  try {
    const replicates = trainer.replicate({
      below,
      outliers,
      trained: state.labelled!.state,
      k: state.summary!.k,
    });
    replicates.catch(() => {});
    const result = await Promise.race([stopped, replicates]);
    if (!result) {
      trainer.stopReplicates().catch(() => {});
      warn('stopped during the replicates; the results are complete without them');
    }
    return result;
  } catch (error) {
    out.assertThere();
    if (!(error instanceof UserError)) throw error;
    warn(`the replicates have ended: ${error.message}; the results are complete without them`);
    return null;
  }
}
