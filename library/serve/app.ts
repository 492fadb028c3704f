import type { RequestListener } from 'node:http';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { BindAddress } from '../../base/address.ts';
import {
  hasToken,
  isOwnHost,
  isRead,
  isSameOrigin,
  NO_COMPILERS,
  SECURITY_HEADERS,
} from '../../base/http.ts';
import { dpmeshVersion } from '../../base/package.ts';
import { oneLine } from '../../base/text.ts';
import { createBudget, readBody, refusal } from './bodies.ts';
import type { ServeMetrics } from './metrics.ts';
import type { Model } from './model.ts';
import type { Models } from './models.ts';
import { OUTPUTS, readRequest, writeResponse } from './protocol.ts';

/** The routes of the Open Inference Protocol, version 2, over HTTP. */

/** Bytes of all requests that are being answered, with their answers. */
const MOST_HELD = 512 << 20;
/** For those who come when there is no room, s. */
const RETRY_AFTER = 1;
/** That a name of a folder may have when it is part of an address. */
const NAME_CHARACTERS = 1024;
/** The header that says how long the JSON is before binary data. */
const JSON_LENGTH = 'inference-header-content-length';

export interface AppOptions {
  models: Models;
  metrics: ServeMetrics;
  bound: BindAddress;
  /** Needed for all but metrics and health; null: none. */
  token: string | null;
  /** New requests should go elsewhere. */
  isClosing(): boolean;
  log(line: string): void;
}

/** What an error is answered with: one line, also where it quotes what was asked. */
const problem = (message: string) => ({ error: oneLine(message) });

type ModelRequest = FastifyRequest<{ Params: { name: string; version?: string } }>;

