import type { WorkSpan } from '../view/api.ts';
import { colourOf } from '../view/palette.ts';
import { byId, fit, make, placeTip, say } from './dom.ts';
import { duration, percent } from './format.ts';
import { type Block, blockAt, type Lanes, lanesOf, shortName, ticks } from './lanes.ts';
import { ink } from './theme.ts';

/** In this order, so that a task keeps its colour. */
const TASKS = [
  'cluster-steps',
  'sub-steps',
  'statistics',
  'cell-sums',
  'cell-scatter',
  'cell-histogram',
  'moments',
  'seed-distances',
  'full-pass',
];
const LANE = 34;
const SPACE = 8;
const BOTTOM = 24;

/** Who did which shard when. Stands still while the pointer is on it. */
export function laneChart(later: () => void): { draw(work: readonly WorkSpan[]): void } {
  const box = byId('lanes-box');
  const canvas = byId<HTMLCanvasElement>('lanes');
  const tip = byId('lanes-tip');
  const pick = byId<HTMLSelectElement>('rounds');
  const context = canvas.getContext('2d')!;
  let lanes: Lanes = lanesOf([], 1);
  let held = false;
  let left = 80;

  // Fifty rounds on a phone would be a blur.
  if (window.innerWidth < 600) pick.value = '12';
  pick.onchange = later;
  canvas.onpointerenter = () => {
    held = true;
  };
  canvas.onpointerleave = () => {
    held = false;
    tip.hidden = true;
    later();
  };
  canvas.onpointermove = ({ offsetX, offsetY }) => {
    const found = at(offsetX, offsetY);
    tip.hidden = !found;
    if (!found) return;
    say(tip, told(found));
    placeTip(tip, offsetX, offsetY, box.clientWidth, Math.max(box.clientHeight, canvas.clientHeight));
  };

  const widthOf = (text: string) => context.measureText(text).width;
  const across = () => Math.max(40, box.clientWidth - left - 16);
  const xOf = (time: number) => left + ((time - lanes.from) / (lanes.to - lanes.from)) * across();
  const topOf = (lane: number) => SPACE + lane * (LANE + SPACE);

  function at(x: number, y: number): Block | null {
    const lane = Math.floor((y - SPACE) / (LANE + SPACE));
    const perPixel = (lanes.to - lanes.from) / across();
    return blockAt(lanes, lanes.from + (x - left) * perPixel, lane, (y - topOf(lane)) / LANE, 2 * perPixel);
  }

  const told = ({ lane, task, epoch, round, shards: [first, last], start, end }: Block) =>
    `${lanes.workers[lane]} · ${task} · epoch ${epoch}, round ${round} · ${first === last ? `shard ${first}` : `shards ${first}–${last}`} · ${duration(end - start)}`;

  const taskColour = (task: string) => {
    const at = TASKS.indexOf(task);
    return colourOf(at < 0 ? TASKS.length : at);
  };

  function draw(work: readonly WorkSpan[]) {
    if (!held) lanes = lanesOf(work, Number(pick.value));
    const some = lanes.workers.length > 0;
    byId('lanes-empty').hidden = some;
    canvas.hidden = !some;
    if (!some) return;
    const width = box.clientWidth;
    const height = topOf(lanes.workers.length) + BOTTOM;
    canvas.style.height = `${height}px`;
    const ratio = fit(canvas, width, height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = '12px system-ui, sans-serif';
    const widest = Math.max(...lanes.workers.map(widthOf));
    left = Math.round(Math.min(Math.max(56, widest + 30), width * 0.3));
    axis(height);
    for (const [lane, name] of lanes.workers.entries()) laneOf(lane, name, width);
    for (const block of lanes.blocks) {
      const y = topOf(block.lane) + block.top * LANE;
      const x = xOf(block.start);
      context.fillStyle = taskColour(block.task);
      context.fillRect(
        x,
        y,
        Math.max(1, xOf(block.end) - x),
        Math.max(1, (block.bottom - block.top) * LANE - 0.5),
      );
    }
    legend();
    table();
    canvas.setAttribute(
      'aria-label',
      `Rounds of ${lanes.workers.length} workers over ${duration(lanes.to - lanes.from)}${lanes.more ? `; ${lanes.more} more have no lane` : ''}`,
    );
  }

  function laneOf(lane: number, name: string, width: number) {
    const y = topOf(lane);
    context.fillStyle = ink('chip');
    context.globalAlpha = 0.55;
    context.fillRect(left, y, across(), LANE);
    context.globalAlpha = 1;
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    context.fillStyle = ink('ink');
    context.fillText(shortName(name, left - 20, widthOf), width < 600 ? 12 : 16, y + LANE / 2 - 7);
    context.fillStyle = ink('soft');
    context.fillText(percent(lanes.busy[lane], 0), width < 600 ? 12 : 16, y + LANE / 2 + 8);
  }

  function axis(height: number) {
    const { values, digits } = ticks(lanes.from, lanes.to, Math.max(2, across() / 110));
    context.textAlign = 'center';
    context.textBaseline = 'alphabetic';
    for (const value of values) {
      const x = Math.round(xOf(value)) + 0.5;
      context.strokeStyle = ink('grid');
      context.beginPath();
      context.moveTo(x, SPACE);
      context.lineTo(x, height - BOTTOM + 2);
      context.stroke();
      const text = `${value.toFixed(digits)} s`;
      const half = context.measureText(text).width / 2;
      context.fillStyle = ink('soft');
      context.fillText(text, Math.min(Math.max(x, left + half - 8), box.clientWidth - half - 6), height - 8);
    }
  }

  function legend() {
    const present = new Set(lanes.blocks.map(({ task }) => task));
    const tasks = [...TASKS, ...present].filter(
      (task, i, all) => present.has(task) && all.indexOf(task) === i,
    );
    const to = byId('tasks');
    const more = lanes.more ? `and ${lanes.more} more workers` : '';
    const key = tasks.map((task) => task).join() + more;
    if (to.dataset.key === key) return;
    to.dataset.key = key;
    to.replaceChildren(
      ...tasks.flatMap((task) => {
        const swatch = make('span', 'swatch');
        swatch.style.backgroundColor = taskColour(task);
        return [swatch, task];
      }),
      more,
    );
  }

  /** The same for those who do not see the canvas. */
  function table() {
    byId('lanes-table').replaceChildren(
      ...lanes.workers.map((name, lane) => {
        const last = lanes.blocks.findLast((block) => block.lane === lane);
        const head = make('th', '', name);
        head.scope = 'row';
        return make(
          'tr',
          '',
          head,
          make('td', '', percent(lanes.busy[lane], 0)),
          make('td', '', last?.task ?? ''),
          make('td', '', last ? `${last.shards[0]} to ${last.shards[1]}` : ''),
        );
      }),
    );
  }

  return { draw };
}
