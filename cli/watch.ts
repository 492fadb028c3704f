import { setTimeout as sleep } from 'node:timers/promises';
import { ParseError } from 'eventsource-parser';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { type History, isOver, type Message, type RunInfo, type Status } from '../page/drawing/api.ts';
import { text } from '../run/domains.ts';
import type { TimedEvent } from '../run/events.ts';
import { option } from '../run/option.ts';
import { defineCommand } from './flags.ts';
import { createDisplay, type Display } from './progress.ts';

/** Shows a run in another process, from its HTTP API. */

export const watch = defineCommand({
  command: 'watch <url>',
  describe: 'show the progress of a run in another process or on another machine',
  options: {
    token: option(text(), {
      help: 'the run’s --http-token',
      defaultText: 'DPMESH_HTTP_TOKEN, or none',
    }),
  },
  examples: [
    ['watch 127.0.0.1:9464', 'a run on this machine'],
    ['watch http://HOST:9464 --token TOKEN', 'one elsewhere, with its --http-token'],
  ],
  async handler(args) {
    const { assertSecret } = await import('../base/address.ts');
    const text = String(args.url);
    const full = /^\w+:\/\//.test(text) ? text : `http://${text}`;
    const url = URL.canParse(full) ? new URL(full) : null;
    if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
      throw new UserError(`${text} must look like HOST:PORT or http://HOST:PORT`);
    // What Node.js reads HTTP with.
    (await import('../base/limits.ts')).assertAddressSpace(1);
    const token = args.token ?? process.env.DPMESH_HTTP_TOKEN;
    if (token !== undefined) assertSecret(args.token === undefined ? 'DPMESH_HTTP_TOKEN' : '--token', token);
    const status = await follow(url, token);
    console.error(`the run is ${status}`);
    if (status !== 'done') process.exitCode = NOT_DONE;
  },
});

/** Exit code if the run failed or was stopped. */
const NOT_DONE = 1;

/**
 * The time for an answer, all of it; of the stream, for its beginning. Reconnecting ends with an error if the run has not
 * answered for this long, ms.
 */
const TIMEOUT_MS = 30_000;
const RETRY_MS = 500;
/** Events of one millisecond that are remembered. */
const MOST_AT_ONCE = 10_000;

/** What has been shown, and is sent again after reconnecting: the last epoch; the time of the last event, and all of that millisecond. */
const nothingShown = () => ({ epoch: 0, time: '', events: new Set<string>() });
type Shown = ReturnType<typeof nothingShown>;

/** Aborts what `request` does if it takes longer than so many ms. */
async function within<T>(ms: number, request: (timeout: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), ms);
  return request(timeout.signal).finally(() => clearTimeout(timer));
}

/**
 * Shows the progress of a run until it is over, from its HTTP API; reconnects if the connection is lost. Returns the final
 * status. UserError if nothing answers within `patience` ms or the token is wrong.
 */
export async function follow(
  url: URL,
  token: string | undefined,
  stream: NodeJS.WriteStream = process.stderr,
  patience = TIMEOUT_MS,
): Promise<Status> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const get = async (path: string, signal: AbortSignal) => {
    const response = await fetch(new URL(path, url), { headers, signal });
    if (response.status === 401)
      throw new UserError(`${url.href}: the token is wrong or missing; pass that of the run with --token`);
    if (!response.ok)
      throw new UserError(
        `${url.href} answered with status ${response.status}; check that it is the address of a dpmesh run`,
      );
    return response;
  };
  const read = <T>(path: string) => within(patience, async (timeout) => jsonOf<T>(await get(path, timeout)));
  const shown = nothingShown();
  let display: Display | null = null;
  let answered: number | null = null;
  for (;;) {
    const closing = new AbortController();
    try {
      // The stream is opened first, so that no event is missed; events between the two responses are in both.
      const events = await within(patience, (timeout) =>
        get('/api/stream', AbortSignal.any([closing.signal, timeout])),
      );
      const run = await read<RunInfo>('/api/run');
      const history = await read<History>('/api/history');
      answered = performance.now();
      const on = (display ??= understood(url.href, () => createDisplay(run.config.maxEpochs, stream)));
      understood(url.href, () => {
        catchUp(on, history, shown);
        on.setWorkers(run.workers);
      });
      if (isOver(run.status)) return run.status;
      for await (const message of messagesOf(events)) {
        answered = performance.now();
        if (message.type === 'status' && isOver(message.status)) return message.status;
        understood(url.href, () => show(on, message, shown));
      }
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (answered === null)
        throw new UserError(
          `${url.href} does not answer; check the address, and that the run is in progress`,
        );
      if (performance.now() - answered > patience)
        throw new UserError(`${url.href} has not answered for ${patience / 1000} s; the run may be over`);
    } finally {
      closing.abort();
      display?.end();
    }
    await sleep(RETRY_MS);
  }
}

