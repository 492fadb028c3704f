import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../base/user-error.ts';
import { fingerprint } from '../../data/blocks.ts';
import type { Transform } from '../../data/transform.ts';
import { columnKinds } from '../../model/gaussian/columns.ts';
import { niwPrior, POINT_ESTIMATES } from '../../model/gaussian/niw.ts';
import { blockCount, layoutOf } from '../../model/layout.ts';
import { initialAutoencoder } from '../../model/nets/autoencoder.ts';
import { clusteringNet, type Net, subNets } from '../../model/nets/net.ts';
import { type Step, withStep } from '../../model/schedule.ts';
import { statisticsLength } from '../../model/statistics.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import {
  type Checkpoint,
  type ClusterCheckpoint,
  DamagedCheckpoint,
  decodeCheckpoint,
  type EncoderCheckpoint,
  encodeCheckpoint,
} from '../../run/checkpoint.ts';
import {
  checkpointFolder,
  checkpointName,
  createCheckpoints,
  encoderFile,
  mismatchWith,
  newestCheckpoint,
  readCheckpoint,
  readEncoder,
  saveCheckpoint,
} from '../../run/checkpoints.ts';
import type { RunConfig } from '../../run/config.ts';
import type { Encoding } from '../../run/encoding.ts';
import type { RunEvent } from '../../run/events.ts';
import type { RunFile } from '../../run/run-file.ts';

const MAX_FLOAT32 = 2 ** 127;

const home = mkdtempSync(join(tmpdir(), 'dpmesh-checkpoint-'));
after(() => rmSync(home, { recursive: true }));
let folders = 0;
const fresh = () => join(home, String(++folders));

/** Arbitrary finite values, including −0. */
const float64 = (length: number) =>
  fc
    .array(fc.double({ min: -MAX_FLOAT32, max: MAX_FLOAT32, noNaN: true }), {
      minLength: length,
      maxLength: length,
    })
    .map((values) => Float64Array.from(values));

/** A transform of d columns to as many: along axes, to features of unit rows, or column by column. */
function transformOf(kind: 'axes' | 'features' | 'columns', d: number, bits: Float64Array): Transform {
  const f32 = (length: number, from: number) => Float32Array.from(bits.subarray(from, from + length));
  return {
    before: kind === 'features' ? { factor: f32(d, 0), shift: f32(d, 3) } : null,
    normalize: kind === 'features',
    input: d,
    dim: d,
    columns: kind === 'columns' ? Int32Array.from({ length: d }, (_, i) => d - 1 - i) : null,
    weights: f32(kind === 'columns' ? d : d * d, 6),
    bias: f32(d, 20),
    scale: bits.slice(30, 30 + d),
    offset: bits.slice(40, 40 + d),
    fences: null,
  };
}

/** Rows of the state's sample. */
const SAMPLED = 38;

/** The state of a graph of all rows in the sample. */
function graphOf(k: number, stability: number | null, shards: number) {
  const range: [number, number] | null = stability === null ? null : [k, k + 2];
  const labels = Int32Array.from({ length: SAMPLED }, (_, i) => i % k);
  const of = Int32Array.from({ length: SAMPLED + 2 }, (_, i) => (i < SAMPLED ? i : 1));
  const starts = Int32Array.from({ length: shards + 1 }, (_, i) => (i < shards ? i : of.length));
  return { resolution: 1.5, stability, range, labels, copies: stability === null ? null : { of, starts } };
}

