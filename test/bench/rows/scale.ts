import { type ChildProcess, spawn } from 'node:child_process';
import { newKeyPair } from '../../../proto/keys.ts';
import { median, note } from '../dpmesh.ts';
import { ROOT } from '../processes.ts';
import type { BenchmarkRow } from '../report.ts';
import { openRoot } from '../root.ts';

/** Rounds whose time counts, after those in which code is compiled. */
const [WARM_UP, ROUNDS] = [3, 10];
/** Workers, or relays, that one process of the swarm plays. */
const [WORKERS_EACH, RELAYS_EACH] = [250, 8];

interface Swarm {
  workers: number;
  /** 0: all workers connect to the coordinator. */
  relays: number;
  k: number;
  d: number;
  /** So many of the workers, with a relay of their own if there are any, are played by a process of their own. */
  apart?: number;
}

/** Starts the processes of a swarm; the last of them plays those that are apart. */
function startSwarm({ workers, relays, apart = 0 }: Swarm, address: string, key: string): ChildProcess[] {
  const play = (workers: number, relays: number) =>
    spawn(
      process.execPath,
      ['--import', 'tsx', 'test/bench/swarm.ts', address, String(workers), String(relays), key],
      { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] },
    );
  const others = { workers: workers - apart, relays: relays && apart ? relays - 1 : relays };
  const processes = relays ? Math.ceil(relays / RELAYS_EACH) : Math.ceil(workers / WORKERS_EACH);
  const swarm = Array.from({ length: processes }, (_, i) => {
    const share = (all: number) => Math.floor((all + i) / processes);
    return play(share(others.workers), share(others.relays));
  });
  if (apart) swarm.push(play(apart, Math.min(1, relays)));
  return swarm;
}

/** Has `measure` compute rounds of statistics of all shards with such a swarm, with keys. */
async function withSwarm<T>(
  swarm: Swarm,
  measure: (play: Pick<Root, 'round'> & { killApart(): void }) => Promise<T>,
): Promise<T> {
  const [own, theirs] = [newKeyPair(), newKeyPair()];
  const keys = { secret: own.secret, workers: theirs.public };
  const key = JSON.stringify({ ...theirs, server: own.public });
  const root = await openRoot({ bind: 'tcp://127.0.0.1:*', keys, ...swarm });
  const processes = startSwarm(swarm, root.address, key);
  try {
    await root.joined();
    for (let i = 0; i < WARM_UP; i++) await root.round();
    return await measure({ ...root, killApart: () => void processes.at(-1)!.kill('SIGKILL') });
  } finally {
    for (const each of processes) each.kill();
    await root.close();
  }
}

type Root = Awaited<ReturnType<typeof openRoot>>;

const swarmRow = (name: string, swarm: Swarm, most: number): BenchmarkRow => ({
  name: `scale-${name}`,
  what: `${swarm.workers} simulated workers${swarm.relays ? ` behind ${swarm.relays} relays` : ''}, K ${swarm.k}, D ${swarm.d}: CPU time of the coordinator, a round`,
  target: `≤ ${1000 * most} ms`,
  onRequest: true,
  async measure() {
    const found = await withSwarm(swarm, async ({ round }) => {
      const rounds: Awaited<ReturnType<typeof round>>[] = [];
      for (let i = 0; i < ROUNDS; i++) rounds.push(await round());
      return rounds;
    });
    const cpu = median(found.map(({ cpu }) => cpu));
    const wall = median(found.map(({ wall }) => wall));
    const memory = Math.round(process.memoryUsage.rss() / 1e6);
    const text = `${Math.round(1000 * cpu)} ms (${wall.toFixed(2)} s of wall time with the workers; ${memory} MB)`;
    note(text);
    return { measured: text, met: cpu <= most };
  },
});

/** Closed connections are to be noticed, and then the round to be complete, within so many seconds each. */
const [NOTICED, COMPLETE] = [2, 2];

const lostRow = (name: string, swarm: Swarm & { apart: number }): BenchmarkRow => ({
  name: `scale-${name}`,
  what: `${swarm.workers} simulated workers${swarm.relays ? ` behind ${swarm.relays} relays` : ''}: a round in which ${swarm.apart}${swarm.relays ? ' and their relay' : ''} are killed, and one without`,
  target: `≤ ${NOTICED + COMPLETE} s more`,
  onRequest: true,
  async measure() {
    const { before, lost } = await withSwarm(swarm, async ({ round, killApart }) => {
      const before = (await round()).wall;
      const next = round();
      killApart();
      return { before, lost: (await next).wall };
    });
    return {
      measured: `${lost.toFixed(2)} s, ${before.toFixed(2)} s`,
      met: lost - before <= NOTICED + COMPLETE,
    };
  },
});

export const scaleRows: BenchmarkRow[] = [
  lostRow('lost', { workers: 1000, relays: 0, k: 50, d: 32, apart: 100 }),
  lostRow('lost-relay', { workers: 1000, relays: 32, k: 50, d: 32, apart: 32 }),
  swarmRow('direct', { workers: 1000, relays: 0, k: 50, d: 32 }, 1),
  swarmRow('relays', { workers: 1000, relays: 32, k: 50, d: 32 }, 0.05),
  swarmRow('relays-500', { workers: 1000, relays: 32, k: 500, d: 32 }, 0.25),
];
