import { setTimeout as sleep } from 'node:timers/promises';
import { Context, Dealer, type Event, Router } from 'zeromq';
import { MAX_FRAME, MAX_HEADER } from './codec.ts';
import type { Gate, Reason } from './gate.ts';
import type { WorkerKey } from './keys.ts';
import { serveZap, ZAP_DOMAIN } from './zap.ts';

/** A connection that has not shown who it is by then is closed. */
const HANDSHAKE_MS = 10_000;
/** Connections that the system holds until they are accepted. */
const BACKLOG = 256;
/**
 * A larger frame ends its connection before memory is taken for it, also that of a peer who has yet to show a key; all
 * frames together are the codec's. With what CURVE adds.
 */
const MOST_FROM_WORKER = MAX_FRAME + 1024;
const MOST_FROM_COORDINATOR = MAX_HEADER + 1024;
/** Messages that wait to be read, of one peer: then it waits itself. */
const UNREAD = 1000;
/** Messages to one peer that its connection has yet to take: then it does not read, and is sent nothing more. */
const UNTAKEN = 64;
/** A burst outruns libzmq's thread, which gets as long to take some of it, ms. */
const TAKE_MS = [2, 10, 40];
/** Peers that are known not to read, of whom it is not waited for again; of more, all are forgotten. */
const MOST_STALLED = 1024;
/** A dealer that libzmq has given up is opened again after this. */
const REOPEN_MS = 2000;
/** What is still to be sent when a socket is closed has so long. */
const LINGER_MS = 500;
/** Between tries to bind a port that was closed a moment ago. */
const REBIND_MS = 10;

/**
 * The kernel finds a connection that a network has silently cut: what it has sent is not acknowledged, or nobody
 * answers its probes. It is closed, and the worker's side connects anew; without this either end waits for a quarter
 * of an hour. Not by ZeroMQ's heartbeats: libzmq 4.3.5 aborts the process (`!_io_error`) when their timer fires on a
 * connection that has ended while its input was stopped, as after damaged bytes or while a socket lingers.
 */
const CUT_LINES = {
  tcpMaxRetransmitTimeout: 5000,
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 2,
  tcpKeepaliveInterval: 1,
  tcpKeepaliveCount: 4,
};

/** ZeroMQ allows one pending send a socket: they queue here, in order. */
function inTurn(send: (frames: Uint8Array[]) => Promise<void>) {
  let last = Promise.resolve();
  return (frames: Uint8Array[]) => {
    last = last.then(() => send(frames)).catch(() => {});
    return last;
  };
}

