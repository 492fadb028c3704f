import type { RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { type BindAddress, urlOf } from '../base/address.ts';
import { listen, listenError, SECURITY_HEADERS } from '../base/http.ts';
import { isOver, type Message, type Status, type WorkSpan } from './drawing/api.ts';

/** A port for pages, opened before what answers is loaded; and server-sent events to any number of clients, of which slow ones are dropped. It does not know what the messages say. */

export interface HttpOptions extends BindAddress {
  /** The user chose the address: if it is in use, that is an error, and no other port is tried. */
  explicit: boolean;
  /** Required for requests that change the run; null: no token. */
  token: string | null;
}

export interface Http {
  url: string;
  /** Clients that follow the stream, as each open page does. */
  viewers(): number;
  /** The requested port was in use, so another one was chosen. */
  moved: boolean;
  /** Sends the last messages to stream clients and closes all connections. */
  close(): Promise<void>;
}

/** How long clients may take to read the last messages, ms. */
const CLOSE_TIMEOUT_MS = 500;

/**
 * Opens a port for pages. UserError if it is not available. `create` makes the handler of requests with the first one, so that its
 * code is loaded only then.
 */
export async function openPort(
  { host, port, explicit }: Omit<HttpOptions, 'token'>,
  messages: MessageSource,
  create: (bound: BindAddress, stream: MessageStream) => Promise<RequestListener>,
): Promise<Http> {
  const requested = { host, port };
  let moved = false;
  const listening = await listen(requested).catch((error: NodeJS.ErrnoException) => {
    if (explicit || error.code !== 'EADDRINUSE') throw listenError('--http', requested, error);
    moved = true;
    return listen({ host, port: 0 });
  });
  const { server, onRequest, most } = listening;
  const bound = { host, port: listening.port };
  const stream = createStream(messages, Math.min(MAX_CLIENTS, most >> 1));
  let app: Promise<RequestListener> | null = null;
  onRequest((request, response) => {
    if (stream.has(request.socket)) {
      request.socket.destroy();
      return;
    }
    app ??= create(bound, stream);
    app.then(
      (handle) => handle(request, response),
      (error: NodeJS.ErrnoException) => {
        response.writeHead(500).end();
        app = null;
        // Files cannot be opened while strangers take all descriptors: no reason to end the run.
        if (error.code !== 'EMFILE') throw error;
      },
    );
  });
  // An open port does not keep the process alive.
  server.unref();
  return {
    url: urlOf(bound),
    moved,
    viewers: stream.clients,
    async close() {
      await stream.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** What there is to send. */
export interface MessageSource {
  status(): Status;
  /** Work since the entry of this number, and the number of the next one. */
  workSince(from: number): { work: WorkSpan[]; next: number };
  /** Calls `listener` with each message from now on; null: nobody. */
  listen(listener: ((message: Message) => void) | null): void;
}

export type MessageStream = ReturnType<typeof createStream>;

/** Unread bytes at which a client is dropped; it reconnects and reads the history. */
const MAX_UNREAD = 256 << 10;
const MAX_CLIENTS = 250;
/**
 * Messages are collected for this long and sent together, ms, plus a little per client: writing to the sockets hundreds of
 * times a second would slow down training.
 */
const GATHER_MS = 40;
const GATHER_CLIENT_MS = 1;
const STATE_MS = 200;
const WORK_MS = 250;
/** Time that clients have to fetch the last state before their connections close, ms. */
const FETCH_MS = 150;
/** Interval of the comments that detect dead connections, ms. */
const HEARTBEAT_MS = 15_000;
const RETRY_MS = 1000;

/** Sends server-sent events to pages and other clients. `most`: clients at one time; further ones get 503. */
function createStream(source: MessageSource, most = MAX_CLIENTS) {
  const now = () => performance.now();
  const clients = new Set<ServerResponse>();
  const sockets = new WeakSet<Socket>();
  let waiting: Message[] = [];
  let newestState: Extract<Message, { type: 'state' }> | null = null;
  let stateAt = Number.NEGATIVE_INFINITY;
  let workAt = Number.NEGATIVE_INFINITY;
  let nextWork = 0;
  let timer: NodeJS.Timeout | null = null;
  let intervals: NodeJS.Timeout[] = [];

  function onMessage(message: Message): void {
    // Only the newest state matters.
    if (message.type === 'state') newestState = message;
    else waiting.push(message);
    schedule(GATHER_MS + clients.size * GATHER_CLIENT_MS);
  }

  function schedule(ms: number): void {
    timer ??= setTimeout(() => {
      timer = null;
      flush(false);
    }, ms);
  }

  function flush(all: boolean): void {
    const at = now();
    const messages = waiting;
    waiting = [];
    // At the end of the run, do not hold back the last state: the process may exit.
    const ended = messages.some((message) => message.type === 'status' && isOver(message.status));
    if (newestState && (all || ended || at - stateAt >= STATE_MS)) {
      messages.push(newestState);
      newestState = null;
      stateAt = at;
    }
    if (all || at - workAt >= WORK_MS) {
      const { work, next } = source.workSince(nextWork);
      if (work.length) messages.push({ type: 'work', work });
      nextWork = next;
      workAt = at;
    }
    if (newestState) schedule(STATE_MS);
    // One buffer, shared by all clients that have yet to read it.
    if (messages.length)
      send(Buffer.from(messages.map((message) => `data: ${JSON.stringify(message)}\n\n`).join('')));
  }

  function send(bytes: Buffer): void {
    for (const client of clients) {
      if (client.writableLength > MAX_UNREAD) drop(client);
      else client.write(bytes);
    }
  }

  function drop(client: ServerResponse): void {
    client.destroy();
    leave(client);
  }

  function leave(client: ServerResponse): void {
    clients.delete(client);
    if (clients.size) return;
    // Without clients, nothing is collected.
    source.listen(null);
    if (timer) clearTimeout(timer);
    for (const interval of intervals) clearInterval(interval);
    [timer, newestState] = [null, null];
    [intervals, waiting] = [[], []];
  }

  return {
    /** Takes over a response, and its connection. */
    add(response: ServerResponse): void {
      const { socket } = response.req;
      // Closed while the request waited: it would never be removed again.
      if (socket.destroyed) return;
      if (sockets.has(socket)) {
        socket.destroy();
        return;
      }
      if (clients.size >= most) {
        // A connection that is kept would take the place of others.
        const headers = { ...SECURITY_HEADERS, 'retry-after': '10', connection: 'close' };
        response.writeHead(503, headers).end('too many clients\n');
        return;
      }
      // The response ends with its connection, so it does not need chunked encoding.
      response.useChunkedEncodingByDefault = false;
      response.writeHead(200, {
        ...SECURITY_HEADERS,
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      response.write(`: dpmesh\nretry: ${RETRY_MS}\n\n`);
      response.write(`data: ${JSON.stringify({ type: 'status', status: source.status() })}\n\n`);
      sockets.add(socket);
      socket.once('close', () => leave(response));
      response.on('error', () => leave(response));
      if (!clients.size) {
        nextWork = source.workSince(Number.POSITIVE_INFINITY).next;
        source.listen(onMessage);
        intervals = [
          // During a long round there are no messages, but new entries of work.
          setInterval(() => flush(false), WORK_MS),
          setInterval(() => send(Buffer.from(':\n\n')), HEARTBEAT_MS),
        ];
      }
      clients.add(response);
    },
    /** Does this connection belong to a client? No other request may come on it: its response would never be sent. */
    has: (socket: Socket) => sockets.has(socket),
    clients: () => clients.size,
    /** Sends waiting messages, gives clients time to fetch the last state, and closes their connections. */
    async close(): Promise<void> {
      if (!clients.size) return;
      flush(true);
      await sleep(Math.max(0, FETCH_MS - (now() - stateAt)));
      for (const client of [...clients]) {
        client.end();
        leave(client);
      }
    },
  };
}

export function addStream(app: FastifyInstance, stream: MessageStream): void {
  app.get('/api/stream', { exposeHeadRoute: false }, (_request, reply) => {
    reply.hijack();
    stream.add(reply.raw);
  });
}
