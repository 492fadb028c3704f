import type { PastUpdate } from '../../model/stream/findings.ts';
import { type Described, nodeNames } from '../../run/described.ts';
import { kAfterEpochs } from '../../run/history.ts';
import { type ChartFrame, epochAt, hasLogAxis, kChart, lossChart } from '../drawing/charts.ts';
import type { ModelView } from '../drawing/model-view.ts';
import { listItems } from '../drawing/panels.ts';
import { riverPicture, riverTable, updateTexts } from '../drawing/river.ts';
import { count, duration, threeDigits } from '../drawing/text.ts';
import { cutText, hasJoins, inCut, nextSplitText, treeLegend, treePicture } from '../drawing/tree-picture.ts';
import { byId, setHtml, setText } from './dom.ts';
import type { PageStore } from './feed.ts';

/** The panels of the page with charts: K, losses, river and tree. What is drawn comes from page/drawing/; here are state, pointer and keys. */

/** A narrower screen scrolls, pixels. */
const LEAST_RIVER = 420;

/** A pointer that is dragged less does not zoom, pixels. */
const LEAST_DRAG = 6;

/** K and losses over epochs. `announce` gets the values selected by keyboard, for screen readers. */
export function charts(announce: (text: string) => void): { draw(store: PageStore): void } {
  let store: PageStore | null = null;
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

/** Clusters over updates, once an update is done. */
export function riverPanel() {
  const box = byId('river-scroll');
  let history: PastUpdate[] | null = null;
  new ResizeObserver(draw).observe(box);

  function draw() {
    if (history && box.clientWidth)
      setHtml(box, riverPicture(history, Math.max(LEAST_RIVER, box.clientWidth)));
  }

  return {
    show(updates: PastUpdate[] | null) {
      if (!updates || updates.length < 2) return;
      history = updates;
      byId('river').hidden = false;
      setHtml(byId('river-changes'), listItems(updateTexts(updates)));
      draw();
    },
    table: () => riverTable(history ?? []),
  };
}

/** The tree of merges once the run has one, with a dial from 1 to K that cuts it. `turned` is called when the dial was moved. */
export function treePanel(turned: () => void) {
  const panel = byId('tree');
  const dial = byId<HTMLInputElement>('dial');
  const box = byId('tree-scroll');
  const splits = byId('next-split');
  let called: ReturnType<typeof nodeNames> | undefined;
  let drawn: (width: number) => string = () => '';

  dial.oninput = turned;
  new ResizeObserver(draw).observe(box);

  function draw() {
    const picture = box.clientWidth && drawn(box.clientWidth);
    if (picture) setHtml(box, picture);
  }

  return {
    describe(described: Described): void {
      called = nodeNames(described);
      draw();
    },
    /** Shows the tree of a view, if it has one. Returns the view in the colours of the cut that the dial is at. */
    show(view: ModelView): ModelView {
      const { tree } = view;
      const k = tree?.sizes.length ?? 0;
      panel.hidden = !tree || (!hasJoins(tree) && !tree.next?.length);
      if (!tree) return view;
      if (Number(dial.max) !== k) {
        dial.max = String(k);
        dial.value = dial.max;
      }
      const left = Number(dial.value);
      const clusters = inCut(view.clusters, tree, left);
      const now = cutText(tree, left);
      dial.setAttribute('aria-valuetext', now);
      setText(byId('cut'), now);
      setText(splits, nextSplitText(tree));
      splits.hidden = !splits.textContent;
      byId('dial-box').hidden = k === 1;
      box.hidden = !hasJoins(tree);
      setText(byId('tree-legend'), treeLegend(tree));
      const colours = clusters.map(({ colour }) => colour);
      drawn = (width) => (hasJoins(tree) ? treePicture(tree, { left, colours, width }, called) : '');
      draw();
      return { ...view, clusters };
    },
  };
}
