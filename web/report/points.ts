import type { Columns } from '../../view/report-data.ts';

/** A row of the data that a point stands for; or, without a row, a cluster. */
export interface FoundPoint {
  cluster: number | null;
  row: number | null;
}

/**
 * The point of a picture that is nearest to a place, no further than `reach`; null if there is none. `dots` says how numbers become
 * coordinates (report/scatter.ts).
 */
export function pointAt(
  dots: SVGElement,
  { x, y, row, cluster }: Columns,
  [px, py]: readonly [number, number],
  reach: number,
): FoundPoint | null {
  const [atX, atY] = [dots.dataset.x, dots.dataset.y].map((text) => text?.split(' ').map(Number));
  if (!atX) return null;
  let [best, nearest] = [-1, reach ** 2];
  for (let i = 0; i < x.length; i++) {
    const dx = atX[0] + atX[1] * Number(x[i]) - px;
    const dy = atY && y ? atY[0] + atY[1] * Number(y[i]) - py : 0;
    const squared = dx * dx + dy * dy;
    if (squared < nearest) [best, nearest] = [i, squared];
  }
  if (best < 0) return null;
  return { cluster: cluster ? Number(cluster[best]) : null, row: Number(row[best]) };
}
