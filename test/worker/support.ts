import assert from 'node:assert/strict';
import { blockHash } from '../../data/blocks.ts';
import type { Transform } from '../../data/transform.ts';
import type { TransformChoice } from '../../data/transform-choice.ts';
import { planTransform } from '../../data/transform-plan.ts';
import { centresOf } from '../../model/description/distances.ts';
import { block, blockCount, type Layout, layoutOf, shardBlocks } from '../../model/layout.ts';
import type { Mixture } from '../../model/mixture.ts';
import { initialAutoencoder } from '../../model/nets/autoencoder.ts';
import { clusteringNet, type Net, subNets } from '../../model/nets/net.ts';
import { generator, priority } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { netStates, transformTensors } from '../../proto/model-tensors.ts';
import { bytesOf, dtypeOf, nd, type Tensors } from '../../proto/tensors.ts';
import { type Context, createContext, createStates, type States } from '../../tasks/compute/context.ts';
import type { ReadBlocks } from '../../worker/blocks.ts';
import type { Backend } from '../../worker/compute/backends/backend.ts';
import type { TaskInputs } from '../../worker/round.ts';
import { normals } from '../model/support.ts';

export type Matrix = number[][];

/** rows × cols standard normal numbers that float32 represents exactly. */
export function randomMatrix(seed: number, rows: number, cols: number, by = 1): Matrix {
  const next = normals(seed);
  return Array.from({ length: rows }, () => Array.from({ length: cols }, () => Math.fround(by * next())));
}

export const flat = (matrices: Matrix[] | Matrix) => Float32Array.from(matrices.flat(2));

/** Rows of `dim` numbers. */
export const matrixOf = (values: ArrayLike<number>, dim: number): Matrix =>
  Array.from({ length: values.length / dim }, (_, i) =>
    Array.from({ length: dim }, (_, j) => values[i * dim + j]),
  );

export const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
export const range = (n: number) => [...Array(n).keys()];

export function softmax(row: number[]): number[] {
  const top = Math.max(...row);
  const e = row.map((v) => Math.exp(v - top));
  return e.map((v) => v / sum(e));
}

export const argmax = (row: number[]) => row.indexOf(Math.max(...row));

/** |actual − expected| ≤ tolerance · the largest finite |expected|; those that are not finite are the same. */
export function agrees(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = '',
): void {
  assert.equal(actual.length, expected.length, what);
  const size = Math.max(1e-30, ...Array.from(expected, Math.abs).filter(Number.isFinite));
  for (let i = 0; i < actual.length; i++) {
    const within = Object.is(actual[i], expected[i]) || Math.abs(actual[i] - expected[i]) <= tolerance * size;
    assert.ok(
      within,
      `${what} entry ${i}: ${actual[i]} is not within ${tolerance}·${size} of ${expected[i]}`,
    );
  }
}

/** Logits of one row by the c-th of the nets stacked in `net` (or by the only one), in float64. */
export function logitsOf({ shapes, params }: Net, row: number[], c = 0): number[] {
  let at = row;
  for (let l = 0; l < shapes.length; l += 2) {
    const [rows, cols] = shapes[l].slice(-2);
    const [w, b] = [c * rows * cols, c * cols];
    at = range(cols).map((j) => {
      const value = params[l + 1][b + j] + sum(at.map((x, i) => x * params[l][w + i * cols + j]));
      return l + 2 < shapes.length ? Math.max(0, value) : value;
    });
  }
  return at;
}

/** Bytes, shapes and types of tensors, to compare results bit for bit. */
export const bytes = (tensors: Tensors) =>
  Object.entries(tensors).map(([name, { shape, data }]) => [
    name,
    dtypeOf(data),
    shape.join(),
    bytesOf(data).toString('base64'),
  ]);

export const SEED = 12345n;
export const D = 3;
const SHARDS = 3;

/** Three blobs of unequal size, away from the origin, in columns of different scales; sorted by blob. */
export function blobs(n: number, seed = 1): Float32Array {
  const next = normals(seed);
  const centres = [
    [0, 0, 0],
    [6, 1, -4],
    [-1, 7, 3],
  ];
  const units = [1, 10, 0.1];
  return Float32Array.from({ length: n * D }, (_, p) => {
    const [i, d] = [Math.floor(p / D), p % D];
    return 5 + units[d] * (next() + centres[i < n / 2 ? 0 : i < 0.8 * n ? 1 : 2][d]);
  });
}

