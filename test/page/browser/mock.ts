// The endpoints of the coordinator's HTTP port for a simulated run. As a program it serves that run:
//   npx tsx test/page/browser/mock.ts [clusters] [dim] [rows] [epochs]
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { SECURITY_HEADERS } from '../../../base/http.ts';
import { imageUri } from '../../../data/images/folder.ts';
import type { PastUpdate } from '../../../model/stream/history.ts';
import type {
  MergeTree,
  Message,
  Outcome,
  RunInfo,
  StateOf,
  Status,
  WorkSpan,
} from '../../../page/drawing/api.ts';
import type { Described, RowContents } from '../../../page/drawing/clusters.ts';
import type { TimedEvent } from '../../../run/events.ts';
import { drawn, open } from './browser.ts';
import { noEpochs, treeOf, type WorldOptions, world } from './world.ts';

const DIST = fileURLToPath(new URL('../../../dist/web/', import.meta.url));
const SCRIPT = 'text/javascript; charset=utf-8';
const TYPES: Record<string, string> = {
  'index.html': 'text/html; charset=utf-8',
  'app.js': SCRIPT,
  'analysis.js': SCRIPT,
  'app.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

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
const rowsOf = (rows: number[]): RowContents => ({
  names: null,
  rows: rows.map((row) => ({
    row,
    image: imageUri(Array(64).fill(row % 256), { height: 8, width: 8, channels: 1, planar: false }, [0, 255]),
  })),
});

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

  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    respond(request, response);
  });

  function respond({ method, url = '/' }: IncomingMessage, response: ServerResponse) {
    const path = url.split('?')[0];
    const type = (value: string) => response.setHeader('content-type', value);
    const nothing = (status: number) => response.writeHead(status).end();
    const json = (value: unknown) => type('application/json').end(JSON.stringify(value));
    if (method === 'POST') {
      posts.push(path);
      nothing(204);
      const next = { pause: 'paused', resume: 'running', finish: 'finishing', stop: 'stopped' } as const;
      const status = next[path.replace('/api/', '') as keyof typeof next];
      return status && setStatus(status);
    }
    if (path === '/api/run') return json(run());
    if (path === '/api/history') return json({ epochs, events: events.slice(-10_000), work });
    if (path === '/api/state') return json(stateNow());
    if (path === '/api/sample') {
      response.writeHead(200, { 'x-rows': rows, 'x-dim': dim, 'x-rows-in-all': 70_000 });
      return response.end(Buffer.from(simulated.sample.buffer));
    }
    if (path === '/api/rows') return json(rowsOf(url.split('rows=')[1].split(',').map(Number)));
    const whenDone: Record<string, unknown> = {
      '/api/result': options.outcome,
      '/api/clusters': options.described,
      '/api/updates': options.updates,
      '/api/map': null,
    };
    if (path in whenDone) return status === 'done' && whenDone[path] ? json(whenDone[path]) : nothing(204);
    if (path === '/api/stream') {
      type('text/event-stream').write(': dpmesh\n\n');
      clients.add(response);
      return response.on('close', () => clients.delete(response));
    }
    const name = path === '/' ? 'index.html' : path.slice(1);
    return name in TYPES ? type(TYPES[name]).end(readFileSync(DIST + name)) : nothing(404);
  }

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
  if (options.port === undefined) server.unref();
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const cut = () => {
    for (const client of clients) client.destroy();
    clients.clear();
  };
  return {
    url: `http://127.0.0.1:${port}`,
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
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
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
