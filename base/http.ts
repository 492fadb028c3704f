import { createHash, timingSafeEqual } from 'node:crypto';
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { isIP, Server as NetServer, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BindAddress, bracketed, isLoopback } from './address.ts';
import { descriptorLimit } from './limits.ts';
import { UserError } from './user-error.ts';

/** Access control and connection limits of the HTTP ports of coordinator and worker. */

/** Response headers: load nothing from other origins, no inline scripts or styles, no embedding in other pages. */
export const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** For fastify: no route has a schema, and loading the schema compilers would double the start-up time. */
export const NO_COMPILERS = {
  buildValidator: () => () => () => true,
  buildSerializer: () => () => JSON.stringify,
};

export const isRead = ({ method }: Pick<IncomingMessage, 'method'>) => method === 'GET' || method === 'HEAD';

/** Domains that do not exist on the public internet: of local networks and clusters. */
const PRIVATE_DOMAIN = /\.(local|localhost|lan|home|home\.arpa|internal|intranet|svc)$/;

/**
 * Is this Host header one of this server? Guards against DNS rebinding: a page of another site can have its name resolved to
 * our address, but the browser still sends that name. Accepts IP addresses and localhost, which cannot be rebound. Unless
 * bound to loopback, also accepts names that do not exist on the public internet (one word, or a private domain), this
 * host's name, and the name given to `--http`.
 */
export function isOwnHost(header: string | undefined, bound: BindAddress): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?$/i.exec(header ?? '')?.[1].toLowerCase();
  if (!name) return false;
  if (isIP(name.replace(/^\[|\]$/g, '')) || name === 'localhost') return true;
  if (isLoopback(bound.host)) return false;
  const ownNames = [hostname(), bound.host].map((own) => own.toLowerCase());
  return !name.includes('.') || PRIVATE_DOMAIN.test(name) || ownNames.includes(name);
}

/** Does a request come from our own page, or from a client other than a browser? */
export function isSameOrigin({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const { origin, host } = headers;
  // A reverse proxy that terminates TLS changes the scheme, but not the host.
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) return false;
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none';
}

/** Does the `Authorization: Bearer` header have this token? Compares in constant time for any length. */
export function hasToken(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1] ?? '';
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(token));
}

/**
 * Concurrent connections; no more than this part of the descriptors that the process may have. Streams may take half of them
 * (page/port.ts): there is always room for others.
 */
const MAX_CONNECTIONS = 512;
const DESCRIPTOR_SHARE = 1 / 4;
/** Above this part of them, those that have been idle for longest are closed, to make room for new ones … */
const CROWDED = 7 / 8;
/** … if they have been so for this long, ms: a request may be on its way. */
const GRACE_MS = 500;
/** Timeout for receiving a request, ms. */
const REQUEST_MS = 10_000;
/** Interval between checks of the timeouts, ms. */
const CHECK_INTERVAL_MS = 5000;
/** A connection without traffic for this long is closed, ms. */
const STALLED_MS = 15_000;
/** A connection whose client has not read a finished response after this time is closed, ms. */
const RESPONSE_MS = 60_000;
/** Requests on one connection that wait for their responses; those behind them are refused. Browsers send one at a time. */
const MOST_WAITING = 16;
/** Of these, with those that were refused: with more, the connection is closed. A piece of what it sends may have some thousands. */
const MOST_REFUSED = 4096;

/**
 * Starts an HTTP server at this address; rejects with the error of Node's `listen`. Requests are passed to what is given to
 * `onRequest`, which is also returned. `close` takes no new connections, and resolves when the others have ended: those without a request
 * at once, others behind the answer to the last request that had come, which says so with `connection: close`, and all of them after so many ms.
 *
 * @param stalled timeout for connections without traffic, ms
 * @param receive timeout for receiving a request, ms
 * @param most limit of concurrent connections, which is also returned
 */
export async function listen(
  { host, port }: BindAddress,
  { stalled = STALLED_MS, receive = REQUEST_MS, most = connectionLimit() } = {},
): Promise<{
  server: HttpServer;
  onRequest(respond: RequestListener): void;
  port: number;
  most: number;
  close(within: number): Promise<void>;
}> {
  const server = createServer({
    headersTimeout: REQUEST_MS,
    requestTimeout: receive,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
  });
  server.maxConnections = most;
  const connections = trackConnections(server);
  dropUnread(server, connections, stalled);
  answerMalformed(server, connections, stalled);
  makeRoom(server, Math.floor(CROWDED * most));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    server,
    onRequest: (respond) => void whileOpen(server, respond),
    port: (server.address() as { port: number }).port,
    most,
    close: (within) => closeInOrder(server, connections, within),
  };
}

