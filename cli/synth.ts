import { statSync } from 'node:fs';
import { assertDistinctFiles } from '../base/same-file.ts';
import { UserError } from '../base/user-error.ts';
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

type Args = FlagValues<typeof builder>;

/** Writes both files and prints a summary; a UserError for bad values, and for files that exist without --force. */
export async function handler(args: Args): Promise<void> {
  const { out, labels, clusters, dim, points } = args;
  const seed = parseSeed(args.seed);
  assertWritable('--out', out, args.force);
  assertWritable('--labels', labels, args.force);
  assertDistinctFiles({ '--out': out, '--labels': labels }, {});

  const { synthesize } = await import('../data/synth.ts');
  const { bestNmi, judged } = await interruptible((signal) =>
    synthesize({ clusters, dim, points, seed, out, labels, signal, onProgress: progress(points) }),
  );
  if (args.json) {
    const summary = { out, labels, points, dim, clusters, seed: args.seed, bestNmi, judged };
    console.log(JSON.stringify(summary));
    return;
  }
  console.log(`${out}: ${points} points of ${dim} dimensions, float32`);
  console.log(`${labels}: the cluster of each (${clusters} in all, counted from 0), int32`);
  const where = judged < points ? `, on ${judged} of the points` : '';
  console.log(`best possible NMI ${bestNmi.toFixed(4)} (posterior under the true parameters${where})`);
}

function parseSeed(text: string): bigint {
  if (/^\d{1,20}$/.test(text) && BigInt(text) < 1n << 64n) return BigInt(text);
  throw new UserError(`--seed must be a whole number from 0 to 2^64 - 1, not ${text}`);
}

function assertWritable(flag: string, path: string, force: boolean): void {
  if (!path.endsWith('.npy')) throw new UserError(`${flag} must end in .npy, not be "${path}"`);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found && !found.isFile()) throw new UserError(`${flag} ${path} is not a file`);
  if (found && !force) throw new UserError(`${flag} ${path} exists already: --force replaces it`);
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
