// Every byte of a checkpoint of a small run is damaged in turn, and the file is cut at every length.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dpmesh, fresh, synth } from '../../bench/dpmesh.ts';
import { checkpointsOf } from '../../bench/run-files.ts';
import { decodeCheckpoint } from '../../coordinator/storage/checkpoint.ts';
import { newestCheckpoint } from '../../coordinator/storage/checkpoints.ts';
import { random, report, say, short } from './fault.ts';

const { data } = await synth(3, 400, 2, 1);
const dir = fresh('run');
await dpmesh([
  ...['train', '--data', data, '--out', dir, '--workers', 1],
  ...['--hidden', 4, '--max-epochs', 12, '--checkpoint-every', 0],
]);
const [older, newest] = checkpointsOf(dir).slice(-2);
const bytes = readFileSync(join(dir, 'checkpoints', newest));
const step = short ? 97 : 1;

/** A file that must not be read. */
function refuses(damaged: Buffer): boolean {
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
  if (!refuses(damaged)) read++;
};
for (let i = 0; i < bytes.length; i += step) {
  const old = bytes[i];
  bytes[i] ^= 1 + random.below(255);
  attempt(bytes);
  bytes[i] = old;
  attempt(bytes.subarray(0, i));
  if (i % 10_000 < step) say(`byte ${i} of ${bytes.length}`);
}

/** In a run directory, the one before it is taken. */
const recovered = fresh('recovered');
mkdirSync(join(recovered, 'checkpoints'), { recursive: true });
writeFileSync(join(recovered, 'checkpoints', older), readFileSync(join(dir, 'checkpoints', older)));
let [recoveries, misses] = [0, 0];
for (let i = 0; i < (short ? 20 : 200); i++) {
  const damaged = Buffer.from(bytes);
  damaged[random.below(damaged.length)] ^= 1 + random.below(255);
  writeFileSync(join(recovered, 'checkpoints', newest), damaged);
  const said: string[] = [];
  const found = newestCheckpoint(
    recovered,
    () => null,
    (message) => said.push(message),
  );
  if (found?.path.endsWith(older) && said.length === 1) recoveries++;
  else misses++;
}
report({
  name: 'checkpoint-damage',
  what: 'every byte position of a checkpoint damaged in turn, the file cut at every length (small run)',
  asked: 'never read as valid, always recovers',
  measured: `${tried.toLocaleString('en')} damaged and cut files of ${bytes.length.toLocaleString('en')} bytes, ${read} read as valid; ${recoveries} of ${recoveries + misses} times the one before was taken`,
  ok: read === 0 && misses === 0,
});
