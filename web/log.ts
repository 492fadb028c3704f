import type { Line } from './api.ts';
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
export function sentences(lines: readonly Line[]): Entry[] {
  const entries: Entry[] = [];
  let refused: Refused | null = null;
  for (const line of lines) {
    const epoch = typeof line.epoch === 'number' ? line.epoch : null;
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

function sentence(line: Line): Said | null {
  const clusters = (line.clusters as number[] | undefined) ?? [];
  const points = ((line.points as number[] | undefined) ?? []).map(count).join(' + ');
  const by =
    line.logRatio === null || line.logRatio === undefined
      ? ''
      : `, log-ratio ${ratio(Number(line.logRatio))}`;
  switch (line.type) {
    case 'start':
      return mark(
        `Data read: ${count(Number(line.rows))} rows × ${line.dim}; training on ${count(Number(line.sample))}; ${line.shards} shards`,
      );
    case 'worker':
      return {
        kind: 'worker',
        text: `Worker ${line.worker} joined: ${line.name || `pid ${line.pid}`} on ${line.host}, ${line.identity}`,
      };
    case 'worker-gone':
      return { kind: 'bad', text: `Worker ${line.worker} is gone: ${line.reason}` };
    case 'warning':
      return { kind: 'bad', text: String(line.message) };
    case 'split':
      return { kind: 'grow', text: `Cluster ${clusters[0]} split: ${points} rows${by}` };
    case 'merge':
      return { kind: 'shrink', text: `Clusters ${clusters.join(' and ')} merged: ${points} rows${by}` };
    case 'step':
      return step(line);
    case 'resume':
      return mark(`Resumed ${line.from ? 'from a checkpoint' : 'from the start'} with K ${line.k}`);
    case 'checkpoint':
      return {
        kind: 'quiet',
        text: `Checkpoint: ${size(Number(line.bytes))} in ${duration(Number(line.seconds))}`,
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
      return { kind: 'quiet', text: line.type };
  }
}

function step({ kind, changed, k }: Line): Said | null {
  if (!changed) return null;
  const by = Math.abs(Number(changed));
  return kind === 'merge'
    ? { kind: 'shrink', text: `Merge step: K ${Number(k) + by} → ${k}` }
    : { kind: 'grow', text: `Split step: K ${Number(k) - by} → ${k}` };
}

const mark = (text: string): Said => ({ kind: 'mark', text });

function size(bytes: number): string {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
