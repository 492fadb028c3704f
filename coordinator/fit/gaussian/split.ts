import { type Cell, MOST_CELLS } from '../../../model/cells.ts';
import { accepts, logEvidence, logSplitRatio, proposable } from '../../../model/gaussian/hastings.ts';
import type { Niw } from '../../../model/gaussian/niw.ts';
import { generator } from '../../../model/random.ts';
import { hasStalled, wasExhaustive } from '../../../model/schedule.ts';
import type { Parts, State } from '../../../model/state.ts';
import { mostClusters, mostParts, withinLimit } from '../../../tasks/capacity.ts';
import type { Partition } from '../../../tasks/cells/ask.ts';
import { type Metric, subCentres, totalOf } from '../halves.ts';
import { relearnedPrior } from '../prior.ts';
import { publishSubs } from '../publish.ts';
import { hasSubNets, type TrainingRun } from '../run-context.ts';
import { tempering } from '../sample.ts';
import { emitProposal } from '../step.ts';
import { applyChange, type NextCluster } from './change.ts';
import { splitFromAbove } from './from-above.ts';
import {
  ANOTHER_SHAPE,
  type ClusterRows,
  type ClusterRowsOf,
  sharesCovariances,
  splitOverlapping,
} from './overlap.ts';
import { discriminants, partsBy, type Search, type ShapeHalves, searchOf, valleyShares } from './shapes.ts';
import {
  dropTinyParts,
  halveRepeatedly,
  lloyd,
  metricOf,
  nearestBy,
  principalHalves,
  type Rule,
  refineSubClusters,
  ruleCell,
  type Split,
  type SubClusterProposal,
} from './sub-clusters.ts';

/** Split steps: what is proposed, how it is judged, and what becomes of the clusters (docs/algorithm.md, section 6). */

/**
 * Proposes to split every cluster in two, all on the same statistics. Once the run has stalled, clusters that are not split
 * get further proposals, of two and of more sub-clusters.
 */
export async function splitStep(
  run: TrainingRun,
  state: State,
  judge = byEvidence(run, state),
  clusterRows: ClusterRowsOf | null = null,
): Promise<State> {
  const bySubNets = hasSubNets(run, state.mixture.k);
  if (bySubNets) publishSubs(run, state.subs);
  const { refine: count } = run.schedule;
  const metric = metricOf(run, state.prior, state.mixture.k);
  const { rules, parts } = await refineSubClusters(run, count, subCentres(state), metric, bySubNets);
  // Without refinement, a sub-net with all rows on one side keeps its previous targets: two equal centres would give it
  // nothing to learn, and it would stay so.
  const keepsParts = (pair: Parts) => count === 0 && pair.some((T) => T[0] === 0);
  const refined: State = {
    ...state,
    parts: parts.map((pair, k) => (keepsParts(pair) ? state.parts[k] : pair)),
  };
  const ratios = ratiosOf(run, state, parts, judge);
  let asked: Promise<ClusterRows> | null = null;
  const rowsOnce = (source: ClusterRowsOf) => (asked ??= source(run, state));
  // Sub-clusters of all rows have to gain more than a single-cluster model.
  const all = clusterRows && state.mixture.k === 1 ? await rowsOnce(clusterRows) : null;
  const splits = parts.map((pair, k): Split | null => {
    const logRatio = ratios[k];
    const uniform = generator(run.seed, 'accept-split', state.epoch, k).uniform();
    const isExplained = logRatio > 0 && !!all?.isExplained(k, logRatio);
    const accepted = !isExplained && accepts(logRatio, uniform);
    const about = { clusters: [k], points: rowsOf(pair), logRatio, accepted };
    emitProposal(run, 'split', state, {
      ...about,
      ...(isExplained && { needed: all!.singleGain(k) }),
      reason: isExplained ? ANOTHER_SHAPE : tooFew(logRatio),
    });
    return accepted ? { parts: pair, rule: rules[k], logRatio } : null;
  });
  const halved = splits.filter(Boolean);
  if (run.schedule.furtherProposals && holdMore(state.mixture.k, halved.length)) {
    const n = refined.parts.reduce((sum, pair) => sum + totalOf(pair)[0], 0);
    const gain = halved.reduce((sum, split) => sum + split!.logRatio, 0);
    const clear = CLEAR_GAIN * tempering(run, state) * n;
    const above = await splitFromAbove(run, refined, metric, gain + clear);
    if (above) return above;
  }
  const hasStopped = state.mixture.k === 1 || hasStalled(state.steps, splits.filter(Boolean).length);
  const exhaustive = run.schedule.furtherProposals && hasStopped;
  const single = all && !splits[0] ? all.singleGain(0) : 0;
  const totals = refined.parts.map(totalOf);
  const isEligible = (k: number) => !splits[k] && !run.unchanged?.[k] && hasRowsFor(run, totals[k], 2);
  const eligible = totals.map((_, k) => exhaustive && isEligible(k));
  const search = await searchOf(run, state.prior, eligible, totals);
  // Clusters that nothing has changed since they were looked at would be refused again.
  const isNewSearch = exhaustive && clusterRows && !wasExhaustive(state.steps);
  const byOverlap = async () =>
    isNewSearch && splitOverlapping(run, refined, await rowsOnce(clusterRows), splits, search);
  // Parts by EM come first where covariances are shared: of 64 by planes, in a few hundred rows each, merges leave many small ones.
  const isFirst = sharesCovariances(run);
  const isFound = isFirst && (await byOverlap());
  if (exhaustive && !splits[0]?.nearest)
    await proposeFurtherSplits(run, refined, splits, { rules, parts }, search, metric, judge, single);
  const isOverlapping = isFirst ? isFound : await byOverlap();
  const kept = withinLimit(splits, mostClusters(run.d, run.config.covariance));
  const isNew =
    (isOverlapping && sharesCovariances(run)) ||
    kept.some((split) => split && relearnsPrior(run, split.parts));
  const clusters = kept[0]?.nearest
    ? kept[0].parts
    : refined.parts.flatMap((pair, k) => kept[k]?.parts ?? [totalOf(pair)]);
  return applySplits(
    run,
    {
      ...refined,
      overlaps: isOverlapping || state.overlaps,
      ...(isNew && { prior: relearnedPrior(run, refined, clusters) }),
    },
    kept,
    exhaustive,
  );
}

