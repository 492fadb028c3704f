import { randomInt } from 'node:crypto';
import { hostname } from 'node:os';
import type { Layout } from '../../model/layout.ts';
import { decode, encode, MalformedMessage } from '../../proto/codec.ts';
import type { Gate } from '../../proto/gate.ts';
import { type FromCoordinator, type FromWorker, fromWorker, MOST_ABOUT } from '../../proto/messages.ts';
import { bindRouter, type RouterSocket } from '../../proto/sockets.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Emit } from '../../view/events.ts';
import type { Dispatcher } from './dispatcher.ts';
import { createMembership, type MemberView, type Watcher } from './membership.ts';
import { createRefusals } from './rate-limit.ts';

export interface ServerOptions {
  bind: string;
  /** Whom the socket lets in; without it, everybody, unencrypted. */
  gate?: Gate;
  layout: Layout;
  /** Where workers may read the data themselves. */
  file: { path: string; firstBlock: string } | null;
  /** Rows of the given blocks, for workers that can't. */
  readBlocks: (blocks: number[]) => Promise<Float32Array>;
  /** Of a run that is resumed. */
  identity?: string | null;
  /** Workers of other identities are let in too. */
  mixed?: boolean;
  /** A worker that is silent for longer is suspected: its shards are dealt again. Ms. */
  heartbeatTimeout: number;
  emit: Emit;
  log: (line: string) => void;
  watcher?: Watcher;
}

export interface Server {
  address: string;
  dispatcher: Dispatcher;
  /** Numeric identity of the run: that of its first worker. */
  identity(): string | null;
  /** The first worker's backend and why it was taken. */
  backend(): { name: string; why: string } | null;
  /** Resolves when this many workers have joined. */
  joined(count: number): Promise<void>;
  /** A worker's process on this machine has ended. Had it joined? */
  ended(pid: number, reason: string): boolean;
  /** Seconds of compute since the last call, by task and by worker, and rows read in all. */
  usage(): { tasks: Record<string, number>; workers: Record<string, number> };
  totals(): { rounds: number; rowsRead: number; workers: number; memory: number };
  /** Units dealt again or raced, results and messages refused, by reason. */
  counts(): Record<string, number>;
  /** Ends all connections, after which only workers on the list come back. */
  cut(): Promise<void>;
  refused: RouterSocket['refused'];
  traffic: RouterSocket['traffic'];
  members(): MemberView[];
  /** Sends every worker home and closes the socket. */
  close(): Promise<void>;
}

const TICK_MS = 100;
/** Blocks that one connection may have asked for and not got yet. */
const MOST_FETCHES = 16;
/** Malformed messages that are logged; the rest are only counted. */
const MOST_LOGGED = 20;

/** The coordinator's socket: what comes in is checked here, and handed to the membership. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { layout, emit, log } = options;
  const now = () => performance.now();
  const refusals = createRefusals(now);
  /** A hello brings all states and a line in the events: a worker has no use for many. */
  const hellos = createRefusals(now);
  const fetching = new Map<string, number>();
  const counts = { malformed: 0, ignored: 0, 'fetch refused': 0 };

  const arrived = (id: Buffer, frames: Buffer[]) => {
    const peer = id.toString('hex');
    if (refusals.exceeded(peer)) {
      counts.ignored++;
      return;
    }
    let message: { header: FromWorker; tensors: Tensors };
    try {
      message = decode(fromWorker, frames);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      refusals.add(peer);
      if (++counts.malformed <= MOST_LOGGED) log(`refused a message: ${error.message}`);
      void send(peer, { type: 'refuse', reason: `malformed message (${error.message})` });
      return;
    }
    if (message.header.type === 'hello') {
      if (hellos.exceeded(peer)) {
        counts.ignored++;
        return;
      }
      hellos.add(peer);
    }
    membership.receive(peer, message.header, message.tensors);
    if (message.header.type === 'fetch' && membership.isHere(peer)) void serve(peer, message.header);
  };
  const router = await bindRouter(options.bind, arrived, options.gate, (id) =>
    membership.stalled(id.toString('hex')),
  );
  const send = (peer: string, message: FromCoordinator, tensors?: Tensors) =>
    router.send(Buffer.from(peer, 'hex'), encode(message, tensors));
  const membership = createMembership({
    layout,
    file: options.file,
    term: randomInt(1, 2 ** 47),
    identity: options.identity,
    mixed: options.mixed,
    timeout: options.heartbeatTimeout,
    send: (peer, message, tensors) => void send(peer, message, tensors),
    now,
    emit,
    log,
    watcher: options.watcher,
  });
  // What has arrived is read first: while this process was busy itself, nobody was silent.
  const ticking = setInterval(() => setImmediate(membership.tick), TICK_MS);

  async function serve(peer: string, { request, blocks }: Extract<FromWorker, { type: 'fetch' }>) {
    const answer = { type: 'rows' as const, request, blocks };
    const under = fetching.get(peer) ?? 0;
    if (under >= MOST_FETCHES) {
      counts['fetch refused']++;
      return send(peer, { ...answer, problem: `more than ${MOST_FETCHES} requests at once` });
    }
    fetching.set(peer, under + 1);
    try {
      const rows = await options.readBlocks(blocks);
      await send(peer, answer, { rows: { shape: [rows.length / layout.dim, layout.dim], data: rows } });
    } catch (error) {
      await send(peer, { ...answer, problem: (error as Error).message.slice(0, 4000) });
    } finally {
      const left = fetching.get(peer)! - 1;
      if (left) fetching.set(peer, left);
      else fetching.delete(peer);
    }
  }

  return {
    address: router.address,
    dispatcher: membership.dispatcher,
    identity: membership.identity,
    backend: membership.backend,
    joined: membership.joined,
    ended: (pid, reason) => membership.ended(pid, hostname().slice(0, MOST_ABOUT), reason),
    usage: membership.usage,
    totals: membership.totals,
    counts: () => ({ ...membership.counts(), ...counts }),
    refused: router.refused,
    traffic: router.traffic,
    members: membership.members,
    async cut() {
      membership.cut('the list of keys has changed');
      await router.cut();
    },
    async close() {
      clearInterval(ticking);
      membership.dispatcher.abort(new Error('the coordinator closes'));
      await Promise.all(membership.peers().map((peer) => send(peer, { type: 'stop' })));
      await router.close();
    },
  };
}
