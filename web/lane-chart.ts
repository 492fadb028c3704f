import type { WorkSpan } from '../view/api.ts';
import { colourOf } from '../view/palette.ts';
import { duration, percent } from '../view/text.ts';
import { byId, fitCanvas, make, placeTooltip, setText } from './dom.ts';
import { blockAt, type Lanes, lanesOf, shortName, ticks, type WorkBlock } from './lanes.ts';
import { cssColour } from './theme.ts';

/** The position in this list decides the colour of a task. Append new tasks, so that colours stay. */
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
  'pivoted-statistics',
  'column-histogram',
  'fenced-moments',
  'sample-labels',
  'cell-fourth-moments',
  'sample-covariance',
  'sample-rows',
  'neighbours',
  'partitions',
  'start-partition',
  'memberships',
  'null-partitions',
];
/** Pixels. */
const [LANE_HEIGHT, LANE_GAP, AXIS_HEIGHT] = [34, 8, 24];

/** Which worker processed which shard when. Does not update while the pointer is on it. */
export function laneChart(requestDraw: () => void): { draw(work: readonly WorkSpan[]): void } {
  const box = byId('lanes-box');
  const canvas = byId<HTMLCanvasElement>('lanes');
  const tooltip = byId('lanes-tip');
  const roundsMenu = byId<HTMLSelectElement>('rounds');
  const context = canvas.getContext('2d')!;
  let lanes: Lanes = lanesOf([], 1);
  let isFrozen = false;
  let left = 80;

  // Fifty rounds are too dense for a phone.
  if (window.innerWidth < 600) roundsMenu.value = '12';
  roundsMenu.onchange = requestDraw;
  canvas.onpointerenter = () => {
    isFrozen = true;
  };
  canvas.onpointerleave = () => {
    isFrozen = false;
    tooltip.hidden = true;
    requestDraw();
  };
  canvas.onpointermove = ({ offsetX, offsetY }) => {
    const block = blockUnder(offsetX, offsetY);
    tooltip.hidden = !block;
    if (!block) return;
    setText(tooltip, description(block));
    placeTooltip(tooltip, offsetX, offsetY, box.clientWidth, Math.max(box.clientHeight, canvas.clientHeight));
  };

  const widthOf = (text: string) => context.measureText(text).width;
  const plotWidth = () => Math.max(40, box.clientWidth - left - 16);
  const xOf = (time: number) => left + ((time - lanes.from) / (lanes.to - lanes.from)) * plotWidth();
  const topOf = (lane: number) => LANE_GAP + lane * (LANE_HEIGHT + LANE_GAP);

  function blockUnder(x: number, y: number): WorkBlock | null {
    const lane = Math.floor((y - LANE_GAP) / (LANE_HEIGHT + LANE_GAP));
    const perPixel = (lanes.to - lanes.from) / plotWidth();
    return blockAt(
      lanes,
      lanes.from + (x - left) * perPixel,
      lane,
      (y - topOf(lane)) / LANE_HEIGHT,
      2 * perPixel,
    );
  }

  const description = ({ lane, task, epoch, round, shards: [first, last], start, end }: WorkBlock) =>
    `${lanes.workers[lane]} · ${task} · epoch ${epoch}, round ${round} · ${first === last ? `shard ${first}` : `shards ${first}–${last}`} · ${duration(end - start)}`;

  const taskColour = (task: string) => {
    const index = TASKS.indexOf(task);
    return colourOf(index < 0 ? TASKS.length : index);
  };

  function draw(work: readonly WorkSpan[]) {
    if (!isFrozen) lanes = lanesOf(work, Number(roundsMenu.value));
    const isEmpty = lanes.workers.length === 0;
    byId('lanes-empty').hidden = !isEmpty;
    canvas.hidden = isEmpty;
    if (isEmpty) return;
    const width = box.clientWidth;
    const height = topOf(lanes.workers.length) + AXIS_HEIGHT;
    canvas.style.height = `${height}px`;
    const ratio = fitCanvas(canvas, width, height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = '12px system-ui, sans-serif';
    const widest = Math.max(...lanes.workers.map(widthOf));
    left = Math.round(Math.min(Math.max(56, widest + 30), width * 0.3));
    drawAxis(height);
    for (const [lane, name] of lanes.workers.entries()) drawLane(lane, name, width);
    for (const block of lanes.blocks) {
      const y = topOf(block.lane) + block.top * LANE_HEIGHT;
      const x = xOf(block.start);
      context.fillStyle = taskColour(block.task);
      context.fillRect(
        x,
        y,
        Math.max(1, xOf(block.end) - x),
        Math.max(1, (block.bottom - block.top) * LANE_HEIGHT - 0.5),
      );
    }
    updateLegend();
    updateTable();
    canvas.setAttribute(
      'aria-label',
      `Rounds of ${lanes.workers.length} workers over ${duration(lanes.to - lanes.from)}${lanes.more ? `; ${lanes.more} more workers not shown` : ''}`,
    );
  }

  function drawLane(lane: number, name: string, width: number) {
    const y = topOf(lane);
    context.fillStyle = cssColour('chip');
    context.globalAlpha = 0.55;
    context.fillRect(left, y, plotWidth(), LANE_HEIGHT);
    context.globalAlpha = 1;
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    context.fillStyle = cssColour('ink');
    context.fillText(shortName(name, left - 20, widthOf), width < 600 ? 12 : 16, y + LANE_HEIGHT / 2 - 7);
    context.fillStyle = cssColour('soft');
    context.fillText(percent(lanes.busy[lane], 0), width < 600 ? 12 : 16, y + LANE_HEIGHT / 2 + 8);
  }

  function drawAxis(height: number) {
    const { values, digits } = ticks(lanes.from, lanes.to, Math.max(2, plotWidth() / 110));
    context.textAlign = 'center';
    context.textBaseline = 'alphabetic';
    for (const value of values) {
      const x = Math.round(xOf(value)) + 0.5;
      context.strokeStyle = cssColour('grid');
      context.beginPath();
      context.moveTo(x, LANE_GAP);
      context.lineTo(x, height - AXIS_HEIGHT + 2);
      context.stroke();
      const text = `${value.toFixed(digits)} s`;
      const half = context.measureText(text).width / 2;
      context.fillStyle = cssColour('soft');
      context.fillText(text, Math.min(Math.max(x, left + half - 8), box.clientWidth - half - 6), height - 8);
    }
  }

  function updateLegend() {
    const present = new Set(lanes.blocks.map(({ task }) => task));
    const tasks = [...TASKS, ...present].filter(
      (task, i, all) => present.has(task) && all.indexOf(task) === i,
    );
    const legend = byId('tasks');
    const note = lanes.more ? `${lanes.more} more workers not shown` : '';
    const key = tasks.join() + note;
    if (legend.dataset.key === key) return;
    legend.dataset.key = key;
    legend.replaceChildren(
      ...tasks.flatMap((task) => {
        const swatch = make('span', 'swatch');
        swatch.style.backgroundColor = taskColour(task);
        return [swatch, task];
      }),
      note,
    );
  }

  /** The same as a table, for screen readers. */
  function updateTable() {
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
