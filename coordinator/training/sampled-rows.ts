import { yieldToEventLoop } from '../../base/slices.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import { priority } from '../../model/random.ts';

/**
 * Which rows workers have to sample. That is a pure function of the seed and the row's index (15 ns each), so that no worker
 * needs to be believed about it.
 */

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
