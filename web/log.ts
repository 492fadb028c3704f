import type { EndReason } from '../model/schedule.ts';
import type { TimedEvent } from '../view/events.ts';
import { certaintyText } from '../view/summary.ts';
import { count, counted, duration, likelihoodText, logRatioText, timeOfDay } from '../view/text.ts';
import { byId, make, setText } from './dom.ts';

/** A line of the event log in words. */
export interface LogEntry {
  time: string;
  kind: 'grow' | 'shrink' | 'quiet' | 'worker' | 'bad' | 'mark';
  epoch: number | null;
  text: string;
  /** The lines that this one stands for, oldest first. */
  within?: LogEntry[];
}

/** Consecutive rejected proposals of one step. */
interface RejectedProposals {
  type: string;
  epoch: number | null;
  count: number;
  bestLogRatio: number | null;
  /** Why the best was rejected, if not for its ratio. */
  reason: string | undefined;
  entry: LogEntry;
}

/** Entries for the events, oldest first. All rejected proposals of one step share an entry, and all checkpoints one: at the newest. */
export function logEntries(events: readonly TimedEvent[]): LogEntry[] {
  const entries: LogEntry[] = [];
  const checkpoints: LogEntry[] = [];
  const likelihood = events.findLast((event) => event.type === 'likelihood');
  const measure = likelihood?.likelihood === 'graph' ? 'gain' : 'log-ratio';
  let rejected: RejectedProposals | null = null;
  for (const event of events) {
    // Those of an encoder come before all others.
    const epoch = 'epoch' in event && event.type !== 'encoder-epoch' ? event.epoch : null;
    if ((event.type === 'split' || event.type === 'merge') && !event.accepted) {
      if (!rejected || rejected.type !== event.type || rejected.epoch !== epoch) {
        const entry: LogEntry = { time: event.time, kind: 'quiet', epoch, text: '' };
        rejected = { type: event.type, epoch, count: 0, bestLogRatio: null, reason: undefined, entry };
        entries.push(entry);
      }
      rejected.count++;
      const { logRatio, reason } = event;
      if (typeof logRatio === 'number' && logRatio > (rejected.bestLogRatio ?? -Infinity))
        Object.assign(rejected, { bestLogRatio: logRatio, reason });
      const best =
        rejected.bestLogRatio === null ? '' : `, best ${measure} ${logRatioText(rejected.bestLogRatio)}`;
      const why = rejected.reason ? ` (${rejected.reason})` : '';
      rejected.entry.text = `${rejected.count} ${event.type}${rejected.count > 1 ? 's' : ''} rejected${best}${why}`;
      continue;
    }
    const description = describe(event, measure);
    if (description) entries.push({ time: event.time, epoch, ...description });
    if (event.type === 'checkpoint') checkpoints.push(entries.at(-1)!);
  }
  const newest = checkpoints.at(-1);
  if (checkpoints.length < 2 || !newest) return entries;
  const all = `${counted(checkpoints.length, 'checkpoint')}, the newest of ${newest.text.replace('Checkpoint: ', '')}`;
  const shared = { ...newest, text: all, within: checkpoints };
  const own = new Set(checkpoints.slice(0, -1));
  return entries.filter((entry) => !own.has(entry)).map((entry) => (entry === newest ? shared : entry));
}

/** Why training ended. */
const ENDS: Record<EndReason, string> = {
  settled: 'splits and merges have settled',
  'max-epochs': 'the last epoch was reached',
  asked: 'it was asked to finish',
};

type EventDescription = Pick<LogEntry, 'kind' | 'text'>;
type ProposalEvent = Extract<TimedEvent, { type: 'split' | 'merge' }>;

