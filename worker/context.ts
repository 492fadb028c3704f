import { UserError } from '../base/user-error.ts';
import { blockHash, describeBlock, isHashOf } from '../data/blocks.ts';
import { concat } from '../model/arrays.ts';
import { type Block, HASH_BYTES, type Layout, shardBlocks } from '../model/layout.ts';
import { priority, type Seed } from '../model/random.ts';
import type { WorkUnit } from '../proto/messages.ts';
import { take } from '../proto/tensors.ts';
import type { ReadBlocks } from './blocks.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { type RowKernel, rowKernel } from './compute/kernels/row-kernel.ts';
import { pick } from './rows.ts';
import { type KeptRows, Samples, type ShardSample, sampledRows } from './samples.ts';
import type { States } from './states.ts';

/** What a task works with besides its parameters. */
export interface Context {
  readonly backend: Backend;
  /** Passes over rows in host memory. */
  readonly kernel: RowKernel;
  readonly states: States;
  readonly dim: number;
  readonly seed: Seed;
  readonly read: ReadBlocks;
  /** The same, but with a UserError if a block's hash differs from that of the moments round. */
  readonly readUnchanged: ReadBlocks;
  readonly layout: Layout;
  /** Blocks of each shard. */
  readonly shards: Block[][];
  blocks(unit: WorkUnit): Block[];
  /** Stores a shard's raw sample rows, in the moments round, and the hashes of its blocks, by which they are recognised later. */
  keep(shard: number, raw: Float32Array, hashes: Uint8Array, below: number): void;
  sample(shard: number): Promise<ShardSample>;
  /** A shard's sample as it is in the file, not to be changed: the rows whose priority is below `below`. Only before `sample`. */
  rawSample(shard: number, below: number): Promise<Float32Array>;
  /** Hard labels of a shard's sample by the current clustering net. */
  labels(shard: number): Promise<Int32Array>;
  /** φ of the block of a shard's sample that starts at row `start`. The caller frees it unless it is `kept`. */
  features(shard: number, start: number, x: Tensor, diagonal: boolean): { tensor: Tensor; kept: boolean };
  /** Rows read from the source since the last call. */
  rowsRead(): number;
  /** Frees everything on the device, including states. The context must not be used afterwards. */
  free(): void;
}

export function createContext(
  backend: Backend,
  states: States,
  readBlocks: ReadBlocks,
  layout: Layout,
): Context {
  const seed = layout.seed;
  const shards = shardBlocks(layout);
  const priorityOf = priority(seed);
  const samples = new Samples(backend, states, seed, recall, assertKept);
  let rowsRead = 0;

  const read: ReadBlocks = async function* (blocks) {
    for await (const item of readBlocks(blocks)) {
      rowsRead += item[0].count;
      yield item;
    }
  };
  const readUnchanged: ReadBlocks = async function* (blocks) {
    const hashes = take(states.get('hashes'), 'blocks', 'uint8');
    for await (const item of read(blocks)) {
      assertOfRun(item[0], blockHash(item[1]), hashes);
      yield item;
    }
  };
  /** The run may have taken the moments of this shard from another worker, which read other rows. */
  function assertKept(shard: number, found: Uint8Array): void {
    const hashes = take(states.get('hashes'), 'blocks', 'uint8');
    for (const [i, block] of shards[shard].entries())
      assertOfRun(block, found.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), hashes);
  }
  /** Rereads the sample of a shard that another worker held before. */
  async function recall(shard: number, below: number): Promise<KeptRows> {
    const sampled: Float32Array[] = [];
    const all = take(states.get('hashes'), 'blocks', 'uint8');
    const hashes = shards[shard].map(({ index }) =>
      all.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES),
    );
    for await (const [block, values] of readUnchanged(shards[shard])) {
      const rows = sampledRows(block, priorityOf, below);
      if (rows.length) sampled.push(pick(values, rows, layout.dim));
    }
    return { raw: concat(sampled, Float32Array), hashes: Uint8Array.from(Buffer.concat(hashes)), below };
  }

  return {
    backend,
    kernel: rowKernel(),
    states,
    dim: layout.dim,
    layout,
    shards,
    seed,
    read,
    readUnchanged,
    blocks: ({ shard, from, to }) => shards[shard].slice(from, to),
    keep: (...kept) => samples.keep(...kept),
    sample: (shard) => samples.of(shard),
    rawSample: (shard, below) => samples.raw(shard, below),
    labels: (shard) => samples.labels(shard),
    features: (shard, start, x, diagonal) => samples.features(shard, start, x, diagonal),
    rowsRead() {
      const rows = rowsRead;
      rowsRead = 0;
      return rows;
    },
    free() {
      samples.free();
      states.free();
    },
  };
}

/** Only the coordinator can tell whether its file has changed since the run began, or this worker's is another one. */
function assertOfRun(block: Block, hash: Uint8Array, hashes: Uint8Array): void {
  if (!isHashOf(block, hash, hashes))
    throw new UserError(`${describeBlock(block)} differs from what the run began with`);
}
