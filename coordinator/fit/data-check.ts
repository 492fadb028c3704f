import { setImmediate } from 'node:timers/promises';
import { UserError } from '../../base/user-error.ts';
import { assertUnchanged, blockHash, describeBlock, isHashOf } from '../../data/blocks.ts';
import type { Source } from '../../data/source.ts';
import { type Block, block, blockCount, type Layout, shardBlocks, unitBlocks } from '../../model/layout.ts';
import type { WorkUnit } from '../../proto/messages.ts';

export interface DataCheckOptions {
  source: Source;
  layout: Layout;
  /** The data file, for messages. */
  path: string;
  /** From now on this worker gets its rows from the coordinator; one that does so already is sent away. */
  misread(worker: string, reason: string): void;
}

/**
 * Workers may have a stale copy of the data file: before anything is computed from its rows, the hashes of all blocks are compared with
 * those of the coordinator's own file, which it reads while the workers read theirs.
 */
export interface DataCheck {
  /** Starts to read, as the workers do. */
  begin(): void;
  /**
   * Compares the hashes of all blocks, which the workers `by` have found for each unit. Returns which units have to be
   * read again: those of workers that did not read the coordinator's rows. Rejects with a UserError if the file has changed.
   */
  staleUnits(hashes: Uint8Array, units: readonly (WorkUnit & { by: string })[]): Promise<number[]>;
  /** Stops reading. */
  stop(): void;
}

/** Bytes that are read in one go. */
const SLICE_BYTES = 1 << 20;

export function createDataCheck({ source, layout, path, misread }: DataCheckOptions): DataCheck {
  const hashes: Uint8Array[] = [];
  let isStopped = false;
  let reading: Promise<void> | null = null;

  async function read(): Promise<void> {
    const { blockRows, dim } = layout;
    const count = blockCount(layout);
    const atOnce = Math.max(1, Math.floor(SLICE_BYTES / (4 * blockRows * dim)));
    for (let index = 0; index < count && !isStopped; index += atOnce) {
      const blocks = Array.from({ length: Math.min(atOnce, count - index) }, (_, i) =>
        block(layout, index + i),
      );
      const rows = blocks.reduce((sum, { count }) => sum + count, 0);
      const values = await source.read(blocks[0].start, rows);
      for (const { start, count } of blocks) {
        const at = (start - blocks[0].start) * dim;
        hashes.push(blockHash(values.subarray(at, at + count * dim)));
      }
      await setImmediate();
    }
  }

  const check: DataCheck = {
    begin() {
      reading ??= read();
      reading.catch(() => {});
    },
    async staleUnits(found, units) {
      check.begin();
      await reading;
      /** By worker, the first of its blocks that differs. */
      const stale = new Map<string, Block>();
      const shards = shardBlocks(layout);
      for (const { shard, from, to, by } of units) {
        const blocks = shards[shard].slice(from, to);
        const other = blocks.find((block) => !isHashOf(block, hashes[block.index], found));
        if (other && !stale.has(by)) stale.set(by, other);
      }
      for (const [worker, block] of stale) {
        const again = blockHash(await source.read(block.start, block.count));
        if (Buffer.compare(again, hashes[block.index]) !== 0)
          throw new UserError(`${path} has changed in ${describeBlock(block)}: start a new run`);
        misread(worker, `${describeBlock(block)} differs from that of ${path} at the coordinator`);
      }
      return units.flatMap(({ by }, i) => (stale.has(by) ? [i] : []));
    },
    stop() {
      isStopped = true;
    },
  };
  return check;
}

/** How long blocks are read before the event loop serves the sockets, ms. */
const YIELD_AFTER_MS = 10;

/** The blocks of a unit: a range of its shard's, or all of them. */
function blocksOf({ shard, from, to }: WorkUnit, layout: Layout): Block[] {
  const blocks = unitBlocks(layout)[shard];
  return to > from ? blocks.slice(from, to) : blocks;
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
