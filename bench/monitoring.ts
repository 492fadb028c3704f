// What it costs to be watched: `npm run bench:monitoring`, `--short` for a quick look. One JSON line of figures on stdout.
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createMetrics } from '../coordinator/monitor/prometheus.ts';
import { crowd } from './crowd.ts';
import { embedding, fresh, median } from './dpmesh.ts';
import { cpuOf, machineTable, othersShare } from './machine.ts';
import { start } from './processes.ts';
import { sha256 } from './run-files.ts';

const short = process.argv.includes('--short');
const ROUNDS = short ? 2 : 10;
const CLIENTS = 200;
/** Prometheus' own default is 15 s, impatient people set 5. */
const SCRAPE_MS = 5000;
const { data } = embedding('mnist');

interface Measured {
  /** The whole process, s; from the first round to the end of the full pass, s; the coordinator's largest, MiB. */
  wall: number;
  seconds: number;
  peak: number;
  /** Seconds of CPU that the coordinator took. */
  cpu: number;
  labels: string;
}

/** One run on MNIST. `look` is given its address as soon as it says it; what it gives back ends with the run. */
async function run(flags: string[], look: (url: URL) => () => void = () => () => {}): Promise<Measured> {
  const out = fresh('run');
  const args = ['train', '--data', data, '--workers', '2', '--out', out, '--json', ...flags];
  const { pid, stderr, ended } = start(args);
  let [peak, cpu] = [0, 0];
  let leave: (() => void) | null = null;
  const timer = setInterval(() => {
    peak = Math.max(peak, highWater(pid));
    cpu = Math.max(cpu, cpuOf(pid) ?? 0);
    const url = /watch it at (http:\S+\/)/.exec(stderr())?.[1];
    if (url && !leave) leave = look(new URL(url));
  }, 50);
  const { code, stdout, stderr: said, seconds: wall } = await ended;
  clearInterval(timer);
  (leave as (() => void) | null)?.();
  if (code !== 0) throw new Error(said);
  return { wall, seconds: JSON.parse(stdout).seconds, peak, cpu, labels: sha256(join(out, 'labels.npy')) };
}

/** MiB; 0 when it has ended. */
function highWater(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** What an open page does: everything once, then the stream, and each newer state; and Prometheus beside it. */
function openPage(url: URL): () => void {
  const agent = new Agent({ keepAlive: true });
  const ask = (path: string, heard: (part: Buffer) => void = () => {}) =>
    new Promise<void>((resolve) => {
      const asking = get(new URL(path, url), { agent }, (response) => {
        response.on('data', heard).on('close', resolve).on('error', resolve);
      });
      asking.on('error', () => resolve());
    });
  void ask('/metrics');
  const scrape = setInterval(() => void ask('/metrics'), SCRAPE_MS);
  let path = '/api/sample';
  let asking = false;
  void (async () => {
    for (const first of ['/', '/api/run', '/api/history', '/api/state']) await ask(first);
    await ask('/api/stream', (part) => {
      if (asking || !part.includes('"state"')) return;
      asking = true;
      void ask(path).then(() => {
        asking = false;
      });
      path = '/api/state';
    });
  })();
  return () => {
    clearInterval(scrape);
    agent.destroy();
  };
}

/** Clients of the stream, of which every second one never reads. */
function crowdOfClients(url: URL): () => void {
  const sockets = Array.from({ length: CLIENTS }, (_, i): Socket => {
    const socket = connect(Number(url.port), url.hostname).on('error', () => {});
    socket.write('GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
    return i % 2 ? socket.pause() : socket.resume();
  });
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

const others = othersShare();
const kinds: Record<string, () => Promise<Measured>> = {
  '--no-http': () => run(['--no-http']),
  'port open, nobody looks': () => run(['--http', '127.0.0.1:0']),
  'page open, and scraped': () => run(['--http', '127.0.0.1:0'], openPage),
  [`${CLIENTS} stream clients, half of them not reading`]: () =>
    run(['--http', '127.0.0.1:0'], crowdOfClients),
};
const found: Record<string, Measured[]> = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
for (let i = 0; i < ROUNDS; i++) {
  // Who comes first changes, so that a machine that grows slower favours nobody.
  const order = Object.keys(kinds);
  if (i % 2) order.reverse();
  for (const kind of order) {
    found[kind].push(await kinds[kind]());
    const { wall, seconds, cpu, peak } = found[kind].at(-1)!;
    console.error(
      `${kind}: ${seconds.toFixed(2)} s, process ${wall.toFixed(2)} s, ${cpu.toFixed(2)} s of CPU, ${peak.toFixed(0)} MiB`,
    );
  }
}

const registry = createMetrics(crowd({ workers: 1000, k: 200 }));
const times: number[] = [];
let bytes = 0;
for (let i = 0; i < 20; i++) {
  const begun = performance.now();
  bytes = (await registry.metrics()).length;
  times.push(performance.now() - begun);
}

const base = found['--no-http'];
const of = (
  runs: Measured[],
  name: 'wall' | 'seconds' | 'cpu' | 'peak',
  which: (values: number[]) => number,
) => which(runs.map((run) => run[name]));
const best = (values: number[]) => Math.min(...values);
const most = (values: number[]) => Math.max(...values);
console.log(`| MNIST, ${ROUNDS} runs each | training, best (median) | whole process, best (median) | against --no-http | coordinator: CPU, memory at most |
|---|---|---|---|---|`);
for (const [kind, runs] of Object.entries(found)) {
  const figure = (name: 'wall' | 'seconds') =>
    `${of(runs, name, best).toFixed(2)} s (${of(runs, name, median).toFixed(2)})`;
  const change = (name: 'wall' | 'seconds', which: (values: number[]) => number) =>
    `${(100 * (of(runs, name, which) / of(base, name, which) - 1)).toFixed(1)} %`;
  const cost = runs === base ? '' : `${change('seconds', best)}, process ${change('wall', best)}`;
  console.log(
    `| ${kind} | ${figure('seconds')} | ${figure('wall')} | ${cost} | ${of(runs, 'cpu', median).toFixed(2)} s, ${of(runs, 'peak', most).toFixed(0)} MiB |`,
  );
}
const same = new Set(Object.values(found).flatMap((runs) => runs.map(({ labels }) => labels))).size === 1;
console.log(`
${same ? 'The same labels in all.' : 'LABELS DIFFER.'} Others took ${Math.round(100 * (others() ?? 0))} % of the CPU.

| | measured | asked |
|---|---|---|
| \`/metrics\`, 1,000 workers, K = 200 | ${best(times).toFixed(1)} ms (median ${median(times).toFixed(1)}), ${(bytes / 1000).toFixed(0)} kB | 50 ms, 1 MB |

${machineTable()}`);
