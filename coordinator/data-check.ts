import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/user-error.ts';
import { BlockChanged, blockHash, describeBlock, isHashOf } from '../data/blocks.ts';
import type { Source } from '../data/source.ts';
import { block, blockCount, type Layout, shardBlocks } from '../model/layout.ts';
import { generator, shuffledPrefix } from '../model/random.ts';

/** What the check needs to know of the workers, and to tell them. */
export interface FileReaders {
  /** This worker reads the data file itself, as far as is known. */
  readsFile(worker: string): boolean;
  /** From now on this worker gets its rows from the coordinator. */
  withholdFile(worker: string, reason: string): void;
  /** Names a worker in messages. */
  describe(worker: string): string;
}

export interface DataCheckOptions {
  source: Source;
  layout: Layout;
  /** The data file, for messages. */
  path: string;
  workers: FileReaders;
}

/**
 * Workers that read the data file themselves may have another copy of it than the coordinator, whose file is the truth. It
 * compares the hashes of their blocks with its own: all of a small file, or some blocks of a large one, before anything is
 * computed from them; the rest by the end of the run.
 */
export interface DataCheck {
  /** Starts to read, as the workers do. */
  begin(): void;
  /**
   * Compares the hashes of all blocks, which the workers `by` have found for each shard. Returns the shards that have to be
   * read again, now that their workers do not use their own file any more.
   */
  staleShards(hashes: Uint8Array, by: string[]): Promise<number[]>;
  /** Reads what has not been compared, a little at a time. Rejects with a UserError at a block that differs. */
  watch(hashes: Uint8Array): Promise<void>;
  /** Resolves when `watch` has compared everything; it need not hold back any more. */
  finish(): Promise<void>;
  /** The cause of a problem with the coordinator's own rows: where it never compared them, the worker that hashed them. */
  explain(problem: Error): Error;
  /** Stops reading. */
  stop(): void;
}

/** A file of at most this many bytes is compared at once. */
const SMALL_BYTES = 64 << 20;
/** Most blocks of a larger file that are compared at once. */
const MOST_SAMPLED = 64;
/** Bytes that are read in one go. */
const SLICE_BYTES = 1 << 20;
/** How long `watch` rests after each slice, as a multiple of the time that it took. */
const REST = 9;

export function createDataCheck({ source, layout, path, workers }: DataCheckOptions): DataCheck {
  const count = blockCount(layout);
  const shardOf = new Uint32Array(count);
  for (const [shard, blocks] of shardBlocks(layout).entries())
    for (const { index } of blocks) shardOf[index] = shard;
  const hurry = new AbortController();
  let isStopped = false;
  let first: Promise<Map<number, Uint8Array>> | null = null;
  let compared = new Set<number>();
  /** The worker that found the hashes of each shard; empty if an earlier session did. */
  let finders: string[] = [];
  /** Workers whose file is not used any more. */
  const withheld = new Set<string>();
  let watching: Promise<void> = Promise.resolve();

  const isSmall = 4 * layout.rows * layout.dim <= SMALL_BYTES;
  const all = () => Array.from({ length: count }, (_, index) => index);
  const sampled = () => {
    const rng = generator(BigInt(layout.seed), 'data-check');
    const most = Math.min(MOST_SAMPLED, Math.ceil(Math.sqrt(count)));
    return [...shuffledPrefix(rng, count, most)].sort((a, b) => a - b);
  };

  /** Hashes of these blocks of the coordinator's own file, slice by slice. `pause` is called after each slice with the time that it took. */
  async function* ownHashes(
    indices: number[],
    pause: (took: number) => Promise<unknown>,
  ): AsyncGenerator<[number, Uint8Array][]> {
    for (const slice of slicesOf(indices, layout)) {
      if (isStopped) return;
      const begun = performance.now();
      const { start } = block(layout, slice[0]);
      const last = block(layout, slice.at(-1)!);
      const rows = await source.read(start, last.start + last.count - start);
      yield slice.map((index) => {
        const { start: from, count } = block(layout, index);
        const at = (from - start) * layout.dim;
        return [index, blockHash(rows.subarray(at, at + count * layout.dim))];
      });
      await pause(performance.now() - begun);
    }
  }

  /** Were the rows of this shard the coordinator's? */
  const isTrusted = (shard: number) => finders[shard] !== undefined && !workers.readsFile(finders[shard]);

  async function readFirst(): Promise<Map<number, Uint8Array>> {
    const found = new Map<number, Uint8Array>();
    for await (const slice of ownHashes(isSmall ? all() : sampled(), () => setImmediate()))
      for (const [index, hash] of slice) found.set(index, hash);
    return found;
  }

  async function compareRest(hashes: Uint8Array): Promise<void> {
    const rest = all().filter((index) => !compared.has(index) && !isTrusted(shardOf[index]));
    const pause = (took: number) =>
      hurry.signal.aborted
        ? setImmediate()
        : sleep(REST * took, undefined, { ref: false, signal: hurry.signal }).catch(() => {});
    for await (const slice of ownHashes(rest, pause))
      for (const [index, own] of slice) if (!isHashOf({ index }, own, hashes)) throw otherCopy(index);
  }

  function otherCopy(index: number): UserError {
    const finder = finders[shardOf[index]];
    if (finder === undefined)
      return new UserError(`${path}: ${new BlockChanged(block(layout, index)).message}`);
    const where = describeBlock(block(layout, index));
    return new UserError(
      `worker ${workers.describe(finder)} read other data in ${where} than ${path} has here: give every worker the same file, or none (--no-shared-files), and start a new run`,
    );
  }

  const check: DataCheck = {
    begin() {
      first ??= readFirst();
      first.catch(() => {});
    },
    async staleShards(hashes, by) {
      check.begin();
      finders = by;
      const own = await first!;
      compared = new Set(own.keys());
      const suspects = new Map<string, number>();
      for (const [index, hash] of own) {
        const worker = by[shardOf[index]];
        if (!suspects.has(worker) && !isHashOf({ index }, hash, hashes)) suspects.set(worker, index);
      }
      for (const [worker, index] of suspects) {
        const where = describeBlock(block(layout, index));
        if (withheld.has(worker)) throw new UserError(`${path} has changed in ${where}: start a new run`);
        withheld.add(worker);
        workers.withholdFile(worker, `${where} differs from that of ${path} at the coordinator`);
      }
      return by.flatMap((worker, shard) => (suspects.has(worker) ? [shard] : []));
    },
    watch(hashes) {
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
      return compared.has(index) || isTrusted(shardOf[index]) ? problem : otherCopy(index);
    },
    stop() {
      isStopped = true;
    },
  };
  return check;
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
