import { certaintyText, type Summary } from '../view/summary.ts';
import { byId, make } from './dom.ts';
import { compactCount, count, duration, stopwatch, threeDigits } from './format.ts';
import { currentK, type Store } from './store.ts';

/** The row of numbers at the top of the page. `result`: once the run is done and this is known. */
export function drawSummary(store: Store, result: Summary | null): void {
  const { run, present, epochs, events, work } = store;
  const { epoch, loss, subLoss, time } = epochs;
  const started = events.findLast((event) => event.type === 'start');
  const done = events.findLast((event) => event.type === 'done');
  const certainty = done && certaintyText(done);
  show('now-k', count(currentK(store)), certainty && `(${certainty})`);
  // Before the first epoch, an encoder may be training.
  const encoder = epoch.length ? undefined : events.findLast((event) => event.type === 'encoder-epoch');
  if (encoder) show('now-epoch', count(encoder.epoch), `of ${count(encoder.of)} of the encoder`);
  else show('now-epoch', count(epoch.at(-1)), `of ${count(run.config.maxEpochs)}`);
  show('now-loss', threeDigits(encoder ? encoder.loss : loss.at(-1)));
  show('now-sub-loss', threeDigits(subLoss.findLast((value) => value !== null)));
  const outliers = done?.outliers ? `, ${compactCount(done.outliers)} outliers` : '';
  show('now-rows', compactCount(run.data.rows), `× ${run.data.dim}${outliers}`);
  show('now-sample', compactCount(started?.sample ?? run.data.sample));
  // When it is over, they have left.
  show('now-workers', count(present.size || result?.workers));
  show(
    'now-time',
    result ? duration(result.seconds) : stopwatch(Math.max(time.at(-1) ?? 0, work.at(-1)?.[7] ?? 0)),
  );
}

function show(id: string, text: string, detail = ''): void {
  const element = byId(id);
  const content = detail ? `${text} ${detail}` : text;
  if (element.textContent === content) return;
  element.replaceChildren(text, ...(detail ? [' ', make('small', '', detail)] : []));
}
