import { accepts } from '../../../model/hastings.ts';
import { generator } from '../../../model/random.ts';
import { hasStalled } from '../../../model/schedule.ts';
import type { Parts, State } from '../../../model/state.ts';
import type { Cell } from '../../../proto/tasks.ts';
import { applyChange, type NextCluster } from '../changes.ts';
import { mostClusters, withinLimit } from '../preparation/limits.ts';
import { publishSubs } from '../publish.ts';
import type { Run } from '../run-context.ts';
import { proposeFurtherSplits } from './further-splits.ts';
import { emitProposal, ratiosOf, type Split } from './proposals.ts';
import { ruleCell } from './rules.ts';
import { metricOf, refineSubClusters, subCentres } from './sub-clusters.ts';

/**
 * Proposes to split every cluster in two, all on the same statistics. Once the run has stalled, clusters that are not split
 * get further proposals, of two and of more parts.
 */
export async function splitStep(run: Run, state: State): Promise<State> {
  publishSubs(run, state.subs);
  const { refine: count } = run.schedule;
  const metric = metricOf(run, state.prior, state.mixture.k);
  const { rules, parts } = await refineSubClusters(
    run,
    count,
    subCentres(state),
    run.config.covariance,
    metric,
  );
  // Without refinement, a sub-net with all rows on one side keeps its previous targets: two equal centres would give it
  // nothing to learn, and it would stay so.
  const keepsParts = (pair: Parts) => count === 0 && pair.some((T) => T[0] === 0);
  const refined: State = {
    ...state,
    parts: parts.map((pair, k) => (keepsParts(pair) ? state.parts[k] : pair)),
  };
  const ratios = await ratiosOf(run, state, parts);
  const splits = parts.map((pair, k): Split | null => {
    const logRatio = ratios[k];
    const uniform = generator(run.seed, 'accept-split', state.epoch, k).uniform();
    const accepted = accepts(logRatio, uniform);
    emitProposal(run, state, k, pair, logRatio, accepted);
    return accepted ? { parts: pair, rule: rules[k], logRatio } : null;
  });
  const hasStopped = state.mixture.k === 1 || hasStalled(state.steps, splits.filter(Boolean).length);
  const exhaustive = run.schedule.furtherProposals && hasStopped;
  if (exhaustive) await proposeFurtherSplits(run, refined, splits, { rules, parts }, metric);
  return applySplits(
    run,
    refined,
    withinLimit(splits, mostClusters(run.d, run.config.covariance)),
    exhaustive,
  );
}

function applySplits(run: Run, state: State, splits: (Split | null)[], exhaustive: boolean): Promise<State> {
  const next: NextCluster[] = [];
  const vectors: Float64Array[] = [];
  const bySubNet = run.schedule.refine === 0;
  let leaves = 0;
  const cells = splits.flatMap((split, k): Cell[] => {
    if (!split) {
      next.push({ from: k, refit: null });
      return bySubNet ? [-1, -1] : [-1];
    }
    const n = split.parts.reduce((sum, T) => sum + T[0], 0);
    for (const T of split.parts)
      next.push({
        from: k,
        share: run.schedule.name === 'paper' ? 1 : T[0] / n,
        refit: { weight: (state.mixture.weights[k] * T[0]) / n, T },
      });
    if (!split.rule) return [leaves++, leaves++];
    return [
      ruleCell(
        split.rule,
        split.parts.map(() => leaves++),
        { add: (row) => vectors.push(row) - 1 },
      ),
    ];
  });
  const partition = {
    groups: bySubNet ? ('sub-net' as const) : ('net' as const),
    cells,
    leaves: Math.max(1, leaves),
  };
  return applyChange(run, state, 'split', next, partition, vectors, {
    progress: null,
    ...(exhaustive && { exhaustive }),
  });
}
