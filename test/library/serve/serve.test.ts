import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { readNpy } from '../../../data/npy.ts';
import type { ModelServer, ServeOptions } from '../../../index.ts';
import { writeManifest } from '../../../library/follow/manifest.ts';
import { createBatches } from '../../../library/serve/batches.ts';
import { collectBody, createBudget } from '../../../library/serve/bodies.ts';
import { OUTPUTS, readRequest } from '../../../library/serve/protocol.ts';
import { FORMAT } from '../../../run/finished-run.ts';
import { readTrainedModel } from '../../../run/trained-model.ts';
import { D, easyData, library, patience, runFileOf, scratch, times, until } from '../../e2e/support.ts';
import { fitted, ROWS } from '../../fitted.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const { predict, serve, UserError } = await library();
const N = 3000;
const easy = easyData(folder, 'easy', N);
const skewed = easyData(folder, 'skewed', 1000, (row) => [Math.exp(row[0] / 4), row[1], row[2]]);
const servers: ModelServer[] = [];

/** A server on a free port. */
async function started(options: ServeOptions): Promise<ModelServer> {
  const server = await serve({ http: '127.0.0.1:0', ...options });
  servers.push(server);
  return server;
}

let server: ModelServer;
before(async () => {
  await Promise.all([
    fitted('gaussian', path('x')),
    fitted('graph', path('graph')),
    fitted('logarithm', path('log')),
  ]);
  server = await started({ runs: ['x', 'graph', 'log'].map(path) });
});
after(() => Promise.all(servers.map((one) => one.close())));

interface Answer {
  status: number;
  headers: Record<string, string | undefined>;
  body: Buffer;
}
type Outputs = Record<string, number[]>;

/** Sends a request as it is. */
function send(
  url: string,
  body: string | Buffer | null,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: body === null ? 'GET' : 'POST', headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.once('end', () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers as Answer['headers'],
          body: Buffer.concat(chunks),
        }),
      );
    });
    sent.once('error', reject).end(body ?? undefined);
  });
}

const urlOf = (model: string, of = server) => `${of.url}v2/models/${model}/infer`;
const json = ({ body }: Answer) => JSON.parse(body.toString());
const input = (data: unknown, shape: number[], datatype = 'FP32') => ({
  name: 'rows',
  datatype,
  shape,
  data,
});
/** A body that arrived in one piece. */
function bodyOf(text: string) {
  const { add, body } = collectBody();
  add(Buffer.from(text));
  return body();
}
const rowsOf = (from: number, count: number) => easy.rows.subarray(from * D, (from + count) * D);

/** The outputs for rows, as JSON. */
async function asked(url: string, values: ArrayLike<number>, columns = D, more = {}): Promise<Outputs> {
  const inputs = [input(Array.from(values), [values.length / columns, columns])];
  const answer = await send(url, JSON.stringify({ inputs, ...more }));
  assert.equal(answer.status, 200, answer.body.toString());
  return Object.fromEntries(
    json(answer).outputs.map(({ name, data }: { name: string; data: number[] }) => [name, data]),
  );
}

const ALL = Object.keys(OUTPUTS);
/** Those of a model: a graph has no log densities. */
const outputsOf = (name: string) => ALL.filter((output) => name !== 'graph' || output !== 'log_density');
const everythingOf = (name: string) => ({ outputs: outputsOf(name).map((output) => ({ name: output })) });

