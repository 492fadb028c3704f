import type { Niw } from '../../../model/niw.ts';
import { binOf } from '../../../model/splits/pca-split.ts';
import { hasValley } from '../../../model/splits/valley.ts';
import type { Parts } from '../../../model/state.ts';
import type { Cell } from '../../../proto/tasks.ts';
import type { Run } from '../run-context.ts';
import { type Rule, ruleCell, vectorTable } from './rules.ts';

const BINS = 64;
/** Standard deviations beyond the means of two parts that their histogram covers. */
const MARGIN = 4;
/** The range of a histogram on each side of its centre, in `sd` (model/splits/pca-split.ts). */
const HALF_RANGE = 6;

/**
 * The share of each proposal's parts that a valley separates from the nearest other part, along the axis that discriminates
 * them. `proposals`: of these clusters out of K, each with two or more parts that have rows.
 */
export async function valleyShares(
  { rounds, calculate }: Pick<Run, 'rounds' | 'calculate'>,
  prior: Niw,
  proposals: Map<number, { parts: Parts; rule: Rule }>,
  k: number,
): Promise<Map<number, number>> {
  const all = [...proposals];
  const axes = await calculate(
    'discriminantAxes',
    prior,
    all.map(([, { parts }]) => parts),
  );
  // Each leaf gets the axes of all parts of its cluster, and so as many as the largest proposal has.
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
    BINS,
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
          binOf(centre - halfway, centre, sd, BINS),
          binOf(centre + halfway, centre, sd, BINS),
        );
      });
      return [cluster, separated.length / parts.length];
    }),
  );
}
