import { accepts, isTiny, proposable } from '../../model/hastings.ts';
import { generator } from '../../model/random.ts';
import { hasStalled } from '../../model/schedule.ts';
import type { Parts, State } from '../../model/state.ts';
import type { Cell } from '../../proto/tasks.ts';
import { applyChange, type NextCluster } from './changes.ts';
import { publishSubs } from './publish.ts';
import type { Rounds } from './rounds.ts';
import type { Run } from './run-context.ts';
import {
  halveRepeatedly,
  lloyd,
  refineSubClusters,
  statisticsByNearest,
  subCentres,
} from './sub-clusters.ts';

/** One cluster's split into two or more parts. */
interface Split {
  parts: Parts;
  /** Rows go to the part with the nearest centre; empty: rows go by the sub-net's label. */
  centres: Float64Array[];
  logRatio: number;
}

/** Deep proposals need this many rows per part. */
const ROWS_PER_PART = 10;

/** Proposes to split every cluster in two, all on the same statistics; once the run has stalled, in four and eight. */
export async function splitStep(run: Run, state: State): Promise<State> {
  publishSubs(run, state.subs);
  const { refine: count } = run.schedule;
  const { centres, parts } = await refineSubClusters(run, count, subCentres(state), run.config.covariance);
  // Without refinement, a sub-net with all rows on one side keeps its previous targets: two equal centres would give it
  // nothing to learn, and it would stay so.
  const keepsParts = (pair: Parts) => count === 0 && pair.some((T) => T[0] === 0);
  const refined: State = {
    ...state,
    parts: parts.map((pair, k) => (keepsParts(pair) ? state.parts[k] : pair)),
  };
  const ratios = await ratiosOf(run, parts);
  const splits = parts.map((pair, k): Split | null => {
    const logRatio = ratios[k];
    const uniform = generator(run.seed, 'accept-split', state.epoch, k).uniform();
    const accepted = accepts(logRatio, uniform);
    emitProposal(run, state, k, pair, logRatio, accepted);
    return accepted ? { parts: pair, centres: count > 0 ? centres[k] : [], logRatio } : null;
  });
  if (run.schedule.depths.length && hasStalled(state.steps)) await proposeDeepSplits(run, refined, splits);
  return applySplits(run, refined, splits);
}

/** log H of each proposal; NaN for one with too few rows. */
async function ratiosOf({ prior, config, zeta, calculate }: Run, proposals: Parts[]): Promise<number[]> {
  const possible = proposals.filter((parts) => proposable(parts, zeta));
  const found = await calculate('splitRatios', prior, possible, config.alpha, zeta);
  const ratios = new Map(possible.map((parts, i) => [parts, found[i]]));
  return proposals.map((parts) => ratios.get(parts) ?? Number.NaN);
}

function emitProposal(
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

/** Proposes four and eight parts for each cluster that was not split in two; the best with log H > 0 is accepted. */
async function proposeDeepSplits(run: Run, state: State, splits: (Split | null)[]): Promise<void> {
  const { rounds, schedule, d, config, zeta, calculate } = run;
  const totals = await calculate('totals', state.parts);
  const isEligible = (k: number, depth: number) =>
    splits[k] === null && totals[k][0] >= ROWS_PER_PART * 2 ** depth;
  const chosen = splits.map((_, k) => isEligible(k, Math.min(...schedule.depths)));
  if (!chosen.includes(true)) return;
  const depths = schedule.depths.filter((depth) => splits.some((_, k) => isEligible(k, depth)));
  const halved = await halveRepeatedly(run, chosen, totals, Math.max(...depths), d, config.covariance);
  const starts = depths.map((depth) =>
    halved[depth - 1].map((centres, k) => (isEligible(k, depth) ? centres : [])),
  );
  const { sets, parts: bySet } = await dropTinyParts(
    rounds,
    await lloyd(rounds, starts, schedule.refine - 1),
    zeta,
  );
  const found = [...splits.keys()].flatMap((k) =>
    bySet.map((ofClusters, i) => {
      const nonEmpty = sets[i][k]
        .map((centre, j) => ({ centre, T: ofClusters[k][j] }))
        .filter(({ T }) => T[0] > 0);
      return { k, parts: nonEmpty.map(({ T }) => T), centres: nonEmpty.map(({ centre }) => centre) };
    }),
  );
  const ratios = await ratiosOf(
    run,
    found.map(({ parts }) => parts),
  );
  for (const k of splits.keys()) {
    const proposals = found.flatMap(({ k: own, ...proposal }, i): Split[] =>
      own === k && proposable(proposal.parts, zeta) ? [{ ...proposal, logRatio: ratios[i] }] : [],
    );
    const best = proposals.reduce<Split | null>(
      (best, proposal) => (proposal.logRatio > (best?.logRatio ?? 0) ? proposal : best),
      null,
    );
    splits[k] ??= best;
    for (const proposal of proposals)
      emitProposal(run, state, k, proposal.parts, proposal.logRatio, proposal === best);
  }
}

/**
 * The parts around sets of centres, without those of only a few outliers: their rows go to the nearest remaining centre.
 * Otherwise a single outlier would be a part of every proposal and cause it to be rejected.
 */
async function dropTinyParts(rounds: Rounds, sets: Float64Array[][][], zeta: number) {
  const parts = await statisticsByNearest(rounds, sets);
  const large = sets.map((set, i) =>
    set.map((centres, k) => centres.filter((_, j) => !isTiny(parts[i][k][j], zeta))),
  );
  const dropsAny = large.some((set, i) => set.some((centres, k) => centres.length < sets[i][k].length));
  return dropsAny ? { sets: large, parts: await statisticsByNearest(rounds, large) } : { sets, parts };
}

function applySplits(run: Run, state: State, splits: (Split | null)[]): Promise<State> {
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
      next.push({ from: k, refit: { weight: (state.mixture.weights[k] * T[0]) / n, T } });
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
