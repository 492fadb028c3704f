// Training of an auto-encoder: beside PyTorch, and on many rows.
import { readFileSync } from 'node:fs';
import { findTensorflow } from '../../../worker/compute/installed.ts';
import { type DataFiles, formatScore, scratch, train } from '../dpmesh.ts';
import { eventsOf, ofType, workerPids } from '../processes.ts';
import { python, TORCH } from '../python.ts';
import type { BenchmarkRow } from '../report.ts';
import { memoryWatch } from './size.ts';

const WORKERS = 2;
const ENCODER = ['--encoder', 'autoencoder', '--workers', WORKERS, '--seed', 0] as const;

const seconds = (value: number) => `${value.toFixed(1)} s`;
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Of each pass over all rows: its seconds, and the mean error of its steps, as a share of the variance. */
interface Passes {
  seconds: number[];
  errors: number[];
}

/** Passes of the encoder alone: what is done with its codes is cut short. */
async function passesOf(data: string, count: number, backend: string): Promise<Passes> {
  const flags = ['--encoder-epochs', count, '--backend', backend, '--max-epochs', 1, '--no-report'];
  const { out } = await train({ data }, [...ENCODER, ...flags], { minutes: 60 });
  const epochs = ofType(eventsOf(out), 'encoder-epoch');
  return { seconds: epochs.map(({ wall }) => wall), errors: epochs.map(({ loss }) => loss) };
}

const PASSES = 2;

/** The same net, the same rows, as many cores: eight shards that are averaged, beside one after the other. */
const pytorch: BenchmarkRow = {
  name: 'encoder-pytorch',
  what: `raw MNIST, 70,000 × 784, the default auto-encoder, ${PASSES} passes: seconds a pass and last error, beside PyTorch on 2 threads`,
  target: null,
  onRequest: true,
  async measure() {
    const { data } = await python<DataFiles>('embeddings.py', ['mnist', scratch, 0], 1);
    const peer = await python<Passes>('torch_encoder.py', [data, PASSES, 0], WORKERS, TORCH);
    const [theirs, theirError] = [mean(peer.seconds), peer.errors.at(-1)!];
    const parts = [`PyTorch ${seconds(theirs)}, error ${formatScore(theirError)}`];
    const tensorflow = findTensorflow();
    for (const backend of tensorflow && !('problem' in tensorflow) ? ['wasm', 'tensorflow'] : ['wasm']) {
      const own = await passesOf(data, PASSES, backend);
      const [ours, error] = [mean(own.seconds), own.errors.at(-1)!];
      parts.push(
        `${backend} ${seconds(ours)} (${(ours / theirs).toFixed(2)} ×), error ${formatScore(error)} (${(error / theirError).toFixed(2)} ×)`,
      );
    }
    return { measured: parts.join('; '), met: null };
  },
};

/** Seconds in which the first thread of a process ran or was ready to, while others ran: it did not wait. Null if it has ended or there is no /proc. */
function readySecondsOf(pid: number): number | null {
  try {
    const [running, queued] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8')
      .split(' ')
      .map(Number);
    return (running + queued) / 1e9;
  } catch {
    return null;
  }
}

/** How long each worker's first thread, which computes, has not waited, and when that was read. */
function readyWatch() {
  const samples = new Map<number, { at: number; spent: number }[]>();
  return {
    watch(dir: string): void {
      for (const pid of workerPids(dir)) {
        const spent = readySecondsOf(pid);
        if (spent !== null) samples.set(pid, [...(samples.get(pid) ?? []), { at: Date.now(), spent }]);
      }
    },
    /** The seconds between two times, of all workers. */
    between(from: number, to: number): number {
      const until = (time: number, all: { at: number; spent: number }[]) =>
        all.findLast(({ at }) => at <= time)?.spent ?? 0;
      return [...samples.values()].reduce((sum, all) => sum + until(to, all) - until(from, all), 0);
    },
  };
}

const LARGEST = 450;

const million: BenchmarkRow = {
  name: 'encoder-million',
  what: '1,000,000 × 784 bytes (784 MB), one pass of the default auto-encoder on WASM',
  target: `workers ≤ ${LARGEST} MB`,
  onRequest: true,
  async measure() {
    const { data } = await python<DataFiles>('embeddings.py', ['million-pixels', scratch, 0], 1);
    const { watch, result } = memoryWatch();
    const ready = readyWatch();
    const run = await train({ data }, [...ENCODER, '--encoder-epochs', 1, '--no-report'], {
      watch(pid, dir) {
        watch(pid, dir);
        ready.watch(dir);
      },
      minutes: 60,
    });
    const [epoch] = ofType(eventsOf(run.out), 'encoder-epoch');
    const end = Date.parse(epoch.time);
    const all = WORKERS * epoch.wall;
    const waiting = 1 - ready.between(end - 1000 * epoch.wall, end) / all;
    const exchanges = 1 - epoch.seconds['encoder-steps'] / all;
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    const { workers, text } = result();
    return {
      measured: `${text}; a pass ${seconds(epoch.wall)}, ${percent(waiting)} of it waiting, ${percent(exchanges)} exchanges; ${seconds(run.wall)} in all`,
      met: Math.max(...workers) <= LARGEST,
    };
  },
};

export const encoderRows: BenchmarkRow[] = [pytorch, million];
