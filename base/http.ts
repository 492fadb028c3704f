import { createHash, timingSafeEqual } from 'node:crypto';
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { type Bound, bracketed, isLoopback } from './address.ts';
import { UserError } from './user-error.ts';

/** What the HTTP ports of coordinator and worker share: who is let in, and who is dropped. */

/**
 * Browsers are told to load nothing from elsewhere, to run and style by files only, and to show this to no other page.
 */
export const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** Zones that nobody can have a name in on the internet: of the local network, of a cluster. */
const PRIVATE = /\.(local|localhost|lan|home|home\.arpa|internal|intranet|svc)$/;

/**
 * Is this the Host of a request that was meant for here? A page of another site may have its name resolved to our
 * address (DNS rebinding); the browser then still sends that name. Addresses can't be rebound. Where other machines
 * come in, so are names that nobody can own out there: those of one word and of private zones; and there are this host's
 * own name and the one that `--http` has.
 */
export function isOwnHost(header: string | undefined, bound: Bound): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?$/i.exec(header ?? '')?.[1].toLowerCase();
  if (!name) return false;
  if (isIP(name.replace(/^\[|\]$/g, '')) || name === 'localhost') return true;
  if (isLoopback(bound.host)) return false;
  const own = [hostname(), bound.host].map((known) => known.toLowerCase());
  return !name.includes('.') || PRIVATE.test(name) || own.includes(name);
}

/** Is this a write by a page of our own, or by no page at all? */
export function isSameOrigin({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const { origin, host } = headers;
  // Of what stands before us (TLS, say) the browser has the scheme, and we the host.
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) return false;
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none';
}

/** Is `Authorization: Bearer TOKEN` right? In constant time, whatever its length. */
export function hasToken(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1] ?? '';
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(token));
}

/** Connections at one time: those who follow the run (coordinator/monitor/http/stream.ts), and as many others. */
const MOST_CONNECTIONS = 512;
/** Until a request must be there, ms, and how often that is looked at. */
const REQUEST_MS = 10_000;
const LOOK_MS = 5000;
/** A client that takes nothing of its answer for so long is dropped, ms; so is one that has not taken all after this. */
const STALLED_MS = 15_000;
const ANSWER_MS = 60_000;

/** A server at this address. Rejects as `listen` does. `stalled`: see above. */
export async function listen(
  { host, port }: Bound,
  { stalled = STALLED_MS, most = MOST_CONNECTIONS } = {},
): Promise<{ server: HttpServer; port: number }> {
  const server = createServer({
    headersTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: LOOK_MS,
  });
  server.maxConnections = most;
  dropUnread(server, stalled);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return { server, port: (server.address() as { port: number }).port };
}

/** Closes the connections of those who do not read: each holds what was made for it. */
function dropUnread(server: HttpServer, stalled: number): void {
  /** Answers that are not over, and when all of each had been said. */
  const answers = new Map<ServerResponse, number>();
  server.on('request', (_request, response: ServerResponse) => {
    answers.set(response, Number.POSITIVE_INFINITY);
    response.once('close', () => answers.delete(response));
  });
  // Node has seen neither bytes come nor go. An answer that is still being made is not the client's fault.
  server.setTimeout(stalled, (socket) => {
    const isWaiting = [...answers.keys()].some((response) => response.socket === socket);
    if (!isWaiting || socket.writableLength) socket.destroy();
  });
  const looking = setInterval(() => {
    const now = performance.now();
    for (const [response, said] of answers)
      if (now - said > ANSWER_MS) response.destroy();
      else if (response.writableEnded) answers.set(response, Math.min(said, now));
  }, LOOK_MS).unref();
  server.once('close', () => clearInterval(looking));
}

/** Why an address cannot be had, for the user who asked for it. */
export function listenError(flag: string, { host, port }: Bound, error: NodeJS.ErrnoException): Error {
  const where = `${flag} ${bracketed(host)}:${port}`;
  if (error.code === 'EADDRINUSE')
    return new UserError(`${where}: the port is in use; choose another, or 0 for any free one`);
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN')
    return new UserError(`${where}: this machine has no such address`);
  if (error.code === 'EACCES')
    return new UserError(`${where}: this port may not be bound; choose one above 1023`);
  return error;
}