/** All requests that have arrived together are reported, also those after the one at which their connection was closed, and those that are refused. */
const whileOpen = (server: HttpServer, respond: RequestListener) =>
  server.on(
    'request',
    (request, response) => request.socket.destroyed || response.writableEnded || respond(request, response),
  );

/** At most so many, and no more than the process has descriptors for. */
export const connectionLimit = (most = MAX_CONNECTIONS) =>
  Math.floor(Math.min(most, DESCRIPTOR_SHARE * descriptorLimit()));

/** As long as there are more than `most` connections, closes those that have been without a request for longest. */
function makeRoom(server: HttpServer, most: number): void {
  let open = 0;
  let timer: NodeJS.Timeout | undefined;
  /** Connections without a request, and since when: the longest first. */
  const idle = new Map<Socket, number>();
  const closeIdle = () => {
    const before = performance.now() - GRACE_MS;
    let excess = open - most;
    for (const [socket, since] of idle) {
      if (excess-- <= 0 || since > before) break;
      socket.destroy();
    }
    timer = open > most ? setTimeout(closeIdle, GRACE_MS).unref() : undefined;
  };
  server.on('connection', (socket) => {
    idle.set(socket, performance.now());
    if (++open > most && !timer) timer = setTimeout(closeIdle, GRACE_MS).unref();
    socket.once('close', () => {
      open--;
      idle.delete(socket);
    });
  });
  whileOpen(server, ({ socket }, response) => {
    idle.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) idle.set(socket, performance.now());
    });
  });
}

interface Connection {
  /** Open responses, and when each was completely written; Infinity while it is not. */
  responses: Map<ServerResponse, number>;
  /** Bytes that had been received when there was no request last. */
  received: number;
  /** What came last was no request. */
  isMalformed: boolean;
}

function trackConnections(server: HttpServer): Map<Socket, Connection> {
  const connections = new Map<Socket, Connection>();
  server.on('connection', (socket) => {
    connections.set(socket, { responses: new Map(), received: 0, isMalformed: false });
    socket.once('close', () => connections.delete(socket));
  });
  whileOpen(server, (request, response) => {
    const { socket } = request;
    const connection = connections.get(socket)!;
    const { responses } = connection;
    if (responses.size >= MOST_REFUSED) {
      socket.destroy();
      return;
    }
    const isRefused = responses.size >= MOST_WAITING;
    responses.set(response, Number.POSITIVE_INFINITY);
    response.once('close', () => {
      responses.delete(response);
      connection.received = socket.bytesRead;
    });
    if (!server.listening) response.setHeader('connection', 'close');
    if (isRefused) refuse(request, response);
    else if (isEncoded(request)) answerError(response, 501, ENCODED);
  });
  return connections;
}

const ENCODED = 'the body has a transfer encoding other than chunked: send it without that';

/** Is the body, besides that it comes in chunks, encoded for the transfer? Where it is not in chunks, Node's parser reports an error. */
const isEncoded = ({ headers }: IncomingMessage) =>
  /[^\s,].*,\s*chunked\s*$/i.test(headers['transfer-encoding'] ?? '');

/** Says, behind the answers to those before it, that a request gets none, and ends the connection. */
function refuse(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.setHeader('connection', 'close');
  const error = `more than ${MOST_WAITING} requests wait for their answers on this connection: send the next one when an answer has come`;
  answerError(response, 503, error);
}

const errorHeaders = (body: string) => {
  return { ...SECURITY_HEADERS, 'content-type': 'application/json', 'content-length': body.length };
};

function answerError(response: ServerResponse, status: number, error: string): void {
  const body = JSON.stringify({ error });
  response.writeHead(status, errorHeaders(body)).end(body);
}

/** What is answered to what is no request, by the code of Node's error. */
const CLIENT_ERRORS: Record<string, [status: string, error: string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the headers are too long: send fewer'],
  HPE_INVALID_TRANSFER_ENCODING: ['501 Not Implemented', ENCODED],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request took too long to arrive: send it faster'],
};

/** Answers what is no request, or takes too long to arrive, behind the answers to the requests before it, and ends the connection. */
function answerMalformed(server: HttpServer, connections: Map<Socket, Connection>, stalled: number): void {
  server.on('clientError', ({ code }: NodeJS.ErrnoException, socket: Socket) => {
    const connection = connections.get(socket);
    // Reported again for all that comes behind it.
    if (!connection || connection.isMalformed) return;
    connection.isMalformed = true;
    const { responses } = connection;
    const before = [...responses.keys()];
    // The request whose body it is has no other answer, unless that has begun.
    const own = before.at(-1)?.req.complete === false ? before.pop() : undefined;
    const [status, error] = CLIENT_ERRORS[code ?? ''] ?? ['400 Bad Request', 'this is not HTTP'];
    // Not at once: an answer that has not been read would be lost.
    const end = (text: string) => socket.end(text, () => setTimeout(() => socket.destroy(), stalled).unref());
    const answerIfNext = () => {
      if (!socket.writable || before.some((response) => responses.has(response))) return;
      if (own?.headersSent && responses.has(own)) own.once('close', () => end(''));
      else end(own?.headersSent ? '' : rawAnswer(status, error));
    };
    for (const response of before) response.once('close', answerIfNext);
    answerIfNext();
  });
}

