import { assertUnchanged } from '../data/blocks.ts';
import { type Block, type Layout, shardBlocks } from '../model/layout.ts';
import { priority } from '../model/random.ts';
import type { WorkUnit } from '../proto/messages.ts';
import { take } from '../proto/tensors.ts';
import type { ReadBlocks } from './blocks.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { type RowKernel, rowKernel } from './compute/kernels/row-kernel.ts';
import { concat, pick } from './rows.ts';
import { type Sample, Samples, sampledRows } from './samples.ts';
import type { States } from './states.ts';

/** What a task has at hand besides its parameters. */
export interface Context {
  readonly backend: Backend;
  /** Passes over rows that are not on the device. */
  readonly kernel: RowKernel;
  readonly states: States;
  readonly dim: number;
  readonly seed: bigint;
  readonly read: ReadBlocks;
  /** The same, each block checked against the hash that the moments round found: a UserError if it differs. */
  readonly readUnchanged: ReadBlocks;
  readonly layout: Layout;
  /** Blocks of each shard. */
  readonly shards: Block[][];
  blocks(unit: WorkUnit): Block[];
  /** Raw sample rows, as the moments round puts them by. */
  keep(shard: number, raw: Float32Array): void;
  sample(shard: number): Promise<Sample>;
  /** Hard labels of a shard's sample by the clustering net at hand. */
  labels(shard: number): Promise<Int32Array>;
  /** φ of the block of a shard's sample that starts at row `start`; `kept`: not the caller's to free. */
  features(shard: number, start: number, x: Tensor, diagonal: boolean): { tensor: Tensor; kept: boolean };
  /** Rows read from the source since the last call. */
  rowsRead(): number;
  /** Frees all that is on the device, states included. The context is of no use afterwards. */
  free(): void;
}

export function createContext(
  backend: Backend,
  states: States,
  readBlocks: ReadBlocks,
  layout: Layout,
): Context {
  const seed = BigInt(layout.seed);
  const shards = shardBlocks(layout);
  const priorityOf = priority(seed);
  const samples = new Samples(backend, states, recall);
  let rowsRead = 0;

  const read: ReadBlocks = async function* (blocks) {
    for await (const found of readBlocks(blocks)) {
      rowsRead += found[0].count;
      yield found;
    }
  };
  const readUnchanged: ReadBlocks = async function* (blocks) {
    const hashes = take(states.get('hashes'), 'blocks', 'uint8');
    for await (const found of read(blocks)) {
      assertUnchanged(...found, hashes);
      yield found;
    }
  };
  /** Reads again what the worker that had this shard before had kept. */
  async function recall(shard: number): Promise<Float32Array> {
    const found: Float32Array[] = [];
    const [below] = take(states.get('transform'), 'below', 'float64');
    for await (const [block, values] of readUnchanged(shards[shard])) {
      const rows = sampledRows(block, priorityOf, below);
      if (rows.length) found.push(pick(values, rows, layout.dim));
    }
    return concat(found);
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
    keep: (shard, raw) => samples.keep(shard, raw),
    sample: (shard) => samples.of(shard),
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
