import type { EndReason } from '../model/schedule.ts';
import { aboutCheckpoint, type RunContext, type RunStage, type RunState } from './run-state.ts';
import { initialState } from './training/epoch.ts';
import { publishTransform } from './training/publish.ts';
import { isUndecided } from './training/reading/undecided.ts';
import { type Training, trainingOf } from './training/train.ts';

/** Trains the clusters, from the initial ones or those of a checkpoint, until they have settled or at the limit of epochs. */
export function clusterStage(context: RunContext): RunStage {
  const { server, emit, observer } = context;
  let training: Training | null = null;
  return {
    name: 'cluster',
    ended({ clusters, ended }, isAsked) {
      if (!clusters || ended) return ended;
      // Before the first epoch the net knows no cluster.
      if (isAsked && clusters.epoch > 0) return 'asked';
      return training?.ended(clusters) ?? null;
    },
    async begin(state) {
      const run = state.run!;
      training = trainingOf(run, (clusters, losses) => {
        const { tasks, workers } = server.usage();
        const { epoch, mixture, net } = clusters;
        const width = net.shapes.at(-1)![0];
        emit({ type: 'epoch', epoch, k: mixture.k, width, ...losses, seconds: tasks, workers });
        observer?.epoch(clusters, losses);
      });
      if (state.clusters) return state;
      const clusters = await initialState(run);
      // The graph may need a larger sample.
      if (clusters.sample.below !== run.sample.below) publishTransform(run, clusters.sample.below);
      observer?.state(clusters);
      return { ...state, clusters };
    },
    async step(state) {
      const clusters = await training!.step(state.clusters!);
      const next = { ...state, clusters };
      if (hasChanged(state, next)) observer?.state(clusters);
      return next;
    },
    isMilestone: hasChanged,
    end(state, reason) {
      const { epoch, mixture } = state.clusters!;
      const ended = reason as EndReason;
      emit({ type: 'end', epoch, k: mixture.k, reason: ended });
      return { ...state, ended };
    },
    checkpoint({ layout, data, run, clusters, ended }) {
      const { config } = context;
      return {
        stage: 'cluster',
        ...aboutCheckpoint(context, layout),
        dataSummary: data!,
        transform: isUndecided(config, layout.dim) ? run!.transform : null,
        state: clusters!,
        ended,
      };
    },
  };
}

/** Has a split or merge step followed? */
const hasChanged = (before: RunState, after: RunState) =>
  before.clusters!.steps.at(-1) !== after.clusters!.steps.at(-1);
