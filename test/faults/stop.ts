// One of two workers is frozen repeatedly, for 3 s or 8 s: tsx test/faults/stop.ts [--seed N] [--epochs N]

import { generator } from '../../model/random.ts';
import { embedding, note, train } from '../bench/dpmesh.ts';
import { eventsOf, workerPids } from '../bench/processes.ts';
import { numberFlag, report, resultHash, seed, short } from './campaign.ts';

const epochs = numberFlag('epochs', short ? 200 : 800);
const data = { data: embedding('mnist').data };
const flags = ['--no-early-stop', '--max-epochs', epochs];
const alone = await train(data, [...flags, '--workers', 1]);
const rng = generator(BigInt(seed), 'stop');
let stops = 0;
let until = 0;
let stopped: number | null = null;
const send = (pid: number, signal: NodeJS.Signals) => {
  try {
    process.kill(pid, signal);
  } catch {
    // It has already ended.
  }
};
const frozen = await train(data, [...flags, '--workers', 2], {
  watch(_, dir) {
    const now = performance.now();
    if (now < until) return;
    if (stopped) {
      send(stopped, 'SIGCONT');
      stopped = null;
      until = now + 1000;
      return;
    }
    const pids = [...new Set(workerPids(dir))];
    if (!pids.length) return;
    stopped = pids[rng.below(pids.length)];
    send(stopped, 'SIGSTOP');
    until = now + (stops++ % 2 ? 8000 : 3000);
  },
});
if (stopped) send(stopped, 'SIGCONT');
const same = resultHash(alone.out) === resultHash(frozen.out);
const suspected = eventsOf(frozen.out).filter((event) => event.type === 'worker-gone').length;
const ratio = frozen.wall / alone.wall;
note(`${stops} stops, ${suspected} suspected, ${ratio.toFixed(2)} × one worker alone`);
report({
  name: 'stop',
  what: 'repeated SIGSTOP of one of 2 workers, for 3 s or 8 s',
  target: 'the same bytes; wall time ≤ 1.3 × that of one worker alone',
  measured: `${stops} stops, suspected ${suspected} times, ${same ? 'the same' : 'DIFFERENT'} bytes, ${ratio.toFixed(2)} × (${frozen.wall.toFixed(1)} s, ${alone.wall.toFixed(1)} s)`,
  ok: same && ratio <= 1.3,
});
