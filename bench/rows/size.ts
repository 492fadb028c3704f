import { existsSync, readFileSync } from 'node:fs';
import { embedding, formatScore, NotAvailable, synth, type TrainResult, train } from '../dpmesh.ts';
import { eventsOf, workerPids } from '../run-files.ts';
import type { BenchmarkRow } from './row.ts';

/** Peak resident memory in MiB of the coordinator and each worker, read from /proc while they run. */
function memoryWatch() {
  if (!existsSync('/proc/self/status')) throw new NotAvailable('there is no /proc');
  const peaks = new Map<number, number>();
  let coordinator = 0;
  const sample = (pid: number) => {
    try {
      const [, kib] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      if (kib) peaks.set(pid, Number(kib) / 1024);
    } catch {
      // It has ended.
    }
  };
  return {
    watch(pid: number, dir: string): void {
      coordinator = pid;
      for (const each of [pid, ...workerPids(dir)]) sample(each);
    },
    result() {
      const workers = [...peaks].flatMap(([pid, peak]) => (pid === coordinator ? [] : [Math.round(peak)]));
      return { coordinator: Math.round(peaks.get(coordinator)!), workers };
    },
  };
}

const memory: BenchmarkRow = {
  name: 'memory',
  what: 'MNIST, 2 workers: peak resident memory',
  target: 'a worker ≤ 200 MB, the coordinator ≤ 150 MB',
  async measure() {
    const { watch, result } = memoryWatch();
    await train(embedding('mnist'), ['--workers', 2], { watch });
    const { coordinator, workers } = result();
    return {
      measured: `workers ${workers.join(', ')} MB; coordinator ${coordinator} MB`,
      met: Math.max(...workers) <= 200 && coordinator <= 150,
    };
  },
};

const million: BenchmarkRow = {
  name: 'million',
  what: '1,000,000 × 32, 50 Gaussians, 2 workers',
  target: 'K 50, NMI ≥ .999, ≤ 120 s',
  async measure() {
    const data = await synth(50, 1_000_000, 32, 1, 20);
    const run = await train(data, ['--workers', 2], { minutes: 20 });
    return {
      measured: `K ${run.k}, NMI ${formatScore(run.nmi)}, ${run.seconds.toFixed(0)} s (${run.wall.toFixed(0)} s whole process)`,
      met: run.k === 50 && run.nmi! >= 0.999 && run.wall <= 120,
    };
  },
};

const POINTS = 20_000_000;

const big: BenchmarkRow = {
  name: 'big',
  what: '20,000,000 × 32, 50 Gaussians, 2 workers',
  target: 'K 50, NMI ≥ .99, ≤ 10 min, workers ≤ 300 MB, each row read twice',
  onRequest: true,
  async measure() {
    const data = await synth(50, POINTS, 32, 1, 20);
    const { watch, result } = memoryWatch();
    const run = await train(data, ['--workers', 2], { watch, minutes: 30 });
    const { workers, coordinator } = result();
    const read = rowsRead(run);
    const reads =
      read === null
        ? 'rows read not reported'
        : `${read.toLocaleString('en')} rows read (${read / POINTS} × N)`;
    return {
      measured: `K ${run.k}, NMI ${formatScore(run.nmi)}, ${(run.wall / 60).toFixed(1)} min, workers ${workers.join(', ')} MB, coordinator ${coordinator} MB, ${reads}`,
      met:
        run.k === 50 &&
        run.nmi! >= 0.99 &&
        run.wall <= 600 &&
        workers.length > 0 &&
        Math.max(...workers) <= 300 &&
        read === 2 * POINTS,
    };
  },
};

/** Rows read by all workers, from the summary or the events; null if neither has it. */
function rowsRead(run: TrainResult): number | null {
  const values = [run, ...eventsOf(run.out)].flatMap((record) =>
    'rowsRead' in record && typeof record.rowsRead === 'number' ? [record.rowsRead] : [],
  );
  return values.length ? Math.max(...values) : null;
}

export const sizeRows: BenchmarkRow[] = [memory, million, big];