function rawAnswer(status: string, error: string): string {
  const body = JSON.stringify({ error });
  const lines = Object.entries({ ...errorHeaders(body), connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${body}`;
}

/** Closes the connections of clients that do not read, as their unsent responses occupy memory. */
function dropUnread(server: HttpServer, connections: Map<Socket, Connection>, stalled: number): void {
  // Called after a time without traffic. If we are still producing the response, the client is not at fault.
  server.setTimeout(stalled, (socket) => {
    if (!connections.get(socket)?.responses.size || socket.writableLength) socket.destroy();
  });
  const timer = setInterval(() => {
    const now = performance.now();
    for (const [socket, { responses }] of connections)
      for (const [response, writtenAt] of responses)
        if (now - writtenAt > RESPONSE_MS) socket.destroy();
        else if (response.writableEnded) responses.set(response, Math.min(writtenAt, now));
  }, CHECK_INTERVAL_MS).unref();
  server.once('close', () => clearInterval(timer));
}

async function closeInOrder(
  server: HttpServer,
  connections: Map<Socket, Connection>,
  within: number,
): Promise<void> {
  const endIfIdle = (socket: Socket, { responses, received }: Connection) => {
    if (!responses.size && socket.bytesRead === received) socket.destroySoon();
  };
  // That of HTTP servers also cuts off answers that are on their way, and no longer looks how long requests take to arrive.
  const closed = new Promise((resolve) => NetServer.prototype.close.call(server, resolve));
  const timer = setTimeout(() => server.closeAllConnections(), within);
  for (const [socket, connection] of connections) {
    endIfIdle(socket, connection);
    const responses = [...connection.responses.keys()];
    const last = responses.at(-1);
    if (last && !last.headersSent) last.setHeader('connection', 'close');
    for (const response of responses) response.once('close', () => endIfIdle(socket, connection));
  }
  await closed;
  clearTimeout(timer);
  server.close();
}

/** The error for an address that `flag` asked for and that cannot be bound; a UserError where the user can fix it. */
export function listenError(flag: string, { host, port }: BindAddress, error: NodeJS.ErrnoException): Error {
  const where = `${flag} ${bracketed(host)}:${port}`;
  if (error.code === 'EADDRINUSE')
    return new UserError(`${where}: the port is in use; choose another one, or 0 for any free port`);
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN')
    return new UserError(`${where}: this machine has no such address; use one of its own, or 127.0.0.1`);
  if (error.code === 'EACCES')
    return new UserError(`${where}: no permission to bind this port; choose one above 1023`);
  return error;
}

/**
 * Limit on the bytes per second that are produced for repeated requests. A client that does not read keeps its response in
 * memory until it is dropped (http.ts), so this bounds memory as well as time.
 */
const MAX_BYTES_PER_SECOND = 2e6;

/**
 * Combines requests for the same text. The returned function resolves to the bytes of `make`, shared by all who ask at the
 * same time, or null if `make` returns null. The text is made again when `version` changes; without `version`, each time.
 * A caller never gets a text older than its request: if the rate limit is reached, it waits, together with others, for the
 * next one.
 */
export function coalesce(
  make: () => string | null | Promise<string>,
  version: () => unknown = () => ({}),
): () => Promise<Buffer | null> {
  let last: { version: unknown; bytes: Buffer | null } | null = null;
  let next: Promise<Buffer | null> | null = null;
  let making: Promise<unknown> = Promise.resolve();
  let earliest = 0;

  async function makeNext(): Promise<Buffer | null> {
    await making.catch(() => {});
    const wait = earliest - performance.now();
    if (wait > 0) await sleep(wait, undefined, { ref: false });
    // From here on `make` reads the data: later callers need a newer text.
    next = null;
    const made = makeNow();
    making = made;
    return made;
  }

  async function makeNow(): Promise<Buffer | null> {
    const current = version();
    const text = await make();
    const bytes = text === null ? null : Buffer.from(text);
    last = { version: current, bytes };
    earliest = performance.now() + ((bytes?.length ?? 0) / MAX_BYTES_PER_SECOND) * 1000;
    return bytes;
  }

  return async () => {
    if (last && last.version === version()) return last.bytes;
    next ??= makeNext();
    return next;
  };
}
