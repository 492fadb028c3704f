import { ticks as roundNumbers, tickStep } from 'd3-array';
import type { WorkSpan } from '../view/api.ts';
import { decimals } from '../view/text.ts';

/** A unit of work on the chart: time runs horizontally, each worker has a lane, and each shard a strip of it. */
export interface WorkBlock {
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
  /** Number of workers that were active in the window but have no lane. */
  more: number;
  blocks: WorkBlock[];
  from: number;
  to: number;
  /** Fraction of the window that each worker was computing. */
  busy: number[];
}

/** Maximum number of lanes drawn. */
const MAX_LANES = 48;

/** Lays out the last `rounds` rounds. */
export function lanesOf(work: readonly WorkSpan[], rounds: number): Lanes {
  const wanted = new Set<number>();
  for (let i = work.length - 1; i >= 0 && (wanted.size < rounds || wanted.has(work[i][3])); i--)
    wanted.add(work[i][3]);
  const shown = work.filter(([, , , round]) => wanted.has(round));
  const names = [...new Set(shown.map(([worker]) => worker))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  const workers = names.slice(0, MAX_LANES);
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
      ([worker, task, epoch, round, first, last, start, end]): WorkBlock => ({
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
    busy: workers.map((_, i) => busyFraction(blocks, i, to - from)),
  };
}

/** Units of a worker that reports several shards at once overlap in time: their union counts. */
function busyFraction(blocks: readonly WorkBlock[], lane: number, span: number): number {
  const own = blocks.filter((block) => block.lane === lane).sort((a, b) => a.start - b.start);
  let [busy, coveredUntil] = [0, -Infinity];
  for (const { start, end } of own) {
    busy += Math.max(0, end - Math.max(start, coveredUntil));
    coveredUntil = Math.max(coveredUntil, end);
  }
  return Math.min(1, busy / span);
}

/** The topmost block at a time and a height (0 … 1) in a lane, within `slack` seconds. */
export function blockAt(
  lanes: Lanes,
  time: number,
  lane: number,
  height: number,
  slack: number,
): WorkBlock | null {
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
 * A worker's name shortened to a width with "…". Keeps the part after the last slash if it can, because that tells the
 * workers of one host apart.
 */
export function shortName(name: string, width: number, widthOf: (text: string) => number): string {
  if (widthOf(name) <= width) return name;
  const tail = /\/[^/]+$/.exec(name)?.[0] ?? '';
  return (
    shorten(name.slice(0, name.length - tail.length), tail, width, widthOf) ??
    shorten(name, '', width, widthOf) ??
    '…'
  );
}

/** As much of `head` as fits together with "…" and `tail`; null if nothing does. */
function shorten(
  head: string,
  tail: string,
  width: number,
  widthOf: (text: string) => number,
): string | null {
  const letters = [...head];
  const text = (length: number) => `${letters.slice(0, length).join('')}…${tail}`;
  let [fits, tooMany] = [0, letters.length + 1];
  while (tooMany - fits > 1) {
    const length = (fits + tooMany) >> 1;
    if (widthOf(text(length)) <= width) fits = length;
    else tooMany = length;
  }
  return fits ? text(fits) : null;
}

/** About `wanted` round numbers for an axis within from … to, and the decimals needed to write them. */
export const ticks = (from: number, to: number, wanted: number) => ({
  values: roundNumbers(from, to, wanted),
  digits: decimals(tickStep(from, to, wanted)),
});