/** Until the socket is closed; its events, until it is gone. What `receive` throws is a bug and ends the process. */
async function listen<T>(
  socket: AsyncIterable<T>,
  receive: (message: T) => void | Promise<void>,
): Promise<void> {
  try {
    for await (const message of socket) await receive(message);
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}

function bytesOf(frames: Uint8Array[]): number {
  let bytes = 0;
  for (const frame of frames) bytes += frame.byteLength;
  return bytes;
}

export interface RouterSocket {
  /** The address it is bound to, with the port that the system chose for `:*` or `:0`. */
  address: string;
  send(peer: Buffer, frames: Uint8Array[]): Promise<void>;
  /** Ends all connections; peers whose key is still on the list come back by themselves, as new ones. */
  cut(): Promise<void>;
  /** Connections that were refused since the start, by reason. All 0 without keys. */
  refused(): Partial<Record<Reason, number>>;
  /** Bytes of all messages since the start, in and out, without what ZeroMQ and CURVE add. */
  traffic(): { received: number; sent: number };
  /**
   * Resolves when peers have taken what was sent, or its time is up. A process that exits before takes it along:
   * `process.exit` does not wait for libzmq's thread.
   */
  close(): Promise<void>;
}

/**
 * Binds the coordinator's socket and hands each message with the routing id of its peer to `receive`, in order, once that is
 * done with the one before.
 * A message to a peer that is gone is dropped; the registry hears of it elsewhere. Rejects if the port is taken.
 * With a gate, peers speak CURVE and are on its list, or nothing of what they say gets here. `stalled` hears of each
 * message that is not sent, as its peer does not take those before.
 */
export async function bindRouter(
  endpoint: string,
  receive: (peer: Buffer, frames: Buffer[]) => void | Promise<void>,
  gate?: Gate,
  stalled: (peer: Buffer) => void = () => {},
): Promise<RouterSocket> {
  // Whoever answers ZAP answers for a whole context: so this socket has its own.
  const context = gate && new Context();
  const zap = gate && (await serveZap(context!, gate.admit));
  const traffic = { received: 0, sent: 0 };
  let closed = false;
  /** The socket is no more, nor what it had to send. */
  let gone = Promise.resolve();

  async function open(at: string): Promise<Router> {
    const socket = new Router({
      linger: LINGER_MS,
      // What is too much is refused, at once, and not dropped in silence.
      mandatory: true,
      sendTimeout: 0,
      sendHighWaterMark: UNTAKEN,
      receiveHighWaterMark: UNREAD,
      maxMessageSize: MOST_FROM_WORKER,
      handshakeInterval: HANDSHAKE_MS,
      backlog: BACKLOG,
      ...CUT_LINES,
      ...(gate && {
        context,
        curveServer: true,
        curveSecretKey: gate.secret,
        zapDomain: ZAP_DOMAIN,
        // Without this, all clients are let in where nobody answers.
        zapEnforceDomain: true,
      }),
    });
    // Read all the time: libzmq's thread waits where nobody reads.
    gone = listen(socket.events, gate ? countFailures(gate) : () => {});
    try {
      await socket.bind(at);
    } catch (error) {
      socket.close();
      throw error;
    }
    void listen(socket, ([peer, ...frames]) => {
      traffic.received += bytesOf(frames);
      return receive(peer, frames);
    });
    return socket;
  }

  let socket = await open(endpoint).catch((error) => {
    zap?.close();
    throw error;
  });
  const address = socket.lastEndpoint!;
  const unread = new Set<string>();
  let cutting = Promise.resolve();
  async function anew(): Promise<void> {
    // A new socket, not unbind and bind: those wait for libzmq's thread, which may wait for us to read its events.
    socket.close();
    while (!closed) {
      try {
        socket = await open(address);
        if (closed) socket.close();
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        await sleep(REBIND_MS);
      }
    }
  }
  const send = inTurn(async (frames) => {
    const [peer] = frames as Buffer[];
    const id = peer.toString('hex');
    const waits = unread.has(id) ? [] : TAKE_MS;
    for (let tries = 0; ; tries++) {
      try {
        await socket.send(frames);
        traffic.sent += bytesOf(frames.slice(1));
        unread.delete(id);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      }
      if (tries >= waits.length) break;
      await sleep(waits[tries]);
    }
    if (unread.size >= MOST_STALLED) unread.clear();
    unread.add(id);
    stalled(peer);
  });
  return {
    address,
    send: (peer, frames) => send([peer, ...frames]),
    cut() {
      // Two at a time would take the address from each other.
      cutting = cutting.then(anew);
      return cutting;
    },
    refused: () => gate?.refused() ?? {},
    traffic: () => ({ ...traffic }),
    close() {
      closed = true;
      socket.close();
      zap?.close();
      return gone;
    },
  };
}

/**
 * Counts handshakes that fail, by libzmq's events. These don't say whose connection it was. One that is closed without
 * a word on its handshake spoke no ZeroMQ (an HTTP request): an end that does not follow a failure, while somebody is
 * between door and hall.
 */
function countFailures(gate: Gate): (event: Event) => void {
  let undecided = 0;
  let justFailed = false;
  return (event) => {
    const { type } = event;
    if (type === 'accept') undecided++;
    if (type.startsWith('handshake')) undecided--;
    if (type === 'handshake:error:protocol')
      gate.failed(event.error.code === 'ERR_ZMTP_CRYPTOGRAPHIC' ? 'wrong-server-key' : 'no-key');
    if (type === 'handshake:error:other') gate.failed('broken-off');
    if (type === 'disconnect' && !justFailed && undecided > 0) {
      undecided--;
      gate.failed('not-zeromq');
    }
    justFailed = type === 'handshake:error:protocol' || type === 'handshake:error:other';
  };
}

export interface DealerSocket {
  send(frames: Uint8Array[]): Promise<void>;
  /** Ends the connection, or the tries to make one, and begins anew. What was queued is lost. */
  reopen(): void;
  /** As the router's. */
  close(): Promise<void>;
}

export interface DealerOptions {
  /** Speak CURVE: to nobody but the holder of this server key. */
  key?: WorkerKey;
  /** A connection was made but came to nothing: other keys, or none, here or there. */
  failed?: () => void;
  /** What was queued is lost, and a new connection will be tried: time to say hello again. */
  reopened?: () => void;
}

/** Connects a worker's socket, which tries again for as long as it is open. */
export function connectDealer(
  endpoint: string,
  receive: (frames: Buffer[]) => void,
  { key, failed, reopened }: DealerOptions = {},
): DealerSocket {
  const socket = new Dealer({
    linger: LINGER_MS,
    sendHighWaterMark: 0,
    receiveHighWaterMark: UNREAD,
    reconnectMaxInterval: 2000,
    maxMessageSize: MOST_FROM_COORDINATOR,
    ...CUT_LINES,
    handshakeInterval: HANDSHAKE_MS,
    ...(key && { curveServerKey: key.server, curvePublicKey: key.public, curveSecretKey: key.secret }),
  });
  let timer: NodeJS.Timeout | undefined;
  const gone = listen(socket.events, ({ type }) => {
    if (!type.startsWith('handshake:error')) return;
    failed?.();
    // libzmq tries again by itself after errors of the network, but not after those of the handshake.
    if (type !== 'handshake:error:other') {
      clearTimeout(timer);
      timer = setTimeout(reopen, REOPEN_MS);
    }
  });
  function reopen(): void {
    clearTimeout(timer);
    if (socket.closed) return;
    // An old connection that lingers would be another one beside the new.
    socket.linger = 0;
    socket.disconnect(endpoint);
    socket.linger = LINGER_MS;
    socket.connect(endpoint);
    reopened?.();
  }
  socket.connect(endpoint);
  const send = inTurn((frames) => socket.send(frames));
  void listen(socket, receive);
  return {
    send,
    reopen,
    close() {
      clearTimeout(timer);
      socket.close();
      return gone;
    },
  };
}
