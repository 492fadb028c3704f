import { createHash } from 'node:crypto';
import { appendFileSync, existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import pRetry, { AbortError } from 'p-retry';
import * as z from 'zod/mini';
import { assertSecret } from '../../base/address.ts';
import { attempted, readWhole } from '../../base/files.ts';
import { MOST_LIST_BYTES } from '../../base/limits.ts';
import { list } from '../../base/schema.ts';
import { oneLine, withoutEnd } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import {
  type ChatMessage,
  MOST_ANSWER,
  type NamedNode,
  nameIn,
  namingMessages,
} from '../../model/description/naming-prompt.ts';
import type { Join } from '../../model/hierarchy/dendrogram.ts';

/**
 * Names of clusters by a language model, over the HTTP interface that OpenAI, llama.cpp, Ollama and vLLM share: layer by layer, clusters
 * first and joins after what they join. All that is sent is kept in the run, with the answers, which are not asked for again.
 */

/** The file in a run directory: questions and answers, one a line. */
export const NAMING_LOG = 'names.jsonl';

/** Questions on their way at once, attempts of each, and the time for one, ms. */
const [AT_ONCE, ATTEMPTS, ANSWER_MS] = [4, 3, 60_000];
/** The longest wait that an endpoint may ask for between two attempts, ms. */
const MOST_WAIT_MS = 30_000;
/** Bytes of an answer. */
const MOST_BYTES = 1 << 20;
/** Nodes in a row without an answer after which the endpoint is given up. */
const MOST_SILENT = 3;

/** Who is asked. */
export interface Endpoint {
  /** The address that questions are posted to. */
  readonly url: string;
  readonly model: string;
  /** Sent as a bearer token; null: none. */
  readonly key: string | null;
}

/**
 * The endpoint at a base address such as `http://localhost:11434/v1`. UserError if the address is none of HTTP, or a key would be sent
 * unencrypted to another machine.
 */
export function endpointAt(base: string, model: string, key: string | null): Endpoint {
  const flag = `--name-with ${oneLine(base)}`;
  if (!URL.canParse(base))
    throw new UserError(`${flag} is no address: give one such as http://localhost:11434/v1`);
  const url = new URL(base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new UserError(`${flag} is no address of HTTP: give one such as http://localhost:11434/v1`);
  if (url.username || url.password)
    throw new UserError(
      '--name-with has a password in it, which would be kept in the run: set OPENAI_API_KEY instead',
    );
  if (key !== null && url.protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname))
    throw new UserError(
      `${flag}: OPENAI_API_KEY would be sent unencrypted to another machine; use https, or unset it for an endpoint without a key`,
    );
  // An error of `fetch` would have it.
  if (key !== null) assertSecret('OPENAI_API_KEY', key);
  const path = withoutEnd(url.pathname, /\//);
  url.pathname = path.endsWith('/chat/completions') ? path : `${path || '/v1'}/chat/completions`;
  return { url: url.href, model, key };
}

/** What there is to name: K clusters and the joins above them, join j as node K + j. */
export interface NamingRequest {
  clusters: number;
  joins: readonly Pick<Join, 'a' | 'b'>[];
  /** Is a node left out? */
  skip?(node: number): boolean;
  /** What nodes are called so far: nobody else gets that name. */
  before?: ReadonlyMap<number, string>;
  /** What is known of a node, given the names so far. */
  node(node: number, names: ReadonlyMap<number, string>): NamedNode;
}

export interface NamingEffects {
  /** The path of the log; what it has is not asked again. */
  log: string;
  /** Ends it early: the names so far are the result. */
  signal?: AbortSignal;
  progress?: (done: number, all: number) => void;
  /** How long to wait for an answer, ms. */
  answerMs?: number;
}

export interface NamesByModel {
  /** By node; without those that got no usable answer. */
  names: Map<number, string>;
  /** Questions that were sent, and those whose answer was in the log. */
  asked: number;
  cached: number;
  /** Tokens of questions and answers, as the endpoint counts them. */
  tokens: number;
  /** Why it ended early, for people; null: it did not. */
  problem: string | null;
}

/** Asks for the name of each node. Never rejects because of an endpoint: nodes without an answer are left out. */
export async function namesByModel(
  endpoint: Endpoint,
  { clusters, joins, skip, before: called, node: about }: NamingRequest,
  { log, signal, progress, answerMs = ANSWER_MS }: NamingEffects,
): Promise<NamesByModel> {
  const known = answersIn(log);
  const found: NamesByModel = { names: new Map(), asked: 0, cached: 0, tokens: 0, problem: null };
  const ended = new AbortController();
  const all = AbortSignal.any([ended.signal, ...(signal ? [signal] : [])]);
  const layers = layersOf(clusters, joins).map((layer) => layer.filter((node) => !skip?.(node)));
  const used = new Map([...(called ?? [])].map(([node, name]) => [name.toLowerCase(), node]));
  const isFree = (name: string, node: number) => (used.get(name.toLowerCase()) ?? node) === node;
  const wanted = layers.flat().length;
  let [silent, done] = [0, 0];

  async function answerTo(node: number, messages: ChatMessage[]): Promise<string> {
    const question = hashOf(endpoint.model, messages);
    const before = known.get(question);
    if (before !== undefined) {
      found.cached++;
      return before;
    }
    const { answer, tokens } = await ask(endpoint, messages, {
      signal: all,
      answerMs,
      sent: () => found.asked++,
    });
    found.tokens += tokens;
    // Without the key.
    const { url, model } = endpoint;
    const line = { time: new Date().toISOString(), node, question, url, model, messages, answer, tokens };
    attempted(log, 'written', () => appendFileSync(log, `${JSON.stringify(line)}\n`));
    return answer;
  }

  async function nameOf(node: number): Promise<string | null> {
    const facts = about(node, found.names);
    const taken: string[] = [];
    // Where the answer is the name of another node, it is asked once more.
    for (let attempt = 0; attempt < 2; attempt++) {
      const name = nameIn(await answerTo(node, namingMessages(facts, taken)));
      if (name && isFree(name, node)) return name;
      if (!name) return null;
      taken.push(name);
    }
    return null;
  }

  const name = async (node: number) => {
    if (all.aborted) return;
    try {
      const own = await nameOf(node);
      silent = 0;
      // Another answer may have been faster.
      if (own && isFree(own, node)) {
        used.set(own.toLowerCase(), node);
        found.names.set(node, own);
      }
    } catch (error) {
      if (all.aborted) return;
      if (!(error instanceof EndpointError)) throw error;
      if (!error.isFinal && ++silent < MOST_SILENT) return;
      found.problem ??= error.message;
      ended.abort();
    } finally {
      progress?.(++done, wanted);
    }
  };
  for (const layer of layers) await pMap(layer, name, { concurrency: AT_ONCE });
  return found;
}

const hashOf = (model: string, messages: ChatMessage[]) =>
  createHash('sha256')
    .update(JSON.stringify([model, messages]))
    .digest('hex');

/** Nodes by how many joins are below them. */
function layersOf(clusters: number, joins: readonly Pick<Join, 'a' | 'b'>[]): number[][] {
  const level = Array<number>(clusters).fill(0);
  for (const { a, b } of joins) level.push(1 + Math.max(level[a], level[b]));
  const layers: number[][] = [];
  for (const [node, own] of level.entries()) (layers[own] ??= []).push(node);
  return layers;
}

const logLine = z.object({ question: z.string(), answer: z.string() });

/** By question. A line that was not completed is passed over: it is asked again. */
function answersIn(log: string): Map<string, string> {
  const answers = new Map<string, string>();
  if (!existsSync(log)) return answers;
  for (const line of readWhole(log, MOST_LIST_BYTES).toString().split('\n')) {
    try {
      const { question, answer } = logLine.parse(JSON.parse(line));
      answers.set(question, answer);
    } catch {}
  }
  return answers;
}

/** `isFinal`: it would say the same to any other question. */
class EndpointError extends Error {
  override name = 'EndpointError';
  readonly isFinal: boolean;

  constructor(message: string, isFinal = false) {
    super(message);
    this.isFinal = isFinal;
  }
}

const completion = z.object({
  choices: list(z.object({ message: z.object({ content: z.nullable(z.string()) }) }), z.minLength(1)),
  usage: z.optional(z.nullable(z.object({ total_tokens: z.optional(z.number()) }))),
});

/** EndpointError if there is no answer after all attempts. */
async function ask(
  endpoint: Endpoint,
  messages: ChatMessage[],
  { signal, answerMs, sent }: { signal: AbortSignal; answerMs: number; sent: () => void },
): Promise<{ answer: string; tokens: number }> {
  let wait = 0;
  return pRetry(
    async () => {
      if (wait) await sleep(wait, undefined, { signal });
      sent();
      const { status, text, retryAfter } = await post(endpoint, messages, signal, answerMs);
      wait = Math.min(MOST_WAIT_MS, 1000 * retryAfter);
      const said = oneLine(text.slice(0, 200)).trim();
      if (status === 429 || status >= 500) throw new EndpointError(`the endpoint answers ${status}: ${said}`);
      if (status !== 200)
        throw new AbortError(new EndpointError(`the endpoint answers ${status}: ${said}`, true));
      try {
        const { choices, usage } = completion.parse(JSON.parse(text));
        const answer = choices[0].message.content ?? '';
        // Before it is kept, or read: it would be there the next time too.
        if (answer.length > MOST_ANSWER) throw new RangeError();
        return { answer, tokens: usage?.total_tokens ?? 0 };
      } catch (error) {
        if (error instanceof RangeError)
          throw new EndpointError(`the endpoint’s answer has more than ${MOST_ANSWER} characters: ${said}`);
        throw new EndpointError(`the endpoint’s answer is not one of chat completions: ${said}`);
      }
    },
    { retries: ATTEMPTS - 1, minTimeout: Math.min(500, answerMs), factor: 3, randomize: true, signal },
  );
}

async function post({ url, model, key }: Endpoint, messages: ChatMessage[], signal: AbortSignal, ms: number) {
  const timeout = AbortSignal.timeout(ms);
  const ended = AbortSignal.any([signal, timeout]);
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
      body: JSON.stringify({ model, messages, temperature: 0 }),
      // A key goes nowhere else.
      redirect: 'error',
      signal: ended,
    });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    // The signal again: fetch forgets it where its request is collected as garbage, and a body that stalls would have no end.
    const body = response.body as Parameters<typeof Readable.fromWeb>[0] | null;
    for await (const chunk of body ? Readable.fromWeb(body, { signal: ended }) : []) {
      chunks.push(chunk);
      if ((bytes += chunk.length) > MOST_BYTES) throw new EndpointError('the endpoint’s answer has no end');
    }
    const retryAfter = Number(response.headers.get('retry-after')) || 0;
    return { status: response.status, text: Buffer.concat(chunks).toString(), retryAfter };
  } catch (error) {
    if (signal.aborted || error instanceof EndpointError) throw error;
    const { message, cause } = error as Error & { cause?: Error };
    const why = timeout.aborted ? `no answer in ${ms / 1000} s` : cause?.message || message;
    throw new EndpointError(`${new URL(url).origin}: ${oneLine(why)}`);
  }
}
