import { type Dendrogram, layersOf } from '../../../model/hierarchy/dendrogram.ts';

/**
 * Labels on a map: which of them are shown at which magnification, and where, so that no two overlap. Labels have a fixed size on
 * the screen, so places move apart as the map is magnified; the more important a label, the earlier it is shown.
 */

/** What a label says of which place. Coordinates are in units of the side of the map, y upwards. */
export interface MapName {
  /** A cluster by its number, or K + j of join j of the tree. */
  readonly node: number;
  readonly x: number;
  readonly y: number;
  readonly lines: readonly string[];
  /** 0: a cluster; the higher, the farther up in the tree. */
  readonly layer: number;
}

/** A label with its size in pixels. */
export interface SizedLabel extends MapName {
  readonly width: number;
  readonly height: number;
}

/** A label that is shown from a magnification on, `dy` pixels below its place. */
export interface PlacedLabel extends SizedLabel {
  /** In pixels of the side of the map; ∞: never. */
  readonly from: number;
  readonly dy: number;
}

/** Where a cluster is on the map: the medians of its rows. */
export interface Anchor {
  readonly rows: number;
  readonly x: number;
  readonly y: number;
}

/** Most characters of a line, and lines of a label. */
const [LINE, MOST_LINES] = [22, 3];

/** So many clusters have room for their own names, which those of joins would cover. */
const FEW_CLUSTERS = 12;

/**
 * The labels of a map in the order of their importance: upper joins of the tree first, the larger first. Joins without a name have no label.
 *
 * @param anchors of each cluster; those without rows have none
 * @param nameOf the name of a node; null: none
 */
export function mapNames(
  anchors: readonly (Anchor | null)[],
  tree: Dendrogram | null,
  nameOf: (node: number) => string | null,
): MapName[] {
  const named = (node: number, layer: number, { rows, x, y }: Anchor) => {
    const name = nameOf(node);
    return name ? [{ node, layer, rows, x, y, lines: labelLines(name) }] : [];
  };
  const leaves = anchors.flatMap((anchor, cluster) => (anchor ? named(cluster, 0, anchor) : []));
  const groups = tree && anchors.length > FEW_CLUSTERS ? joinsOf(tree) : [];
  const joins = [...groups].flatMap(([node, { layer, from }]) => {
    const own = from.flatMap((cluster) => anchors[cluster] ?? []);
    const rows = own.reduce((sum, anchor) => sum + anchor.rows, 0);
    return own.length ? named(node, layer, { rows, x: median(own, 'x'), y: median(own, 'y') }) : [];
  });
  return [...leaves, ...joins]
    .sort((a, b) => b.layer - a.layer || b.rows - a.rows || a.node - b.node)
    .map(({ rows: _, ...name }) => name);
}

/** The joins in the layers above the clusters: the uppermost layer of each, and its clusters. */
function joinsOf(tree: Dendrogram): Map<number, { layer: number; from: readonly number[] }> {
  const joins = new Map<number, { layer: number; from: readonly number[] }>();
  for (const [layer, groups] of layersOf(tree).entries())
    for (const [node, { from }] of groups) if (node >= tree.sizes.length) joins.set(node, { layer, from });
  return joins;
}

/** The median of clusters' places, each as often as it has rows. */
function median(anchors: readonly Anchor[], axis: 'x' | 'y'): number {
  const inOrder = anchors.toSorted((a, b) => a[axis] - b[axis]);
  const half = anchors.reduce((sum, { rows }) => sum + rows, 0) / 2;
  let before = 0;
  return (inOrder.find(({ rows }) => (before += rows) >= half) ?? inOrder.at(-1)!)[axis];
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const clip = (text: string, most: number) => {
  const letters = Array.from(graphemes.segment(text.slice(0, 40 * most)), ({ segment }) => segment);
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : text;
};

/** A name in at most three lines of up to 22 characters. Control characters, and those that turn the direction, become spaces. */
export function labelLines(name: string): string[] {
  const words = name
    .slice(0, 1000)
    .replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu, ' ')
    .split(/\s+/)
    .filter(Boolean);
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= LINE)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  const shown = lines.slice(0, MOST_LINES).map((line) => clip(line, LINE));
  if (lines.length > MOST_LINES) shown[MOST_LINES - 1] = clip(`${shown[MOST_LINES - 1]} …`, LINE);
  return shown;
}

