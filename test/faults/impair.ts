// A bad line in userspace, for kernels without `tc netem`: impair.ts PORT HOST:PORT SEED [DELAY] listens on 127.0.0.1:PORT and passes all on,
// as TCP shows such a line to programs: late, in order, with stalls where segments were lost, and cut now and then.
import { createServer, connect as dial, type Socket } from 'node:net';
import { generator, type Rng } from '../../model/random.ts';

const [port, target, seed, given = '50'] = process.argv.slice(2);
const SEGMENT = 1448;
/** One way, ms. */
const DELAY = Number(given);
const JITTER = 0.4 * DELAY;
const LOSS = 0.05;
/** A segment is sent again when three behind it have arrived, a round trip later; else after a timeout, which doubles. */
const ROUND_TRIP = 2 * DELAY;
const TIMEOUT = 4 * DELAY;
/** Of all chunks after which both ends lose the connection. */
const RESET = 1 / 3000;
/** More than this under way, and the sender has to wait, bytes. */
const WINDOW = 1 << 20;

/** Stall before a chunk of so many bytes is whole, ms. */
function stallOf(rng: Rng, bytes: number): number {
  const segments = Math.ceil(bytes / SEGMENT);
  let stall = 0;
  for (let i = 0; i < segments; i++) {
    if (rng.uniform() >= LOSS) continue;
    // Several losses of one flight are mended in one round trip.
    if (i < segments - 3) stall = Math.max(stall, ROUND_TRIP);
    else
      for (let wait = TIMEOUT; ; wait *= 2) {
        stall += wait;
        if (rng.uniform() >= LOSS) break;
      }
  }
  return stall;
}

/** Both directions of one connection; each has its own queue. */
function join(rng: Rng, from: Socket, to: Socket): void {
  let free = 0;
  let underWay = 0;
  // One timer for the first of the queue: those of several chunks would go off in another order.
  const queue: { at: number; chunk: Buffer }[] = [];
  let waiting = false;
  const wake = (ms: number) => {
    if (!waiting) setTimeout(deliver, Math.max(1, Math.ceil(ms)));
    waiting = true;
  };
  const deliver = () => {
    waiting = false;
    while (queue.length && queue[0].at <= performance.now()) {
      const { chunk } = queue.shift()!;
      underWay -= chunk.length;
      if (!to.destroyed) to.write(chunk);
    }
    if (underWay <= WINDOW) from.resume();
    if (queue.length) wake(queue[0].at - performance.now());
    else if (from.destroyed) to.destroy();
  };
  from.on('data', (chunk: Buffer) => {
    if (rng.uniform() < RESET) {
      from.resetAndDestroy();
      to.resetAndDestroy();
      return;
    }
    const late = DELAY + JITTER * (2 * rng.uniform() - 1);
    // In order: what comes behind a stall waits for it.
    free = Math.max(free, performance.now() + late + stallOf(rng, chunk.length));
    queue.push({ at: free, chunk });
    underWay += chunk.length;
    if (underWay > WINDOW) from.pause();
    wake(free - performance.now());
  });
  from.on('error', () => {});
  from.on('close', () => wake(DELAY));
}

const rng = generator(BigInt(seed), 'impair');
const [host, there] = target.split(':');
createServer((near) => {
  const far = dial(Number(there), host);
  near.setNoDelay();
  far.setNoDelay();
  join(rng, near, far);
  join(rng, far, near);
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
