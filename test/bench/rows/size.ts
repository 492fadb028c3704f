// What a run takes: memory, and time on many rows, as .npy, in other formats, and from a store.
import { execFile, spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { type DataFiles, embedding, formatScore, NotAvailable, scratch, synth, train } from '../dpmesh.ts';
import { eventsOf, freePort, ofType, sha256, workerPids } from '../processes.ts';
import { python } from '../python.ts';
import type { BenchmarkRow } from '../report.ts';

/** Peak resident memory in MB of the coordinator and each worker, read from /proc while they run. */
export function memoryWatch() {
  if (!existsSync('/proc/self/status')) throw new NotAvailable('there is no /proc');
  const peaks = new Map<number, number>();
  let coordinator = 0;
  return {
    watch(pid: number, dir: string): void {
      coordinator = pid;
      for (const each of [pid, ...workerPids(dir)])
        try {
          const [, kib] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/status`, 'utf8')) ?? [];
          if (kib) peaks.set(each, Math.round(Number(kib) / 1024));
        } catch {
          // It has ended.
        }
    },
    result() {
      const own = peaks.get(coordinator)!;
      const workers = [...peaks].flatMap(([pid, peak]) => (pid === coordinator ? [] : [peak]));
      if (!workers.length) throw new Error('no worker was seen, so its memory is not known');
      return { coordinator: own, workers, text: `workers ${workers.join(', ')} MB, coordinator ${own} MB` };
    },
  };
}

const memory: BenchmarkRow = {
  name: 'memory',
  what: 'MNIST: peak resident memory',
  target: 'a worker ≤ 200 MB, the coordinator ≤ 150 MB',
  async measure() {
    const { watch, result } = memoryWatch();
    await train(embedding('mnist'), ['--workers', 2], { watch });
    const { coordinator, workers, text } = result();
    return { measured: text, met: Math.max(...workers) <= 200 && coordinator <= 150 };
  },
};

interface Large {
  name: string;
  what: string;
  data(): Promise<DataFiles>;
  k: [number, number];
  nmi: number;
  /** Of the whole process, and of a worker, at most. */
  seconds: number;
  megabytes: number;
  onRequest?: true;
}

/** Many rows, of which each is read twice. */
function largeRow({ name, what, data, k, nmi, seconds, megabytes, onRequest }: Large): BenchmarkRow {
  return {
    name,
    what,
    target: `K ${k.join('–')}, NMI ≥ ${formatScore(nmi)}, ≤ ${seconds} s, workers ≤ ${megabytes} MB, each row read twice`,
    onRequest,
    async measure() {
      const files = await data();
      const { watch, result } = memoryWatch();
      const run = await train(files, ['--workers', 2], { watch, minutes: 30 });
      const { workers, text } = result();
      const events = eventsOf(run.out);
      const [{ rows }] = ofType(events, 'start');
      const reads =
        Math.max(...events.map((event) => ('rowsRead' in event ? (event.rowsRead ?? 0) : 0))) / rows;
      return {
        measured: `K ${run.k}, NMI ${formatScore(run.nmi)}, ${run.wall.toFixed(0)} s, ${text}, rows read ${reads} times`,
        met:
          [run.k >= k[0], run.k <= k[1], run.nmi! >= nmi, run.wall <= seconds, reads === 2].every(Boolean) &&
          Math.max(...workers) <= megabytes,
      };
    },
  };
}

const gaussians = (name: string, rows: number, nmi: number, seconds: number, onRequest?: true) =>
  largeRow({
    name,
    what: `${rows.toLocaleString('en')} × 32, 50 Gaussians`,
    data: () => synth(50, rows, 32, 1, 20),
    k: [50, 50],
    ...{ nmi, seconds, megabytes: 300, onRequest },
  });

const madeEmbeddings = (name: string) => () => python<DataFiles>('embeddings.py', [name, scratch, 0], 1);

const embeddings = (name: string, size: string, seconds: number, megabytes: number) =>
  largeRow({
    name: `embeddings-${name}`,
    what: `${size} (float16), a hundred clusters`,
    data: madeEmbeddings(name),
    k: [98, 102],
    ...{ nmi: 0.95, seconds, megabytes, onRequest: true },
  });

const secondWorker: BenchmarkRow = {
  name: 'embeddings-million-workers',
  what: '1,000,000 × 384 (float16): `seconds` of 1 worker divided by those of 2',
  target: '≥ 1.6',
  onRequest: true,
  async measure() {
    const data = await madeEmbeddings('million')();
    const one = await train(data, ['--workers', 1], { minutes: 10 });
    const two = await train(data, ['--workers', 2], { minutes: 10 });
    const ratio = one.seconds / two.seconds;
    return {
      measured: `${ratio.toFixed(2)}: ${one.seconds.toFixed(1)} s, ${two.seconds.toFixed(1)} s`,
      met: ratio >= 1.6,
    };
  },
};

const csv: BenchmarkRow = {
  name: 'csv-first-epoch',
  what: '1,000,000 × 17 CSV: to the end of the first epoch; pandas.read_csv on two threads',
  target: '≤ 4 s',
  async measure() {
    const { data, pandas } = await python<{ data: string; pandas: number }>(
      'table_files.py',
      ['csv', scratch],
      2,
    );
    const begun = Date.now();
    const env = { DPMESH_CACHE: `${scratch}/cache-${begun}` };
    const { out } = await train({ data }, ['--workers', 2, '--no-report'], { env });
    const [first] = ofType(eventsOf(out), 'epoch');
    const seconds = (Date.parse(first.time) - begun) / 1000;
    return { measured: `${seconds.toFixed(1)} s; pandas ${pandas.toFixed(1)} s`, met: seconds <= 4 };
  },
};

interface Place {
  /** Of the same rows as a local .npy and elsewhere. */
  npy: string;
  other: string;
  env?: Record<string, string>;
  stop?(): void;
}

const MOST = 350;

/** Rows elsewhere beside the same rows in a local .npy: they may take `most` times as long, whole process. */
function besideNpy(name: string, what: string, most: number, placed: () => Promise<Place>): BenchmarkRow {
  return {
    name,
    what: `${what} and as a local .npy`,
    target: `≤ ${most} × the time, the same labels, workers ≤ ${MOST} MB`,
    onRequest: true,
    async measure() {
      const { npy, other, env, stop } = await placed();
      try {
        const flags = ['--workers', 2, '--no-report'] as const;
        const near = await train({ data: npy }, flags, { minutes: 30 });
        const { watch, result } = memoryWatch();
        const far = await train({ data: other }, flags, { watch, env, minutes: 30 });
        const { workers, text } = result();
        const ratio = far.wall / near.wall;
        const [one, two] = [near, far].map(({ out }) => sha256(join(out, 'labels.npy')));
        return {
          measured: `.npy ${near.wall.toFixed(0)} s, elsewhere ${far.wall.toFixed(0)} s (${ratio.toFixed(2)} ×), ${one === two ? 'the same labels' : 'other labels'}; ${text}`,
          met: ratio <= most && one === two && Math.max(...workers) <= MOST,
        };
      } finally {
        stop?.();
      }
    },
  };
}

const parquet = besideNpy(
  'parquet-10-million',
  '10,000,000 × 32 float32 in 16 Parquet files',
  1.5,
  async () => {
    const { npy, parts } = await python<{ parts: string; npy: string }>(
      'table_files.py',
      ['parquet', scratch],
      2,
    );
    return { npy, other: parts, env: { DPMESH_CACHE: `${scratch}/cache-${Date.now()}` } };
  },
);

const remote = (name: string, rows: number) =>
  besideNpy(
    name,
    `${rows.toLocaleString('en')} × 32 float32 .npy in an S3 store on loopback`,
    2,
    async () => {
      const { data } = await synth(50, rows, 32, 1, 20);
      const store = await startStore();
      await store.put('x.npy', data).catch((error) => {
        store.stop();
        throw error;
      });
      return { npy: data, other: 's3://bench/x.npy', ...store };
    },
  );

/** It reads ranges from files without holding them in memory, which moto's server, of the tests, does not. */
const SERVER = 's3rver@3.7.1';

/** Installs and starts the store, with an empty bucket `bench`. */
async function startStore() {
  const folder = join(scratch, 's3');
  mkdirSync(folder, { recursive: true });
  await promisify(execFile)('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', SERVER]).catch(
    () => {
      throw new NotAvailable(`${SERVER} cannot be installed`);
    },
  );
  const port = await freePort();
  const program = join(folder, 'node_modules/s3rver/bin/s3rver.js');
  const flags = ['-d', join(folder, 'objects'), '-p', String(port), '--configure-bucket', 'bench'];
  const server = spawn(process.execPath, [program, ...flags], { stdio: ['ignore', 'pipe', 'ignore'] });
  process.once('exit', () => server.kill());
  for await (const line of createInterface(server.stdout)) if (/listening/.test(line)) break;
  server.stdout.resume();
  const url = `http://127.0.0.1:${port}`;
  return {
    env: { AWS_ENDPOINT_URL: url, AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' },
    async put(key: string, file: string) {
      const headers = { 'content-length': String(statSync(file).size) };
      const body = Readable.toWeb(createReadStream(file)) as ReadableStream;
      const response = await fetch(`${url}/bench/${key}`, { method: 'PUT', headers, body, duplex: 'half' });
      if (!response.ok) throw new Error(`the store answers ${response.status}`);
    },
    stop: () => server.kill(),
  };
}

export const sizeRows: BenchmarkRow[] = [
  memory,
  gaussians('million', 1_000_000, 0.999, 120),
  gaussians('big', 20_000_000, 0.99, 600, true),
  embeddings('20000', '20,000 × 384', 20, 400),
  embeddings('million', '1,000,000 × 384', 75, 400),
  embeddings('million-1536', '1,000,000 × 1,536', 240, 600),
  secondWorker,
  csv,
  parquet,
  remote('s3-million', 1_000_000),
  remote('s3-10-million', 10_000_000),
];