/** A ReadBlocks over rows in memory: each block is a copy, which the caller may modify. */
export const memoryBlocks = (rows: Float32Array, dim: number): ReadBlocks =>
  async function* (blocks) {
    for (const block of blocks)
      yield [block, rows.slice(block.start * dim, (block.start + block.count) * dim)];
  };

/** A text for each row of these blocks, with the labels 0, 1, 2 in turn, as a coordinator serves them. */
export function textsOfBlocks(layout: Layout, blocks: readonly number[]): Tensors {
  const rows = blocks.flatMap((index) => {
    const { start, count } = block(layout, index);
    return range(count).map((i) => start + i);
  });
  const texts = rows.map((row) => Buffer.from(`the row ${['alpha', 'beta', 'gamma'][row % 3]} of ${row}`));
  return {
    texts: nd(new Uint8Array(Buffer.concat(texts))),
    lengths: nd(Int32Array.from(texts, ({ length }) => length)),
    labels: nd(Int32Array.from(rows, (row) => row % 3)),
  };
}

/** The context of a worker with rows in memory, and with texts. */
export const contextOf = (
  backend: Backend,
  states: States,
  readBlocks: ReadBlocks,
  layout: Layout,
  sampleFrom: TaskInputs['sampleFrom'] = async () => null,
) =>
  createContext({
    ...{ backend, states, readBlocks, layout, sampleFrom, folder: () => null },
    textsOf: async (blocks) => textsOfBlocks(layout, blocks),
  });

/** The transform of this choice, from float64 moments of the rows. */
export function transformFor(choice: TransformChoice, raw: Float32Array, dim: number): Transform {
  let rows = matrixOf(raw, dim);
  if (choice === 'normalize') rows = rows.map((row) => row.map((v) => v / Math.hypot(...row)));
  return planTransform(choice, momentsOf(rows)).transform;
}

export function momentsOf(rows: Matrix) {
  const n = rows.length;
  const columns = rows[0].map((_, d) => rows.map((row) => row[d]));
  const mean = columns.map((column) => sum(column) / n);
  const covariance = columns.flatMap((a, i) =>
    columns.map((b, j) => sum(a.map((v, r) => (v - mean[i]) * (b[r] - mean[j]))) / (n - 1)),
  );
  return {
    rows: n,
    mean: Float64Array.from(mean),
    covariance: Float64Array.from(covariance),
    min: Float64Array.from(columns, (column) => Math.min(...column)),
    max: Float64Array.from(columns, (column) => Math.max(...column)),
  };
}

/** The state `transform` as the coordinator sends it. */
export const transformState = (transform: Transform, below: number): Tensors => ({
  ...transformTensors(transform),
  below: nd(Float64Array.of(below)),
});

/** The state `hashes` of these rows. */
export function hashesState(raw: Float32Array, layout: Layout): Tensors {
  const hashes = allBlocks(layout).map(({ start, count }) =>
    blockHash(raw.subarray(start * layout.dim, (start + count) * layout.dim)),
  );
  return { blocks: nd(Uint8Array.from(hashes.flatMap((hash) => [...hash])), hashes.length, 16) };
}

/** The state of a net's weights, or of `params` instead; and the state of its moments. */
export const weightsOf = (net: Net, params = net.params): Tensors => netStates({ ...net, params }).weights;
export const adamStateOf = (net: Net): Tensors => netStates(net).moments;

/** A clustering net that assigns different labels. */
export function livelyNet(k: number, hidden = [8], d = D): Net {
  const net = clusteringNet(SEED, d, hidden, k);
  const last = net.params.length - 2;
  return { ...net, params: net.params.map((values, i) => (i === last ? values.map((v) => 20 * v) : values)) };
}

/** A net with Adam moments as after some steps. */
export function withMoments(net: Net): Net {
  const next = normals(7);
  return {
    ...net,
    first: net.params.map((values) => values.map(() => 0.01 * next())),
    second: net.params.map((values) => values.map(() => 1e-4 * next() ** 2)),
    steps: 20,
  };
}

/** A mixture about the blobs, in the coordinates of `center`. */
export function blobMixture(covariance: 'full' | 'diag'): Mixture {
  const sds = [1.5, 15, 0.2];
  const full = (correlation: number) =>
    Float64Array.from({ length: D * D }, (_, p) => {
      const [i, j] = [Math.floor(p / D), p % D];
      return sds[i] * sds[j] * (i === j ? 1 : correlation);
    });
  return {
    k: 3,
    d: D,
    covariance,
    weights: Float64Array.of(0.5, 0.3, 0.2),
    means: [
      [-1.5, -15, 0.05],
      [4, -5, -0.3],
      [-2, 50, 0.4],
    ].map((row) => Float64Array.from(row)),
    covariances: [0.2, -0.1, 0.4].map((c) =>
      covariance === 'full' ? full(c) : Float64Array.from(sds, (sd) => sd * sd),
    ),
  };
}

