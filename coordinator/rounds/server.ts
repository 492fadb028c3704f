import { randomInt } from 'node:crypto';
import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import type { Layout } from '../../model/layout.ts';
import type { Authenticator } from '../../proto/authenticator.ts';
import { decodeInSlices, encode, MalformedMessage } from '../../proto/codec.ts';
import type { AllowList } from '../../proto/keys.ts';
import {
  type FromCoordinator,
  type FromWorker,
  fromWorker,
  MOST_ABOUT,
  type RunEnd,
} from '../../proto/messages.ts';
import { bindRouter } from '../../proto/sockets.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { Departure } from '../../run/events.ts';
import { type Counts, createRateLimit } from './accounting.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { ServedRows } from './registry.ts';
import type { HeldSample } from './round.ts';
import { createScheduler, type FetchMessage, type SchedulerOptions } from './scheduler.ts';

/** The coordinator's port: sockets, keys and limits in front of the scheduler. Messages are decoded and checked against their schemas here. */

interface RowServerOptions {
  /** Columns of the rows. */
  dim: number;
  readBlocks: ServerOptions['readBlocks'];
  sampleOf: NonNullable<ServerOptions['sampleOf']>;
  textsOf: NonNullable<ServerOptions['textsOf']>;
  /** Resolves when the message was handed to the socket. */
  send(peer: string, message: FromCoordinator, tensors?: Tensors): Promise<void>;
  counts: Counts;
}

/** Requests in flight per connection. */
const MAX_FETCHES = 16;

/** Reads rows for workers that cannot read the data file, and responds with them, or with a `problem`; sample rows for their shard's owner. */
function rowServer({ dim, readBlocks, sampleOf, textsOf, send, counts }: RowServerOptions) {
  /** Number of requests in flight, by connection. */
  const inFlight = new Map<string, number>();
  return async (peer: string, { request, blocks, sample, texts }: FetchMessage): Promise<void> => {
    const response = { type: 'rows' as const, request, blocks };
    const own = inFlight.get(peer) ?? 0;
    if (own >= MAX_FETCHES) {
      counts.fetchesRefused++;
      return send(peer, { ...response, problem: `more than ${MAX_FETCHES} requests at once` });
    }
    inFlight.set(peer, own + 1);
    try {
      if (texts) return await send(peer, response, await textsOf(blocks));
      const rows = await (sample ? sampleOf(sample.shard, sample.below) : readBlocks(blocks));
      await send(peer, response, rows ? { rows: nd(rows, rows.length / dim, dim) } : {});
    } catch (error) {
      await send(peer, { ...response, problem: (error as Error).message.slice(0, 4000) });
    } finally {
      const left = inFlight.get(peer)! - 1;
      if (left) inFlight.set(peer, left);
      else inFlight.delete(peer);
    }
  };
}

export interface ServerOptions extends Omit<SchedulerOptions, 'term' | 'send' | 'fetch' | 'now'> {
  bind: string;
  /** Authenticates workers; without it the socket accepts everyone, unencrypted. */
  authenticator?: Authenticator;
  /** Rows of the given blocks, for workers that cannot read the data file. */
  readBlocks: (blocks: number[]) => Promise<Float32Array>;
  /** A shard's sample rows of priority below `below`, of a relay; null if its coordinator does not have them. */
  sampleOf?: (shard: number, below: number) => Promise<Float32Array | null>;
  /** The texts of the rows of the given blocks, their lengths and labels, of a relay. */
  textsOf?: (blocks: number[]) => Promise<Tensors>;
}

/** The scheduler and its socket, as the rest of the coordinator uses them. */
export type Server = Awaited<ReturnType<typeof startServer>>;

const newTerm = () => randomInt(1, 2 ** 47);
const TICK_MS = 100;
/** A worker pings as often, ms. */
const PING_MS = 1000;
/**
 * Results of so many peers, some MB a round beside a heap of 20 MB, would have V8 collect garbage several times in each round: with a thousand workers
 * half of the coordinator's CPU. From then on it does so when the heap is four times as large as after the last time.
 */
const MANY_PEERS = 16;
const RARER_COLLECTIONS = '--heap-growing-percent=300';
/** Malformed messages that are logged; further ones are only counted. */
const MAX_LOGGED = 20;

