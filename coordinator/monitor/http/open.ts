import { type BindAddress, urlOf } from '../../../base/address.ts';
import { listen, listenError } from '../../../base/http.ts';
import type { Handle } from './app.ts';
import type { MonitoredRun } from './responses.ts';
import { createStream, MAX_CLIENTS } from './stream.ts';

export interface HttpOptions extends BindAddress {
  /** The user chose the address: if it is in use, that is an error, and no other port is tried. */
  explicit: boolean;
  /** Required for requests that change the run; null: no token. */
  token: string | null;
}

export interface Http {
  url: string;
  /** The requested port was in use, so another one was chosen. */
  moved: boolean;
  /** Sends the last messages to stream clients and closes all connections. */
  close(): Promise<void>;
}

/** How long clients may take to read the last messages, ms. */
const CLOSE_TIMEOUT_MS = 500;

/** Opens the HTTP port of a run. UserError if it is not available. The server's code is loaded with the first request. */
export async function openHttp(options: HttpOptions, run: MonitoredRun): Promise<Http> {
  const { host, port, explicit, token } = options;
  const requested = { host, port };
  let moved = false;
  const {
    server,
    onRequest,
    port: actualPort,
    most,
  } = await listen(requested).catch((error: NodeJS.ErrnoException) => {
    if (explicit || error.code !== 'EADDRINUSE') throw listenError('--http', requested, error);
    moved = true;
    return listen({ host, port: 0 });
  });
  const bound = { host, port: actualPort };
  const stream = createStream(run.recorder, undefined, Math.min(MAX_CLIENTS, most >> 1));
  let app: Promise<Handle> | null = null;
  onRequest((request, response) => {
    if (stream.has(request.socket)) {
      request.socket.destroy();
      return;
    }
    app ??= import('./app.ts').then(({ createApp }) => createApp({ run, bound, token, stream }));
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
