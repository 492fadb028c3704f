/** A slot identifies a cluster across states and decides its colour. The means are those of the last state. */
export interface ClusterSlots {
  means: number[][];
  slots: number[];
}

/**
 * Slots for the clusters of a new state. Splits and merges renumber clusters, so old and new means are matched greedily,
 * closest pairs first; a new cluster without a match gets the smallest free slot.
 */
export function assignSlots(before: ClusterSlots | null, means: number[][]): ClusterSlots {
  if (!before || before.means[0]?.length !== means[0]?.length) return { means, slots: [...means.keys()] };
  const pairs: { from: number; to: number; squared: number }[] = [];
  before.means.forEach((a, from) => {
    means.forEach((b, to) => {
      pairs.push({ from, to, squared: a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) });
    });
  });
  pairs.sort((a, b) => a.squared - b.squared);
  const slots = Array<number>(means.length).fill(-1);
  const taken = new Set<number>();
  for (const { from, to } of pairs) {
    const slot = before.slots[from];
    if (slots[to] >= 0 || taken.has(slot)) continue;
    slots[to] = slot;
    taken.add(slot);
  }
  let free = 0;
  for (const [to, slot] of slots.entries()) {
    if (slot >= 0) continue;
    while (taken.has(free)) free++;
    slots[to] = free;
    taken.add(free);
  }
  return { means, slots };
}
