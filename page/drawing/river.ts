import { scaleLinear } from 'd3-scale';
import { area, curveBumpX } from 'd3-shape';
import type { PastUpdate } from '../../model/stream/findings.ts';
import { lineageText } from '../../run/lineage.ts';
import { bottomAxis } from './charts.ts';
import { colourOf, picture, text, WIDTH } from './svg.ts';
import { escaped, percent } from './text.ts';

/** Clusters over updates as a river: a band for each, as wide as its share of all rows. */

/** Bands; the clusters that never were among the largest so many are one more. */
const MOST_BANDS = 24;
/** The band of all other clusters. */
const OTHERS = -1;

/** A stretch of a band, in shares of all rows from the top. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** What flows from a band at one update to one at the next; at both ends its part of the band. */
export interface Flow {
  readonly from: number;
  readonly to: number;
  readonly start: Stretch;
  readonly end: Stretch;
}

export interface River {
  /** Of each update the bands by their ids, from the top. */
  readonly columns: readonly ReadonlyMap<number, Stretch>[];
  /** Before each update but the first. A band that begins comes from itself, of no width, and so ends one that is gone. */
  readonly flows: readonly (readonly Flow[])[];
}

/** Lays out the history of at least two updates. */
export function riverOf(history: readonly PastUpdate[]): River {
  const order = bandsOf(history);
  const bandOf = (id: number) => (order.includes(id) ? id : OTHERS);
  const columns = history.map(({ rows, sizes }) => {
    const shares = order.map((id) => (sizes[id] ?? 0) / rows);
    const rest = 1 - shares.reduce((a, b) => a + b, 0);
    return stacked([
      ...order.map((id, i) => [id, shares[i]] as const),
      // Not what rounding leaves.
      [OTHERS, rest > 1e-9 ? rest : 0] as const,
    ]);
  });
  const flows = history
    .slice(1)
    .map(({ lineage }, i) =>
      flowsBetween(columns[i], columns[i + 1], changesIn(lineage, bandOf), [...order, OTHERS]),
    );
  return { columns, flows };
}

/** The ids that have a band, from the top: those of the first update by size, each new one below the first that it comes from. */
function bandsOf(history: readonly PastUpdate[]): number[] {
  const most = new Map<number, number>();
  for (const { rows, sizes } of history)
    for (const [id, size] of Object.entries(sizes))
      most.set(Number(id), Math.max(most.get(Number(id)) ?? 0, size / rows));
  const largest = [...most].sort(([a, one], [b, other]) => other - one || a - b).slice(0, MOST_BANDS);
  const shown = new Set(largest.map(([id]) => id));
  const order: number[] = [];
  for (const { sizes, lineage } of history) {
    const present = Object.entries(sizes).map(([id, size]) => ({ id: Number(id), size }));
    for (const { id } of present.sort((a, b) => b.size - a.size || a.id - b.id)) {
      if (!shown.has(id) || order.includes(id)) continue;
      const split = lineage.find((entry) => entry.what === 'split' && entry.id === id);
      const parent = split?.what === 'split' ? order.indexOf(split.from[0]) : -1;
      order.splice(parent < 0 ? order.length : parent + 1, 0, id);
    }
  }
  return order;
}

/** Bands one below the other; none of no width. */
function stacked(shares: readonly (readonly [id: number, share: number])[]): Map<number, Stretch> {
  let top = 0;
  return new Map(
    shares
      .filter(([, share]) => share > 0)
      .map(([id, share]) => [id, { from: top, to: (top += share) }] as const),
  );
}

/** Which bands flow into which others. */
const changesIn = (lineage: PastUpdate['lineage'], bandOf: (id: number) => number): [number, number][] =>
  lineage.flatMap((entry): [number, number][] => {
    const own = bandOf(entry.id);
    if (entry.what === 'split') return entry.from.map((id) => [bandOf(id), own]);
    return entry.what === 'merged' ? entry.into.map((id) => [own, bandOf(id)]) : [];
  });

const widthOf = ({ from, to }: Stretch) => to - from;

