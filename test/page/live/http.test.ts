import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isLoopback, parseBindAddress } from '../../../base/address.ts';
import { coalesce, isOwnHost, isSameOrigin } from '../../../base/http.ts';
import { noCounts } from '../../../coordinator/rounds/accounting.ts';
import type { Source } from '../../../data/source.ts';
import type { State } from '../../../model/state.ts';
import type { Message, RowContents } from '../../../page/drawing/api.ts';
import type { MonitoredRun } from '../../../page/live/api.ts';
import { createCounters } from '../../../page/live/counters.ts';
import { openHttp } from '../../../page/live/monitor.ts';
import { createRecorder, type Recorder } from '../../../page/live/recorder.ts';
import type { Http } from '../../../page/port.ts';
import type { RunConfig } from '../../../run/config.ts';
import { savedTree } from '../../../run/tree.ts';
import { scene } from '../../coordinator/fit/support.ts';

// The HTTP port in this process, over real sockets; the run behind it is simulated.

const { run, state } = scene({
  rows: [0, 1, 2, 10, 11, 12].map((x) => [x, x * x]),
  z: [0, 0, 0, 1, 1, 1],
});
Object.assign(run, { transform: { scale: Float64Array.of(1, 2) } });
const at = (epoch: number, k = state.mixture.k): State => ({
  ...state,
  epoch,
  mixture: {
    ...{ ...state.mixture, k, weights: new Float64Array(k).fill(1 / k) },
    means: Array.from({ length: k }, (_, c) => Float64Array.of(c, 0)),
    covariances: Array.from({ length: k }, () => Float64Array.of(1, 0, 0, 1)),
  },
});

/** Six images of 4 × 4 pixels. */
const RAW = {
  ...{ rows: 6, dim: 16, dtype: 'uint8', shape: [4, 4] },
  read: async (start: number, count: number) => new Float32Array(16 * count).fill(start),
} as unknown as Source;

const requested: string[] = [];
function simulatedRun(recorder: Recorder): MonitoredRun {
  const note = (name: string) => () => {
    requested.push(name);
    return null;
  };
  return {
    name: 'x',
    id: '0a1b2c3d',
    scraped: () => void requested.push('scraped'),
    out: 'runs/x',
    config: { data: 'x.npy', labels: null, maxEpochs: 200, schedule: 'fast' } as RunConfig,
    versions: { dpmesh: '0.1.0', node: process.version },
    layout: { rows: 6, dim: 2, shards: 2, blockRows: 3, seed: '0' },
    source: () => ({}) as Source,
    raw: () => RAW,
    server: {
      identity: () => null,
      members: () =>
        recorder.status() === 'starting' ? [] : [{ state: 'up', label: 'w1', host: '', backend: '' }],
      counts: noCounts,
      refused: () => ({}),
      traffic: () => ({ received: 0, sent: 0 }),
    } as unknown as MonitoredRun['server'],
    recorder,
    counters: createCounters(),
    controls: {
      pause: note('pause'),
      resume: () => 'the run is done',
      checkpoint: async () => note('checkpoint')(),
      finish() {
        const problem = note('finish')();
        return problem === null ? { what: 'it ends soon' } : { problem };
      },
      stop: note('stop'),
    },
  };
}

const open: Http[] = [];
after(() => Promise.all(open.map((http) => http.close())));
async function port(token: string | null = null, host = '127.0.0.1') {
  const recorder = createRecorder();
  const http = await openHttp({ host, port: 0, explicit: true, token }, simulatedRun(recorder));
  open.push(http);
  return { recorder, http, url: http.url.replace('0.0.0.0', '127.0.0.1') };
}

/** Unlike `fetch`, this lets the caller set Host and Origin. */
async function ask(url: string, options: { method?: string; headers?: Record<string, string> } = {}) {
  const outgoing = request(url, { ...options, agent: false }).end();
  const [response] = await once(outgoing, 'response');
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { code: response.statusCode as number, headers: response.headers, text };
}

