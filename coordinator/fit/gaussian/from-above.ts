import type { Cell } from '../../../model/cells.ts';
import { logEvidence } from '../../../model/gaussian/hastings.ts';
import type { Niw } from '../../../model/gaussian/niw.ts';
import { joinedHard, type PartUnion } from '../../../model/gaussian/soft-split.ts';
import type { Parts, State } from '../../../model/state.ts';
import { mostClusters, mostParts } from '../../../tasks/capacity.ts';
import { type Metric, totalOf, vectorTable } from '../halves.ts';
import { relearnedPrior } from '../prior.ts';
import type { TrainingRun } from '../run-context.ts';
import { tempering } from '../sample.ts';
import { emitProposal } from '../step.ts';
import { applyChange, type NextCluster } from './change.ts';
import { dropTinyParts, halveRepeatedly, lloyd, nearestBy, partsOf, ruleCell } from './sub-clusters.ts';

/** Many clusters at once, from above, where halving them again and again would take a dozen steps (docs/algorithm.md, section 6). */

/** Micro-clusters have so many rows at least on average. By 20, 500 clusters of 64 rows each yield 439 parts, by 10 467. */
const ROWS_PER_MICRO_CLUSTER = 10;
const LLOYD_ROUNDS = 3;

/**
 * Other clusters in place of all: each is cut into micro-clusters, and of all of these those are joined whose union has more evidence, under the prior
 * that those left yield. Null: they gain no more than `needed`, in nats.
 */
export async function splitFromAbove(
  run: TrainingRun,
  state: State,
  metric: Metric,
  needed: number,
): Promise<State | null> {
  const { config, d } = run;
  const zeta = tempering(run, state);
  const totals = state.parts.map(totalOf);
  const depths = totals.map(([n]) => Math.max(0, Math.floor(Math.log2(n / ROWS_PER_MICRO_CLUSTER))));
  if (depths.reduce((sum, depth) => sum + 2 ** depth, 0) > mostParts(d, config.covariance)) return null;
  const chosen = depths.map((depth) => depth > 0);
  const halved = await halveRepeatedly(run, chosen, totals, Math.max(1, ...depths), metric);
  const starts = depths.map((depth, k) => (depth ? halved[depth - 1][k] : []));
  const nearest = nearestBy(run, metric);
  const moved = await lloyd(run.rounds, [starts], LLOYD_ROUNDS, nearest);
  const [{ rules, parts }] = await dropTinyParts(run.rounds, moved, nearest, zeta);

  const micro = rules.flatMap((rule, k) => (rule ? parts[k] : [totals[k]]));
  const owners = rules.flatMap((rule, k) => (rule ? parts[k].map(() => k) : [k]));
  const { unions, prior } = joinedAsPriorIsLearned(run, state, micro);
  const clusters = unions.map(({ t }) => t);
  const evidence = (own: Niw, of: Parts) => logEvidence(own, of, config.alpha, zeta);
  const logRatio = evidence(prior, clusters) - evidence(state.prior, totals);
  const accepted = logRatio > needed && unions.length <= mostClusters(d, config.covariance);
  const about = {
    clusters: [...totals.keys()],
    points: clusters.map(([n]) => n),
    logRatio,
    needed,
    accepted,
  };
  emitProposal(run, 'split', state, about);
  if (!accepted) return null;

  // Micro-clusters without rows are in no union: no row goes to them.
  const leaves = new Int32Array(micro.length);
  for (const [leaf, { of }] of unions.entries()) for (const i of of) leaves[i] = leaf;
  const table = vectorTable();
  let i = 0;
  const cells = rules.map((rule): Cell => {
    if (!rule) return leaves[i++];
    return ruleCell(
      rule,
      Array.from({ length: partsOf(rule) }, () => leaves[i++]),
      table,
    );
  });
  const n = totals.reduce((sum, [rows]) => sum + rows, 0);
  const next = unions.map(({ t, of }): NextCluster => {
    const from = owners[of.reduce((largest, own) => (micro[own][0] > micro[largest][0] ? own : largest))];
    return { from, share: Math.min(1, t[0] / totals[from][0]), refit: { weight: t[0] / n, T: t } };
  });
  const partition = { groups: 'net' as const, cells, leaves: unions.length };
  return applyChange(run, { ...state, prior }, 'split', next, partition, table.rows, { progress: null });
}

/** Joined under the prior that the parts yield, then under that of those left, until it joins none. */
function joinedAsPriorIsLearned(
  run: TrainingRun,
  state: State,
  parts: Parts,
): { unions: PartUnion[]; prior: Niw } {
  const zeta = tempering(run, state);
  let unions: PartUnion[] = parts.flatMap((t, i) => (t[0] > 0 ? [{ t, of: [i] }] : []));
  for (;;) {
    const before = unions;
    const T = before.map(({ t }) => t);
    const prior = relearnedPrior(run, state, T);
    const found = joinedHard(prior, T, run.config.alpha, zeta);
    if (found.length === before.length) return { unions, prior };
    unions = found.map(({ t, of }) => ({ t, of: of.flatMap((j) => before[j].of) }));
  }
}
