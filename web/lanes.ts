import { ticks as roundNumbers, tickStep } from 'd3-array';
import type { WorkSpan } from '../view/api.ts';
import { decimals } from './format.ts';

/** A unit of work as a block on the chart: time across, a lane a worker, and in the lane a strip a shard. */
export interface Block {
  lane: number;
  /** Seconds since the run began. */
  start: number;
  end: number;
  /** 0 … 1 from the top of the lane. */
  top: number;
  bottom: number;
  task: string;
  epoch: number;
  round: number;
  shards: [number, number];
}

export interface Lanes {
  workers: string[];
  /** Workers that did something in the window but have no lane. */
  more: number;
  blocks: Block[];
  from: number;
  to: number;
  /** Share of the window that each worker was at work. */
  busy: number[];
}

/** Lanes that are drawn. */
const MOST = 48;

/** The last `rounds` rounds of the entries. */
export function lanesOf(work: readonly WorkSpan[], rounds: number): Lanes {
  const wanted = new Set<number>();
  for (let i = work.length - 1; i >= 0 && (wanted.size < rounds || wanted.has(work[i][3])); i--)
    wanted.add(work[i][3]);
  const shown = work.filter(([, , , round]) => wanted.has(round));
  const names = [...new Set(shown.map(([worker]) => worker))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  const workers = names.slice(0, MOST);
  const lane = new Map(workers.map((name, i) => [name, i]));
  let [from, to, shards] = [Infinity, -Infinity, 1];
  for (const [, , , , , last, start, end] of shown) {
    from = Math.min(from, start);
    to = Math.max(to, end);
    shards = Math.max(shards, last + 1);
  }
  if (!(to > from)) [from, to] = Number.isFinite(from) ? [from, from + 1] : [0, 1];
  const blocks = shown
    .filter(([worker]) => lane.has(worker))
    .map(
      ([worker, task, epoch, round, first, last, start, end]): Block => ({
        lane: lane.get(worker)!,
        start,
        end,
        top: first / shards,
        bottom: (last + 1) / shards,
        task,
        epoch,
        round,
        shards: [first, last],
      }),
    );
  return {
    workers,
    more: names.length - workers.length,
    blocks,
    from,
    to,
    busy: workers.map((_, i) => busyShare(blocks, i, to - from)),
  };
}

/** Units of one worker may overlap in time, where it reports several shards at once: their union counts. */
function busyShare(blocks: readonly Block[], lane: number, span: number): number {
  const own = blocks.filter((block) => block.lane === lane).sort((a, b) => a.start - b.start);
  let [busy, until] = [0, -Infinity];
  for (const { start, end } of own) {
    busy += Math.max(0, end - Math.max(start, until));
    until = Math.max(until, end);
  }
  return Math.min(1, busy / span);
}

/** The block at a time and place, the latest drawn first; `slack` seconds around it count too. */
export function blockAt(
  lanes: Lanes,
  time: number,
  lane: number,
  height: number,
  slack: number,
): Block | null {
  return (
    lanes.blocks.findLast(
      (b) =>
        b.lane === lane &&
        b.start - slack <= time &&
        time <= b.end + slack &&
        b.top <= height &&
        height <= b.bottom,
    ) ?? null
  );
}

/**
 * A worker's name in so much room: "…" for what does not fit. What is after the last slash stays, for it tells apart
 * the workers of one host.
 */
export function shortName(name: string, room: number, widthOf: (text: string) => number): string {
  if (widthOf(name) <= room) return name;
  const tail = /\/[^/]+$/.exec(name)?.[0] ?? '';
  return (
    cut(name.slice(0, name.length - tail.length), tail, room, widthOf) ?? cut(name, '', room, widthOf) ?? '…'
  );
}

/** As much of `head` as fits with "…" and `tail`; null: nothing does. */
function cut(head: string, tail: string, room: number, widthOf: (text: string) => number): string | null {
  const letters = [...head];
  const text = (many: number) => `${letters.slice(0, many).join('')}…${tail}`;
  let [fits, tooMany] = [0, letters.length + 1];
  while (tooMany - fits > 1) {
    const many = (fits + tooMany) >> 1;
    if (widthOf(text(many)) <= room) fits = many;
    else tooMany = many;
  }
  return fits ? text(fits) : null;
}

/** Round numbers for an axis, about `wanted` of them within from … to, and the decimals that they need. */
export const ticks = (from: number, to: number, wanted: number) => ({
  values: roundNumbers(from, to, wanted),
  digits: decimals(tickStep(from, to, wanted)),
});
