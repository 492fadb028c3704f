import { splitEvenly } from '../../../model/arrays.ts';
import type { Cell } from '../../../model/cells.ts';
import { isTiny } from '../../../model/gaussian/hastings.ts';
import { lloydCentres } from '../../../model/gaussian/kmeans.ts';
import type { Niw } from '../../../model/gaussian/niw.ts';
import { type LinearRule, nearestRule } from '../../../model/gaussian/splits.ts';
import { whitener } from '../../../model/linalg.ts';
import type { Parts, State } from '../../../model/state.ts';
import { mean, shift } from '../../../model/statistics.ts';
import { byCluster as byNet, type Partition, type Rounds } from '../../../tasks/cells/ask.ts';
import { rowsTensor } from '../../rounds/sums.ts';
import {
  isLargeEnough,
  type Means,
  type Metric,
  mapLeaves,
  pcaSplit,
  subCentres,
  totalOf,
  type VectorTable,
  vectorTable,
} from '../halves.ts';
import type { TrainingRun } from '../run-context.ts';

/** Sub-clusters of each cluster: rules by which its rows go to sub-clusters, and ways to find them. All need only sums over the rows. */

/** How a cluster's rows are distributed over sub-clusters: by the nearest of these centres, or by a linear rule. */
export type Rule = { readonly centres: Float64Array[] } | LinearRule;

/** A rule for each cluster, null for one that is left out. */
export type Rules = (Rule | null)[];

/** Rules, one for each cluster or null, and the sub-clusters that they yield. */
export interface SubClusterProposal {
  rules: Rules;
  parts: Parts[];
}

/** The split of one cluster, or of all clusters together, into two or more sub-clusters. */
export interface Split {
  /** Of all clusters, and the nearest of these to each sub-cluster. */
  nearest?: number[];
  parts: Parts;
  /** Null: rows go by the sub-net's label. */
  rule: Rule | null;
  logRatio: number;
}

export const partsOf = (rule: Rule) => ('centres' in rule ? rule.centres : rule.weights).length;

/** The cell of a rule, with one child for each sub-cluster. */
export function ruleCell(rule: Rule, into: Cell[], table: VectorTable): Cell {
  return 'centres' in rule
    ? { near: rule.centres.map(table.add), into }
    : { linear: rule.weights.map(table.add), offsets: rule.offsets, into };
}

/** The partition of each cluster's rows by its rule; leaves are numbered consecutively over the clusters. */
function partitionBy(rules: Rules, table: VectorTable): Partition {
  let leaves = 0;
  const cells = rules.map((rule): Cell => {
    if (!rule) return -1;
    return ruleCell(
      rule,
      Array.from({ length: partsOf(rule) }, () => leaves++),
      table,
    );
  });
  return { groups: 'net', cells, leaves: Math.max(1, leaves) };
}

/** Cuts the consecutive leaves of several sets of rules into those of each cluster. */
function byCluster<T>(leaves: T[], rules: Rules): T[][] {
  let leaf = 0;
  return rules.map((rule) => (rule ? leaves.slice(leaf, (leaf += partsOf(rule))) : []));
}

/** Statistics of each cluster's sub-clusters by several sets of rules; `pivots`: a point near the rows of each sub-cluster. */
export async function statisticsByRules(
  rounds: Rounds,
  sets: Rules[],
  pivots: Float64Array[][][],
): Promise<Parts[][]> {
  const table = vectorTable();
  const partitions = sets.map((rules) => partitionBy(rules, table));
  const statistics = await rounds.cellStatistics(
    partitions,
    table.rows,
    pivots.map((of) => of.flat()),
  );
  return sets.map((rules, set) => byCluster(statistics[set], rules));
}

/** The centres in each cluster; none for a cluster that is left out. */
export type CentreSets = Float64Array[][];

/** Rules by the nearest of each cluster's centres, in some metric. */
export type NearestRules = (sets: CentreSets[]) => Rules[];

/** By Euclidean distance. */
const nearestByEuclid: NearestRules = (sets) =>
  sets.map((clusters) => clusters.map((centres) => (centres.length ? { centres } : null)));

/** `count` iterations of Lloyd's algorithm in each cluster, for several sets of centres at once. Returns the moved centres. */
export async function lloyd(
  rounds: Rounds,
  sets: CentreSets[],
  count: number,
  nearest: NearestRules,
): Promise<CentreSets[]> {
  let current = sets;
  for (let i = 0; i < count; i++) {
    const table = vectorTable();
    const rules = await nearest(current);
    const sums = await rounds.cellSums(
      rules.map((set) => partitionBy(set, table)),
      table.rows,
    );
    current = current.map((clusters, set) =>
      byCluster(sums[set], rules[set]).map((own, k) => lloydCentres(own, clusters[k])),
    );
  }
  return current;
}

