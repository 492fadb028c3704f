import uPlot from 'uplot';
import { byId, say } from './dom.ts';
import { count, decimals, duration, figure } from './format.ts';
import { changesOf, kAfter, type Store } from './store.ts';
import { ink, onTheme } from './theme.ts';

/** Pixels around the plot in which a mark at its edge still has room. */
const ROOM = 8;
const FONT = '12px system-ui, sans-serif';
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

/** K and losses over epochs. `announce` says a reading that was asked for by keyboard. */
export function charts(announce: (text: string) => void): { draw(store: Store): void } {
  let store: Store | null = null;
  let after: number[] = [];
  let changes: ReturnType<typeof changesOf> = [];
  let zoomed = false;
  const axis = (more: uPlot.Axis): uPlot.Axis => ({
    stroke: () => ink('soft'),
    font: FONT,
    grid: { stroke: () => ink('grid'), width: 1 },
    ticks: { show: false },
    gap: 6,
    ...more,
  });
  const across = axis({ incrs: WHOLE, size: 26, values: (_, values) => values.map(count) });
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
      scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(2, Math.ceil(most * 1.12))] } },
      axes: [across, axis({ incrs: WHOLE, size: 44 })],
      series: [
        {},
        {
          stroke: () => ink('accent'),
          width: 2,
          paths: uPlot.paths.stepped!({ align: 1 }),
          points: { show: false },
        },
      ],
      hooks: { draw: [drawMarks], setCursor: [readOut], setSelect: [zoom] },
    },
    [[], []],
    kBox,
  );
  const scale: uPlot.Scale = { range: (_, __, most) => [0, most > 0 ? most * 1.06 : 1] };
  const losses = new uPlot(
    {
      ...sizeOf(lossBox),
      cursor,
      legend: { show: false },
      padding: [10, 0, 0, 0],
      scales: { x: { time: false }, loss: scale, sub: scale },
      axes: [
        across,
        axis({
          scale: 'loss',
          size: 52,
          values: labels,
          stroke: () => ink('accent'),
        }),
        axis({
          scale: 'sub',
          side: 1,
          size: 52,
          grid: { show: false },
          values: labels,
          stroke: () => ink('second'),
        }),
      ],
      series: [
        {},
        { scale: 'loss', stroke: () => ink('accent'), width: 1.75, points: { show: false } },
        { scale: 'sub', stroke: () => ink('second'), width: 1.75, dash: [5, 3], points: { show: false } },
      ],
      hooks: { setCursor: [readOut], setSelect: [zoom] },
    },
    [[], [], []],
    lossBox,
  );

  for (const [plot, box] of [
    [k, kBox],
    [losses, lossBox],
  ] as const) {
    new ResizeObserver(() => plot.setSize(sizeOf(box))).observe(box);
    plot.over.addEventListener('dblclick', () => {
      zoomed = false;
      for (const one of [k, losses]) one.setData(one.data);
    });
    box.onkeydown = (event) => stepBy(plot, event);
  }
  onTheme(() => {
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

  /** Splits and merges: a hairline, and a triangle at the new K. */
  function drawMarks(plot: uPlot) {
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.beginPath();
    const room = ROOM * ratio;
    ctx.rect(bbox.left - room, bbox.top - room, bbox.width + 2 * room, bbox.height + room);
    ctx.clip();
    for (const { epoch, kind, k: reached } of changes) {
      const x = plot.valToPos(epoch, 'x', true);
      if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
      const y = plot.valToPos(reached, 'y', true);
      const up = kind === 'split' ? -1 : 1;
      const size = 4.5 * ratio;
      ctx.fillStyle = ink(kind === 'split' ? 'up' : 'down');
      ctx.beginPath();
      ctx.moveTo(x, y + up * size * 1.1);
      ctx.lineTo(x - size, y - up * size * 0.7);
      ctx.lineTo(x + size, y - up * size * 0.7);
      ctx.fill();
    }
    ctx.restore();
  }

  function readOut(plot: uPlot) {
    const at = plot.cursor.idx;
    const given = (plot.cursor.left ?? -1) >= 0 && at !== null && at !== undefined && store;
    say(byId('k-at'), given ? reading(at, 'k') : '');
    say(byId('loss-at'), given ? reading(at, 'loss') : '');
  }

  function reading(at: number, what: 'k' | 'loss'): string {
    const { epoch, time, loss, subLoss } = store!.epochs;
    if (epoch[at] === undefined) return '';
    return what === 'k'
      ? `epoch ${count(epoch[at])} · ${duration(time[at])} · K ${after[at]}`
      : `epoch ${count(epoch[at])} · ${figure(loss[at])} · sub ${figure(subLoss[at])}`;
  }

  function stepBy(plot: uPlot, event: KeyboardEvent) {
    const last = plot.data[0].length - 1;
    const now = (plot.cursor.left ?? -1) >= 0 ? (plot.cursor.idx ?? last) : last;
    const to = {
      ArrowLeft: now - 1,
      ArrowRight: now + 1,
      PageUp: now - 10,
      PageDown: now + 10,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    const at = Math.max(0, Math.min(last, to));
    plot.setCursor({ left: plot.valToPos(plot.data[0][at], 'x'), top: 10 });
    announce(reading(at, plot === k ? 'k' : 'loss'));
  }

  return {
    draw(now) {
      store = now;
      after = kAfter(now);
      changes = changesOf(now.events);
      const { epoch, k: ks, loss, subLoss } = now.epochs;
      k.setData([epoch, after], !zoomed);
      losses.setData([epoch, loss, subLoss], !zoomed);
      if (zoomed) for (const plot of [k, losses]) plot.redraw();
      const last = epoch.length - 1;
      if (last < 0) return;
      kBox.setAttribute(
        'aria-label',
        `K over ${count(epoch[last])} epochs: ${ks[0]} at first, now ${after[last]}`,
      );
      lossBox.setAttribute(
        'aria-label',
        `Losses over ${count(epoch[last])} epochs: clustering ${figure(loss[last])}, sub-clustering ${figure(subLoss[last])} in the last`,
      );
    },
  };
}

/** Labels of an axis, all with the decimals that its step needs. */
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
