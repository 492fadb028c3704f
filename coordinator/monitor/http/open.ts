import { type BindAddress, urlOf } from '../../../base/address.ts';
import { listen, listenError } from '../../../base/http.ts';
import type { Watched } from './answers.ts';
import type { Handle } from './app.ts';
import { createStream } from './stream.ts';

export interface HttpOptions extends BindAddress {
  /** Asked for by the user: taken is a mistake then, and no reason to take another port. */
  explicit: boolean;
  /** Whoever wants to change something must have it. */
  token: string | null;
}

export interface Http {
  url: string;
  /** Another port than the one wanted, as that is taken. */
  moved: boolean;
  /** Tells the last to those who follow, and ends all connections. */
  close(): Promise<void>;
}

/** How long the last words may take to reach those who follow, ms. */
const LAST_WORDS_MS = 500;

/** Opens the port of a run. UserError where it cannot be had. What answers is loaded with the first request. */
export async function openHttp(options: HttpOptions, watched: Watched): Promise<Http> {
  const { host, port, explicit, token } = options;
  const wanted = { host, port };
  let moved = false;
  const { server, port: found } = await listen(wanted).catch((error: NodeJS.ErrnoException) => {
    if (explicit || error.code !== 'EADDRINUSE') throw listenError('--http', wanted, error);
    moved = true;
    return listen({ host, port: 0 });
  });
  const bound = { host, port: found };
  const stream = createStream(watched.recorder);
  let app: Promise<Handle> | null = null;
  server.on('request', (request, response) => {
    app ??= import('./app.ts').then(({ createApp }) => createApp({ watched, bound, token, stream }));
    app.then(
      (handle) => handle(request, response),
      (error) => {
        response.writeHead(500).end();
        throw error;
      },
    );
  });
  // A run does not go on for its port's sake.
  server.unref();
  return {
    url: urlOf(bound),
    moved,
    async close() {
      await stream.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), LAST_WORDS_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}
