import assert from 'node:assert/strict';
import { UserError } from '../../base/user-error.ts';
import { resolveConfig } from '../../coordinator/config.ts';
import { createDataCheck } from '../../coordinator/data-check.ts';
import { prepareFirst, settingApart } from '../../coordinator/run.ts';
import { createScheduler } from '../../coordinator/scheduler/scheduler.ts';
import { createCalculator } from '../../coordinator/training/calculation/calculator.ts';
import { labelAllRows } from '../../coordinator/training/full-pass.ts';
import { initialState } from '../../coordinator/training/preparation/initial-state.ts';
import { prepare } from '../../coordinator/training/preparation/prepare.ts';
import { publishCentres, publishNet } from '../../coordinator/training/publish.ts';
import { momentsRound } from '../../coordinator/training/reading/moments.ts';
import { sampleThreshold } from '../../coordinator/training/sample.ts';
import { train } from '../../coordinator/training/train.ts';
import type { Source } from '../../data/source.ts';
import { diagnoseRow } from '../../data/value-range.ts';
import { layoutOf, shardBlocks } from '../../model/layout.ts';
import { generator, type Rng } from '../../model/random.ts';
import { type FromCoordinator, PROTOCOL } from '../../proto/messages.ts';
import { nd, type Tensors, type TypedArray } from '../../proto/tensors.ts';
import { wasmBackend } from '../../worker/compute/backends/wasm.ts';
import { createContext } from '../../worker/context.ts';
import { acceptRound, type RoundMessage, runUnits } from '../../worker/round.ts';
import { createStates } from '../../worker/states.ts';
import { blobs, D, memoryBlocks } from '../worker/support.ts';

/** Short calculations only: at once. */
const { calculate } = createCalculator(Number.POSITIVE_INFINITY);

/** Changes some of the values of a result, which are as the worker computed them. `firstRow`: of the shard. */
export type Lie = (
  rng: Rng,
  name: string,
  values: TypedArray,
  about: { task: string; firstRow: number },
) => void;

const WILD = [Number.NaN, Infinity, -Infinity, 1e300, -1e300];
const VALUES = [...WILD, 1e308, -1, 0, 0.5, 1, 100, 1e9, -1e9, 1e17, 1e30, -1e30, 1e38, 3e38, -3e38, 1e-30];
const FACTORS = [1.5, -1, 1e6, 0];

/** A value that no honest result has, in one of `every` arrays of float64 numbers. */
export const wildLie =
  (every: number): Lie =>
  (rng, _name, values) => {
    if (values instanceof Float64Array && values.length && rng.below(every) === 0)
      values[rng.below(values.length)] = WILD[rng.below(WILD.length)];
  };

/** A false claim about the data, in all results. */
export const falseClaim =
  (claim: 'hashes' | 'bad rows' | 'sample' | 'sums' | 'silhouette'): Lie =>
  (_rng, name, values, { task, firstRow }) => {
    const is = (of: string, tensor: string) => task === of && name.endsWith(`/${tensor}`);
    if (claim === 'hashes' && is('moments', 'hashes')) values[0] ^= 1;
    if (claim === 'sample' && is('moments', 'counts')) values[0]--;
    if (claim === 'bad rows' && is('moments', 'counts')) values.set([values[0], 1, firstRow]);
    if (claim === 'bad rows' && is('moments', 'T')) values[0]--;
    // All rows in one place, far away.
    if (claim === 'sums' && is('moments', 'T'))
      values.set(values.map((_, p) => values[0] * (p === 0 ? 1 : p <= D ? 1e17 : 1e34)));
    if (claim === 'silhouette' && is('full-pass', 'seenLabels')) values[0] = 1 - values[0];
  };

/** Any values, in one of `every` arrays. */
export const anyLie =
  (every: number): Lie =>
  (rng, _name, values) => {
    if (!values.length || rng.below(every)) return;
    const kind = rng.below(3);
    if (kind === 0) values[rng.below(values.length)] = VALUES[rng.below(VALUES.length)];
    else
      for (let i = 0; i < values.length; i++)
        values[i] =
          kind === 1 ? VALUES[rng.below(VALUES.length)] : values[i] * FACTORS[rng.below(FACTORS.length)];
  };

/** Options of runs that together have every task in every form. */
export const RUNS = [
  {},
  { covariance: 'diag' },
  { transform: 'normalize', soft: true },
  { initK: 3, localSteps: 1 },
  { transform: 'pca:2', schedule: 'paper' },
  { transform: 'standard', soft: true },
  { transform: 'min-max', priorScaleChoice: 'isotropic' },
  { likelihood: 'graph' },
];

const ROWS = 600;
const SHARDS = 8;
const rows = blobs(ROWS);
const memorySource: Source = {
  ...{ rows: ROWS, dim: D, dtype: 'float32' },
  read: async (start, count) => rows.slice(start * D, (start + count) * D),
  stored: async (row) => Float64Array.from(rows.subarray(row * D, (row + 1) * D)),
  close() {},
};
/** A round takes some ms; longer than this only if it does not end. */
const STUCK_MS = 60_000;

export interface Outcome {
  labels: number[];
  k: number;
  /** Workers that were sent away. */
  refused: number;
  counts: Record<string, number>;
}

