// Rows in an S3 store on this machine, beside the same rows in a local file.
import { execFile, spawn } from 'node:child_process';
import { createReadStream, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { NotAvailable, scratch, synth, train } from '../dpmesh.ts';
import { freePort } from '../processes.ts';
import type { BenchmarkRow } from '../report.ts';
import { sha256 } from '../run-files.ts';
import { memoryWatch } from './size.ts';

/** It reads ranges from files without holding them in memory, which moto's server, of the tests, does not. */
const SERVER = 's3rver@3.7.1';
const MOST = 350;

const remote = (name: string, rows: number): BenchmarkRow => ({
  name,
  what: `${rows.toLocaleString('en')} × 32 float32 .npy in an S3 store on loopback and locally, 2 workers, whole process`,
  target: `≤ 2 × the time, the same bytes, workers ≤ ${MOST} MB`,
  onRequest: true,
  async measure() {
    const { data } = await synth(50, rows, 32, 1, 20);
    const store = await startStore();
    try {
      await store.put('x.npy', data);
      const flags = ['--workers', 2, '--no-report'] as const;
      const local = await train({ data }, flags, { minutes: 30 });
      const { watch, result } = memoryWatch();
      const far = await train({ data: 's3://bench/x.npy' }, flags, { watch, env: store.env, minutes: 30 });
      const { workers, coordinator } = result();
      const ratio = far.wall / local.wall;
      const [one, other] = [local, far].map(({ out }) => sha256(join(out, 'labels.npy')));
      return {
        measured: `local ${local.wall.toFixed(0)} s, S3 ${far.wall.toFixed(0)} s (${ratio.toFixed(2)} ×), ${one === other ? 'the same bytes' : 'other bytes'}; workers ${workers.join(', ')} MB, coordinator ${coordinator} MB`,
        met: ratio <= 2 && one === other && Math.max(...workers) <= MOST,
      };
    } finally {
      store.stop();
    }
  },
});

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

export const remoteRows = [remote('s3-million', 1_000_000), remote('s3-10-million', 10_000_000)];
