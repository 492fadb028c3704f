// tsx test/bench/swarm.ts ADDRESS WORKERS RELAYS [KEY]: one process that plays so many workers of a coordinator, each with a socket and a session of its own,
// directly or behind relays. They answer every round at once, with zeros in the shapes of its results: what is measured is the coordinator.

import { statisticsLength } from '../../model/statistics.ts';
import { buildId } from '../../proto/build-id.ts';
import { decode, encode } from '../../proto/codec.ts';
import type { WorkerKey } from '../../proto/keys.ts';
import {
  type FromCoordinator,
  type FromWorker,
  fromCoordinator,
  LARGE_RESULT,
  PROTOCOL,
} from '../../proto/messages.ts';
import { connectDealer } from '../../proto/sockets.ts';
import { byteLengthOf, nd, type Tensors } from '../../proto/tensors.ts';
import { covarianceOf } from '../../tasks/parameters.ts';
import { TASKS, type TaskOf } from '../../tasks/table.ts';

const PING_MS = 1000;

const messages = fromCoordinator(TASKS.schema);

type Round = Extract<FromCoordinator, { type: 'round' }>;

/** Statistics of each unit of a round. */
function resultsOf({ tasks, units }: Round, k: number, d: number): Tensors {
  const ofUnit = tasks.map((task) => {
    if (task.task !== 'statistics') throw new Error(`the swarm cannot compute ${task.task}`);
    const p = statisticsLength(d, covarianceOf(task as TaskOf<'statistics'>));
    return nd(new Float64Array(k * p), k, p);
  });
  return Object.fromEntries(units.flatMap((_, u) => ofUnit.map((value, t) => [`${u}/${t}/T`, value])));
}

/** Connects `count` workers. */
function startSwarm(address: string, count: number, key?: WorkerKey): void {
  const sizes = { k: 0, d: 0 };
  for (let i = 0; i < count; i++) {
    const hello: FromWorker = {
      ...{ type: 'hello', protocol: PROTOCOL, version: buildId(), identity: 'swarm', backend: 'swarm' },
      ...{ host: `host${i >> 5}`, pid: i + 1, name: `swarm/${i}` },
      session: (process.pid * 65536 + i).toString(16).padStart(32, '0'),
    };
    /** Sends results that wait to be asked for. */
    let held = () => {};
    const send = (message: FromWorker) => void socket.send(encode(message));
    const socket = connectDealer(
      address,
      (frames) => {
        const { header, tensors } = decode(messages, frames);
        if (header.type === 'who') send(hello);
        if (header.type === 'refuse') throw new Error(header.reason);
        if (header.type === 'send') held();
        if (header.type !== 'round') return;
        const widths = tensors['net/widths']?.data;
        if (widths) Object.assign(sizes, { d: widths[0], k: widths.at(-1) });
        const { term, round, units } = header;
        const message: FromWorker = {
          ...{
            type: 'results',
            term,
            round,
            done: units.map((unit) => [unit]),
            seconds: { statistics: 0.01 },
          },
          ...{ rowsRead: 0, memory: 1 },
        };
        const results = resultsOf(header, sizes.k, sizes.d);
        const bytes = byteLengthOf(results);
        if (bytes < LARGE_RESULT) return void socket.send(encode(message, results));
        held = () => void socket.send(encode(message, results));
        send({ type: 'ready', term, bytes, first: units[0].shard });
      },
      { key },
    );
    setInterval(() => send({ type: 'ping' }), PING_MS);
    send(hello);
  }
}

/** Starts so many relays of a coordinator in this process; returns their addresses. */
async function startRelays(connect: string, count: number, key?: WorkerKey): Promise<string[]> {
  const { startRelay } = await import('../../coordinator/relay/relay.ts');
  const relays = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      startRelay({
        ...{
          tasks: TASKS,
          places: [{ connect, key }],
          bind: 'tcp://127.0.0.1:*',
          name: `relay/${i}`,
          log() {},
        },
        ...{ reconnectFor: 60_000, heartbeatTimeout: 30_000 },
      }),
    ),
  );
  return relays.map(({ address }) => address);
}

const [address, workers, count, key] = process.argv.slice(2);
const own: WorkerKey | undefined = key ? JSON.parse(key) : undefined;
const relays = await startRelays(address, Number(count), own);
for (const [i, relay] of relays.entries())
  startSwarm(relay, Math.floor((Number(workers) + i) / relays.length));
if (!relays.length) startSwarm(address, Number(workers), own);