/** Line height in units of the size of the font. */
export const LINE_HEIGHT = 1.2;
/** Widths of letters in the same units, for bold ones: Latin, and those of other scripts, of which many are as wide as high. */
const [NARROW, WIDE] = [0.62, 1.1];

/** The size of a label as far as that can be told without a screen. */
export function labelExtent(lines: readonly string[], size: number): { width: number; height: number } {
  const widthOf = (line: string) =>
    Array.from(line).reduce((sum, letter) => sum + (letter.codePointAt(0)! < 0x1100 ? NARROW : WIDE), 0);
  return {
    width: size * Math.max(0, ...lines.map(widthOf)),
    height: size * LINE_HEIGHT * lines.length,
  };
}

/** Pixels between two labels. */
const GAP = 4;

/** Where a label stands if another one is at its place: above, below. In heights. */
const ASIDE = [-1, 1] as const;

/**
 * From which magnification on each label is shown. At none do two overlap; one that is shown at some magnification is so at all stronger
 * ones. `labels`: in the order of their importance; `whole`: at which magnification the map is shown first, in pixels of its side.
 */
export function placeLabels(labels: readonly SizedLabel[], whole: number): PlacedLabel[] {
  const placed: PlacedLabel[] = [];
  for (const label of labels) {
    let best = at(label, 0, placed, Number.POSITIVE_INFINITY);
    for (const heights of ASIDE) {
      if (best.from <= whole) break;
      const aside = at(label, heights * (label.height + GAP), placed, best.from);
      if (aside.from < best.from) best = aside;
    }
    placed.push(best);
  }
  return placed;
}

/** The label so many pixels below its place; it gives up where that is shown no earlier than `most`. */
function at(label: SizedLabel, dy: number, placed: readonly PlacedLabel[], most: number): PlacedLabel {
  const own = { ...label, dy, from: 0 };
  let from = 0;
  for (const other of placed) {
    const until = overlapUntil(own, other, Math.max(from, other.from));
    if (until > 0) from = until;
    if (from >= most) break;
  }
  return { ...own, from };
}

/** The magnification from which on two labels do not overlap any more; 0: they do not overlap above `from`. */
function overlapUntil(a: PlacedLabel, b: PlacedLabel, from: number): number {
  const beside = ((a.width + b.width) / 2 + GAP) / Math.abs(b.x - a.x);
  // Most pairs of many labels.
  if (beside <= from) return 0;
  // On the screen y points down: |apart·s + shift| < reach.
  const [apart, shift] = [a.y - b.y, b.dy - a.dy];
  const reach = (a.height + b.height) / 2 + GAP;
  if (apart === 0) return Math.abs(shift) < reach ? beside : 0;
  const [one, other] = [(-reach - shift) / apart, (reach - shift) / apart];
  const until = Math.min(beside, Math.max(one, other));
  return until > Math.max(from, Math.min(one, other)) ? until : 0;
}

/**
 * Where labels stand on a screen of this size, their upper left corners: those whose place is on it, wholly inside. One that had to be moved
 * for that gives way to more important ones, and the others to it. `labels`: with their places in pixels, the most important first. Null: not shown.
 */
export function insideLabels(
  labels: readonly (Box & { dy: number })[],
  { width, height }: { width: number; height: number },
): ([left: number, top: number] | null)[] {
  const shown: Box[] = [];
  const moved: Box[] = [];
  const within = (at: number, half: number, most: number) => Math.min(most - half, Math.max(half, at));
  return labels.map((label) => {
    if (label.x < 0 || label.y < 0 || label.x > width || label.y > height) return null;
    const [x, y] = [
      within(label.x, label.width / 2, width),
      within(label.y + label.dy, label.height / 2, height),
    ];
    const box = { ...label, x, y };
    const isMoved = x !== label.x || y !== label.y + label.dy;
    if ((isMoved ? shown : moved).some((other) => overlap(box, other))) return null;
    shown.push(box);
    if (isMoved) moved.push(box);
    return [x - label.width / 2, y - label.height / 2];
  });
}

