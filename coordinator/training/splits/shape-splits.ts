import { dot } from '../../../model/linalg.ts';
import type { Niw } from '../../../model/niw.ts';
import { thresholdRule } from '../../../model/splits/linear-rule.ts';
import { likeliestThreshold } from '../../../model/splits/pca-split.ts';
import type { Parts } from '../../../model/state.ts';
import { mean } from '../../../model/statistics.ts';
import type { Axis } from '../rounds.ts';
import type { Run } from '../run-context.ts';
import { type Means, type Proposal, partsOf, type Rules, statisticsByRules } from './rules.ts';

/** Proposals for clusters whose sub-clusters are not accepted (docs/algorithm.md, section 6). All need only sums over the rows. */

/** Bins of a histogram: a cluster has several. */
const BINS = 256;
const DISCRIMINANT_STEPS = 2;

/** The likeliest halves of each chosen cluster. */
export interface ShapeHalves {
  rules: Rules;
  /**
   * By how much two Gaussians along the axis are likelier than one, in nats, less what three more parameters and the choice of
   * the axis cost; 0 for a cluster without halves.
   */
  gains: number[];
}

/**
 * Halves each chosen cluster at the likeliest threshold along one of its shape axes (model/splits/fourth-moments.ts). `T`: the
 * clusters' statistics. Full covariance only.
 */
export async function shapeHalves(
  { rounds, calculate }: Means,
  prior: Niw,
  chosen: boolean[],
  T: Parts,
): Promise<ShapeHalves> {
  const { d } = prior;
  const owners = [...chosen.keys()].filter((k) => chosen[k]);
  const place = new Map(owners.map((k, leaf) => [k, leaf]));
  const partition = {
    groups: 'net' as const,
    cells: chosen.map((_, k) => place.get(k) ?? -1),
    leaves: owners.length,
  };
  const whitening = await calculate(
    'whitenings',
    prior,
    owners.map((k) => T[k]),
  );
  const F = await rounds.cellFourthMoments(partition, [], whitening);
  const directions = await calculate(
    'shapeAxes',
    F,
    d,
    whitening.map(({ inverse }) => inverse),
  );
  const axes = directions.map((own, leaf) =>
    own.map((axis): Axis => ({ axis, centre: dot(axis, whitening[leaf].centre), sd: 1 })),
  );
  const histograms = await rounds.cellHistograms(partition, [], axes.flat(), BINS);
  const perLeaf = axes[0].length;
  const best = chosen.map((_, k) => {
    const leaf = place.get(k);
    if (leaf === undefined) return null;
    let best: { axis: Float64Array; at: number; gain: number } | null = null;
    for (const [i, { axis, centre, sd }] of axes[leaf].entries()) {
      const found = likeliestThreshold(histograms[leaf * perLeaf + i], centre, sd);
      if (found && !(best && best.gain >= found.gain)) best = { axis, ...found };
    }
    return best;
  });
  return {
    rules: best.map((halves) => halves && thresholdRule(halves.axis, halves.at)),
    gains: best.map((halves, k) => (halves ? halves.gain - 1.5 * Math.log(T[k][0]) - Math.log(perLeaf) : 0)),
  };
}

/** The parts after they have been drawn anew, a few times, by the linear discriminant of those before. */
export async function discriminants(
  { rounds, calculate }: Means,
  prior: Niw,
  T: Parts,
  proposal: Proposal,
): Promise<Proposal> {
  let { rules, parts } = proposal;
  for (let step = 0; step < DISCRIMINANT_STEPS; step++) {
    rules = await calculate('discriminantRules', prior, parts);
    parts = await partsBy(rounds, rules, T, prior.d);
  }
  return { rules, parts };
}

/** The parts of clusters with statistics `T`. */
export async function partsBy(rounds: Run['rounds'], rules: Rules, T: Parts, d: number): Promise<Parts[]> {
  const pivots = rules.map((rule, k) => (rule ? Array(partsOf(rule)).fill(mean(T[k], d)) : []));
  const [parts] = await statisticsByRules(rounds, [rules], [pivots]);
  return parts;
}
