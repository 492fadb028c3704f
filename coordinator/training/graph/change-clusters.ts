import type { OutputUnit } from '../../../model/nets/surgery.ts';
import { type Change, withStep } from '../../../model/schedule.ts';
import type { State } from '../../../model/state.ts';
import type { Run } from '../run-context.ts';

/**
 * The state after a step of the graph likelihood: units of the nets are copied or dropped, and the rows keep the clusters that they
 * have been given (`labels`) until the clustering net has learned them. The mixture, which describes the clusters but decides
 * nothing, follows with the next epoch.
 */
export async function changeClusters(
  run: Run,
  state: State,
  kind: Change,
  units: OutputUnit[],
  labels: Int32Array,
  joined = false,
): Promise<State> {
  const { config, schedule, calculate, seed } = run;
  const { mixture } = state;
  const changed = units.some(({ fresh }) => fresh) ? Math.max(1, Math.abs(units.length - mixture.k)) : 0;
  const steps = withStep(state.steps, {
    ...{ kind, changed, k: units.length, progress: null },
    ...(kind === 'split' && { exhaustive: true as const }),
    ...(joined && { joined: true as const }),
  });
  const paced = { ...state, untilStep: schedule.every, steps };
  if (!changed) return paced;
  const of = <T>(values: readonly T[]) => units.map(({ from }) => values[from]);
  const weights = units.map(({ from, share }) => mixture.weights[from] * share);
  const sum = weights.reduce((a, b) => a + b, 0);
  return {
    ...paced,
    mixture: {
      ...mixture,
      k: units.length,
      weights: Float64Array.from(weights, (weight) => weight / sum),
      means: of(mixture.means),
      covariances: of(mixture.covariances),
    },
    parts: of(state.parts),
    net: await calculate('resizeClusteringNet', state.net, units),
    subs: await calculate('resizeSubNets', state.subs, units, seed, state.epoch),
    graph: { ...state.graph!, labels },
    frozen: Math.max(1, config.freeze),
    patience: schedule.patience,
    lossSinceChange: null,
  };
}
