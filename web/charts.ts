import uPlot from 'uplot';
import { needsLog } from '../view/scales.ts';
import { byId, setText } from './dom.ts';
import { count, decimals, duration, threeDigits } from './format.ts';
import { kAfterEpochs, kChanges, type Store } from './store.ts';
import { cssColour, onThemeChange } from './theme.ts';

/** Pixels around the plot that a mark at its edge may cover. */
const MARGIN = 8;
const FONT = '12px system-ui, sans-serif';
const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

/** K and losses over epochs. `announce` gets the values selected by keyboard, for screen readers. */
export function charts(announce: (text: string) => void): { draw(store: Store): void } {
  let store: Store | null = null;
  let ks: number[] = [];
  let changes: ReturnType<typeof kChanges> = [];
  let zoomed = false;
  const axis = (options: uPlot.Axis): uPlot.Axis => ({
    stroke: () => cssColour('soft'),
    font: FONT,
    grid: { stroke: () => cssColour('grid'), width: 1 },
    ticks: { show: false },
    gap: 6,
    ...options,
  });
  const epochAxis = axis({ incrs: WHOLE_STEPS, size: 26, values: (_, values) => values.map(count) });
  const cursor: uPlot.Cursor = {
    sync: { key: 'epochs' },
    y: false,
    points: { size: 7 },
    drag: { x: true, y: false },
  };
  const kBox = byId('chart-k');
  const lossBox = byId('chart-losses');

  const k = new uPlot(
    {
      ...sizeOf(kBox),
      cursor,
      legend: { show: false },
      padding: [10, 12, 0, 0],
      scales: { x: { time: false }, y: { range: (_, __, max) => [0, Math.max(2, Math.ceil(max * 1.12))] } },
      axes: [epochAxis, axis({ incrs: WHOLE_STEPS, size: 44 })],
      series: [
        {},
        {
          stroke: () => cssColour('accent'),
          width: 2,
          paths: uPlot.paths.stepped!({ align: 1 }),
          points: { show: false },
        },
      ],
      hooks: { draw: [drawMarks], setCursor: [showValues], setSelect: [zoom] },
    },
    [[], []],
    kBox,
  );
  /** Which of both losses have a logarithmic axis; the button chooses for both, until then the values do. */
  let chosen: boolean | null = null;
  let isLog = { loss: false, sub: false };
  let losses = lossPlot();
  const logButton = byId<HTMLButtonElement>('log-losses');
  logButton.onclick = () => {
    chosen = logButton.getAttribute('aria-pressed') !== 'true';
    if (store) drawLosses(store);
  };

  function lossPlot(): uPlot {
    const lossAxis = (scale: 'loss' | 'sub', colour: string, more: uPlot.Axis = {}) =>
      axis({
        scale,
        size: 52,
        values: isLog[scale] ? powers : labels,
        stroke: () => cssColour(colour),
        ...more,
      });
    return new uPlot(
      {
        ...sizeOf(lossBox),
        cursor,
        legend: { show: false },
        padding: [10, 0, 0, 0],
        scales: {
          x: { time: false },
          loss: isLog.loss ? LOG_SCALE : LINEAR_SCALE,
          sub: isLog.sub ? LOG_SCALE : LINEAR_SCALE,
        },
        axes: [
          epochAxis,
          lossAxis('loss', 'accent'),
          lossAxis('sub', 'second', { side: 1, grid: { show: false } }),
        ],
        series: [
          {},
          { scale: 'loss', stroke: () => cssColour('accent'), width: 1.75, points: { show: false } },
          {
            scale: 'sub',
            stroke: () => cssColour('second'),
            width: 1.75,
            dash: [5, 3],
            points: { show: false },
            // Sub-nets do not train in every epoch.
            spanGaps: true,
          },
        ],
        hooks: { setCursor: [showValues], setSelect: [zoom] },
      },
      [[], [], []],
      lossBox,
    );
  }

  function drawLosses({ epochs: { epoch, loss, subLoss } }: Store) {
    const wanted = { loss: hasLogAxis(loss, chosen), sub: hasLogAxis(subLoss, chosen) };
    if (wanted.loss !== isLog.loss || wanted.sub !== isLog.sub) {
      // The distribution of a scale is fixed when it is made.
      const { min, max } = losses.scales.x;
      losses.destroy();
      isLog = wanted;
      losses = lossPlot();
      losses.over.addEventListener('dblclick', resetZoom);
      losses.setData([epoch, loss, subLoss]);
      if (zoomed && min !== undefined && max !== undefined) losses.setScale('x', { min, max });
    } else losses.setData([epoch, loss, subLoss], !zoomed);
    logButton.setAttribute('aria-pressed', String(isLog.loss || isLog.sub));
  }

  function resetZoom() {
    zoomed = false;
    for (const chart of [k, losses]) chart.setData(chart.data);
  }

  for (const [plot, box] of [
    [() => k, kBox],
    [() => losses, lossBox],
  ] as const) {
    new ResizeObserver(() => plot().setSize(sizeOf(box))).observe(box);
    plot().over.addEventListener('dblclick', resetZoom);
    box.onkeydown = (event) => stepBy(plot(), event);
  }
  onThemeChange(() => {
    for (const plot of [k, losses]) plot.redraw(false, true);
  });

  function zoom(plot: uPlot) {
    if (plot.select.width < 4) return;
    zoomed = true;
    const other = plot === k ? losses : k;
    queueMicrotask(() => {
      const { min, max } = plot.scales.x;
      if (min !== undefined && max !== undefined) other.setScale('x', { min, max });
    });
  }

  /** A triangle at the new K for each split or merge step. */
  function drawMarks(plot: uPlot) {
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.beginPath();
    const margin = MARGIN * ratio;
    ctx.rect(bbox.left - margin, bbox.top - margin, bbox.width + 2 * margin, bbox.height + margin);
    ctx.clip();
    for (const { epoch, kind, k: newK } of changes) {
      const x = plot.valToPos(epoch, 'x', true);
      if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
      const y = plot.valToPos(newK, 'y', true);
      const up = kind === 'split' ? -1 : 1;
      const size = 4.5 * ratio;
      ctx.fillStyle = cssColour(kind === 'split' ? 'up' : 'down');
      ctx.beginPath();
      ctx.moveTo(x, y + up * size * 1.1);
      ctx.lineTo(x - size, y - up * size * 0.7);
      ctx.lineTo(x + size, y - up * size * 0.7);
      ctx.fill();
    }
    ctx.restore();
  }

  function showValues(plot: uPlot) {
    const index = plot.cursor.idx;
    const selected = (plot.cursor.left ?? -1) >= 0 && index !== null && index !== undefined && store;
    setText(byId('k-at'), selected ? valuesAt(index, 'k') : '');
    setText(byId('loss-at'), selected ? valuesAt(index, 'loss') : '');
  }

  function valuesAt(index: number, what: 'k' | 'loss'): string {
    const { epoch, time, loss, subLoss } = store!.epochs;
    if (epoch[index] === undefined) return '';
    return what === 'k'
      ? `epoch ${count(epoch[index])} · ${duration(time[index])} · K ${ks[index]}`
      : `epoch ${count(epoch[index])} · loss ${threeDigits(loss[index])} · sub-loss ${threeDigits(subLoss[index])}`;
  }

  function stepBy(plot: uPlot, event: KeyboardEvent) {
    const last = plot.data[0].length - 1;
    const current = (plot.cursor.left ?? -1) >= 0 ? (plot.cursor.idx ?? last) : last;
    const to = {
      ArrowLeft: current - 1,
      ArrowRight: current + 1,
      PageUp: current - 10,
      PageDown: current + 10,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(last, to));
    plot.setCursor({ left: plot.valToPos(plot.data[0][index], 'x'), top: 10 });
    announce(valuesAt(index, plot === k ? 'k' : 'loss'));
  }

  return {
    draw(newStore) {
      store = newStore;
      ks = kAfterEpochs(store);
      changes = kChanges(store.events);
      const { epoch, k: trainedK, loss, subLoss } = store.epochs;
      k.setData([epoch, ks], !zoomed);
      drawLosses(store);
      if (zoomed) for (const plot of [k, losses]) plot.redraw();
      const last = epoch.length - 1;
      if (last < 0) return;
      kBox.setAttribute(
        'aria-label',
        `K over ${count(epoch[last])} epochs: ${trainedK[0]} at first, now ${ks[last]}`,
      );
      lossBox.setAttribute(
        'aria-label',
        `Losses over ${count(epoch[last])} epochs: clustering ${threeDigits(loss[last])}, sub-clustering ${threeDigits(subLoss[last])} in the last epoch`,
      );
    },
  };
}

