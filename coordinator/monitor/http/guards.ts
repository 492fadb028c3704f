import type { IncomingMessage, ServerResponse } from 'node:http';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { BindAddress } from '../../../base/address.ts';
import { hasToken, isOwnHost, isSameOrigin, SECURITY_HEADERS } from '../../../base/http.ts';
import { UserError } from '../../../base/user-error.ts';

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

type Problem = { statusCode?: number; message: string };

const NO_COMPILERS = { buildValidator: () => () => () => true, buildSerializer: () => () => JSON.stringify };

export const isRead = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD';

/** A server of pages without any routes yet: access control, request bodies and errors. `token`: needed for all but reading. */
export function createGuardedApp({
  bound,
  token,
}: {
  bound: BindAddress;
  token: string | null;
}): FastifyInstance {
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
    const trusted = token !== null && hasToken(authorization, token);
    if (!trusted && !isOwnHost(host, bound))
      return reply.code(421).type('text/plain').send('the Host header does not name this server\n');
    if (token !== null && authorization !== undefined && !trusted) return unauthorized(reply);
    if (isRead(request)) return;
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

function unauthorized(reply: FastifyReply) {
  return reply
    .code(401)
    .header('www-authenticate', 'Bearer')
    .send({ error: 'the token is missing or wrong' });
}
