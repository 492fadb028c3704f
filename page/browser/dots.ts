import type { Rgb } from '../drawing/palette.ts';

/** A round dot as offsets into RGBA pixels and the fraction of each pixel that it covers, 0 … 1. */
export interface Dot {
  readonly offsets: Int32Array;
  readonly coverage: Float32Array;
  /** Pixels from the centre to the edge of the offsets. */
  readonly extent: number;
}

/** A dot of `radius` pixels, for an image of `width` pixels. */
export function dotOf(radius: number, width: number): Dot {
  const extent = Math.ceil(radius + 0.5);
  const offsets: number[] = [];
  const coverage: number[] = [];
  for (let y = -extent; y <= extent; y++)
    for (let x = -extent; x <= extent; x++) {
      const covered = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y)));
      if (covered > 0.02) {
        offsets.push(4 * (y * width + x));
        coverage.push(covered);
      }
    }
  return { offsets: Int32Array.from(offsets), coverage: Float32Array.from(coverage), extent };
}

/**
 * Blends dots into RGBA pixels in the order of the points, much faster than one canvas call per point. Leaves out points
 * whose dot would cross the edge. `colours` and `opacity` are indexed by label.
 */
export function drawPoints(
  pixels: Uint8ClampedArray,
  [width, height]: readonly [number, number],
  xs: Float32Array,
  ys: Float32Array,
  labels: Int32Array,
  colours: readonly Rgb[],
  opacity: Float32Array,
  { offsets, coverage, extent }: Dot,
): void {
  const size = offsets.length;
  for (let i = 0; i < xs.length; i++) {
    const x = Math.round(xs[i]);
    const y = Math.round(ys[i]);
    if (!(x >= extent && y >= extent && x < width - extent && y < height - extent)) continue;
    const label = labels[i];
    const alpha = opacity[label];
    if (!(alpha > 0)) continue;
    const [r, g, b] = colours[label];
    const centre = 4 * (y * width + x);
    for (let p = 0; p < size; p++) {
      const at = centre + offsets[p];
      const weight = alpha * coverage[p];
      pixels[at] += (r - pixels[at]) * weight;
      pixels[at + 1] += (g - pixels[at + 1]) * weight;
      pixels[at + 2] += (b - pixels[at + 2]) * weight;
    }
  }
}
