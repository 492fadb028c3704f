import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/user-error.ts';
import { assertUnchanged, BlockChanged, blockHash, describeBlock, isHashOf } from '../data/blocks.ts';
import type { Source } from '../data/source.ts';
import { type Block, block, blockCount, type Layout, shardBlocks } from '../model/layout.ts';
import { generator, shuffledPrefix } from '../model/random.ts';
import type { WorkUnit } from '../proto/messages.ts';

export interface DataCheckOptions {
  source: Source;
  layout: Layout;
  /** The data file, for messages. */
  path: string;
  /** Compare all blocks before training, however large the file is. */
  isThorough: boolean;
  workers: {
    /** From now on this worker gets its rows from the coordinator; one that does so already is sent away. */
    misread(worker: string, reason: string): void;
    /** Names a worker in messages. */
    describe(worker: string): string;
  };
}

/**
 * Workers may have a stale copy of the data file. The hashes of their blocks are compared with those of the coordinator's own
 * file: all of a small file, or some blocks of a large one, before training, when a worker that read something else gets its rows
 * from the coordinator; the rest before any result is written, when a difference ends the run.
 */
export interface DataCheck {
  /** Starts to read, as the workers do. */
  begin(): void;
  /**
   * Compares the hashes of all blocks, which the workers `by` have found for each shard. Returns the shards that have to be
   * read again: those of workers that did not read the coordinator's rows. Rejects with a UserError if the file has changed.
   */
  staleShards(hashes: Uint8Array, by: string[]): Promise<number[]>;
  /** Reads what has not been compared, a little at a time. Rejects with a UserError at a block that differs. */
  watch(hashes: Uint8Array): Promise<void>;
  /** Resolves when `watch` has compared everything; it need not hold back any more. */
  finish(): Promise<void>;
  /** The cause of a problem with the coordinator's own rows: a block that a worker has read otherwise is its mistake. */
  explain(problem: Error): Error;
  /** Stops reading. */
  stop(): void;
}

/** A file of at most this many bytes is compared at once. */
export const SMALL_BYTES = 64 << 20;
/** Most blocks of a larger file that are compared at once. */
const MOST_SAMPLED = 64;
/** Bytes that are read in one go. */
const SLICE_BYTES = 1 << 20;
/** How long `watch` rests after each slice, as a multiple of the time that it took. */
const REST = 9;