/** What a run is like: options of `train`, and how many of its workers lie. */
export interface Setting {
  seed?: number;
  options?: object;
  honest?: number;
  lie?: Lie;
}

/**
 * A complete run in this process, with real tasks: honest workers, and one that lies in some results. When it is sent away, it
 * comes again as another process.
 */
export async function runWithLies({ seed = 0, options = {}, honest = 1, lie }: Setting): Promise<Outcome> {
  const rng = generator(BigInt(seed), 'lies');
  const backend = await wasmBackend();
  const config = await resolveConfig({
    ...{ data: 'rows.npy', shards: SHARDS, splitMergeEvery: 3, maxEpochs: 20, batchSize: 16, sample: 0 },
    ...options,
  });
  const layout = layoutOf(ROWS, D, SHARDS, BigInt(config.seed));
  const shards = shardBlocks(layout);
  let refused = 0;
  let sessions = 0;
  const peers = new Map<string, (message: FromCoordinator, tensors: Tensors) => void>();
  const { dispatcher, router, counts, ...workers } = createScheduler({
    ...{ layout, file: null, term: 1, heartbeatTimeout: 1e9, now: () => performance.now() },
    send: (peer, message, tensors = {}) => void setImmediate(() => peers.get(peer)?.(message, tensors)),
    emit: () => {},
    log: () => {},
  });

  function join(lies: Lie | undefined): void {
    const peer = `p${sessions++}`;
    const states = createStates(backend);
    const context = createContext(backend, states, memoryBlocks(rows, D), layout);
    let working = Promise.resolve();
    let latest = 0;
    async function work(header: RoundMessage, tensors: Tensors): Promise<void> {
      acceptRound(context, header, tensors);
      const { term, round } = header;
      const failed = await runUnits(context, header, {
        isOver: () => round < latest || !peers.has(peer),
        done(done, results, seconds) {
          for (const name of lies ? Object.keys(results) : []) {
            results[name] = copyOf(results[name]);
            const [i, j] = name.split('/').map(Number);
            const { start: firstRow } = shards[done[i][0].shard][0];
            lies!(rng, name, results[name].data, { task: header.tasks[j].task, firstRow });
          }
          router.receive(
            peer,
            { type: 'results', term, round, done, seconds, rowsRead: 0, memory: 0 },
            results,
          );
        },
      });
      if (!failed) return;
      const { unit, error } = failed;
      const [mistake, message] = [error instanceof UserError, (error as Error).message];
      router.receive(peer, { type: 'failure', term, round, unit, mistake, message }, {});
    }
    peers.set(peer, (message, tensors) => {
      if (message.type === 'round') {
        latest = message.round;
        working = working.then(() => work(message, tensors));
      } else if (message.type === 'refuse') {
        peers.delete(peer);
        refused++;
        assert.ok(lies, `an honest worker was sent away: ${message.reason}`);
        join(lies);
      }
    });
    router.receive(
      peer,
      {
        ...{ type: 'hello', protocol: PROTOCOL, identity: 'wasm', backend: 'wasm', host: 'h', pid: sessions },
        ...{ name: lies ? 'liar' : '', session: sessions.toString(16).padStart(32, '0') },
      },
      {},
    );
  }

  const stuck = setInterval(() => {
    if (dispatcher.elapsed() > STUCK_MS) dispatcher.abort(new Error('the round does not end'));
  }, 100);
  try {
    for (let i = 0; i < honest; i++) join(undefined);
    if (lie) join(lie);
    const origin = Float64Array.from(rows.subarray(0, D));
    const diagnose = (row: number) => diagnoseRow(memorySource, row);
    const check = createDataCheck({
      ...{ source: memorySource, layout, path: config.data },
      workers: { misread: workers.misread, describe: (worker) => worker },
    });
    const { staleShards } = check;
    const all = await momentsRound(
      { dispatcher, calculate, own: { diagnose, staleShards, read: memorySource.read, workers } },
      config,
      layout,
      origin,
      sampleThreshold(config, layout),
    );
    if (!lie) assert.equal(await all.reread(), null, 'honest moments');
    const reading = await settingApart({ config, layout, calculate }, dispatcher, all);
    const { run } = await prepareFirst(reading, (moments) =>
      prepare(
        { config, layout, dispatcher, calculate, emit: () => {}, warn: () => {}, names: null },
        moments,
      ),
    );
    const start = await initialState(run);
    const training = train(run, start);
    let step = await training.next();
    while (!step.done) step = await training.next();
    const { state } = step.value;
    publishNet(run, state.net);
    publishCentres(run, await calculate('centresOf', state.mixture));
    const labels = new Int32Array(ROWS);
    await labelAllRows(run, layout, state.mixture.k, null, {
      pieces: (name) => ({
        write: (part, at) => void (name === 'labels.npy' && labels.set(part, at)),
        update: async (_, change) => void (name === 'labels.npy' && change(labels)),
        async finish() {},
        abort() {},
      }),
    });
    const nonzero = Object.entries(counts).filter(([, count]) => count > 0);
    return { labels: [...labels], k: state.mixture.k, refused, counts: Object.fromEntries(nonzero) };
  } finally {
    clearInterval(stuck);
    peers.clear();
    dispatcher.abort(new Error('over'));
  }
}

const copyOf = ({ data, shape }: Tensors[string]) => nd(data.slice() as Float64Array, ...shape);
