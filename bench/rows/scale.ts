import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '../../coordinator/scheduler/server.ts';
import { concat } from '../../model/arrays.ts';
import { blockCount, HASH_BYTES, layoutOf } from '../../model/layout.ts';
import { clusteringNet, netWidths } from '../../model/nets/net.ts';
import { createAuthenticator } from '../../proto/authenticator.ts';
import { newKeyPair } from '../../proto/keys.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { median, note } from '../dpmesh.ts';
import { ROOT } from '../processes.ts';
import type { BenchmarkRow } from '../report.ts';

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

/** The transform that leaves rows of d numbers as they are. */
const identity = (d: number): Tensors => ({
  shape: nd(Int32Array.of(0, d)),
  ...{ weights: nd(new Float32Array(d).fill(1)), columns: nd(Int32Array.from({ length: d }, (_, i) => i)) },
  ...{
    bias: nd(new Float32Array(d)),
    scale: nd(new Float64Array(d).fill(1)),
    offset: nd(new Float64Array(d)),
  },
  below: nd(Float64Array.of(1)),
});

/** At least a shard for each worker, and a power of two, so that relays have aligned ranges of them. */
const enoughShards = (workers: number) => 2 ** Math.ceil(Math.log2(workers));

/** Has `measure` compute rounds of statistics of all shards with such a swarm, with keys. */
async function withSwarm<T>(
  { workers, relays, k, d, apart = 0 }: Swarm,
  measure: (play: { round(): Promise<{ cpu: number; wall: number }>; killApart(): void }) => Promise<T>,
): Promise<T> {
  const layout = layoutOf(1000 * enoughShards(workers), d, enoughShards(workers), 0n);
  const [own, theirs] = [newKeyPair(), newKeyPair()];
  const log = () => {};
  const server = await startServer({
    ...{ bind: 'tcp://127.0.0.1:*', layout, file: null, heartbeatTimeout: 30_000, emit: log, log },
    readBlocks: async () => new Float32Array(0),
    authenticator: createAuthenticator(own.secret, new Map([[theirs.public, 'swarm']]), log),
  });
  const key = JSON.stringify({ ...theirs, server: own.public });
  const play = (workers: number, relays: number) =>
    spawn(
      process.execPath,
      ['--import', 'tsx', 'bench/swarm.ts', server.address, String(workers), String(relays), key],
      { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] },
    );
  const others = { workers: workers - apart, relays: relays && apart ? relays - 1 : relays };
  const processes = relays ? Math.ceil(relays / RELAYS_EACH) : Math.ceil(workers / WORKERS_EACH);
  const swarm = Array.from({ length: processes }, (_, i) => {
    const share = (all: number) => Math.floor((all + i) / processes);
    return play(share(others.workers), share(others.relays));
  });
  if (apart) swarm.push(play(apart, Math.min(1, relays)));
  const present = () =>
    server.members().reduce((sum, { state, size }) => sum + (state === 'up' ? size : 0), 0);
  try {
    while (present() < workers) await sleep(100);
    const { dispatcher } = server;
    const blocks = blockCount(layout);
    dispatcher.publish('hashes', { blocks: nd(new Uint8Array(blocks * HASH_BYTES), blocks, HASH_BYTES) });
    dispatcher.publish('transform', identity(d));
    const { shapes, params } = clusteringNet(0n, d, [50], k);
    const units = Array.from({ length: layout.shards }, (_, shard) => ({ shard, from: 0, to: 0 }));
    const round = async () => {
      const net = { widths: nd(Int32Array.from(netWidths(shapes))), nets: nd(Int32Array.of(0)) };
      dispatcher.publish('net', { ...net, params: nd(concat(params, Float32Array)) });
      const [cpu, begun] = [process.cpuUsage(), performance.now()];
      await dispatcher.round({
        ...{ tasks: [{ task: 'statistics', diagonal: false, block: 1024 }], units, sum: true },
        sampled: units.map(() => 1000),
      });
      const { user, system } = process.cpuUsage(cpu);
      return { cpu: (user + system) / 1e6, wall: (performance.now() - begun) / 1000 };
    };
    for (let i = 0; i < WARM_UP; i++) await round();
    return await measure({ round, killApart: () => void swarm.at(-1)!.kill('SIGKILL') });
  } finally {
    for (const each of swarm) each.kill();
    await server.close();
  }
}

const swarmRow = (name: string, swarm: Swarm, most: number): BenchmarkRow => ({
  name: `scale-${name}`,
  what: `${swarm.workers} simulated workers${swarm.relays ? ` behind ${swarm.relays} relays` : ''}, K ${swarm.k}, D ${swarm.d}: CPU time of the coordinator’s process, a round`,
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
    const text = `${Math.round(1000 * cpu)} ms (${wall.toFixed(2)} s of wall time on this machine, which plays the workers too; ${memory} MB)`;
    note(text);
    return { measured: text, met: cpu <= most };
  },
});

/** Closed connections are to be noticed, and then the round to be complete, within so many seconds each. */
const [NOTICED, COMPLETE] = [2, 2];

const lostRow = (name: string, swarm: Swarm & { apart: number }): BenchmarkRow => ({
  name: `scale-${name}`,
  what: `${swarm.workers} simulated workers${swarm.relays ? ` behind ${swarm.relays} relays` : ''}: a round in which ${swarm.apart} of them${swarm.relays ? ', and their relay,' : ''} are killed, and one without`,
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