/** The sub-clusters around sets of centres: their statistics and the rules that made them. */
export async function nearestParts(
  rounds: Rounds,
  sets: CentreSets[],
  nearest: NearestRules,
): Promise<{ rules: Rules[]; parts: Parts[][] }> {
  const rules = nearest(sets);
  return { rules, parts: await statisticsByRules(rounds, rules, sets) };
}

/**
 * The sub-clusters around sets of centres, without those of only a few outliers: their rows go to the nearest remaining centre.
 * Otherwise a single outlier would be a sub-cluster of every proposal and cause it to be rejected.
 */
export async function dropTinyParts(
  rounds: Rounds,
  sets: CentreSets[],
  nearest: NearestRules,
  zeta: number,
): Promise<SubClusterProposal[]> {
  const { rules, parts } = await nearestParts(rounds, sets, nearest);
  const large = sets.map((set, i) =>
    set.map((centres, k) => centres.filter((_, j) => !isTiny(parts[i][k][j], zeta))),
  );
  const dropsAny = large.some((set, i) => set.some((centres, k) => centres.length < sets[i][k].length));
  const all = dropsAny ? await nearestParts(rounds, large, nearest) : { rules, parts };
  return all.rules.map((set, i) => ({ rules: set, parts: all.parts[i] }));
}

/** Times its variance that a column with a spike has in a metric. */
const SPIKES_APART = 100;

/**
 * A learned Ψ, which is about the covariance within clusters; that of a single cluster would make all directions equal. Along columns with a spike,
 * rows at it are so far from the others that nothing else would count: these hardly do.
 */
export function metricOf(
  { config, covariance }: Pick<TrainingRun, 'config' | 'covariance'>,
  prior: Niw,
  k: number,
): Metric {
  const { d, kinds } = prior;
  const own = config.priorScaleChoice === 'learned' && k > 1 ? prior.psi : null;
  if (!kinds?.spikes.length) return own;
  const stride = prior.covariance === 'full' ? d + 1 : 1;
  const metric = own?.slice() ?? prior.psi.map((_, p) => (p % stride ? 0 : 1));
  for (const { column } of kinds.spikes)
    metric[column * stride] = SPIKES_APART * covariance[covariance.length > d ? column * (d + 1) : column];
  return metric;
}

/**
 * Two sub-clusters of each cluster: its sub-net's hard assignment, refined by `count` Lloyd iterations (0: not refined).
 * If there are no sub-nets, or one puts all rows on one side, the centres `fallback` are used; if these do so too (the cluster has moved
 * since), a PCA split. Otherwise the cluster could not be proposed for a split in this step.
 */
export async function refineSubClusters(
  run: Means,
  count: number,
  fallback: CentreSets,
  metric: Metric = null,
  bySubNets = true,
): Promise<SubClusterProposal> {
  const { rounds } = run;
  const nearest = nearestBy(run, metric);
  const k = fallback.length;
  const bySubNet: Partition = {
    groups: 'sub-net',
    cells: Array.from({ length: 2 * k }, (_, i) => i),
    leaves: 2 * k,
  };
  let start = fallback;
  if (bySubNets) {
    const [sums] = await rounds.cellSums([bySubNet], []);
    start = fallback.map((centres, c) => {
      const pair = sums.slice(2 * c, 2 * c + 2);
      return pair.every(({ n }) => n > 0) ? lloydCentres(pair, centres) : centres;
    });
  }
  if (count === 0) {
    const [statistics] = await rounds.cellStatistics([bySubNet], [], [start.flat()]);
    return { rules: start.map(() => null), parts: start.map((_, c) => statistics.slice(2 * c, 2 * c + 2)) };
  }
  const [centres] = await lloyd(rounds, [start], count - 1, nearest);
  const {
    rules: [rules],
    parts: [parts],
  } = await nearestParts(rounds, [centres], nearest);
  const totals = parts.map(totalOf);
  const oneSided = parts.map(([a, b], c) => Math.min(a[0], b[0]) === 0 && isLargeEnough(totals[c][0]));
  if (!oneSided.includes(true)) return { rules, parts };
  const halved = await principalHalves(run, oneSided, totals, metric, count);
  return {
    rules: rules.map((rule, c) => halved.rules[c] ?? rule),
    parts: parts.map((pair, c) => (halved.rules[c] ? halved.parts[c] : pair)),
  };
}

