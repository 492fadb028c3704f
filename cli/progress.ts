import { counted } from '../base/quantities.ts';
import { indentContinuation, oneLine } from '../base/text.ts';
import { likelihoodText } from '../page/drawing/text.ts';
import type { RunEvent } from '../run/events.ts';
import { lineageText } from '../run/lineage.ts';

/** What a terminal shows of a run: a status line that is updated in place, and lines for events. It gets events and text alone, and does not know where the run computes. */

export type Display = ReturnType<typeof createDisplay>;
type Progress = Pick<RunEvent & { type: 'epoch' }, 'epoch' | 'k' | 'loss' | 'subLoss'>;

const duration = (ms: number) =>
  ms < 99_500 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
/** Width of the curve of K, and of the text before it. */
const CURVE_WIDTH = 12;
const PREFIX_WIDTH = 26;
/** Characters of the line of an event, whose texts may come from another machine. */
const MOST_LINE = 2000;
/** Time between two texts on how far reading is, at least. */
const STATUS_MS = 100;
/** Why training ended; `watch` may read others of another version. */
const ENDS: Record<string, string> = {
  settled: 'settled',
  'max-epochs': 'last epoch',
  asked: 'ends here, as asked',
};
/** Of so few rows that are left out it is clear that they are outliers: at most that share of a sample is set apart. */
const OUTLIERS = 0.01;
function sampleText(rows: number, sample: number): string {
  if (sample >= rows) return '';
  const left = rows - sample;
  if (left <= OUTLIERS * rows) return ` (training on all but ${counted(left, 'outlier')})`;
  return ` (training on a sample of ${sample.toLocaleString('en')})`;
}
const lossText = (value: number | null) => (value === null ? '–' : value.toPrecision(3));

/**
 * Shows progress on stderr. On a terminal: a status line that is updated in place. Always: a line for each event worth reporting,
 * such as a step that changed K. `isLog`: each begins with the time, where it is no terminal and not systemd's journal, which has it.
 */
export function createDisplay(maxEpochs: number, stream: NodeJS.WriteStream = process.stderr, isLog = false) {
  const live = stream.isTTY === true;
  const isStamped = isLog && !live && !process.env.JOURNAL_STREAM;
  const startTime = performance.now();
  const workers = new Map<string, 'up' | 'silent' | 'gone'>();
  const ks: number[] = [];
  let first: { epoch: number; elapsed: number } | undefined;
  let shown = false;
  let lastStatus = Number.NEGATIVE_INFINITY;
  /** The rows have been read once. */
  let hasStarted = false;

  const curveWidth = () => Math.min(CURVE_WIDTH, Math.max(0, (stream.columns ?? 80) - PREFIX_WIDTH));
  const clear = () => {
    if (shown) stream.write('\r\x1b[K');
    shown = false;
  };
  const line = (text: string) => {
    clear();
    stream.write(
      `${isStamped ? `${new Date().toISOString().slice(0, 19)}Z ` : ''}${indentContinuation(text)}\n`,
    );
  };
  const eventLine = (text: string) => line(oneLine(text.slice(0, MOST_LINE)));
  /** Shows as many of the items as fit into the status line. */
  const show = (...items: string[]) => {
    clear();
    const room = (stream.columns ?? 80) - 1;
    let text = oneLine(items[0].slice(0, room));
    for (const item of items.slice(1)) {
      if (text.length + 2 + item.length > room) break;
      text += `  ${oneLine(item)}`;
    }
    stream.write(text);
    shown = true;
  };
  return {
    /** Prints a separate line above the status line. */
    line,
    /** Clears the status line. */
    end: clear,
    /** Shows how far reading is, on a terminal. */
    status(text: string) {
      const now = performance.now();
      if (!live || now - lastStatus < STATUS_MS) return;
      lastStatus = now;
      show(text, duration(now - startTime));
    },
    /** Replaces the list of connected workers. */
    setWorkers(names: string[]) {
      workers.clear();
      for (const name of names) workers.set(name, 'up');
    },
    event(event: RunEvent) {
      if (event.type === 'worker') workers.set(event.worker, 'up');
      if (event.type === 'worker-gone') workers.set(event.worker, event.how === 'silent' ? 'silent' : 'gone');
      hasStarted ||= event.type === 'start' || event.type === 'resume';
      const isWhole = event.type !== 'encoder-epoch' || event.epoch === event.of;
      if (!live || isWhole) for (const text of linesOf(event)) eventLine(text);
      if (!live) return;
      if (event.type === 'worker')
        show(`${workerCounts(workers)}, ${event.backend}`, ...(hasStarted ? [] : ['reading all rows …']));
      if (!isWhole) show(...linesOf(event), workerCounts(workers));
      if (event.type === 'end') show('labelling all rows …');
      if (event.type === 'replicate' && event.k === null)
        show(`replicate ${event.replicate} of ${event.of} …`);
    },
    /** `time`: seconds since the run began, for a run in another process, whose past epochs arrive all at once. */
    epoch({ epoch, k, loss, subLoss }: Progress, time?: number) {
      const elapsed = time === undefined ? performance.now() - startTime : time * 1000;
      first ??= { epoch, elapsed };
      remember(ks, k);
      if (!live) return;
      const epochs = epoch - first.epoch;
      const remaining = ((elapsed - first.elapsed) / epochs) * (maxEpochs - epoch);
      show(
        `epoch ${epoch}/${maxEpochs}`,
        `K ${k} ${sparkline(ks, curveWidth())}`.trimEnd(),
        `loss ${lossText(loss)}`,
        `sub-loss ${lossText(subLoss)}`,
        workerCounts(workers),
        duration(elapsed),
        ...(epochs > 0 ? [`at most ${duration(remaining)} left`] : []),
      );
    },
  };
}

