import { setImmediate } from 'node:timers/promises';
import { assertUnchanged } from '../data/blocks.ts';
import { type Block, type Layout, shardBlocks } from '../model/layout.ts';
import type { WorkUnit } from '../proto/messages.ts';

/** How long blocks are read before the event loop serves the sockets, ms. */
const YIELD_AFTER_MS = 10;

/** The blocks of a unit: a range of its shard's, or all of them. */
function blocksOf({ shard, from, to }: WorkUnit, layout: Layout): Block[] {
  const own = shardBlocks(layout)[shard];
  return to > from ? own.slice(from, to) : own;
}

/**
 * Reads a unit's rows, of which a worker says that they are wrong. Returns the error that this meets; null if they can be read
 * and have the hashes that were found at the start of the run (`hashes`: of all blocks; undefined: not known yet).
 */
export async function problemWith(
  unit: WorkUnit,
  layout: Layout,
  readBlocks: (blocks: number[]) => Promise<Float32Array>,
  hashes: Uint8Array | undefined,
): Promise<Error | null> {
  let yieldedAt = performance.now();
  try {
    for (const block of blocksOf(unit, layout)) {
      const rows = await readBlocks([block.index]);
      if (hashes) assertUnchanged(block, rows, hashes);
      if (performance.now() - yieldedAt < YIELD_AFTER_MS) continue;
      await setImmediate();
      yieldedAt = performance.now();
    }
    return null;
  } catch (error) {
    return error as Error;
  }
}