/** Opens the coordinator's socket. Messages are decoded and validated here, then passed to the scheduler. */
export async function startServer(options: ServerOptions) {
  const { layout, readBlocks, log, authenticator } = options;
  const now = () => performance.now();
  const malformed = createRateLimit(now);
  /** A hello costs sending all states and a line in the event log, and a worker has no need to send many. */
  const hellos = createRateLimit(now);

  const send = (peer: string, message: FromCoordinator, tensors?: Tensors) =>
    socket.send(Buffer.from(peer, 'hex'), encode(message, tensors));
  const scheduler = createScheduler({
    ...options,
    term: newTerm(),
    now,
    send: (peer, message, tensors) => void send(peer, message, tensors),
    fetch: (peer, header) => void serveRows(peer, header),
  });
  const { dispatcher, registry, usage, counts, misread, serve, tick } = scheduler;
  let held: HeldSample | null = null;
  const { sampleOf = async (shard, below) => (held?.below === below && held.shards[shard]) || null } =
    options;
  let readTexts: ServerOptions['textsOf'] | null = options.textsOf ?? null;
  const textsOf = async (blocks: number[]) => {
    if (!readTexts) throw new Error('there are no texts now');
    return readTexts(blocks);
  };
  const rowsOf = ({ dim }: Layout) => rowServer({ dim, readBlocks, sampleOf, textsOf, send, counts });
  let serveRows = rowsOf(layout);

  /** A message is being read, and others wait behind it. */
  let reading = false;

  async function receive(id: Buffer, frames: Buffer[]): Promise<void> {
    const peer = id.toString('hex');
    if (malformed.exceeded(peer)) {
      counts.messagesIgnored++;
      return;
    }
    let message: { header: FromWorker; tensors: Tensors };
    try {
      reading = true;
      message = await decodeInSlices(fromWorker, frames);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      malformed.add(peer);
      if (++counts.messagesMalformed <= MAX_LOGGED) log(`rejected a malformed message: ${error.message}`);
      void send(peer, { type: 'refuse', reason: `malformed message (${error.message})` });
      return;
    } finally {
      reading = false;
    }
    if (message.header.type === 'hello') {
      if (hellos.exceeded(peer)) {
        counts.messagesIgnored++;
        return;
      }
      hellos.add(peer);
      if (registry.peers().length === MANY_PEERS) setFlagsFromString(RARER_COLLECTIONS);
    }
    scheduler.receive(peer, message.header, message.tensors);
  }
  let closedAt = Number.NEGATIVE_INFINITY;
  const socket = await bindRouter(options.bind, receive, authenticator, {
    stalled: (id) => registry.stalled(id.toString('hex')),
    unreachable: (id) => registry.disconnected(id.toString('hex')),
    closed() {
      closedAt = now();
    },
  });
  /** Once a connection was closed, whoever does not ping is sent a message: a closed one cannot take it. */
  function findClosed(): void {
    if (now() - closedAt > 2 * PING_MS) return;
    for (const peer of registry.unheardSince(now() - PING_MS)) void send(peer, { type: 'pong' });
  }
  // Via setImmediate, so that waiting messages are read first: workers were not silent while this process was busy.
  const ticking = setInterval(() => {
    setImmediate(() => {
      if (reading) return;
      tick();
      findClosed();
    });
  }, TICK_MS);

  return {
    address: socket.address,
    dispatcher: dispatcher as Dispatcher,
    /** Adds units to the current round. False without one, or where it has one of them already. */
    extend: dispatcher.extend,
    /**
     * From now on workers compute on the rows of this layout, in as many shards: `readBlocks` returns these, and so does `file`, if workers
     * may read that themselves. Only between two rounds.
     */
    serve(layout: Layout, file: ServedRows['file'] = null): void {
      serveRows = rowsOf(layout);
      held = null;
      serve({ layout, file, term: newTerm() });
    },
    /** From now on workers that own a shard get its sample here. */
    hold(sample: HeldSample | null): void {
      held = sample;
    },
    /** From now on workers get the texts of blocks here. */
    serveTexts(read: ServerOptions['textsOf'] | null): void {
      readTexts = read;
    },
    /** As of the registry. */
    show: registry.show,
    /** Numeric identity of the run, determined by its first worker. */
    identity: registry.identity,
    /** The first worker's backend, and why it was chosen. */
    backend: registry.backend,
    turnAway: registry.turnAway,
    /** Resolves when this many workers have joined. */
    joined: registry.joined,
    misread,
    /** A worker for people. */
    describe: registry.describe,
    /** A worker's process on this machine has ended. Returns whether it had contributed a result. */
    ended: (pid: number, how: Departure, reason: string) =>
      registry.ended(pid, hostname().slice(0, MOST_ABOUT), how, reason),
    /** Compute time since the last call. */
    usage: usage.take,
    /** Totals since the start; `workers` is the largest number at one time, `memory` the largest of any worker, bytes. */
    totals: () => ({ ...usage.totals(), workers: registry.peakCount() }),
    counts: () => ({ ...counts }),
    refused: socket.refused,
    traffic: socket.traffic,
    members: registry.members,
    /** Replaces the list of allowed keys by the one that is read; one that is not valid is not applied. */
    rereadKeys(read: () => AllowList): void {
      let allowed: AllowList;
      try {
        allowed = read();
      } catch (error) {
        log(`kept the old list of keys: ${(error as Error).message}`);
        return;
      }
      const hasRemoved = authenticator!.replace(allowed);
      log(
        `read the list of keys again: ${allowed.size} allowed${hasRemoved ? '; all workers have to reconnect' : ''}`,
      );
      if (!hasRemoved) return;
      // Only workers whose keys are still allowed can reconnect.
      registry.cut('the list of keys has changed');
      void socket.cut();
    },
    /** Tells all workers to stop, and how the run ended, and closes the socket. `leaves`: they may find another coordinator. */
    async close(ended?: RunEnd, leaves = false): Promise<void> {
      clearInterval(ticking);
      dispatcher.abort(new Error('the coordinator is shutting down'));
      const told = leaves ? [] : registry.peers();
      await Promise.all(told.map((peer) => send(peer, { type: 'stop', ...(ended && { ended }) })));
      registry.close();
      await socket.close();
    },
  };
}
