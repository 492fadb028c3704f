// Tables in other formats than .npy: how long they take until training begins, and in all.
import { scratch, train } from '../dpmesh.ts';
import { python } from '../python.ts';
import type { BenchmarkRow } from '../report.ts';
import { eventsOf, ofType } from '../run-files.ts';
import { memoryWatch } from './size.ts';

const csv: BenchmarkRow = {
  name: 'csv-first-epoch',
  what: '1,000,000 × 17 CSV, 2 workers: seconds from the command to the end of the first epoch, and of pandas.read_csv on two threads',
  target: '≤ 4 s',
  async measure() {
    const { data, pandas } = await python<{ data: string; pandas: number }>(
      'table_files.py',
      ['csv', scratch],
      2,
    );
    const begun = Date.now();
    const cache = `${scratch}/cache-${begun}`;
    const { out } = await train({ data }, ['--workers', 2, '--no-report'], { env: { DPMESH_CACHE: cache } });
    const [first] = ofType(eventsOf(out), 'epoch');
    const seconds = (Date.parse(first.time) - begun) / 1000;
    return {
      measured: `${seconds.toFixed(1)} s; pandas ${pandas.toFixed(1)} s`,
      met: seconds <= 4,
    };
  },
};

const MOST = 350;

const parquet: BenchmarkRow = {
  name: 'parquet-10-million',
  what: '10,000,000 × 32 float32 in 16 Parquet files and as .npy, 2 workers, whole process',
  target: `≤ 1.5 × the time, workers ≤ ${MOST} MB`,
  onRequest: true,
  async measure() {
    const files = await python<{ parts: string; npy: string }>('table_files.py', ['parquet', scratch], 2);
    const flags = ['--workers', 2, '--no-report'] as const;
    const npy = await train({ data: files.npy }, flags, { minutes: 20 });
    const { watch, result } = memoryWatch();
    const env = { DPMESH_CACHE: `${scratch}/cache-${Date.now()}` };
    const parts = await train({ data: files.parts }, flags, { watch, env, minutes: 20 });
    const { workers, coordinator } = result();
    const ratio = parts.wall / npy.wall;
    return {
      measured: `.npy ${npy.wall.toFixed(0)} s, Parquet ${parts.wall.toFixed(0)} s (${ratio.toFixed(2)} ×), K ${npy.k} and ${parts.k}; workers ${workers.join(', ')} MB, coordinator ${coordinator} MB`,
      met: ratio <= 1.5 && Math.max(...workers) <= MOST,
    };
  },
};

export const formatRows = [csv, parquet];
