import { assertSecret, isLoopback, parseBindAddress, urlOf } from '../../base/address.ts';
import { connectionLimit, listen, listenError } from '../../base/http.ts';
import { UserError } from '../../base/user-error.ts';
import { kindsOf } from '../../run/option.ts';
import { assertOptions, fixedPaths, HOOKS, type OptionKinds } from '../arguments.ts';
import { SERVE } from '../command-options.ts';
import { createApp } from './app.ts';
import { createMetrics } from './metrics.ts';
import { openModels } from './models.ts';

/** Options of `serve`. */
export interface ServeOptions {
  /** Directories of finished runs, or folders of follows, whose newest update is served. A model has the name of its folder. */
  runs: string | readonly string[];
  /**
   * HOST:PORT; port 0: any free one.
   * @defaultValue 127.0.0.1:8080
   */
  http?: string;
  /**
   * Clients have to send it, as `Authorization: Bearer TOKEN`, for all but metrics and health.
   * @defaultValue none
   */
  httpToken?: string;
  /**
   * Serve newer models as soon as they take the place of these.
   * @defaultValue false
   */
  watch?: boolean;
  /** Called with messages for people. */
  log?: (line: string) => void;
}

/** A server of models. */
export interface ModelServer {
  /** Where it is, such as `http://127.0.0.1:8080/`. */
  readonly url: string;
  /** Its models, and where each is. */
  readonly models: readonly { readonly name: string; readonly run: string; readonly url: string }[];
  /** Answers the requests that it has, and ends. */
  close(): Promise<void>;
}

const DEFAULT_ADDRESS = '127.0.0.1:8080';

const KINDS: OptionKinds<ServeOptions> = { runs: 'any', ...kindsOf(SERVE), log: HOOKS.log };

/** Connections at once: those without a request cost next to nothing. */
const MOST_CONNECTIONS = 4096;
/** How long a request may take to arrive: 64 MiB over a slow line, ms. */
const RECEIVE_MS = 60_000;
/** At the end, how long requests may take to arrive, and clients to read their answers, ms. */
const CLOSE_MS = 60_000;

/**
 * Serves the models of finished runs by the Open Inference Protocol, version 2, over HTTP. The labels are those of `predict`.
 *
 * @throws {UserError} (rejection) if a run is not finished, two have the same name, or the address is not free
 */
export async function serve(options: ServeOptions): Promise<ModelServer> {
  assertOptions('serve', options, KINDS, ['runs']);
  const { http = DEFAULT_ADDRESS, httpToken, watch = false, log = () => {} } = options;
  const runs = [options.runs].flat();
  if (!runs.length || !runs.every((run) => typeof run === 'string'))
    throw new UserError('serve: runs must be the path of a run, or a list of them');
  const token = httpToken ?? null;
  if (token !== null) assertSecret('--http-token', token);
  const requested = parseBindAddress('--http', http);
  const { fix, naming, asGiven } = fixedPaths();
  const told = (line: string) => log(asGiven(line));
  const folders = runs.map(fix);
  const metrics = createMetrics();
  const models = await naming(() => openModels(folders, { metrics, log: told }));
  const most = connectionLimit(MOST_CONNECTIONS);
  const { onRequest, port, close } = await listen(requested, { receive: RECEIVE_MS, most }).catch((error) => {
    models.close();
    throw listenError('--http', requested, error);
  });
  const bound = { ...requested, port };
  let isClosing = false;
  onRequest(await createApp({ models, metrics, bound, token, isClosing: () => isClosing, log: told }));
  if (token === null && !isLoopback(requested.host))
    told(
      `dpmesh: warning: --http ${http} is open to other machines, and without --http-token all of them may use the models`,
    );
  if (watch) models.watch();
  const url = urlOf(bound);
  return {
    url,
    models: models.list().map(({ name, run }) => ({
      ...{ name, run: asGiven(run) },
      url: `${url}v2/models/${encodeURIComponent(name)}`,
    })),
    async close() {
      isClosing = true;
      await close(CLOSE_MS);
      models.close();
    },
  };
}
