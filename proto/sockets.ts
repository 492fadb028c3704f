import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Context, Dealer, type Event, Router } from 'zeromq';
import { type Authenticator, type RejectionReason, serveZap, ZAP_DOMAIN } from './authenticator.ts';
import { MAX_FRAME, MAX_HEADER } from './codec.ts';
import type { WorkerKey } from './keys.ts';

/** ZeroMQ sockets of coordinator and worker, with keys, limits and backpressure. They pass frames on, and decode none. */

/** A connection that has not finished its handshake by then is closed. */
const HANDSHAKE_MS = 5000;
/** Connections that the system queues until they are accepted. */
const BACKLOG = 256;
/**
 * Maximum frame sizes, with what CURVE adds. A larger frame ends its connection before memory is allocated for it, even for an
 * unauthenticated peer. The codec limits the size of the entire message.
 */
const MOST_FROM_WORKER = MAX_FRAME + 1024;
const MOST_FROM_COORDINATOR = MAX_HEADER + 1024;
/** Messages or events that are read before others have their turn. */
const MOST_AT_ONCE = 64;
/** Unread messages of one peer, after which it has to wait. */
const RECEIVE_QUEUE = 1000;
/** Unsent messages to one peer, after which it counts as stalled and is sent nothing more. */
const SEND_QUEUE = 64;
/** A burst may fill the queue before libzmq's thread sends any of it: retry after these delays, ms. */
const SEND_RETRY_MS = [2, 10, 40];
/** Stalled peers that are remembered, for which there are no retries. If there are more, all are forgotten. */
const MOST_STALLED = 1024;
/** Delay before a dealer that libzmq has given up is opened again. */
const REOPEN_MS = 2000;
/** How long a closed socket goes on sending what is queued. */
const LINGER_MS = 500;
/** Delay between attempts to bind a port that was closed a moment ago. */
const REBIND_MS = 10;

/**
 * Lets the kernel detect connections that the network dropped silently, by unacknowledged data or unanswered probes. It closes
 * them, and the worker reconnects; otherwise both ends would wait for a quarter of an hour. ZeroMQ's heartbeats are no
 * alternative: libzmq 4.3.5 aborts the process (`!_io_error`) if their timer fires on a connection that has ended while its
 * input was stopped, as after damaged bytes or while a socket lingers. (A peer can set such a timer by a PING of its own, which no
 * option refuses: SECURITY.md.)
 */
const DEAD_CONNECTION_DETECTION = {
  tcpMaxRetransmitTimeout: 5000,
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 2,
  tcpKeepaliveInterval: 1,
  tcpKeepaliveCount: 4,
};

/** libzmq takes addresses of IPv6 only where it is asked to, and then prefers them where a name has both. */
const isIpv6 = (endpoint: string) => endpoint.startsWith('tcp://[');

/** Queues messages: ZeroMQ allows only one pending send per socket. */
function inTurn(send: (frames: Uint8Array[]) => Promise<void>) {
  let last = Promise.resolve();
  return (frames: Uint8Array[]) => {
    last = last.then(() => send(frames)).catch(() => {});
    return last;
  };
}

/**
 * Passes messages (or events) to `receive` until the socket is closed (or, for events, destroyed), which may be in the middle of a
 * message. An error of `receive` is a bug and ends the process. Pauses after a number of them: reading what has arrived already does not let timers and files have
 * their turn, and libzmq reports thousands of events a second while there is no descriptor for a connection that waits.
 */
async function listen<T>(
  socket: AsyncIterable<T> & { closed: boolean },
  receive: (message: T) => void | Promise<void>,
): Promise<void> {
  let left = MOST_AT_ONCE;
  try {
    for await (const message of socket) {
      await receive(message);
      if (--left > 0) continue;
      await setImmediate();
      left = MOST_AT_ONCE;
    }
  } catch (error) {
    if (socket.closed && (error as NodeJS.ErrnoException).code === 'ENOTSOCK') return;
    globalThis.setImmediate(() => {
      throw error;
    });
  }
}

