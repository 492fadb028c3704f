import { byId, make } from './dom.ts';
import { count, figure, short, stopwatch } from './format.ts';
import { kNow, type Store } from './store.ts';

/** The row of numbers on top. */
export function figures(store: Store): void {
  const { run, present, epochs, events, work } = store;
  const { epoch, loss, subLoss, time } = epochs;
  const started = events.findLast((event) => event.type === 'start');
  show('now-k', count(kNow(store)));
  show('now-epoch', count(epoch.at(-1)), `of ${count(run.config.maxEpochs)}`);
  show('now-loss', figure(loss.at(-1)));
  show('now-sub-loss', figure(subLoss.findLast((value) => value !== null)));
  show('now-rows', short(run.data.rows), `× ${run.data.dim}`);
  show('now-sample', short(started?.sample ?? run.data.sample));
  show('now-workers', count(present.size));
  show('now-time', stopwatch(Math.max(time.at(-1) ?? 0, work.at(-1)?.[7] ?? 0)));
}

function show(id: string, text: string, more = ''): void {
  const place = byId(id);
  const all = more ? `${text} ${more}` : text;
  if (place.textContent === all) return;
  place.replaceChildren(text, ...(more ? [' ', make('small', '', more)] : []));
}
