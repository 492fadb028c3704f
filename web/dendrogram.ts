import type { MergeTree } from '../view/api.ts';
import { groupName, numberedBranches, type Place, type TreeLayout, treeLayout } from '../view/dendrogram.ts';
import { colourOf } from '../view/palette.ts';
import { heightScale, type Scale } from '../view/scales.ts';
import type { Cluster } from './analyse.ts';
import { makeSvg } from './dom.ts';
import { compactCount, count } from './format.ts';

/** In pixels, as all that follows. */
const TOP = 44;
const LEFT = 34;
const RIGHT = 16;
/** From the joins to the names, and from these to the rows. */
const GAPS = [22, 14] as const;
const CHARACTER = 6.8;
/** The joins are at least this wide: the rest can be scrolled to. */
const LEAST_WIDTH = 120;
/** Between the closest tick labels. */
const TICK_DISTANCE = 56;

/** What to draw: a tree of at least two clusters, these in the colours of the cut at which `left` of them are left, and the width. */
export interface DendrogramInput {
  tree: MergeTree;
  clusters: readonly Cluster[];
  left: number;
  width: number;
}

/** The tree of merges with its root on the left. Joins that the cut has made are in the colour of their group. */
export function dendrogram({ tree, clusters, left, width }: DendrogramInput): SVGSVGElement {
  const layout = treeLayout(tree);
  const { leaves, branches } = layout;
  const names = leaves.map(groupName);
  const rows = leaves.map((leaf) => compactCount(leaf.rows));
  const labels = GAPS[0] + widthOf(names) + GAPS[1] + widthOf(rows) + RIGHT;
  const total = Math.max(width, Math.ceil(LEFT + LEAST_WIDTH + labels));
  const row = leaves.length > 30 ? 15 : 18;
  const box = { left: LEFT, right: total - labels, top: TOP, bottom: TOP + row * leaves.length };
  const isGraph = tree.likelihood === 'graph';
  const scale = heightScale(
    branches.map(({ at }) => at.height),
    isGraph ? [box.left, box.right - 12] : [box.right - 12, box.left],
  );
  const x = ({ height }: Place) => (height === null ? box.right : scale(height));
  const y = (place: Pick<Place, 'y'>) => box.top + row * place.y;
  const colour = (cluster: number) => colourOf(clusters[cluster].colour);
  const lines = branches.map(({ at, ends: [a, b], left: leaves }) => {
    const d = `M${round(x(a))} ${round(y(a))}H${round(x(at))}V${round(y(b))}H${round(x(b))}`;
    const isMade = leaves >= left;
    const line = makeSvg('path', { d, class: isMade ? 'group' : 'above' });
    if (isMade) line.style.setProperty('--group', colour(at.first));
    return line;
  });
  const numbers = numberedBranches(layout).map(({ at, left }) =>
    text(x(at) - 4, y(at) - 3, String(left), { class: 'number', 'text-anchor': 'end' }),
  );
  const ends = leaves.flatMap((leaf, i) => {
    const middle = y({ y: i + 0.5 });
    return [
      makeSvg('circle', { cx: box.right + 11, cy: middle, r: 5, fill: colour(leaf.from[0]) }),
      text(box.right + GAPS[0], middle + 4, names[i]),
      text(total - RIGHT, middle + 4, rows[i], { 'text-anchor': 'end' }),
    ];
  });
  const cut = round(cutPosition(tree, layout, left, scale, box));
  return makeSvg(
    'svg',
    {
      class: 'dendrogram',
      role: 'img',
      'aria-label': description(tree),
      width: total,
      height: box.bottom + 10,
    },
    ...axis(scale, box, isGraph ? 'resolution γ' : 'nats a row'),
    ...lines,
    makeSvg('path', { class: 'cut', d: `M${cut} ${box.top - 6}V${box.bottom + 4}` }),
    ...numbers,
    ...ends,
  );
}

type Box = Record<'left' | 'right' | 'top' | 'bottom', number>;

/** Between the last join that is made and the next one. */
function cutPosition(
  { sizes, joins }: MergeTree,
  { branches }: TreeLayout,
  left: number,
  scale: Scale,
  box: Box,
): number {
  const hidden = joins.length - branches.length;
  const xOf = (join: number) => {
    if (join < hidden) return box.right;
    return join < joins.length ? scale(branches[join - hidden].at.height) : box.left - 16;
  };
  const made = sizes.length - left;
  return (xOf(made - 1) + xOf(made)) / 2;
}

function axis(scale: Scale, { left, right, top, bottom }: Box, title: string): SVGElement[] {
  const ticks = Math.max(2, Math.floor((right - left) / TICK_DISTANCE / 2));
  const format = scale.tickFormat(ticks);
  const line = (kind: string, d: string) => makeSvg('path', { class: kind, d });
  let last = Number.NEGATIVE_INFINITY;
  const labelled = scale.ticks(ticks).flatMap((tick) => {
    const x = round(scale(tick));
    const isFree = Math.abs(x - last) >= TICK_DISTANCE;
    if (isFree) last = x;
    return [
      line('grid', `M${x} ${top - 6}V${bottom}`),
      ...(isFree ? [text(x, top - 12, format(tick), { class: 'number', 'text-anchor': 'middle' })] : []),
    ];
  });
  return [
    ...labelled,
    line('axis', `M${left} ${top - 6}H${right}`),
    text(left - 18, 15, title, { class: 'number' }),
  ];
}

/** In words, for screen readers; the table of clusters has the groups. */
function description(tree: MergeTree): string {
  const shown = shownJoins(tree);
  return `How ${count(tree.sizes.length)} clusters join, step by step, until one is left${shown && `; ${shown}`}`;
}

/** Says which joins the picture has, if these are not all. */
export function shownJoins(tree: MergeTree): string {
  const { branches } = treeLayout(tree);
  const all = tree.joins.length;
  return branches.length < all ? `the last ${branches.length} of ${count(all)} joins` : '';
}

const text = (x: number, y: number, content: string, attributes: Record<string, string> = {}) =>
  makeSvg('text', { x: round(x), y: round(y), ...attributes }, content);

const widthOf = (texts: readonly string[]) => CHARACTER * Math.max(...texts.map(({ length }) => length));

const round = (value: number) => Math.round(value * 10) / 10;
