import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { yieldToEventLoop } from '../base/slices.ts';
import { UserError } from '../base/user-error.ts';
import { BlockChanged, blockHash, describeBlock, HASH_BYTES, isHashOf } from '../data/blocks.ts';
import type { Source } from '../data/source.ts';
import { block, blockCount, type Layout, shardBlocks } from '../model/layout.ts';
import { generator, shuffledPrefix } from '../model/random.ts';
import type { Witnesses } from './scheduler/witnesses.ts';

export interface DataCheckOptions {
  source: Source;
  layout: Layout;
  /** The data file, for messages. */
  path: string;
  workers: Pick<Witnesses, 'misread'> & {
    /** Names a worker in messages. */
    describe(worker: string): string;
  };
}

/** Training has begun from rows that a worker did not read as they are in the coordinator's file: it has to begin again. */
export class Misread extends Error {
  constructor(
    readonly worker: string,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Workers may have another copy of the data file than the coordinator, whose file is the truth, or lie. It compares the hashes
 * of their blocks with its own: all of a small file, or some blocks of a large one, before anything is computed from them; the
 * rest by the end of the run. What a worker claims ends no run: only a file that has changed does, which is read again to see
 * that.
 */
export interface DataCheck {
  /** Starts to read, as the workers do. */
  begin(): void;
  /** From now on all blocks are compared at once, however large the file is. */
  beThorough(): void;
  /**
   * Compares the hashes of all blocks, which the workers `by` have found for each shard. Returns the shards that have to be
   * read again: those of workers that did not read the coordinator's rows. Rejects with a UserError if the file has changed.
   */
  staleShards(hashes: Uint8Array, by: string[]): Promise<number[]>;
  /** Reads what has not been compared, a little at a time. Rejects at a block that differs, with what `explain` returns. */
  watch(hashes: Uint8Array): Promise<void>;
  /** Resolves when `watch` has compared everything; it need not hold back any more. */
  finish(): Promise<void>;
  /**
   * The cause of a problem with the coordinator's own rows: if it is a block that was never compared, Misread with the worker
   * that hashed it; a UserError if that was a worker of an earlier session.
   */
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
/** Blocks that are compared without yielding. */
const BLOCKS_AT_ONCE = 4096;
/** How long `watch` rests after each slice, as a multiple of the time that it took. */
const REST = 9;

export function createDataCheck({ source, layout, path, workers }: DataCheckOptions): DataCheck {
  const count = blockCount(layout);
  const shardOf = new Uint32Array(count);
  for (const [shard, blocks] of shardBlocks(layout).entries())
    for (const { index } of blocks) shardOf[index] = shard;
  const hurry = new AbortController();
  let isStopped = false;
  let isThorough = 4 * layout.rows * layout.dim <= SMALL_BYTES;
  let first: Promise<void> | null = null;
  /** Hashes of the blocks of the coordinator's own file, where they are known. */
  const own = new Uint8Array(count * HASH_BYTES);
  const isKnown = new Uint8Array(count);
  /** Blocks whose hashes agree. */
  const isCompared = new Uint8Array(count);
  /** The worker that found the hashes of each shard; empty if an earlier session did. */
  let finders: string[] = [];
  let watched: Uint8Array | null = null;
  let watching: Promise<void> = Promise.resolve();

  const all = () => Array.from({ length: count }, (_, index) => index);
  const unknown = () => all().filter((index) => !isKnown[index]);
  const ownHash = (index: number) => own.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);

  /** Reads these blocks of the coordinator's own file, slice by slice. `pause` is called after each slice with the time that it took. */
  async function* readSlices(
    indices: number[],
    pause: (took: number) => Promise<unknown>,
  ): AsyncGenerator<number[]> {
    for (const slice of slicesOf(indices, layout)) {
      if (isStopped) return;
      const begun = performance.now();
      const { start } = block(layout, slice[0]);
      const last = block(layout, slice.at(-1)!);
      const rows = await source.read(start, last.start + last.count - start);
      for (const index of slice) {
        const { start: from, count } = block(layout, index);
        const at = (from - start) * layout.dim;
        own.set(blockHash(rows.subarray(at, at + count * layout.dim)), index * HASH_BYTES);
        isKnown[index] = 1;
      }
      yield slice;
      await pause(performance.now() - begun);
    }
  }

  async function readAtOnce(indices: number[]): Promise<void> {
    for await (const _ of readSlices(indices, () => setImmediate()));
  }

  async function compareRest(hashes: Uint8Array): Promise<void> {
    const pause = (took: number) =>
      hurry.signal.aborted
        ? setImmediate()
        : sleep(REST * took, undefined, { ref: false, signal: hurry.signal }).catch(() => {});
    for await (const slice of readSlices(unknown(), pause)) {
      if (watched !== hashes) return;
      for (const index of slice)
        if (!compare(index, hashes)) throw check.explain(new BlockChanged(block(layout, index)));
    }
  }

  /** Is the hash of this block, which is known, that of the coordinator's own file? */
  function compare(index: number, hashes: Uint8Array): boolean {
    const isSame = isHashOf({ index }, ownHash(index), hashes);
    isCompared[index] = Number(isSame);
    return isSame;
  }

  /** Throws a UserError if the coordinator reads this block otherwise than before. */
  async function assertOwnUnchanged(index: number): Promise<void> {
    const { start, count } = block(layout, index);
    if (Buffer.compare(blockHash(await source.read(start, count)), ownHash(index)) === 0) return;
    throw new UserError(`${path} has changed in ${describeBlock(block(layout, index))}: start a new run`);
  }

  const check: DataCheck = {
    begin() {
      first ??= readAtOnce(isThorough ? all() : sampledBlocks(layout));
      first.catch(() => {});
    },
    beThorough() {
      isThorough = true;
    },
    async staleShards(hashes, by) {
      check.begin();
      finders = by;
      watched = null;
      await first!;
      if (isThorough) await readAtOnce(unknown());
      /** By worker, the first of its blocks that differs. */
      const suspects = new Map<string, number>();
      for (let index = 0; index < count; index++) {
        if (index % BLOCKS_AT_ONCE === 0) await yieldToEventLoop();
        const worker = by[shardOf[index]];
        if (isKnown[index] && !compare(index, hashes) && !suspects.has(worker)) suspects.set(worker, index);
      }
      for (const [worker, index] of suspects) {
        await assertOwnUnchanged(index);
        const where = describeBlock(block(layout, index));
        workers.misread(worker, `${where} differs from that of ${path} at the coordinator`);
      }
      return by.flatMap((worker, shard) => (suspects.has(worker) ? [shard] : []));
    },
    watch(hashes) {
      watched = hashes;
      watching = compareRest(hashes);
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
      if (isCompared[index]) return problem;
      const finder = finders[shardOf[index]];
      if (finder === undefined) return new UserError(`${path}: ${problem.message}`);
      return new Misread(
        finder,
        `worker ${workers.describe(finder)} read other data in ${describeBlock(block(layout, index))} than ${path} has here`,
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
