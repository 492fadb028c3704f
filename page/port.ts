import type { RequestListener } from 'node:http';
import { type BindAddress, urlOf } from '../base/address.ts';
import { listen, listenError } from '../base/http.ts';
import { createStream, MAX_CLIENTS, type MessageSource, type MessageStream } from './stream.ts';

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