/** The state after these splits, one for each cluster or null; or a single one of all clusters. */
export function applySplits(
  run: TrainingRun,
  state: State,
  splits: (Split | null)[],
  exhaustive: boolean,
): Promise<State> {
  const next: NextCluster[] = [];
  const vectors: Float64Array[] = [];
  const bySubNet = run.schedule.refine === 0;
  let leaves = 0;
  const { weights } = state.mixture;
  const isOfAll = splits[0]?.nearest !== undefined;
  const cells = splits.flatMap((split, k): Cell[] => {
    if (!split) {
      next.push({ from: k, refit: null });
      return bySubNet ? [-1, -1] : [-1];
    }
    const n = split.parts.reduce((sum, T) => sum + T[0], 0);
    const weight = isOfAll ? weights.reduce((sum, own) => sum + own, 0) : weights[k];
    for (const [j, T] of split.parts.entries())
      next.push({
        from: split.nearest?.[j] ?? k,
        share: run.schedule.name === 'paper' ? 1 : T[0] / n,
        refit: { weight: (weight * T[0]) / n, T },
      });
    if (!split.rule) return [leaves++, leaves++];
    const into = split.parts.map(() => leaves++);
    return [ruleCell(split.rule, into, { add: (row) => vectors.push(row) - 1 })];
  });
  const groups = isOfAll ? 'all' : bySubNet ? 'sub-net' : 'net';
  const partition: Partition = { groups, cells, leaves: Math.max(1, leaves) };
  return applyChange(run, state, 'split', next, partition, vectors, {
    progress: null,
    ...(exhaustive && { exhaustive }),
  });
}

/** log H of proposals. */
type Judge = (proposals: Parts[]) => number[];

/** Clusters of which most split in two hold many more, if they are so many: few may still hold two each. */
const MANY_CLUSTERS = 16;
const holdMore = (k: number, halved: number) => k >= MANY_CLUSTERS && 2 * halved >= k;

/** By the Hastings ratio of their split (eq. 8). */
export function byEvidence(run: TrainingRun, state: State): Judge {
  const zeta = tempering(run, state);
  return (proposals) => proposals.map((parts) => logSplitRatio(state.prior, parts, run.config.alpha, zeta));
}

/**
 * Is a proposal judged under the prior that would be learned after it? A prior learned from clusters of hundreds of clusters takes all
 * of these for far too small. Of fewer parts it would differ little.
 */
