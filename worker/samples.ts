import { elementCount } from '../model/arrays.ts';
import type { Block } from '../model/layout.ts';
import { halfOf } from '../model/sampling/halves.ts';
import { FORWARD_ROWS } from '../proto/tasks.ts';
import { type Tensors, take } from '../proto/tensors.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { forward } from './compute/mlp.ts';
import { pick, transformFrom, transformSample } from './rows.ts';
import type { States } from './states.ts';

/** A shard's part of the sample: in memory since the moments round, transformed on first use. */
export interface ShardSample {
  readonly n: number;
  /** Inputs of the model, n×dim. */
  readonly rows: Float32Array;
  /** Inputs of the networks, [n,dim]. */
  readonly scaled: Tensor;
  /** Hard labels by the clustering net of `version`. */
  labels?: { version: number; z: Int32Array };
  /** State of k-means++: the squared distance of each row to the nearest of these centres. */
  seeding?: { centres: Float64Array; weights: Float64Array };
}

/** A shard's raw sample rows, those of priority below `below`, and the hashes of its blocks. */
export interface KeptRows {
  raw: Float32Array;
  hashes: Uint8Array;
  below: number;
}

/** Maximum bytes of features φ that stay on the device, as they are the same in every epoch. */
const MAX_FEATURE_BYTES = 64 << 20;

/** The shards' parts of the sample, and what is computed from them, cached until a state that it depends on is replaced. */
export class Samples {
  readonly #backend: Backend;
  readonly #states: States;
  readonly #seed: bigint;
  readonly #recall: (shard: number, below: number) => Promise<KeptRows>;
  readonly #assertKept: (shard: number, hashes: Uint8Array) => void;
  /** By shard: rows that have not been transformed yet. */
  readonly #raw = new Map<number, KeptRows>();
  readonly #samples = new Map<number, ShardSample>();
  readonly #halves = new Map<number, ShardSample>();
  /** The `transform` that all of this depends on. */
  #of: { version: number; tensors: Tensors } | null = null;
  readonly #features = new Map<string, Tensor>();
  #featureBytes = 0;

  /**
   * `recall` rereads a shard's raw sample rows if this worker has not kept them; `assertKept` throws if kept rows are not those
   * of the run.
   */
  constructor(
    backend: Backend,
    states: States,
    seed: bigint,
    recall: (shard: number, below: number) => Promise<KeptRows>,
    assertKept: (shard: number, hashes: Uint8Array) => void,
  ) {
    this.#backend = backend;
    this.#states = states;
    this.#seed = seed;
    this.#recall = recall;
    this.#assertKept = assertKept;
  }

  /** Stores a shard's raw sample rows, those of priority below `below`, in the moments round, with the hashes of its blocks. */
  keep(shard: number, raw: Float32Array, hashes: Uint8Array, below: number): void {
    this.#raw.set(shard, { raw, hashes, below });
  }

  /** The raw sample rows, for as long as they have not been transformed. `below`: a row with a lower priority is in the sample. */
  async raw(shard: number, below: number): Promise<Float32Array> {
    let kept = this.#raw.get(shard);
    if (kept) this.#assertKept(shard, kept.hashes);
    // The sample may have grown since they were read.
    if (kept?.below !== below) {
      kept = await this.#recall(shard, below);
      this.#raw.set(shard, kept);
    }
    return kept.raw;
  }

  /** The shard's part of the sample; the half of it, if the transform names one. */
  async of(shard: number): Promise<ShardSample> {
    this.#renew();
    const whole = await this.#whole(shard);
    const { half } = this.#states.get('transform');
    if (!half || whole.n < 2) return whole;
    let sample = this.#halves.get(shard);
    if (!sample) {
      const index = halfOf(this.#seed, half.data[0], shard, whole.n);
      const dim = whole.scaled.shape[1];
      sample = {
        n: index.length,
        rows: pick(whole.rows, index, dim),
        scaled: this.#backend.gather(whole.scaled, index),
      };
      this.#halves.set(shard, sample);
    }
    return sample;
  }

  /** Forgets what depends on an older `transform`: all, or only the halves if just these are others. */
  #renew(): void {
    const version = this.#states.version('transform');
    const tensors = this.#states.get('transform');
    if (this.#of?.version === version) return;
    const isSame = this.#of !== null && differOnlyInHalf(this.#of.tensors, tensors);
    this.#of = { version, tensors };
    const outdated: { scaled: Tensor }[] = [...this.#halves.values()];
    this.#halves.clear();
    if (!isSame) {
      outdated.push(...this.#samples.values());
      this.#samples.clear();
    }
    this.#backend.free(...outdated.map(({ scaled }) => scaled), ...this.#features.values());
    this.#features.clear();
    this.#featureBytes = 0;
  }

  async #whole(shard: number): Promise<ShardSample> {
    const cached = this.#samples.get(shard);
    if (cached) return cached;
    const [below] = take(this.#states.get('transform'), 'below', 'float64');
    const raw = await this.raw(shard, below);
    this.#raw.delete(shard);
    const transformed = await transformSample(this.#backend, transformFrom(this.#states), raw);
    const sample = { ...transformed, n: transformed.scaled.shape[0] };
    this.#samples.set(shard, sample);
    return sample;
  }

  /** Hard labels of a shard's sample by the current clustering net. */
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

  /** φ of the block of a shard's sample that starts at row `start`. The caller frees it unless it is `kept`. */
  features(shard: number, start: number, x: Tensor, diagonal: boolean): { tensor: Tensor; kept: boolean } {
    const key = [shard, start, x.shape[0], diagonal].join('/');
    const cached = this.#features.get(key);
    if (cached) return { tensor: cached, kept: true };
    const tensor = this.#backend.quadraticFeatures(x, diagonal);
    const bytes = 4 * elementCount(tensor.shape);
    if (this.#featureBytes + bytes > MAX_FEATURE_BYTES) return { tensor, kept: false };
    this.#features.set(key, tensor);
    this.#featureBytes += bytes;
    return { tensor, kept: true };
  }

  /** Frees everything on the device. */
  free(): void {
    for (const { scaled } of [...this.#samples.values(), ...this.#halves.values()])
      this.#backend.free(scaled);
    this.#backend.free(...this.#features.values());
  }
}

/** Do both transforms map rows to the same, and sample the same ones? */
function differOnlyInHalf(a: Tensors, b: Tensors): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  names.delete('half');
  return [...names].every((name) => {
    const [own, other] = [a[name]?.data, b[name]?.data];
    return own?.length === other?.length && own.every((value, i) => value === other[i]);
  });
}

/** Indices within a block of the rows that are in the sample. Depends only on the rows' indices in the file. */
export function sampledRows(block: Block, priorityOf: (row: number) => number, below: number): number[] {
  const rows: number[] = [];
  for (let i = 0; i < block.count; i++) if (priorityOf(block.start + i) < below) rows.push(i);
  return rows;
}
