import type { TimedEvent } from '../view/events.ts';
import { byId, make, say } from './dom.ts';
import { clock, count } from './format.ts';
import { type Entry, sentences } from './log.ts';

const SIGNS: Record<Entry['kind'], string> = {
  grow: '▲',
  shrink: '▼',
  quiet: '',
  worker: '＋',
  bad: '!',
  mark: '●',
};
const PAGE = 150;

/** The events, newest first. */
export function logList(): { draw(lines: readonly TimedEvent[]): void } {
  const list = byId('log');
  const more = byId<HTMLButtonElement>('log-more');
  let shown = PAGE;
  let entries: Entry[] = [];
  let drawn: string[] = [];
  more.onclick = () => {
    shown += 10 * PAGE;
    render();
  };

  function render() {
    const newest = entries.slice(-shown).reverse();
    const keys = newest.map(({ time, text }) => time + text);
    // Most often a few have come on top: those below stay, and with them where one has scrolled to.
    const fresh = drawn.length ? keys.indexOf(drawn[0]) : -1;
    const same = fresh >= 0 && drawn.slice(0, keys.length - fresh).every((key, i) => key === keys[fresh + i]);
    if (same) {
      list.prepend(...newest.slice(0, fresh).map(item));
      while (list.children.length > keys.length) list.lastChild!.remove();
      list.append(...newest.slice(list.children.length).map(item));
    } else list.replaceChildren(...newest.map(item));
    drawn = keys;
    more.hidden = entries.length <= shown;
    say(byId('log-count'), entries.length ? count(entries.length) : '');
  }

  return {
    draw(lines) {
      entries = sentences(lines);
      render();
    },
  };
}

function item({ time, kind, text, epoch }: Entry): HTMLLIElement {
  const sign = make('span', 'sign', SIGNS[kind]);
  sign.setAttribute('aria-hidden', 'true');
  const when = make('time', '', clock(time));
  when.dateTime = time;
  return make(
    'li',
    `kind-${kind}`,
    when,
    sign,
    make('span', 'said', text),
    make('span', 'epoch', epoch ? `epoch ${count(epoch)}` : ''),
  );
}