/** What is printed of an event: of most, nothing. */
function linesOf(event: RunEvent): string[] {
  const inEpoch = (epoch: number) => `epoch ${String(epoch).padStart(3)}`;
  switch (event.type) {
    case 'worker-gone': {
      const where = `${event.host === undefined ? '' : `${event.host}, `}pid ${event.pid}`;
      return [`worker ${event.worker} (${where}) is gone: ${event.reason}; its shards are reassigned`];
    }
    case 'start': {
      const { rows, dim, sample, shards } = event;
      return [
        `${rows.toLocaleString('en')} rows × ${dim}${sampleText(rows, sample)}, ${counted(shards, 'shard')}`,
      ];
    }
    case 'likelihood':
      return [likelihoodText(event.likelihood, event.why)];
    case 'encoder-epoch': {
      const { epoch, of, loss, wall } = event;
      return [`encoder epoch ${epoch}/${of}  loss ${lossText(loss)}  ${wall.toFixed(1)} s`];
    }
    case 'alternation': {
      const { alternation, of, k, agreement } = event;
      const same = agreement === null ? '' : `, agreement with those before ${agreement.toFixed(2)}`;
      return [`${counted(k, 'cluster')} of codes${same}; alternation ${alternation}/${of}`];
    }
    case 'resume':
      return event.from
        ? [`continues from epoch ${event.epoch}: ${event.from}`]
        : ['starts again: there is no checkpoint to continue from'];
    case 'step': {
      const { epoch, kind, changed, k } = event;
      const before = kind === 'split' ? k - changed : k + changed;
      return changed ? [`${inEpoch(epoch)}  ${kind}  K ${before} → ${k}`] : [];
    }
    case 'lineage':
      return [lineageText(event)];
    case 'warning':
      return [`dpmesh: warning: ${event.message}`];
    case 'end':
      return [`${inEpoch(event.epoch)}  ${ENDS[event.reason]}  K ${event.k}`];
    case 'replicate':
      return event.k === null ? [] : [`replicate ${event.replicate} of ${event.of}  K ${event.k}`];
    case 'done':
      return (event.notes ?? []).map((note) => `note: ${note}`);
    default:
      return [];
  }
}

/** `2 workers`, with the numbers of silent and lost ones, if any. */
function workerCounts(workers: Map<string, 'up' | 'silent' | 'gone'>): string {
  const count = (state: string) => [...workers.values()].filter((own) => own === state).length;
  const away = ['silent', 'gone'].flatMap((state) => (count(state) ? [`${count(state)} ${state}`] : []));
  return counted(count('up'), 'worker') + (away.length ? ` (${away.join(', ')})` : '');
}

const LEVELS = '▁▂▃▄▅▆▇█';
const MAX_VALUES = 512;

/** The values as at most `width` bars of text, of heights from the smallest to the largest value. */
export function sparkline(values: readonly number[], width: number): string {
  const count = Math.min(width, values.length);
  const shown = Array.from({ length: count }, (_, i) => {
    const [from, to] = [i, i + 1].map((at) => Math.floor((at * values.length) / count));
    return Math.max(...values.slice(from, to));
  });
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const level = (value: number) =>
    high > low ? Math.round(((value - low) / (high - low)) * (LEVELS.length - 1)) : 0;
  return shown.map((value) => LEVELS[level(value)]).join('');
}

/** Appends a value. When there are too many, every second one is dropped. */
export function remember(values: number[], value: number): void {
  values.push(value);
  if (values.length <= MAX_VALUES) return;
  for (let i = 0; 2 * i < values.length; i++) values[i] = values[2 * i];
  values.length = Math.ceil(values.length / 2);
}
