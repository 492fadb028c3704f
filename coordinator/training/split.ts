import { accepts, isTiny, logSplitRatio, proposable } from '../../model/hastings.ts';
import { generator } from '../../model/random.ts';
import { hasStalled } from '../../model/schedule.ts';
import type { Parts, State } from '../../model/state.ts';
import { addStatistics } from '../../model/statistics.ts';
import type { Cell } from '../../proto/tasks.ts';
import { applyChange, type Next } from './changes.ts';
import { publishSubs } from './publish.ts';
import type { Rounds } from './rounds.ts';
import type { Run } from './run-context.ts';
import { halveDeep, lloyd, partsNear, refine, subCentres } from './sub-clusters.ts';

interface Split {
  parts: Parts;
  /** Rows go to the part whose centre is nearest; none: by the sub-net. */
  centres: Float64Array[];
  logRatio: number;
}

/** Deep proposals need this many rows for each of the parts they try. */
const ROWS_A_PART = 10;

/** Proposes to split every cluster in two, all on the same statistics; where nothing moves, in four and eight. */
export async function splitStep(run: Run, state: State): Promise<State> {
  publishSubs(run, state.subs);
  const { refine: count } = run.schedule;
  const { centres, parts } = await refine(run.rounds, count, subCentres(state), run.config.covariance);
  // Where a sub-net that is not refined has all rows on one side, it goes on learning from the sides it had: one centre
  // twice would teach it nothing, for ever.
  const keeps = (pair: Parts) => count === 0 && pair.some((T) => T[0] === 0);
  const refined: State = { ...state, parts: parts.map((pair, k) => (keeps(pair) ? state.parts[k] : pair)) };
  const splits = parts.map((pair, k): Split | null => {
    const logRatio = proposable(pair, run.zeta)
      ? logSplitRatio(run.prior, pair, run.config.alpha, run.zeta)
      : Number.NaN;
    const uniform = generator(run.seed, 'accept-split', state.epoch, k).uniform();
    const accepted = accepts(logRatio, uniform);
    propose(run, state, k, pair, logRatio, accepted);
    return accepted ? { parts: pair, centres: count > 0 ? centres[k] : [], logRatio } : null;
  });
  if (run.schedule.depths.length && hasStalled(state.steps)) await deepen(run, refined, splits);
  return applySplits(run, refined, splits);
}

function propose(
  run: Run,
  { epoch }: State,
  k: number,
  parts: Parts,
  ratio: number,
  accepted: boolean,
): void {
  run.emit({
    type: 'split',
    epoch,
    clusters: [k],
    points: parts.map((T) => T[0]),
    logRatio: Number.isFinite(ratio) ? ratio : null,
    accepted,
    ...(Number.isNaN(ratio) && { reason: 'too few points' }),
  });
}

/** Offers each cluster that refused to split four and eight parts; the best with log H > 0 is taken. */
async function deepen(run: Run, state: State, splits: (Split | null)[]): Promise<void> {
  const { rounds, schedule, d, prior, config, zeta } = run;
  const whole = state.parts.map(([a, b]) => addStatistics(a, b));
  const enough = (k: number, depth: number) => splits[k] === null && whole[k][0] >= ROWS_A_PART * 2 ** depth;
  const chosen = splits.map((_, k) => enough(k, Math.min(...schedule.depths)));
  if (!chosen.includes(true)) return;
  const depths = schedule.depths.filter((depth) => splits.some((_, k) => enough(k, depth)));
  const halved = await halveDeep(rounds, chosen, whole, Math.max(...depths), d, config.covariance);
  const starts = depths.map((depth) =>
    halved[depth - 1].map((centres, k) => (enough(k, depth) ? centres : [])),
  );
  const { sets, found } = await withoutTiny(rounds, await lloyd(rounds, starts, schedule.refine - 1), zeta);
  for (const k of splits.keys()) {
    const proposals = found.flatMap((all, i): Split[] => {
      const own = sets[i][k].map((centre, j) => ({ centre, T: all[k][j] })).filter(({ T }) => T[0] > 0);
      const parts = own.map(({ T }) => T);
      if (!proposable(parts, zeta)) return [];
      const logRatio = logSplitRatio(prior, parts, config.alpha, zeta);
      return [{ parts, centres: own.map(({ centre }) => centre), logRatio }];
    });
    const best = proposals.reduce<Split | null>(
      (found, proposal) => (proposal.logRatio > (found?.logRatio ?? 0) ? proposal : found),
      null,
    );
    splits[k] ??= best;
    for (const proposal of proposals)
      propose(run, state, k, proposal.parts, proposal.logRatio, proposal === best);
  }
}

/**
 * The parts of sets of centres, those that a few rows far from all others have for themselves given up: their rows go to
 * the nearest of the rest. One outlier would else be a part of every proposal, and refuse it.
 */
async function withoutTiny(rounds: Rounds, sets: Float64Array[][][], zeta: number) {
  const found = await partsNear(rounds, sets);
  const large = sets.map((set, i) =>
    set.map((centres, k) => centres.filter((_, j) => !isTiny(found[i][k][j], zeta))),
  );
  const fewer = large.some((set, i) => set.some((centres, k) => centres.length < sets[i][k].length));
  return fewer ? { sets: large, found: await partsNear(rounds, large) } : { sets, found };
}

function applySplits(run: Run, state: State, splits: (Split | null)[]): Promise<State> {
  const next: Next[] = [];
  const vectors: Float64Array[] = [];
  const bySubNet = run.schedule.refine === 0;
  let leaves = 0;
  const cells = splits.flatMap((split, k): Cell[] => {
    if (!split) {
      next.push({ from: k, made: null });
      return bySubNet ? [-1, -1] : [-1];
    }
    const n = split.parts.reduce((sum, T) => sum + T[0], 0);
    for (const T of split.parts)
      next.push({ from: k, made: { weight: (state.mixture.weights[k] * T[0]) / n, T } });
    if (bySubNet) return [leaves++, leaves++];
    return [
      {
        near: split.centres.map((centre) => vectors.push(centre) - 1),
        into: split.parts.map(() => leaves++),
      },
    ];
  });
  const partition = {
    groups: bySubNet ? ('sub-net' as const) : ('net' as const),
    cells,
    leaves: Math.max(1, leaves),
  };
  return applyChange(run, state, 'split', next, partition, vectors);
}