describe('labels', () => {
  test('are those of the run and of predict, to the bit', async () => {
    // Those that they were trained on.
    const rows = easy.rows.slice(0, ROWS * D);
    for (const name of ['x', 'graph']) {
      const found = await asked(urlOf(name), rows, D, everythingOf(name));
      const own = (file: string) => Array.from(readNpy(join(path(name), file)).data as Float32Array);
      assert.deepEqual(found.label, own('labels.npy'));
      assert.deepEqual(found.confidence, own('confidences.npy'));
      assert.deepEqual(found.distance, own('distances.npy'));
      if (name === 'x') assert.deepEqual(found.log_density, own('log-densities.npy'));
      const [header, ...lines] = readFileSync(join(path(name), 'labels.csv'), 'utf8')
        .trim()
        .split('\n');
      const column = header.split(',').indexOf('outlier_score');
      assert.deepEqual(
        found.outlier_score,
        lines.map((line) => Number(line.split(',')[column])),
      );
      const data = { values: rows, columns: D };
      const { labels, components, responsibilities, map } = await predict({
        run: path(name),
        data,
        ...{ soft: true, map: true, components: true },
      });
      assert.deepEqual(found.component, Array.from(components!));
      assert.deepEqual(found.label, Array.from(labels));
      const places = own('map.npy');
      assert.deepEqual(Array.from(map!), places);
      for (const [i, axis] of ['map_x', 'map_y'].entries())
        assert.deepEqual(
          found[axis],
          places.filter((_, at) => at % 2 === i),
        );
      assert.deepEqual(found.probabilities, Array.from(responsibilities!));
    }
  });

  test('do not depend on the requests beside them, nor on how many rows each has', async () => {
    for (const name of ['x', 'graph']) {
      const whole = await asked(urlOf(name), easy.rows, D, everythingOf(name));
      const k = whole.probabilities.length / N;
      const sizes = [1, 2, 3, 5, 8, 13, 100, 255, 256, 257, 600, 1500, N];
      const parts = sizes.map((count, i) => ({ from: (i * 37) % (N - count + 1), count }));
      const found = await Promise.all(
        parts.map(({ from, count }) => asked(urlOf(name), rowsOf(from, count), D, everythingOf(name))),
      );
      for (const [i, { from, count }] of parts.entries())
        for (const output of outputsOf(name)) {
          const width = output === 'probabilities' ? k : 1;
          assert.deepEqual(
            found[i][output],
            whole[output].slice(from * width, (from + count) * width),
            output,
          );
        }
    }
    const text = (await send(`${server.url}metrics`, null)).body.toString();
    const value = (what: string) => Number(new RegExp(`^dpmesh_serve_${what} (.*)$`, 'm').exec(text)![1]);
    assert.ok(value('batch_rows_count') < value('requests_total{model="x",code="200"}') * 2 + 12, text);
    assert.equal(value('queue_rows'), 0);
    assert.ok(value('rows_total{model="x"}') > 2 * N);
    const share = value('far_rows_share{model="x"}');
    assert.ok(share > 0 && share < 0.05, String(share));
  });

  test('are the same for each type and form of data', async () => {
    const values = rowsOf(0, 4).map(Math.round);
    const expected = await asked(urlOf('x'), values);
    const nested = times(4, (i) => Array.from(values.subarray(i * D, (i + 1) * D)));
    for (const datatype of ['FP32', 'FP64', 'INT8', 'INT64']) {
      const answer = await send(urlOf('x'), JSON.stringify({ inputs: [input(nested, [4, D], datatype)] }));
      assert.deepEqual(
        json(answer).outputs.map(({ data }: { data: number[] }) => data),
        Object.values(expected),
      );
    }
    const one = await send(urlOf('x'), JSON.stringify({ id: 'mine', inputs: [input(nested[1], [D])] }));
    assert.equal(json(one).id, 'mine');
    assert.deepEqual(json(one).outputs[0], {
      name: 'label',
      datatype: 'INT32',
      shape: [1],
      data: [expected.label[1]],
    });
    for (const [datatype, bytes] of [
      ['FP32', values],
      ['FP64', Float64Array.from(values)],
      ['INT16', Int16Array.from(values)],
      ['INT64', BigInt64Array.from(Array.from(values, BigInt))],
    ] as const) {
      const size = { parameters: { binary_data_size: bytes.byteLength } };
      const head = Buffer.from(
        JSON.stringify({
          inputs: [{ name: 'any', datatype, shape: [4, D], ...size }],
          outputs: [
            { name: 'distance', parameters: { binary_data: true } },
            { name: 'label' },
            { name: 'confidence' },
          ],
          parameters: { binary_data_output: false },
        }),
      );
      const answer = await send(
        urlOf('x'),
        Buffer.concat([head, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)]),
        {
          'inference-header-content-length': String(head.length),
        },
      );
      const length = Number(answer.headers['inference-header-content-length']);
      const { outputs } = JSON.parse(answer.body.subarray(0, length).toString());
      assert.deepEqual(outputs[0], {
        name: 'distance',
        datatype: 'FP32',
        shape: [4],
        parameters: { binary_data_size: 16 },
      });
      assert.deepEqual(outputs[1].data, expected.label);
      const distances = new Float32Array(Uint8Array.from(answer.body.subarray(length)).buffer);
      assert.deepEqual(Array.from(distances), expected.distance);
    }
  });

  test('of columns that are known by their logarithms', async () => {
    assert.deepEqual(runFileOf(path('log')).data.logged, [0]);
    const found = await asked(urlOf('log'), skewed.rows.slice(0, 900), 3);
    assert.deepEqual(found.label, Array.from(readNpy(join(path('log'), 'labels.npy')).data.slice(0, 300)));
    const answer = await send(urlOf('log'), JSON.stringify({ inputs: [input([1, 1, 1, -2, 1, 1], [2, 3])] }));
    assert.equal(answer.status, 400);
    assert.match(json(answer).error, /^row 1 .*column 0.*: -2 has no logarithm/);
  });
});

