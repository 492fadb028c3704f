import { WORDS } from '../../model/map-records.ts';
import type { Zoom } from './points.ts';

/** Which part of the map of all rows is on the screen, how many records are drawn, and what a line around points selects. */

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

/** Records among which those in a part of the map are counted, and how many have to be there for an estimate: fewer are all drawn. */
const [COUNTED, ENOUGH] = [1 << 16, 100];

/**
 * How many records of a map have about `most` in a part of it, and the share that lies there. `places`: its first `count` records, by four bytes, which are a random
 * sample of all. Infinity: so few are there that all can be drawn.
 */
export function recordsFor(places: Float32Array, count: number, part: readonly number[], most: number) {
  const [left, bottom, right, top] = part;
  const counted = Math.min(count, COUNTED);
  let inside = 0;
  for (let i = 0, at = 0; i < counted; i++, at += WORDS.record) {
    const [x, y] = [places[at + WORDS.x], places[at + WORDS.y]];
    if (x >= left && x <= right && y >= bottom && y <= top) inside++;
  }
  const share = inside / Math.max(1, counted);
  return { records: inside < ENOUGH ? Infinity : Math.ceil(most / share), share };
}

export type Point = readonly [x: number, y: number];

/** Is a place inside a closed line? By the parity of crossings. */
export function isInside(line: readonly Point[], x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [[ax, ay], [bx, by]] = [line[i], line[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
