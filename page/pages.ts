import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { BindAddress } from '../base/address.ts';
import { hasToken, isOwnHost, isRead, isSameOrigin, NO_COMPILERS, SECURITY_HEADERS } from '../base/http.ts';
import { PAGE_FILES } from '../base/package.ts';
import { UserError } from '../base/user-error.ts';
import { escaped } from './drawing/text.ts';

/** A server of pages: who may have them, and the files of the page. */

type Problem = { statusCode?: number; message: string };

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

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json; charset=utf-8',
};

/** A page or a file of it, ready to send. */
export interface Page {
  type: string;
  body: Buffer;
}

/** Files that have been read: kept once for all clients, as many may be slow to take theirs. */
const files = new Map<string, Page>();

/** Reads a file of the live page by name, without folders; null if it does not exist. */
export async function pageFile(name: string): Promise<Page | null> {
  const type = TYPES[extname(name)];
  if (!type || !/^[a-z0-9][a-z0-9._-]*$/i.test(name)) return null;
  try {
    if (!files.has(name)) {
      const body = await readFile(`${PAGE_FILES}${name}`);
      // Another request may have read it meanwhile.
      if (!files.has(name)) files.set(name, { type, body });
    }
    return files.get(name)!;
  } catch {
    return null;
  }
}

export const htmlPage = (html: string): Page => ({ type: TYPES['.html'], body: Buffer.from(html) });

/** A page with a title and a short text. */
function plainPage(title: string, text: string): Page {
  const head = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title></head>`;
  const body = `<body><main><h1>${escaped(title)}</h1><p>${escaped(text)}</p><p><a href="/">Back</a></p></main></body></html>`;
  return htmlPage(`${head}${body}\n`);
}

export const send = (reply: FastifyReply, { type, body }: Page, code = 200) =>
  reply.code(code).type(type).send(body);

/** The files of the page, below the address of its `index`: a file, or what is made. */
export function addPages(app: FastifyInstance, index: string | (() => Promise<Page>) = 'index.html'): void {
  app.setNotFoundHandler(async (request, reply) => {
    const name = request.url.split('?')[0].slice(app.prefix.length + 1);
    const file = isRead(request) ? await pageFile(name) : null;
    if (file) return send(reply, file);
    return send(reply, plainPage('Not found', 'There is no page at this address.'), 404);
  });
  // With the slash, below which the page finds its files.
  app.get('/', { prefixTrailingSlash: 'slash' }, async (_request, reply) =>
    send(
      reply,
      (await (typeof index === 'string' ? pageFile(index) : index())) ??
        plainPage('dpmesh', 'The live page has not been built; run npm run build. Everything else works.'),
    ),
  );
}
