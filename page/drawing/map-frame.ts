import type { MapIndex, MapTile } from '../../model/map-tiles.ts';
import type { Zoom } from './points.ts';

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
