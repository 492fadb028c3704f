import { counted } from '../../base/quantities.ts';
import { RECORD, readRecord } from '../../model/map-records.ts';
import type { MapName, SampledMap } from '../../run/whole-map.ts';
import { dots, greyDots } from './points.ts';
import { num, picture, text } from './svg.ts';

/**
 * Labels on a map: which of them are shown at which magnification, and where, so that no two overlap. Labels have a fixed size on
 * the screen, so places move apart as the map is magnified; the more important a label, the earlier it is shown.
 */

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

/** Line height in units of the size of the font. */
const LINE_HEIGHT = 1.2;
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
interface StandingLabel {
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

/** The map with names on it, for print. */

/** Width in user units, and room around the map, in which labels stand that have none on it. */
const [WIDTH, BESIDE, ABOVE] = [900, 100, 30];
/** Heights of a picture, whatever the map is like. */
const [LOWEST, HIGHEST] = [420, 820];
/** Points in it, and labels at the most. */
const [MOST_POINTS, MOST_LABELS] = [15_000, 150];
const RADIUS = { few: 2.4, many: 1.1 };

/** Size of a label's font, by its layer. */
export const labelSize = (layer: number): number => 11 + 2 * Math.min(layer, 3);

/** At most 15,000 rows in the colours of their clusters, and as many names as have room, the largest clusters first. */
export function mapPicture({ about, sample }: SampledMap): string {
  const [left, bottom, right, top] = about.index.home;
  const scale = Math.min((WIDTH - 2 * BESIDE) / (right - left), (HIGHEST - 2 * ABOVE) / (top - bottom));
  const height = Math.max(LOWEST, Math.round(scale * (top - bottom)) + 2 * ABOVE);
  const x = (at: number) => WIDTH / 2 + (at - (left + right) / 2) * scale;
  const y = (at: number) => height / 2 - (at - (bottom + top) / 2) * scale;

  const from = new DataView(sample.buffer, sample.byteOffset, sample.byteLength);
  const count = Math.min(MOST_POINTS, sample.length / RECORD);
  const [xs, ys] = [new Float32Array(count), new Float32Array(count)];
  const rowsOf = about.clusters.map((): number[] => []);
  const noise: number[] = [];
  let far = 0;
  for (let i = 0; i < count; i++) {
    const row = readRecord(from, i * RECORD);
    [xs[i], ys[i]] = [x(row.x), y(row.y)];
    if (xs[i] < 0 || xs[i] > WIDTH || ys[i] < 0 || ys[i] > height) far++;
    else (rowsOf[row.cluster] ?? noise).push(i);
  }
  const labels = about.names.slice(0, MOST_LABELS).map((name): SizedLabel => {
    const extent = labelExtent(name.lines, labelSize(name.layer));
    return { ...name, ...extent, x: x(name.x), y: y(name.y) };
  });
  const stand = standLabels(labels, { width: WIDTH, height });
  const shown = stand.flatMap((at, i) => (at ? [{ label: labels[i], at }] : []));
  const ids = about.clusters.map(({ label }) => label);
  const named = shown.filter(({ label }) => label.node < ids.length).length;
  const k = about.index.places.filter(Boolean).length;
  const radius = RADIUS.many + (RADIUS.few - RADIUS.many) * Math.min(1, (600 / Math.max(1, count)) ** 0.4);
  return picture(
    {
      ...{ id: 'clusters', width: WIDTH, height, title: 'Clusters' },
      description: `A map of ${counted(about.index.rows, 'row')}, of which ${count - far} are drawn, and the names of ${named} of ${counted(k, 'cluster')}.`,
    },
    greyDots({ xs, ys, radius }, noise),
    dots({ xs, ys, radius }, rowsOf, ids),
    ...shown.flatMap(({ label, at }) => (at.isAside ? [arrow(label, at)] : [])),
    ...shown.map(({ label, at }) => words(label, at)),
  );
}

/** From the edge of a label to its place, with a rim that tells it from points. */
function arrow({ x, y, width, height }: SizedLabel, at: StandingLabel): string {
  const [dx, dy] = [x - at.x, y - at.y];
  const inside = Math.min(width / 2 / Math.abs(dx), height / 2 / Math.abs(dy));
  const [u, v] = [dx, dy].map((part) => part / Math.hypot(dx, dy));
  const [bx, by] = [x - 7 * u, y - 7 * v];
  const line =
    inside < 1 ? `M${num(at.x + inside * dx)} ${num(at.y + inside * dy)}L${num(bx)} ${num(by)}` : '';
  const head = `M${num(x)} ${num(y)}L${num(bx - 3 * v)} ${num(by + 3 * u)}L${num(bx + 3 * v)} ${num(by - 3 * u)}Z`;
  return `<path class="halo" d="${line}${head}" fill="none" stroke="#ffffff" stroke-width="3.4" stroke-linejoin="round"/><path class="arrow" d="${line}${head}" fill="#1b1e23" stroke="#1b1e23"/>`;
}

function words({ lines, height, layer }: SizedLabel, { x, y }: StandingLabel): string {
  const size = labelSize(layer);
  const line = (content: string, i: number) =>
    text(x, y - height / 2 + (i + 0.8) * LINE_HEIGHT * size, content, {
      ...{ size, anchor: 'middle', bold: true, halo: true, tone: layer ? 'mute' : 'ink' },
    });
  return lines.map(line).join('');
}