/** A stream client and the messages that it has received. */
async function listener(url: string) {
  const connection = new AbortController();
  const response = await fetch(`${url}api/stream`, { signal: connection.signal });
  const received: Message[] = [];
  const over = (async () => {
    let text = '';
    for await (const part of response.body!) {
      text += Buffer.from(part).toString();
      const complete = text.split('\n\n');
      text = complete.pop()!;
      for (const event of complete) {
        const data = event.split('\n').find((line) => line.startsWith('data: '));
        if (data) received.push(JSON.parse(data.slice(6)));
      }
    }
  })().catch(() => {});
  return { received, over, response, leave: () => connection.abort() };
}

async function eventually(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    assert.ok(i < 3000, what);
    await sleep(10);
  }
}

describe('the HTTP port', () => {
  let all: Awaited<ReturnType<typeof port>>;
  before(async () => {
    all = await port();
  });

  test('rows are sent as people look at them, at most 24, and no others than those of the data', async () => {
    const { url } = await port();
    const answer = await fetch(`${url}api/rows?rows=5,0`);
    const { rows } = (await answer.json()) as RowContents;
    assert.deepEqual(
      rows.map(({ row }) => row),
      [5, 0],
    );
    for (const { image } of rows) assert.match(image!, /^data:image\/png;base64,/);
    assert.notEqual(rows[0].image, rows[1].image);
    const few = ['', '?rows=', '?rows=6', '?rows=-1', '?rows=1e0', '?rows=0,', '?rows=0&rows=1'];
    for (const query of [...few, `?rows=${Array(25).fill(0)}`])
      assert.equal((await fetch(`${url}api/rows${query}`)).status, 400, query);
    // The run is not done.
    for (const path of ['result', 'clusters']) assert.equal((await fetch(`${url}api/${path}`)).status, 204);
  });

  test('describes the run and its state', async () => {
    const { recorder, url } = await port();
    assert.equal((await ask(`${url}healthz`)).code, 200);
    assert.equal((await ask(`${url}readyz`)).code, 503);
    assert.equal((await ask(`${url}api/state`)).code, 204);
    assert.equal((await ask(`${url}api/sample`)).code, 204);
    recorder.event({ type: 'start', rows: 6, dim: 2, sample: 6, shards: 2 });
    assert.equal((await ask(`${url}readyz`)).code, 200);
    recorder.prepared(run, 6);
    recorder.epoch(at(1), { loss: 0.5, subLoss: null });
    recorder.event({ type: 'split', epoch: 6, clusters: [0], points: [1, 2], logRatio: -3, accepted: false });
    const info = JSON.parse((await ask(`${url}api/run`)).text);
    assert.deepEqual(
      [info.name, info.status, info.data.sample, info.config.maxEpochs],
      ['x', 'running', 6, 200],
    );
    const history = JSON.parse((await ask(`${url}api/history`)).text);
    assert.deepEqual([history.epochs.epoch, history.epochs.k, history.epochs.loss], [[1], [2], [0.5]]);
    assert.deepEqual(
      history.events.map(({ type }: { type: string }) => type),
      ['start', 'split'],
    );
    const current = JSON.parse((await ask(`${url}api/state`)).text);
    assert.deepEqual([current.k, current.means.length, current.covariances[0].length], [2, 2, 4]);
    assert.deepEqual(current.scale, [1, 2]);
    assert.ok(Math.abs(current.sizes[0] + current.sizes[1] - 6) < 1e-9);
    assert.equal(current.counts, null);
    const { weights, constant } = current.classifier.mixture;
    assert.deepEqual(
      [weights, constant].map((text) => Buffer.from(text, 'base64').length),
      [4 * 8, 4 * 2],
    );
    recorder.setStatus('failed');
    assert.equal((await ask(`${url}healthz`)).code, 503);
    assert.equal((await ask(`${url}readyz`)).code, 503);
  });

  test('after a step, split ratios move to the clusters’ new numbers', async () => {
    const { recorder, url } = await port();
    recorder.prepared(run, 6);
    recorder.state(at(6, 3));
    const split = (c: number, logRatio: number, accepted: boolean) =>
      recorder.event({ type: 'split', epoch: 6, clusters: [c], points: [1, 2], logRatio, accepted });
    split(0, -3, false);
    split(1, 5, true);
    split(2, -7, false);
    recorder.event({ type: 'step', epoch: 6, kind: 'split', changed: 1, k: 4 });
    recorder.state(at(6, 4));
    const ratios = async () => JSON.parse((await ask(`${url}api/state`)).text).splitRatio;
    assert.deepEqual(await ratios(), [-3, null, null, -7]);
    const merge = { type: 'merge' as const, epoch: 12, logRatio: 1, accepted: true };
    recorder.event({ ...merge, clusters: [1, 2], points: [2, 1] });
    recorder.event({ type: 'step', epoch: 12, kind: 'merge', changed: 1, k: 3 });
    recorder.state(at(12, 3));
    assert.deepEqual(await ratios(), [-3, null, -7]);
    // Merging with an empty cluster does not change the other one.
    recorder.event({ ...merge, clusters: [1, 2], points: [0, 9] });
    recorder.event({ type: 'step', epoch: 24, kind: 'merge', changed: 1, k: 2 });
    recorder.state(at(24, 2));
    assert.deepEqual(await ratios(), [-3, -7]);
  });

  test('once all rows are labelled, the state has counts and tree, and stream clients are notified', async () => {
    const { recorder, url } = await port();
    recorder.event({ type: 'start', rows: 6, dim: 2, sample: 6, shards: 2 });
    recorder.prepared(run, 6);
    recorder.epoch(at(1), { loss: 0.5, subLoss: null });
    const before = JSON.parse((await ask(`${url}api/state`)).text);
    assert.deepEqual([before.counts, before.tree, before.ids], [null, null, undefined]);
    const { received, leave } = await listener(url);
    const tree = savedTree(
      { likelihood: 'gaussian', measure: 'nats a row' },
      { sizes: [4, 2], joins: [{ a: 0, b: 1, height: 0.5 }] },
    );
    recorder.labelled([4, 2], { state: at(1), order: [1, 0], ids: [3, 7] }, tree);
    await eventually('a newer state', () => received.some(({ type }) => type === 'state'));
    const labelled = JSON.parse((await ask(`${url}api/state`)).text);
    assert.deepEqual([labelled.counts, labelled.tree, labelled.ids], [[4, 2], tree, [3, 7]]);
    leave();
  });

  test('has a 404 page, and headers that keep browsers from loading anything from other sites', async () => {
    const { code, headers, text } = await ask(`${all.url}no/such/page`);
    assert.equal(code, 404);
    assert.match(text, /^<!doctype html>.*Not found/);
    for (const path of ['', 'no/such/page', 'metrics', 'api/run', '../package.json', 'api/%ff']) {
      const { headers } = await ask(`${all.url}${path}`);
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /default-src 'none'; script-src 'self'/);
      assert.doesNotMatch(policy, /unsafe/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['access-control-allow-origin'], undefined);
    }
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal((await ask(`${all.url}%2e%2e%2fpackage.json`)).code, 404);
    assert.match((await ask(all.url)).text, /<html/);
  });

  test('answers HEAD requests like GET requests, without a body', async () => {
    for (const [path, code] of [
      ['', 200],
      ['app.js', 200],
      ['metrics', 200],
      ['healthz', 200],
      ['readyz', 503],
      ['no/such/page', 404],
      ['api/stream', 404],
    ] as const) {
      const answer = await ask(`${all.url}${path}`, { method: 'HEAD' });
      assert.deepEqual([answer.code, answer.text], [code, ''], path);
    }
  });

  test('stream clients are notified of the last state at once and can fetch it', async () => {
    const { recorder, url, http } = await port();
    recorder.event({ type: 'start', rows: 6, dim: 2, sample: 6, shards: 2 });
    recorder.prepared(run, 6);
    const { received } = await listener(url);
    recorder.epoch(at(1), { loss: 0.5, subLoss: null });
    await eventually('the first state', () => received.some(({ type }) => type === 'state'));
    recorder.epoch(at(2), { loss: 0.5, subLoss: null });
    recorder.setStatus('done');
    const closed = http.close();
    await eventually('the last', () => received.some((one) => one.type === 'state' && one.epoch === 2));
    const { code, text } = await ask(`${url}api/state`);
    assert.deepEqual([code, JSON.parse(text).epoch], [200, 2]);
    await closed;
  });

  test('accepts its own host names only, against DNS rebinding', async () => {
    for (const host of ['evil.example', 'evil.example:9464', '127.0.0.1.evil.example', '.', 'coordinator'])
      assert.equal((await ask(`${all.url}api/run`, { headers: { host } })).code, 421, host);
    for (const host of ['localhost:1234', '127.0.0.1', '[::1]:9464'])
      assert.equal((await ask(`${all.url}api/run`, { headers: { host } })).code, 200, host);
    const everywhere = { host: '0.0.0.0', port: 1 };
    assert.ok(isOwnHost('coordinator:9464', everywhere));
    assert.ok(isOwnHost('dpmesh.jobs.svc.cluster.local', everywhere));
    // As used by Prometheus in compose.yaml and Kubernetes: the service's name, or the pod's address.
    for (const own of ['dpmesh-coordinator.jobs.svc:9464', '10.0.0.7:9464', '[fd00::7]:9464', hostname()])
      assert.ok(isOwnHost(own, everywhere), own);
    for (const own of [`${hostname().split('.')[0]}.local`, 'gpu-1.lan', 'gpu-1.home.arpa'])
      assert.ok(isOwnHost(own, everywhere), own);
    const strangers = [
      ...['evil.example', '0.0.0.0.evil.example', `${hostname()}.evil.example`, 'local.evil.example'],
      ...['svc.cluster.local.evil.example', 'notlocal.example', '.', ''],
    ];
    for (const host of strangers) assert.ok(!isOwnHost(host, everywhere), host);
    const named = { host: 'gpu-1.cs.example', port: 1 };
    assert.ok(isOwnHost('GPU-1.cs.example:1', named));
    for (const host of ['gpu-1.cs.example.evil.example', 'cs.example', 'gpu-2.cs.example'])
      assert.ok(!isOwnHost(host, named), host);
    const { url } = await port('s3cret', '0.0.0.0');
    for (const host of ['0.0.0.0.evil.example', `${hostname()}.evil.example:9464`])
      assert.equal((await ask(`${url}api/run`, { headers: { host } })).code, 421, host);
  });

  test('executes requests, but not from pages of other origins', async () => {
    const own = new URL(all.url).origin;
    const post = (path: string, headers: Record<string, string> = {}) =>
      ask(`${all.url}api/${path}`, { method: 'POST', headers });
    requested.length = 0;
    for (const headers of [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: own.replace('127.0.0.1', 'localhost') },
    ] as Record<string, string>[])
      assert.equal((await post('stop', headers)).code, 403, JSON.stringify(headers));
    assert.deepEqual(requested, []);
    assert.equal((await post('pause')).code, 204);
    assert.equal((await post('checkpoint', { origin: own, 'sec-fetch-site': 'same-origin' })).code, 204);
    assert.equal((await post('stop', { 'content-type': 'application/json' })).code, 204);
    assert.equal((await post('finish', { origin: 'http://evil.example' })).code, 403);
    const finishing = await post('finish');
    assert.deepEqual([finishing.code, JSON.parse(finishing.text)], [200, { message: 'it ends soon' }]);
    assert.deepEqual(requested, ['pause', 'checkpoint', 'stop', 'finish']);
    const refused = await post('resume');
    assert.deepEqual([refused.code, JSON.parse(refused.text)], [409, { error: 'the run is done' }]);
    assert.equal((await ask(`${all.url}api/pause`)).code, 404);
    // Behind a TLS proxy, the scheme of the origin differs.
    assert.ok(isSameOrigin({ headers: { origin: 'https://127.0.0.1', host: '127.0.0.1' } }));
    assert.ok(!isSameOrigin({ headers: { origin: 'https://127.0.0.1:1', host: '127.0.0.1' } }));
    assert.ok(!isSameOrigin({ headers: { origin: 'file://127.0.0.1', host: '127.0.0.1' } }));
  });

  test('with a token: required for page, data and controls, not for metrics and health; a wrong one is refused', async () => {
    const { url } = await port('s3cret', '0.0.0.0');
    requested.length = 0;
    const post = (authorization?: string) =>
      ask(`${url}api/stop`, { method: 'POST', headers: authorization ? { authorization } : {} });
    for (const wrong of [undefined, 'Bearer s3cre', 'Bearer s3cret2', 's3cret', 'Basic s3cret'])
      assert.equal((await post(wrong)).code, 401, String(wrong));
    assert.deepEqual(requested, []);
    assert.equal((await post('Bearer s3cret')).code, 204);
    const get = (path: string, headers?: Record<string, string>) => ask(`${url}${path}`, { headers });
    for (const path of ['api/run', 'api/rows?rows=0', 'api/stream', '%61pi/run', '', '?token=wrong'])
      assert.equal((await get(path)).code, 401, path);
    for (const path of ['metrics', 'healthz']) assert.equal((await get(path)).code, 200, path);
    assert.equal((await get('api/run', { authorization: 'Bearer s3cret' })).code, 200);
    // In the address of the page once; then in a cookie, which is not the token and which only this page's requests have.
    const opened = await get('?token=s3cret');
    assert.deepEqual([opened.code, opened.headers.location], [302, '/']);
    const [set] = opened.headers['set-cookie']!;
    assert.match(set, /^dpmesh-\d+=[0-9a-f]{32}; HttpOnly; SameSite=Lax; Path=\/$/);
    const cookie = `other=1; ${set.split(';')[0]}`;
    for (const path of ['', 'api/run', 'api/rows?rows=0'])
      assert.equal((await get(path, { cookie })).code, 200, path);
    assert.equal((await get('api/run', { cookie: `${cookie}0` })).code, 401);
    assert.equal((await ask(`${url}api/stop`, { method: 'POST', headers: { cookie } })).code, 204);
    assert.equal((await ask(`${url}metrics`, { headers: { authorization: 'Bearer no' } })).code, 401);
  });

  test('a connection with a stream has nothing else: pipelined requests end it, and its place is free again', async () => {
    const { http } = await port();
    const { hostname: host, port: number } = new URL(http.url);
    for (let round = 0; round < 3; round++) {
      const socket = connect(Number(number), host).on('error', () => {});
      socket.resume().write(`GET /api/stream HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(100));
      await once(socket, 'close');
    }
    const streams = async () =>
      Number(/event_stream_clients\S* (\d+)/.exec((await ask(`${http.url}metrics`)).text)![1]);
    for (let i = 0; (await streams()) > 0; i++) {
      assert.ok(i < 100, 'places are still taken');
      await sleep(20);
    }
  });

  test('however many clients want the stream, health and metrics are answered', async () => {
    const { url } = await port();
    const { hostname: host, port: number } = new URL(url);
    const refusals: string[] = [];
    const crowd = new Set<Socket>();
    let isOver = false;
    /** A client that asks again when it is refused or disconnected. */
    const follow = () => {
      if (isOver) return;
      const socket = connect(Number(number), host).on('error', () => {});
      crowd.add(socket);
      socket.on('data', (data) => {
        const text = data.toString();
        if (text.startsWith('HTTP/1.1 503')) refusals.push(text);
      });
      socket.once('close', () => {
        crowd.delete(socket);
        setTimeout(follow, 200 + 10 * (refusals.length % 100));
      });
      socket.write('GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
    };
    for (let i = 0; i < 600; i++) follow();
    await eventually('some are refused', () => refusals.length >= 200);
    for (let i = 0; i < 10; i++)
      for (const path of ['healthz', 'metrics']) {
        // Those who ask again may take all places for a moment.
        let answer: { code: number } | null = null;
        for (let attempts = 0; !answer; attempts++) {
          assert.ok(attempts < 20, `${path} is not answered`);
          answer = await ask(url + path).catch(() => sleep(20, null));
        }
        assert.equal(answer.code, 200);
      }
    for (const text of refusals) assert.match(text, /^retry-after: \d+\r$/im);
    isOver = true;
    for (const socket of crowd) socket.destroy();
  });

  test('a late client gets the history, and everything after it from the stream', async () => {
    const { recorder, url } = await port();
    recorder.prepared(run, 6);
    for (let epoch = 1; epoch <= 50; epoch++) recorder.epoch(at(epoch), { loss: epoch, subLoss: null });
    const late = await listener(url);
    assert.equal(late.response.headers.get('content-type'), 'text/event-stream');
    const { epochs } = (await (await fetch(`${url}api/history`)).json()) as { epochs: { epoch: number[] } };
    assert.equal(epochs.epoch.length, 50);
    const header = { round: 9, done: [[{ shard: 2, from: 0, to: 0 }], [{ shard: 4, from: 0, to: 0 }]] };
    recorder.results('local/0', header as never, [['statistics', 0.01]]);
    recorder.epoch(at(51), { loss: 51, subLoss: null });
    recorder.event({ type: 'warning', message: 'a warning' });
    const kinds = () => new Set(late.received.map(({ type }) => type));
    await eventually('all kinds of messages', () => kinds().size === 5);
    const [epoch] = late.received.filter((message) => message.type === 'epoch');
    assert.deepEqual([epoch.epoch, epoch.k, epoch.loss], [51, 2, 51]);
    const [work] = late.received.filter((message) => message.type === 'work');
    assert.deepEqual(work.work[0].slice(0, 6), ['local/0', 'statistics', 51, 9, 2, 4]);
    recorder.setStatus('done');
    await open.at(-1)!.close();
    await late.over;
    assert.deepEqual(late.received.at(-1), { type: 'status', status: 'done' });
  });

  test('a client that does not read is dropped; the others receive everything, and memory is bounded', async () => {
    const { recorder, url } = await port();
    const dead = connect(Number(new URL(url).port), '127.0.0.1');
    dead.pause();
    dead.on('error', () => {});
    dead.write('GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const alive = await listener(url);
    await eventually('two clients', () => alive.received.length > 0);
    await sleep(50);
    const message = 'x'.repeat(10_000);
    const count = 3000;
    const warnings = () => alive.received.filter(({ type }) => type === 'event').length;
    for (let sent = 0; sent < count; ) {
      for (let i = 0; i < 100; i++, sent++) recorder.event({ type: 'warning', message });
      await eventually(`${sent} warnings`, () => warnings() === sent);
    }
    const clients = async () =>
      /dpmesh_event_stream_clients\{run="x",run_id="0a1b2c3d"\} (\d+)/.exec(
        await (await fetch(`${url}metrics`)).text(),
      )![1];
    assert.equal(await clients(), '1');
    alive.leave();
    dead.destroy();
  });
});

describe('clients that do not read', () => {
  /** Sends a request and never reads the response. */
  function requestUnread(url: string, path: string) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
    socket.pause();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    return socket;
  }

  test('they share one copy of a long history, and other clients are served', async () => {
    const { recorder, url } = await port();
    for (let i = 0; i < 300; i++) recorder.event({ type: 'warning', message: 'x'.repeat(10_000) });
    assert.ok((await ask(`${url}api/history`)).text.length > 3e6);
    const before = process.memoryUsage.rss();
    const sockets = Array.from({ length: 200 }, () => requestUnread(url, '/api/history'));
    await sleep(500);
    assert.equal((await ask(`${url}healthz`)).code, 200);
    // Separate copies would take 600 MB, part of it in the system's buffers.
    const grown = (process.memoryUsage.rss() - before) / 1e6;
    assert.ok(grown < 150, `${grown} MB`);
    for (const socket of sockets) socket.destroy();
  });

  test('frequent requests get the newest text, which is made only a few times', async () => {
    let made = 0;
    let newest = 0;
    const read = coalesce(
      () => {
        made++;
        return `${newest}`.padEnd(200_000);
      },
      () => newest,
    );
    const checks: Promise<void>[] = [];
    for (; newest < 50; newest++) {
      const least = newest;
      const check = async () => assert.ok(Number(await read()) >= least, String(least));
      checks.push(check(), check());
      await sleep(5);
    }
    // Its timers are unref’d and do not keep the process alive.
    const alive = setInterval(() => {}, 1000);
    await Promise.all(checks);
    // 100 ms each.
    assert.ok(made >= 2 && made <= 25, String(made));
    assert.equal(await read(), await read());
    clearInterval(alive);
  });
});

test('addresses are HOST:PORT', () => {
  assert.deepEqual(parseBindAddress('--http', '[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(parseBindAddress('--http', 'gpu-1.lan:0'), { host: 'gpu-1.lan', port: 0 });
  for (const wrong of ['9464', 'localhost', ':80', 'a:70000', 'http://a:1', 'a:1/x', ''])
    assert.throws(() => parseBindAddress('--http', wrong), /must look like HOST:PORT/);
  for (const own of ['localhost', '127.0.0.1', '127.8.8.8', '::1', '[::1]']) assert.ok(isLoopback(own), own);
  for (const open of ['127.example.com', '0.0.0.0', '::', '10.0.0.1', '127.1.evil.org'])
    assert.ok(!isLoopback(open), open);
});