const anyClusters: fc.Arbitrary<ClusterCheckpoint> = fc
  .record({
    k: fc.integer({ min: 1, max: 4 }),
    d: fc.integer({ min: 1, max: 3 }),
    covariance: fc.constantFrom('full' as const, 'diag' as const),
    shards: fc.integer({ min: 1, max: 3 }),
    bits: float64(400),
    epoch: fc.nat(1_000_000),
    loss: fc.option(fc.double()),
    lossSinceChange: fc.option(fc.double()),
    below: fc.double({ min: 0.01, max: 1, noNaN: true }),
    ended: fc.constantFrom(null, 'settled'),
    estimate: fc.constantFrom(...POINT_ESTIMATES),
    // JSON has no −0, which a step compares as 0 anyway.
    progress: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value || 0)),
    merges: fc.nat(3),
    isDiscrete: fc.boolean(),
    planned: fc.constantFrom(null, 'axes' as const, 'features' as const, 'columns' as const),
    stability: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }),
  })
  .map(({ k, d, covariance, shards, bits, epoch, planned, ...drawn }) => {
    let at = 0;
    const f64 = (length: number) => bits.slice(at, (at += length));
    const rows = 40;
    const net = (made: Net): Net => ({
      ...made,
      first: made.params.map((values, i) => values.map((_, j) => bits[(i + j) % 400])),
      second: made.params.map((values, i) => values.map((_, j) => bits[(7 * i + j) % 400])),
      steps: epoch,
    });
    // The last column has two values.
    const category = { columns: [d - 1], low: [f64(1)[0] || 0], step: [2.5] };
    const kinds = drawn.isDiscrete && {
      kinds: columnKinds(d, [category], d > 1 ? [{ column: 0, flag: d - 1, at: 0.5 }] : []),
    };
    const squareOf = (d: number) => (covariance === 'full' ? d * d : d);
    const layout = { rows, dim: d, shards, blockRows: 16, seed: '18446744073709551615' };
    const { loss, lossSinceChange } = drawn;
    return {
      stage: 'cluster' as const,
      config: { seed: layout.seed, hidden: [5], shards, covariance, alpha: 0.1, sample: null, soft: false },
      identity: 'wasm/4.22.0',
      layout,
      dataSummary: {
        sampleRows: Array.from({ length: shards }, (_, i) => 10 * i + 1),
        hashes: Uint8Array.from({ length: 48 }, (_, i) => 5 * i),
        moments: { rows, mean: f64(d), covariance: f64(d * d).map(Math.abs), min: f64(d), max: f64(d) },
        fences: null,
      },
      transform: planned && transformOf(planned, d, bits),
      state: {
        sample: { below: drawn.below, rows: SAMPLED, smallestShard: 3 },
        ...{ epoch, frozen: 2, patience: 24, untilStep: 5, overlaps: true, loss, lossSinceChange },
        steps: [
          { kind: 'split' as const, changed: 1, k, progress: null, exhaustive: true as const },
          {
            ...{ kind: 'merge' as const, changed: 0, k, progress: drawn.progress },
            closest: {
              clusters: [0, 1],
              points: [5, 2],
              logRatio: -3.5,
              needed: 2,
              accepted: false,
              reason: 'odd',
            },
          },
        ],
        prior: niwPrior({
          ...{ mean: f64(d), kappa: 1e-4, nu: d + 1.5, covariance, estimate: drawn.estimate },
          ...(drawn.estimate === 'mean' && { leastKappa: true, alike: new Uint8Array(d).fill(1, 1) }),
          psi: Float64Array.from({ length: squareOf(d) }, (_, p) =>
            covariance === 'full' && p % (d + 1) ? 0.1 : 2 + p,
          ),
          ...kinds,
        }),
        merged: Array.from({ length: drawn.merges }, () => f64(statisticsLength(d, covariance))),
        mixture: {
          ...{ k, d, covariance, weights: f64(k).map((weight) => 1 + Math.abs(weight)) },
          means: Array.from({ length: k }, () => f64(d)),
          covariances: Array.from({ length: k }, () => f64(squareOf(d))),
          ...kinds,
        },
        net: net(clusteringNet(1n, d, [5], k)),
        subs: net(subNets(1n, d, k)),
        parts: Array.from({ length: k }, () => [0, 1].map(() => f64(statisticsLength(d, covariance)))),
        ...(planned === 'features' && { graph: graphOf(k, drawn.stability, shards) }),
      },
      ended: drawn.ended,
      spent: { seconds: 1.5, rounds: 2 ** 33, rowsRead: 5e9, workers: 4 },
    };
  });

const [small] = fc.sample(anyClusters, { numRuns: 1, seed: 1 });
const file = async (checkpoint: Checkpoint) => Buffer.concat(await encodeCheckpoint(checkpoint));
const decoded = (bytes: Buffer) => decodeCheckpoint(bytes) as ClusterCheckpoint;
const withEpoch = (epoch: number, checkpoint = small): ClusterCheckpoint => ({
  ...checkpoint,
  state: { ...checkpoint.state, epoch },
});