const bytesOf = (frames: Uint8Array[]) => frames.reduce((sum, { byteLength }) => sum + byteLength, 0);

/** Contexts without sockets, to be used again: libzmq does not end the thread of one that is dropped. */
const idle: Context[] = [];

export type RouterSocket = Awaited<ReturnType<typeof bindRouter>>;

/** What a router says of its connections. */
export interface RouterEvents {
  /** A message was dropped, as this peer does not read. */
  stalled?(peer: Buffer): void;
  /** A message was dropped, as this peer's connection is closed. */
  unreachable?(peer: Buffer): void;
  /** Some connection was closed: libzmq does not say whose. */
  closed?(): void;
}

/**
 * Binds the coordinator's socket and passes each message, with the routing id of its peer, to `receive`, in order, each
 * after the one before is done. Rejects if the port is taken.
 * With an authenticator, only messages of peers that use CURVE and are on its list arrive.
 */
export async function bindRouter(
  endpoint: string,
  receive: (peer: Buffer, frames: Buffer[]) => void | Promise<void>,
  authenticator?: Authenticator,
  on: RouterEvents = {},
) {
  // A ZAP handler is responsible for an entire context, so this socket has a context of its own.
  const context = authenticator && (idle.pop() ?? new Context());
  const zap = authenticator && (await serveZap(context!, authenticator.admit));
  const zapDestroyed = zap && listen(zap.events, () => {});
  const traffic = { received: 0, sent: 0 };
  let closed = false;
  /** Resolves when the current socket is destroyed, after it has sent what was queued. */
  let destroyed = Promise.resolve();

  async function open(at: string): Promise<Router> {
    const socket = new Router({
      ipv6: isIpv6(at),
      linger: LINGER_MS,
      // A message that does not fit the queue fails at once, rather than being dropped silently.
      mandatory: true,
      sendTimeout: 0,
      sendHighWaterMark: SEND_QUEUE,
      receiveHighWaterMark: RECEIVE_QUEUE,
      maxMessageSize: MOST_FROM_WORKER,
      handshakeInterval: HANDSHAKE_MS,
      backlog: BACKLOG,
      ...DEAD_CONNECTION_DETECTION,
      ...(authenticator && {
        context,
        curveServer: true,
        curveSecretKey: authenticator.secret,
        zapDomain: ZAP_DOMAIN,
        // Otherwise libzmq admits all clients if no ZAP handler answers.
        zapEnforceDomain: true,
      }),
    });
    // Events have to be read all the time: libzmq's thread blocks otherwise.
    const count = authenticator ? countFailures(authenticator) : () => {};
    destroyed = listen(socket.events, (event) => {
      count(event);
      if (event.type === 'disconnect') on.closed?.();
    });
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
  const stalledPeers = new Set<string>();
  let cutting = Promise.resolve();
  async function rebind(): Promise<void> {
    // A new socket, as unbind and bind wait for libzmq's thread, which may be waiting for us to read its events.
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
    const delays = stalledPeers.has(id) ? [] : SEND_RETRY_MS;
    for (let retries = 0; ; retries++) {
      try {
        await socket.send(frames);
        traffic.sent += bytesOf(frames.slice(1));
        stalledPeers.delete(id);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EHOSTUNREACH') on.unreachable?.(peer);
        if (code !== 'EAGAIN') return;
      }
      if (retries >= delays.length) break;
      await sleep(delays[retries]);
    }
    if (stalledPeers.size >= MOST_STALLED) stalledPeers.clear();
    stalledPeers.add(id);
    on.stalled?.(peer);
  });
  return {
    /** The address it is bound to, with the actual port in place of `:*` or `:0`. */
    address,
    send: (peer: Buffer, frames: Uint8Array[]) => send([peer, ...frames]),
    /** Ends all connections. Peers whose key is still on the list reconnect by themselves, as new peers. */
    cut(): Promise<void> {
      // One at a time: two would compete for the address.
      cutting = cutting.then(rebind);
      return cutting;
    },
    /** Connections rejected since the start, by reason. All 0 without keys. */
    refused: (): Partial<Record<RejectionReason, number>> => authenticator?.refused() ?? {},
    /** Bytes of all messages since the start, without the overhead of ZeroMQ and CURVE. */
    traffic: () => ({ ...traffic }),
    /**
     * Resolves when queued messages are sent, or after LINGER_MS. A process that exits earlier loses them: `process.exit` does
     * not wait for libzmq's thread.
     */
    close(): Promise<void> {
      if (closed) return destroyed;
      closed = true;
      socket.close();
      zap?.close();
      if (context)
        void cutting.then(() => Promise.all([destroyed, zapDestroyed])).then(() => idle.push(context));
      return destroyed;
    },
  };
}