/** The state `cluster-centres` of clusters about the blobs, of which the fourth and later ones repeat the first three. */
/** A net of the map with eleven units along two axes. */
export function mapState(): Tensors {
  const rng = generator(3n, 'map-state');
  const numbers = (...shape: number[]) =>
    nd(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, rng.normal), ...shape);
  return { axes: numbers(D, 2), shift: numbers(2), units: numbers(11, 2), places: numbers(11, 2) };
}

export function centresState(k: number, covariance: 'full' | 'diag' = 'full'): Tensors {
  const { values, k: own } = centresOf(blobMixture(covariance));
  const width = values.length / own;
  const rows = Float32Array.from({ length: k * width }, (_, p) => values[p % values.length]);
  return { rows: nd(rows, k, width) };
}

export interface TestWorker {
  context: Context;
  /** Replaces a state, under a new version. */
  put(name: string, tensors: Tensors): void;
}

export interface World {
  raw: Float32Array;
  layout: Layout;
  below: number;
  transform: Transform;
  net: Net;
  subs: Net;
  /** The unit of all of a shard's blocks. */
  unit(shard: number): WorkUnit;
  /** Indices of a shard's rows in file order: all of them, or those in the sample. */
  rowsOf(shard: number): number[];
  sampleOf(shard: number): number[];
  /** Rows in float64: inputs of the networks (y) and of the model (x). */
  y(row: number): number[];
  x(row: number): number[];
  label(row: number): number;
  /** A worker that has just joined, with the states of this world only. */
  newWorker(backend: Backend): TestWorker;
}

/** 300 rows in three shards, 60 % of them in the sample, and the states of a run on them. */
export function world({ k = 3, below = 0.6, hidden = [8], n = 300 } = {}): World {
  const raw = blobs(n);
  const layout = layoutOf(n, D, SHARDS, SEED);
  const shards = shardBlocks(layout);
  const transform = transformFor('center', raw, D);
  const { mean } = momentsOf(matrixOf(raw, D));
  const net = withMoments(livelyNet(k, hidden));
  const subs = withMoments(subNets(SEED, D, k));
  const rowsOf = (shard: number) =>
    shards[shard].flatMap(({ start, count }) => range(count).map((i) => start + i));
  const x = (row: number) => range(D).map((d) => raw[row * D + d] - mean[d]);
  const y = (row: number) => x(row).map((v, d) => v / transform.scale[d]);
  const priorityOf = priority(SEED);
  return {
    raw,
    layout,
    below,
    transform,
    net,
    subs,
    unit: (shard) => ({ shard, from: 0, to: shards[shard].length }),
    rowsOf,
    sampleOf: (shard) => rowsOf(shard).filter((row) => priorityOf(row) < below),
    x,
    y,
    label: (row) => argmax(logitsOf(net, y(row))),
    newWorker(backend) {
      const states = createStates(backend);
      const versions = new Map<string, number>();
      const put = (name: string, tensors: Tensors) => {
        versions.set(name, (versions.get(name) ?? 0) + 1);
        states.put(name, versions.get(name)!, tensors);
      };
      put('transform', transformState(transform, below));
      put('hashes', hashesState(raw, layout));
      put('net', weightsOf(net));
      put('cluster-centres', centresState(k));
      put('net-moments', adamStateOf(net));
      put('subs', weightsOf(subs));
      put('subs-moments', adamStateOf(subs));
      return { put, context: contextOf(backend, states, memoryBlocks(raw, D), layout) };
    },
  };
}

/** The states of an auto-encoder of the world's rows. */
export function encoderStates(widths = [D, 6, 2, 6, D]): Record<string, Tensors> {
  const { params } = initialAutoencoder(SEED, widths);
  return {
    encoder: { params: nd(params), widths: nd(Int32Array.from(widths)) },
    'encoder-moments': {
      first: nd(new Float32Array(params.length)),
      second: nd(new Float32Array(params.length)),
    },
    'encoder-input': {
      factor: nd(Float32Array.of(0.25, 0.03, 2)),
      shift: nd(Float32Array.of(-1.5, -0.2, -10)),
    },
  };
}

/** All blocks of a layout. */
export const allBlocks = (layout: Layout) => range(blockCount(layout)).map((index) => block(layout, index));
