import type { Cell } from '../../../model/cells.ts';
import { spreadAt } from '../../../model/gaussian/columns.ts';
import { type Niw, pointEstimate } from '../../../model/gaussian/niw.ts';
import {
  binOf,
  discriminantAxes,
  discriminantRule,
  HALF_RANGE,
  hasValley,
  likeliestThreshold,
  shapeAxes,
  thresholdRule,
} from '../../../model/gaussian/splits.ts';
import { dot, NotPositiveDefiniteError, whitener } from '../../../model/linalg.ts';
import type { Parts, State } from '../../../model/state.ts';
import { mean } from '../../../model/statistics.ts';
import { type Axis, ofClusters } from '../../../tasks/cells/ask.ts';
import { type Means, vectorTable } from '../halves.ts';
import type { TrainingRun } from '../run-context.ts';
import {
  metricOf,
  partsOf,
  principalHalves,
  type Rule,
  type Rules,
  ruleCell,
  type SubClusterProposal,
  statisticsByRules,
} from './sub-clusters.ts';

/** Proposals by the shape of clusters, and the valleys between sub-clusters (docs/algorithm.md, section 6). All need only sums over the rows. */

/** Bins of a histogram: a cluster has several. */
const SHAPE_BINS = 256;
const DISCRIMINANT_STEPS = 2;

/** The likeliest sub-clusters of each chosen cluster. */
export interface ShapeHalves {
  rules: Rules;
  /**
   * By how much two Gaussians along the axis are likelier than one, in nats, less what three more parameters and the choice of
   * the axis cost; 0 for a cluster without sub-clusters.
   */
  gains: number[];
}

/** Of which clusters further splits are sought. */
export interface Search {
  chosen: boolean[];
  /** There are many: of those with the shape of a Gaussian none are. */
  isMany: boolean;
  shape: ShapeHalves | null;
}

/** Numbers in the statistics of all clusters above which they are many: statistics and axes of all their sub-clusters take long. */
const MOST_STATISTICS = 1 << 14;

/** `T`: statistics of all clusters. */
export async function searchOf(run: Means, prior: Niw, eligible: boolean[], T: Parts): Promise<Search> {
  const isAny = eligible.includes(true);
  const shape = isAny && prior.covariance === 'full' ? await shapeHalves(run, prior, eligible, T) : null;
  const isMany = eligible.filter(Boolean).length * T[0].length > MOST_STATISTICS;
  const chosen = eligible.map((is, k) => is && !(isMany && shape && shape.gains[k] <= 0));
  return { chosen, isMany, shape };
}

/**
 * Halves each chosen cluster at the likeliest threshold along one of its shape axes (model/gaussian/splits.ts). `T`: the
 * clusters' statistics. Full covariance only.
 */
