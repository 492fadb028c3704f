/** Partitions of rows by decision trees. */

/** The most cells in one task, at all levels. */
export const MOST_CELLS = 1 << 16;

/**
 * A decision tree that assigns a row to a leaf: the number of a leaf, or -1 for none; the child whose centre is nearest; the child
 * whose linear function w·x + offset is largest; or the side of a threshold along an axis. Centres, weights w and axes are rows
 * of the state `vectors`.
 */
export type Cell =
  | number
  | { near: number[]; into: Cell[] }
  | { linear: number[]; offsets: number[]; into: Cell[] }
  | { axis: number; at: number; into: Cell[] };

/** Validates cells iteratively: a recursive schema would try both forms of a cell at each level, in exponential time. */
export function areCells(value: unknown): boolean {
  const isCount = (number: unknown) => Number.isSafeInteger(number) && (number as number) >= 0;
  const left: unknown[] = [value];
  let cells = 0;
  while (left.length) {
    const into = left.pop();
    if (!Array.isArray(into)) return false;
    cells += into.length;
    if (cells > MOST_CELLS) return false;
    for (const cell of into) {
      if (cell === -1 || isCount(cell)) continue;
      if (typeof cell !== 'object' || cell === null) return false;
      left.push(cell.into);
      const children = Array.isArray(cell.into) ? cell.into.length : 0;
      if (!(isNear(cell, children) || isLinear(cell, children) || isSide(cell, children))) return false;
    }
  }
  return true;

  function isNear({ near }: Record<string, unknown>, children: number): boolean {
    return Array.isArray(near) && children > 0 && near.length === children && near.every(isCount);
  }
  function isLinear({ linear, offsets }: Record<string, unknown>, children: number): boolean {
    return (
      isNear({ near: linear }, children) &&
      Array.isArray(offsets) &&
      offsets.length === children &&
      offsets.every(Number.isFinite)
    );
  }
  function isSide({ axis, at }: Record<string, unknown>, children: number): boolean {
    return isCount(axis) && Number.isFinite(at) && children === 2;
  }
}
