import { join } from 'node:path';
import { loadBackend } from '../../worker/compute/backends/load.ts';
import { findTensorflow, findWebgpu } from '../../worker/compute/installed.ts';
import { Absent, dpmesh, embedding, fresh, median, repeat, score, train } from '../dpmesh.ts';
import { addressOf, start, until } from '../processes.ts';
import { eventsOf, sha256 } from '../run-files.ts';
import { type Figure, wideProducts } from '../timing.ts';
import type { Row } from './row.ts';

const BACKENDS = ['wasm', 'cpu', 'tensorflow', 'webgpu'] as const;
type Name = (typeof BACKENDS)[number];

/** Absent unless it is set up on this machine. */
export function assertSetUp(name: Name): void {
  const found = name === 'tensorflow' ? findTensorflow() : name === 'webgpu' ? findWebgpu() : {};
  if (!found || 'problem' in found) throw new Absent(`${name} is not set up: dpmesh setup ${name}`);
}

/** What part 1 asks of WASM, of any backend. */
const ASKED = { usps: [0.955, 11], mnist: [0.965, 11], fashion: [0.615, 14] } as const;

const clusters = (name: Name): Row => ({
  name: `clusters-${name}`,
  what: `USPS, MNIST, Fashion on \`--backend ${name}\`; sha256 of USPS’s labels.npy for 1, 2, 3 workers`,
  asked: 'ACC ≥ .955, .965, .615, K ≤ 11, 11, 14; all equal',
  async measure() {
    assertSetUp(name);
    const flags = ['--backend', name];
    const found: string[] = [];
    let met = true;
    for (const [data, [acc, k]] of Object.entries(ASKED)) {
      const run = await train(embedding(data as keyof typeof ASKED), flags, { minutes: 20 });
      met &&= run.acc! >= acc && run.k <= k;
      found.push(`${data.toUpperCase()} K ${run.k} ACC ${score(run.acc)} in ${run.seconds.toFixed(1)} s`);
    }
    const { data } = embedding('usps');
    const hashes = await repeat(3, async (i) =>
      sha256(join((await train({ data }, [...flags, '--workers', i + 1])).out, 'labels.npy')).slice(0, 8),
    );
    const same = hashes.every((hash) => hash === hashes[0]);
    return {
      measured: `${found.join('; ')}; ${same ? `all ${hashes[0]}` : hashes.join(', ')}`,
      met: met && same,
    };
  },
});

const wasmProducts: Row = {
  name: 'products-wasm',
  what: 'E-step and statistics products, D 128, K 50, one worker, WASM',
  asked: '≥ 20 GFLOP/s',
  async measure() {
    // The statistics as a run takes them there, of features that lie as columns: of rows it never does.
    const [eStep, ofRows, fromX, statistics] = wideProducts(await loadBackend('wasm'));
    const text = ({ name, value }: Figure) => `${name} ${value.toFixed(0)}`;
    return {
      measured: `${text(eStep)}, ${text(statistics)} (${text(fromX)}, ${text(ofRows)})`,
      met: [eStep, statistics].every(({ value }) => value >= 20),
    };
  },
};

const setup: Row = {
  name: 'setup',
  what: '`dpmesh setup tensorflow` on the CPU, from nothing',
  asked: '≤ 3 min, one command',
  async measure() {
    const { wall } = await dpmesh(['setup', 'tensorflow'], { env: { XDG_DATA_HOME: fresh('data') } });
    return { measured: `${wall.toFixed(0)} s`, met: wall <= 180 };
  },
};

const secondWorker: Row = {
  name: 'second-worker',
  what: 'MNIST under way with one worker, a second one by `launch`: from the start of that command to the first epoch it has a part in',
  asked: '≤ 2 s (median of 5)',
  async measure() {
    const { data } = embedding('mnist');
    const out = fresh('run');
    const coordinator = start([
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
    const first = start(['launch', ...worker]);
    /** When an epoch ended in which this many workers had a part, after `since`. */
    const shared = (count: number, since: number) =>
      eventsOf(out)
        .flatMap((event) =>
          event.type === 'epoch' && Object.values(event.workers).filter((spent) => spent > 0).length >= count
            ? [Date.parse(event.time)]
            : [],
        )
        .find((time) => time > since);
    await until('its first epoch', () => shared(1, 0));
    const waits = await repeat(5, async () => {
      const begun = Date.now();
      const second = start(['launch', ...worker]);
      await until('an epoch of both', () => shared(2, begun));
      second.kill('SIGTERM');
      await second.ended;
      return (shared(2, begun)! - begun) / 1000;
    });
    coordinator.kill('SIGTERM');
    await Promise.all([coordinator.ended, first.ended]);
    return {
      measured: `${median(waits).toFixed(2)} s (${Math.max(...waits).toFixed(2)} s at most)`,
      met: median(waits) <= 2,
    };
  },
};

export const backendRows: Row[] = [wasmProducts, setup, secondWorker, ...BACKENDS.map(clusters)];
