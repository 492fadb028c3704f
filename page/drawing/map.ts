import { numberName } from '../../model/description/names.ts';
import { type Dendrogram, layersOf } from '../../model/hierarchy/dendrogram.ts';
import type { MapIndex, MapTile } from '../../model/map-tiles.ts';
import type { Legend } from '../../model/shades.ts';
import { base64Of, bytesIn } from './api.ts';
import type { Described } from './clusters.ts';
import type { Zoom } from './points.ts';

/**
 * The map of all rows of a finished run: what it is, where it comes from, and which part of it is on a screen. Rows are in tiles (model/map-tiles.ts);
 * whether these are read from a run directory, asked for over HTTP or are one sample in a file, who shows them does not know.
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

/** The map of all rows of a finished run, as the page has it: `GET /api/map`. */
export interface WholeMap {
  index: MapIndex;
  names: MapName[];
  /** The label of each cluster, and what it is called, if only by its label. */
  clusters: { label: number; name: string }[];
}

/** What is known of the rows on it beside that: `GET /api/map/data`. */
export interface MapData {
  /** Can words be looked for in them? */
  hasTexts: boolean;
  /** The names of the columns by which it can be coloured. */
  columns: string[];
}

/** `GET /api/map/search?words=…`: the first rows with these words, as `FOUND` of model/map-tiles.ts, in base64. */
export interface FoundRows {
  /** There are no more of them. */
  isAll: boolean;
  rows: string;
}

/** `GET /api/map/telling?rows=…`: what sets rows apart from all others. */
export interface SelectionTelling {
  /** Words of their texts, the most telling first; null: they have none. */
  words: string[] | null;
  /** Such as `high income, low age`; null: none. */
  columns: string | null;
}

/** From where the map is had: tile by tile, or as one sample. Null: it cannot be had; promises may reject once `signal` aborts. */
export interface MapSource {
  about: WholeMap;
  density(): Promise<Uint8Array | null>;
  /** The rows of a tile, as `RECORD` of model/map-tiles.ts says. */
  tile(number: number): Promise<Uint8Array | null>;
  /** What else is known of rows; null: nothing. */
  data(): Promise<MapData | null>;
  /** What the shades of a column stand for, and those of a tile. */
  legend(column: number, signal: AbortSignal): Promise<Legend | null>;
  shades(column: number, tile: number, signal?: AbortSignal): Promise<Uint8Array | null>;
  /** What sets these rows, ascending, apart from all others. */
  telling(rows: readonly number[], signal: AbortSignal): Promise<SelectionTelling | null>;
  /** Rows with these words in their texts. */
  search(words: string, signal: AbortSignal): Promise<FoundRows | null>;
}

/** A sample of the rows as the only tile, and the density of all. */
export interface SampledMap {
  about: WholeMap;
  sample: Uint8Array;
  density: Uint8Array;
}

/** The same in a file: bytes in base64. */
export type PackedMap = WholeMap & Record<'sample' | 'density', string>;

/** The sample as the only tile of the map. */
export function sampledMap(
  { index, ...rest }: WholeMap,
  { sample, density }: Pick<SampledMap, 'sample' | 'density'>,
): SampledMap {
  const whole = { level: 0, column: 0, row: 0, from: 0, below: 1, count: index.sample };
  return { about: { index: { ...index, tiles: [whole] }, ...rest }, sample, density };
}

/** Of a sample nothing is known but what its records have. */
export function ofSample({ about, sample, density }: SampledMap): MapSource {
  const none = async () => null;
  const known = { about, tile: async () => sample, density: async () => density };
  return { ...known, data: none, legend: none, shades: none, telling: none, search: none };
}

export const packedMap = ({ about, sample, density }: SampledMap): PackedMap => ({
  ...about,
  sample: base64Of(sample),
  density: base64Of(density),
});

export const unpackedMap = ({ sample, density, ...about }: PackedMap): SampledMap => ({
  about,
  sample: bytesIn(sample),
  density: bytesIn(density),
});

/** Rows that stand for a selection. */
export const MOST_SELECTED = 2000;
const BASE = 36;

/** Ascending numbers of rows, short enough for an address: each by how much it is more than the one before. */
export const selectedText = (rows: readonly number[]): string =>
  rows.map((row, i) => (row - (rows[i - 1] ?? 0)).toString(BASE)).join('.');

/** The rows in such a text; null: it is none of rows below `all`, or has too many. */
export function selectedRows(text: unknown, all: number): number[] | null {
  if (typeof text !== 'string' || !/^[\da-z]{1,7}(\.[\da-z]{1,7})*$/.test(text)) return null;
  let last = 0;
  const rows = text.split('.').map((gap) => (last += Number.parseInt(gap, BASE)));
  const areAscending = rows.every((row, i) => i === 0 || row > rows[i - 1]);
  return rows.length <= MOST_SELECTED && areAscending && last < all ? rows : null;
}

