// A simulated run at the server's own routes. As a program it serves that run:
//   npx tsx test/page/browser/mock.ts [clusters] [dim] [rows] [epochs]
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { SECURITY_HEADERS } from '../../../base/http.ts';
import type { Source } from '../../../data/source.ts';
import type { PastUpdate } from '../../../model/stream/findings.ts';
import type {
  MergeTree,
  Message,
  Outcome,
  RunInfo,
  StateOf,
  Status,
  WorkSpan,
} from '../../../page/drawing/api.ts';
import { addPages, createGuardedApp } from '../../../page/pages.ts';
import { serveRun } from '../../../page/routes.ts';
import type { Described } from '../../../run/described.ts';
import type { TimedEvent } from '../../../run/events.ts';
import { drawn, open } from './browser.ts';
import { noEpochs, treeOf, type WorldOptions, world } from './world.ts';

export interface MockOptions extends Partial<WorldOptions> {
  /** Epochs completed at the start. */
  epochs?: number;
  status?: Status;
  controls?: boolean;
  port?: number;
  /** What becomes of the tree of merges, which there is once the run is done. */
  tree?: (tree: MergeTree) => MergeTree | null;
  /** Of the config. */
  text?: string;
  /** The result once the run is done, and the content of clusters.json. */
  outcome?: Outcome;
  described?: Described;
  /** Of an update. */
  updates?: PastUpdate[];
}

export type Mock = Awaited<ReturnType<typeof mock>>;

/** Rows that are images: a grey of their own. */
const IMAGES = {
  ...{ rows: 70_000, dim: 64, dtype: 'uint8', shape: [8, 8] },
  read: async (row: number) => new Float32Array(64).fill(row % 256),
} as unknown as Source;

export async function mock(options: MockOptions = {}) {
  const { clusters = 10, dim = 10, rows = 4000, workers = 4, host } = options;
  const simulated = world({ clusters, dim, rows, workers, host });
  const epochs = noEpochs();
  const events: TimedEvent[] = simulated.start();
  let work: WorkSpan[] = [];
  let status: Status = options.status ?? 'running';
  let epoch = 0;
  const clients = new Set<ServerResponse>();
  const posts: string[] = [];
  const send = (message: Message) => {
    for (const client of clients) client.write(`data: ${JSON.stringify(message)}\n\n`);
  };

  function next(broadcast: boolean) {
    const { row, events: lines, work: entries } = simulated.epoch(++epoch);
    const [, time, k, loss, subLoss] = row;
    for (const [i, column] of (Object.values(epochs) as (number | null)[][]).entries()) column.push(row[i]);
    events.push(...lines);
    work = [...work, ...entries].slice(-2000);
    if (!broadcast) return;
    send({ type: 'epoch', epoch, time, k, loss, subLoss });
    for (const event of lines) send({ type: 'event', event });
    send({ type: 'work', work: entries });
    send({ type: 'state', epoch, k: simulated.kAt(epoch) });
  }
  for (let e = 0; e < (options.epochs ?? 30); e++) next(false);

  const run = (): RunInfo => ({
    name: 'mnist_umap10',
    out: '/home/ada/work/runs/mnist_umap10',
    status,
    config: {
      data: '/home/ada/work/examples/mnist/mnist_umap10.npy',
      seed: '0',
      maxEpochs: Math.max(200, options.epochs ?? 0),
      splitMergeEvery: 6,
      earlyStop: true,
      hidden: [50],
      coarsening: null,
      transform: 'standard',
      text: options.text ?? null,
    },
    versions: { dpmesh: '0.1.0', node: '20.20.2' },
    identity: 'wasm/4.22.0',
    workers: Array.from({ length: workers }, (_, i) => `w${i + 1}`),
    data: { path: '/home/ada/work/examples/mnist/mnist_umap10.npy', rows: 70_000, dim, sample: 20_144 },
    controls: options.controls ?? true,
  });

  const app = createGuardedApp({ bound: { host: '127.0.0.1', port: options.port ?? 0 }, token: null });
  addPages(app);
  const whenDone =
    <T>(found: T | undefined) =>
    async () =>
      status === 'done' ? (found ?? null) : null;
  serveRun(app, {
    info: async () => run(),
    outcome: whenDone(options.outcome),
    described: whenDone(options.described),
    updates: whenDone(options.updates),
    source: async () => IMAGES,
    map: async () => null,
  });
  app.get('/api/history', async () => ({ epochs, events: events.slice(-10_000), work }));
  app.get('/api/state', async () => stateNow());
  app.get('/api/sample', async (_request, reply) =>
    reply
      .headers({ 'x-rows': rows, 'x-dim': dim, 'x-rows-in-all': 70_000 })
      .send(Buffer.from(simulated.sample.buffer)),
  );
  app.get('/api/stream', (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { ...SECURITY_HEADERS, 'content-type': 'text/event-stream' });
    reply.raw.write(': dpmesh\n\n');
    clients.add(reply.raw);
    reply.raw.on('close', () => clients.delete(reply.raw));
  });
  const statusAfter = { pause: 'paused', resume: 'running', finish: 'finishing', stop: 'stopped' } as const;
  for (const action of ['pause', 'resume', 'checkpoint', 'finish', 'stop'])
    app.post(`/api/${action}`, async (_request, reply) => {
      posts.push(`/api/${action}`);
      const next = statusAfter[action as keyof typeof statusAfter];
      if (next) setTimeout(setStatus, 0, next);
      return reply.code(204).send();
    });

  function stateNow(): StateOf {
    const state = simulated.stateAt(epoch);
    if (status !== 'done') return state;
    const counts = state.weights.map((weight) => Math.round(70_000 * weight));
    const { tree: changed = (tree) => tree } = options;
    return { ...state, counts, tree: changed(treeOf(state.means, counts)) };
  }

  function setStatus(newStatus: Status) {
    status = newStatus;
    send({ type: 'status', status });
  }

  // A failing test leaves the server open, which must not keep the process alive.
  if (options.port === undefined) app.server.unref();
  const url = await app.listen({ port: options.port ?? 0, host: '127.0.0.1' });
  const cut = () => {
    for (const client of clients) client.destroy();
    clients.clear();
  };
  return {
    url,
    /** The path of each POST request. */
    posts,
    /** Simulates one more epoch. */
    advance: () => next(true),
    send,
    setStatus,
    /** Cuts all streams, as if the coordinator had been killed. */
    cut,
    async close() {
      cut();
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

/** Does `work` with the page of a simulated run, which must not complain, but of a coordinator that ends. */
export async function onPage(
  options: MockOptions,
  work: (page: Page, run: Mock) => Promise<void>,
  how: BrowserContextOptions = {},
  first?: () => void,
): Promise<void> {
  const run = await mock(options);
  const { page, complaints, close } = await open(run.url, how, first);
  await drawn(page);
  await work(page, run);
  const unexpected = complaints.filter(
    (text) => !/ERR_(INCOMPLETE_CHUNKED|CONNECTION)|willReadFrequently/.test(text),
  );
  assert.deepEqual(unexpected, []);
  await close();
  await run.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [clusters = 10, dim = 10, rows = 20_000, epochs = 20] = process.argv.slice(2).map(Number);
  const server = await mock({ clusters, dim, rows, epochs });
  console.log(server.url);
  setInterval(() => server.advance(), 400);
}