/** Shows epochs and events that were missed, in order. */
function catchUp(display: Display, { epochs, events }: History, shown: Shown): void {
  let next = 0;
  const epochsUntil = (last: number) => {
    for (; next < epochs.epoch.length && epochs.epoch[next] <= last; next++) {
      const [epoch, time, k] = [epochs.epoch[next], epochs.time[next], epochs.k[next]];
      const [loss, subLoss] = [epochs.loss[next], epochs.subLoss[next]];
      show(display, { type: 'epoch', epoch, time, k, loss, subLoss }, shown);
    }
  };
  for (const event of events.filter(({ time }) => time >= shown.time)) {
    if (event.type === 'step' || event.type === 'end') epochsUntil(event.epoch);
    show(display, { type: 'event', event }, shown);
  }
  epochsUntil(Number.POSITIVE_INFINITY);
}

function show(display: Display, message: Message, shown: Shown): void {
  if (message.type === 'event' && isNew(message.event, shown)) {
    if (message.event.type === 'resume') shown.epoch = message.event.epoch;
    display.event(message.event);
  }
  if (message.type === 'epoch' && message.epoch > shown.epoch) {
    shown.epoch = message.epoch;
    display.epoch(message, message.time);
  }
  if (message.type === 'status' && message.status === 'paused') display.line('paused');
}

function isNew(event: TimedEvent, shown: Shown): boolean {
  const text = JSON.stringify(event);
  if (event.time < shown.time || shown.events.has(text)) return false;
  if (event.time > shown.time || shown.events.size >= MOST_AT_ONCE) shown.events.clear();
  shown.time = event.time;
  shown.events.add(text);
  return true;
}

/** Reading what a server answers that may be no run of ours: within limits, and what is not understood is an error of the user. */

/** Bytes of an answer; the history of a long run has some MiB. */
const MOST_BYTES = 64 << 20;
/** Characters of a message of the stream. */
const MOST_CHARACTERS = 1 << 20;

/** UserError: no run of ours would send this. */
const notARun = (url: string, why: string) =>
  new UserError(`${new URL(url).origin} is no run of dpmesh, or of another version: ${why}`);

/** A JSON answer. Rejects with a UserError where it is too long or no JSON. */
async function jsonOf<T>({ body, url }: Response): Promise<T> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) throw notARun(url, `an answer has more than ${MOST_BYTES >> 20} MiB`);
    chunks.push(chunk);
  }
  return understood(url, () => JSON.parse(Buffer.concat(chunks).toString()));
}

/** The messages of the stream, as they come. Rejects with a UserError where one is too long or no JSON. */
async function* messagesOf({ body, url }: Response): AsyncGenerator<Message> {
  const parser = new EventSourceParserStream({ maxBufferSize: MOST_CHARACTERS });
  try {
    for await (const { data } of body!.pipeThrough(new TextDecoderStream()).pipeThrough(parser))
      yield understood(url, () => {
        const message: Message = JSON.parse(data);
        if (typeof message?.type !== 'string') throw new TypeError('a message without a type');
        return message;
      });
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw notARun(url, `a message has more than ${MOST_CHARACTERS >> 20} MiB`);
  }
}

/** What `read` makes of an answer. UserError where that has not the form that it must have. */
function understood<T>(url: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw notARun(url, `an answer has another form (${oneLine((error as Error).message.slice(0, 80))})`);
  }
}
