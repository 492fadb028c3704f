import { oneLine, printable } from '../base/text.ts';
import { likelihoodText, type RunEvent } from '../view/events.ts';
import { counted } from '../view/text.ts';

export interface Display {
  event(event: RunEvent): void;
  /** `time`: seconds since the run began, for a run in another process, whose past epochs arrive all at once. */
  epoch(progress: {
    epoch: number;
    k: number;
    loss: number | null;
    subLoss: number | null;
    time?: number;
  }): void;
  /** Replaces the list of connected workers. */
  setWorkers(names: string[]): void;
  /** Prints a separate line above the status line. */
  line(text: string): void;
  /** Shows how far reading is, on a terminal. */
  status(text: string): void;
  /** Clears the status line. */
  end(): void;
}

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
function sampleText({ rows, sample }: { rows: number; sample: number }): string {
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
export function createDisplay(
  maxEpochs: number,
  stream: NodeJS.WriteStream = process.stderr,
  isLog = false,
): Display {
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
    stream.write(`${isStamped ? `${new Date().toISOString().slice(0, 19)}Z ` : ''}${printable(text)}\n`);
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
    line,
    end: clear,
    status(text) {
      const now = performance.now();
      if (!live || now - lastStatus < STATUS_MS) return;
      lastStatus = now;
      show(text, duration(now - startTime));
    },
    setWorkers(names) {
      workers.clear();
      for (const name of names) workers.set(name, 'up');
    },
    event(event) {
      switch (event.type) {
        case 'worker':
          workers.set(event.worker, 'up');
          if (live)
            show(`${workerCounts(workers)}, ${event.backend}`, ...(hasStarted ? [] : ['reading all rows …']));
          break;
        case 'worker-gone':
          workers.set(event.worker, event.how === 'silent' ? 'silent' : 'gone');
          eventLine(
            `worker ${event.worker} (${event.host === undefined ? '' : `${event.host}, `}pid ${event.pid}) is gone: ${event.reason}; its shards are reassigned`,
          );
          break;
        case 'start': {
          hasStarted = true;
          eventLine(
            `${event.rows.toLocaleString('en')} rows × ${event.dim}${sampleText(event)}, ${counted(event.shards, 'shard')}`,
          );
          break;
        }
        case 'likelihood':
          eventLine(likelihoodText(event.likelihood, event.why));
          break;
        case 'encoder-epoch': {
          const text = `encoder epoch ${event.epoch}/${event.of}  loss ${lossText(event.loss)}  ${event.wall.toFixed(1)} s`;
          if (live) show(text, `${workerCounts(workers)}`);
          if (!live || event.epoch === event.of) eventLine(text);
          break;
        }
        case 'alternation': {
          const { alternation, of, k, agreement } = event;
          const same = agreement === null ? '' : `, agreement with those before ${agreement.toFixed(2)}`;
          eventLine(`${counted(k, 'cluster')} of codes${same}; alternation ${alternation}/${of}`);
          break;
        }
        case 'resume':
          hasStarted = true;
          eventLine(
            event.from
              ? `continues from epoch ${event.epoch}: ${event.from}`
              : 'starts again: there is no checkpoint to continue from',
          );
          break;
        case 'step':
          if (event.changed) {
            const before = event.kind === 'split' ? event.k - event.changed : event.k + event.changed;
            eventLine(`epoch ${String(event.epoch).padStart(3)}  ${event.kind}  K ${before} → ${event.k}`);
          }
          break;
        case 'warning':
          eventLine(`dpmesh: warning: ${event.message}`);
          break;
        case 'end':
          eventLine(`epoch ${String(event.epoch).padStart(3)}  ${ENDS[event.reason]}  K ${event.k}`);
          if (live) show('labelling all rows …');
          break;
        case 'replicate':
          if (event.k !== null) eventLine(`replicate ${event.replicate} of ${event.of}  K ${event.k}`);
          else if (live) show(`replicate ${event.replicate} of ${event.of} …`);
          break;
        case 'done':
          for (const note of event.notes ?? []) eventLine(`note: ${note}`);
          break;
      }
    },
    epoch({ epoch, k, loss, subLoss, time }) {
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

/** `2 workers`, with the numbers of silent and lost ones, if any. */
function workerCounts(workers: Map<string, 'up' | 'silent' | 'gone'>): string {
  const count = (state: string) => [...workers.values()].filter((own) => own === state).length;
  const up = count('up');
  const away = (['silent', 'gone'] as const).filter((state) => count(state));
  const rest = away.map((state) => `${count(state)} ${state}`).join(', ');
  return `${up} ${up === 1 ? 'worker' : 'workers'}${rest && ` (${rest})`}`;
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