/** A band is divided among what flows out of it, and into it, by the widths of their other ends. */
function flowsBetween(
  before: ReadonlyMap<number, Stretch>,
  after: ReadonlyMap<number, Stretch>,
  changes: readonly (readonly [number, number])[],
  order: readonly number[],
): Flow[] {
  const stays = [...before.keys()].filter((id) => after.has(id)).map((id) => [id, id] as const);
  const known = new Set<string>();
  const links = [...stays, ...changes].filter(([a, b]) => {
    const isNew = before.has(a) && after.has(b) && !known.has(`${a} ${b}`);
    known.add(`${a} ${b}`);
    return isNew;
  });
  const starts = divided(links, 0, before, after);
  const ends = divided(links, 1, after, before);
  const flows = links.map(([from, to], i) => ({ from, to, start: starts[i], end: ends[i] }));
  /** Where a band would be that is not there: below those that come before it. */
  const placeIn = (column: ReadonlyMap<number, Stretch>, id: number): Stretch => {
    const above = order.slice(0, order.indexOf(id)).findLast((one) => column.has(one));
    const at = above === undefined ? 0 : column.get(above)!.to;
    return { from: at, to: at };
  };
  for (const [id, end] of after)
    if (!links.some(([, to]) => to === id)) flows.push({ from: id, to: id, start: placeIn(before, id), end });
  for (const [id, start] of before)
    if (!links.some(([from]) => from === id))
      flows.push({ from: id, to: id, start, end: placeIn(after, id) });
  return flows;
}

/** The part of its own band (`side` of the links) that each link has: in the order of the bands at its other end, by their widths. */
function divided(
  links: readonly (readonly [number, number])[],
  side: 0 | 1,
  own: ReadonlyMap<number, Stretch>,
  others: ReadonlyMap<number, Stretch>,
): Stretch[] {
  const parts = Array<Stretch>(links.length);
  for (const [id, band] of own) {
    const other = (i: number) => others.get(links[i][1 - side])!;
    const mine = [...links.keys()]
      .filter((i) => links[i][side] === id)
      .sort((a, b) => other(a).from - other(b).from);
    const all = mine.reduce((sum, i) => sum + widthOf(other(i)), 0);
    let from = band.from;
    for (const i of mine) {
      const to = from + (widthOf(band) * widthOf(other(i))) / all;
      parts[i] = { from, to };
      from = to;
    }
  }
  return parts;
}

const LEFT = 34;
const RIGHT = 70;
const TOP = 12;
const BOTTOM = 46;
const HEIGHT = 380;
/** The height of a name. */
const LINE = 11;
const NAME = { size: LINE, bold: true, halo: true } as const;

const nameOf = (id: number) => (id === OTHERS ? 'others' : String(id));
const inWords = (id: number) => (id === OTHERS ? 'the other clusters' : `cluster ${id}`);
const fillOf = (id: number) => (id === OTHERS ? 'fill="#9aa1ab"' : `fill="${colourOf(id)}"`);