/** Rules by the nearest centre in this metric. */
export function nearestBy({ config }: Means, metric: Metric): NearestRules {
  if (!metric) return nearestByEuclid;
  return (sets) => {
    const d = sets.flat(2)[0]?.length ?? 0;
    const inverse = whitener(metric, d, config.covariance);
    return sets.map((clusters) =>
      clusters.map((centres) => (centres.length ? nearestRule(centres, inverse) : null)),
    );
  };
}

/** Two sub-clusters of each chosen cluster that can be halved: a PCA split, refined by `count` Lloyd iterations. */
export async function principalHalves(
  run: Means,
  chosen: boolean[],
  T: Parts,
  metric: Metric,
  count: number,
): Promise<SubClusterProposal> {
  const [halved] = await halveRepeatedly(run, chosen, T, 1, metric);
  const pairs = halved.map((pair) => (pair.length === 2 ? pair : []));
  const nearest = nearestBy(run, metric);
  const [moved] = await lloyd(run.rounds, [pairs], count - 1, nearest);
  const { rules, parts } = await nearestParts(run.rounds, [moved], nearest);
  return { rules: rules[0], parts: parts[0] };
}

/**
 * Halves each chosen cluster along principal axes, `depth` times in succession. Returns the means of the sub-clusters, at most
 * 2^level, after each level from 1 on. `T` holds the clusters' statistics.
 */
export async function halveRepeatedly(
  run: Means,
  chosen: boolean[],
  T: Parts,
  depth: number,
  metric: Metric = null,
): Promise<CentreSets[]> {
  const { d } = run;
  const table = vectorTable();
  let leafOwners = [...chosen.keys()].filter((k) => chosen[k]);
  let cells = chosen.map((take, k): Cell => (take ? leafOwners.indexOf(k) : -1));
  let own = leafOwners.map((k) => T[k]);
  const byDepth: CentreSets[] = [];
  for (let level = 0; level < depth; level++) {
    const partition: Partition = { groups: 'net', cells, leaves: own.length };
    const sides = await pcaSplit(run, partition, table.rows, own, metric);
    const owners: number[] = [];
    const next = sides.map(([a, b], leaf): Cell => {
      const owner = leafOwners[leaf];
      if (!(a[0] > 0 && b[0] > 0)) return owners.push(owner) - 1;
      const into = [owners.push(owner) - 1, owners.push(owner) - 1];
      return { near: [table.add(mean(a, d)), table.add(mean(b, d))], into };
    });
    cells = cells.map((cell) => mapLeaves(cell, (leaf) => next[leaf]));
    const pivots = sides.flatMap(([a, b], leaf) =>
      a[0] > 0 && b[0] > 0 ? [mean(a, d), mean(b, d)] : [mean(own[leaf], d)],
    );
    [own] = await run.rounds.cellStatistics([{ groups: 'net', cells, leaves: owners.length }], table.rows, [
      pivots,
    ]);
    leafOwners = owners;
    byDepth.push(
      chosen.map((_, k) =>
        own.filter((t, leaf) => leafOwners[leaf] === k && t[0] > 0).map((t) => mean(t, d)),
      ),
    );
  }
  return byDepth;
}

/**
 * Do sub-clusters follow their sub-nets in this epoch (paper, section 4.2)? Not before these have learned: in `--freeze` epochs after they
 * were drawn.
 */
export const isSubMStepDue = ({ schedule, config }: TrainingRun, { epoch, frozen }: State): boolean =>
  schedule.subAlways && frozen === 0 && epoch >= schedule.subFrom + config.freeze;

/**
 * Sub-clusters by the soft assignments of their sub-nets, which the workers have; a PCA split of those of which all rows are on one side,
 * as in the authors' code.
 */
export async function estimateSubClusters(run: TrainingRun, state: State): Promise<Parts[]> {
  const { rounds, dispatcher, d, config } = run;
  const pivots = subCentres(state).flat();
  dispatcher.publish('sub-pivots', { rows: rowsTensor(pivots, d) });
  const [{ T, counts }] = await rounds.sum([
    { task: 'sub-statistics', diagonal: config.covariance === 'diag' },
  ]);
  const all = splitEvenly(T, pivots.length).map((t, i) => shift(t, d, config.covariance, pivots[i]));
  const k = state.mixture.k;
  const soft = Array.from({ length: k }, (_, c): Parts => [all[2 * c], all[2 * c + 1]]);
  const isOneSided = soft.map((_, c) => Math.min(counts[2 * c], counts[2 * c + 1]) === 0);
  if (!isOneSided.includes(true)) return soft;
  const halves = await pcaSplit(run, byNet(k), [], soft.map(totalOf));
  return soft.map((pair, c) => (isOneSided[c] ? halves[c] : pair));
}
