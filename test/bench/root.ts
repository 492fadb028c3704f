// A coordinator of simulated workers, whose rounds are measured.

import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '../../coordinator/rounds/server.ts';
import { concat } from '../../model/arrays.ts';
import { blockCount, HASH_BYTES, layoutOf } from '../../model/layout.ts';
import { clusteringNet, netWidths } from '../../model/nets/net.ts';
import { createAuthenticator } from '../../proto/authenticator.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { TASKS } from '../../tasks/table.ts';

interface RootOptions {
  bind: string;
  /** The secret key of the coordinator, and the public one of all workers. */
  keys: { secret: string; workers: string };
  workers: number;
  k: number;
  d: number;
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

/** Starts the coordinator, whose rounds compute statistics of all shards. */
export async function openRoot({ bind, keys, workers, k, d }: RootOptions) {
  const layout = layoutOf(1000 * enoughShards(workers), d, enoughShards(workers), 0n);
  const log = () => {};
  const server = await startServer({
    ...{ tasks: TASKS, bind, layout, file: null, heartbeatTimeout: 30_000, emit: log, log },
    readBlocks: async () => new Float32Array(0),
    authenticator: createAuthenticator(keys.secret, new Map([[keys.workers, 'swarm']]), log),
  });
  const { dispatcher } = server;
  const blocks = blockCount(layout);
  dispatcher.publish('hashes', { blocks: nd(new Uint8Array(blocks * HASH_BYTES), blocks, HASH_BYTES) });
  dispatcher.publish('transform', identity(d));
  const { shapes, params } = clusteringNet(0n, d, [50], k);
  const units = Array.from({ length: layout.shards }, (_, shard) => ({ shard, from: 0, to: 0 }));
  const present = () =>
    server.members().reduce((sum, { state, size }) => sum + (state === 'up' ? size : 0), 0);
  return {
    ...{ address: server.address, close: server.close, present },
    /** Resolves once all workers are there. */
    async joined(): Promise<void> {
      while (present() < workers) await sleep(20);
    },
    /** CPU time of this process, and wall time, seconds. */
    async round(): Promise<{ cpu: number; wall: number }> {
      const net = { widths: nd(Int32Array.from(netWidths(shapes))), nets: nd(Int32Array.of(0)) };
      dispatcher.publish('net', { ...net, params: nd(concat(params, Float32Array)) });
      const [cpu, begun] = [process.cpuUsage(), performance.now()];
      await dispatcher.round({
        ...{ tasks: [{ task: 'statistics', diagonal: false, block: 1024 }], units, sum: true },
        sampled: units.map(() => 1000),
      });
      const { user, system } = process.cpuUsage(cpu);
      return { cpu: (user + system) / 1e6, wall: (performance.now() - begun) / 1000 };
    },
  };
}