export async function shapeHalves(
  { rounds }: Means,
  prior: Niw,
  chosen: boolean[],
  T: Parts,
): Promise<ShapeHalves> {
  const { d, kinds } = prior;
  if (kinds && !kinds.continuous.length) return { rules: chosen.map(() => null), gains: chosen.map(() => 0) };
  const owners = [...chosen.keys()].filter((k) => chosen[k]);
  const place = new Map(owners.map((k, leaf) => [k, leaf]));
  const partition = ofClusters(owners, chosen.length);
  const whitening = owners.map((k) => {
    const { mean, covariance } = pointEstimate(prior, T[k]);
    const inverse = whitener(covariance, d, prior.covariance);
    const rows = kinds && spreadAt(new Float64Array(d).fill(1), d, kinds.continuous);
    return {
      centre: mean,
      inverse: rows ? inverse.map((value, p) => value * rows[Math.floor(p / d)]) : inverse,
    };
  });
  const F = await rounds.cellFourthMoments(partition, [], whitening);
  const axes = F.map((f, leaf) =>
    shapeAxes(f, d, whitening[leaf].inverse, kinds).map(
      (axis): Axis => ({ axis, centre: dot(axis, whitening[leaf].centre), sd: 1 }),
    ),
  );
  const histograms = await rounds.cellHistograms(partition, [], axes.flat(), SHAPE_BINS);
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

/** The sub-clusters after they have been drawn anew, a few times, by the linear discriminant of those before. */
export async function discriminants(
  run: Means,
  prior: Niw,
  T: Parts,
  proposal: SubClusterProposal,
): Promise<SubClusterProposal> {
  let { rules, parts } = proposal;
  for (let step = 0; step < DISCRIMINANT_STEPS; step++) {
    rules = parts.map((own) => (own.filter(([n]) => n > 0).length > 1 ? discriminantRule(prior, own) : null));
    parts = await partsBy(run, rules, T);
  }
  return { rules, parts };
}

/** The sub-clusters of clusters with statistics `T`. */
export async function partsBy({ rounds, d }: Means, rules: Rules, T: Parts): Promise<Parts[]> {
  const pivots = rules.map((rule, k) => (rule ? Array(partsOf(rule)).fill(mean(T[k], d)) : []));
  const [parts] = await statisticsByRules(rounds, [rules], [pivots]);
  return parts;
}

/** Bins of a histogram of two sub-clusters. */
const VALLEY_BINS = 64;
/** Standard deviations beyond the means of two sub-clusters that their histogram covers. */
const MARGIN = 4;

/**
 * The share of each proposal's sub-clusters that a valley separates from the nearest other sub-cluster, along the axis that discriminates
 * them. `proposals`: of these clusters out of K, each with two or more sub-clusters that have rows.
 */
export async function valleyShares(
  { rounds }: Means,
  prior: Niw,
  proposals: Map<number, { parts: Parts; rule: Rule }>,
  k: number,
): Promise<Map<number, number>> {
  const all = [...proposals];
  const axes = all.map(([, { parts }]) => discriminantAxes(prior, parts));
  // Each leaf gets the axes of all sub-clusters of its cluster, and so as many as the largest proposal has.
  const most = Math.max(...axes.map((own) => own.length));
  const table = vectorTable();
  const firsts: number[] = [];
  let leaves = 0;
  const cells: Cell[] = Array(k).fill(-1);
  for (const [cluster, { parts, rule }] of all) {
    firsts.push(leaves);
    cells[cluster] = ruleCell(
      rule,
      parts.map(() => leaves++),
      table,
    );
  }
  const perLeaf = axes.map((own) =>
    Array.from({ length: most }, (_, a) => {
      const { axis, centre, halfway, sd } = own[a % own.length];
      return { axis, centre, sd: (halfway + MARGIN * sd) / HALF_RANGE };
    }),
  );
  const histograms = await rounds.cellHistograms(
    { groups: 'net', cells, leaves },
    table.rows,
    all.flatMap(([, { parts }], i) => parts.flatMap(() => perLeaf[i])),
    VALLEY_BINS,
  );
  return new Map(
    all.map(([cluster, { parts }], i) => {
      const separated = parts.filter((_, j) => {
        const { nearest, centre, halfway } = axes[i][j];
        const { sd } = perLeaf[i][j];
        const of = (part: number) => histograms[(firsts[i] + part) * most + j];
        const both = of(j).map((count, bin) => count + of(nearest)[bin]);
        return hasValley(
          both,
          binOf(centre - halfway, centre, sd, VALLEY_BINS),
          binOf(centre + halfway, centre, sd, VALLEY_BINS),
        );
      });
      return [cluster, separated.length / parts.length];
    }),
  );
}

/**
 * Halves of each cluster at the end of a run, of which one may be its next split: its sub-clusters, those by its shape (along its
 * principal axis if covariances are diagonal), and these drawn anew, as in further proposals. Only the sub-clusters where a schedule
 * has no such proposals, or clusters are too flat for them in float64.
 *
 * @param T statistics of each cluster over all rows
 */
export async function finalHalves(run: TrainingRun, state: State, T: Float64Array[]): Promise<Parts[][]> {
  const proposals = run.schedule.furtherProposals ? await proposed(run, state, T) : [];
  return state.parts.map((pair, k) => [pair, ...proposals.map(({ parts }) => parts[k])]);
}

async function proposed(
  run: TrainingRun,
  { prior, mixture }: State,
  T: Parts,
): Promise<SubClusterProposal[]> {
  const { config } = run;
  const chosen = T.map(([rows]) => rows > 0);
  try {
    const found = config.covariance === 'full' ? await byShape() : await alongAxis();
    return [found, await discriminants(run, prior, T, found)];
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return [];
  }

  async function byShape(): Promise<SubClusterProposal> {
    const { rules } = await shapeHalves(run, prior, chosen, T);
    return { rules, parts: await partsBy(run, rules, T) };
  }

  function alongAxis(): Promise<SubClusterProposal> {
    const metric = metricOf(run, prior, mixture.k);
    return principalHalves(run, chosen, T, metric, 1);
  }
}