describe('a checkpoint', () => {
  test('is restored bit for bit, at any offset in memory', async () => {
    await fc.assert(
      fc.asyncProperty(anyClusters, fc.nat(7), async (checkpoint, offset) => {
        const bytes = await file(checkpoint);
        const moved = Buffer.alloc(bytes.length + offset).subarray(offset);
        bytes.copy(moved);
        const restored = decodeCheckpoint(moved);
        // deepStrictEqual distinguishes NaN and −0; comparing the encoded bytes covers the rest.
        assert.deepEqual(restored, checkpoint);
        assert.ok((await file(restored)).equals(bytes));
      }),
      { numRuns: 50 },
    );
  });

  test('has all steps of a short run, few of a long one', async () => {
    const step = (i: number) =>
      ({ kind: i % 2 ? 'merge' : 'split', changed: 0, k: 3, progress: null }) as const;
    const withSteps = (steps: Step[]) => ({ ...small, state: { ...small.state, steps } });
    const old = Array.from({ length: 10_000 }, (_, i) => step(i));
    assert.deepEqual(decoded(await file(withSteps(old))).state.steps, old);
    let steps: Step[] = [];
    for (let i = 0; i < 150_000; i++) steps = withStep(steps, step(i));
    assert.equal(decoded(await file(withSteps(steps))).state.steps.length, steps.length);
  });

  test('that could not be read back is not written, and earlier ones stay', async () => {
    const folder = join(mkdtempSync(join(home, 'unreadable-')), 'checkpoints');
    const spent = (over: object) => ({ ...withEpoch(2), spent: { ...small.spent, ...over } });
    await saveCheckpoint(folder, withEpoch(1));
    for (const bad of [{ rowsRead: 2 ** 53 }, { rounds: -1 }, { seconds: Number.POSITIVE_INFINITY }])
      await assert.rejects(saveCheckpoint(folder, spent(bad)), /spent/, JSON.stringify(bad));
    assert.deepEqual(readdirSync(folder), ['epoch-000001.ckpt']);
  });

  test('whose parts do not fit each other, or have values that no run has, is damaged', async () => {
    const { state, dataSummary, config } = small;
    const { mixture, net, subs } = state;
    const { moments } = dataSummary;
    const { k, d } = mixture;
    const nan = (values: Float64Array) => values.map(() => Number.NaN);
    const other = Number(k === 1) + 1;
    const graph = graphOf(k, 0.9, small.layout.shards);
    const { labels } = graph;
    const copies = graph.copies!;
    const of = (kind: Parameters<typeof transformOf>[0]) =>
      transformOf(kind, d, new Float64Array(400).fill(1));
    const wider = { weights: new Float32Array(d * (d + 1)) };
    type Change = [string, Partial<ClusterCheckpoint>];
    const inState = (changes: Record<string, object>) =>
      Object.entries(changes).map(([what, own]): Change => [what, { state: { ...state, ...own } }]);
    const inData = (changes: Record<string, object>) =>
      Object.entries(changes).map(
        ([what, own]): Change => [what, { dataSummary: { ...dataSummary, ...own } }],
      );
    const bad: Change[] = [
      ['other shards', { config: { ...config, shards: small.layout.shards + 1 } }],
      ['another seed', { config: { ...config, seed: '1' } }],
      ['other hidden layers', { config: { ...config, hidden: [5, 5] } }],
      ...inState({
        'a net of another K': { net: clusteringNet(1n, d, [5], k + 1) },
        'a net of other columns': { net: clusteringNet(1n, d + 1, [5], k) },
        'stacked nets for one': { net: subs },
        'one net for the stacked': { subs: net },
        'sub-nets of another K': { subs: subNets(1n, d, k + other) },
        'sub-nets of other columns': { subs: subNets(1n, d + 1, k) },
        'weights that are NaN': { mixture: { ...mixture, weights: nan(mixture.weights) } },
        'weights that are negative': { mixture: { ...mixture, weights: mixture.weights.map((w) => -w) } },
        'weights of zero': { mixture: { ...mixture, weights: new Float64Array(k) } },
        'parts that are NaN': { parts: state.parts.map((pair) => pair.map(nan)) },
        'a net that is infinite': {
          net: { ...net, params: net.params.map((values) => values.map(() => Infinity)) },
        },
        'kinds of other columns': { prior: { ...state.prior, kinds: columnKinds(d + 1, []) } },
        'a graph of fewer rows': { graph: { ...graph, labels: labels.slice(1) } },
        'a graph at no resolution': { graph: { ...graph, resolution: 0 } },
        'a row in a cluster that is not there': {
          graph: { ...graph, labels: labels.map((label, i) => (i ? label : k)) },
        },
        'copies of other rows': { graph: { ...graph, copies: { ...copies, of: copies.of.map(() => 0) } } },
        'copies of rows that are not there': {
          graph: { ...graph, copies: { ...copies, of: copies.of.map((first, i) => (first < i ? 99 : i)) } },
        },
        'copies in shards that are not there': {
          graph: { ...graph, copies: { ...copies, starts: copies.starts.map(() => 0) } },
        },
        'a row in no cluster': { graph: { ...graph, labels: labels.map(() => -1) } },
      }),
      ...inData({
        'means of other columns': { moments: { ...moments, mean: new Float64Array(d + 1) } },
        'a covariance of other columns': {
          moments: { ...moments, covariance: new Float64Array(d * d + d + 1) },
        },
        'moments that are NaN': { moments: { ...moments, max: nan(moments.max) } },
        'negative variances': { moments: { ...moments, covariance: moments.covariance.map((v) => -1 - v) } },
        'part of a row in the sample': { sampleRows: dataSummary.sampleRows.map(() => 0.5) },
        'no sample': { sampleRows: dataSummary.sampleRows.map(() => 0) },
      }),
      ['a transform of other columns', { transform: { ...of('axes'), input: d + 1, ...wider } }],
      ['a transform to another D', { transform: { ...of('axes'), bias: new Float32Array(d + 1), ...wider } }],
      ['scales of other columns', { transform: { ...of('axes'), scale: new Float64Array(d + 1) } }],
      ['a transform of NaN', { transform: { ...of('axes'), offset: new Float64Array(d).fill(Number.NaN) } }],
      [
        'a column that is not there',
        { transform: { ...of('columns'), columns: Int32Array.from({ length: d }, () => d) } },
      ],
      [
        'a shift of other columns',
        {
          transform: {
            ...of('features'),
            before: { factor: new Float32Array(d), shift: new Float32Array(d + 1) },
          },
        },
      ],
    ];
    for (const [what, change] of bad) {
      const wrong = { ...small, ...change };
      await assert.rejects(saveCheckpoint(join(fresh(), 'checkpoints'), wrong), RangeError, what);
      const bytes = await file(wrong);
      assert.throws(
        () => decodeCheckpoint(bytes),
        (error: Error) => error instanceof DamagedCheckpoint && /inconsistent/.test(error.message),
        what,
      );
    }
  });

  test('with any one byte changed is damaged', async () => {
    const bytes = await file(small);
    for (let i = 0; i < bytes.length; i++) {
      const bit = 1 << (i % 8);
      bytes[i] ^= bit;
      assert.throws(() => decodeCheckpoint(bytes), DamagedCheckpoint, `byte ${i}`);
      bytes[i] ^= bit;
    }
    assert.equal(decoded(bytes).state.epoch, small.state.epoch);
  });

  test('cut at any length, or longer than it was, is damaged', async () => {
    const bytes = await file(small);
    for (let length = 0; length < bytes.length; length++)
      assert.throws(() => decodeCheckpoint(bytes.subarray(0, length)), DamagedCheckpoint, `${length} bytes`);
    assert.throws(() => decodeCheckpoint(Buffer.concat([bytes, Buffer.of(0)])), DamagedCheckpoint);
  });
});