/** `ids`: labels of clusters where these are not their numbers. */
export function aboutMap(
  index: MapIndex,
  tree: Dendrogram | null,
  described: Described | null,
  ids?: readonly number[],
): WholeMap {
  const clusters = index.places.map((_, cluster) => {
    const label = ids?.[cluster] ?? cluster;
    return { label, name: described?.clusters[cluster]?.name ?? numberName(label) };
  });
  const joins = new Map(described?.joins?.map(({ join, name }) => [join, name]));
  const nameOf = (node: number) => clusters[node]?.name ?? joins.get(node) ?? null;
  return { index, clusters, names: mapNames(index.places, tree, nameOf) };
}

/** What a cluster is called beside its label; empty where that is all. */
export const nameBeside = ({ label, name }: WholeMap['clusters'][number]): string =>
  name === numberName(label) ? '' : name;

/** Where a cluster is on the map: a row in its middle. */
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

/** Which part of the map of all rows is on the screen, which tiles of it are drawn, and what a line around points selects. */

/** Places in units of the side of the map, y upwards, on a screen in pixels, y downwards: x·side + left, bottom − y·side. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly side: number;
  readonly left: number;
  readonly bottom: number;
}

/** What the side of the map takes of the shorter side of the screen at zoom WHOLE: points and names at its edge are not cut. */
const FILLED = 0.92;

/** The map as a whole is in the middle of the screen at zoom WHOLE. */
export function frameOf(width: number, height: number, { factor, x, y }: Zoom): Frame {
  const whole = FILLED * Math.min(width, height);
  return {
    ...{ width, height },
    side: whole * factor,
    left: ((width - whole) / 2) * factor + x,
    bottom: ((height + whole) / 2) * factor + y,
  };
}

/** The zoom at which this part of the map, left, bottom, right, top, fills the screen. */
export function zoomTo([left, bottom, right, top]: readonly number[], width: number, height: number): Zoom {
  const whole = FILLED * Math.min(width, height);
  const side = Math.min(width / (right - left), height / (top - bottom));
  const factor = Math.max(1, side / whole);
  const frame = frameOf(width, height, { factor, x: 0, y: 0 });
  return {
    factor,
    x: width / 2 - (((left + right) / 2) * frame.side + frame.left),
    y: height / 2 - (frame.bottom - ((bottom + top) / 2) * frame.side),
  };
}

/** The part of the map on the screen: left, bottom, right, top. */
export function shownPart({ width, height, side, left, bottom }: Frame): [number, number, number, number] {
  return [-left / side, (bottom - height) / side, (width - left) / side, bottom / side];
}

/** What part of a tile is in a part of the map, 0 … 1. */
function shareIn({ level, column, row }: MapTile, [left, bottom, right, top]: readonly number[]): number {
  const across = 2 ** level;
  const along = (from: number, to: number, at: number) =>
    Math.max(0, Math.min(to * across, at + 1) - Math.max(from * across, at));
  return Math.min(1, along(left, right, column)) * Math.min(1, along(bottom, top, row));
}

/** A tile that is on the screen, of which the first `rows` are drawn. */
export interface DrawnTile {
  readonly number: number;
  readonly rows: number;
}

/**
 * The tiles of a part of the map that together show a uniform random sample of about `most` rows there, the largest in front; the share of rows that are in
 * the sample; and how many of them are in the part, about.
 */
export function tilesFor({ tiles }: Pick<MapIndex, 'tiles'>, part: readonly number[], most: number) {
  const there = tiles.flatMap((tile, number) => {
    const share = tile.count ? shareIn(tile, part) : 0;
    return share > 0 ? [{ tile, number, share }] : [];
  });
  const partOf = ({ from, below }: MapTile, share: number) =>
    Math.min(1, Math.max(0, (share - from) / (below - from)));
  const rowsAt = (share: number) =>
    there.reduce((sum, { tile, share: inside }) => sum + tile.count * inside * partOf(tile, share), 0);
  let share = 1;
  if (rowsAt(1) > most)
    for (let low = 0, i = 0; i < 40; i++) {
      const middle = (low + share) / 2;
      if (rowsAt(middle) > most) share = middle;
      else low = middle;
    }
  const drawn = there.flatMap(({ tile, number }): DrawnTile[] => {
    const rows = Math.round(tile.count * partOf(tile, share));
    return rows > 0 ? [{ number, rows }] : [];
  });
  return { drawn, share, rows: rowsAt(share) };
}

/** The tiles that may have rows inside a line. */
export const tilesAround = ({ tiles }: Pick<MapIndex, 'tiles'>, line: readonly Point[]): number[] => {
  const part = partAround(line);
  return tiles.flatMap((tile, number) => (tile.count && shareIn(tile, part) > 0 ? [number] : []));
};

export type Point = readonly [x: number, y: number];

/** Left, bottom, right, top. */
function partAround(line: readonly Point[]): number[] {
  const [xs, ys] = [line.map(([x]) => x), line.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Is a place inside a closed line? By the parity of crossings. */
export function isInside(line: readonly Point[], x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [[ax, ay], [bx, by]] = [line[i], line[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
