import { proposable } from '../../../model/hastings.ts';
import type { Parts, State } from '../../../model/state.ts';
import type { Run } from '../run-context.ts';
import { tempering } from '../sample.ts';
import type { Rule } from './rules.ts';

/** What split steps propose, how it is judged, and how it is told. */

/** One cluster's split into two or more parts. */
export interface Split {
  parts: Parts;
  /** Null: rows go by the sub-net's label. */
  rule: Rule | null;
  logRatio: number;
}

/** log H of each proposal; NaN for one with too few rows. */
export async function ratiosOf(run: Run, state: State, proposals: Parts[]): Promise<number[]> {
  const zeta = tempering(run, state);
  const possible = proposals.filter((parts) => proposable(parts, zeta));
  const found = await run.calculate('splitRatios', state.prior, possible, run.config.alpha, zeta);
  const ratios = new Map(possible.map((parts, i) => [parts, found[i]]));
  return proposals.map((parts) => ratios.get(parts) ?? Number.NaN);
}

export function emitProposal(
  run: Run,
  { epoch }: State,
  k: number,
  parts: Parts,
  ratio: number,
  accepted: boolean,
  reason = Number.isNaN(ratio) ? 'too few points' : undefined,
): void {
  run.emit({
    type: 'split',
    epoch,
    clusters: [k],
    points: parts.map((T) => T[0]),
    logRatio: Number.isFinite(ratio) ? ratio : null,
    accepted,
    ...(reason && { reason }),
  });
}
