import type { TimedEvent } from '../view/events.ts';
import { byId, make, setText } from './dom.ts';
import { count, timeOfDay } from './format.ts';
import { type LogEntry, logEntries } from './log.ts';

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
  let drawnKeys: string[] = [];
  more.onclick = () => {
    limit += 10 * PAGE_SIZE;
    render();
  };

  function render() {
    const newest = entries.slice(-limit).reverse();
    const keys = newest.map(({ time, text }) => time + text);
    // Usually a few are new at the top: the others stay in the document, which keeps the scroll position.
    const added = drawnKeys.length ? keys.indexOf(drawnKeys[0]) : -1;
    const onlyAdded =
      added >= 0 && drawnKeys.slice(0, keys.length - added).every((key, i) => key === keys[added + i]);
    if (onlyAdded) {
      list.prepend(...newest.slice(0, added).map(item));
      while (list.children.length > keys.length) list.lastChild!.remove();
      list.append(...newest.slice(list.children.length).map(item));
    } else list.replaceChildren(...newest.map(item));
    drawnKeys = keys;
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

function item({ time, kind, text, epoch }: LogEntry): HTMLLIElement {
  const symbol = make('span', 'sign', SYMBOLS[kind]);
  symbol.setAttribute('aria-hidden', 'true');
  const timeElement = make('time', '', timeOfDay(time));
  timeElement.dateTime = time;
  return make(
    'li',
    `kind-${kind}`,
    timeElement,
    symbol,
    make('span', 'message', text),
    make('span', 'epoch', epoch ? `epoch ${count(epoch)}` : ''),
  );
}