/** Where a label of a picture stands: its middle, in pixels; `isAside`: not at its place, to which an arrow leads. */
export interface StandingLabel {
  readonly x: number;
  readonly y: number;
  readonly isAside: boolean;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

type Line = readonly [x: number, y: number, u: number, v: number];

/** Directions around a place, and pixels from one circle to the next. */
const [DIRECTIONS, STEP] = [24, 10];

/**
 * Places for the labels of a picture of this size: at their own place, else as near as there is room, so that arrows cross neither labels nor
 * each other. `labels`: middles and sizes in pixels, the most important first. Null: there is no room.
 */
export function standLabels(
  labels: readonly Box[],
  { width, height }: { width: number; height: number },
): (StandingLabel | null)[] {
  const boxes: Box[] = [];
  const arrows: Line[] = [];
  const fits = (box: Box) =>
    Math.abs(box.x - width / 2) <= (width - box.width) / 2 - GAP &&
    Math.abs(box.y - height / 2) <= (height - box.height) / 2 - GAP &&
    boxes.every((other) => !overlap(box, other)) &&
    arrows.every((arrow) => !crosses(arrow, box));
  return labels.map((label) => {
    for (const [x, y] of around(label, Math.hypot(width, height))) {
      const box = { ...label, x, y };
      if (!fits(box)) continue;
      const isAside = x !== label.x || y !== label.y;
      const arrow: Line = [x, y, label.x, label.y];
      if (isAside) {
        // The place itself may lie beneath another label.
        if (boxes.some((other) => !holds(other, label) && crosses(arrow, other))) continue;
        if (arrows.some((other) => meet(arrow, other))) continue;
        arrows.push(arrow);
      }
      boxes.push(box);
      return { x, y, isAside };
    }
    return null;
  });
}

function* around({ x, y, width, height }: Box, most: number): Generator<[number, number]> {
  yield [x, y];
  for (let radius = STEP; radius < most; radius += STEP)
    for (let i = 0; i < DIRECTIONS; i++) {
      const angle = (2 * Math.PI * i) / DIRECTIONS;
      yield [x + (radius + width / 2) * Math.cos(angle), y + (radius + height / 2) * Math.sin(angle)];
    }
}

const overlap = (a: Box, b: Box) =>
  Math.abs(a.x - b.x) < (a.width + b.width) / 2 + GAP &&
  Math.abs(a.y - b.y) < (a.height + b.height) / 2 + GAP;

const holds = (box: Box, { x, y }: Box) =>
  Math.abs(box.x - x) <= box.width / 2 + 1 && Math.abs(box.y - y) <= box.height / 2 + 1;

/** Does a line go through a box? */
function crosses([x, y, u, v]: Line, box: Box): boolean {
  let [from, to] = [0, 1];
  for (const [start, way, middle, length] of [
    [x, u - x, box.x, box.width],
    [y, v - y, box.y, box.height],
  ]) {
    const [low, high] = [middle - length / 2 - 1, middle + length / 2 + 1];
    if (way === 0) {
      if (start < low || start > high) return false;
      continue;
    }
    const ends = [(low - start) / way, (high - start) / way];
    from = Math.max(from, Math.min(...ends));
    to = Math.min(to, Math.max(...ends));
  }
  return from < to;
}

/** Do two lines cross, other than at their ends? */
function meet(a: Line, b: Line): boolean {
  const side = ([x, y, u, v]: Line, px: number, py: number) => (u - x) * (py - y) - (v - y) * (px - x);
  const apart = (one: Line, other: Line) => side(one, other[0], other[1]) * side(one, other[2], other[3]) < 0;
  return apart(a, b) && apart(b, a);
}
