import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECURITY_HEADERS } from '../../../base/http.ts';
import { isOver, type Message } from '../../../view/api.ts';
import type { Recorder } from '../recorder.ts';

/** Pages and other clients that follow a run by server-sent events. */
export interface Stream {
  /** Takes over a response. */
  add(response: ServerResponse): void;
  clients(): number;
  /** Sends what waits, and ends all, when they have had the time to fetch what they were told of. */
  close(): Promise<void>;
}

/** Bytes that a client may leave unread before it is dropped: it comes back, and reads the history. */
const MOST_UNREAD = 256 << 10;
const MOST_CLIENTS = 250;
/**
 * Messages of this long go out together, ms, and the longer the more clients there are: a write to a socket costs
 * what an epoch may not pay hundreds of times a second.
 */
const GATHER_MS = 40;
const GATHER_CLIENT_MS = 1;
const STATE_MS = 200;
const WORK_MS = 250;
/** Who is told of a state fetches it by a connection of its own, for which there is this long, ms. */
const FETCH_MS = 150;
/** A comment now and then finds the clients that are gone. */
const BEAT_MS = 15_000;
const RETRY_MS = 1000;

export function createStream(recorder: Recorder, now: () => number = () => performance.now()): Stream {
  const clients = new Set<ServerResponse>();
  let waiting: Message[] = [];
  let newest: Extract<Message, { type: 'state' }> | null = null;
  let stateAt = Number.NEGATIVE_INFINITY;
  let workAt = Number.NEGATIVE_INFINITY;
  let worked = 0;
  let timer: NodeJS.Timeout | null = null;
  let beats: NodeJS.Timeout[] = [];

  function hear(message: Message): void {
    // Only the newest state is of interest.
    if (message.type === 'state') newest = message;
    else waiting.push(message);
    schedule(GATHER_MS + clients.size * GATHER_CLIENT_MS);
  }

  function schedule(ms: number): void {
    timer ??= setTimeout(() => {
      timer = null;
      flush(false);
    }, ms);
  }

  function flush(all: boolean): void {
    const at = now();
    const messages = waiting;
    waiting = [];
    // After the last one there may be no time.
    const ended = messages.some((message) => message.type === 'status' && isOver(message.status));
    if (newest && (all || ended || at - stateAt >= STATE_MS)) {
      messages.push(newest);
      newest = null;
      stateAt = at;
    }
    if (all || at - workAt >= WORK_MS) {
      const { work, next } = recorder.workSince(worked);
      if (work.length) messages.push({ type: 'work', work });
      worked = next;
      workAt = at;
    }
    if (newest) schedule(STATE_MS);
    // One piece of memory for all who have yet to read it.
    if (messages.length)
      send(Buffer.from(messages.map((message) => `data: ${JSON.stringify(message)}\n\n`).join('')));
  }

  function send(bytes: Buffer): void {
    for (const client of clients) {
      if (client.writableLength > MOST_UNREAD) drop(client);
      else client.write(bytes);
    }
  }

  function drop(client: ServerResponse): void {
    client.destroy();
    leave(client);
  }

  function leave(client: ServerResponse): void {
    clients.delete(client);
    if (clients.size) return;
    // Nobody looks: nothing is gathered.
    recorder.listen(null);
    if (timer) clearTimeout(timer);
    for (const each of beats) clearInterval(each);
    [timer, newest] = [null, null];
    [beats, waiting] = [[], []];
  }

  return {
    add(response) {
      if (clients.size >= MOST_CLIENTS) {
        response.writeHead(503, { ...SECURITY_HEADERS, 'retry-after': '10' }).end('too many clients\n');
        return;
      }
      // Ends with its connection: no chunks, each with lines of its own.
      response.useChunkedEncodingByDefault = false;
      response.writeHead(200, {
        ...SECURITY_HEADERS,
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      response.write(`: dpmesh\nretry: ${RETRY_MS}\n\n`);
      response.write(`data: ${JSON.stringify({ type: 'status', status: recorder.status() })}\n\n`);
      response.on('close', () => leave(response));
      response.on('error', () => leave(response));
      if (!clients.size) {
        worked = recorder.workSince(Number.POSITIVE_INFINITY).next;
        recorder.listen(hear);
        beats = [
          // In a long round work is all there is to tell.
          setInterval(() => flush(false), WORK_MS),
          setInterval(() => send(Buffer.from(':\n\n')), BEAT_MS),
        ];
      }
      clients.add(response);
    },
    clients: () => clients.size,
    async close() {
      if (!clients.size) return;
      flush(true);
      await sleep(Math.max(0, FETCH_MS - (now() - stateAt)));
      for (const client of [...clients]) {
        client.end();
        leave(client);
      }
    },
  };
}
