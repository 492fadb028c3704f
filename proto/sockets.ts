import { Dealer, Router } from 'zeromq';

/**
 * ZeroMQ's own heartbeats find a connection that a network has silently cut: it is closed, and the worker's side
 * connects anew. Without them either end waits for the kernel, which takes a quarter of an hour.
 */
const HEARTBEATS = { heartbeatInterval: 1000, heartbeatTimeout: 5000, heartbeatTimeToLive: 10_000 };

/** ZeroMQ allows one pending send a socket: they queue here, in order. */
function inTurn(send: (frames: Uint8Array[]) => Promise<void>, failed: (error: Error) => void) {
  let last = Promise.resolve();
  return (frames: Uint8Array[]) => {
    last = last.then(() => send(frames)).catch(failed);
    return last;
  };
}

/** Until the socket is closed. What `receive` throws is a bug and ends the process. */
async function listen(socket: AsyncIterable<Buffer[]>, receive: (frames: Buffer[]) => void): Promise<void> {
  try {
    for await (const frames of socket) receive(frames);
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}

export interface RouterSocket {
  /** The address it is bound to, with the port that the system chose for `:*` or `:0`. */
  address: string;
  send(peer: Buffer, frames: Uint8Array[]): Promise<void>;
  close(): void;
}

/**
 * Binds the coordinator's socket and hands each message with the routing id of its peer to `receive`, in order.
 * A message to a peer that is gone is dropped; the membership hears of it elsewhere. Rejects if the port is taken.
 */
export async function bindRouter(
  endpoint: string,
  receive: (peer: Buffer, frames: Buffer[]) => void,
): Promise<RouterSocket> {
  const socket = new Router({
    linger: 500,
    sendHighWaterMark: 0,
    receiveHighWaterMark: 0,
    maxMessageSize: 1 << 30,
    ...HEARTBEATS,
  });
  await socket.bind(endpoint);
  const send = inTurn(
    (frames) => socket.send(frames),
    () => {},
  );
  void listen(socket, ([peer, ...frames]) => receive(peer, frames));
  return {
    address: socket.lastEndpoint!,
    send: (peer, frames) => send([peer, ...frames]),
    close: () => socket.close(),
  };
}

export interface DealerSocket {
  send(frames: Uint8Array[]): Promise<void>;
  close(): void;
}

/** Connects a worker's socket; ZeroMQ itself reconnects for as long as it is open. */
export function connectDealer(endpoint: string, receive: (frames: Buffer[]) => void): DealerSocket {
  const socket = new Dealer({
    linger: 500,
    sendHighWaterMark: 0,
    receiveHighWaterMark: 0,
    reconnectMaxInterval: 2000,
    ...HEARTBEATS,
  });
  socket.connect(endpoint);
  const send = inTurn(
    (frames) => socket.send(frames),
    () => {},
  );
  void listen(socket, receive);
  return { send, close: () => socket.close() };
}
