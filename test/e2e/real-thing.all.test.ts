import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type RunConfig, resolveConfig } from '../../coordinator/config.ts';
import { run } from '../../coordinator/run.ts';
import { type Server, startServer } from '../../coordinator/scheduler/server.ts';
import { createEarlyFinish } from '../../coordinator/stage.ts';
import { createCheckpoints } from '../../coordinator/storage/checkpoints.ts';
import { openRunDirectory } from '../../coordinator/storage/run-directory.ts';
import { createCalculator } from '../../coordinator/training/calculation/calculator.ts';
import { layoutFor } from '../../coordinator/training/preparation/limits.ts';
import { firstBlockHash, readBlocks } from '../../data/blocks.ts';
import { openSource } from '../../data/open.ts';
import { synthesize } from '../../data/synth.ts';
import { blockCount } from '../../model/layout.ts';
import { nd } from '../../proto/tensors.ts';
import type { RunEvent } from '../../view/events.ts';
import { wasmBackend } from '../../worker/compute/backends/wasm.ts';
import { Worker } from '../../worker/worker.ts';
import { easyData, scratch } from './support.ts';

const folder = scratch();
const root = fileURLToPath(new URL('../../', import.meta.url));

interface InProcessOptions {
  data: string;
  options?: Partial<RunConfig>;
  sharedFiles?: boolean;
  /** Replaces the server. */
  change?: (server: Server) => Server;
}

/** A complete run in this process: coordinator and two workers over real sockets. */
async function inProcess(
  name: string,
  { data, options = {}, sharedFiles = true, change = (s) => s }: InProcessOptions,
) {
  const config = await resolveConfig({ data, ...options });
  const source = await openSource(data);
  const layout = layoutFor(config, source);
  const events: RunEvent[] = [];
  const served: number[] = Array(blockCount(layout)).fill(0);
  const backend = await wasmBackend();
  const server = await startServer({
    bind: 'tcp://127.0.0.1:*',
    layout,
    file: sharedFiles ? { path: data, firstBlock: await firstBlockHash(source, layout) } : null,
    readBlocks(blocks) {
      for (const block of blocks) served[block]++;
      return readBlocks(source, layout, blocks);
    },
    heartbeatTimeout: 5000,
    emit: (event) => void events.push(event),
    log: () => {},
  });
  const workers = [1, 2].map(
    (i) =>
      new Worker({
        connect: server.address,
        backend,
        backendName: 'wasm',
        name: `worker ${i}`,
        dataRoots: [folder],
        reconnectFor: 60_000,
        log: () => {},
      }),
  );
  await server.joined(2);
  const out = await openRunDirectory(join(folder, name));
  const calculator = createCalculator();
  try {
    const summary = await run({
      config,
      source,
      labels: null,
      layout,
      server: change(server),
      out,
      emit(event) {
        events.push(event);
        out.event(event);
      },
      warn: () => {},
      checkpoints: createCheckpoints({
        run: out.path,
        id: '0a1b2c3d',
        every: 30,
        emit: () => {},
        warn: () => {},
      }),
      calculate: calculator.calculate,
      resume: null,
      earlyFinish: createEarlyFinish(),
      id: '0a1b2c3d',
      versions: { dpmesh: '0.0.0', node: process.version },
    });
    return { summary, events, served, totals: server.totals() };
  } finally {
    await calculator.close();
    await server.close();
    await Promise.all(workers.map(({ done }) => done));
    source.close();
  }
}

/** Sends the workers sub-nets with all weights zero. */
const zeroed = (server: Server): Server => ({
  ...server,
  dispatcher: {
    round: (spec) => server.dispatcher.round(spec),
    abort: (error) => server.dispatcher.abort(error),
    publish(name, tensors) {
      const zeros = { params: nd(new Float32Array(tensors.params?.data.length ?? 0)) };
      server.dispatcher.publish(name, name === 'subs' ? { ...tensors, ...zeros } : tensors);
    },
  },
});

