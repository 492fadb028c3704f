import type { ClusterCheckpoint, EncoderCheckpoint } from '../../run/checkpoint.ts';
import { readEncoder } from '../../run/checkpoints.ts';
import { type RunContext, type RunStage, type RunState, totalsSince } from './run-state.ts';
import type { Driver } from './stage.ts';
import { clusterStage } from './stages/cluster.ts';
import { describeStage } from './stages/describe.ts';
import { encoderStages, withVectors } from './stages/encode.ts';
import { labelStage } from './stages/label.ts';
import { readStage } from './stages/read.ts';
import { replicateStage } from './stages/replicate.ts';

/**
 * A run, as the stages that `runStages` takes it through: everything that needs workers, from the first reading of the rows to the
 * results, from where its checkpoints left it. What a stage does is in stages/ and, of an update, in coordinator/update/; nothing here knows likelihoods.
 */
export async function recipe(given: Omit<RunContext, 'spent'>): Promise<{
  stages: RunStage[];
  start: RunState;
  driver: Driver<ClusterCheckpoint | EncoderCheckpoint>;
}> {
  const startTime = performance.now();
  const { start, spent } = await startOf(given);
  const context = { ...given, spent: () => totalsSince(spent, given.server, startTime) };
  const finishesAtOnce = given.resume?.how === 'finish';
  return {
    stages: stagesOf(context),
    start,
    driver: { ...context, offer: given.checkpoints.offer, finishesAtOnce },
  };
}

/**
 * In turn; those that are over are passed over. With an encoder, rows are read and clustered as their latent vectors; in each alternation
 * it learns from the clusters, unless the last `alternate` has found that enough.
 */
function stagesOf(context: RunContext): RunStage[] {
  const { encoder, alternations } = context.config;
  const { encode, vectors, alternate } = encoderStages(context);
  if (context.update) {
    const { begin, draw, prepare, label } = context.updateStages!(context);
    const encoded = encoder === 'none' ? [] : [begin, vectors];
    const results = [label, describeStage(context), replicateStage(context)];
    return [...encoded, draw, prepare, clusterStage(context), ...results];
  }
  const clustering = [readStage(context), clusterStage(context)];
  const results = [labelStage(context), describeStage(context), replicateStage(context)];
  if (encoder === 'none') return [...clustering, ...results];
  const encoded = [encode, vectors, ...clustering];
  const again = Array.from({ length: alternations }, () => [alternate, ...encoded]).flat();
  return [...encoded, ...again, ...(alternations ? [alternate] : []), ...results];
}

/** What the run has found in earlier sessions, and their totals. */
async function startOf(given: Omit<RunContext, 'spent'>) {
  const { config, source, layout, out, resume, warn } = given;
  let encoder: EncoderCheckpoint | null = null;
  let clusters = resume?.from?.checkpoint ?? null;
  let encoding = null;
  if (config.encoder !== 'none' && resume && out.isOpen()) {
    encoder = readEncoder(out.path, resume.mismatch, warn);
    encoding = encoder && (await withVectors(encoder.encoding, out.path));
  }
  if (config.encoder !== 'none' && !encoding?.codes) clusters = null;
  const start: RunState = {
    ...{ source, layout, encoding, update: null },
    isLastAlternation: false,
    data: clusters?.dataSummary ?? null,
    ...{ run: null, map: null },
    clusters: clusters?.state ?? null,
    ended: clusters && stillEnded(clusters, given),
    ...{ labelled: null, summary: null, isDone: false },
  };
  return { start, spent: clusters?.spent ?? encoder?.spent ?? null };
}

/** Why the training of this checkpoint has ended, if it does not go on now: its limit may have been raised. */
function stillEnded(
  { ended, state }: ClusterCheckpoint,
  { config, resume }: Pick<RunContext, 'config' | 'resume'>,
) {
  if (ended === 'max-epochs' && state.epoch < config.maxEpochs) return null;
  return ended === 'asked' && resume?.how === 'beyond' ? null : ended;
}
