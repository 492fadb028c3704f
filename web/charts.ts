import { type ChartFrame, epochAt, hasLogAxis, kChart, lossChart } from '../view/charts.ts';
import { kAfterEpochs } from '../view/history.ts';
import { count, duration, threeDigits } from '../view/text.ts';
import { byId, setHtml, setText } from './dom.ts';
import type { Store } from './store.ts';

/** A pointer that is dragged less does not zoom, pixels. */
const LEAST_DRAG = 6;

/** K and losses over epochs. `announce` gets the values selected by keyboard, for screen readers. */
export function charts(announce: (text: string) => void): { draw(store: Store): void } {
  let store: Store | null = null;
  /** The epochs that are shown; null: all. */
  let shown: { from: number; to: number } | null = null;
  /** The place of the epoch that is pointed at. */
  let at: number | null = null;
  /** Whether losses have logarithmic axes; null: as the values need it. */
  let isLog: boolean | null = null;
  const logButton = byId<HTMLButtonElement>('log-losses');
  const kBox = byId('chart-k');
  const lossBox = byId('chart-losses');
  const frameOf = (box: HTMLElement): ChartFrame => ({
    width: Math.max(240, box.clientWidth),
    height: Math.max(160, box.clientHeight),
    ...shown,
    at,
  });

  logButton.onclick = () => {
    isLog = logButton.getAttribute('aria-pressed') !== 'true';
    draw();
  };
  listen(kBox, kText);
  listen(lossBox, lossText);

  function listen(box: HTMLElement, values: (i: number) => string) {
    new ResizeObserver(draw).observe(box);
    let pressed: number | null = null;
    const epochUnder = (x: number) => epochAt(store!.epochs, frameOf(box), x);
    const xOf = ({ clientX }: PointerEvent) => clientX - box.getBoundingClientRect().left;
    box.onpointerdown = (event) => {
      if (event.button === 0) pressed = xOf(event);
    };
    box.onpointermove = (event) => {
      if (store?.epochs.epoch.length) point(nearestEpoch(epochUnder(xOf(event))));
    };
    box.onpointerup = (event) => {
      const [from, to] = [pressed ?? xOf(event), xOf(event)].sort((a, b) => a - b);
      pressed = null;
      if (!store?.epochs.epoch.length || to - from < LEAST_DRAG) return;
      const [first, last] = [Math.max(0, epochUnder(from)), epochUnder(to)];
      if (last - first >= 1) shown = { from: Math.floor(first), to: Math.ceil(last) };
      draw();
    };
    box.onpointerleave = () => {
      pressed = null;
      point(null);
    };
    box.ondblclick = () => {
      shown = null;
      draw();
    };
    box.onkeydown = (event) => {
      const last = (store?.epochs.epoch.length ?? 0) - 1;
      const from = at ?? last;
      const to = {
        ArrowLeft: from - 1,
        ArrowRight: from + 1,
        PageUp: from - 10,
        PageDown: from + 10,
        Home: 0,
        End: last,
      }[event.key];
      if (to === undefined || last < 0) return;
      event.preventDefault();
      point(Math.max(0, Math.min(last, to)));
      announce(values(at!));
    };
  }

  function nearestEpoch(epoch: number): number {
    const all = store!.epochs.epoch;
    const next = all.findIndex((one) => one >= epoch);
    if (next < 0) return all.length - 1;
    return next > 0 && epoch - all[next - 1] < all[next] - epoch ? next - 1 : next;
  }

  function point(next: number | null) {
    if (next === at) return;
    at = next;
    setText(byId('k-at'), at === null ? '' : kText(at));
    setText(byId('loss-at'), at === null ? '' : lossText(at));
    draw();
  }

  function kText(i: number): string {
    const { epoch, time } = store!.epochs;
    return `epoch ${count(epoch[i])} · ${duration(time[i])} · K ${kAfterEpochs(store!)[i]}`;
  }

  function lossText(i: number): string {
    const { epoch, loss, subLoss } = store!.epochs;
    return `epoch ${count(epoch[i])} · loss ${threeDigits(loss[i])} · sub-loss ${threeDigits(subLoss[i])}`;
  }

  function draw() {
    if (!store?.epochs.epoch.length) return;
    if (at !== null && at >= store.epochs.epoch.length) at = null;
    setHtml(kBox, kChart(store, null, frameOf(kBox)));
    setHtml(lossBox, lossChart(store.epochs, frameOf(lossBox), isLog));
    logButton.setAttribute('aria-pressed', String(isLog ?? hasLogAxis(store.epochs)));
  }

  return {
    draw(newStore) {
      store = newStore;
      const { epoch, k, loss, subLoss } = store.epochs;
      const last = epoch.length - 1;
      draw();
      if (last < 0) return;
      const epochs = `${count(epoch[last])} epochs`;
      const ks = `${k[0]} at first, now ${kAfterEpochs(store)[last]}`;
      const losses = `clustering ${threeDigits(loss[last])}, sub-clustering ${threeDigits(subLoss[last])}`;
      kBox.setAttribute('aria-label', `K over ${epochs}: ${ks}`);
      lossBox.setAttribute('aria-label', `Losses over ${epochs}: ${losses} in the last epoch`);
    },
  };
}
