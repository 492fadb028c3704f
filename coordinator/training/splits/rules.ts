import { lloydCentres } from '../../../model/kmeans.ts';
import type { LinearRule } from '../../../model/splits/linear-rule.ts';
import type { Parts } from '../../../model/state.ts';
import type { Cell } from '../../../proto/tasks.ts';
import type { Partition, Rounds } from '../rounds.ts';
import type { Run } from '../run-context.ts';

/** How a cluster's rows are distributed over parts: by the nearest of these centres, or by a linear rule. */
export type Rule = { readonly centres: Float64Array[] } | LinearRule;

/** A rule for each cluster, null for one that is left out. */
export type Rules = (Rule | null)[];

/** Rules, one for each cluster or null, and the parts that they yield. */
export interface Proposal {
  rules: Rules;
  parts: Parts[];
}

/** What parts are found with. */
export type Means = Pick<Run, 'rounds' | 'calculate'>;

export const partsOf = (rule: Rule) => ('centres' in rule ? rule.centres : rule.weights).length;

/** Collects the vectors that cells refer to by index. */
export function vectorTable() {
  const rows: Float64Array[] = [];
  return { rows, add: (row: Float64Array) => rows.push(row) - 1 };
}
export type VectorTable = Pick<ReturnType<typeof vectorTable>, 'add'>;

/** The cell of a rule, with one child for each part. */
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

/** Statistics of each cluster's parts by several sets of rules; `pivots`: a point near the rows of each part. */
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
export type NearestRules = (sets: CentreSets[]) => Promise<Rules[]>;

/** By Euclidean distance. */
export const nearestByEuclid: NearestRules = async (sets) =>
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

/** The parts around sets of centres: their statistics and the rules that made them. */
export async function nearestParts(
  rounds: Rounds,
  sets: CentreSets[],
  nearest: NearestRules,
): Promise<{ rules: Rules[]; parts: Parts[][] }> {
  const rules = await nearest(sets);
  return { rules, parts: await statisticsByRules(rounds, rules, sets) };
}
