// A bad network link in userspace, for kernels without `tc netem`: impair.ts PORT HOST:PORT SEED [DELAY] is a TCP proxy on
// 127.0.0.1:PORT that imitates what programs see of such a link: delays, stalls after lost segments, and resets.
// Data stay in order.
import { createServer, connect as dial, type Socket } from 'node:net';
import { generator, type Rng } from '../../model/random.ts';

const [port, target, seed, delay = '50'] = process.argv.slice(2);
const SEGMENT = 1448;
/** One way, ms. */
const DELAY = Number(delay);
const JITTER = 0.4 * DELAY;
const LOSS = 0.05;
/** A lost segment is resent a round trip later if three later ones have arrived, else after a timeout, which doubles. */
const ROUND_TRIP = 2 * DELAY;
const TIMEOUT = 4 * DELAY;
/** Fraction of chunks after which the connection is reset at both ends. */
const RESET = 1 / 3000;
/** Bytes in flight above which the sender has to wait. */
const WINDOW = 1 << 20;

/** Milliseconds until a chunk of `bytes` has arrived completely, beyond the normal delay. */
function stallOf(rng: Rng, bytes: number): number {
  const segments = Math.ceil(bytes / SEGMENT);
  let stall = 0;
  for (let i = 0; i < segments; i++) {
    if (rng.uniform() >= LOSS) continue;
    // Several losses in one flight are repaired in one round trip.
    if (i < segments - 3) stall = Math.max(stall, ROUND_TRIP);
    else
      for (let wait = TIMEOUT; ; wait *= 2) {
        stall += wait;
        if (rng.uniform() >= LOSS) break;
      }
  }
  return stall;
}

/** Forwards one direction of a connection. */
function forward(rng: Rng, from: Socket, to: Socket): void {
  let free = 0;
  let startAndReach = 0;
  // A single timer, for the head of the queue: several timers could fire out of order.
  const queue: { at: number; chunk: Buffer }[] = [];
  let timerSet = false;
  const wake = (ms: number) => {
    if (!timerSet) setTimeout(deliver, Math.max(1, Math.ceil(ms)));
    timerSet = true;
  };
  const deliver = () => {
    timerSet = false;
    while (queue.length && queue[0].at <= performance.now()) {
      const { chunk } = queue.shift()!;
      startAndReach -= chunk.length;
      if (!to.destroyed) to.write(chunk);
    }
    if (startAndReach <= WINDOW) from.resume();
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
    // In order: later chunks wait for a stalled one.
    free = Math.max(free, performance.now() + late + stallOf(rng, chunk.length));
    queue.push({ at: free, chunk });
    startAndReach += chunk.length;
    if (startAndReach > WINDOW) from.pause();
    wake(free - performance.now());
  });
  from.on('error', () => {});
  from.on('close', () => wake(DELAY));
}

const rng = generator(BigInt(seed), 'impair');
const [host, targetPort] = target.split(':');
createServer((near) => {
  const far = dial(Number(targetPort), host);
  near.setNoDelay();
  far.setNoDelay();
  forward(rng, near, far);
  forward(rng, far, near);
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