describe('what is there', () => {
  test('metadata, health, versions', async () => {
    const get = async (at: string) => json(await send(`${server.url}${at}`, null));
    assert.deepEqual((await get('v2')).extensions, ['binary_tensor_data']);
    assert.deepEqual(await get('v2/health/live'), { live: true });
    assert.deepEqual(await get('v2/health/ready'), { ready: true });
    const about = await get('v2/models/x');
    const id = versionOf(path('x'));
    assert.deepEqual([about.name, about.versions, about.platform], ['x', [id], 'dpmesh']);
    assert.deepEqual(about.inputs, [{ name: 'rows', datatype: 'FP32', shape: [-1, D] }]);
    assert.deepEqual(
      about.outputs.map(({ name }: { name: string }) => name),
      ALL,
    );
    assert.deepEqual(await get(`v2/models/x/versions/${id}/ready`), { name: 'x', ready: true });
    assert.equal((await send(`${server.url}v2/models/x/versions/9`, null)).status, 404);
    assert.deepEqual(
      server.models.map(({ url }) => url),
      ['x', 'graph', 'log'].map((name) => `${server.url}v2/models/${name}`),
    );
  });

  test('mistakes are answered with a sentence', async () => {
    const row = Array(D).fill(1);
    const ok = input(row, [1, D]);
    const of = (...inputs: unknown[]) => JSON.stringify({ inputs });
    const cases: [
      status: number,
      says: RegExp,
      body: string | Buffer,
      headers?: Record<string, string>,
      at?: string,
    ][] = [
      [400, /not JSON/, '{"inputs": ['],
      [400, /not JSON/, ''],
      [400, /the request must be an object/, '7'],
      [400, /inputs must be a list/, '{}'],
      [400, /has 0 inputs/, of()],
      [400, /has 2 inputs/, of(ok, ok)],
      [400, /inputs\.0\.shape must be a list/, of({ ...ok, shape: '1' })],
      [400, /shape\.0 must not be negative/, of({ ...ok, shape: [-1, D] })],
      [400, /shape\.0 must be a whole number/, of({ ...ok, shape: [1.5, D] })],
      [400, /less data than its shape/, of({ ...ok, shape: [2 ** 50, D] })],
      [400, /must have \[rows, 5\]/, of({ ...ok, shape: [D, 1] })],
      [400, /must have \[rows, 5\]/, of({ ...ok, shape: [] })],
      [400, /must have \[rows, 5\]/, of({ ...ok, shape: Array(1000).fill(1) })],
      [400, /has no rows/, of({ ...ok, shape: [0, D], data: [] })],
      [400, /not as much data/, of({ ...ok, data: row.slice(1) })],
      [400, /not as much data/, of({ ...ok, data: [...row, 1] })],
      [400, /data must be a list of numbers/, of({ ...ok, data: 'abc' })],
      [400, /has no data/, of({ ...ok, data: undefined })],
      [
        400,
        /a row has 1 numbers, and must have 5/,
        of({ ...ok, shape: [2, D], data: [[1], [1, 1, 1, 1, 1, 1, 1, 1, 1]] }),
      ],
      [400, /value 1 .* is not a number/, of({ ...ok, data: [1, null, 1, 1, 1] })],
      [400, /value 1 .* is not a number/, of({ ...ok, data: [1, '2', 1, 1, 1] })],
      [
        400,
        /a row has 1 numbers, and must have/,
        of({ ...ok, data: JSON.parse(`${'['.repeat(9)}1${']'.repeat(9)}`) }),
      ],
      [
        400,
        /a row has 1 numbers, and must have/,
        `{"inputs":[{"name":"rows","datatype":"FP32","shape":[1,${D}],"data":${'['.repeat(1e5)}${']'.repeat(1e5)}}]}`,
      ],
      [400, /row 0 .*column 2.*: 1e300 /, of({ ...ok, data: [1, 1, 1e300, 1, 1] })],
      [400, /row 0 .*column 4.*: 1e30 is larger/, of({ ...ok, data: [1, 1, 1, 1, 1e30] })],
      [400, /datatype BYTES/, of({ ...ok, datatype: 'BYTES' })],
      [400, /^no\ufffdname\ufffd has the shape/, of({ ...ok, name: 'no\nname\u202e', shape: [1] })],
      [400, /datatype __proto__/, of({ ...ok, datatype: '__proto__' })],
      [
        400,
        /label is asked for twice/,
        JSON.stringify({ inputs: [ok], outputs: [{ name: 'label' }, { name: 'label' }] }),
      ],
      [400, /no output constructor/, JSON.stringify({ inputs: [ok], outputs: [{ name: 'constructor' }] })],
      [
        400,
        /binary_data must be true or false/,
        JSON.stringify({ inputs: [ok], outputs: [{ name: 'label', parameters: { binary_data: 1 } }] }),
      ],
      [400, /has only \d+ bytes/, of(ok), { 'inference-header-content-length': '9999' }],
      [400, /must be a number of bytes/, of(ok), { 'inference-header-content-length': '-1' }],
      [
        400,
        /needs the parameter binary_data_size/,
        `${of(ok)}xxxx`,
        { 'inference-header-content-length': String(of(ok).length) },
      ],
      [400, /needs the header/, of({ ...ok, data: undefined, parameters: { binary_data_size: 4 * D } })],
      [400, /both data and binary/, of({ ...ok, parameters: { binary_data_size: 4 * D } })],
      [415, /gzip/, of(ok), { 'content-encoding': 'gzip' }],
      [413, /more than 67108864 bytes/, Buffer.alloc((64 << 20) + 1)],
      [413, /more than 67108864 bytes/, Buffer.alloc((64 << 20) + 1), { 'transfer-encoding': 'chunked' }],
      [404, /no model __proto__: ask for x/, of(ok), {}, 'v2/models/__proto__/infer'],
      [404, /no POST \/v2\/models\/x/, of(ok), {}, 'v2/models/x'],
      [400, /malformed/, of(ok), {}, 'v2/models/%zz/infer'],
      [421, /Host header/, of(ok), { host: 'example.com' }],
      [403, /other origins/, of(ok), { origin: 'http://example.com' }],
      [431, /headers are too long/, of(ok), { x: 'a'.repeat(20_000) }],
    ];
    for (const [status, says, body, headers, at = 'v2/models/x/infer'] of cases) {
      const answer = await send(`${server.url}${at}`, body, headers);
      const what = `${says} ${answer.status} ${answer.body}`;
      assert.equal(answer.status, status, what);
      assert.deepEqual(Object.keys(json(answer)), ['error'], what);
      assert.match(json(answer).error, says);
      assert.doesNotMatch(json(answer).error, /\n|internal|\.[jt]s:/, what);
    }
    // NaN can only be sent as binary data.
    const values = Float32Array.of(1, 1, 1, Number.NaN, 1);
    const head = of({ ...ok, data: undefined, parameters: { binary_data_size: values.byteLength } });
    const body = Buffer.concat([Buffer.from(head), Buffer.from(values.buffer)]);
    const answer = await send(urlOf('x'), body, { 'inference-header-content-length': String(head.length) });
    assert.match(json(answer).error, /^row 0 \(counted from 0\), column 3.*: NaN is no number/);
  });

  test('a token is needed for all but metrics and health', async () => {
    const guarded = await started({ runs: path('x'), httpToken: 'secret' });
    const at = (where: string, token?: string) =>
      send(`${guarded.url}${where}`, null, token ? { authorization: `Bearer ${token}` } : {});
    assert.equal((await at('v2/models/x')).status, 401);
    assert.equal((await at('v2/models/x', 'wrong')).status, 401);
    assert.equal((await at('v2/models/x', 'secret')).status, 200);
    assert.equal((await at('v2/health/ready')).status, 200);
    assert.equal((await at('metrics')).status, 200);
    assert.equal((await send(urlOf('x', guarded), '{}')).status, 401);
  });

  test('mistakes of who starts it', async () => {
    mkdirSync(path('elsewhere'), { recursive: true });
    for (const [runs, says] of [
      [[path('x'), join(path('elsewhere'), 'x')], /x and .*elsewhere\/x would both be the model x/],
      [path('elsewhere'), /not the directory of a finished run/],
      [[], /must be the path of a run/],
    ] as const)
      await assert.rejects(
        serve({ runs, http: '127.0.0.1:0' }),
        (error) => error instanceof UserError && says.test(error.message),
      );
    const lines: string[] = [];
    await started({ runs: path('x'), http: '0.0.0.0:0', log: (line) => lines.push(line) });
    assert.match(lines.join(), /warning: --http 0\.0\.0\.0:0 is open to other machines/);
  });
});

