// The cost of monitoring: `npm run bench:monitoring`, `--short` for a quick look. Prints Markdown tables.
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createMetrics } from '../coordinator/monitor/prometheus.ts';
import { embedding, median, tempPath } from './dpmesh.ts';
import { fakeRun } from './fake-run.ts';
import { cpuSecondsOf, machineTable, measureOtherCpu } from './machine.ts';
import { spawnDpmesh } from './processes.ts';
import { sha256 } from './run-files.ts';

const short = process.argv.includes('--short');
const ROUNDS = short ? 2 : 10;
const CLIENTS = 200;
/** The default of Prometheus is 15 s; 5 s is a common short interval. */
const SCRAPE_MS = 5000;
const { data } = embedding('mnist');

interface RunCost {
  /** Seconds of the whole process. */
  wall: number;
  /** Seconds from the first round to the end of the full pass. */
  seconds: number;
  /** Peak resident memory of the coordinator, MiB. */
  peak: number;
  /** CPU seconds of the coordinator. */
  cpu: number;
  labels: string;
}

/** One run on MNIST. Calls `connectClients` with the URL of its page, and the returned function at the end. */
async function run(
  flags: string[],
  connectClients: (url: URL) => () => void = () => () => {},
): Promise<RunCost> {
  const out = tempPath('run');
  const args = ['train', '--data', data, '--workers', '2', '--out', out, '--json', ...flags];
  const { pid, stderr, ended } = spawnDpmesh(args);
  let [peak, cpu] = [0, 0];
  let disconnect: (() => void) | null = null;
  const timer = setInterval(() => {
    peak = Math.max(peak, peakMemory(pid));
    cpu = Math.max(cpu, cpuSecondsOf(pid) ?? 0);
    const url = /watch it at (http:\S+\/)/.exec(stderr())?.[1];
    if (url && !disconnect) disconnect = connectClients(new URL(url));
  }, 50);
  const { code, stdout, stderr: log, seconds: wall } = await ended;
  clearInterval(timer);
  (disconnect as (() => void) | null)?.();
  if (code !== 0) throw new Error(log);
  return { wall, seconds: JSON.parse(stdout).seconds, peak, cpu, labels: sha256(join(out, 'labels.npy')) };
}

/** Peak resident memory of a process in MiB; 0 if it has ended. */
function peakMemory(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** The requests of an open page (everything once, the stream, each new state) and of a Prometheus. */
function openPage(url: URL): () => void {
  const agent = new Agent({ keepAlive: true });
  const request = (path: string, onData: (part: Buffer) => void = () => {}) =>
    new Promise<void>((resolve) => {
      const outgoing = get(new URL(path, url), { agent }, (response) => {
        response.on('data', onData).on('close', resolve).on('error', resolve);
      });
      outgoing.on('error', () => resolve());
    });
  void request('/metrics');
  const scrape = setInterval(() => void request('/metrics'), SCRAPE_MS);
  let path = '/api/sample';
  let isFetching = false;
  void (async () => {
    for (const first of ['/', '/api/run', '/api/history', '/api/state']) await request(first);
    await request('/api/stream', (part) => {
      if (isFetching || !part.includes('"state"')) return;
      isFetching = true;
      void request(path).then(() => {
        isFetching = false;
      });
      path = '/api/state';
    });
  })();
  return () => {
    clearInterval(scrape);
    agent.destroy();
  };
}

/** Clients of the stream, every second of which never reads. */
function openStreams(url: URL): () => void {
  const sockets = Array.from({ length: CLIENTS }, (_, i): Socket => {
    const socket = connect(Number(url.port), url.hostname).on('error', () => {});
    socket.write('GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
    return i % 2 ? socket.pause() : socket.resume();
  });
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

const otherCpu = measureOtherCpu();
const kinds: Record<string, () => Promise<RunCost>> = {
  '--no-http': () => run(['--no-http']),
  'port open, no clients': () => run(['--http', '127.0.0.1:0']),
  'page open and scraped': () => run(['--http', '127.0.0.1:0'], openPage),
  [`${CLIENTS} stream clients, half of them not reading`]: () => run(['--http', '127.0.0.1:0'], openStreams),
};
const runsByKind: Record<string, RunCost[]> = Object.fromEntries(
  Object.keys(kinds).map((kind) => [kind, []]),
);
for (let i = 0; i < ROUNDS; i++) {
  // Alternating order, so that a machine that slows down over time favours none.
  const order = Object.keys(kinds);
  if (i % 2) order.reverse();
  for (const kind of order) {
    runsByKind[kind].push(await kinds[kind]());
    const { wall, seconds, cpu, peak } = runsByKind[kind].at(-1)!;
    console.error(
      `${kind}: ${seconds.toFixed(2)} s, process ${wall.toFixed(2)} s, ${cpu.toFixed(2)} s of CPU, ${peak.toFixed(0)} MiB`,
    );
  }
}

const registry = createMetrics(fakeRun({ workers: 1000, k: 200 }));
const times: number[] = [];
let bytes = 0;
for (let i = 0; i < 20; i++) {
  const begun = performance.now();
  bytes = (await registry.metrics()).length;
  times.push(performance.now() - begun);
}

const base = runsByKind['--no-http'];
const summarize = (
  runs: RunCost[],
  name: 'wall' | 'seconds' | 'cpu' | 'peak',
  statistic: (values: number[]) => number,
) => statistic(runs.map((run) => run[name]));
const best = (values: number[]) => Math.min(...values);
const max = (values: number[]) => Math.max(...values);
console.log(`| MNIST, ${ROUNDS} runs each | training, best (median) | whole process, best (median) | against --no-http | coordinator: CPU, peak memory |
|---|---|---|---|---|`);
for (const [kind, runs] of Object.entries(runsByKind)) {
  const time = (name: 'wall' | 'seconds') =>
    `${summarize(runs, name, best).toFixed(2)} s (${summarize(runs, name, median).toFixed(2)})`;
  const change = (name: 'wall' | 'seconds', statistic: (values: number[]) => number) =>
    `${(100 * (summarize(runs, name, statistic) / summarize(base, name, statistic) - 1)).toFixed(1)} %`;
  const cost = runs === base ? '' : `${change('seconds', best)}, process ${change('wall', best)}`;
  console.log(
    `| ${kind} | ${time('seconds')} | ${time('wall')} | ${cost} | ${summarize(runs, 'cpu', median).toFixed(2)} s, ${summarize(runs, 'peak', max).toFixed(0)} MiB |`,
  );
}
const same =
  new Set(Object.values(runsByKind).flatMap((runs) => runs.map(({ labels }) => labels))).size === 1;
console.log(`
${same ? 'All runs gave the same labels.' : 'LABELS DIFFER.'} Other processes used ${Math.round(100 * (otherCpu() ?? 0))} % of the CPU.

| | measured | target |
|---|---|---|
| \`/metrics\`, 1,000 workers, K = 200 | ${best(times).toFixed(1)} ms (median ${median(times).toFixed(1)}), ${(bytes / 1000).toFixed(0)} kB | 50 ms, 1 MB |

${machineTable()}`);
