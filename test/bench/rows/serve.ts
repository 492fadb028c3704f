// Requests for labels to `dpmesh serve`, whose process has one core.
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { readNpy } from '../../../data/npy.ts';
import { note, synth, train } from '../dpmesh.ts';
import { spawnDpmesh, until } from '../processes.ts';
import type { BenchmarkRow } from '../report.ts';

const [ROWS, DIM, CLUSTERS, POINTS] = [256, 32, 50, 20_000];
const [CLIENTS, SECONDS, IDLE] = [8, 5, 1000];
const [LEAST_RATE, MOST_MS] = [50_000, 20];

interface Message {
  body: Buffer;
  headers: Record<string, string | number>;
}

/** A request of the first rows, as JSON or with binary data both ways. */
function messageOf(rows: Float32Array, binary: boolean): Message {
  const input = { name: 'rows', datatype: 'FP32', shape: [ROWS, DIM] };
  const values = rows.subarray(0, ROWS * DIM);
  if (!binary)
    return { body: Buffer.from(JSON.stringify({ inputs: [{ ...input, data: [...values] }] })), headers: {} };
  const size = { parameters: { binary_data_size: values.byteLength } };
  const json = Buffer.from(
    JSON.stringify({ inputs: [{ ...input, ...size }], parameters: { binary_data_output: true } }),
  );
  return {
    body: Buffer.concat([json, Buffer.from(values.buffer, values.byteOffset, values.byteLength)]),
    headers: { 'inference-header-content-length': json.length },
  };
}

/** Resolves once the answer is there. */
function ask(url: URL, { body, headers }: Message, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = { method: 'POST', agent, headers: { ...headers, 'content-length': body.length } };
    request(url, sent, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.once('end', resolve).resume();
    })
      .once('error', reject)
      .end(body);
  });
}

/** Rows a second of clients that do not wait, and the 99th percentile of latencies at the rate of the target, ms from when a request was due. */
async function load(url: URL, message: Message): Promise<{ rate: number; p99: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  /** The latencies of requests of which one is due every `interval` ms. */
  async function during(seconds: number, interval: number): Promise<number[]> {
    const times: number[] = [];
    const begun = performance.now();
    let requests = 0;
    const client = async () => {
      for (;;) {
        const due = interval ? begun + interval * requests++ : performance.now();
        if (due >= begun + 1000 * seconds) return;
        await sleep(Math.max(0, due - performance.now()));
        await ask(url, message, agent);
        times.push(performance.now() - due);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return times.sort((a, b) => a - b);
  }
  await during(1, 0);
  const { length } = await during(SECONDS, 0);
  const times = await during(SECONDS, (1000 * ROWS) / LEAST_RATE);
  agent.destroy();
  return { rate: (ROWS * length) / SECONDS, p99: times[Math.floor(0.99 * times.length)] };
}

/** Connections without a request, one that sends its request slowly, and one that does not read its answers. */
function burden({ hostname, port, pathname }: URL, { body }: Message) {
  const open = () => connect(Number(port), hostname).on('error', () => {});
  const sockets = Array.from({ length: IDLE + 2 }, open);
  const head = `POST ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: ${body.length}\r\n\r\n`;
  const [slow, deaf] = sockets;
  slow.write(head);
  let at = 0;
  const timer = setInterval(() => slow.write(body.subarray(at, ++at)), 10);
  deaf.pause();
  for (let i = 0; i < 16; i++) deaf.write(Buffer.concat([Buffer.from(head), body]));
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}

const serve: BenchmarkRow = {
  name: 'serve',
  what: `\`dpmesh serve\` on one core, requests of ${ROWS} rows × ${DIM}, K ${CLUSTERS}, ${CLIENTS} at a time: rows a second, and the 99th percentile of latencies at ${LEAST_RATE.toLocaleString('en')} rows a second, alone and beside ${IDLE.toLocaleString('en')} idle connections and two slow ones`,
  target: `≥ ${LEAST_RATE.toLocaleString('en')} rows/s, ≤ ${MOST_MS} ms`,
  async measure() {
    const { data } = await synth(CLUSTERS, POINTS, DIM, 0);
    const { out } = await train({ data }, ['--workers', 2, '--seed', 0, '--no-report']);
    const server = spawnDpmesh(['serve', out, '--http', '127.0.0.1:0'], { within: ['taskset', '-c', '0'] });
    try {
      const address = await until('its address', () => /: (http:\S+)/.exec(server.stderr())?.[1], server);
      const url = new URL(`${address}/infer`);
      const rows = readNpy(data).data as Float32Array;
      const parts: string[] = [];
      let met = true;
      for (const binary of [false, true])
        for (const isBurdened of [false, true]) {
          const message = messageOf(rows, binary);
          const relieve = isBurdened ? burden(url, message) : () => {};
          const { rate, p99 } = await load(url, message).finally(relieve);
          met &&= rate >= LEAST_RATE && p99 <= MOST_MS;
          const text = `${Math.round(rate / 1000)},000 rows/s, ${p99.toFixed(1)} ms`;
          parts.push(`${binary ? 'binary' : 'JSON'}${isBurdened ? ' beside them' : ''} ${text}`);
          note(parts.at(-1)!);
        }
      return { measured: parts.join('; '), met };
    } finally {
      await server.killAll();
    }
  },
};

export const serveRows: BenchmarkRow[] = [serve];
