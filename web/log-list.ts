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