const LINEAR_SCALE: uPlot.Scale = { range: (_, __, max) => [0, max > 0 ? max * 1.06 : 1] };
const LOG_SCALE: uPlot.Scale = { distr: 3, log: 10 };

/** As chosen, or as the values need it; not if there are any that have no logarithm. */
function hasLogAxis(losses: readonly (number | null)[], chosen: boolean | null): boolean {
  const values = losses.filter((loss): loss is number => loss !== null && Number.isFinite(loss));
  if (!values.length || values.some((loss) => loss <= 0)) return false;
  return chosen ?? needsLog(values);
}

/** Labels of a logarithmic axis, of which only some are shown. */
const powers: uPlot.Axis.Values = (_, values) =>
  values.map((value) => (value ? String(value).replace('e-', 'e−') : ''));

/** Axis labels, all with as many decimals as the step between them needs. */
const labels: uPlot.Axis.Values = (_, values, __, ___, step) =>
  values.map((value) => value.toFixed(decimals(step)));

function sizeOf(box: HTMLElement) {
  const style = getComputedStyle(box);
  const pad = (side: string) => Number.parseFloat(style.getPropertyValue(`padding-${side}`));
  return {
    width: Math.max(120, box.clientWidth - pad('left') - pad('right')),
    height: Math.max(80, box.clientHeight - pad('top') - pad('bottom')),
  };
}
