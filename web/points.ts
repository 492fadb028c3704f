import type { Rgb } from '../view/palette.ts';

/** A round dot of this radius (pixels): for each pixel near the middle how much of it is covered, 0 … 1. */
export interface Dot {
  readonly offsets: Int32Array;
  readonly cover: Float32Array;
  readonly reach: number;
}

export function dotOf(radius: number, width: number): Dot {
  const reach = Math.ceil(radius + 0.5);
  const offsets: number[] = [];
  const cover: number[] = [];
  for (let y = -reach; y <= reach; y++)
    for (let x = -reach; x <= reach; x++) {
      const part = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y)));
      if (part > 0.02) {
        offsets.push(4 * (y * width + x));
        cover.push(part);
      }
    }
  return { offsets: Int32Array.from(offsets), cover: Float32Array.from(cover), reach };
}

/**
 * Blends dots into RGBA pixels, in the order of the points: much faster than as many calls to a canvas. Points whose
 * dot would not lie wholly inside are left out. `opacity` is that of each label's points.
 */
export function drawPoints(
  pixels: Uint8ClampedArray,
  [width, height]: readonly [number, number],
  xs: Float32Array,
  ys: Float32Array,
  labels: Int32Array,
  colours: readonly Rgb[],
  opacity: Float32Array,
  { offsets, cover, reach }: Dot,
): void {
  const size = offsets.length;
  for (let i = 0; i < xs.length; i++) {
    const x = Math.round(xs[i]);
    const y = Math.round(ys[i]);
    if (!(x >= reach && y >= reach && x < width - reach && y < height - reach)) continue;
    const label = labels[i];
    const alpha = opacity[label];
    if (!(alpha > 0)) continue;
    const [r, g, b] = colours[label];
    const middle = 4 * (y * width + x);
    for (let p = 0; p < size; p++) {
      const at = middle + offsets[p];
      const part = alpha * cover[p];
      pixels[at] += (r - pixels[at]) * part;
      pixels[at + 1] += (g - pixels[at + 1]) * part;
      pixels[at + 2] += (b - pixels[at + 2]) * part;
    }
  }
}