describe('under load', () => {
  test('idle and slow connections are in nobody’s way', async () => {
    const { hostname, port } = new URL(server.url);
    const sockets = times(1002, () => connect(Number(port), hostname).on('error', () => {}));
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    const body = JSON.stringify({
      inputs: [input(Array.from(rowsOf(0, 256)), [256, D])],
      ...everythingOf('x'),
    });
    const head = `POST /v2/models/x/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
    sockets[0].write(head + body.slice(0, 100));
    sockets[1].pause();
    for (let i = 0; i < 16; i++) sockets[1].write(head + body);
    const seconds: number[] = [];
    for (let i = 0; i < 40; i++) {
      const begun = performance.now();
      await asked(urlOf('x'), rowsOf(i, 256));
      seconds.push((performance.now() - begun) / 1000);
    }
    assert.ok(seconds.sort((a, b) => a - b)[20] < patience(0.05), String(seconds));
    for (const socket of sockets) socket.destroy();
  });

  test('a client that ends its connection, and looks for an answer only when it has sent all, gets one', async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect({ port: Number(port), host: hostname });
    const write = (bytes: string | Buffer) =>
      new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.write(bytes, (error) => (error ? reject(error) : resolve()));
      });
    const body = Buffer.alloc(16 << 20);
    await write(
      `POST /v2/models/none/infer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    await write(body.subarray(0, 1));
    // Time enough for an answer to the first part of it.
    assert.equal((await send(urlOf('none'), '{}')).status, 404);
    await write(body.subarray(1));
    let answer = '';
    socket.on('data', (text) => {
      answer += text;
    });
    await once(socket, 'close');
    assert.match(answer, /^HTTP\/1\.1 404 [\s\S]*there is no model none[\s\S]*\}$/);
  });

  test('a newer model takes the place of the old one, and no request fails', async () => {
    const run = path('live');
    cpSync(path('x'), run, { recursive: true });
    const lines: string[] = [];
    const watching = await started({ runs: run, watch: true, log: (line) => lines.push(line) });
    const expected = new Map<string, number[]>();
    for (const name of ['x', 'graph']) {
      const { data } = readNpy(join(path(name), 'confidences.npy'));
      expected.set(versionOf(path(name)), Array.from(data.slice(0, 200) as Float32Array));
    }
    assert.notDeepEqual(...([...expected.values()] as [number[], number[]]));
    const seen = new Set<string>();
    let isOver = false;
    const client = async () => {
      while (!isOver) {
        const answer = await send(
          urlOf('live', watching),
          JSON.stringify({ inputs: [input(Array.from(rowsOf(0, 200)), [200, D])] }),
        );
        assert.equal(answer.status, 200, answer.body.toString());
        const { model_version, outputs } = json(answer);
        seen.add(model_version);
        assert.deepEqual(outputs[1].data, expected.get(model_version));
      }
    };
    const clients = Promise.all(times(4, client));
    await sleep(100);
    replaceRun(path('graph'), run);
    await until('the new model', () => seen.size === 2);
    // One that cannot be loaded.
    const sound = readFileSync(join(run, 'run.json'), 'utf8');
    writeFileSync(join(run, 'new'), '{');
    renameSync(join(run, 'new'), join(run, 'run.json'));
    await until('a line', () =>
      lines.some((line) => /warning: live stays the model that it was: .*damaged/.test(line)),
    );
    isOver = true;
    await clients;
    const metrics = (await send(`${watching.url}metrics`, null)).body.toString();
    assert.match(metrics, /load_failures_total\{model="live"\} 1/);
    writeFileSync(join(run, 'run.json'), sound);
  });

  test('of a follow the newest update', async () => {
    const follow = path('x-follow');
    mkdirSync(follow);
    const none = {
      dpmesh: '0',
      format: FORMAT,
      run: path('x'),
      base: 'x',
      updates: 0,
      parts: [],
      batch: null,
    };
    writeManifest(follow, none);
    const following = await started({ runs: follow, watch: true });
    const version = async () => json(await send(`${following.url}v2/models/x-follow`, null)).versions[0];
    assert.equal(await version(), versionOf(path('x')));
    cpSync(path('graph'), join(follow, 'update-000001'), { recursive: true });
    writeManifest(follow, { ...none, updates: 1 });
    let newest = '';
    await until('the update', () => {
      void version().then((found) => {
        newest = found;
      });
      return newest === versionOf(path('graph'));
    });
  });

  test('close answers what is under way', async () => {
    const closing = await serve({ runs: path('x'), http: '127.0.0.1:0' });
    const body = JSON.stringify({ inputs: [input(Array.from(easy.rows), [N, D])] });
    const { hostname, port } = new URL(closing.url);
    const socket = connect(Number(port), hostname);
    let answer = '';
    socket.on('data', (text) => {
      answer += text;
    });
    const head = (what: string) => `${what} HTTP/1.1\r\nHost: localhost\r\n`;
    // Once the first of two requests that arrive together is answered, the other one is there.
    socket.write(
      `${head('GET /v2/health/live')}\r\n${head('POST /v2/models/x/infer')}Content-Length: ${body.length}\r\n\r\n${body.slice(0, 9)}`,
    );
    await until('the first answer', () => answer.includes('{"live":true}'));
    answer = '';
    const closed = closing.close();
    await assert.rejects(send(`${closing.url}v2/health/ready`, null));
    socket.write(body.slice(9));
    await Promise.all([closed, once(socket, 'close')]);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /connection: close/i);
    await closing.close();
  });
});

