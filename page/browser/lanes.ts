import type { WorkSpan } from '../drawing/api.ts';
import { colourOf } from '../drawing/svg.ts';
import { decimals, duration, escaped, percent } from '../drawing/text.ts';
import { byId, placeTooltip, setHtml, setText } from './dom.ts';

/** Which worker computed which shard when: a table with a line for each worker, in which time runs to the right. */

/** Maximum number of lanes drawn. */
const MAX_LANES = 48;

/**
 * Lays out the last `rounds` rounds: the workers, each with a lane and the fraction of the time shown that it was computing, `more` that
 * have none, and their units of work. Each of the `shards` has a strip of a lane; times are in seconds since the run began.
 */
export function lanesOf(work: readonly WorkSpan[], rounds: number) {
  const wanted = new Set<number>();
  for (let i = work.length - 1; i >= 0 && (wanted.size < rounds || wanted.has(work[i][3])); i--)
    wanted.add(work[i][3]);
  const spans = work
    .filter(([, , , round]) => wanted.has(round))
    .map(([worker, task, epoch, round, first, last, start, end]) => {
      return { worker, task, epoch, round, first, last, start, end };
    });
  const names = [...new Set(spans.map(({ worker }) => worker))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  const workers = names.slice(0, MAX_LANES);
  const lane = new Map(workers.map((name, i) => [name, i]));
  let [from, to, shards] = [Infinity, -Infinity, 1];
  for (const { last, start, end } of spans) {
    from = Math.min(from, start);
    to = Math.max(to, end);
    shards = Math.max(shards, last + 1);
  }
  if (!(to > from)) [from, to] = Number.isFinite(from) ? [from, from + 1] : [0, 1];
  const blocks = spans.flatMap((span) =>
    lane.has(span.worker) ? [{ ...span, lane: lane.get(span.worker)! }] : [],
  );
  const busy = workers.map((_, i) => busyTime(blocks.filter((block) => block.lane === i)) / (to - from));
  return { workers, more: names.length - workers.length, blocks, from, to, shards, busy };
}
type Lanes = ReturnType<typeof lanesOf>;
type WorkBlock = Lanes['blocks'][number];

/** Units of a worker that reports several shards at once overlap in time: their union counts. */
function busyTime(own: { start: number; end: number }[]): number {
  let [busy, coveredUntil] = [0, -Infinity];
  for (const { start, end } of own.sort((a, b) => a.start - b.start)) {
    busy += Math.max(0, end - Math.max(start, coveredUntil));
    coveredUntil = Math.max(coveredUntil, end);
  }
  return busy;
}

/** Units of a lane's picture, which is stretched to the width that there is. */
const [WIDTH, HEIGHT] = [1000, 100];
/** Times below the lanes. */
const TIMES = 5;

/** The lanes as rows of a table. */
export function laneRows({ workers, blocks, from, to, shards, busy }: Lanes): string {
  const strips = workers.map((): string[] => []);
  for (const [i, { lane, start, end, task, first, last }] of blocks.entries()) {
    const x = (WIDTH * (start - from)) / (to - from);
    const width = Math.max(1, (WIDTH * (end - start)) / (to - from));
    const [y, height] = [first, last + 1 - first].map((count) => (HEIGHT * count) / shards);
    strips[lane].push(
      `<rect data-block="${i}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" fill="${taskColour(task)}"/>`,
    );
  }
  const digits = decimals((to - from) / TIMES / 10);
  const times = Array.from({ length: TIMES }, (_, i) => from + ((to - from) * i) / (TIMES - 1));
  const rows = workers.map((name, lane) => {
    // The part after the last slash tells the workers of one host apart: it is not cut off.
    const [, head, tail] = /^(.*?)(\/[^/]*)?$/s.exec(name)!;
    const last = blocks.findLast((block) => block.lane === lane)?.task ?? '';
    return `<tr><th scope="row" title="${escaped(name)}"><div><span class="head-of">${escaped(head)}</span><span>${escaped(tail ?? '')}</span></div></th><td class="n">${percent(busy[lane], 0)}</td><td class="strip"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${escaped(`last task: ${last}`)}">${strips[lane].join('')}</svg></td></tr>`;
  });
  return `${rows.join('')}<tr><th></th><td></td><td class="times">${times.map((time) => `<span>${time.toFixed(digits)} s</span>`).join('')}</td></tr>`;
}

/** The position in this list decides the colour of a task; others share the next one. Append new tasks, so that colours stay. */
const TASKS = [
  'cluster-steps sub-steps statistics cell-sums cell-scatter cell-histogram moments seed-distances full-pass',
  'pivoted-statistics column-histogram fenced-moments sample-labels cell-fourth-moments sample-covariance',
  'sample-rows neighbours partitions start-partition memberships null-partitions',
].flatMap((some) => some.split(' '));

const taskColour = (task: string) => colourOf(TASKS.includes(task) ? TASKS.indexOf(task) : TASKS.length);

/** Does not update while the pointer is on it. */
export function laneChart(requestDraw: () => void): { draw(work: readonly WorkSpan[]): void } {
  const box = byId('lanes-box');
  const tooltip = byId('lanes-tip');
  const roundsMenu = byId<HTMLSelectElement>('rounds');
  let lanes = lanesOf([], 1);
  let isFrozen = false;

  // Fifty rounds are too dense for a phone.
  if (window.innerWidth < 600) roundsMenu.value = '12';
  roundsMenu.onchange = requestDraw;
  box.onpointerenter = () => {
    isFrozen = true;
  };
  box.onpointerleave = () => {
    isFrozen = false;
    tooltip.hidden = true;
    requestDraw();
  };
  box.onpointermove = ({ target, clientX, clientY }) => {
    const place = (target as Element).closest<SVGElement>('[data-block]')?.dataset.block;
    tooltip.hidden = place === undefined;
    if (place === undefined) return;
    setText(tooltip, describe(lanes.blocks[Number(place)]));
    const { left, top } = box.getBoundingClientRect();
    placeTooltip(tooltip, clientX - left, clientY - top + box.scrollTop, box.clientWidth, box.scrollHeight);
  };

  const describe = ({ worker, task, epoch, round, first, last, start, end }: WorkBlock) =>
    `${worker} · ${task} · epoch ${epoch}, round ${round} · ${first === last ? `shard ${first}` : `shards ${first}–${last}`} · ${duration(end - start)}`;

  return {
    draw(work) {
      if (!isFrozen) lanes = lanesOf(work, Number(roundsMenu.value));
      byId('lanes-empty').hidden = lanes.workers.length > 0;
      setHtml(byId('lanes-table'), lanes.workers.length ? laneRows(lanes) : '');
      const present = [...new Set(lanes.blocks.map(({ task }) => task))];
      const swatches = present
        .sort((a, b) => TASKS.indexOf(a) - TASKS.indexOf(b))
        .map(
          (task) =>
            `<svg class="swatch" viewBox="0 0 1 1" aria-hidden="true"><rect width="1" height="1" fill="${taskColour(task)}"/></svg>${escaped(task)}`,
        );
      const more = lanes.more ? `${lanes.more} more workers not shown` : '';
      setHtml(byId('tasks'), swatches.join(' ') + more);
    },
  };
}