/** The history of at least two updates as a picture. */
export function riverPicture(history: readonly PastUpdate[], width = WIDTH): string {
  const { columns, flows } = riverOf(history);
  const updates = history.map(({ update }) => update);
  const [first, last] = [updates[0], updates.at(-1)!];
  const box = { left: LEFT, right: width - RIGHT, top: TOP, bottom: HEIGHT - BOTTOM };
  const x = scaleLinear([first, last], [box.left, box.right]);
  const y = (share: number) => box.top + share * (box.bottom - box.top);
  const ribbon = area<readonly [update: number, stretch: Stretch]>()
    .x(([update]) => x(update))
    .y0(([, { from }]) => y(from))
    .y1(([, { to }]) => y(to))
    .curve(curveBumpX)
    .digits(1);
  const drawn = flows.flatMap((all, i) =>
    all.map((flow) => {
      const places = [[updates[i], flow.start] as const, [updates[i + 1], flow.end] as const];
      const changed = flow.from !== flow.to || !columns[i].has(flow.to) || !columns[i + 1].has(flow.from);
      // What leaves a band that goes on has the colour of the cluster that is new.
      const id = columns[i + 1].has(flow.from) ? flow.to : flow.from;
      const entry = changed && history[i + 1].lineage.find((one) => one.id === id);
      const said = entry
        ? `${lineageText(entry)} (update ${updates[i + 1]})`
        : `${inWords(id)}: ${percent(widthOf(flow.start))} to ${percent(widthOf(flow.end))} of all rows, update ${updates[i]} to ${updates[i + 1]}`;
      return `<path class="rim" d="${ribbon(places)}" ${fillOf(id)} stroke="#ffffff" stroke-width="0.6"><title>${escaped(said)}</title></path>`;
    }),
  );
  const middle = ({ from, to }: Stretch) => y((from + to) / 2);
  const named = new Set<number>();
  const names = columns.flatMap((column, i) => {
    const isLast = i === columns.length - 1;
    const spaced = withSpace(column, middle);
    return [...column].flatMap(([id, band]) => {
      const isHigh = y(band.to) - y(band.from) >= LINE;
      const isFirst = !named.has(id) && (i === 0 ? spaced.has(id) : isHigh && !isLast);
      if (isFirst) named.add(id);
      return [
        isFirst ? text(x(updates[i]) - 5, middle(band) + 4, nameOf(id), { ...NAME, anchor: 'end' }) : '',
        isLast && spaced.has(id)
          ? text(x(last) + 6, middle(band) + 4, `${nameOf(id)} · ${percent(widthOf(band))}`, { size: LINE })
          : '',
      ];
    });
  });
  return picture(
    {
      id: 'river',
      width,
      height: HEIGHT,
      title: 'Clusters over updates',
      description: `The share of each cluster, ${first ? `from update ${first}` : 'from the first run'} to update ${last}: ${summaryOf(history)}.`,
    },
    ...drawn,
    ...names,
    bottomAxis(x, box, {
      count: Math.min(last - first, Math.max(2, Math.floor(width / 90))),
      integers: true,
      title: first ? 'update' : 'update (0: the first run)',
    }),
  );
}

/** The bands beside which there is space for their names, the widest first. */
function withSpace(column: ReadonlyMap<number, Stretch>, middle: (band: Stretch) => number): Set<number> {
  const taken: number[] = [];
  const widestFirst = [...column].sort(([, a], [, b]) => widthOf(b) - widthOf(a));
  const spaced = widestFirst.filter(([, band]) => {
    const isFree = taken.every((other) => Math.abs(other - middle(band)) >= LINE);
    if (isFree) taken.push(middle(band));
    return isFree;
  });
  return new Set(spaced.map(([id]) => id));
}

const FATES = { born: 'new', split: 'split off', merged: 'merged', gone: 'gone', returned: 'returned' };

/** Such as `2 clusters new, 1 merged`. */
function summaryOf(history: readonly PastUpdate[]): string {
  const all = history.slice(1).flatMap(({ lineage }) => lineage);
  const counts = Object.entries(FATES).flatMap(([what, word]) => {
    const count = all.filter((entry) => entry.what === what).length;
    return count ? [`${count} ${word}`] : [];
  });
  return counts.length ? counts.join(', ') : 'none is new, and none is gone';
}

/** Updates that are told of. */
const MOST_TOLD = 20;

/** What became of clusters in the last updates, the newest first: `Update 2: cluster 5 is new, split from 1`. */
export const updateTexts = (history: readonly PastUpdate[]): string[] =>
  history
    .filter(({ update, lineage }) => update > 0 && lineage.length > 0)
    .slice(-MOST_TOLD)
    .reverse()
    .map(({ update, lineage }) => `Update ${update}: ${lineage.map(lineageText).join('; ')}`);

/** The same as a table: of each update the rows of clusters. */
export const riverTable = (history: readonly PastUpdate[]): (string | number)[][] => [
  ['update', 'cluster', 'rows'],
  ...history.flatMap(({ update, sizes }) =>
    Object.entries(sizes).map(([id, rows]) => [update, Number(id), rows]),
  ),
];