/** The version under which the model of a run is served. */
const versionOf = (run: string) => readTrainedModel(run, { details: true, map: true }).version;

/** Puts the files of a run in the place of those of another, run.json last. */
function replaceRun(from: string, to: string): void {
  for (const name of ['model', 'run.json']) {
    cpSync(join(from, name), join(to, `${name}.new`), { recursive: true });
    if (name === 'model') renameSync(join(to, name), join(to, 'model.old'));
    renameSync(join(to, `${name}.new`), join(to, name));
  }
}

describe('parts', () => {
  test('a short request waits for one slice of a long one', async () => {
    const order: string[] = [];
    const sizes: number[] = [];
    const batches = createBatches(1, {
      isRowwise: true,
      labelled: (rows) => sizes.push(rows),
      label: async (values) => ({ confidence: values.map((value) => 2 * value) }),
    });
    const add = async (name: string, count: number) => {
      const confidence = new Float32Array(count);
      await batches.add(
        Float32Array.from({ length: count }, (_, i) => i),
        { confidence },
        () => false,
      );
      order.push(name);
      assert.ok(confidence.every((value, i) => value === 2 * i));
    };
    await Promise.all([add('long', 7000), add('short', 10), add('short', 10)]);
    assert.deepEqual(order, ['short', 'short', 'long']);
    assert.deepEqual(sizes, [2048, 2048, 2048, 7020 - 3 * 2048]);
    assert.equal(batches.waiting(), 0);
  });

  test('a request fails alone, and one whose client has gone is left out', async () => {
    const batches = createBatches(1, {
      isRowwise: false,
      labelled() {},
      async label(values) {
        if (values[0] < 0) throw new Error('no room');
        return { confidence: values };
      },
    });
    const add = (value: number, isGone = false) => {
      const confidence = new Float32Array(3000);
      return batches
        .add(new Float32Array(3000).fill(value), { confidence }, () => isGone)
        .then(() => confidence[2999]);
    };
    const found = await Promise.allSettled([add(1), add(-1), add(2), add(3, true)]);
    assert.deepEqual(
      found.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
      [1, 'no room', 2, 0],
    );
    assert.equal(batches.waiting(), 0);
  });

  const readOf = (json: string, columns: number) =>
    readRequest(bodyOf(json), null, { columns, k: 1, outputs: ['label'] }, () => {});

  test('numbers are sent in a list, or in rows of it', async () => {
    const values = Float32Array.from({ length: 50_000 }, (_, i) => Math.sin(i));
    const rows = Array.from({ length: 25_000 }, (_, i) => Array.from(values.subarray(2 * i, 2 * i + 2)));
    for (const data of [Array.from(values), rows]) {
      const request = await readOf(JSON.stringify({ inputs: [input(data, [25_000, 2])] }), 2);
      assert.deepEqual(request.values, values);
      assert.equal(request.sent(49_999), values[49_999]);
    }
    for (const [data, says] of [
      [[1, 2, null, 4], /data: value 2 \(counted from 0\) is not a number/],
      [
        [
          [1, 2],
          [3, '4'],
        ],
        /data: value 3 \(counted from 0\) is not a number/,
      ],
      [
        [
          [1, 2],
          [[3], 4],
        ],
        /data: value 2 \(counted from 0\) is not a number/,
      ],
      [[[1, 2], [3]], /a row has 1 numbers, and must have 2/],
      [[1, 2, 3], /not as much data/],
      ['1,2', /data/],
    ] as [unknown[], RegExp][])
      await assert.rejects(readOf(JSON.stringify({ inputs: [input(data, [2, 2])] }), 2), says);
    for (const json of ['', '{"inputs":', '[NaN]', '\u0000', '{}]'])
      await assert.rejects(readOf(json, 2), /is not JSON/, json);
    await assert.rejects(readOf(' '.repeat((4 << 20) + 1), 2), { statusCode: 413 });
  });

  test('the most JSON of anything is refused before others have waited long', async () => {
    const most = 4 << 20;
    let slowest = 0;
    for (const head of ['', '{"inputs":[', '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":['])
      for (const [unit, end] of [
        ['{},', '{}'],
        ['[],', '[]'],
        ['"",', '""'],
        ['[', ''],
        ['1,', '1'],
        ['{"a":', ''],
      ]) {
        const close = head ? (/data/.test(head) ? ']}]}' : ']}') : '';
        const body = `${head}${unit.repeat((most - 100 - head.length) / unit.length)}${end}${close}`;
        const before = process.cpuUsage().user;
        await assert.rejects(readOf(body, 1), (error: { statusCode?: number }) => error.statusCode === 400);
        slowest = Math.max(slowest, (process.cpuUsage().user - before) / 1e6);
      }
    assert.ok(slowest < 5, `${slowest} s`);
  });

  test('a body is what arrived, however it is cut', () => {
    const bytes = Buffer.from(Array.from({ length: 600_000 }, (_, i) => i % 251));
    for (const [size, length] of [
      [7, undefined],
      [65_536, undefined],
      [600_000, undefined],
      [1000, 600_000],
    ]) {
      const { add, body } = collectBody(length);
      for (let at = 0; at < bytes.length; at += size!) add(bytes.subarray(at, at + size!));
      const whole = body();
      assert.equal(whole.length, bytes.length);
      for (const [from, to] of [
        [0, 600_000],
        [262_140, 262_150],
        [5, 5],
        [524_288, 600_000],
      ])
        assert.ok(whole.copy(from, to).equals(bytes.subarray(from, to)));
    }
  });

  test('a body that was freed lends its memory to the next one, and keeps nothing of it', () => {
    const of = (byte: number) => {
      const { add, body } = collectBody();
      add(Buffer.alloc(600_000, byte));
      return body();
    };
    const first = of(1);
    first.free();
    first.free();
    const [second, third] = [of(2), of(3)];
    assert.ok(second.copy(0, 600_000).every((byte) => byte === 2));
    assert.ok(third.copy(0, 600_000).every((byte) => byte === 3));
  });

  test('no more bytes are held than there may be', () => {
    const budget = createBudget(100);
    const [first, second] = [budget.open(), budget.open()];
    first.take(60);
    assert.throws(() => second.take(50), { statusCode: 503 });
    first.gone();
    // Nobody waits for it, but what it has is still in use.
    assert.throws(() => first.take(1), /the client has gone/);
    assert.throws(() => second.take(50), { statusCode: 503 });
    first.done();
    second.take(100);
    assert.throws(() => second.take(1), { statusCode: 503 });
  });
});

