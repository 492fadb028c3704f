import { yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { blockHash, describeBlock, isHashOf } from '../../data/blocks.ts';
import { concat, elementCount } from '../../model/arrays.ts';
import { type Block, HASH_BYTES, halfOf, unitBlocks } from '../../model/layout.ts';
import { netShapes, netSize, unflatten } from '../../model/nets/net.ts';
import { generator, priority } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { transformFrom } from '../../proto/model-tensors.ts';
import { Mismatch } from '../../proto/shapes.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { type Tensors, take } from '../../proto/tensors.ts';
import { newestStates } from '../../worker/accept-round.ts';
import type { ReadBlocks } from '../../worker/blocks.ts';
import type { Backend, Tensor } from '../../worker/compute/backends/backend.ts';
import { rowKernel } from '../../worker/compute/kernels/row-kernel.ts';
import { clusterOutputs } from '../../worker/compute/mlp.ts';
import type { TaskInputs } from '../../worker/round.ts';
import { pick, transformSample } from '../../worker/rows.ts';
import type { TaskName, TaskOf } from '../table.ts';

/** What a task works with: backend, states, and the sample of each shard, transformed once and labelled on demand. No messages: those are the worker's. */

/** What a task works with besides its parameters. */
export type Context = ReturnType<typeof createContext>;

/** Runs a task on a unit: a pure function of the states, the task and the unit's rows. */
export type TaskFunction<N extends TaskName> = (
  context: Context,
  task: TaskOf<N>,
  unit: WorkUnit,
) => Promise<Tensors>;

/** A shard's part of the sample: in memory since the moments round, transformed on first use. */
export interface ShardSample {
  readonly n: number;
  /** Inputs of the model, n×dim. */
  readonly rows: Float32Array;
  /** Inputs of the networks, [n,dim]. */
  readonly scaled: Tensor;
  /** Hard labels by the clustering net, or the mixture, of `version`. */
  labels?: { version: number; byMixture: boolean; z: Int32Array };
  /** State of k-means++: the squared distance of each row to the nearest of these centres. */
  seeding?: { centres: Float64Array; weights: Float64Array };
}

/** Raw sample rows, those of priority below `below`, of the blocks `from … to−1` of a shard. */
interface KeptRows {
  from: number;
  to: number;
  raw: Float32Array;
  below: number;
  /** Of the blocks, as they were read; null once these are known to be those of the run. */
  hashes: Uint8Array | null;
}

/** Maximum bytes of features φ that stay on the device, as they are the same in every epoch. */
const MAX_FEATURE_BYTES = 64 << 20;

export function createContext({
  backend,
  states,
  readBlocks,
  layout,
  folder,
  sampleFrom,
  textsOf,
}: TaskInputs & { states: States }) {
  const { seed, dim } = layout;
  /** Blocks of each shard, and of the file. */
  const shards = unitBlocks(layout);
  const priorityOf = priority(seed);
  let rowsRead = 0;

  /** By shard: sample rows that have not been transformed yet. */
  const untransformed = new Map<number, KeptRows[]>();
  const samples = new Map<number, ShardSample>();
  const parts = new Map<number, ShardSample>();
  /** The `transform` that all of this depends on. */
  let current: { version: number; tensors: Tensors } | null = null;
  const kept = new Map<string, Tensor>();
  let keptBytes = 0;

  const read: ReadBlocks = async function* (blocks) {
    for await (const item of readBlocks(blocks)) {
      rowsRead += item[0].count;
      yield item;
    }
  };
  const hashesOfRun = () => take(states.get('hashes'), 'blocks', 'uint8');
  /** The same, but with a UserError if a block's hash differs from that of the moments round. */
  const readUnchanged: ReadBlocks = async function* (blocks) {
    const hashes = hashesOfRun();
    for await (const item of read(blocks)) {
      assertOfRun(item[0], blockHash(item[1]), hashes);
      yield item;
    }
  };

  /** Rereads sample rows that another worker read before. */
  async function recall({ shard, from, to }: WorkUnit, below: number): Promise<Float32Array> {
    const sampled: Float32Array[] = [];
    for await (const [block, values] of readUnchanged(shards[shard].slice(from, to)))
      sampled.push(pick(values, sampledRows(block, priorityOf, below), dim));
    return concat(sampled, Float32Array);
  }

  /** A shard's sample as it is in the file, not to be changed: the rows whose priority is below `below`. Only before `sample`. */
  async function rawSample(shard: number, below: number): Promise<Float32Array> {
    // The sample may have grown since they were read.
    const kept = (untransformed.get(shard) ?? []).filter((range) => range.below === below);
    const to = shards[shard].length;
    if (kept.length === 1 && kept[0].to - kept[0].from === to && !kept[0].hashes) return kept[0].raw;
    // The run may have taken the moments of these blocks from another worker, which read other rows.
    const hashes = hashesOfRun();
    for (const range of kept)
      for (const [i, block] of shards[shard].slice(range.from, range.to).entries())
        assertOfRun(block, range.hashes!.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), hashes);
    const raw =
      (kept.length ? null : await sampleFrom(shard, below)) ?? (await completed(shard, below, kept));
    untransformed.set(shard, [{ from: 0, to, raw, below, hashes: null }]);
    return raw;
  }

  /** The rows of a shard of which there are those of some ranges of blocks; others are read again. */
  async function completed(shard: number, below: number, kept: KeptRows[]): Promise<Float32Array> {
    const parts: Float32Array[] = [];
    let at = 0;
    for (const { from, to, raw } of kept.sort((a, b) => a.from - b.from)) {
      if (at < from) parts.push(await recall({ shard, from: at, to: from }, below));
      parts.push(raw);
      at = to;
    }
    const end = shards[shard].length;
    if (at < end) parts.push(await recall({ shard, from: at, to: end }, below));
    return parts.length === 1 ? parts[0] : concat(parts, Float32Array);
  }

  /** Forgets what depends on an older `transform`: all, or only the parts if just these are others. */
  function renew(): void {
    const [version, tensors] = [states.version('transform'), states.get('transform')];
    if (current?.version === version) return;
    const isSame = current !== null && differOnlyInPart(current.tensors, tensors);
    current = { version, tensors };
    const outdated = isSame ? [parts] : [parts, samples];
    for (const cache of outdated) {
      backend.free(...[...cache.values()].map(({ scaled }) => scaled));
      cache.clear();
    }
    backend.free(...kept.values());
    kept.clear();
    keptBytes = 0;
  }

  async function wholeSample(shard: number): Promise<ShardSample> {
    const cached = samples.get(shard);
    if (cached) return cached;
    const [below] = take(states.get('transform'), 'below', 'float64');
    const raw = await rawSample(shard, below);
    untransformed.delete(shard);
    const transformed = await transformSample(
      backend,
      transformFrom(states.get('transform')),
      raw,
      generator(seed, 'grid', shard),
    );
    const own = { ...transformed, n: transformed.scaled.shape[0] };
    samples.set(shard, own);
    return own;
  }

  /** The shard's part of the sample: the half of it if the transform names one, without copies of other rows. */
  async function sample(shard: number): Promise<ShardSample> {
    renew();
    const whole = await wholeSample(shard);
    const { half, copyOf } = states.get('transform');
    if (!(half && whole.n >= 2) && !copyOf) return whole;
    const cached = parts.get(shard);
    if (cached) return cached;
    const own = half
      ? halfOf(seed, half.data[0], shard, whole.n)
      : Uint32Array.from({ length: whole.n }, (_, i) => i);
    const index = copyOf ? withoutCopies(own, shard) : own;
    const rows = pick(whole.rows, index, whole.scaled.shape[1]);
    const part = { n: index.length, rows, scaled: backend.gather(whole.scaled, index) };
    parts.set(shard, part);
    return part;
  }

  /** Those of the shard's rows that are not copies of others. */
  function withoutCopies(rows: Uint32Array, shard: number): Uint32Array {
    const transform = states.get('transform');
    const copyOf = take(transform, 'copyOf', 'int32');
    const starts = take(transform, 'copyStarts', 'int32');
    if (starts[shard + 1] - starts[shard] !== rows.length)
      throw new Mismatch(
        `transform: copies among ${starts[shard + 1] - starts[shard]} rows of shard ${shard}, which has ${rows.length}`,
      );
    return rows.filter((_, i) => copyOf[starts[shard] + i] === starts[shard] + i);
  }

  /**
   * The outputs of the clustering net for rows [n,D] on the device (or the log-densities of clusters by the mixture), `most` rows at a
   * time, valid until the next are asked for.
   */
  async function* outputs(scaled: Tensor, most = FORWARD_ROWS, byMixture = false) {
    const classifier = states.classifier(byMixture);
    const [n] = scaled.shape;
    for (let start = 0; start < n; start += most) {
      // With thousands of clusters a shard takes seconds, in which the coordinator must not think that the worker is gone.
      await yieldToEventLoop();
      const x = n <= most ? scaled : backend.slice(scaled, start, Math.min(most, n - start));
      const layers = clusterOutputs(backend, classifier, byMixture, x);
      try {
        yield { start, x, logits: layers.at(-1)! };
      } finally {
        backend.free(...layers, ...(x === scaled ? [] : [x]));
      }
    }
  }

  return {
    backend,
    /** Passes over rows in host memory. */
    kernel: rowKernel(),
    states,
    dim,
    layout,
    shards,
    seed,
    read,
    readUnchanged,
    textsOf,
    /** Where parts of results are written; null until the coordinator has shown it. */
    folder,
    blocks: ({ shard, from, to }: WorkUnit): Block[] => shards[shard].slice(from, to),
    /** Stores the raw sample rows of a unit, in the moments round, and the hashes of its blocks, by which they are recognised later. */
    keep({ shard, from, to }: WorkUnit, raw: Float32Array, hashes: Uint8Array, below: number): void {
      const others = (untransformed.get(shard) ?? []).filter((one) => one.to <= from || one.from >= to);
      untransformed.set(shard, [...others, { from, to, raw, below, hashes }]);
    },
    rawSample,
    sample,
    outputs,
    /** Hard labels of a shard's sample by the current clustering net, or mixture. */
    async labels(shard: number, byMixture = false): Promise<Int32Array> {
      const own = await sample(shard);
      const version = states.version(byMixture ? 'e-step' : 'net');
      if (own.labels?.version === version && own.labels.byMixture === byMixture) return own.labels.z;
      const z = new Int32Array(own.n);
      for await (const { start, logits } of outputs(own.scaled, FORWARD_ROWS, byMixture))
        z.set(await backend.argmaxRows(logits), start);
      own.labels = { version, byMixture, z };
      return z;
    },
    /** φ of the block of a shard's sample that starts at row `start`. The caller frees it unless it is `kept`. */
    features(shard: number, start: number, x: Tensor, diagonal: boolean): { tensor: Tensor; kept: boolean } {
      const key = [shard, start, x.shape[0], diagonal].join('/');
      const cached = kept.get(key);
      if (cached) return { tensor: cached, kept: true };
      const tensor = backend.quadraticFeatures(x, diagonal);
      const bytes = 4 * elementCount(tensor.shape);
      if (keptBytes + bytes > MAX_FEATURE_BYTES) return { tensor, kept: false };
      kept.set(key, tensor);
      keptBytes += bytes;
      return { tensor, kept: true };
    },
    /** Rows read from the source since the last call. */
    rowsRead(): number {
      const rows = rowsRead;
      rowsRead = 0;
      return rows;
    },
    /** Frees everything on the device, including states. The context must not be used afterwards. */
    free(): void {
      for (const { scaled } of [...samples.values(), ...parts.values()]) backend.free(scaled);
      backend.free(...kept.values());
      states.free();
    },
  };
}

