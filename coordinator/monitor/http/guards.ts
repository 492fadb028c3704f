import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { BindAddress } from '../../../base/address.ts';
import { hasToken, isOwnHost, isSameOrigin, SECURITY_HEADERS } from '../../../base/http.ts';
import { UserError } from '../../../base/user-error.ts';
import { plainPage, send } from './pages.ts';

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

type Problem = { statusCode?: number; message: string };

const NO_COMPILERS = { buildValidator: () => () => () => true, buildSerializer: () => () => JSON.stringify };

export const isRead = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD';

/**
 * A server of pages without any routes yet: access control, request bodies and errors. `token`: needed for the page, its data and
 * controls, but not for metrics and health; in the address of the page once, then in a cookie.
 */
export function createGuardedApp({
  bound,
  token,
}: {
  bound: BindAddress;
  token: string | null;
}): FastifyInstance {
  // Not the token itself: browsers send it to other ports of the host as well.
  const [cookie, session] = [`dpmesh-${bound.port}`, randomBytes(16).toString('hex')];
  const app = fastify({
    logger: false,
    bodyLimit: 1 << 10,
    exposeHeadRoutes: true,
    // For malformed URLs, which no hook sees.
    frameworkErrors: (_error, _request, reply: FastifyReply) =>
      reply.headers(SECURITY_HEADERS).code(400).type('text/plain').send('malformed URL\n'),
    // No route has a schema, and loading the schema compilers would double the start-up time.
    schemaController: { compilersFactory: NO_COMPILERS as never },
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...SECURITY_HEADERS, 'cache-control': 'no-cache' });
    const { authorization, host } = request.headers;
    // Not the address, which may be written in many ways.
    const route = request.routeOptions.url;
    const isPage = route === '/' && isRead(request);
    const given = isPage ? new URLSearchParams(request.url.split('?')[1]).get('token') : null;
    const opened = token !== null && given !== null && hasToken(`Bearer ${given}`, token);
    const trusted =
      token !== null &&
      (opened || hasToken(authorization, token) || hasCookie(request.headers.cookie, cookie, session));
    if (!trusted && !isOwnHost(host, bound))
      return reply.code(421).type('text/plain').send('the Host header does not name this server\n');
    if (token !== null && authorization !== undefined && !trusted) return unauthorized(reply);
    if (opened && isOwnHost(host, bound))
      return (
        reply
          // Not Strict: where a page of another site (a log, a notebook) has the link, the redirect would lack it.
          .header('set-cookie', `${cookie}=${session}; HttpOnly; SameSite=Lax; Path=/`)
          .redirect('/')
      );
    if (isPage && token !== null && !trusted)
      return send(
        reply,
        plainPage('Token needed', 'Open this page with ?token= and the token of the run (--http-token).'),
        401,
      );
    if (isRead(request) && (token === null || trusted || !route?.startsWith('/api/'))) return;
    if (isRead(request)) return unauthorized(reply);
    if (!isSameOrigin(request))
      return reply.code(403).send({ error: 'pages of other origins may not do this' });
    if (token !== null && !trusted) return unauthorized(reply);
  });
  // Requests are fully determined by their path: bodies are ignored.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, body, done) => {
    body.resume();
    done(null);
  });
  app.setErrorHandler((error, _request, reply) => {
    const { statusCode = error instanceof UserError ? 409 : 500, message } = error as Problem;
    return reply.code(statusCode).send({ error: statusCode < 500 ? message : 'internal error' });
  });
  return app;
}

const hasCookie = (header: string | undefined, name: string, value: string) =>
  header?.split(/; */).some((one) => hasToken(`Bearer ${one}`, `${name}=${value}`)) ?? false;

function unauthorized(reply: FastifyReply) {
  return reply
    .code(401)
    .header('www-authenticate', 'Bearer')
    .send({ error: 'the token is missing or wrong' });
}
