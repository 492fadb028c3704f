import { UserError } from '../../../base/user-error.ts';
import { componentsOf, sumsByCluster } from '../../../model/gaussian/components.ts';
import { chooseByWeight, lloydCentres } from '../../../model/gaussian/kmeans.ts';
import { componentTrees, evidenceHalves, evidenceTree } from '../../../model/hierarchy/evidence-tree.ts';
import { halfSize } from '../../../model/layout.ts';
import { generator } from '../../../model/random.ts';
import type { State } from '../../../model/state.ts';
import type { RunConfig } from '../../../run/config.ts';
import { mostClusters } from '../../../tasks/capacity.ts';
import type { Partition } from '../../../tasks/cells/ask.ts';
import { rowsTensor } from '../../rounds/sums.ts';
import { isPhiLong, publishClassifier, publishEStep } from '../publish.ts';
import type { LikelihoodKind, LikelihoodModel, Target, TrainingRun } from '../run-context.ts';
import { withLargeSample } from '../sample.ts';
import { joinStep, mergeStep } from './merge.ts';
import { type ClusterRowsOf, clusterRowsSource, looksAtOverlap } from './overlap.ts';
import { finalHalves } from './shapes.ts';
import { byEvidence, splitStep } from './split.ts';
import { estimateSubClusters, isSubMStepDue } from './sub-clusters.ts';

/**
 * In so few columns clusters may be many and far apart for their size. The clustering net learns them slowly, and what it lacks ruins
 * the M-step: a mass of 1e-3 on clusters 50 standard deviations away multiplies a variance. In more columns the responsibilities of
 * the mixture are too sure.
 */
const MOST_TRAINED_BY_MIXTURE = 4;

export const gaussian: LikelihoodKind = {
  configure(config, rows, d, warn) {
    checkInitK(config, rows, d);
    if (config.resolution !== null)
      warn('a Gaussian mixture does not use --resolution; --likelihood graph does');
    return config;
  },
  byMixture: ({ schedule }, d) => schedule !== 'paper' && d <= MOST_TRAINED_BY_MIXTURE,
  create: ({ config }) => gaussianLikelihood(config.initK),
};

/** UserError unless there are rows for so many initial clusters, and messages for their statistics. */
function checkInitK(config: RunConfig, n: number, d: number): void {
  const { initK } = config;
  if (initK > n)
    throw new UserError(`--init-k ${initK} is more than the ${n} rows in the sample (--sample); lower it`);
  const most = mostClusters(d, config.covariance);
  if (initK > most)
    throw new UserError(
      `--init-k ${initK} is more than the ${most} clusters that ${config.covariance} covariance in ${d} dimensions allows; lower it`,
    );
  if (config.replicates && initK > halfSize(n))
    throw new UserError(
      `--init-k ${initK} is more than half of the ${n} rows in the sample, on which --replicates train; lower it`,
    );
}

/** A mixture of Gaussians with a normal-inverse-Wishart prior (docs/algorithm.md, sections 3 to 8). */
function gaussianLikelihood(initK: number): LikelihoodModel {
  /** That of the last target, which is published once. */
  let published: { mixture: State['mixture']; byMixture: boolean; target: Target } | null = null;
  const publish = (run: TrainingRun, mixture: State['mixture']): Target => {
    const { byMixture } = run;
    if (published?.mixture !== mixture || published.byMixture !== byMixture)
      published = {
        mixture,
        byMixture,
        target: publishEStep(run, mixture, isPhiLong(mixture) || byMixture ? 'cholesky' : undefined),
      };
    return published.target;
  };
  /** Rows may go by it. */
  const withMixture = (run: TrainingRun, { mixture }: State) => {
    if (run.byMixture) publish(run, mixture);
  };
  const rowsSource = clusterRowsSource();
  const clusterRows: ClusterRowsOf = (run, state) => {
    publish({ ...run, byMixture: true }, state.mixture);
    return rowsSource(run, state);
  };
  const step: LikelihoodModel['step'] = async (run, state, change) => {
    withMixture(run, state);
    const rows = looksAtOverlap(run) ? clusterRows : null;
    const after =
      change === 'split'
        ? await splitStep(run, state, byEvidence(run, state), rows)
        : await mergeStep(run, state, rows);
    return withLargeSample(run, after);
  };
  return {
    name: 'gaussian',
    initK,
    async start(run) {
      const centres = initK > 1 ? await kMeans(run, initK) : [new Float64Array(run.d)];
      return { sample: run.sample, centres, untilStep: run.schedule.firstStep, hidden: [50] };
    },
    target: async (run, { mixture }) => publish(run, mixture),
    subTargets: async (run, state) =>
      isSubMStepDue(run, state) ? estimateSubClusters(run, state) : state.parts,
    isMStepDue: ({ frozen }) => frozen === 0,
    // A split step with all proposals: EM would drag clusters to the rows of a new one.
    async goOn(run, state, { unchanged }) {
      publish(run, state.mixture);
      // As after a merge step without a merge, when splits in two have stalled.
      const before = { kind: 'merge' as const, changed: 0, k: state.mixture.k, progress: null };
      const after = await step({ ...run, unchanged }, { ...state, steps: [before] }, 'split');
      return { ...after, steps: after.steps.slice(1) };
    },
    step,
    async join(run, state, clusters) {
      withMixture(run, state);
      return withLargeSample(run, await joinStep(run, state, clusters));
    },
    heights: {
      measure:
        'nats a row: what the evidence loses by the join, divided by the number of all rows; rises towards the root',
      order: 'falling',
    },
    async levels(run, state, T, clusters) {
      const { config } = run;
      publishClassifier(run, state);
      const own = sumsByCluster(T, state.groups).slice(0, clusters);
      const joins = evidenceTree(state.prior, own, config.alpha);
      const halves = await finalHalves(run, state, T);
      // One of several components has pieces, not halves.
      const members = componentsOf(state.mixture.k, state.groups).slice(0, clusters);
      const proposals = members.map(([first, ...others]) => (others.length ? [] : halves[first]));
      return {
        joins,
        halves: evidenceHalves(state.prior, own, proposals, config.alpha),
        // Those that --clusters has joined are clusters of this tree.
        components: config.clusters === null ? componentTrees(state.prior, T, members, config.alpha) : [],
      };
    },
    ofSample: () => gaussianLikelihood(initK),
  };
}

const LLOYD_ROUNDS = 10;

/**
 * k-means++, then Lloyd. Each shard draws a candidate by D² weighting among its own rows; one shard's candidate is chosen
 * with probability proportional to the shard's total D².
 */
async function kMeans(run: TrainingRun, k: number): Promise<Float64Array[]> {
  const { rounds, dispatcher, d, seed } = run;
  const centres: Float64Array[] = [];
  for (let draw = 0; draw < k; draw++) {
    dispatcher.publish('centres', { rows: rowsTensor(centres, d) });
    const candidates = await rounds.perShard({ task: 'seed-distances', centres: draw, draw });
    const weights = candidates.map(({ weight }) => weight[0]);
    const shard = chooseByWeight(weights, generator(seed, 'k-means++', draw).uniform());
    centres.push(candidates[shard].row.slice());
  }
  let current = centres;
  const near = [...centres.keys()];
  for (let round = 0; round < LLOYD_ROUNDS; round++) {
    const partition: Partition = { groups: 'all', cells: [{ near, into: near }], leaves: k };
    const [sums] = await rounds.cellSums([partition], current);
    current = lloydCentres(sums, current);
  }
  return current;
}