/**
 * Counts failed handshakes by libzmq's events, which do not identify the connection. A disconnect that does not follow a failed
 * handshake, while some handshake is pending, is that of a peer that does not speak ZeroMQ (for example an HTTP request).
 */
function countFailures(authenticator: Authenticator): (event: Event) => void {
  let pending = 0;
  let justFailed = false;
  return (event) => {
    const { type } = event;
    if (type === 'accept') pending++;
    if (type.startsWith('handshake')) pending--;
    if (type === 'handshake:error:protocol') {
      const isOfOther = event.error.code === 'ERR_ZMTP_CRYPTOGRAPHIC';
      authenticator.failed(isOfOther ? 'wrong-server-key' : 'no-key');
    }
    if (type === 'handshake:error:other') authenticator.failed('broken-off');
    if (type === 'disconnect' && !justFailed && pending > 0) {
      pending--;
      authenticator.failed('not-zeromq');
    }
    justFailed = type === 'handshake:error:protocol' || type === 'handshake:error:other';
  };
}

export type DealerSocket = ReturnType<typeof connectDealer>;

export interface DealerOptions {
  /** Use CURVE, and connect only to the holder of this server key. */
  key?: WorkerKey;
  /** Called when a handshake fails, for example because only one side has keys, or the keys do not match. */
  failed?: () => void;
  /** Called when queued messages were lost and a new connection is attempted: say hello again. */
  reopened?: () => void;
}

/** Connects a worker's socket, which reconnects as long as it is open. */
export function connectDealer(
  endpoint: string,
  receive: (frames: Buffer[]) => void,
  { key, failed, reopened }: DealerOptions = {},
) {
  const socket = new Dealer({
    ipv6: isIpv6(endpoint),
    linger: LINGER_MS,
    sendHighWaterMark: 0,
    receiveHighWaterMark: RECEIVE_QUEUE,
    reconnectMaxInterval: 2000,
    maxMessageSize: MOST_FROM_COORDINATOR,
    ...DEAD_CONNECTION_DETECTION,
    handshakeInterval: HANDSHAKE_MS,
    ...(key && { curveServerKey: key.server, curvePublicKey: key.public, curveSecretKey: key.secret }),
  });
  let timer: NodeJS.Timeout | undefined;
  const destroyed = listen(socket.events, ({ type }) => {
    if (!type.startsWith('handshake:error')) return;
    failed?.();
    // libzmq reconnects after network errors, but not after handshake errors.
    if (type !== 'handshake:error:other') {
      clearTimeout(timer);
      timer = setTimeout(reopen, REOPEN_MS);
    }
  });
  function reopen(): void {
    clearTimeout(timer);
    if (socket.closed) return;
    // Otherwise the old connection would linger beside the new one.
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
    /** Drops the connection, or the attempt to connect, and connects again. Queued messages are lost. */
    reopen,
    /** As that of a router. */
    close(): Promise<void> {
      clearTimeout(timer);
      socket.close();
      return destroyed;
    },
  };
}
