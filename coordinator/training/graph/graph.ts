import { labelsOf } from '../../../model/graph/mean-field.ts';
import { linkedHalves } from '../../../model/hierarchy/next-split.ts';
import type { State } from '../../../model/state.ts';
import { pcaSplit } from '../halves.ts';
import { publishNet } from '../publish.ts';
import type { Levels, Likelihood, Run } from '../run-context.ts';
import { type GraphRun, netMemberships, publishField } from './field.ts';
import { type GraphSource, graphSource } from './neighbour-graph.ts';
import { FEWEST_ROWS, graphStart } from './resolution.ts';
import { joinStep, mergeStep, quickHalves, splitStep } from './steps.ts';

/**
 * The degree-corrected planted partition of the sample's neighbour graph (docs/algorithm.md, section 11). The mixture only describes
 * its clusters.
 */
export function graphLikelihood(graphs: GraphSource): Likelihood {
  const of = async (run: Run, { graph, sample }: State): Promise<GraphRun> => ({
    run,
    graph: await graphs.of(sample),
    resolution: graph!.resolution,
  });
  return {
    name: 'graph',
    initK: 1,
    async start(run) {
      const { sample, graph } = await graphStart(run, graphs);
      return { sample, graph, centres: [new Float64Array(run.d)], untilStep: 1, hidden: [256] };
    },
    async target(run, state) {
      const field = state.mixture.k > 1 ? await publishField(await of(run, state), state) : undefined;
      return { loss: 'kl', form: 'product', field };
    },
    async subTargets(run, { mixture, parts }) {
      const { rounds, d, config } = run;
      const { k, means } = mixture;
      if (k === 1) return parts;
      const byCluster = { groups: 'net' as const, cells: [...Array(k).keys()], leaves: k };
      const [T] = await rounds.cellStatistics([byCluster], [], [means]);
      return pcaSplit(run, byCluster, [], T, d, config.covariance);
    },
    // Once the net has learned new clusters, and before a step finds others.
    isMStepDue: ({ untilStep, lossSinceChange }) => untilStep === 1 || lossSinceChange === null,
    step: async (run, state, change) =>
      (change === 'split' ? splitStep : mergeStep)(await of(run, state), state),
    join: async (run, state, clusters) => joinStep(await of(run, state), state, clusters),
    heights: {
      measure:
        'the largest resolution at which the two are worth no less as one; falls towards the root, and is 0 where nothing links them',
      order: 'rising',
    },
    levels: async (run, state, _T, clusters) => levels(await of(run, state), state, clusters),
    ofSample: (run) => graphLikelihood(graphSource(run)),
  };
}

/** By the memberships that the net gives the rows of the sample. */
async function levels(of: GraphRun, state: State, clusters: number): Promise<Levels> {
  const { run, graph } = of;
  const { k } = state.mixture;
  publishNet(run, state.net);
  const memberships = await netMemberships(of);
  const W = await run.calculate('clusterLinks', graph.graph, memberships);
  const own = new Float64Array(clusters * clusters);
  for (let a = 0; a < clusters; a++) own.set(W.subarray(a * k, a * k + clusters), a * clusters);
  const joins = await run.calculate('mergeTree', own, memberships.volume.slice(0, clusters));
  const { cuts, links } = await quickHalves(of, state, labelsOf(memberships));
  return { joins, halves: linkedHalves(links, cuts, graph.total, FEWEST_ROWS) };
}