export function createDataCheck({ source, layout, path, isThorough, workers }: DataCheckOptions): DataCheck {
  const count = blockCount(layout);
  const all = Array.from({ length: count }, (_, index) => index);
  const shardOf = new Uint32Array(count);
  for (const [shard, blocks] of shardBlocks(layout).entries())
    for (const { index } of blocks) shardOf[index] = shard;
  const isAtOnce = isThorough || 4 * layout.rows * layout.dim <= SMALL_BYTES;
  const hurry = new AbortController();
  let isStopped = false;
  let first: Promise<void> | null = null;
  /** Hashes of the blocks of the coordinator's file, where they are known. */
  const known = new Map<number, Uint8Array>();
  /** Blocks whose hashes agree. */
  const compared = new Set<number>();
  /** The worker that found the hashes of each shard; empty if an earlier session did. */
  let finders: string[] = [];
  let watching: Promise<void> = Promise.resolve();

  /** Reads these blocks of the coordinator's file, slice by slice. `pause` is called after each with the time that it took. */
  async function read(
    indices: number[],
    pause: (took: number) => Promise<unknown> = () => setImmediate(),
    each: (index: number) => void = () => {},
  ): Promise<void> {
    for (const slice of slicesOf(indices, layout)) {
      if (isStopped) return;
      const begun = performance.now();
      const { start } = block(layout, slice[0]);
      const last = block(layout, slice.at(-1)!);
      const rows = await source.read(start, last.start + last.count - start);
      for (const index of slice) {
        const { start: from, count } = block(layout, index);
        const at = (from - start) * layout.dim;
        known.set(index, blockHash(rows.subarray(at, at + count * layout.dim)));
        each(index);
      }
      await pause(performance.now() - begun);
    }
  }

  /** Is the hash of this block, which is known, that of the coordinator's file? */
  function isSame(index: number, hashes: Uint8Array): boolean {
    const isSame = isHashOf({ index }, known.get(index)!, hashes);
    if (isSame) compared.add(index);
    return isSame;
  }

  /** Throws a UserError if the coordinator reads this block otherwise than before. */
  async function assertFileUnchanged(index: number): Promise<void> {
    const { start, count } = block(layout, index);
    if (Buffer.compare(blockHash(await source.read(start, count)), known.get(index)!) === 0) return;
    throw new UserError(`${path} has changed in ${describeBlock(block(layout, index))}: start a new run`);
  }

  const check: DataCheck = {
    begin() {
      first ??= read(isAtOnce ? all : sampledBlocks(layout));
      first.catch(() => {});
    },
    async staleShards(hashes, by) {
      check.begin();
      finders = by;
      compared.clear();
      await first!;
      /** By worker, the first of its blocks that differs. */
      const stale = new Map<string, number>();
      for (const index of known.keys()) {
        const worker = by[shardOf[index]];
        if (!isSame(index, hashes) && !stale.has(worker)) stale.set(worker, index);
      }
      for (const [worker, index] of stale) {
        await assertFileUnchanged(index);
        const where = describeBlock(block(layout, index));
        workers.misread(worker, `${where} differs from that of ${path} at the coordinator`);
      }
      return by.flatMap((worker, shard) => (stale.has(worker) ? [shard] : []));
    },
    watch(hashes) {
      const pause = (took: number) =>
        hurry.signal.aborted
          ? setImmediate()
          : sleep(REST * took, undefined, { ref: false, signal: hurry.signal }).catch(() => {});
      const unknown = all.filter((index) => !known.has(index));
      watching = read(unknown, pause, (index) => {
        if (!isSame(index, hashes)) throw check.explain(new BlockChanged(block(layout, index)));
      });
      watching.catch(() => {});
      return watching;
    },
    finish() {
      hurry.abort();
      return watching;
    },
    explain(problem) {
      if (!(problem instanceof BlockChanged)) return problem;
      const { index } = problem.block;
      const finder = finders[shardOf[index]];
      if (compared.has(index)) return problem;
      if (finder === undefined) return new UserError(`${path}: ${problem.message}`);
      const where = describeBlock(block(layout, index));
      return new UserError(
        `worker ${workers.describe(finder)} read other data in ${where} than ${path} has here: replace its copy of the file, and start a new run`,
      );
    },
    stop() {
      isStopped = true;
    },
  };
  return check;
}

/** The blocks of a large file that are compared before training. */
export function sampledBlocks(layout: Layout): number[] {
  const count = blockCount(layout);
  const rng = generator(BigInt(layout.seed), 'data-check');
  const most = Math.min(MOST_SAMPLED, Math.ceil(Math.sqrt(count)));
  return [...shuffledPrefix(rng, count, most)].sort((a, b) => a - b);
}

/** Consecutive blocks, up to SLICE_BYTES or one block at a time. `indices` ascend. */
function* slicesOf(indices: number[], { blockRows, dim }: Layout): Generator<number[]> {
  const most = Math.max(1, Math.floor(SLICE_BYTES / (4 * blockRows * dim)));
  let slice: number[] = [];
  for (const index of indices) {
    if (slice.length && (slice.length >= most || index !== slice.at(-1)! + 1)) {
      yield slice;
      slice = [];
    }
    slice.push(index);
  }
  if (slice.length) yield slice;
}

/** How long blocks are read before the event loop serves the sockets, ms. */
const YIELD_AFTER_MS = 10;

/** The blocks of a unit: a range of its shard's, or all of them. */
function blocksOf({ shard, from, to }: WorkUnit, layout: Layout): Block[] {
  const blocks = shardBlocks(layout)[shard];
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
