import { mapInSlices, ranges } from '../../base/slices.ts';
import { treeSum } from '../../model/tree.ts';

/** Numbers of each array that are added up without yielding. */
const PIECE = 1 << 16;

/** `treeSum`, in slices: each number of the sum depends on those at its place only. */
export async function sumInSlices(parts: (Float64Array | undefined)[]): Promise<Float64Array> {
  const { length } = parts.find((part) => part !== undefined)!;
  if (length <= PIECE) return treeSum(parts);
  const out = new Float64Array(length);
  await mapInSlices(ranges(length, PIECE), ({ from, to }) => {
    out.set(treeSum(Array.from(parts, (part) => part?.subarray(from, to))), from);
  });
  return out;
}
