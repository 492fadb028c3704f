// Posts to the status server of Kubeflow Trainer: a real TLS server with a certificate of its own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { kubeflowStatus } from '../../../page/live/kubeflow-status.ts';
import type { RunEvent } from '../../../run/events.ts';
import { until } from '../../bench/processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-kubeflow-'));
const path = (name: string) => join(folder, name);
const received: { token?: string; type?: string; trainerStatus: Record<string, unknown> }[] = [];
let status = 200;
let env: Record<string, string>;
let close = () => {};

before(async () => {
  const names = ['-keyout', path('key'), '-out', path('ca.crt'), '-addext', 'subjectAltName=IP:127.0.0.1'];
  const of = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-subj', '/CN=trainer'];
  execFileSync('openssl', ['req', '-x509', '-nodes', ...of, ...names], { stdio: 'ignore' });
  const tls = { key: readFileSync(path('key')), cert: readFileSync(path('ca.crt')) };
  const server = createServer(tls, async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { authorization: token, 'content-type': type } = request.headers;
    received.push({ token, type, ...JSON.parse(Buffer.concat(parts).toString()) });
    response.writeHead(status).end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  close = () => void server.close();
  writeFileSync(path('token'), 'first\n');
  env = {
    KUBEFLOW_TRAINER_STATUS_URL: `https://127.0.0.1:${(server.address() as AddressInfo).port}/status`,
    KUBEFLOW_TRAINER_STATUS_CA_CERT: path('ca.crt'),
    KUBEFLOW_TRAINER_STATUS_TOKEN: path('token'),
  };
});

after(() => {
  close();
  rmSync(folder, { recursive: true });
});

const epoch = (number: number): RunEvent => ({
  ...{ type: 'epoch', epoch: number, k: number + 1, width: 8, loss: 0.5, subLoss: null },
  ...{ seconds: {}, workers: {} },
});

test('without the variable there is nothing to post to', () => {
  assert.equal(kubeflowStatus({}, assert.fail), null);
});

test('the newest numbers, at intervals, with the token that the file has now; the end says 100 %', async () => {
  received.length = 0;
  const posted = kubeflowStatus(env, assert.fail, 50)!;
  posted.event({ type: 'start', rows: 70, dim: 2, sample: 70, shards: 1 });
  await until('the first post', () => received.length === 1);
  writeFileSync(path('token'), 'second\n');
  for (let number = 1; number <= 40; number++) posted.event(epoch(number));
  await until('the second post', () => received.length === 2);
  posted.event({ type: 'done', k: 9, rowsRead: 140, seconds: {}, workers: {} });
  await posted.end(true);
  assert.deepEqual(received[0].trainerStatus.metrics, [{ name: 'rows', value: '70' }]);
  assert.deepEqual(
    received.map(({ token, type }) => [token, type]),
    ['first', ...received.slice(1).map(() => 'second')].map((token) => [
      `Bearer ${token}`,
      'application/json',
    ]),
  );
  assert.deepEqual(received[1].trainerStatus.metrics, [
    { name: 'rows', value: '70' },
    { name: 'epoch', value: '40' },
    { name: 'clusters', value: '41' },
    { name: 'loss', value: '0.5' },
  ]);
  const { progressPercentage, metrics, lastUpdatedTime } = received.at(-1)!.trainerStatus;
  assert.equal(progressPercentage, 100);
  assert.ok(
    (metrics as object[]).some((metric) => JSON.stringify(metric) === '{"name":"clusters","value":"9"}'),
  );
  assert.match(String(lastUpdatedTime), /^\d{4}-\d\d-\d\dT.*Z$/);
  assert.ok(received.slice(0, -1).every(({ trainerStatus }) => !('progressPercentage' in trainerStatus)));
});

test('a server that refuses, and one of another certificate, are reported once each', async () => {
  const said: string[] = [];
  status = 403;
  const refused = kubeflowStatus(env, (message) => said.push(message), 1)!;
  refused.event(epoch(1));
  await until('a refusal', () => said.length === 1);
  await refused.end(false);
  const other = { ...env, KUBEFLOW_TRAINER_STATUS_CA_CERT: path('token') };
  await kubeflowStatus(other, (message) => said.push(message))!.end(true);
  assert.match(said[0], /the status of the TrainJob was not updated: 127\.0\.0\.1:\d+ answers 403/);
  assert.match(said[1], /the status of the TrainJob was not updated: /);
  assert.equal(said.length, 2);
});
