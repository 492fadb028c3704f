import type { State } from '../../../model/state.ts';
import { nd } from '../../../proto/tensors.ts';
import { kMeans } from '../preparation/initial-state.ts';
import { flatClusterError, isPhiLong } from '../publish.ts';
import type { Likelihood, Run, Target } from '../run-context.ts';
import { withLargeSample } from '../sample.ts';
import { joinStep, mergeStep } from './merge.ts';
import { finalHalves } from './shapes.ts';
import { splitStep } from './split.ts';

/** A mixture of Gaussians with a normal-inverse-Wishart prior (docs/algorithm.md, sections 3 to 8). */
export function gaussianLikelihood(initK: number): Likelihood {
  /** That of the last target, which is published once. */
  let published: { mixture: State['mixture']; target: Target } | null = null;
  return {
    name: 'gaussian',
    initK,
    async start(run) {
      const centres = initK > 1 ? await kMeans(run, initK) : [new Float64Array(run.d)];
      return { sample: run.sample, centres, untilStep: run.schedule.firstStep, hidden: [50] };
    },
    async target(run, { mixture }) {
      if (published?.mixture !== mixture) published = { mixture, target: await publishEStep(run, mixture) };
      return published.target;
    },
    subTargets: async (_run, { parts }) => parts,
    isMStepDue: ({ frozen }) => frozen === 0,
    async step(run, state, change) {
      const take = change === 'split' ? splitStep : mergeStep;
      return withLargeSample(run, await take(run, state));
    },
    join: async (run, state, clusters) => withLargeSample(run, await joinStep(run, state, clusters)),
    heights: {
      measure:
        'nats a row: what the evidence loses by the join, divided by the number of all rows; rises towards the root',
      order: 'falling',
    },
    async levels(run, state, T, clusters) {
      const { config, calculate } = run;
      const own = T.slice(0, clusters);
      const joins = await calculate('evidenceTree', state.prior, own, config.alpha);
      const proposals = (await finalHalves(run, state, T)).slice(0, clusters);
      return { joins, halves: await calculate('evidenceHalves', state.prior, own, proposals, config.alpha) };
    },
    ofSample: () => gaussianLikelihood(initK),
  };
}

/** The E-step. UserError if a cluster is too flat for float32. */
async function publishEStep(
  { dispatcher, config, transform, calculate }: Run,
  mixture: State['mixture'],
): Promise<Target> {
  const { k, d } = mixture;
  if (config.clusterLoss !== 'kl') {
    const cost = await calculate('costTheta', config.clusterLoss, mixture, transform.scale);
    dispatcher.publish('e-step', { cost: nd(cost, cost.length / k, k) });
    return { loss: config.clusterLoss, form: 'product' };
  }
  const form = isPhiLong(mixture) ? 'cholesky' : undefined;
  const step = await calculate('eStepOf', mixture, transform.scale, form).catch((error) => {
    throw flatClusterError(config, error);
  });
  dispatcher.publish(
    'e-step',
    step.form === 'product'
      ? { theta: nd(step.theta, step.theta.length / k, k) }
      : { weights: nd(step.weights, d, k * d), bias: nd(step.bias, k * d), constant: nd(step.constant, k) },
  );
  return { loss: 'kl', form: step.form };
}
