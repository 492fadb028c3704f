// Damages each byte of a checkpoint of a small run in turn, and truncates the file to every length.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dpmesh, synth, tempPath } from '../../bench/dpmesh.ts';
import { checkpointsOf } from '../../bench/run-files.ts';
import { decodeCheckpoint } from '../../coordinator/storage/checkpoint.ts';
import { newestCheckpoint } from '../../coordinator/storage/checkpoints.ts';
import { log, random, report, short } from './campaign.ts';

const { data } = await synth(3, 400, 2, 1);
const dir = tempPath('run');
await dpmesh([
  ...['train', '--data', data, '--out', dir, '--workers', 1],
  ...['--hidden', 4, '--max-epochs', 12, '--checkpoint-every', 0],
]);
const [older, newest] = checkpointsOf(dir).slice(-2);
const bytes = readFileSync(join(dir, 'checkpoints', newest));
const step = short ? 97 : 1;

/** Whether decoding fails, as it must. */
function isRejected(damaged: Buffer): boolean {
  try {
    decodeCheckpoint(damaged);
    return false;
  } catch {
    return true;
  }
}

let [read, tried] = [0, 0];
const attempt = (damaged: Buffer) => {
  tried++;
  if (!isRejected(damaged)) read++;
};
for (let i = 0; i < bytes.length; i += step) {
  const old = bytes[i];
  bytes[i] ^= 1 + random.below(255);
  attempt(bytes);
  bytes[i] = old;
  attempt(bytes.subarray(0, i));
  if (i % 10_000 < step) log(`byte ${i} of ${bytes.length}`);
}

// In a run directory, the previous checkpoint is used instead.
const recovered = tempPath('recovered');
mkdirSync(join(recovered, 'checkpoints'), { recursive: true });
writeFileSync(join(recovered, 'checkpoints', older), readFileSync(join(dir, 'checkpoints', older)));
let [recoveries, misses] = [0, 0];
for (let i = 0; i < (short ? 20 : 200); i++) {
  const damaged = Buffer.from(bytes);
  damaged[random.below(damaged.length)] ^= 1 + random.below(255);
  writeFileSync(join(recovered, 'checkpoints', newest), damaged);
  const warnings: string[] = [];
  const checkpoint = newestCheckpoint(
    recovered,
    () => null,
    (message) => warnings.push(message),
  );
  if (checkpoint?.path.endsWith(older) && warnings.length === 1) recoveries++;
  else misses++;
}
report({
  name: 'checkpoint-damage',
  what: 'each byte of a checkpoint damaged in turn, the file truncated to every length (small run)',
  target: 'never read as valid, always recovers',
  measured: `${tried.toLocaleString('en')} damaged and truncated files of ${bytes.length.toLocaleString('en')} bytes, ${read} read as valid; the previous checkpoint was used ${recoveries} of ${recoveries + misses} times`,
  ok: read === 0 && misses === 0,
});
