/** The slot of each cluster, by which page and colour know it from state to state, and where the cluster was. */
export interface Slotted {
  means: number[][];
  slots: number[];
}

/**
 * Slots for new means: splits and merges renumber clusters, so each of those before hands its number to the
 * nearest of the new ones, closest pairs first; who gets none takes the smallest free one.
 */
export function keepSlots(before: Slotted | null, means: number[][]): Slotted {
  if (!before || before.means[0]?.length !== means[0]?.length) return { means, slots: [...means.keys()] };
  const pairs: { from: number; to: number; apart: number }[] = [];
  before.means.forEach((a, from) => {
    means.forEach((b, to) => {
      pairs.push({ from, to, apart: a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) });
    });
  });
  pairs.sort((a, b) => a.apart - b.apart);
  const slots = Array<number>(means.length).fill(-1);
  const given = new Set<number>();
  for (const { from, to } of pairs) {
    const slot = before.slots[from];
    if (slots[to] >= 0 || given.has(slot)) continue;
    slots[to] = slot;
    given.add(slot);
  }
  let free = 0;
  for (const [to, slot] of slots.entries()) {
    if (slot >= 0) continue;
    while (given.has(free)) free++;
    slots[to] = free;
    given.add(free);
  }
  return { means, slots };
}
