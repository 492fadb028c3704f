import { join } from 'node:path';
import { loadBackend } from '../../worker/compute/backends/load.ts';
import { findTensorflow, findWebgpu } from '../../worker/compute/installed.ts';
import { dpmesh, embedding, formatScore, median, NotAvailable, repeat, tempPath, train } from '../dpmesh.ts';
import { addressOf, spawnDpmesh, until } from '../processes.ts';
import { eventsOf, sha256 } from '../run-files.ts';
import { type Measurement, wideProducts } from '../timing.ts';
import type { BenchmarkRow } from './row.ts';

const BACKENDS = ['wasm', 'cpu', 'tensorflow', 'webgpu'] as const;
type BackendName = (typeof BACKENDS)[number];

/** Throws NotAvailable unless the backend is installed on this machine. */
export function assertSetUp(name: BackendName): void {
  const installed = name === 'tensorflow' ? findTensorflow() : name === 'webgpu' ? findWebgpu() : {};
  if (!installed || 'problem' in installed)
    throw new NotAvailable(`${name} is not installed: dpmesh setup ${name}`);
}

/** Minimum ACC and maximum K, for every backend. */
const TARGETS = { usps: [0.955, 11], mnist: [0.965, 11], fashion: [0.615, 14] } as const;

const clusters = (name: BackendName): BenchmarkRow => ({
  name: `clusters-${name}`,
  what: `USPS, MNIST, Fashion on \`--backend ${name}\`; sha256 of USPS’s labels.npy for 1, 2, 3 workers`,
  target: 'ACC ≥ .955, .965, .615, K ≤ 11, 11, 14; all equal',
  async measure() {
    assertSetUp(name);
    const flags = ['--backend', name];
    const results: string[] = [];
    let met = true;
    for (const [data, [acc, k]] of Object.entries(TARGETS)) {
      const run = await train(embedding(data as keyof typeof TARGETS), flags, { minutes: 20 });
      met &&= run.acc! >= acc && run.k <= k;
      results.push(
        `${data.toUpperCase()} K ${run.k} ACC ${formatScore(run.acc)} in ${run.seconds.toFixed(1)} s`,
      );
    }
    const { data } = embedding('usps');
    const hashes = await repeat(3, async (i) =>
      sha256(join((await train({ data }, [...flags, '--workers', i + 1])).out, 'labels.npy')).slice(0, 8),
    );
    const same = hashes.every((hash) => hash === hashes[0]);
    return {
      measured: `${results.join('; ')}; ${same ? `all ${hashes[0]}` : hashes.join(', ')}`,
      met: met && same,
    };
  },
});

const wasmProducts: BenchmarkRow = {
  name: 'products-wasm',
  what: 'E-step and statistics products, D 128, K 50, one worker, WASM',
  target: '≥ 20 GFLOP/s',
  async measure() {
    // A run on WASM computes statistics from features stored as columns, never from rows.
    const [eStep, fromRows, fromX, statistics] = wideProducts(await loadBackend('wasm'));
    const text = ({ name, value }: Measurement) => `${name} ${value.toFixed(0)}`;
    return {
      measured: `${text(eStep)}, ${text(statistics)} (${text(fromX)}, ${text(fromRows)})`,
      met: [eStep, statistics].every(({ value }) => value >= 20),
    };
  },
};

const setup: BenchmarkRow = {
  name: 'setup',
  what: '`dpmesh setup tensorflow` on the CPU, from scratch',
  target: '≤ 3 min, one command',
  async measure() {
    const { wall } = await dpmesh(['setup', 'tensorflow'], { env: { XDG_DATA_HOME: tempPath('data') } });
    return { measured: `${wall.toFixed(0)} s`, met: wall <= 180 };
  },
};

const secondWorker: BenchmarkRow = {
  name: 'second-worker',
  what: 'MNIST running with one worker, a second one started by `launch`: time from that command to the first epoch in which it computes',
  target: '≤ 2 s (median of 5)',
  async measure() {
    const { data } = embedding('mnist');
    const out = tempPath('run');
    const coordinator = spawnDpmesh([
      ...['coordinator', '--data', data, '--out', out, '--bind', 'tcp://127.0.0.1:*', '--no-http'],
      ...['--no-report', '--no-early-stop', '--max-epochs', 1_000_000],
    ]);
    const worker = [
      '--cpus',
      1,
      '--backend',
      'wasm',
      '--data-root',
      '/',
      '--connect',
      await addressOf(coordinator),
    ];
    const first = spawnDpmesh(['launch', ...worker]);
    /** When the first epoch after `since` ended in which at least `count` workers computed. */
    const epochWith = (count: number, since: number) =>
      eventsOf(out)
        .flatMap((event) =>
          event.type === 'epoch' && Object.values(event.workers).filter((spent) => spent > 0).length >= count
            ? [Date.parse(event.time)]
            : [],
        )
        .find((time) => time > since);
    await until('its first epoch', () => epochWith(1, 0));
    const waits = await repeat(5, async () => {
      const begun = Date.now();
      const second = spawnDpmesh(['launch', ...worker]);
      await until('an epoch of both', () => epochWith(2, begun));
      second.kill('SIGTERM');
      await second.ended;
      return (epochWith(2, begun)! - begun) / 1000;
    });
    coordinator.kill('SIGTERM');
    await Promise.all([coordinator.ended, first.ended]);
    return {
      measured: `${median(waits).toFixed(2)} s (${Math.max(...waits).toFixed(2)} s at most)`,
      met: median(waits) <= 2,
    };
  },
};

export const backendRows: BenchmarkRow[] = [wasmProducts, setup, secondWorker, ...BACKENDS.map(clusters)];