/** Only the coordinator can tell whether its file has changed since the run began, or this worker's is another one. */
function assertOfRun(block: Block, hash: Uint8Array, hashes: Uint8Array): void {
  if (!isHashOf(block, hash, hashes))
    throw new UserError(`${describeBlock(block)} differs from what the run began with`);
}

/** Do both transforms map rows to the same, and sample the same ones, before a part of these is left out? */
function differOnlyInPart(a: Tensors, b: Tensors): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const name of ['half', 'copyOf', 'copyStarts']) names.delete(name);
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

export type States = ReturnType<typeof createStates>;
type NetName = 'net' | 'subs';

/** The states that the coordinator last sent. Tensors are uploaded to the device on first use, where they stay until replaced. */
export function createStates(backend: Backend) {
  const states = newestStates();
  /** Of each state, what is on the device. */
  const devices = new Map<string, Map<string, Tensor>>();
  const onDevice = (name: string, key: string, values: () => [Float32Array, readonly number[]]) => {
    const device = devices.get(name)!;
    const uploaded = device.get(key) ?? backend.upload(...values());
    device.set(key, uploaded);
    return uploaded;
  };
  /** The parameters of a net, or Adam's moments of it, as one flat array, with the shapes of its parts. */
  const flat = (net: NetName, moment?: 'first' | 'second') => {
    const tensors = states.get(net);
    const shapes = netShapes([...take(tensors, 'widths', 'int32')], take(tensors, 'nets', 'int32', 1)[0]);
    const data = moment
      ? take(states.get(`${net}-moments`), moment, 'float32', netSize(shapes))
      : take(tensors, 'params', 'float32', netSize(shapes));
    return { data, shapes };
  };
  /** The net's layers as separate arrays. */
  const layers = (net: NetName, moment?: 'first' | 'second') => {
    const { data, shapes } = flat(net, moment);
    return unflatten(data, shapes).map((values, i) => ({ data: values, shape: shapes[i] }));
  };
  return {
    ...states,
    put(name: string, version: number, tensors: Tensors): void {
      states.put(name, version, tensors);
      backend.free(...(devices.get(name)?.values() ?? []));
      devices.set(name, new Map());
    },
    /** A tensor of a state on the device. */
    onDevice(name: string, tensor: string): Tensor {
      const tensors = states.get(name);
      return onDevice(name, tensor, () => [take(tensors, tensor, 'float32'), tensors[tensor].shape]);
    },
    /** A net's weights W₁, b₁, … on the device. */
    net: (name: NetName): Tensor[] =>
      layers(name).map(({ data, shape }, i) => onDevice(name, `params/${i}`, () => [data, shape])),
    /** What gives rows their clusters, on the device, the last [K]: the clustering net, or the mixture's weights, bias and constant. */
    classifier(byMixture = false): Tensor[] {
      const tensors = ['weights', 'bias', 'constant'];
      return byMixture ? tensors.map((tensor) => this.onDevice('e-step', tensor)) : this.net('net');
    },
    flat,
    layers,
    /** Frees everything on the device. */
    free(): void {
      for (const device of devices.values()) backend.free(...device.values());
      devices.clear();
      states.clear();
    },
  };
}
