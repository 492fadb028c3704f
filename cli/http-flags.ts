import type { Options } from 'yargs';
import { UserError } from '../base/user-error.ts';
import type { HttpOptions } from '../coordinator/monitor/http/open.ts';

const GROUP = 'Watching the run:';

/** Where Prometheus looks for it by default. */
const DEFAULT = { host: '127.0.0.1', port: 9464 };

/** Flags of the page and the metrics of a run. */
export const httpOptions = {
  http: {
    type: 'string',
    group: GROUP,
    requiresArg: true,
    describe: 'HOST:PORT of the live page and the metrics; --no-http: none',
    defaultDescription: `${DEFAULT.host}:${DEFAULT.port}, or a free port`,
  },
  'http-token': {
    type: 'string',
    group: GROUP,
    requiresArg: true,
    describe: 'whoever pauses or stops the run by HTTP must have it; needed off loopback',
    defaultDescription: 'DPMESH_HTTP_TOKEN, or none',
  },
  linger: {
    type: 'number',
    group: GROUP,
    requiresArg: true,
    default: 0,
    describe: 'seconds for which page and metrics stay when the run is over',
  },
} as const satisfies Record<string, Options>;

export interface HttpChoice {
  /** Null: no port. */
  http: HttpOptions | null;
  /** Seconds. */
  linger: number;
}

/** What the flags say. UserError for an address that is none, or that others reach without a token. */
export async function httpChoice(args: Record<string, unknown>): Promise<HttpChoice> {
  const linger = args.linger as number;
  if (!(linger >= 0 && linger <= 1e6))
    throw new UserError(`--linger ${linger} must be a number of seconds, at least 0`);
  const asked = args.http as string | false | undefined;
  const given = args.httpToken ?? process.env.DPMESH_HTTP_TOKEN;
  if (asked === false) return { http: null, linger };
  const token = given === undefined ? null : String(given);
  if (token !== null && !/^[\x21-\x7e]+$/.test(token))
    throw new UserError('--http-token must be letters, digits and signs, without spaces');
  const { parseBound } = await import('../base/http.ts');
  const { isLoopback } = await import('../base/loopback.ts');
  const bound = asked === undefined ? DEFAULT : parseBound('--http', asked);
  if (token === null && !isLoopback(bound.host))
    throw new UserError(
      `--http ${asked} can be reached from other machines, which could stop the run; set --http-token TOKEN (or DPMESH_HTTP_TOKEN), or bind 127.0.0.1`,
    );
  return { http: { ...bound, explicit: asked !== undefined, token }, linger };
}