const relearnsPrior = ({ byMixture, config }: TrainingRun, parts: Parts): boolean =>
  byMixture && config.priorScaleChoice === 'learned' && parts.length >= 8;

/** log H of each proposal; NaN for one with too few rows. */
function ratiosOf(run: TrainingRun, state: State, proposals: Parts[], judge: Judge): number[] {
  const zeta = tempering(run, state);
  const possible = proposals.filter((parts) => proposable(parts, zeta));
  const found = judge(possible);
  const ratios = new Map(possible.map((parts, i) => [parts, found[i]]));
  return proposals.map((parts) => ratios.get(parts) ?? Number.NaN);
}

const tooFew = (logRatio: number) => (Number.isNaN(logRatio) ? 'too few points' : undefined);
/** Rows of each sub-cluster. */
const rowsOf = (parts: Parts) => parts.map(([n]) => n);

/** Further proposals need this many rows per sub-cluster, and as many as there are dimensions. */
const ROWS_PER_PART = 10;
const hasRowsFor = ({ d }: TrainingRun, T: Float64Array, parts: number) =>
  T[0] >= Math.max(ROWS_PER_PART, d) * parts;
/** Nats a row by which a split is clear without a valley: heavy tails gain .2, hundreds of clusters in one 1 or more. */
const CLEAR_GAIN = 0.5;
/** The least share of sub-clusters that a valley separates from the nearest other. */
const LEAST_VALLEYS = 0.5;
/**
 * Sub-clusters of all clusters in all deep proposals together, beyond which they get no deeper ones, but for four sub-clusters; and in
 * few columns, where these are as many as those of one cluster at all depths.
 */
const [MOST_PARTS, MOST_SMALL_PARTS] = [1 << 10, 1 << 11];

/**
 * Proposes further splits of each cluster that was not split: in two by other means, and in four, eight and more sub-clusters. The
 * best that is convincing is accepted, if its log H is above `needed`. `halves`: what was proposed for all clusters.
 */
async function proposeFurtherSplits(
  run: TrainingRun,
  state: State,
  splits: (Split | null)[],
  halves: SubClusterProposal,
  search: Search,
  metric: Metric,
  judge: Judge,
  needed: number,
): Promise<void> {
  const zeta = tempering(run, state);
  const totals = state.parts.map(totalOf);
  const chosen = search.chosen.map((is, k) => is && !splits[k]);
  if (!chosen.includes(true)) return;
  const proposals = [
    ...(await otherHalves(run, state, totals, chosen, halves, search.shape, metric)),
    ...(await deepSplits(
      run,
      zeta,
      totals,
      (k, parts) => chosen[k] && hasRowsFor(run, totals[k], parts),
      metric,
    )),
  ];
  const found = proposals.flatMap(({ rules, parts }) =>
    rules.flatMap((rule, k) => {
      const filled = parts[k].filter(([n]) => n > 0);
      return rule && proposable(filled, zeta)
        ? [{ k, parts: filled, rule: withoutEmpty(rule, parts[k]) }]
        : [];
    }),
  );
  const ratios = ratiosOf(
    run,
    state,
    found.map(({ parts }) => parts),
    judge,
  );
  const underOwnPrior = (k: number, parts: Parts) => {
    const after = totals.flatMap((T, l) => (l === k ? parts : [T]));
    const evidence = (prior: Niw, clusters: Parts) => logEvidence(prior, clusters, run.config.alpha, zeta);
    return evidence(relearnedPrior(run, state, after), after) - evidence(state.prior, totals);
  };
  const ranked = found
    .map(({ k, parts, rule }, i) => {
      const logRatio = relearnsPrior(run, parts) ? underOwnPrior(k, parts) : ratios[i];
      return { k, parts, rule, logRatio };
    })
    .sort((p, q) => q.logRatio - p.logRatio);
  const clearGain = (k: number) => CLEAR_GAIN * zeta * totals[k][0];
  const gainEnough = ranked.filter(({ logRatio }) => logRatio > needed);
  const shown = await firstConvincing(run, state, gainEnough, clearGain);
  for (const k of splits.keys()) {
    const accepted = shown.get(k);
    const best = accepted ?? ranked.find((proposal) => proposal.k === k);
    if (best) {
      const { logRatio } = best;
      const reason =
        accepted || !(logRatio > 0) ? tooFew(logRatio) : logRatio > needed ? 'no valley' : ANOTHER_SHAPE;
      emitProposal(run, 'split', state, {
        clusters: [k],
        points: rowsOf(best.parts),
        logRatio,
        needed: reason === 'no valley' ? clearGain(k) : needed,
        accepted: !!accepted,
        reason,
      });
    }
    if (accepted) splits[k] = accepted;
  }
}

