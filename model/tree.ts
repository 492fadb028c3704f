/**
 * Sums over shards by a fixed binary tree over the shard index, so that the result has the same bits
 * however the shards are assigned to workers (docs/algorithm.md, section 9). Leaves i and i+1 (i even) are added
 * first, then pairs of pairs; a last node without a sibling moves up a level. The sum over an aligned power of two of
 * leaves is a node of the tree, so a worker that has all of these leaves may add them up itself.
 *
 * Statistics are summed in float64. Sums of float32 arrays, such as weights, are rounded to float32 at each node.
 */

export type Floats = Float64Array | Float32Array;

/** A node of the tree: named sums over the leaves `from … to−1`. */
export interface PartialSum {
  from: number;
  to: number;
  sums: Record<string, Floats>;
}

/** Is `from … to−1` an aligned power of two of leaves? Two such ranges are nested or disjoint. */
export function isAligned(from: number, to: number): boolean {
  const size = to - from;
  return size > 0 && 2 ** Math.floor(Math.log2(size)) === size && from % size === 0;
}

/**
 * Pushes `node` onto a stack of nodes in the order of their leaves, then adds up siblings at its top while there are any.
 * May overwrite the sums of nodes on the stack.
 */
export function fold(stack: PartialSum[], node: PartialSum): void {
  let last = node;
  for (let before = stack.at(-1); before && areSiblings(before, last); before = stack.at(-1)) {
    stack.pop();
    for (const [name, into] of Object.entries(before.sums)) add(into, last.sums[name]);
    last = { from: before.from, to: last.to, sums: before.sums };
  }
  stack.push(last);
}

/**
 * Collects nodes that arrive in any order. Adds each to its sibling as soon as both are there, so that few arrays are held at a time;
 * overwrites them. A node replaces those inside it; one inside another may not be added.
 */
export function treeAccumulator() {
  /** By their first leaf. */
  const nodes = new Map<number, PartialSum>();
  return {
    add(added: PartialSum): void {
      for (let leaf = added.from; leaf < added.to; leaf++) nodes.delete(leaf);
      let node = added;
      for (;;) {
        const { from, to } = node;
        const isRight = (from / (to - from)) % 2 === 1;
        const sibling = nodes.get(isRight ? 2 * from - to : to);
        const pair = isRight ? [sibling, node] : [node, sibling];
        if (!(pair[0] && pair[1] && areSiblings(pair[0], pair[1]))) break;
        nodes.delete(sibling!.from);
        const stack = [pair[0]];
        fold(stack, pair[1]);
        [node] = stack;
      }
      nodes.set(node.from, node);
    },
    /** In the order of their leaves. */
    nodes: (): PartialSum[] => [...nodes.values()].sort((a, b) => a.from - b.from),
  };
}

const areSiblings = (a: PartialSum, b: PartialSum) =>
  a.to === b.from && a.to - a.from === b.to - b.from && isAligned(a.from, b.to);

/**
 * The tree's sum of equally long arrays. `parts[i]` is leaf i, or the sum of the node whose first leaf is i; it is
 * undefined for that node's other leaves. `Sums`: the type of all nodes.
 */
export function treeSum<S extends Floats = Float64Array>(
  parts: (ArrayLike<number> | undefined)[],
  Sums = Float64Array as unknown as new (
    values: ArrayLike<number>,
  ) => S,
): S {
  const sums = Array.from(parts, (part) => part && new Sums(part));
  for (let stride = 1; stride < sums.length; stride *= 2) {
    for (let i = 0; i + stride < sums.length; i += 2 * stride) {
      const [into, from] = [sums[i], sums[i + stride]];
      if (into && from) add(into, from);
    }
  }
  return sums[0]!;
}

function add(into: Floats, from: Floats): void {
  for (let j = 0; j < into.length; j++) into[j] += from[j];
}