/** `measure`: what a proposal is judged by. */
function describe(event: TimedEvent, measure: string): EventDescription | null {
  switch (event.type) {
    case 'start':
      return milestone(
        `Data read: ${count(event.rows)} rows × ${event.dim} columns; training on ${count(event.sample)} rows; ${counted(event.shards, 'shard')}`,
      );
    case 'likelihood': {
      const text = likelihoodText(event.likelihood, event.why);
      return milestone(text[0].toUpperCase() + text.slice(1));
    }
    case 'resolutions':
      return event.chosen === null
        ? null
        : milestone(`Resolution ${event.chosen.toPrecision(3)} of ${event.points.length} that were tried`);
    case 'encoder-epoch':
      return {
        kind: 'quiet',
        text: `Encoder: pass ${event.epoch} of ${event.of}, error ${(100 * event.loss).toPrecision(3)} % of the variance, ${duration(event.wall)}`,
      };
    case 'alternation':
      return milestone(
        `K ${event.k}: alternation ${event.alternation} of ${event.of}, the encoder learns from these clusters${event.agreement === null ? '' : ` (agreement with those before ${event.agreement.toFixed(2)})`}`,
      );
    case 'worker':
      return {
        kind: 'worker',
        text: `Worker ${event.worker} joined: ${event.name || `pid ${event.pid}`} on ${event.host}, ${event.identity}`,
      };
    case 'worker-gone':
      return {
        kind: 'bad',
        text: `Worker ${event.worker}${event.host ? ` on ${event.host}` : ''} left: ${event.reason}`,
      };
    case 'warning':
      return { kind: 'bad', text: event.message };
    case 'split':
      return { kind: 'grow', text: `Cluster ${event.clusters[0]} split: ${rowsText(event, measure)}` };
    case 'merge':
      return {
        kind: 'shrink',
        text: `Clusters ${event.clusters.join(' and ')} merged: ${rowsText(event, measure)}`,
      };
    case 'step':
      return describeStep(event);
    case 'resume':
      return milestone(`Resumed ${event.from ? 'from a checkpoint' : 'from the start'} with K ${event.k}`);
    case 'checkpoint':
      return {
        kind: 'quiet',
        text: `Checkpoint: ${sizeText(event.bytes)} in ${duration(event.seconds)}`,
      };
    case 'checkpoint-failed':
      return { kind: 'bad', text: `A checkpoint could not be written: ${event.reason}` };
    case 'end':
      return milestone(`Training ended with K ${event.k}: ${ENDS[event.reason]}`);
    case 'replicate':
      return event.k === null
        ? null
        : { kind: 'quiet', text: `Replicate ${event.replicate} of ${event.of}: K ${event.k}` };
    case 'done': {
      const details = [
        ...[certaintyText(event)].filter(Boolean),
        ...(event.outliers ? [counted(event.outliers, 'outlier')] : []),
      ];
      return milestone(
        `Done: K ${event.k}${details.length ? ` (${details.join('; ')})` : ''}, results written`,
      );
    }
    case 'epoch':
      return null;
    default:
      return { kind: 'quiet', text: (event as TimedEvent).type };
  }
}

function rowsText({ points, logRatio }: ProposalEvent, measure: string): string {
  const ratio = typeof logRatio === 'number' ? `, ${measure} ${logRatioText(logRatio)}` : '';
  return `${points.map(count).join(' + ')} rows${ratio}`;
}

function describeStep({ kind, changed, k }: Extract<TimedEvent, { type: 'step' }>): EventDescription | null {
  if (!changed) return null;
  const change = Math.abs(changed);
  return kind === 'merge'
    ? { kind: 'shrink', text: `Merge step: K ${k + change} → ${k}` }
    : { kind: 'grow', text: `Split step: K ${k - change} → ${k}` };
}

const milestone = (text: string): EventDescription => ({ kind: 'mark', text });

function sizeText(bytes: number): string {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

const SYMBOLS: Record<LogEntry['kind'], string> = {
  grow: '▲',
  shrink: '▼',
  quiet: '',
  worker: '＋',
  bad: '!',
  mark: '●',
};
const PAGE_SIZE = 150;

/** The list of events, newest first. */
export function logList(): { draw(events: readonly TimedEvent[]): void } {
  const list = byId('log');
  const more = byId<HTMLButtonElement>('log-more');
  let limit = PAGE_SIZE;
  let entries: LogEntry[] = [];
  let items = new Map<string, HTMLLIElement>();
  more.onclick = () => {
    limit += 10 * PAGE_SIZE;
    render();
  };

  /** Keeps the items that are in the list already, and so the scroll position. */
  function render() {
    const before = items;
    items = new Map();
    for (const entry of entries.slice(-limit).reverse()) {
      let key = entry.within ? 'group' : entry.time + entry.text;
      while (items.has(key)) key += '+';
      const known = before.get(key);
      items.set(key, entry.within ? groupItem(entry, known) : (known ?? item(entry)));
    }
    let at = list.firstChild;
    for (const wanted of items.values()) {
      if (wanted === at) at = at.nextSibling;
      else list.insertBefore(wanted, at);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    more.hidden = entries.length <= limit;
    setText(byId('log-count'), entries.length ? count(entries.length) : '');
  }

  return {
    draw(events) {
      entries = logEntries(events);
      render();
    },
  };
}

function item({ time, kind, text, epoch }: LogEntry, message: string | Node = text): HTMLLIElement {
  const symbol = make('span', 'sign', SYMBOLS[kind]);
  symbol.setAttribute('aria-hidden', 'true');
  const timeElement = make('time', '', timeOfDay(time));
  timeElement.dateTime = time;
  return make(
    'li',
    `kind-${kind}`,
    timeElement,
    symbol,
    make('span', 'message', message),
    make('span', 'epoch', epoch ? `epoch ${count(epoch)}` : ''),
  );
}

/** A line that opens to those that it stands for; it stays as open, and as focused, as it was. */
function groupItem(entry: LogEntry, before: HTMLLIElement | undefined): HTMLLIElement {
  const shown = before?.querySelector('summary');
  if (before && shown?.textContent === entry.text) return before;
  const summary = make('summary', '', entry.text);
  const details = make(
    'details',
    '',
    summary,
    make('ol', '', ...entry.within!.toReversed().map((one) => item(one))),
  );
  details.open = before?.querySelector('details')?.open ?? false;
  const made = item(entry, details);
  if (before) {
    const isFocused = document.activeElement === shown;
    before.replaceWith(made);
    if (isFocused) summary.focus();
  }
  return made;
}