export async function createApp({
  models,
  metrics,
  bound,
  token,
  isClosing,
  log,
}: AppOptions): Promise<RequestListener> {
  const app = fastify({
    logger: false,
    routerOptions: { maxParamLength: NAME_CHARACTERS },
    frameworkErrors: (_error, _request, reply: FastifyReply) =>
      reply.headers(SECURITY_HEADERS).code(400).send(problem('the address is malformed')),
    schemaController: { compilersFactory: NO_COMPILERS as never },
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...SECURITY_HEADERS, 'cache-control': 'no-cache' });
    const { authorization, host } = request.headers;
    const isTrusted = token !== null && hasToken(authorization, token);
    if (!isTrusted && !isOwnHost(host, bound))
      throw refusal(421, 'the Host header does not name this server: use its address, or send its token');
    if (!isRead(request) && !isSameOrigin(request.raw))
      throw refusal(403, 'pages of other origins may not do this: serve the page from the same address');
    const isOpen = /^\/(metrics|v2\/health\/)/.test(request.routeOptions.url ?? '');
    if (token === null || isTrusted || (isOpen && isRead(request))) return;
    reply.header('www-authenticate', 'Bearer');
    throw refusal(401, 'the token is missing or wrong: send the header Authorization: Bearer TOKEN');
  });
  // Some clients look for an answer only when they have sent all, which a connection that ended with the answer would not let them.
  app.addHook('onSend', async ({ raw }, { raw: response }) => {
    const endsConnection = !response.shouldKeepAlive || response.hasHeader('connection');
    if (!endsConnection || raw.complete || raw.destroyed) return;
    raw.resume();
    await new Promise((resolve) => raw.once('close', resolve));
  });
  // Bodies are read where they are needed.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const { statusCode = 500, message } = error;
    if (statusCode === 503) reply.header('retry-after', RETRY_AFTER);
    if (statusCode < 500 || statusCode === 503) return reply.code(statusCode).send(problem(message));
    log(`dpmesh: warning: a request failed: ${message}`);
    return reply.code(500).send(problem('the server could not answer this request: try it again'));
  });
  app.setNotFoundHandler(({ method, url }, reply) =>
    reply
      .code(404)
      .send(problem(`there is no ${method} ${url.slice(0, NAME_CHARACTERS)}: see docs/serve.md`)),
  );

  app.get('/v2', async () => ({
    name: 'dpmesh',
    version: dpmeshVersion(),
    extensions: ['binary_tensor_data'],
  }));
  app.get('/v2/health/live', async () => ({ live: true }));
  app.get('/v2/health/ready', async (_request, reply) =>
    reply.code(isClosing() ? 503 : 200).send({ ready: !isClosing() }),
  );
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );

  /** UserError if there is no such model, or none of this version. */
  function modelOf({ params: { name, version } }: ModelRequest): Model {
    const model = models.get(name);
    if (!model) {
      const names = models.list().map((one) => one.name);
      throw refusal(404, `there is no model ${name}: ask for ${names.join(', ')}`);
    }
    if (version !== undefined && version !== model.version)
      throw refusal(404, `${name} has the version ${model.version}, not ${version}: leave the version out`);
    return model;
  }

  /** The labels that are asked for. `take`: of memory. */
  async function answerTo(request: ModelRequest, reply: FastifyReply, take: (bytes: number) => void) {
    modelOf(request);
    const jsonLength = jsonLengthOf(request);
    const body = await readBody(request.raw, take);
    try {
      const startTime = performance.now();
      // The newest one, also if it came while the body was read.
      const model = modelOf(request);
      const { name } = request.params;
      const answer = await model.use(async () => {
        const asked = await readRequest(body, jsonLength, model.signature, take);
        const outputs = await model.infer(asked, () => reply.raw.destroyed);
        const { id, rows } = asked;
        return writeResponse({ model: name, version: model.version, id, rows, outputs });
      });
      metrics.of(name).took((performance.now() - startTime) / 1000);
      return answer;
    } finally {
      body.free();
    }
  }
  const budget = createBudget(MOST_HELD);
  for (const path of ['/v2/models/:name', '/v2/models/:name/versions/:version']) {
    app.get(path, async (request: ModelRequest) => metadataOf(request.params.name, modelOf(request)));
    app.get(`${path}/ready`, async (request: ModelRequest, reply) => {
      modelOf(request);
      return reply.code(isClosing() ? 503 : 200).send({ name: request.params.name, ready: !isClosing() });
    });
    app.post(`${path}/infer`, async (request: ModelRequest, reply) => {
      const { name } = request.params;
      const held = budget.open();
      const isKnown = models.get(name) !== undefined;
      reply.raw.once('close', () => {
        held.gone();
        const { writableFinished, statusCode } = reply.raw;
        metrics.of(isKnown ? name : '').answered(writableFinished ? statusCode : 499);
      });
      const answer = await answerTo(request, reply, held.take)
        .catch((error) => {
          // What it says is short, and may have to wait for the rest of the request.
          held.gone();
          throw error;
        })
        .finally(held.done);
      if (answer.jsonLength === null) return reply.type('application/json').send(answer.body);
      return reply.type('application/octet-stream').header(JSON_LENGTH, answer.jsonLength).send(answer.body);
    });
  }
  await app.ready();
  return app.routing;
}

/** What a client has to know of a model. */
function metadataOf(name: string, { version, signature, names, ids }: Model) {
  const { columns, k, outputs } = signature;
  return {
    ...{ name, versions: [version], platform: 'dpmesh' },
    inputs: [{ name: 'rows', datatype: 'FP32', shape: [-1, columns] }],
    outputs: outputs.map((output) => ({
      name: output,
      datatype: OUTPUTS[output].datatype,
      shape: output === 'probabilities' ? [-1, k] : [-1],
    })),
    parameters: { ...(names && { columns: names }), labels: ids },
  };
}

function jsonLengthOf({ headers }: FastifyRequest): number | null {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw refusal(415, `the body has the encoding ${encoding}: send it as it is`);
  const text = headers[JSON_LENGTH];
  if (text === undefined) return null;
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text))
    throw refusal(400, 'the header Inference-Header-Content-Length must be a number of bytes');
  return Number(text);
}
