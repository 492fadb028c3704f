import { quality } from '../../../model/graph/louvain.ts';
import { hardMemberships, labelsOf } from '../../../model/graph/mean-field.ts';
import type { OutputUnit } from '../../../model/nets/surgery.ts';
import type { State } from '../../../model/state.ts';
import { mostClusters, withinLimit } from '../preparation/limits.ts';
import type { Run } from '../run-context.ts';
import { changeClusters } from './change-clusters.ts';
import { sweptOften } from './field.ts';
import { graphOfRun } from './graph-run.ts';
import { type Cuts, refinedHalves } from './halves.ts';
import { netMemberships } from './membership-rounds.ts';
import { countsOf, FEWEST_ROWS } from './merge-step.ts';
import { startingPartition } from './resolution.ts';

/** Split steps of the graph likelihood (docs/algorithm.md, section 11). */

/** Sweeps in which rows move once clusters are split. */
const MOVES = 4;

/** A cluster's split into halves: it gains γ·vol₁·vol₂/tot − w₁₂. */
interface Cut {
  parts: readonly [number, number];
  logRatio: number;
  /** Which of the cuts. */
  cut: number;
}

/**
 * Proposes to split every cluster in two, or the single cluster that a run begins with into many. Halves start from the sub-nets
 * and along principal axes, and are refined on the cluster's part of the graph.
 */
export async function graphSplitStep(run: Run, state: State): Promise<State> {
  const { graph, resolution } = await graphOfRun(run, state);
  const { k } = state.mixture;
  if (k === 1) return splitIntoMany(run, state);
  const memberships = await netMemberships(run, graph, k);
  const labels = labelsOf(memberships);
  const found = await refinedHalves(run, state, graph, labels);
  const { side, cuts } = found;
  const best = bestCuts(found, graph.total, resolution, k);
  const emitted = best.map((own, cluster) => {
    const accepted = own.logRatio > 0;
    run.emit({
      type: 'split',
      epoch: state.epoch,
      clusters: [cluster],
      points: [...own.parts],
      logRatio: Number.isFinite(own.logRatio) ? own.logRatio : null,
      accepted,
      ...(!Number.isFinite(own.logRatio) && { reason: 'too few points' }),
    });
    return accepted ? own : null;
  });
  const splits = withinLimit(emitted, mostClusters(run.d, run.config.covariance));
  const units: OutputUnit[] = [];
  const first = new Int32Array(k);
  splits.forEach((split, cluster) => {
    first[cluster] = units.length;
    if (!split) units.push({ from: cluster, share: 1, fresh: false });
    else
      for (const rows of split.parts)
        units.push({ from: cluster, share: rows / (split.parts[0] + split.parts[1]), fresh: true });
  });
  const next = labels.map((label, row) => {
    const split = splits[label];
    return first[label] + (split && side[row * cuts + split.cut] > 0.5 ? 1 : 0);
  });
  const moved = await sweptOften(run, state, hardMemberships(next, graph.degree, units.length), MOVES);
  return changeClusters(run, state, 'split', units, labelsOf(moved));
}

/** The start: the single cluster is split into the clusters of a partition that is finer than they will be. */
async function splitIntoMany(run: Run, state: State): Promise<State> {
  const { graph, resolution } = await graphOfRun(run, state);
  const { mostOf, stability } = { mostOf: mostClusters(run.d, run.config.covariance), ...state.graph! };
  const labels = await startingPartition(run, graph, resolution);
  const k = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const rows = countsOf(labels, k);
  const logRatio = (graph.total / 2) * (quality(graph.graph, labels, resolution) - (1 - resolution));
  const accepted = stability !== null && k > 1 && k <= mostOf && logRatio > 0;
  run.emit({
    type: 'split',
    epoch: state.epoch,
    clusters: [0],
    points: [...rows],
    logRatio,
    accepted,
    ...(stability === null && { reason: 'other samples would be split otherwise' }),
  });
  const units: OutputUnit[] = accepted
    ? Array.from(rows, (own) => ({ from: 0, share: own / graph.n, fresh: true }))
    : [{ from: 0, share: 1, fresh: false }];
  return changeClusters(run, state, 'split', units, labels);
}

/** The cut of each cluster that gains most; −∞ for one without halves of enough rows. */
function bestCuts({ cuts, links }: Cuts, total: number, resolution: number, k: number): Cut[] {
  const { rows, volume, between } = links;
  return Array.from({ length: k }, (_, cluster) => {
    let best: Cut = { parts: [0, 0], logRatio: -Infinity, cut: 0 };
    for (let cut = 0; cut < cuts; cut++) {
      const at = cluster * cuts + cut;
      const parts = [rows[2 * at], rows[2 * at + 1]] as const;
      if (cut === 0) best = { ...best, parts };
      if (Math.min(...parts) < FEWEST_ROWS) continue;
      const logRatio = (resolution * volume[2 * at] * volume[2 * at + 1]) / total - between[at];
      if (logRatio > best.logRatio) best = { parts, logRatio, cut };
    }
    return best;
  });
}
