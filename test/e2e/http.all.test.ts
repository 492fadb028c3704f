import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  assertNoneLeft,
  checkpointsOf,
  ENDLESS,
  easyData,
  epochOf,
  eventsOf,
  freePort,
  jsonOf,
  K,
  pageUrlOf,
  QUICK,
  resultHashes,
  scratch,
  start,
  startAndReach,
  startCoordinator,
  times,
  trainArgs,
  undisturbedHashes,
  until,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 800);
const post = async (url: string, headers: Record<string, string> = {}) =>
  (await fetch(url, { method: 'POST', headers })).status;

async function watched(name: string, ...flags: (string | number)[]) {
  const run = join(folder, name);
  const http = ['--http', '127.0.0.1:0', ...flags];
  const running = await startAndReach(5, easy.data, run, ...ENDLESS, ...QUICK, ...http);
  return { run, running, url: await pageUrlOf(running) };
}

const historyAt = async (url: string) =>
  (await (await fetch(`${url}api/history`)).json()) as {
    epochs: Record<'epoch' | 'k' | 'time', number[]>;
    events: { type: string }[];
  };

describe('the HTTP port of a run', { concurrency: 2 }, () => {
  test('pauses and resumes it, writes a checkpoint, and stops it as Ctrl-C does', async () => {
    const { run, running, url } = await watched('controlled', '--shards', 2);
    assert.equal(await post(`${url}api/stop`, { 'sec-fetch-site': 'cross-site' }), 403);
    assert.equal(await post(`${url}api/pause`), 204);
    // The epoch that was under way may still end.
    const last = epochOf(run) + 1;
    await sleep(800);
    assert.ok(epochOf(run) <= last);
    const about = async () =>
      (await (await fetch(`${url}api/run`)).json()) as { status: string; name: string };
    assert.deepEqual([(await about()).status, (await about()).name], ['paused', 'controlled']);
    assert.equal((await fetch(`${url}readyz`)).status, 200);
    assert.equal(await post(`${url}api/checkpoint`), 204);
    const newest = Number(checkpointsOf(run).at(-1)!.slice(6, 12));
    // Of the epoch before, while a split step follows the one that was reported.
    assert.ok(newest <= last && newest >= last - 2, `${newest} of ${last}`);
    assert.equal(await post(`${url}api/resume`), 204);
    await until('another epoch', () => epochOf(run) > last, running);

    const metrics = await (await fetch(`${url}metrics`)).text();
    assert.match(metrics, /^dpmesh_workers\{state="up",run="controlled",run_id="[0-9a-f]{8}"\} 2$/m);
    for (const name of ['received', 'sent'])
      assert.match(metrics, new RegExp(`^dpmesh_${name}_bytes_total\\{.*\\} [1-9]\\d{3,}`, 'm'));
    assert.match(
      metrics,
      /^dpmesh_worker_memory_bytes\{worker="local\/1",run="controlled",run_id="[0-9a-f]{8}"\} [1-9]\d+/m,
    );
    const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: metrics,
      encoding: 'utf8',
    });
    if (!error) assert.deepEqual([status, `${stdout}${stderr}`], [0, '']);

    assert.equal(await post(`${url}api/stop`), 204);
    const ended = await running.ended;
    await assertNoneLeft(running.pid);
    assert.equal(ended.code, 130);
    assert.match(
      ended.stderr,
      /stopped; everything written so far is in .*controlled; continue with: dpmesh resume/,
    );
    assert.equal(ended.stdout, '');
  });

  test('neither dead clients nor a pause change a byte; --linger shows the end', async () => {
    const quiet = join(folder, 'quiet');
    const expected = await undisturbedHashes(easy.data, quiet, '--workers', 2, '--no-http', ...QUICK);
    const port = await freePort();
    const run = join(folder, 'watched');
    const flags = ['--http', `127.0.0.1:${port}`, '--linger', 30];
    const running = start(trainArgs(easy.data, run, '--workers', 2, ...flags, ...QUICK));
    const url = await pageUrlOf(running);
    assert.equal(url, `http://127.0.0.1:${port}/`);
    const dead = Array.from({ length: 20 }, () => {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      socket.pause();
      socket.write('GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
      return socket;
    });
    await until('an epoch', () => epochOf(run) > 0, running);
    if ((await post(`${url}api/pause`)) === 204) {
      await sleep(100);
      assert.equal(await post(`${url}api/resume`), 204);
    }
    await until('its page to stay', () => running.stderr().includes('stays for 30 s'), running);
    for (const socket of dead) socket.destroy();

    // A client that connects after the end sees the complete run.
    const { epochs, events } = await historyAt(url);
    assert.deepEqual(
      epochs.epoch,
      times(epochOf(run), (i) => i + 1),
    );
    assert.equal(epochs.k.at(-1), K);
    const typesOf = (all: { type: string }[]) => all.map(({ type }) => type);
    assert.deepEqual(typesOf(events), typesOf(eventsOf(run).filter(({ type }) => type !== 'epoch')));
    const sample = await fetch(`${url}api/sample`);
    assert.deepEqual([sample.headers.get('x-rows'), sample.headers.get('x-dim')], ['800', '5']);
    assert.equal((await sample.arrayBuffer()).byteLength, 800 * 5 * 4);
    const metrics = await (await fetch(`${url}metrics`)).text();
    assert.match(metrics, /^dpmesh_run_state\{state="done",.*\} 1$/m);
    assert.match(metrics, /^dpmesh_workers\{state="up",.*\} 0$/m);
    assert.equal((await fetch(`${url}healthz`)).status, 200);
    assert.equal((await fetch(`${url}readyz`)).status, 503);
    assert.equal(await post(`${url}api/pause`), 409);
    running.kill('SIGTERM');
    const asked = performance.now();
    const ended = await running.ended;
    assert.ok(performance.now() - asked < 15_000, 'it waited for the end of --linger');
    await assertNoneLeft(running.pid);
    const json = jsonOf(ended);
    assert.equal(json.k, K);
    assert.deepEqual(resultHashes(run), expected);
  });

  test('a failed run reports it while it lingers, and keeps its exit code', async () => {
    const bad = easyData(folder, 'bad', 500, ([x, y, z]) => [x, y > 0 ? Number.NaN : y, z]);
    const run = join(folder, 'failed');
    const running = start(trainArgs(bad.data, run, '--workers', 1, '--http', '127.0.0.1:0', '--linger', 30));
    const url = await pageUrlOf(running);
    await until('its page to stay', () => running.stderr().includes('stays for 30 s'), running);
    assert.equal((await fetch(`${url}healthz`)).status, 503);
    running.kill('SIGINT');
    const asked = performance.now();
    const { code, stderr } = await running.ended;
    assert.ok(performance.now() - asked < 15_000, 'it waited for the end of --linger');
    await assertNoneLeft(running.pid);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /\ndpmesh: .*NaN.*\n$/);
    assert.ok(!existsSync(run));
  });

  test('if the default port is taken another is used and reported; a token is required; a worker has its own port', async () => {
    const run = join(folder, 'token');
    const token = ['--http-token', 's3cret'];
    const { running, address: bind } = await startCoordinator(easy.data, run, ...token, ...ENDLESS, ...QUICK);
    const other = start(trainArgs(easy.data, join(folder, 'other'), '--workers', 1, ...ENDLESS, ...QUICK));
    const [url, moved] = [await pageUrlOf(running), await pageUrlOf(other)];
    assert.notEqual(url, moved);
    // The second one, or both if the port was already in use.
    assert.match(
      `${running.stderr()}${other.stderr()}`,
      /watch it at http:\/\/127\.0\.0\.1:\d+\/ \(port 9464 is taken\)/,
    );
    other.kill('SIGINT');
    assert.equal((await other.ended).code, 130);
    await assertNoneLeft(other.pid);

    assert.equal((await fetch(`${url}readyz`)).status, 503);
    const named = ['--http', '127.0.0.1:0', '--name', 'hand'];
    const worker = start(['worker', '--connect', bind, '--data-root', folder, ...named]);
    const own = await until('metrics', () => /metrics at (http:\S+)/.exec(worker.stderr())?.[1], worker);
    await until('an epoch', () => epochOf(run) > 0, running);
    const metrics = await (await fetch(own)).text();
    assert.match(metrics, /^dpmesh_local_joined\{worker="hand"\} 1$/m);
    assert.match(metrics, /^dpmesh_local_task_seconds_total\{task="moments",worker="hand"\} \d/m);
    assert.match(await (await fetch(`${url}metrics`)).text(), /^dpmesh_worker_info\{worker="hand",/m);

    assert.equal(await post(`${url}api/stop`, { authorization: 'Bearer wrong' }), 401);
    assert.equal(await post(`${url}api/stop`), 401);
    assert.equal(await post(`${url}api/stop`, { authorization: 'Bearer s3cret' }), 204);
    assert.equal((await running.ended).code, 130);
    assert.equal((await worker.ended).code, 0, worker.stderr());
    await assertNoneLeft(running.pid);
    await assertNoneLeft(worker.pid);
  });
});