describe('checkpoint files', () => {
  const own = () => null;

  test('the newest three are kept, and none of later epochs', async () => {
    const run = fresh();
    const folder = checkpointFolder(run);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, checkpointName(9)), 'from a session whose work was lost');
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    for (const epoch of [1, 2, 3, 4, 5]) await saveCheckpoint(folder, withEpoch(epoch));
    assert.deepEqual(readdirSync(folder).sort(), [...[3, 4, 5].map(checkpointName), 'notes.txt']);
  });

  test('the newest that is intact is used, skipped ones are named', async () => {
    const run = fresh();
    const folder = checkpointFolder(run);
    for (const epoch of [1, 2, 3]) await saveCheckpoint(folder, withEpoch(epoch));
    for (const name of ['notes.txt', 'epoch-000009.ckpt.4711-1.0123abcd.tmp', 'epoch-0000009.ckpt'])
      writeFileSync(join(folder, name), 'mine');
    const damage = (epoch: number) => {
      const path = join(folder, checkpointName(epoch));
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.subarray(0, bytes.length / 2));
    };
    const warnings: string[] = [];
    const newest = () =>
      newestCheckpoint(run, own, (message) => warnings.push(message))?.checkpoint.state.epoch;
    assert.deepEqual([newest(), warnings], [3, []]);
    damage(3);
    assert.equal(newest(), 2);
    assert.match(warnings[0], /epoch-000003\.ckpt cannot be used: its checksum/);
    damage(2);
    damage(1);
    assert.equal(newest(), undefined);
    assert.match(warnings.at(-2)!, /trying the one before it/);
    assert.match(warnings.at(-1)!, /epoch-000001\.ckpt cannot be used: .*; there is no earlier one/);
    assert.equal(newestCheckpoint(fresh(), own, assert.fail), null);
  });

  test('one of another run is an error, though it is older than one of the run, and says what differs', async () => {
    const run = fresh();
    const folder = checkpointFolder(run);
    const config = { ...small.config, hidden: [5], lr: 7, maxEpochs: 7 } as unknown as RunConfig;
    const data = {
      fingerprint: fingerprint(small.dataSummary.hashes),
      dim: small.layout.dim,
    } as RunFile['data'];
    const mismatch = mismatchWith({ data, identity: small.identity }, config);
    const other = (change: Partial<ClusterCheckpoint>) => ({ ...withEpoch(1), ...change });
    await saveCheckpoint(folder, withEpoch(2));
    for (const [change, says] of [
      [
        {
          config: { ...small.config, seed: '1', alpha: 2 },
          layout: { ...small.layout, seed: '1' },
        },
        /seed is "1", that of run.json is "1844\d+" \(and 1 more/,
      ],
      [{ config: { ...small.config, lr: 8 } }, /lr is 8, that of run.json is 7/],
      [{ identity: 'cpu' }, /numericIdentity is "cpu", that of run.json is "wasm/],
      [{ dataSummary: { ...small.dataSummary, hashes: new Uint8Array(48) } }, /other rows/],
    ] as const) {
      writeFileSync(join(folder, checkpointName(1)), await file(other(change)));
      assert.throws(
        () => newestCheckpoint(run, mismatch, assert.fail),
        (error: Error) => {
          assert.ok(error instanceof UserError && !error.message.includes('\n'));
          assert.match(error.message, says);
          return true;
        },
      );
    }
    // A run may go on with another limit.
    const limited = other({ config: { ...small.config, maxEpochs: 8 } });
    writeFileSync(join(folder, checkpointName(1)), await file(limited));
    assert.equal(newestCheckpoint(run, mismatch, assert.fail)?.checkpoint.state.epoch, 2);
  });

  test('an entry with a checkpoint’s name that is not a file is named and skipped', async () => {
    const run = fresh();
    const folder = checkpointFolder(run);
    await saveCheckpoint(folder, withEpoch(1));
    mkdirSync(join(folder, checkpointName(8)));
    if (process.platform !== 'win32') execFileSync('mkfifo', [join(folder, checkpointName(9))]);
    const warnings: string[] = [];
    const newest = newestCheckpoint(run, own, (message) => warnings.push(message));
    assert.equal(newest?.checkpoint.state.epoch, 1);
    assert.match(warnings.at(-1)!, /epoch-000008\.ckpt is a folder/);
    await saveCheckpoint(folder, withEpoch(2));
    assert.ok(existsSync(join(folder, checkpointName(2))));
  });

  test('one of another format is passed over', async () => {
    const { createHash } = await import('node:crypto');
    const run = fresh();
    const { path } = await saveCheckpoint(checkpointFolder(run), small);
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(7, 8);
    createHash('sha256')
      .update(bytes.subarray(0, -32))
      .digest()
      .copy(bytes, bytes.length - 32);
    writeFileSync(path, bytes);
    const warnings: string[] = [];
    assert.equal(
      newestCheckpoint(run, own, (message) => warnings.push(message)),
      null,
    );
    assert.match(warnings.join(), /it has format 7, this dpmesh reads format 2/);
    const { problem } = readCheckpoint(path) as { problem: string };
    assert.match(problem, /it has format 7/);
  });
});

