import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/user-error.ts';
import { type History, isOver, type Message, type RunInfo, type Status } from '../view/api.ts';
import type { TimedEvent } from '../view/events.ts';
import { jsonOf, messagesOf, understood } from './answers.ts';
import { createDisplay, type Display } from './progress.ts';

/** Without an answer for this long, the run is given up, ms. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 500;
/** Events of one millisecond that are remembered. */
const MOST_AT_ONCE = 10_000;

interface Seen {
  /** The last epoch that was shown. */
  epoch: number;
  /** When the last event was, and all of that millisecond: after a new connection they come again. */
  time: string;
  events: Set<string>;
}

/**
 * Shows a run by its HTTP port until it is over; comes back when the connection is lost. Returns how it ended.
 * UserError where nobody answers, or the token is wrong.
 */
export async function follow(
  url: URL,
  token: string | undefined,
  stream: NodeJS.WriteStream = process.stderr,
): Promise<Status> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const get = async (path: string, signal?: AbortSignal) => {
    const response = await fetch(new URL(path, url), { headers, signal });
    if (response.status === 401) throw new UserError(`${url.href}: the token is wrong (--token)`);
    if (!response.ok) throw new UserError(`${url.href} answers ${response.status}: is it a run of dpmesh?`);
    return response;
  };
  const seen: Seen = { epoch: 0, time: '', events: new Set() };
  let display: Display | null = null;
  let answered: number | null = null;
  for (;;) {
    const leaving = new AbortController();
    try {
      // The stream first: what happens between the two answers comes in both.
      const events = await get('/api/stream', leaving.signal);
      const run = await jsonOf<RunInfo>(await get('/api/run'));
      const history = await jsonOf<History>(await get('/api/history'));
      answered = performance.now();
      const on = (display ??= understood(url.href, () => createDisplay(run.config.maxEpochs, stream)));
      understood(url.href, () => {
        catchUp(on, history, seen);
        on.present(run.workers);
      });
      if (isOver(run.status)) return run.status;
      for await (const message of messagesOf(events)) {
        answered = performance.now();
        if (message.type === 'status' && isOver(message.status)) return message.status;
        understood(url.href, () => show(on, message, seen));
      }
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (answered === null) throw new UserError(`${url.href} does not answer: is the run under way?`);
      if (performance.now() - answered > PATIENCE_MS)
        throw new UserError(`${url.href} has not answered for ${PATIENCE_MS / 1000} s: the run may be over`);
    } finally {
      leaving.abort();
      display?.end();
    }
    await sleep(RETRY_MS);
  }
}

/** What was missed, in its order. */
function catchUp(display: Display, { epochs, events }: History, seen: Seen): void {
  const missed = events.filter(({ time }) => time >= seen.time);
  let at = 0;
  const epochsUntil = (last: number) => {
    for (; at < epochs.epoch.length && epochs.epoch[at] <= last; at++)
      show(
        display,
        {
          type: 'epoch',
          epoch: epochs.epoch[at],
          time: epochs.time[at],
          k: epochs.k[at],
          loss: epochs.loss[at],
          subLoss: epochs.subLoss[at],
        },
        seen,
      );
  };
  for (const event of missed) {
    if (event.type === 'step' || event.type === 'end') epochsUntil(event.epoch);
    show(display, { type: 'event', event }, seen);
  }
  epochsUntil(Number.POSITIVE_INFINITY);
}

function show(display: Display, message: Message, seen: Seen): void {
  if (message.type === 'event' && isNew(message.event, seen)) {
    if (message.event.type === 'resume') seen.epoch = message.event.epoch;
    display.event(message.event);
  }
  if (message.type === 'epoch' && message.epoch > seen.epoch) {
    seen.epoch = message.epoch;
    display.epoch(message);
  }
  if (message.type === 'status' && message.status === 'paused') display.line('paused');
}

function isNew(event: TimedEvent, seen: Seen): boolean {
  const text = JSON.stringify(event);
  if (event.time < seen.time || seen.events.has(text)) return false;
  if (event.time > seen.time || seen.events.size >= MOST_AT_ONCE) seen.events.clear();
  seen.time = event.time;
  seen.events.add(text);
  return true;
}