test('the snippets of docs/serve.md', async () => {
  cpSync(path('log'), path('three/x'), { recursive: true });
  const { url } = await started({ runs: path('three/x') });
  const page = readFileSync(new URL('../../../docs/serve.md', import.meta.url), 'utf8');
  const snippets = [...page.matchAll(/^```(sh|python|js)\n([\s\S]*?)^```/gm)];
  assert.deepEqual(
    snippets.map(([, language]) => language),
    ['sh', 'python', 'js', 'python'],
  );
  const run = promisify(execFile);
  const programs: Record<string, string[]> = {
    sh: ['sh', '-c'],
    python: ['python3', '-c'],
    js: [process.execPath, '--input-type=module', '-e'],
  };
  const outputs = await Promise.all(
    snippets.map(([, language, code]) => {
      const [program, ...args] = programs[language];
      return run(program, [...args, code.replaceAll('http://127.0.0.1:8080/', url)]);
    }),
  );
  const label = json(
    await send(
      urlOf('x', { url } as ModelServer),
      JSON.stringify({ inputs: [input([1.5, 2, 3, 4, 5, 6], [2, 3])] }),
    ),
  ).outputs[0].data;
  const [curl, plain, fetched, binary] = outputs.map(({ stdout }) => stdout);
  assert.deepEqual(JSON.parse(curl).outputs[0].data, label);
  assert.ok(plain.includes(`'label': [${label.join(', ')}]`), plain);
  assert.equal(fetched.trim(), `[ ${label.join(', ')} ]`);
  assert.equal(binary.trim(), `(${label.join(', ')})`);
});
