/** A magnified picture: the pixel `p` of the whole is at factor·p + (x, y). */
export interface Zoom {
  readonly factor: number;
  readonly x: number;
  readonly y: number;
}

export const WHOLE: Zoom = { factor: 1, x: 0, y: 0 };

const MOST = 60;
/** By one press of a key, or of a button. */
export const STEP = 1.4;

type Size = readonly [width: number, height: number];

/** Magnified further by `by`, so that what is at (x, y) stays there. */
export function zoomAt(zoom: Zoom, by: number, [x, y]: readonly [number, number], size: Size): Zoom {
  const factor = Math.min(MOST, Math.max(1, zoom.factor * by));
  const ratio = factor / zoom.factor;
  return inside({ factor, x: x - ratio * (x - zoom.x), y: y - ratio * (y - zoom.y) }, size);
}

export const moved = (zoom: Zoom, dx: number, dy: number, size: Size): Zoom =>
  inside({ ...zoom, x: zoom.x + dx, y: zoom.y + dy }, size);

/** No further than to the edges of the picture. */
function inside({ factor, x, y }: Zoom, [width, height]: Size): Zoom {
  if (factor <= 1) return WHOLE;
  const within = (at: number, length: number) => Math.min(0, Math.max(length * (1 - factor), at));
  return { factor, x: within(x, width), y: within(y, height) };
}

/** What a key does to the zoom: +, −, 0, and with Shift the arrows; null for all others. */
export function zoomByKey(zoom: Zoom, { key, shiftKey }: KeyboardEvent, size: Size): Zoom | null {
  const middle = [size[0] / 2, size[1] / 2] as const;
  if (key === '+' || key === '=') return zoomAt(zoom, STEP, middle, size);
  if (key === '-') return zoomAt(zoom, 1 / STEP, middle, size);
  if (key === '0') return WHOLE;
  const [right, down] =
    { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [];
  if (!shiftKey || right === undefined) return null;
  return moved(zoom, (-right * size[0]) / 10, (-down! * size[1]) / 10, size);
}