const WIDTHS = [5, 4, 2, 4, 5];
const encoderLayout = layoutOf(300, 5, 3, 7n);
const autoencoder = initialAutoencoder(3n, WIDTHS);
/** As decoded: names that are given by others have no prototype. */
const named = (tensors: Tensors): Tensors => Object.assign(Object.create(null), tensors);
const encoder: EncoderCheckpoint = {
  ...{ stage: 'encode', config: { seed: '7' }, identity: 'wasm/1', layout: encoderLayout },
  encoding: {
    variance: 4.5,
    hashes: Uint8Array.from({ length: 16 * blockCount(encoderLayout) }, (_, i) => i),
    input: { factor: Float32Array.of(1, 2, 3, 4, 0), shift: Float32Array.of(5, 6, 7, 8, 0) },
    state: {
      ...autoencoder,
      first: autoencoder.params.map(Math.sin),
      second: autoencoder.params.map(Math.abs),
      ...{ steps: 70, epoch: 4, loss: 0.25 },
    },
    ...{ alternation: 2, codes: 'ab' },
    clusters: {
      transform: named({ bias: nd(Float32Array.of(1, 2)), shape: nd(Int32Array.of(0, 2)) }),
      classifier: named({ params: nd(Float32Array.of(3, 4, 5), 3) }),
      centres: Float32Array.of(1, 2, Number.NaN, Number.NaN),
      variance: 1.5,
      labels: Int32Array.of(0, 0, 1),
    },
    brought: [
      { k: 3, agreement: null },
      { k: 2, agreement: 0.75 },
    ],
  },
  spent: { seconds: 12.5, rounds: 40, rowsRead: 900, workers: 2 },
};
const withState = (state: Partial<Encoding['state']>): EncoderCheckpoint => ({
  ...encoder,
  encoding: { ...encoder.encoding, state: { ...encoder.encoding.state, ...state } },
});

