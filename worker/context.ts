import { assertUnchanged } from '../data/blocks.ts';
import { type Block, type Layout, shardBlocks } from '../model/layout.ts';
import { priority } from '../model/random.ts';
import type { Unit } from '../proto/messages.ts';
import { elements, take } from '../proto/tensors.ts';
import type { ReadBlocks } from './blocks.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { type RowKernel, rowKernel } from './compute/kernels/row-kernel.ts';
import { FORWARD_ROWS, forward } from './compute/mlp.ts';
import { concat, pick, transformFrom, transformRows } from './rows.ts';
import type { States } from './states.ts';

/** A shard's part of the sample: in memory since the moments round, transformed on first use. */
export interface Sample {
  readonly n: number;
  /** n×dim, as the model sees them. */
  readonly rows: Float32Array;
  /** [n,dim], as the networks see them. */
  readonly scaled: Tensor;
  /** Hard labels by the clustering net of `version`. */
  labels?: { version: number; z: Int32Array };
  /** Of k-means++: D² of each row to the nearest of these centres. */
  seeding?: { centres: Float64Array; weights: Float64Array };
}

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
  blocks(unit: Unit): Block[];
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

/** Features of sample rows that stay on the device: they are the same in every epoch. */
const FEATURE_BYTES = 64 << 20;

export function createContext(
  backend: Backend,
  states: States,
  readBlocks: ReadBlocks,
  layout: Layout,
): Context {
  const seed = BigInt(layout.seed);
  const shards = shardBlocks(layout);
  const raw = new Map<number, Float32Array>();
  const samples = new Map<number, Sample & { transform: number }>();
  const priorityOf = priority(seed);
  const kept = new Map<string, Tensor>();
  let keptBytes = 0;
  let read = 0;

  /** Reads again what the worker that had this shard before had kept. */
  async function recall(shard: number): Promise<Float32Array> {
    const found: Float32Array[] = [];
    const [below] = take(states.get('transform'), 'below', 'float64');
    for await (const [block, values] of self.readUnchanged(shards[shard])) {
      const rows = sampledRows(block, priorityOf, below);
      if (rows.length) found.push(pick(values, rows, layout.dim));
    }
    return concat(found);
  }

  const self: Context = {
    backend,
    kernel: rowKernel(),
    states,
    dim: layout.dim,
    layout,
    shards,
    seed,
    async *read(blocks) {
      for await (const found of readBlocks(blocks)) {
        read += found[0].count;
        yield found;
      }
    },
    async *readUnchanged(blocks) {
      const hashes = take(states.get('hashes'), 'blocks', 'uint8');
      for await (const found of self.read(blocks)) {
        assertUnchanged(...found, hashes);
        yield found;
      }
    },
    blocks: ({ shard, from, to }) => shards[shard].slice(from, to),
    keep: (shard, rows) => void raw.set(shard, rows),
    async sample(shard) {
      const version = states.version('transform');
      const known = samples.get(shard);
      if (known?.transform === version) return known;
      if (known) {
        // First, as reading may fail: nobody may find what is freed.
        samples.delete(shard);
        backend.free(known.scaled);
      }
      const rows = raw.get(shard) ?? (await recall(shard));
      raw.delete(shard);
      const made = await transformRows(backend, transformFrom(states), rows);
      const sample = { ...made, n: made.scaled.shape[0], transform: version };
      samples.set(shard, sample);
      return sample;
    },
    async labels(shard) {
      const sample = await self.sample(shard);
      const version = states.version('net');
      if (sample.labels?.version !== version) {
        const z = new Int32Array(sample.n);
        for (let start = 0; start < sample.n; start += FORWARD_ROWS) {
          const x = backend.slice(sample.scaled, start, Math.min(FORWARD_ROWS, sample.n - start));
          const layers = forward(backend, states.net('net'), x);
          z.set(await backend.argmaxRows(layers.at(-1)!), start);
          backend.free(x, ...layers);
        }
        sample.labels = { version, z };
      }
      return sample.labels.z;
    },
    features(shard, start, x, diagonal) {
      const key = [states.version('transform'), shard, start, x.shape[0], diagonal].join('/');
      const known = kept.get(key);
      if (known) return { tensor: known, kept: true };
      const tensor = backend.quadraticFeatures(x, diagonal);
      const bytes = 4 * elements(tensor.shape);
      if (keptBytes + bytes > FEATURE_BYTES) return { tensor, kept: false };
      kept.set(key, tensor);
      keptBytes += bytes;
      return { tensor, kept: true };
    },
    free() {
      for (const { scaled } of samples.values()) backend.free(scaled);
      backend.free(...kept.values());
      states.free();
    },
    rowsRead() {
      const rows = read;
      read = 0;
      return rows;
    },
  };
  return self;
}

/** Places within a block of the rows in the sample: a function of each row's index alone. */
export function sampledRows(block: Block, priorityOf: (row: number) => number, below: number): number[] {
  const rows: number[] = [];
  for (let i = 0; i < block.count; i++) if (priorityOf(block.start + i) < below) rows.push(i);
  return rows;
}
