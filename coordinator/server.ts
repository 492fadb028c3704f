import { hostname } from 'node:os';
import type { Layout } from '../data/layout.ts';
import { decode, encode, MalformedMessage, unprefixed } from '../proto/codec.ts';
import { type FromCoordinator, fromWorker, PROTOCOL } from '../proto/messages.ts';
import { bindRouter } from '../proto/sockets.ts';
import { taskSchema } from '../proto/tasks.ts';
import type { Tensors } from '../proto/tensors.ts';
import { createDispatcher, type Dispatcher } from './dispatch.ts';
import type { Emit } from './events.ts';

/**
 * A worker that has said nothing for this long is taken for gone; if it speaks again it joins anew. Long, as a worker
 * is silent while one task runs; `train` hears of a process's end at once.
 */
const SILENCE_MS = 60_000;

export interface ServerOptions {
  bind: string;
  layout: Layout;
  /** Where workers may read the data themselves. */
  file: { path: string; firstBlock: string } | null;
  /** Rows of the given blocks, for workers that can't. */
  readBlocks: (blocks: number[]) => Promise<Float32Array>;
  /** Numeric identity of a run that goes on; null: that of the first worker to join. */
  identity?: string | null;
  emit: Emit;
  log: (line: string) => void;
}

export interface Server {
  address: string;
  dispatcher: Dispatcher;
  /** Numeric identity of the run: that of its first worker. */
  identity(): string | null;
  /** Resolves when this many workers have joined. */
  joined(count: number): Promise<void>;
  /** A worker's process on this machine has ended. */
  ended(pid: number, reason: string): void;
  /** Seconds of compute since the last call, by task and by worker, and rows read in all. */
  usage(): { tasks: Record<string, number>; workers: Record<string, number> };
  totals(): { rounds: number; rowsRead: number; workers: number; memory: number };
  /** Sends every worker home and closes the socket. */
  close(): Promise<void>;
}

const TASKS = new Set<string>(taskSchema.def.options.map((option) => option.def.shape.task.def.values[0]));

interface Peer {
  id: Buffer;
  worker: string;
  pid: number;
  host: string;
  heard: number;
  here: boolean;
  /** Its process is gone: what is still on its way from it counts no more. */
  ended: boolean;
}

/** The coordinator's socket: who is there, what they say, what they get. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { layout, emit, log } = options;
  const peers = new Map<string, Peer>();
  const byWorker = new Map<string, Peer>();
  const arrivals = new Set<() => void>();
  let identity = options.identity ?? null;
  let usage = { tasks: new Map<string, number>(), workers: new Map<string, number>() };
  /** Of the whole run; `workers` is the most at one time, `memory` the largest of any. */
  const totals = { rounds: 0, rowsRead: 0, memory: 0, workers: 0 };

  const router = await bindRouter(options.bind, (id, frames) => {
    try {
      receive(id, frames);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      log(`refused a message: ${error.message}`);
      reply(id, { type: 'refuse', reason: `malformed message (${error.message})` });
    }
  });
  const reply = (id: Buffer, message: FromCoordinator, tensors?: Tensors) =>
    router.send(id, encode(message, tensors));
  const dispatcher = createDispatcher(
    { send: (worker, message, tensors) => void reply(byWorker.get(worker)!.id, message, tensors) },
    layout.shards,
  );
  const watch = setInterval(() => {
    for (const peer of peers.values())
      if (peer.here && performance.now() - peer.heard > SILENCE_MS)
        leave(peer, `silent for ${SILENCE_MS / 1000} s`);
  }, 1000);

  function receive(id: Buffer, frames: Buffer[]): void {
    const { header, tensors } = decode(fromWorker, frames);
    const key = id.toString('hex');
    const peer = peers.get(key);
    if (header.type === 'hello') {
      if (header.protocol !== PROTOCOL)
        return void reply(id, {
          type: 'refuse',
          reason: `it speaks protocol ${header.protocol}, this coordinator ${PROTOCOL}; use the same version of dpmesh`,
        });
      identity ??= header.identity;
      if (header.identity !== identity)
        return void reply(id, {
          type: 'refuse',
          reason: `its numeric identity is ${header.identity}, the run's is ${identity}: their bits would differ`,
        });
      const worker = peer?.worker ?? `w${peers.size + 1}`;
      const made = {
        id,
        worker,
        pid: header.pid,
        heard: performance.now(),
        here: true,
        ended: false,
        host: header.host,
      };
      peers.set(key, made);
      byWorker.set(worker, made);
      void reply(id, { type: 'welcome', worker, file: options.file, layout });
      const { name, pid, host, backend } = header;
      emit({ type: 'worker', worker, name, pid, host, backend, identity });
      arrive(worker);
      return;
    }
    if (!peer) return void reply(id, { type: 'refuse', reason: 'say hello first' });
    peer.heard = performance.now();
    if (peer.ended) return;
    if (!peer.here) {
      peer.here = true;
      arrive(peer.worker);
    }
    switch (header.type) {
      case 'results': {
        totals.rowsRead += header.rowsRead;
        totals.memory = Math.max(totals.memory, header.memory);
        totals.rounds = Math.max(totals.rounds, header.round);
        for (const [task, spent] of Object.entries(header.seconds)) {
          if (!TASKS.has(task)) continue;
          usage.tasks.set(task, (usage.tasks.get(task) ?? 0) + spent);
          usage.workers.set(peer.worker, (usage.workers.get(peer.worker) ?? 0) + spent);
        }
        for (const [i, units] of header.done.entries())
          dispatcher.result(peer.worker, { round: header.round, units }, unprefixed(tensors, i));
        break;
      }
      case 'failure':
        dispatcher.failure(peer.worker, header);
        break;
      case 'fetch': {
        const { request, blocks } = header;
        void options.readBlocks(blocks).then(
          (rows) =>
            reply(
              id,
              { type: 'rows', request, blocks },
              { rows: { shape: [rows.length / layout.dim, layout.dim], data: rows } },
            ),
          (error: Error) => reply(id, { type: 'rows', request, blocks, problem: error.message }),
        );
        break;
      }
      case 'bye':
        leave(peer, 'said goodbye');
        break;
    }
  }

  function arrive(worker: string): void {
    dispatcher.join(worker);
    totals.workers = Math.max(totals.workers, dispatcher.workers().length);
    for (const check of [...arrivals]) check();
  }

  function leave(peer: Peer, reason: string): void {
    if (!peer.here) return;
    peer.here = false;
    emit({ type: 'worker-gone', worker: peer.worker, pid: peer.pid, reason });
    dispatcher.leave(peer.worker);
    if (!dispatcher.workers().length) log('no workers left: waiting for one to join');
  }

  return {
    address: router.address,
    dispatcher,
    identity: () => identity,
    joined: (count) =>
      new Promise((resolve) => {
        const check = () => {
          if (dispatcher.workers().length < count) return;
          arrivals.delete(check);
          resolve();
        };
        arrivals.add(check);
        check();
      }),
    ended(pid, reason) {
      for (const peer of peers.values()) {
        if (peer.pid !== pid || peer.host !== hostname()) continue;
        leave(peer, reason);
        peer.ended = true;
      }
    },
    usage() {
      const found = usage;
      usage = { tasks: new Map(), workers: new Map() };
      return { tasks: Object.fromEntries(found.tasks), workers: Object.fromEntries(found.workers) };
    },
    totals: () => ({ ...totals }),
    async close() {
      clearInterval(watch);
      dispatcher.abort(new Error('the coordinator closes'));
      await Promise.all([...peers.values()].map(({ id }) => reply(id, { type: 'stop' })));
      router.close();
    },
  };
}