describe('the checkpoint of an encoder', () => {
  const run = fresh();
  const warnings: string[] = [];
  const read = (mismatch: () => string | null = () => null) =>
    readEncoder(run, mismatch, (message) => warnings.push(message));
  const save = (checkpoint: Checkpoint) => saveCheckpoint(checkpointFolder(run), checkpoint);

  test('is read back bit for bit, and replaced by the next one; those of clusters stay', async () => {
    assert.equal(read(), null);
    mkdirSync(run);
    await save(withEpoch(3));
    await save(encoder);
    assert.deepEqual(read(), encoder);
    const next = withState({ epoch: 5, loss: null });
    await save(next);
    assert.deepEqual(read(), next);
    assert.deepEqual(readdirSync(checkpointFolder(run)), ['encoder.ckpt', 'epoch-000003.ckpt']);
  });

  test('of another run is refused', () => {
    assert.throws(() => read(() => 'it is of other rows'), /encoder.ckpt is of another run .*of other rows/);
  });

  test('is not used where it is damaged, or has weights that are not finite', async () => {
    await save(encoder);
    const bytes = readFileSync(encoderFile(run));
    for (let at = 0; at < bytes.length; at += 37) {
      const damaged = Buffer.from(bytes);
      damaged[at] ^= 1;
      writeFileSync(encoderFile(run), damaged);
      warnings.length = 0;
      assert.equal(read(), null, `byte ${at}`);
      assert.match(warnings.join(), /encoder\.ckpt cannot be used: .*; the encoder is trained again/);
    }
    const { params } = autoencoder;
    await save(withState({ params: params.map((value, i) => (i === 3 ? Number.NaN : value)) }));
    assert.equal(read(), null);
  });

  test('waits beside one of clusters, neither in place of the other', async () => {
    const run = fresh();
    const checkpoints = createCheckpoints({ run, id: '0a', every: 10, emit: () => {}, warn: assert.fail });
    checkpoints.offer(encoder, true);
    checkpoints.offer(withEpoch(0), true);
    checkpoints.offer(withEpoch(1), false);
    assert.ok(await checkpoints.flush());
    const names = ['encoder.ckpt', checkpointName(0), checkpointName(1)];
    assert.deepEqual(readdirSync(checkpointFolder(run)), names);
    await checkpoints.clear();
    assert.deepEqual([readdirSync(checkpointFolder(run)), checkpoints.saved()], [['encoder.ckpt'], null]);
  });
});

