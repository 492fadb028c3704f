import { elementCount } from '../model/arrays.ts';
import type { Block } from '../model/layout.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { FORWARD_ROWS, forward } from './compute/mlp.ts';
import { transformFrom, transformRows } from './rows.ts';
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

/** Features of sample rows that stay on the device: they are the same in every epoch. */
const FEATURE_BYTES = 64 << 20;

/** The shards' parts of the sample and what was made of them, each until a state that it hangs on is replaced. */
export class Samples {
  readonly #backend: Backend;
  readonly #states: States;
  readonly #recall: (shard: number) => Promise<Float32Array>;
  /** Raw rows that have not been transformed yet. */
  readonly #raw = new Map<number, Float32Array>();
  readonly #samples = new Map<number, Sample & { transform: number }>();
  readonly #features = new Map<string, Tensor>();
  #featureBytes = 0;

  /** `recall` reads a shard's raw sample rows again, for a worker that has not kept them. */
  constructor(backend: Backend, states: States, recall: (shard: number) => Promise<Float32Array>) {
    this.#backend = backend;
    this.#states = states;
    this.#recall = recall;
  }

  /** Raw sample rows, as the moments round puts them by. */
  keep(shard: number, raw: Float32Array): void {
    this.#raw.set(shard, raw);
  }

  async of(shard: number): Promise<Sample> {
    const version = this.#states.version('transform');
    const known = this.#samples.get(shard);
    if (known?.transform === version) return known;
    if (known) {
      // First, as reading may fail: nobody may find what is freed.
      this.#samples.delete(shard);
      this.#backend.free(known.scaled);
    }
    const raw = this.#raw.get(shard) ?? (await this.#recall(shard));
    this.#raw.delete(shard);
    const made = await transformRows(this.#backend, transformFrom(this.#states), raw);
    const sample = { ...made, n: made.scaled.shape[0], transform: version };
    this.#samples.set(shard, sample);
    return sample;
  }

  /** Hard labels of a shard's sample by the clustering net at hand. */
  async labels(shard: number): Promise<Int32Array> {
    const sample = await this.of(shard);
    const version = this.#states.version('net');
    if (sample.labels?.version === version) return sample.labels.z;
    const z = new Int32Array(sample.n);
    for (let start = 0; start < sample.n; start += FORWARD_ROWS) {
      const x = this.#backend.slice(sample.scaled, start, Math.min(FORWARD_ROWS, sample.n - start));
      const layers = forward(this.#backend, this.#states.net('net'), x);
      z.set(await this.#backend.argmaxRows(layers.at(-1)!), start);
      this.#backend.free(x, ...layers);
    }
    sample.labels = { version, z };
    return z;
  }

  /** φ of the block of a shard's sample that starts at row `start`; `kept`: not the caller's to free. */
  features(shard: number, start: number, x: Tensor, diagonal: boolean): { tensor: Tensor; kept: boolean } {
    const key = [this.#states.version('transform'), shard, start, x.shape[0], diagonal].join('/');
    const known = this.#features.get(key);
    if (known) return { tensor: known, kept: true };
    const tensor = this.#backend.quadraticFeatures(x, diagonal);
    const bytes = 4 * elementCount(tensor.shape);
    if (this.#featureBytes + bytes > FEATURE_BYTES) return { tensor, kept: false };
    this.#features.set(key, tensor);
    this.#featureBytes += bytes;
    return { tensor, kept: true };
  }

  /** Frees all that is on the device. */
  free(): void {
    for (const { scaled } of this.#samples.values()) this.#backend.free(scaled);
    this.#backend.free(...this.#features.values());
  }
}

/** Places within a block of the rows in the sample: a function of each row's index alone. */
export function sampledRows(block: Block, priorityOf: (row: number) => number, below: number): number[] {
  const rows: number[] = [];
  for (let i = 0; i < block.count; i++) if (priorityOf(block.start + i) < below) rows.push(i);
  return rows;
}
