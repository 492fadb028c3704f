import type { TimedEvent } from '../view/events.ts';
import { count, duration, ratio } from './format.ts';

/** A line of the log as it is read by people. */
export interface Entry {
  time: string;
  kind: 'grow' | 'shrink' | 'quiet' | 'worker' | 'bad' | 'mark';
  epoch: number | null;
  text: string;
}

interface Refused {
  type: string;
  epoch: number | null;
  many: number;
  best: number | null;
  entry: Entry;
}

/** Sentences for the lines of events.jsonl, oldest first. Refused proposals of one step become one. */
export function sentences(lines: readonly TimedEvent[]): Entry[] {
  const entries: Entry[] = [];
  let refused: Refused | null = null;
  for (const line of lines) {
    const epoch = 'epoch' in line ? line.epoch : null;
    if ((line.type === 'split' || line.type === 'merge') && !line.accepted) {
      if (!refused || refused.type !== line.type || refused.epoch !== epoch) {
        const entry: Entry = { time: line.time, kind: 'quiet', epoch, text: '' };
        refused = { type: line.type, epoch, many: 0, best: null, entry };
        entries.push(entry);
      }
      refused.many++;
      if (typeof line.logRatio === 'number')
        refused.best = Math.max(refused.best ?? -Infinity, line.logRatio);
      const best = refused.best === null ? '' : `, best log-ratio ${ratio(refused.best)}`;
      refused.entry.text = `${refused.many} ${line.type}${refused.many > 1 ? 's' : ''} refused${best}`;
      continue;
    }
    const said = sentence(line);
    if (said) entries.push({ time: line.time, epoch, ...said });
  }
  return entries;
}

type Said = Pick<Entry, 'kind' | 'text'>;
type Proposal = Extract<TimedEvent, { type: 'split' | 'merge' }>;

function sentence(line: TimedEvent): Said | null {
  switch (line.type) {
    case 'start':
      return mark(
        `Data read: ${count(line.rows)} rows × ${line.dim}; training on ${count(line.sample)}; ${line.shards} shards`,
      );
    case 'worker':
      return {
        kind: 'worker',
        text: `Worker ${line.worker} joined: ${line.name || `pid ${line.pid}`} on ${line.host}, ${line.identity}`,
      };
    case 'worker-gone':
      return { kind: 'bad', text: `Worker ${line.worker} is gone: ${line.reason}` };
    case 'warning':
      return { kind: 'bad', text: line.message };
    case 'split':
      return { kind: 'grow', text: `Cluster ${line.clusters[0]} split: ${rowsOf(line)}` };
    case 'merge':
      return { kind: 'shrink', text: `Clusters ${line.clusters.join(' and ')} merged: ${rowsOf(line)}` };
    case 'step':
      return step(line);
    case 'resume':
      return mark(`Resumed ${line.from ? 'from a checkpoint' : 'from the start'} with K ${line.k}`);
    case 'checkpoint':
      return {
        kind: 'quiet',
        text: `Checkpoint: ${size(line.bytes)} in ${duration(line.seconds)}`,
      };
    case 'checkpoint-failed':
      return { kind: 'bad', text: `A checkpoint could not be written: ${line.reason}` };
    case 'end':
      return mark(
        `Training is over with K ${line.k}: ${line.reason === 'settled' ? 'it has settled' : 'all epochs are done'}`,
      );
    case 'done':
      return mark(`Done: K ${line.k}, results are written`);
    case 'epoch':
      return null;
    default:
      return { kind: 'quiet', text: (line as TimedEvent).type };
  }
}

function rowsOf({ points, logRatio }: Proposal): string {
  const by = typeof logRatio === 'number' ? `, log-ratio ${ratio(logRatio)}` : '';
  return `${points.map(count).join(' + ')} rows${by}`;
}

function step({ kind, changed, k }: Extract<TimedEvent, { type: 'step' }>): Said | null {
  if (!changed) return null;
  const by = Math.abs(changed);
  return kind === 'merge'
    ? { kind: 'shrink', text: `Merge step: K ${k + by} → ${k}` }
    : { kind: 'grow', text: `Split step: K ${k - by} → ${k}` };
}

const mark = (text: string): Said => ({ kind: 'mark', text });

function size(bytes: number): string {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
