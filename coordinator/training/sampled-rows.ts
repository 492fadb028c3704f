import { yieldToEventLoop } from '../../base/slices.ts';
import { type Block, type Layout, shardBlocks } from '../../model/layout.ts';
import { priority } from '../../model/random.ts';

/**
 * Which rows workers have to sample. That is a pure function of the seed and the row's index (15 ns each), so that no worker
 * needs to be believed about it.
 */

/** Places of the sampled rows among the rows of `blocks`, taken one after the other: those whose priority is below `below`. */
export function sampledPlaces(blocks: Block[], seed: bigint, below: number): number[] {
  const priorityOf = priority(seed);
  const places: number[] = [];
  let first = 0;
  for (const { start, count } of blocks) {
    for (let i = 0; i < count; i++) if (priorityOf(start + i) < below) places.push(first + i);
    first += count;
  }
  return places;
}

/** The number of sampled rows of each shard. Yields to the event loop. */
export async function sampledCounts(layout: Layout, below: number): Promise<number[]> {
  const priorityOf = priority(BigInt(layout.seed));
  const counts: number[] = [];
  for (const blocks of shardBlocks(layout)) {
    let sampled = 0;
    for (const { start, count } of blocks) {
      // Priorities are below 1.
      if (below >= 1) sampled += count;
      else for (let row = start; row < start + count; row++) if (priorityOf(row) < below) sampled++;
      await yieldToEventLoop();
    }
    counts.push(sampled);
  }
  return counts;
}