describe('when checkpoints are written', () => {
  function setUp(every: number, run = fresh()) {
    let time = 0;
    const events: RunEvent[] = [];
    const warnings: string[] = [];
    const checkpoints = createCheckpoints({
      run,
      id: '0a1b2c3d',
      every,
      emit: (event) => events.push(event),
      warn: (message) => warnings.push(message),
      now: () => time,
    });
    const pass = (seconds: number) => {
      time += 1000 * seconds;
    };
    const epochs = () => events.flatMap((event) => (event.type === 'checkpoint' ? event.epoch : []));
    return { run, checkpoints, events, warnings, pass, epochs };
  }

  test('when due or requested; of several that wait, the newest', async () => {
    const { checkpoints, pass, epochs } = setUp(10);
    checkpoints.offer(withEpoch(1), false);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [1], 'flush writes what was not due');
    checkpoints.offer(withEpoch(2), true);
    checkpoints.offer(withEpoch(3), true);
    checkpoints.offer(withEpoch(4), true);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [1, 2, 4]);
    pass(9.9);
    checkpoints.offer(withEpoch(5), false);
    pass(0.2);
    checkpoints.offer(withEpoch(6), false);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [1, 2, 4, 6]);
    assert.equal(checkpoints.saved()?.checkpoint.state.epoch, 6);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [1, 2, 4, 6], 'nothing is written twice');
  });

  test('nothing is written, made or removed where the run is displaced', async () => {
    const run = fresh();
    const folder = checkpointFolder(run);
    for (const epoch of [1, 2, 3, 4]) await saveCheckpoint(folder, withEpoch(epoch));
    const before = readdirSync(folder);
    // At the first check, before the file has its name, before old ones are removed.
    for (const at of [1, 2]) {
      let checks = 0;
      const failing = () => {
        if (++checks >= at) throw new UserError('displaced');
      };
      await assert.rejects(saveCheckpoint(folder, withEpoch(9), failing), /displaced/);
      assert.deepEqual(readdirSync(folder), before, `check ${at}`);
    }
    const gone = fresh();
    const events: RunEvent[] = [];
    const checkpoints = createCheckpoints({
      run: gone,
      id: '0a1b2c3d',
      every: 0,
      emit: (event) => events.push(event),
      warn: assert.fail,
      assertThere() {
        throw new UserError('displaced');
      },
    });
    checkpoints.offer(withEpoch(1), true);
    assert.equal(await checkpoints.flush(), false);
    assert.deepEqual([existsSync(gone), events], [false, []]);
  });

  test('a failed write is an event each time and a warning once; the next write succeeds', async (t) => {
    const run = fresh();
    writeFileSync(run, 'a file where the folder should be');
    const { checkpoints, events, warnings, epochs } = setUp(0, run);
    for (const epoch of [1, 2]) {
      checkpoints.offer(withEpoch(epoch), true);
      await checkpoints.flush();
    }
    assert.ok(events.length >= 2 && events.every(({ type }) => type === 'checkpoint-failed'));
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.equal(checkpoints.saved(), null);
    // Of a service: the first is full as well. `resume` finds what was saved in the second, and nobody else's.
    const states = [fresh(), fresh()];
    writeFileSync(states[0], 'a file where the folder should be');
    const before = process.env.STATE_DIRECTORY;
    process.env.STATE_DIRECTORY = states.join(':');
    t.after(() => {
      if (before === undefined) delete process.env.STATE_DIRECTORY;
      else process.env.STATE_DIRECTORY = before;
    });
    const rescued = await checkpoints.rescue();
    assert.deepEqual(rescued, {
      path: join(states[1], 'rescued-0a1b2c3d', checkpointName(2)),
      isFound: true,
    });
    rmSync(run);
    const found = (id?: string) => newestCheckpoint(run, () => null, assert.fail, { id })?.path;
    assert.deepEqual([found('0a1b2c3d'), found('00000000'), found()], [rescued!.path, undefined, undefined]);
    checkpoints.offer(withEpoch(3), true);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [3]);
    assert.deepEqual(readdirSync(states[1]), []);
  });
});
