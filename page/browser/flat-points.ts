import { AT, DENSITY_CELLS, RECORD } from '../../model/map-tiles.ts';
import { MISSING_SHADE } from '../../model/shades.ts';
import type { Rgb } from '../drawing/palette.ts';
import { dotOf } from './dots.ts';
import type { ClusterPaint, DrawnPoints, PointPainter } from './gl-points.ts';

/** The same as gl-points.ts without a graphics device: pixel by pixel. */
export function flatPoints(canvas: HTMLCanvasElement): PointPainter<Uint8Array> {
  const context = canvas.getContext('2d')!;
  let paints: readonly ClusterPaint[] = [];
  let scale: readonly Rgb[] = [];
  let density: Uint8Array | null = null;
  let image: ImageData | null = null;

  return {
    buffer: (bytes) => bytes,
    remove() {},
    density: (cells) => void (density = cells),
    colours: (of) => void (paints = of),
    scale: (of) => void (scale = of),
    draw(drawn, dense) {
      const { width, height } = canvas;
      if (image?.width !== width || image.height !== height) image = context.createImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer).fill(0);
      if (density && drawn.density > 0) shade(pixels, [width, height], density, drawn, dense);
      for (const tile of drawn.tiles) dab(image, tile, drawn);
      context.putImageData(image, 0, 0);
    },
  };

  function dab(
    { data, width, height }: ImageData,
    { buffer, shades, x, y, side, rows }: DrawnPoints<Uint8Array>['tiles'][number],
    { size, opacity, isShaded }: DrawnPoints<Uint8Array>,
  ) {
    const from = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    const { offsets, coverage, extent } = dotOf(size / 2, width);
    const unit = side / 65_536;
    for (let i = 0, at = 0; i < rows; i++, at += RECORD) {
      const px = Math.round(x + unit * from.getUint16(at + AT.x, true));
      const py = Math.round(height - y - unit * from.getUint16(at + AT.y, true));
      if (!(px >= extent && py >= extent && px < width - extent && py < height - extent)) continue;
      const paint = paints[from.getUint16(at + AT.cluster, true)];
      if (!paint) continue;
      const colour = isShaded ? scale[shades?.[i] ?? MISSING_SHADE] : paint.colour;
      blend(data, 4 * (py * width + px), colour, opacity * paint.opacity, offsets, coverage);
    }
  }
}

/** Blends a dot into pixels, which may be transparent. */
function blend(
  pixels: Uint8ClampedArray,
  centre: number,
  [r, g, b]: Rgb,
  opacity: number,
  offsets: Int32Array,
  coverage: Float32Array,
): void {
  for (let p = 0; p < offsets.length; p++) {
    const at = centre + offsets[p];
    const alpha = opacity * coverage[p];
    const below = (pixels[at + 3] / 255) * (1 - alpha);
    const all = alpha + below;
    pixels[at] = (r * alpha + pixels[at] * below) / all;
    pixels[at + 1] = (g * alpha + pixels[at + 1] * below) / all;
    pixels[at + 2] = (b * alpha + pixels[at + 2] * below) / all;
    pixels[at + 3] = 255 * all;
  }
}

/** `pixels`: RGBA, a number each. */
function shade(
  pixels: Uint32Array,
  [width, height]: readonly [number, number],
  cells: Uint8Array,
  { whole, density }: DrawnPoints<Uint8Array>,
  [r, g, b]: Rgb,
): void {
  const colour = (b << 16) | (g << 8) | r;
  const cell = DENSITY_CELLS / whole.side;
  for (let py = 0; py < height; py++) {
    const row = Math.floor((height - py - whole.y) * cell);
    if (row < 0 || row >= DENSITY_CELLS) continue;
    for (let px = 0; px < width; px++) {
      const column = Math.floor((px - whole.x) * cell);
      if (column < 0 || column >= DENSITY_CELLS) continue;
      pixels[py * width + px] = (Math.round(density * cells[row * DENSITY_CELLS + column]) << 24) | colour;
    }
  }
}
