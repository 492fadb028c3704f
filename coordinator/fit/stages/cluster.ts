import type { EndReason } from '../../../model/schedule.ts';
import { aboutCheckpoint, type Ports, type RunStage } from '../run-state.ts';
import { trainingEnd, turn } from '../train.ts';

/** Trains the clusters, from the initial ones or those of a checkpoint, until they have settled or at the limit of epochs. */
export function clusterStage(
  context: Ports<'config' | 'emit' | 'observer' | 'server' | 'spent' | 'trainer' | 'update'>,
): RunStage {
  const { server, trainer, emit, observer } = context;
  /** Before this session's first epoch nothing ends: the state of a checkpoint may have settled, but its end is not recorded yet. */
  let isBegun = false;
  /** A split or merge step has followed the last epoch. */
  let isStep = false;
  return {
    name: 'cluster',
    ended({ run, clusters, ended }, isAsked) {
      if (!clusters || ended) return ended;
      // Before the first epoch the net knows no cluster.
      if (isAsked && clusters.epoch > 0) return 'asked';
      return isBegun ? trainingEnd(run!, clusters) : null;
    },
    async begin(state) {
      isBegun = true;
      if (state.clusters) {
        await trainer.resume(state.clusters);
        return state;
      }
      const { update } = state;
      const clusters =
        update && !context.update!.refit
          ? await trainer.goOn(update.state, {
              clusters: await update.before(),
              unchanged: update.unchanged,
            })
          : await trainer.start();
      observer?.state(clusters);
      return { ...state, clusters };
    },
    async step(state) {
      const next = await turn(state.run!, state.clusters!, {
        async epoch(before) {
          const { state: clusters, losses } = await trainer.epoch(before);
          const { tasks, workers } = server.usage();
          const { epoch, mixture, net } = clusters;
          const width = net.shapes.at(-1)![0];
          emit({ type: 'epoch', epoch, k: mixture.k, width, ...losses, seconds: tasks, workers });
          observer?.epoch(clusters, losses);
          return clusters;
        },
        async step(before, kind) {
          const clusters = await trainer.step(before, kind);
          observer?.state(clusters);
          return clusters;
        },
      });
      isStep = next.isStep;
      return { ...state, clusters: next.state };
    },
    isMilestone: () => isStep,
    end(state, reason) {
      const { epoch, mixture } = state.clusters!;
      const ended = reason as EndReason;
      emit({ type: 'end', epoch, k: mixture.k, reason: ended });
      return { ...state, ended };
    },
    checkpoint({ layout, data, run, clusters, ended, update }) {
      const { config } = context;
      return {
        stage: 'cluster',
        ...aboutCheckpoint(context, layout),
        dataSummary: data!,
        transform: update || config.transform === 'auto' ? run!.transform : null,
        state: clusters!,
        ended,
      };
    },
  };
}
