/**
 * Sums over shards: a fixed binary tree over the shard's index, in float64, so that the bits do not depend on who
 * computed what. Leaves i and i+1 (i even) are added first, then pairs of pairs; a last one without a sibling moves up.
 * A sum over an aligned power of two of leaves is a node of that tree: whoever holds those leaves may add them.
 */

type Numbers = ArrayLike<number>;

/** Named sums over leaves `from … to−1`. */
export interface Node {
  from: number;
  to: number;
  sums: Record<string, Float64Array>;
}

/** Is `from … to−1` an aligned power of two of leaves? Such stretches are nested or apart, never astride. */
export function isAligned(from: number, to: number): boolean {
  const size = to - from;
  return size > 0 && 2 ** Math.floor(Math.log2(size)) === size && from % size === 0;
}

/** Puts the next node onto a stack of nodes in order of their leaves, and adds up siblings, which it may overwrite. */
export function fold(stack: Node[], node: Node): void {
  let last = node;
  for (let before = stack.at(-1); before && areSiblings(before, last); before = stack.at(-1)) {
    stack.pop();
    for (const [name, into] of Object.entries(before.sums)) add(into, last.sums[name]);
    last = { from: before.from, to: last.to, sums: before.sums };
  }
  stack.push(last);
}

const areSiblings = (a: Node, b: Node) =>
  a.to === b.from && a.to - a.from === b.to - b.from && isAligned(a.from, b.to);

/**
 * The tree's sum of equally long arrays. Place i has leaf i, or the sum of the node that starts there; the other leaves
 * of that node have nothing.
 */
export function treeSum(places: (Numbers | undefined)[]): Float64Array {
  const sums = Array.from(places, (part) => part && new Float64Array(part));
  for (let stride = 1; stride < sums.length; stride *= 2) {
    for (let i = 0; i + stride < sums.length; i += 2 * stride) {
      const [into, from] = [sums[i], sums[i + stride]];
      if (into && from) add(into, from);
    }
  }
  return sums[0]!;
}

function add(into: Float64Array, from: Float64Array): void {
  for (let j = 0; j < into.length; j++) into[j] += from[j];
}
