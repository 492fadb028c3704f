import { counted } from '../../base/quantities.ts';
import type { EndReason } from '../../model/schedule.ts';
import type { TimedEvent } from '../../run/events.ts';
import { lineageText } from '../../run/lineage.ts';
import { certaintyText } from '../../run/summary.ts';
import {
  count,
  duration,
  likelihoodText,
  logRatioText,
  percent,
  threeDigits,
  timeOfDay,
} from '../drawing/text.ts';
import { byId, inOrder, make, setText } from './dom.ts';

/** The list of events in words. It gets lines of events.jsonl, and does not fetch them. */

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
interface Rejected {
  type: string;
  count: number;
  best: Proposal | null;
  entry: LogEntry;
}

/** Entries for the events, oldest first. All rejected proposals of one step share an entry, and all checkpoints one: at the newest. */
export function logEntries(events: readonly TimedEvent[]): LogEntry[] {
  const entries: LogEntry[] = [];
  const checkpoints: LogEntry[] = [];
  const likelihood = events.findLast((event) => event.type === 'likelihood');
  const measure = likelihood?.likelihood === 'graph' ? 'gain' : 'log-ratio';
  let rejected: Rejected | null = null;
  for (const event of events) {
    // Those of an encoder come before all others.
    const epoch = 'epoch' in event && event.type !== 'encoder-epoch' ? event.epoch : null;
    if ((event.type === 'split' || event.type === 'merge') && !event.accepted) {
      if (!rejected || rejected.type !== event.type || rejected.entry.epoch !== epoch) {
        const entry: LogEntry = { time: event.time, kind: 'quiet', epoch, text: '' };
        rejected = { type: event.type, count: 0, best: null, entry };
        entries.push(entry);
      }
      rejected.count++;
      if ((event.logRatio ?? -Infinity) > (rejected.best?.logRatio ?? -Infinity)) rejected.best = event;
      const { count, best } = rejected;
      const ratio = best ? `, best ${measure} ${logRatioText(best.logRatio)}` : '';
      // If not for its ratio.
      const why = best?.reason ? ` (${best.reason})` : '';
      rejected.entry.text = `${counted(count, event.type)} rejected${ratio}${why}`;
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

type Description = Pick<LogEntry, 'kind' | 'text'>;
type Proposal = Extract<TimedEvent, { type: 'split' | 'merge' }>;
const said = (kind: LogEntry['kind'], text: string): Description => ({ kind, text });

/** `measure`: what a proposal is judged by. */
function describe(event: TimedEvent, measure: string): Description | null {
  switch (event.type) {
    case 'start': {
      const { rows, dim, sample, shards } = event;
      const read = `Data read: ${count(rows)} rows × ${dim} columns`;
      return said('mark', `${read}; training on ${count(sample)} rows; ${counted(shards, 'shard')}`);
    }
    case 'likelihood': {
      return said('mark', capitalized(likelihoodText(event.likelihood, event.why)));
    }
    case 'resolutions': {
      const { chosen, points } = event;
      if (chosen === null) return null;
      return said('mark', `Resolution ${chosen.toPrecision(3)} of ${points.length} that were tried`);
    }
    case 'encoder-epoch': {
      const error = `error ${(100 * event.loss).toPrecision(3)} % of the variance`;
      return said('quiet', `Encoder: pass ${event.epoch} of ${event.of}, ${error}, ${duration(event.wall)}`);
    }
    case 'alternation': {
      const { k, alternation, of, agreement } = event;
      const same = agreement === null ? '' : ` (agreement with those before ${agreement.toFixed(2)})`;
      return said(
        'mark',
        `K ${k}: alternation ${alternation} of ${of}, the encoder learns from these clusters${same}`,
      );
    }
    case 'worker': {
      const { worker, name, pid, host, identity } = event;
      return said('worker', `Worker ${worker} joined: ${name || `pid ${pid}`} on ${host}, ${identity}`);
    }
    case 'worker-gone': {
      const where = event.host ? ` on ${event.host}` : '';
      return said('bad', `Worker ${event.worker}${where} left: ${event.reason}`);
    }
    case 'warning':
      return said('bad', event.message);
    case 'split':
      return said('grow', `Cluster ${event.clusters[0]} split: ${rowsText(event, measure)}`);
    case 'merge':
      return said('shrink', `Clusters ${event.clusters.join(' and ')} merged: ${rowsText(event, measure)}`);
    case 'drift': {
      const { update, rows, moved } = event;
      const own =
        'nats' in event
          ? `${threeDigits(event.nats)} nats less likely, ${percent(event.unlike)} unlikely`
          : `${percent(event.missed)} of their length missed, ${percent(event.apart)} apart`;
      const by = `${own}, ${percent(moved)} moved`;
      return said('mark', `Update ${update}: ${count(rows)} new rows compared: ${by}`);
    }
    case 'lineage': {
      const isLess = event.what === 'merged' || event.what === 'gone';
      return said(isLess ? 'shrink' : 'grow', capitalized(lineageText(event)));
    }
    case 'step': {
      const change = Math.abs(event.changed);
      if (!change) return null;
      return event.kind === 'merge'
        ? said('shrink', `Merge step: K ${event.k + change} → ${event.k}`)
        : said('grow', `Split step: K ${event.k - change} → ${event.k}`);
    }
    case 'resume':
      return said('mark', `Resumed ${event.from ? 'from a checkpoint' : 'from the start'} with K ${event.k}`);
    case 'checkpoint':
      return said('quiet', `Checkpoint: ${sizeText(event.bytes)} in ${duration(event.seconds)}`);
    case 'checkpoint-failed':
      return said('bad', `A checkpoint could not be written: ${event.reason}`);
    case 'end':
      return said('mark', `Training ended with K ${event.k}: ${ENDS[event.reason]}`);
    case 'replicate':
      return event.k === null
        ? null
        : said('quiet', `Replicate ${event.replicate} of ${event.of}: K ${event.k}`);
    case 'done': {
      const outliers = event.outliers ? counted(event.outliers, 'outlier') : '';
      const details = [certaintyText(event), outliers].filter(Boolean).join('; ');
      return said('mark', `Done: K ${event.k}${details && ` (${details})`}, results written`);
    }
    case 'epoch':
      return null;
    default:
      return said('quiet', (event as TimedEvent).type);
  }
}

const capitalized = (text: string) => text[0].toUpperCase() + text.slice(1);

function rowsText({ points, logRatio }: Proposal, measure: string): string {
  const ratio = typeof logRatio === 'number' ? `, ${measure} ${logRatioText(logRatio)}` : '';
  return `${points.map(count).join(' + ')} rows${ratio}`;
}

const sizeText = (bytes: number) =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

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
    inOrder(list, [...items.values()]);
    for (const gone of [...list.children].slice(items.size)) gone.remove();
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
  const lines = entry.within!.toReversed().map((one) => item(one));
  const details = make('details', '', summary, make('ol', '', ...lines));
  details.open = before?.querySelector('details')?.open ?? false;
  const made = item(entry, details);
  if (before) {
    const isFocused = document.activeElement === shown;
    before.replaceWith(made);
    if (isFocused) summary.focus();
  }
  return made;
}
