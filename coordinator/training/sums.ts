import { mapInSlices, ranges } from '../../base/slices.ts';
import { type Floats, treeSum } from '../../model/tree.ts';

/** Numbers of each array that are added up without yielding. */
const PIECE = 1 << 16;

/** `treeSum` in the type of the parts, in slices: each number of the sum depends on those at its place only. */
export async function sumInSlices<S extends Floats>(parts: (S | undefined)[]): Promise<S> {
  const first = parts.find((part) => part !== undefined)!;
  const Sums = first.constructor as new (values: ArrayLike<number> | number) => S;
  const { length } = first;
  if (length <= PIECE) return treeSum<S>(parts, Sums);
  const out = new Sums(length);
  await mapInSlices(ranges(length, PIECE), ({ from, to }) => {
    out.set(
      treeSum<S>(
        Array.from(parts, (part) => part?.subarray(from, to)),
        Sums,
      ),
      from,
    );
  });
  return out;
}
