import { existsSync, readFileSync } from 'node:fs';
import {
  type DataFiles,
  embedding,
  formatScore,
  NotAvailable,
  scratch,
  synth,
  type TrainResult,
  train,
} from '../dpmesh.ts';
import { python } from '../python.ts';
import type { BenchmarkRow } from '../report.ts';
import { eventsOf, ofType, workerPids } from '../run-files.ts';

/** Peak resident memory in MiB of the coordinator and each worker, read from /proc while they run. */
export function memoryWatch() {
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

/** Many rows of many columns, a hundred clusters; `seconds` and `megabytes`: of the whole process, and of a worker, at most. */
function wide(name: string, what: string, seconds: number, megabytes: number): BenchmarkRow {
  return {
    name: `embeddings-${name}`,
    what: `${what} (float16), a hundred clusters, 2 workers`,
    target: `K 98–102, NMI ≥ .95, ≤ ${seconds} s, workers ≤ ${megabytes} MB, each row read twice`,
    onRequest: true,
    async measure() {
      const data = await python<DataFiles>('embeddings.py', [name, scratch, 0], 1);
      const { watch, result } = memoryWatch();
      const run = await train(data, ['--workers', 2], { watch, minutes: 10 });
      const { workers } = result();
      const [{ rows }] = ofType(eventsOf(run.out), 'start');
      const reads = rowsRead(run)! / rows;
      return {
        measured: `K ${run.k}, NMI ${formatScore(run.nmi)}, ${run.wall.toFixed(0)} s whole process, workers ${workers.join(', ')} MB, each row read ${reads} times`,
        met:
          Math.abs(run.k - 100) <= 2 &&
          run.nmi! >= 0.95 &&
          run.wall <= seconds &&
          Math.max(...workers) <= megabytes &&
          reads === 2,
      };
    },
  };
}

const secondWorker: BenchmarkRow = {
  name: 'embeddings-million-workers',
  what: '1,000,000 × 384 (float16): `seconds` of 1 worker divided by those of 2',
  target: '≥ 1.6',
  onRequest: true,
  async measure() {
    const data = await python<DataFiles>('embeddings.py', ['million', scratch, 0], 1);
    const [one, two] = [
      await train(data, ['--workers', 1], { minutes: 10 }),
      await train(data, ['--workers', 2], { minutes: 10 }),
    ];
    const ratio = one.seconds / two.seconds;
    return {
      measured: `${ratio.toFixed(2)}: ${one.seconds.toFixed(1)} s, ${two.seconds.toFixed(1)} s`,
      met: ratio >= 1.6,
    };
  },
};

const manyClusters: BenchmarkRow = {
  name: 'embeddings-500',
  what: '200,000 × 64, 500 Gaussians (`dpmesh synth`), 2 workers',
  target: 'K 490–510, NMI ≥ .98',
  onRequest: true,
  async measure() {
    const data = await synth(500, 200_000, 64, 1, 10);
    const run = await train(data, ['--workers', 2], { minutes: 10 });
    return {
      measured: `K ${run.k}, NMI ${formatScore(run.nmi)}, ${run.wall.toFixed(0)} s whole process`,
      met: Math.abs(run.k - 500) <= 10 && run.nmi! >= 0.98,
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

export const sizeRows: BenchmarkRow[] = [
  memory,
  million,
  big,
  wide('20000', '20,000 × 384', 20, 400),
  wide('million', '1,000,000 × 384', 75, 400),
  wide('million-1536', '1,000,000 × 1,536', 240, 600),
  secondWorker,
  manyClusters,
];