describe('splits depend on the sub-nets', () => {
  const data = join(folder, 'many.npy');
  before(() =>
    synthesize({
      clusters: 15,
      dim: 2,
      points: 4000,
      seed: 1n,
      out: data,
      labels: join(folder, 'many-y.npy'),
    }),
  );
  const splitsOf = ({ events }: { events: RunEvent[] }) =>
    events.flatMap((event) => (event.type === 'split' ? [event] : []));

  test('zero weights give different proposals', async () => {
    const options = { maxEpochs: 18, batchSize: 16, earlyStop: false };
    const [own, other] = [
      await inProcess('trained', { data, options }),
      await inProcess('zeroed', { data, options, change: zeroed }),
    ].map((run) => splitsOf(run).map(({ epoch, clusters, points }) => ({ epoch, clusters, points })));
    assert.ok(own.length >= 2 && other.length >= 1);
    assert.notDeepEqual(own, other);
    // Even the first split, of all rows.
    assert.notDeepEqual(own[0], other[0]);
  });

  test('unrefined, as in the paper, weights of zero put all rows on one side', async () => {
    const options = { schedule: 'paper' as const, maxEpochs: 55, batchSize: 16, localSteps: 10 };
    const [own, other] = [
      await inProcess('paper', { data, options }),
      await inProcess('paper-zeroed', { data, options, change: zeroed }),
    ].map(splitsOf);
    assert.ok(Math.min(...own[0].points) > 400, `${own[0].points}`);
    assert.deepEqual([other[0].points, other[0].accepted], [[4000, 0], false]);
  });
});

describe('rows', () => {
  const N = 20_000;
  let data: string;
  before(() => {
    data = easyData(folder, 'rows', N).data;
  });
  const options = { sample: 2000, maxEpochs: 4 };
  const sampleOf = (events: RunEvent[]) => events.find((event) => event.type === 'start')!;

  test('are read exactly twice, from the file', async () => {
    const { totals, events } = await inProcess('file', { data, options });
    assert.equal(totals.rowsRead, 2 * N);
    const done = events.at(-1)!;
    assert.ok(done.type === 'done' && done.rowsRead === 2 * N, JSON.stringify(done));
    const { sample } = sampleOf(events);
    assert.ok(sample > 1500 && sample < 2500, `sample of ${sample}`);
  });

  test('are read exactly twice, from the coordinator', async () => {
    const { totals, served } = await inProcess('served', { data, options, sharedFiles: false });
    assert.equal(totals.rowsRead, 2 * N);
    assert.deepEqual(new Set(served), new Set([2]));
  });
});

/** The modules that a source file imports or requires: paths of files, or names of packages. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const matches = text.matchAll(/(?:\bfrom|\bimport|\brequire)\s*\(?\s*(['"])([^'"]+)\1/g);
  return [...matches].map(([, , name]) => (name.startsWith('.') ? resolve(dirname(file), name) : name));
}

const sources = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(root, folder, String(name)))
    .filter((name) => name.endsWith('.ts'));

/** The transitive imports of these files. */
function reachable(files: string[]): string[] {
  const seen = new Set(files);
  for (const file of seen) if (file.endsWith('.ts')) for (const name of importsOf(file)) seen.add(name);
  return [...seen].map((name) => (name.startsWith('/') ? relative(root, name) : name));
}

describe('imports', () => {
  test('the coordinator imports no tensor library and no worker code', () => {
    const all = reachable(sources('coordinator'));
    assert.ok(all.includes('data/npy.ts') && all.includes('model/nets/net.ts') && all.includes('zeromq'));
    assert.deepEqual(
      all.filter((name) => /^(@tensorflow|worker\/)/.test(name)),
      [],
    );
  });

  test('the model imports nothing else of the project', () => {
    const all = reachable(sources('model'));
    assert.ok(all.length > 10);
    assert.deepEqual(
      all.filter((name) => name.includes('.ts') && !name.startsWith('model/')),
      [],
    );
  });

  test('the check detects tensor libraries where they are used', () => {
    const all = reachable(sources('worker'));
    for (const backend of ['wasm', 'webgpu'])
      assert.ok(all.some((name) => name.startsWith(`@tensorflow/tfjs-backend-${backend}`)));
  });
});