/**
 * For each cluster the first of its proposals that gains so much that it is clear, or separates most of its sub-clusters by valleys
 * from their neighbours: Gaussians also follow the tails of a single cluster, but there are no valleys.
 */
async function firstConvincing<P extends Split & { k: number; rule: Rule }>(
  run: TrainingRun,
  { prior, mixture }: State,
  ranked: P[],
  clearGain: (k: number) => number,
): Promise<Map<number, P>> {
  const accepted = new Map<number, P>();
  for (let left = ranked; left.length; ) {
    const tried = new Map<number, P>();
    for (const proposal of left) if (!tried.has(proposal.k)) tried.set(proposal.k, proposal);
    const shares = await valleyShares(run, prior, tried, mixture.k);
    for (const [k, proposal] of tried)
      if (shares.get(k)! >= LEAST_VALLEYS || proposal.logRatio >= clearGain(k)) accepted.set(k, proposal);
    left = left.filter((proposal) => !accepted.has(proposal.k) && tried.get(proposal.k) !== proposal);
  }
  return accepted;
}

/** A rule without its sub-clusters that have no rows: no row would go to them. */
function withoutEmpty(rule: Rule, parts: Parts): Rule {
  const filled = <T>(of: readonly T[]) => of.filter((_, j) => parts[j][0] > 0);
  return 'centres' in rule
    ? { centres: filled(rule.centres) }
    : { weights: filled(rule.weights), offsets: filled(rule.offsets) };
}

/** Halves of the eligible clusters: along the principal axis, by shape, and these and the sub-clusters drawn anew. */
async function otherHalves(
  run: TrainingRun,
  state: State,
  totals: Parts,
  chosen: boolean[],
  halves: SubClusterProposal,
  shape: ShapeHalves | null,
  metric: Metric,
): Promise<SubClusterProposal[]> {
  const { prior } = state;
  const starts: SubClusterProposal[] = [
    {
      rules: halves.rules.map((rule, k) => (chosen[k] ? rule : null)),
      parts: halves.parts.map((parts, k) => (chosen[k] ? parts : [])),
    },
    await principalHalves(run, chosen, totals, metric, run.schedule.refine),
  ];
  if (shape) {
    const rules = shape.rules.map((rule, k) => (chosen[k] ? rule : null));
    starts.push({ rules, parts: await partsBy(run, rules, totals) });
  }
  const proposals = starts.slice(1);
  for (const start of starts) proposals.push(await discriminants(run, prior, totals, start));
  return proposals;
}

/** Four, eight and more sub-clusters of the eligible clusters. */
async function deepSplits(
  run: TrainingRun,
  zeta: number,
  totals: Parts,
  isEligible: (k: number, parts: number) => boolean,
  metric: Metric,
): Promise<SubClusterProposal[]> {
  const { rounds, schedule, d, config, byMixture } = run;
  const eligible = (depth: number) => totals.filter((_, k) => isEligible(k, 2 ** depth)).length;
  // The sub-clusters of all depths travel in one message.
  const most = byMixture ? MOST_SMALL_PARTS : MOST_PARTS;
  let all = 0;
  const depths = schedule.depths.filter((depth) => {
    const clusters = eligible(depth);
    const parts = clusters * 2 ** depth;
    const fits = all + parts <= mostParts(d, config.covariance) && totals.length + parts <= MOST_CELLS;
    const takes = clusters > 0 && fits && (depth <= 2 || all + parts <= most);
    if (takes) all += parts;
    return takes;
  });
  if (!depths.length) return [];
  const chosen = totals.map((_, k) => isEligible(k, 2 ** Math.min(...depths)));
  const halved = await halveRepeatedly(run, chosen, totals, Math.max(...depths), metric);
  const starts = depths.map((depth) =>
    halved[depth - 1].map((centres, k) => (isEligible(k, 2 ** depth) ? centres : [])),
  );
  const nearest = nearestBy(run, metric);
  return dropTinyParts(rounds, await lloyd(rounds, starts, schedule.refine - 1, nearest), nearest, zeta);
}
