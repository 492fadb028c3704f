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
  const panels = [
    { box: byId('chart-k'), values: kText, picture: (frame: ChartFrame) => kChart(store!, null, frame) },
    {
      box: byId('chart-losses'),
      values: lossText,
      picture: (frame: ChartFrame) => lossChart(store!.epochs, frame, isLog),
    },
  ];
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
  for (const { box, values } of panels) {
    new ResizeObserver(draw).observe(box);
    listen(box, values);
  }

  function listen(box: HTMLElement, values: (i: number) => string) {
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
    for (const { box, picture } of panels) setHtml(box, picture(frameOf(box)));
    logButton.setAttribute('aria-pressed', String(isLog ?? hasLogAxis(store.epochs)));
  }

  return {
    draw(newStore) {
      store = newStore;
      const { epoch, k, loss, subLoss } = store.epochs;
      const last = epoch.length - 1;
      draw();
      if (last < 0) return;
      panels[0].box.setAttribute(
        'aria-label',
        `K over ${count(epoch[last])} epochs: ${k[0]} at first, now ${kAfterEpochs(store)[last]}`,
      );
      panels[1].box.setAttribute(
        'aria-label',
        `Losses over ${count(epoch[last])} epochs: clustering ${threeDigits(loss[last])}, sub-clustering ${threeDigits(subLoss[last])} in the last epoch`,
      );
    },
  };
}
