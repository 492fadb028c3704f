import { printable } from '../base/text.ts';
import type { RunEvent } from '../view/events.ts';
import { remember, sparkline } from './sparkline.ts';

export interface Display {
  event(event: RunEvent): void;
  /** `time`: seconds since the run began, where that is elsewhere; its epochs may come all at once. */
  epoch(now: { epoch: number; k: number; loss: number | null; subLoss: number | null; time?: number }): void;
  /** These workers are here, and no others: of a run elsewhere that was joined on its way. */
  present(names: string[]): void;
  /** A line of its own, above the display. */
  line(text: string): void;
  end(): void;
}

const seconds = (ms: number) =>
  ms < 99_500 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
/** Characters of the curve of K, and of what stands before it. */
const SPARKS = 12;
const BEFORE_SPARKS = 26;
const loss = (value: number | null) => (value === null ? '–' : value.toPrecision(3));

/** Progress on stderr: one line that renews itself on a terminal, else a line for each step that changed K. */
export function createDisplay(maxEpochs: number, stream: NodeJS.WriteStream = process.stderr): Display {
  const live = stream.isTTY === true;
  const begun = performance.now();
  const workers = new Map<string, 'up' | 'silent' | 'gone'>();
  const ks: number[] = [];
  let first: { epoch: number; at: number } | undefined;
  /** Epochs of earlier sessions. */
  let before = 0;
  let shown = false;

  const sparks = () => Math.min(SPARKS, Math.max(0, (stream.columns ?? 80) - BEFORE_SPARKS));
  const clear = () => {
    if (shown) stream.write('\r\x1b[K');
    shown = false;
  };
  const line = (text: string) => {
    clear();
    stream.write(`${printable(text)}\n`);
  };
  /** As many of the items, from the first on, as the line has room for. */
  const show = (...items: string[]) => {
    clear();
    const room = (stream.columns ?? 80) - 1;
    let text = printable(items[0]).slice(0, room);
    for (const item of items.slice(1)) {
      if (text.length + 2 + item.length > room) break;
      text += `  ${printable(item)}`;
    }
    stream.write(text);
    shown = true;
  };
  return {
    line,
    end: clear,
    present(names) {
      workers.clear();
      for (const name of names) workers.set(name, 'up');
    },
    event(event) {
      switch (event.type) {
        case 'worker':
          workers.set(event.worker, 'up');
          if (live) show(`${workersNow(workers)}, ${event.backend}`);
          break;
        case 'worker-gone':
          workers.set(event.worker, event.how === 'silent' ? 'silent' : 'gone');
          line(
            `worker ${event.worker} (pid ${event.pid}) is gone: ${event.reason}; its shards are dealt again`,
          );
          break;
        case 'start': {
          const of =
            event.sample < event.rows
              ? ` (training on a sample of ${event.sample.toLocaleString('en')})`
              : '';
          line(`${event.rows.toLocaleString('en')} rows × ${event.dim}${of}, ${event.shards} shards`);
          break;
        }
        case 'resume':
          before = event.epoch;
          line(
            event.from
              ? `goes on from epoch ${before}: ${event.from}`
              : 'goes on from the start: there is no checkpoint to go on from',
          );
          break;
        case 'step':
          if (event.changed) {
            const before = event.kind === 'split' ? event.k - event.changed : event.k + event.changed;
            line(`epoch ${String(event.epoch).padStart(3)}  ${event.kind}  K ${before} → ${event.k}`);
          }
          break;
        case 'warning':
          line(`dpmesh: warning: ${event.message}`);
          break;
        case 'end':
          line(
            `epoch ${String(event.epoch).padStart(3)}  ${event.reason === 'settled' ? 'settled' : 'last epoch'}  K ${event.k}`,
          );
          if (live) show('labelling all rows …');
          break;
      }
    },
    epoch(now) {
      const at = now.time === undefined ? performance.now() - begun : now.time * 1000;
      first ??= { epoch: now.epoch, at };
      remember(ks, now.k);
      if (!live) return;
      const epochs = now.epoch - first.epoch;
      const left = ((at - first.at) / epochs) * (maxEpochs - now.epoch);
      show(
        `epoch ${now.epoch}/${maxEpochs}`,
        `K ${now.k} ${sparkline(ks, sparks())}`.trimEnd(),
        `loss ${loss(now.loss)}`,
        `sub-loss ${loss(now.subLoss)}`,
        workersNow(workers),
        seconds(at),
        ...(epochs > 0 ? [`at most ${seconds(left)} left`] : []),
      );
    },
  };
}

/** `2 workers`; where some are not here, how many of each. */
function workersNow(workers: Map<string, 'up' | 'silent' | 'gone'>): string {
  const count = (state: string) => [...workers.values()].filter((found) => found === state).length;
  const up = count('up');
  const away = (['silent', 'gone'] as const).filter((state) => count(state));
  const rest = away.map((state) => `${count(state)} ${state}`).join(', ');
  return `${up} ${up === 1 ? 'worker' : 'workers'}${rest && ` (${rest})`}`;
}
