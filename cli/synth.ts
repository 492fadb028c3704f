import type { Flags, FlagValues } from './flag.ts';
import { interruptible } from './signals.ts';

export const command = 'synth';
export const describe = 'write points from a random Gaussian mixture, with their true labels';
export const builder = {
  out: { type: 'string', demandOption: true, describe: 'the points: .npy, float32' },
  labels: { type: 'string', demandOption: true, describe: 'the cluster of each point: .npy, int32' },
  clusters: { type: 'number', default: 15, describe: 'number of clusters' },
  points: { type: 'number', default: 10_000, describe: 'number of points; any, memory use stays small' },
  dim: { type: 'number', default: 2, describe: 'dimensions of a point' },
  seed: { type: 'string', default: '0', describe: 'same seed, same bytes' },
  force: { type: 'boolean', default: false, describe: 'replace files that exist' },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of text' },
} as const satisfies Flags;

/** Writes both files and prints a summary. UserError for bad values, and for files that exist without `--force`. */
export async function handler(args: FlagValues<typeof builder>): Promise<void> {
  const { out, labels, clusters, dim, points, seed, force, json } = args;
  const { synth } = await import('../library/synth.ts');
  const { bestNmi, judged } = await interruptible((signal) =>
    synth({ out, labels, clusters, dim, points, seed, force, signal, onProgress: progress(points) }),
  );
  if (json) {
    console.log(JSON.stringify({ out, labels, points, dim, clusters, seed, bestNmi, judged }));
    return;
  }
  console.log(`${out}: ${points} points of ${dim} dimensions, float32`);
  console.log(`${labels}: the cluster of each (${clusters} in all, counted from 0), int32`);
  const where = judged < points ? `, on ${judged} of the points` : '';
  console.log(`best possible NMI ${bestNmi.toFixed(4)} (posterior under the true parameters${where})`);
}

/** Says on stderr how far the work is: in place on a terminal, else a line every five seconds. */
function progress(total: number): (done: number) => void {
  const { isTTY } = process.stderr;
  const pause = isTTY ? 200 : 5000;
  const started = performance.now();
  let [last, shown] = [started, false];
  return (done) => {
    const now = performance.now();
    if (done === total && shown && isTTY) process.stderr.write('\r\x1b[K');
    if (done === total || now - last < pause) return;
    last = now;
    shown = true;
    const left = Math.ceil((((now - started) / done) * (total - done)) / 1000);
    const text = `${done} of ${total} points, ${left} s left`;
    process.stderr.write(isTTY ? `\r\x1b[K${text}` : `${text}\n`);
  };
}
