import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/user-error.ts';
import { type History, isOver, type Message, type RunInfo, type Status } from '../view/api.ts';
import type { TimedEvent } from '../view/events.ts';
import { jsonOf, messagesOf, understood } from './answers.ts';
import { createDisplay, type Display } from './progress.ts';

/**
 * The time for an answer, all of it; of the stream, for its beginning. Reconnecting ends with an error if the run has not
 * answered for this long, ms.
 */
const TIMEOUT_MS = 30_000;
const RETRY_MS = 500;
/** Events of one millisecond that are remembered. */
const MOST_AT_ONCE = 10_000;

/** What has been shown; after reconnecting, the coordinator sends it again. */
interface Shown {
  /** The last epoch. */
  epoch: number;
  /** The time of the last event. */
  time: string;
  /** All events of that millisecond, as JSON. */
  events: Set<string>;
}

/** Aborts what `request` does if it takes longer than so many ms. */
async function within<T>(ms: number, request: (timeout: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), ms);
  try {
    return await request(timeout.signal);
  } finally {
    clearTimeout(timer);
  }
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
  const shown: Shown = { epoch: 0, time: '', events: new Set() };
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
  const missed = events.filter(({ time }) => time >= shown.time);
  let next = 0;
  const epochsUntil = (last: number) => {
    for (; next < epochs.epoch.length && epochs.epoch[next] <= last; next++)
      show(
        display,
        {
          type: 'epoch',
          epoch: epochs.epoch[next],
          time: epochs.time[next],
          k: epochs.k[next],
          loss: epochs.loss[next],
          subLoss: epochs.subLoss[next],
        },
        shown,
      );
  };
  for (const event of missed) {
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
    display.epoch(message);
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
